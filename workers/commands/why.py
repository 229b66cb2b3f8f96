"""`attune why --user U | --message M`."""

from __future__ import annotations

import click
import msgspec

from schemas import codec
from schemas.profiles import ProfileView
from schemas.topics import CHANNELS, message_topic
from workers.adapters.partitioner import partition_of
from workers.adapters.topic_reader import TopicReader
from workers.commands.console import one_line_errors, out
from workers.commands.local import reachable
from workers.core.portrait import portray
from workers.core.story import TOPICS, Story, explain, stories
from workers.errors import Misconfigured
from workers.settings import Settings, load

PROFILES = "customer.profiles"


@click.command()
@click.option("--user", help="The customer (userId, else anonymousId).")
@click.option("--message", "message_id", help="A message_id.")
@click.option("--prefix", help="Prefix of the installation, for example of a replay; default: ATTUNE_PREFIX.")
@click.option("--brokers", help="host:port; default: ATTUNE_BROKERS.")
@click.option("--data-dir", help="Folder of the embedded Kafka; default: ATTUNE_DATA_DIR.")
@click.option("--json", "as_json", is_flag=True, help="The whole chain as JSON.")
@one_line_errors
def why(
    user: str | None,
    message_id: str | None,
    prefix: str | None,
    brokers: str | None,
    data_dir: str | None,
    as_json: bool,
) -> None:
    """Explains what a customer got, or did not get: from the event over every check to the text and the answer."""
    if bool(user) == bool(message_id):
        raise Misconfigured("why needs one of --user and --message.", "attune why --user ana")
    with reachable(load(prefix=prefix, brokers=brokers, data_dir=data_dir)) as settings:
        found = _find(settings, user, message_id)
        silence = _silence(settings, user) if user and not found and not as_json else []
    if as_json:
        out.print(msgspec.json.encode(found).decode(), markup=False)
        return
    if not found:
        what = f"customer {user}" if user else f"message {message_id}"
        out.print(
            f"Nothing was ever decided for {what}: no trigger had an occasion (or it is older than 28 days).",
            markup=False,
        )
    for line in [*(line for story in found for line in explain(story)), *silence]:
        out.print(line, markup=False)


def _find(settings: Settings, user: str | None, message_id: str | None) -> list[Story]:
    """Reads one partition for a customer, all for a message; only matching records are decoded."""
    topics = [*TOPICS, *map(message_topic, CHANNELS)]
    found = []
    with TopicReader(settings, topics, partitions=_partitions(settings, topics, user)) as reader:
        for record in reader.read_to_end():
            if (record.key == user.encode()) if user else ((message_id or "").encode() in (record.value or b"")):
                try:
                    found.append(codec.decode_topic(record.topic, record.value))
                except codec.Malformed:  # feedback comes from foreign senders; what is no record tells no story
                    continue
    return stories(found)


def _silence(settings: Settings, user: str) -> list[str]:
    """What is known of a customer for whom nothing was decided."""
    value: bytes | None = None
    heard = False
    with TopicReader(settings, [PROFILES], partitions=_partitions(settings, [PROFILES], user)) as reader:
        for record in reader.read_to_end():
            if record.key == user.encode():
                value, heard = record.value, True
    if value is not None:
        return portray(codec.decode(ProfileView, value), CHANNELS)
    if heard:
        return [f"The profile of {user} was erased, or joined to that of another customer."]
    return [f"No event of {user} has come so far. Is the id right (userId, else anonymousId)?"]


def _partitions(settings: Settings, topics: list[str], user: str | None) -> dict[str, list[int]] | None:
    return {topic: [partition_of(user.encode(), settings.partitions)] for topic in topics} if user else None
