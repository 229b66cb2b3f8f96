"""Runs Quix Streams, tuned: bytes in, typed decoding, state as bytes; one changelog record per changed customer and checkpoint.

The checkpoint interval is 5 s, its default, which favours it: the longer, the fewer changelog records. With `exactly-once` a
checkpoint is one transaction.
"""

from __future__ import annotations

from typing import Any

from benchmarks import broker
from benchmarks.job import Job, Progress
from benchmarks.work_unit import Profile, decode_event, decode_profile, encode_profile, update


def run(job: Job, progress: Progress) -> None:
    """Applies one stateful function to the topic."""
    from quixstreams import Application  # type: ignore[import-not-found] # noqa: PLC0415 # only in the peers' environment

    app = Application(
        broker_address=job.brokers,
        consumer_group=job.name,
        auto_offset_reset="earliest",
        state_dir=f"{job.folder}/quix",
        loglevel="ERROR",
        processing_guarantee=job.option or "at-least-once",
        consumer_extra_config=broker.FETCH,
        producer_extra_config={"compression.type": "lz4"},
    )
    topic = app.topic(job.topic, value_deserializer="bytes", key_deserializer="bytes")

    def fold(value: bytes, state: Any) -> bytes:
        stored = state.get_bytes("profile")
        profile = decode_profile(stored) if stored is not None else Profile()
        update(profile, decode_event(value))
        state.set_bytes("profile", encode_profile(profile))
        progress.add(1)
        return b"%d" % profile.events

    frame = app.dataframe(topic).apply(fold, stateful=True)
    if job.output:
        frame = frame.to_topic(app.topic(job.output, value_serializer="bytes", key_serializer="bytes"))
    if job.events:
        app.run(count=job.events)  # returns after the last checkpoint
        progress.finish()
    else:
        app.run()


def final_state(job: Job) -> dict[str, Profile]:
    """Returns the profiles from the store's changelog, whose keys are `customer|"profile"`."""
    newest = broker.newest_values(job.brokers, f"changelog__{job.name}--{job.topic}--default")
    return {key.split(b"|")[0].decode(): decode_profile(value) for key, value in newest.items() if b"|" in key}
