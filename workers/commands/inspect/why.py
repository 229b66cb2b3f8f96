"""`attune why --user U | --message M`: explains what a customer got, or why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import click
import msgspec

from schemas import codec
from schemas.messages import Feedback
from schemas.profiles import ProfileView
from schemas.topics import CHANNELS, message_topic
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.kafka.reader import TopicReader, other_prefixes
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.adapters.state.changelog_reader import LaneStates
from workers.commands.terminal import err, one_line_errors, out
from workers.core.errors import Misconfigured, Unavailable
from workers.core.personalisation.pending import Pending, pending
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Learning
from workers.core.playbook.time_scaling import accelerate
from workers.core.reporting.decision_trace import TOPICS, build_traces, describe, mark_uncounted, unmatched_feedback
from workers.core.reporting.profile_summary import summarise
from workers.local.installation import on_installation, reachable
from workers.settings import Settings

PROFILES = "customer.profiles"
#: Topics that other programs write: a worker reads each record, and what it cannot read is a dead letter.
_FROM_OTHERS = frozenset({"message.feedback", "message.verdicts"})


class Found(msgspec.Struct):
    """The findings in the topics: records, when Kafka received feedback (event_id → epoch s), and unreadable records by topic."""

    records: list[object] = []
    appended_at_s: dict[str, float] = {}
    unreadable: Counter[str] = msgspec.field(default_factory=Counter)


@click.command()
@click.option("--user", help="The customer (userId, else anonymousId).")
@click.option("--message", "message_id", help="A message_id.")
@click.option("--json", "as_json", is_flag=True, help="The whole chain as JSON.")
@one_line_errors
@on_installation
def why(settings: Settings, user: str | None, message_id: str | None, as_json: bool) -> None:
    """Explains what a customer got, did not get, or is still to get: from the event over every check to the response."""
    if bool(user) == bool(message_id):
        raise Misconfigured("why needs one of --user and --message.", "attune why --user ana")
    playbook = _playbook(settings)
    with reachable(settings) as running:
        found = _read(running, user, message_id)
        customers = (
            {user} if user else {story.decision.user_id for story in build_traces(found.records) if story.decision}
        )
        told = build_traces(found.records, _waiting(running, customers, message_id, playbook))
        silence = _silence(running, user) if user and not as_json and all(one.decision is None for one in told) else []
    mark_uncounted(told, found.appended_at_s, playbook.policy.learning if playbook is not None else Learning())
    if as_json:
        out.print(msgspec.json.encode(told).decode())
        return
    if all(story.decision is None for story in told):
        out.lines([_nothing(user, message_id, bool(told))])
    now = clock.utc_now()
    out.lines(line for story in told for line in describe(story, now))
    out.lines(silence)
    out.lines(unmatched_feedback(found.records, told))
    for topic, number in sorted(found.unreadable.items()):
        out.print(f"{number} record(s) of {topic} cannot be read: {_why_unreadable(topic)}")


def _why_unreadable(topic: str) -> str:
    if topic in _FROM_OTHERS:
        return "`attune dlq list` shows why"
    return "a newer version of Attune, or another program, wrote them"


def _nothing(user: str | None, message_id: str | None, waits: bool) -> str:
    what = f"customer {user}" if user else f"message {message_id}"
    if waits:
        return f"Nothing is decided for {what} yet; this waits:"
    return f"Nothing was ever decided for {what}: no trigger had an occurrence (or it is older than 28 days)."


def _playbook(settings: Settings) -> Playbook | None:
    """Returns None, with a notice, if the playbook cannot be used: the decisions are in the topics."""
    try:
        return accelerate(load_playbook(settings), settings.speedup)
    except Misconfigured as error:
        err.print(f"attune: times of what waits are those of the timers, without the playbook: {error}")
        return None


def _read(settings: Settings, user: str | None, message_id: str | None) -> Found:
    """Reads one partition for a customer, all for a message; only matching records are decoded."""
    topics = [*TOPICS, *map(message_topic, CHANNELS)]
    found = Found()
    with TopicReader(settings, topics, partitions=_partitions(settings, topics, user)) as reader:
        for record in reader.read_to_end():
            if (record.key == user.encode()) if user else ((message_id or "").encode() in (record.value or b"")):
                try:
                    value = codec.decode_topic(record.topic, record.value)
                except codec.Malformed:  # feedback comes from foreign senders; unreadable records explain nothing
                    found.unreadable[record.topic] += 1
                    continue
                found.records.append(value)
                if isinstance(value, Feedback):
                    found.appended_at_s.setdefault(value.event_id, record.appended_at_s)
    return found


def _waiting(
    settings: Settings, customers: Iterable[str], message_id: str | None, playbook: Playbook | None
) -> list[Pending]:
    """Returns what waits for these customers, or for one message; none, with a notice, if the lanes' state is unreadable."""
    try:
        with LaneStates(settings) as states:
            known = [profile for customer in customers if (profile := states.profile(customer)) is not None]
    except Unavailable as error:
        err.print(f"attune: what waits is not shown: {error}")
        return []
    everything = [one for profile in known for one in pending(profile, playbook)]
    return [one for one in everything if message_id in (None, one.message_id)]


def _silence(settings: Settings, user: str) -> list[str]:
    """Returns what is known of a customer for whom nothing was decided."""
    value: bytes | None = None
    heard = False
    with TopicReader(settings, [PROFILES], partitions=_partitions(settings, [PROFILES], user)) as reader:
        for record in reader.read_to_end():
            if record.key == user.encode():
                value, heard = record.value, True
    if value is not None:
        try:
            return summarise(codec.decode(ProfileView, value), CHANNELS)
        except codec.Malformed as error:
            return [f"The newest record of {user} in {PROFILES} cannot be read: {error}"]
    if heard:
        return [f"The profile of {user} was erased, or joined to that of another customer."]
    line = f"No event of {user} has come so far. Is the id right (userId, else anonymousId)?"
    others = [f"`--prefix {prefix}`" for prefix in other_prefixes(settings) if prefix]
    return [line, *([f"Replays and other installations on this Kafka: {', '.join(others)}"] if others else [])]


def _partitions(settings: Settings, topics: list[str], user: str | None) -> dict[str, list[int]] | None:
    return {topic: [partition_of(user.encode(), settings.partitions)] for topic in topics} if user else None
