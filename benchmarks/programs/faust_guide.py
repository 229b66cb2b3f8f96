"""Runs Faust as in its guide: JSON events, a table of dicts in RocksDB, an agent that processes one event at a time.

Only the event loop (uvloop) and the logs are tuned; the store is rocksdict, its default.
"""

from __future__ import annotations

import asyncio
import math
import sys
from typing import Any

from benchmarks import broker
from benchmarks.job import Job, Progress
from benchmarks.work_unit import MAX_RECENT, TAU_S, Profile


def update_profile(profile: dict[str, Any], event: dict[str, Any]) -> None:
    """Applies the work unit to plain dicts."""
    counts = profile.setdefault("counts", {})
    if profile.get("events"):
        gap_s = event["ts"] - profile["last_seen"]
        if gap_s > 0:
            factor = math.exp(-gap_s / TAU_S)
            for kind in counts:
                counts[kind] *= factor
    profile["events"] = profile.get("events", 0) + 1
    counts[event["type"]] = counts.get(event["type"], 0.0) + 1.0
    profile["last_seen"] = event["ts"]
    if event["session_id"] != profile.get("session_id"):
        profile["session_id"] = event["session_id"]
        profile["cart"] = {}
    recent = profile.setdefault("recent", [])
    product = event.get("product")
    if product is not None:
        recent.append(product["id"])
        if len(recent) > MAX_RECENT:
            del recent[0]
        if event["type"] == "add_to_cart":
            profile["cart"][product["id"]] = profile["cart"].get(product["id"], 0) + 1
        elif event["type"] == "remove_from_cart":
            profile["cart"].pop(product["id"], None)
    if event["type"] == "purchase":
        profile["cart"] = {}


def run(job: Job, progress: Progress) -> None:
    """Runs a worker with one agent and one table."""
    import mode.loop  # noqa: PLC0415 # must be chosen before Faust is imported

    mode.loop.use("uvloop")
    import faust  # noqa: PLC0415

    app = faust.App(
        job.name,
        broker=f"kafka://{job.brokers}",
        store="rocksdb://",
        datadir=f"{job.folder}/faust",
        topic_partitions=job.partitions,
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    events = app.topic(job.topic, key_serializer="raw", value_serializer="json")
    output = app.topic(job.output, key_serializer="raw", value_serializer="raw") if job.output else None
    profiles = app.Table("profiles", default=dict)

    async def finish() -> None:
        await asyncio.sleep(0)  # the last event is acknowledged
        await app.producer.flush()
        await app.commit({job.topic})
        progress.finish()

    @app.agent(events)
    async def fold(stream: faust.StreamT[dict[str, Any]]) -> None:
        async for event in stream:
            customer = event["customer_id"]
            profile = profiles[customer]
            update_profile(profile, event)
            profiles[customer] = profile
            if output is not None:
                await output.send(key=customer.encode(), value=b"%d" % profile["events"])
            if progress.add(1) == job.events:
                asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(finish()))

    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    app.main()


def final_state(job: Job) -> dict[str, Profile]:
    """Returns the profiles from the table's changelog."""
    import msgspec  # noqa: PLC0415 # next to its only use

    newest = broker.newest_values(job.brokers, f"{job.name}-profiles-changelog")
    return {
        msgspec.json.decode(key, type=str): msgspec.json.decode(value, type=Profile) for key, value in newest.items()
    }
