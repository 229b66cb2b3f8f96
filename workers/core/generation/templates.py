"""Renders the hand-written templates, for when no text of the model passes or none arrives in time.

The name that a shop's events give a product may break a text (too long, a code, another company's brand): the same template
is then tried with less of it, and finally the generic template, which uses no data of the customer or the product.
"""

from __future__ import annotations

from collections.abc import Iterator

import jinja2
import msgspec

from schemas.messages import MessageText, ProductFacts
from workers.core.generation.rendering import ProductWords, compiled, product_words, spaced
from workers.core.guardrails.check import check, rejections
from workers.core.playbook.copy import Template
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook


class TextContext(msgspec.Struct, frozen=True, kw_only=True):
    """The context that guardrails need for a text not requested from a model (guardrails.grounding.subject.About)."""

    language: str
    channel: str
    product: ProductFacts
    locale: str = ""
    context: dict[str, str] = {}


def template_text(
    playbook: Playbook,
    prompt: str,
    language: str,
    target_group: str | None,
    channel: str,
    product: ProductFacts,
    tone: str | None = None,
    locale: str = "",
) -> tuple[MessageText, str]:
    """Returns (text, version of the template). The text passes the guardrails for any product, even one known from events only.

    `target_group` None or `generic` = the generic template; `tone` None = no tone; `locale` selects the market.
    (MessageText(), "") if the playbook has no template for this channel and language: it changed while a request was open.
    """
    for template, known in _tries(playbook, prompt, language, target_group, channel, product):
        try:
            text = render(playbook, template, product_words(playbook, language, known, locale), tone)
        except jinja2.TemplateError:
            continue  # templates are checked with sample data only; the generic one has no data to fail on
        about = TextContext(language=language, channel=channel, product=known, locale=locale)
        if template.target_group is None or not rejections(check(text, about, playbook)):
            return text, template.version
    return MessageText(), ""


def render(playbook: Playbook, template: Template, words: ProductWords, tone: str | None = None) -> MessageText:
    """Renders one template with one product. The generic template does not get the product.

    Raises jinja2.TemplateError.
    """
    values: dict[str, object] = {"language": template.language, "channel": template.channel, "tone": tone or ""}
    if template.target_group is not None:
        values["product"] = words
        values["group"] = _group_name(playbook, template)
    texts = {name: compiled(source).render(values).strip() for name, source in template.fields.items()}
    if template.language == "zh":
        texts = {name: spaced(text) for name, text in texts.items()}
    return MessageText(**texts)


def _tries(
    playbook: Playbook, prompt: str, language: str, target_group: str | None, channel: str, product: ProductFacts
) -> Iterator[tuple[Template, ProductFacts]]:
    """Yields the templates and products to try, from the fullest text to the plainest."""
    nothing = ProductFacts(product_id=product.product_id)
    own = playbook.templates.get((prompt, language, target_group, channel)) if target_group != GENERIC_GROUP else None
    if own is not None and target_group is not None:
        unnamed = msgspec.structs.replace(product, name="")
        for known in (product, unnamed, msgspec.structs.replace(unnamed, brand=""), nothing):
            yield own, known
    generic = playbook.templates.get((prompt, language, None, channel))
    if generic is not None:
        yield generic, nothing


def _group_name(playbook: Playbook, template: Template) -> dict[str, str]:
    group = next((group for group in playbook.audiences.target_groups if group.id == template.target_group), None)
    return {"id": group.id, "name": group.name.get(template.language, "")} if group else {"id": "", "name": ""}
