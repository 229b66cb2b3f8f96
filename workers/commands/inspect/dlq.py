"""`attune dlq list | show | replay`: dead letters."""

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
    """Dead letters: inputs that could not be used, with reason and origin."""
    given = {name: value for name, value in where.items() if value is not None}
    context.default_map = dict.fromkeys(("list", "show", "replay"), given)


@dlq.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, without the payload.")
@one_line_errors
@on_installation
def list_letters(settings: Settings, as_json: bool) -> None:
    """Counts by stage and reason; with --json every letter."""
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
    """One letter with its payload."""
    with reachable(settings) as running:
        found = [letter for letter in _read(running) if _origin(letter) == origin]
    if not found:
        raise Misconfigured(f"there is no dead letter of {origin}.", "`attune dlq list --json` shows their origins")
    for letter in found:
        out.lines(
            [
                f"{letter.stage}: {letter.reason} ({letter.detail}) at {utc(letter.failed_at)}",
                f"key: {(letter.key or b'').decode(errors='replace')}",
            ]
        )
        out.print((letter.value or b"(no value)").decode(errors="replace"))


@dlq.command()
@click.option("--reason", help="Only letters with this reason.")
@click.option("--live", is_flag=True, help="Into the installation's own topics; else only under --into.")
@click.option("--into", metavar="PREFIX", help="Isolated prefix to send into.")
@one_line_errors
@on_installation
def replay(settings: Settings, reason: str | None, live: bool, into: str | None) -> None:
    """Sends letters to the topics they came from, once more. Letters without their whole input are left out."""
    if live == bool(into):
        raise Misconfigured("say where to: --live, or --into PREFIX.", "--into tries it without touching anybody")
    target = settings.prefix if live else into or ""
    with reachable(settings) as running:
        letters = [letter for letter in _read(running) if reason in (None, letter.reason)]
        whole = [letter for letter in letters if letter.complete]
        _send(running, target, whole)
    err.print(f"{len(whole)} letters sent, {len(letters) - len(whole)} left out: they do not hold their whole input")


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
            f"{len(failed)} letters were not delivered: {failed[0]}",
            "`ATTUNE_PREFIX=... attune topics apply` creates the topics under that prefix",
        )


def _read(settings: Settings) -> list[DeadLetter]:
    letters, unreadable = [], 0
    with TopicReader(settings, [TOPIC]) as reader:
        for record in reader.read_to_end():
            try:
                letters.append(codec.decode(DeadLetter, record.value))
            except codec.Malformed:  # anything may be written there
                unreadable += 1
    if unreadable:
        err.print(f"attune: {unreadable} records of {TOPIC} are no dead letters")
    return letters


def _origin(letter: DeadLetter) -> str:
    return f"{letter.topic}:{letter.partition}:{letter.offset}"
