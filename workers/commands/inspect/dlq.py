"""`attune dlq list | show | replay`: inspects and replays dead letters."""

from __future__ import annotations

from collections import Counter
from typing import Unpack

import click
import msgspec
from confluent_kafka import Producer
from rich.table import Table

from schemas import codec
from schemas.control import DeadLetter
from workers.adapters.kafka.config import quiet_config
from workers.adapters.kafka.reader import TopicReader
from workers.commands.terminal import err, one_line_errors, out
from workers.core.common.timestamps import utc
from workers.core.errors import Misconfigured, Unavailable
from workers.local.installation import Where, installation_options, on_installation, reachable
from workers.settings import Settings

TOPIC = "dead.letters"


@click.group()
@installation_options()
@click.pass_context
def dlq(context: click.Context, /, **where: Unpack[Where]) -> None:
    """Inspect and replay dead letters: records that could not be processed, with reason and origin."""
    given = {name: value for name, value in where.items() if value is not None}
    context.default_map = dict.fromkeys(("list", "show", "replay"), given)


@dlq.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per dead letter, without its payload.")
@one_line_errors
@on_installation
def list_letters(settings: Settings, as_json: bool) -> None:
    """Count the dead letters by stage and reason. With --json, list each of them."""
    with reachable(settings) as running:
        letters = _read(running)
    if as_json:
        for letter in letters:
            shown = msgspec.structs.replace(letter, key=None, value=None, headers={})
            out.print(codec.encode(shown).decode())
        return
    table = Table("stage", "reason", "letters", "newest")
    counts = Counter((letter.stage, letter.reason) for letter in letters)
    newest = {(letter.stage, letter.reason): _origin(letter) for letter in letters}
    for (stage, reason), number in counts.most_common():
        table.add_row(stage, reason, str(number), newest[stage, reason])
    out.print(table)


@dlq.command()
@click.argument("origin", metavar="TOPIC:PARTITION:OFFSET")
@one_line_errors
@on_installation
def show(settings: Settings, origin: str) -> None:
    """Show one dead letter with its payload."""
    with reachable(settings) as running:
        found = [letter for letter in _read(running) if _origin(letter) == origin]
    if not found:
        raise Misconfigured(
            f"there is no dead letter with the origin {origin}.", "`attune dlq list --json` shows their origins"
        )
    for letter in found:
        out.lines(
            [
                f"{letter.stage}: {letter.reason} ({letter.detail}) at {utc(letter.failed_at)}",
                f"key: {(letter.key or b'').decode(errors='replace')}",
            ]
        )
        out.print((letter.value or b"(no value)").decode(errors="replace"))


@dlq.command()
@click.option("--reason", help="Replay only dead letters with this reason.")
@click.option("--live", is_flag=True, help="Send to the installation's own topics.")
@click.option("--into", metavar="PREFIX", help="Send to the topics under this isolated prefix.")
@one_line_errors
@on_installation
def replay(settings: Settings, reason: str | None, live: bool, into: str | None) -> None:
    """Send dead letters to their original topics again.

    Either --live or --into is required. Dead letters that do not contain their complete input are skipped.
    """
    if live == bool(into):
        raise Misconfigured(
            "give exactly one target: --live or --into PREFIX.", "--into is a trial run that affects no customer"
        )
    target = settings.prefix if live else into or ""
    with reachable(settings) as running:
        letters = [letter for letter in _read(running) if reason in (None, letter.reason)]
        complete = [letter for letter in letters if letter.complete]
        _send(running, target, complete)
    err.print(
        f"{len(complete)} dead letters sent, {len(letters) - len(complete)} skipped because their input is incomplete"
    )


def _send(settings: Settings, prefix: str, letters: list[DeadLetter]) -> None:
    failed: list[str] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failed.append(str(error))

    producer = Producer({**quiet_config(settings), "enable.idempotence": True, "partitioner": "murmur2_random"})
    for letter in letters:
        producer.produce(
            prefix + letter.topic,
            key=letter.key,
            value=letter.value,
            headers=list(letter.headers.items()),
            on_delivery=delivered,
        )
        producer.poll(0)
    producer.flush()
    if failed:
        raise Unavailable(
            f"{len(failed)} dead letters were not delivered: {failed[0]}",
            "create the topics under that prefix with `ATTUNE_PREFIX=... attune topics apply`",
        )


def _read(settings: Settings) -> list[DeadLetter]:
    letters, unreadable = [], 0
    with TopicReader(settings, [TOPIC]) as reader:
        for record in reader.read_to_end():
            try:
                letters.append(codec.decode(DeadLetter, record.value))
            except codec.Malformed:  # other programs may write to the topic
                unreadable += 1
    if unreadable:
        err.print(f"attune: {unreadable} records of {TOPIC} are not dead letters")
    return letters


def _origin(letter: DeadLetter) -> str:
    return f"{letter.topic}:{letter.partition}:{letter.offset}"
