"""`attune why --user U | --message M`: explains why a customer got a message, or got none."""

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
#: Topics that other programs write. A worker reads each record, and one that it cannot decode becomes a dead letter.
_FROM_OTHERS = frozenset({"message.feedback", "message.verdicts"})


class Findings(msgspec.Struct):
    """The records found in the topics, when Kafka received feedback (event_id → epoch s), and unreadable records by topic."""

    records: list[object] = []
    appended_at_s: dict[str, float] = {}
    unreadable: Counter[str] = msgspec.field(default_factory=Counter)


@click.command()
@click.option("--user", help="Explain all occurrences of this customer (userId, otherwise anonymousId).")
@click.option("--message", "message_id", help="Explain the message with this message_id.")
@click.option("--json", "as_json", is_flag=True, help="Print the underlying records as JSON.")
@one_line_errors
@on_installation
def why(settings: Settings, user: str | None, message_id: str | None, as_json: bool) -> None:
    """Explain why a customer got a message, got none, or will get one.

    The explanation covers each occurrence from the event, through every check, to the response.
    """
    if bool(user) == bool(message_id):
        raise Misconfigured("why needs exactly one of --user and --message.", "for example: attune why --user ana")
    playbook = _playbook(settings)
    with reachable(settings) as running:
        found = _read(running, user, message_id)
        customers = (
            {user} if user else {trace.decision.user_id for trace in build_traces(found.records) if trace.decision}
        )
        traces = build_traces(found.records, _waiting(running, customers, message_id, playbook))
        profile_lines = (
            _profile_summary(running, user)
            if user and not as_json and all(one.decision is None for one in traces)
            else []
        )
    mark_uncounted(traces, found.appended_at_s, playbook.policy.learning if playbook is not None else Learning())
    if as_json:
        out.print(msgspec.json.encode(traces).decode())
        return
    if all(trace.decision is None for trace in traces):
        out.lines([_no_decision(user, message_id, bool(traces))])
    now = clock.utc_now()
    out.lines(line for trace in traces for line in describe(trace, now))
    out.lines(profile_lines)
    out.lines(unmatched_feedback(found.records, traces))
    for topic, number in sorted(found.unreadable.items()):
        out.print(f"{number} record(s) of {topic} cannot be read: {_why_unreadable(topic)}")


def _why_unreadable(topic: str) -> str:
    if topic in _FROM_OTHERS:
        return "`attune dlq list` shows why"
    return "a newer version of Attune, or another program, wrote them"


def _no_decision(user: str | None, message_id: str | None, waits: bool) -> str:
    what = f"customer {user}" if user else f"message {message_id}"
    if waits:
        return f"Nothing has been decided for {what} yet; waiting:"
    return f"Nothing was ever decided for {what}: there was no occurrence, or it is older than 28 days."


def _playbook(settings: Settings) -> Playbook | None:
    """Returns None, with a notice, if the playbook cannot be used; the decisions themselves are in the topics."""
    try:
        return accelerate(load_playbook(settings), settings.speedup)
    except Misconfigured as error:
        err.print(f"attune: the playbook cannot be used, so waiting times are taken from the timers alone: {error}")
        return None


def _read(settings: Settings, user: str | None, message_id: str | None) -> Findings:
    """Reads one partition for a customer, or all partitions for a message; only matching records are decoded."""
    topics = [*TOPICS, *map(message_topic, CHANNELS)]
    found = Findings()
    with TopicReader(settings, topics, partitions=_partitions(settings, topics, user)) as reader:
        for record in reader.read_to_end():
            if (record.key == user.encode()) if user else ((message_id or "").encode() in (record.value or b"")):
                try:
                    value = codec.decode_topic(record.topic, record.value)
                except codec.Malformed:  # other programs write feedback, so a record may be invalid
                    found.unreadable[record.topic] += 1
                    continue
                found.records.append(value)
                if isinstance(value, Feedback):
                    found.appended_at_s.setdefault(value.event_id, record.appended_at_s)
    return found


def _waiting(
    settings: Settings, customers: Iterable[str], message_id: str | None, playbook: Playbook | None
) -> list[Pending]:
    """Returns what is waiting for these customers, or for one message; [], with a notice, if the lanes' state is unreadable."""
    try:
        with LaneStates(settings) as states:
            known = [profile for customer in customers if (profile := states.profile(customer)) is not None]
    except Unavailable as error:
        err.print(f"attune: waiting occurrences are not shown: {error}")
        return []
    everything = [one for profile in known for one in pending(profile, playbook)]
    return [one for one in everything if message_id in (None, one.message_id)]


def _profile_summary(settings: Settings, user: str) -> list[str]:
    """Returns the profile of a customer for whom nothing was decided, or the reason why there is none."""
    value: bytes | None = None
    seen = False
    with TopicReader(settings, [PROFILES], partitions=_partitions(settings, [PROFILES], user)) as reader:
        for record in reader.read_to_end():
            if record.key == user.encode():
                value, seen = record.value, True
    if value is not None:
        try:
            return summarise(codec.decode(ProfileView, value), CHANNELS)
        except codec.Malformed as error:
            return [f"The newest record of {user} in {PROFILES} cannot be read: {error}"]
    if seen:
        return [f"The profile of {user} was erased, or merged into that of another customer."]
    line = f"No event of {user} has been received. Is the ID correct (userId, otherwise anonymousId)?"
    others = [f"`--prefix {prefix}`" for prefix in other_prefixes(settings) if prefix]
    return [line, *([f"Replays and other installations on this Kafka: {', '.join(others)}"] if others else [])]


def _partitions(settings: Settings, topics: list[str], user: str | None) -> dict[str, list[int]] | None:
    return {topic: [partition_of(user.encode(), settings.partitions)] for topic in topics} if user else None
