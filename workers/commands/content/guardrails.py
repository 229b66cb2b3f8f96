"""`attune guardrails`: shows what the guardrails say about one text."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from schemas.messages import MessageText
from workers.adapters.claims.models import load_models
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.commands.terminal import FAILED, one_line_errors, out
from workers.core.catalogue.product_facts import facts_by_id
from workers.core.errors import Misconfigured
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check, passed
from workers.core.guardrails.checks.form import length, structure
from workers.core.playbook.playbook import Playbook
from workers.settings_loader import load

#: The guardrails that check the form of a whole message.
_FORM = (structure.__name__, length.__name__)


@click.group()
def guardrails() -> None:
    """Show what the guardrails say about a text."""


@guardrails.command()
@click.argument("text")
@click.option("--product", required=True, help="product_id; its facts are the only claims allowed.")
@click.option("--lang", required=True, help="Language of the text: zh, en.")
@click.option("--channel", help="Channel whose length limits apply. Default: the playbook's first.")
@click.option("--title", default="", help="Title or e-mail subject.")
@click.option("--locale", default="", help="Locale, which determines the market: en-GB. Default: the language.")
@click.option("--playbook", type=click.Path(path_type=Path), help="Playbook folder. Default: ATTUNE_PLAYBOOK.")
@one_line_errors
def explain(
    text: str, product: str, lang: str, channel: str | None, title: str, locale: str, playbook: Path | None
) -> None:
    """Check one text and show every verdict.

    TEXT is the body of a message about one product. Without --title, the form of a whole message (required fields, lengths) is
    not checked. Exit code 1 if a guardrail rejects the text.
    """
    known = load_playbook(load(playbook=str(playbook) if playbook else None))
    if lang not in known.languages:
        raise Misconfigured(f"the playbook has no language {lang}.", f"one of: {', '.join(known.languages)}")
    chosen = channel or next(iter(known.channels))
    if chosen not in known.channels:
        raise Misconfigured(f"the playbook has no channel {chosen}.", f"one of: {', '.join(known.channels)}")
    facts = facts_by_id(known, product, lang)
    about = TextContext(language=lang, channel=chosen, product=facts, locale=locale or lang)
    verdicts = check(_message(known, chosen, title, text), about, known, load_models(known))
    if not title:
        verdicts = [verdict for verdict in verdicts if verdict.name not in _FORM]
    out.print(f"{facts.name or product} on {chosen}; its facts: {'; '.join(facts.facts) or 'none'}")
    for verdict in verdicts:
        if not verdict.passed:
            out.print(f"rejected by {verdict.name}: {verdict.detail}")
    out.print(f"passes: {', '.join(verdict.name for verdict in verdicts if verdict.passed)}")
    if not passed(verdicts):
        sys.exit(FAILED)


def _message(playbook: Playbook, channel: str, title: str, body: str) -> MessageText:
    """Returns the text in the channel's fields."""
    if "email_subject" in playbook.channels[channel].fields:
        return MessageText(email_subject=title, body=body)
    return MessageText(title=title, body=body)
