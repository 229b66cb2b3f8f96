"""`attune review`: lets people review texts before they are published."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
import msgspec

from schemas.control import ControlSwitch
from schemas.messages import MessageText, Review, ReviewVerdict
from workers.adapters.claims.models import load_models
from workers.adapters.kafka.publisher import OperatorRecord, audit, person, publish
from workers.adapters.kafka.review_topics import VerdictKind, customer_of, read_queue, verdict_records
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.adapters.process import clock
from workers.commands.content.review_view import as_table, proposals, shown
from workers.commands.terminal import one_line_errors, out
from workers.core.decisioning.control_state import SWITCHES, prompt_scope
from workers.core.errors import Misconfigured
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check, rejections
from workers.core.playbook.playbook import Playbook
from workers.core.publishing.review_queue import Reviewed
from workers.local.installation import on_installation, reachable
from workers.settings import Settings

R = TypeVar("R")

_DONE = {"approve": "approved", "reject": "rejected", "edit": "edited", "rate": "rated"}
_RETRY_HINT = "`attune review list` shows what is open; run the command again"


class Assessment(msgspec.Struct, frozen=True):
    """The reviewer of a text, with an optional rating from 1 to 5 (best), and reasons."""

    by: str
    rating: int | None = None
    reasons: tuple[str, ...] = ()


def _with_assessment(command: Callable[..., R]) -> Callable[..., R]:
    """Gives a command the options --by, --rating and --reason, as its first argument."""

    @wraps(command)
    def wrapped(*args: Any, by: str | None, rating: int | None, reasons: tuple[str, ...], **kwargs: Any) -> R:
        return command(Assessment(by or person(), rating, reasons), *args, **kwargs)

    for option in (
        click.option(
            "--reason", "reasons", multiple=True, help="Reason, recorded with the verdict. May be given several times."
        ),
        click.option("--rating", type=click.IntRange(1, 5), help="Quality of the text, 1 to 5 (best)."),
        click.option("--by", help="Name for the audit trail. Default: the user of this machine."),
    ):
        wrapped = option(wrapped)
    return wrapped


@click.group()
def review() -> None:
    """Review texts before they are published. The playbook decides which texts need a review (policy.yaml, `review`)."""


@review.command("list")
@click.option("--campaign", help="Show only this campaign.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per open review.")
@one_line_errors
@on_installation
def list_open(settings: Settings, campaign: str | None, as_json: bool) -> None:
    """List the texts that wait for a verdict. The earliest deadline comes first."""
    with reachable(settings) as running:
        reviews = read_queue(running)
    waiting = [one for one in _open(reviews) if campaign in (None, one.review.campaign_id)]
    if as_json:
        for one in waiting:
            out.print(msgspec.json.encode(one.review).decode())
        return
    out.print(as_table(waiting) if waiting else "no texts wait for a verdict")
    out.lines(proposals(reviews.values()))


@review.command()
@click.argument("message_id")
@one_line_errors
@on_installation
def show(settings: Settings, message_id: str) -> None:
    """Show one text with everything that a reviewer needs. MESSAGE_ID may be shortened to a unique prefix."""
    with reachable(settings) as running:
        found = _find(read_queue(running), message_id)
    out.lines(shown(found))


@review.command()
@click.argument("message_ids", nargs=-1, required=True)
@one_line_errors
@on_installation
@_with_assessment
def approve(assessment: Assessment, settings: Settings, message_ids: tuple[str, ...]) -> None:
    """Approve texts for publication without changes."""
    _judge_all(settings, message_ids, "approve", assessment)


@review.command()
@click.argument("message_ids", nargs=-1, required=True)
@one_line_errors
@on_installation
@_with_assessment
def reject(assessment: Assessment, settings: Settings, message_ids: tuple[str, ...]) -> None:
    """Reject texts. The playbook decides whether the template is published instead (`on_reject`)."""
    _judge_all(settings, message_ids, "reject", assessment)


@review.command()
@click.argument("message_id")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=TEXT",
    help="New text of one field (title, body, ...). May be given several times; other fields stay unchanged.",
)
@one_line_errors
@on_installation
@_with_assessment
def edit(assessment: Assessment, settings: Settings, message_id: str, changes: tuple[str, ...]) -> None:
    """Edit a text and approve it.

    Example: attune review edit ID --set body="...". The edited text must pass the guardrails as well.
    """
    with reachable(settings) as running:
        target = _find_open(read_queue(running), message_id).review
        text = _changed(target.text, changes)
        _check_guardrails(target, text, load_playbook(settings))
        _judge(running, target, "edit", assessment, text)
    out.print(f"{target.message_id}: edited")


@review.command()
@click.argument("message_id")
@one_line_errors
@on_installation
@_with_assessment
def rate(assessment: Assessment, settings: Settings, message_id: str) -> None:
    """Rate a text (--rating), in review or already published. A rating does not affect publication."""
    if assessment.rating is None:
        raise Misconfigured("rate needs --rating.", "give a rating from 1 to 5 (best)")
    with reachable(settings) as running:
        known = read_queue(running).get(message_id)
        user_id = known.review.user_id if known else customer_of(running, message_id)
        _write(running, message_id, user_id, "rate", assessment)
    out.print(f"{message_id}: rated {assessment.rating} of 5")


@review.command()
@click.argument("prompt")
@click.option("--language", help="Only in this language. Default: all languages.")
@click.option("--revoke", is_flag=True, help="Withdraw the trust: its texts need review again.")
@click.option("--by", help="Name for the audit trail. Default: the user of this machine.")
@click.option("--reason", default="", help="Reason, recorded in the audit trail.")
@one_line_errors
@on_installation
def trust(settings: Settings, prompt: str, language: str | None, revoke: bool, by: str | None, reason: str) -> None:
    """End the review of a new prompt.

    The current version of PROMPT is trusted: its texts need no review as those of a new prompt. After an edit it is new again.
    """
    playbook = load_playbook(settings)
    wanted = [one for one in playbook.prompts.values() if one.id == prompt and language in (None, one.language)]
    if not wanted:
        known = ", ".join(sorted(f"{one.id} ({one.language})" for one in playbook.prompts.values()))
        raise Misconfigured(
            f"the playbook has no prompt {prompt}{f' ({language})' if language else ''}.", f"use one of: {known}"
        )
    actor, now = by or person(), clock.utc_now()
    records = []
    for one in wanted:
        scope = prompt_scope(one.id, one.language, one.version)
        switch = ControlSwitch(scope=scope, state="running", reason=reason, changed_by=actor, changed_at=now)
        records.append(OperatorRecord(SWITCHES, scope, None if revoke else switch))
        records.append(audit(actor, "revoke trust" if revoke else "trust", scope, reason, now))
    with reachable(settings) as running:
        publish(running, records, "trust", "run the command again")
    for one in wanted:
        state = "needs review again" if revoke else "is trusted"
        out.print(f"{one.id} {one.language} ({one.version}) {state}")


@review.command("next")
@click.option("--by", help="Name for the audit trail. Default: the user of this machine.")
@one_line_errors
@on_installation
def one_by_one(settings: Settings, by: str | None) -> None:
    """Review the open texts one by one. For each, choose approve, reject, skip or quit."""
    with reachable(settings) as running:
        waiting = _open(read_queue(running))
        for number, one in enumerate(waiting, 1):
            out.print(f"\n{number} of {len(waiting)}")
            out.lines(shown(one))
            answer = click.prompt("(a)pprove, (r)eject, (s)kip, (q)uit", type=click.Choice(["a", "r", "s", "q"]))
            if answer == "q":
                return
            if answer == "s":
                continue
            rating = click.prompt("rating 1-5, 0 = none", type=click.IntRange(0, 5), default=0) or None
            reason = click.prompt("reason", default="", show_default=False)
            assessment = Assessment(by or person(), rating, (reason,) if reason else ())
            _judge(running, one.review, "approve" if answer == "a" else "reject", assessment)
    out.print("no more texts wait for a verdict")


def _open(reviews: dict[str, Reviewed]) -> list[Reviewed]:
    now = clock.utc_now()
    return [one for one in reviews.values() if one.is_open(now)]


def _find(reviews: dict[str, Reviewed], message_id: str) -> Reviewed:
    """Raises Misconfigured unless exactly one review has an ID that begins with this one."""
    found = [one for known, one in reviews.items() if known.startswith(message_id)]
    if len(found) != 1:
        what = "no text" if not found else f"{len(found)} texts"
        raise Misconfigured(f"{what} in review with an ID that begins with {message_id}.", "see `attune review list`")
    return found[0]


def _find_open(reviews: dict[str, Reviewed], message_id: str) -> Reviewed:
    """Raises Misconfigured if it is too late for a verdict."""
    found = _find(reviews, message_id)
    if not found.is_open(clock.utc_now()):
        verdict = found.verdict
        why = (
            f"{verdict.reviewer or 'someone'} has decided: {verdict.verdict}" if verdict else "its deadline has passed"
        )
        raise Misconfigured(f"{found.review.message_id} is no longer open: {why}.", "see `attune review list`")
    return found


def _judge_all(settings: Settings, message_ids: tuple[str, ...], verdict: VerdictKind, assessment: Assessment) -> None:
    """Writes a verdict for all texts or none: an ID that is not open raises before the first verdict is written."""
    with reachable(settings) as running:
        reviews = read_queue(running)
        for one in [_find_open(reviews, message_id) for message_id in message_ids]:
            _judge(running, one.review, verdict, assessment)
            out.print(f"{one.review.message_id}: {_DONE[verdict]}")


def _judge(
    settings: Settings, review: Review, verdict: VerdictKind, assessment: Assessment, text: MessageText | None = None
) -> None:
    _write(settings, review.message_id, review.user_id, verdict, assessment, text)


def _write(
    settings: Settings,
    message_id: str,
    user_id: str,
    verdict: VerdictKind,
    assessment: Assessment,
    text: MessageText | None = None,
) -> None:
    """Writes a verdict; a repetition is harmless, because the first one counts. Raises Unavailable."""
    record = ReviewVerdict(
        verdict_id="new",
        message_id=message_id,
        user_id=user_id,
        verdict=verdict,
        text=text,
        rating=assessment.rating,
        reasons=list(assessment.reasons),
        reviewer=assessment.by,
        decided_at=clock.utc_now(),
    )
    publish(settings, verdict_records(record), "verdict", _RETRY_HINT)


def _changed(text: MessageText, changes: tuple[str, ...]) -> MessageText:
    """Returns the edited text. Raises Misconfigured unless a field that the text has is changed."""
    fields = {name: value for name, value in msgspec.structs.asdict(text).items() if value}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in fields:
            raise Misconfigured(f"--set {change} is not FIELD=TEXT.", f"FIELD is one of: {', '.join(fields)}")
        fields[name] = value.strip()
    changed = MessageText(**fields)
    if changed == text:
        raise Misconfigured("the text is unchanged.", "use --set FIELD=TEXT, or `attune review approve`")
    return changed


def _check_guardrails(target: Review, text: MessageText, playbook: Playbook) -> None:
    """Raises Misconfigured with the guardrails' findings, for which personalise would also refuse the text."""
    if target.channel not in playbook.channels:
        raise Misconfigured(f"the playbook no longer has the channel {target.channel}.", "reject the text")
    about = TextContext(language=target.language, channel=target.channel, product=target.product, locale=target.locale)
    checked = check(text, about, playbook, load_models(playbook))
    if failed := [f"{one.name}: {one.detail}" for one in rejections(checked)]:
        raise Misconfigured(f"the text may not be published: {'; '.join(failed)}.", "correct the text")
