"""Checks that prompts and templates render, use only names that exist, and pass their own guardrails."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from itertools import product as product_of
from typing import NamedTuple

import jinja2
import msgspec
from jinja2 import meta, nodes

from schemas.messages import GuardrailVerdict, MessageText, ProductFacts
from workers.adapters.playbook.checks.campaigns import prompts_of
from workers.adapters.playbook.checks.findings import reference
from workers.adapters.playbook.documents.parts import Parts, PromptFile, TemplateFile
from workers.adapters.playbook.documents.yaml_documents import FieldPath, Problem
from workers.adapters.playbook.documents.yaml_structs import did_you_mean
from workers.core.catalogue.product_facts import facts_of
from workers.core.generation import prompts, templates
from workers.core.generation.copy_surfaces import for_copy
from workers.core.generation.rendering import ENVIRONMENT, ProductWords, compiled, product_words
from workers.core.guardrails.check import check, market_verdict, rejections
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.copy import Template
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.text.template_sandbox import RenderError

_PRODUCT = [field.name for field in msgspec.structs.fields(ProductWords)]
_PROMPT_VARIABLES = {
    "language": [],
    "channel": [],
    "goal": [],
    "fields": [],
    "trigger": [],
    "customer": [],
    "voice": [],
    "tone": ["id", "hint"],
    "group": ["id", "name", "angle"],
    "product": _PRODUCT,
}
_TEMPLATE_VARIABLES = {"language": [], "channel": [], "tone": [], "group": ["id", "name"], "product": _PRODUCT}
_GENERIC_VARIABLES: dict[str, list[str]] = {"language": [], "channel": [], "tone": []}
#: Products known from events only; templates must work with them, too.
_UNKNOWN_PRODUCTS = {
    "a product without any data": ProductFacts(product_id="unknown"),
    "a product with brand and category only": ProductFacts(product_id="unknown", brand="acme", category="phone"),
    "a product with a brand only": ProductFacts(product_id="unknown", brand="acme"),
}


def check_sources(parts: Parts) -> None:
    """Checks syntax and variables, and that the playbook has every language, channel, group and field that is used."""
    for prompt in parts.prompts:
        _prompt_source(prompt, parts)
    for file in parts.templates:
        if parts.policy is not None:
            reference(file.document, (), "language", file.language, parts.languages)
        places = parts.places(file.prompt)
        for channel, groups in file.content.items():
            if places is not None:
                reference(file.document, (channel,), parts.kind_of_place(file.prompt), channel, places)
            for group, texts in groups.items():
                _template_source(file, channel, group, texts, parts)


def check_rendered(playbook: Playbook, parts: Parts) -> None:
    """Renders every prompt and every template with every product, and applies the guardrails to the templates."""
    copy = for_copy(playbook)
    for prompt in parts.prompts:
        _prompt_renders(copy if prompt.prompt.id in parts.copy_prompts else playbook, prompt, parts)
    for file in parts.templates:
        known = copy if file.prompt in parts.copy_prompts else playbook
        for channel, groups in file.content.items():
            for group in groups:
                target_group = None if group == GENERIC_GROUP else group
                template = known.templates[file.prompt, file.language, target_group, channel]
                for wrong in _violations(known, template):
                    file.document.report((channel, group), wrong)


def _prompt_source(file: PromptFile, parts: Parts) -> None:
    if parts.policy is not None:
        reference(file.document, (), "language", file.prompt.language, parts.languages)
    try:
        prompts.turns(file.prompt.source)
    except prompts.InvalidTurn as error:
        wrong, _, allowed = str(error).partition("; allowed: ")
        _report_prompt(parts, file, error.line, wrong, allowed)
        return
    for word in file.prompt.decoding.example_words:
        if word.casefold() not in file.prompt.source.casefold():
            _report_prompt(
                parts, file, 2 - file.line, f"example_words: `{word}` is not in the prompt", "words of its examples"
            )
    for line, wrong, allowed in _jinja_mistakes(file.prompt.source, _PROMPT_VARIABLES, parts):
        _report_prompt(parts, file, line, wrong, allowed)


def _template_source(file: TemplateFile, channel: str, group: str, texts: dict[str, str], parts: Parts) -> None:
    path: FieldPath = (channel, group)
    if parts.is_templated(channel, file.language):
        wrong = f"is never used: {channel} sends provider templates in {file.language}"
        file.document.report((channel,), wrong, "channels without them")
        return
    if parts.audiences is not None:
        known = [known.id for known in parts.audiences.target_groups]
        if file.prompt not in parts.copy_prompts:  # copy has no generic group: it is not for a single person
            known.append(GENERIC_GROUP)
        reference(file.document, path, "target group", group, known)
    variables = _GENERIC_VARIABLES if group == GENERIC_GROUP else _TEMPLATE_VARIABLES
    for name, source in texts.items():
        for _, wrong, allowed in _jinja_mistakes(source, variables, parts):
            file.document.report((*path, name), wrong, allowed)
    fields = (parts.places(file.prompt) or {}).get(channel)
    if fields is not None:
        for name in texts:
            reference(file.document, (*path, name), "field", name, fields)
        for name in fields:
            if name not in texts:
                file.document.report(path, f"`{name}` is missing", ", ".join(fields))


def _jinja_mistakes(source: str, variables: dict[str, list[str]], parts: Parts) -> Iterator[tuple[int, str, str]]:
    """Yields (line, what is wrong, what is allowed) for each mistake in a Jinja source, in all branches."""
    used = _used(source)
    if used.error is not None:
        yield used.error[0], f"Jinja: {used.error[1]}", ""
    for kind, names, calls in (("filter", ENVIRONMENT.filters, used.filters), ("test", ENVIRONMENT.tests, used.tests)):
        for line, name in calls:
            if name not in names:
                yield line, f"Jinja: there is no {kind} `{name}`" + did_you_mean(name, list(names)), ""
    for line, name in used.variables:
        if name not in variables:
            yield line, f"`{name}` is not defined" + did_you_mean(name, variables), ", ".join(variables)
    for line, owner, attribute in used.attributes:
        if (known := variables.get(owner)) and attribute not in known:
            wrong = f"`{owner}.{attribute}` is not defined"
            yield line, wrong + did_you_mean(attribute, known), ", ".join(known)
    if parts.campaigns is not None:
        tones = [tone.id for tone in parts.campaigns.tones]
        for line, name in used.tones:
            if name not in tones:  # a comparison that never matches would silently drop the tone
                yield (
                    line,
                    f"tone `{name}` is not known" + did_you_mean(name, tones),
                    ", ".join(tones) or "(there is none)",
                )


class _Used(NamedTuple):
    """Everything that a Jinja source uses in all its branches, each with its line; `error`: why it cannot be parsed, if so."""

    filters: Sequence[tuple[int, str]] = ()
    tests: Sequence[tuple[int, str]] = ()
    variables: Sequence[tuple[int, str]] = ()
    attributes: Sequence[tuple[int, str, str]] = ()
    tones: Sequence[tuple[int, str]] = ()
    error: tuple[int, str] | None = None


@lru_cache(maxsize=4096)  # an edit usually changes one text of hundreds
def _used(source: str) -> _Used:
    try:
        tree = ENVIRONMENT.parse(source)
        compiled(source)
    except jinja2.TemplateSyntaxError as error:
        return _Used(error=(error.lineno, error.message or ""))
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        lines.setdefault(name.name, name.lineno)
    return _Used(
        filters=[(call.lineno, call.name) for call in tree.find_all(nodes.Filter)],
        tests=[(call.lineno, call.name) for call in tree.find_all(nodes.Test)],
        variables=[(lines.get(name, 1), name) for name in sorted(meta.find_undeclared_variables(tree))],
        attributes=[
            (node.lineno, node.node.name, node.attr)
            for node in tree.find_all(nodes.Getattr)
            if isinstance(node.node, nodes.Name)
        ],
        tones=list(_compared_tones(tree)),
    )


def _compared_tones(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Yields (line, ID) of every tone that a source compares with: `tone == 'x'` in templates, `tone.id == 'x'` in prompts."""
    for node in tree.find_all(nodes.Compare):
        compared = node.expr.node if isinstance(node.expr, nodes.Getattr) else node.expr
        if isinstance(compared, nodes.Name) and compared.name == "tone":
            for operand in node.ops:
                value = operand.expr.value if isinstance(operand.expr, nodes.Const) else ""
                if operand.op in ("eq", "ne") and isinstance(value, str) and value:
                    yield node.lineno, value


def _prompt_renders(playbook: Playbook, file: PromptFile, parts: Parts) -> None:
    language = file.prompt.language
    users = [campaign for campaign in playbook.campaigns.values() if file.prompt.id in prompts_of(campaign)]
    channels = {channel for campaign in users for channel in campaign.channels}
    turns = [(turn.line, compiled(turn.source)) for turn in prompts.turns(file.prompt.source)]
    samples, groups, tones = (
        list(_samples(playbook, language).values()),
        playbook.audiences.target_groups,
        _tones(users),
    )
    for product, group, channel, tone in chain(
        product_of(samples, groups, sorted(channels or playbook.channels), tones[:1]),
        product_of(samples[:1], groups, sorted(channels or playbook.channels), tones[1:]),
    ):
        values = prompts.variables(
            playbook,
            language=language,
            channel=channel,
            target_group=group.id,
            campaign_id=users[0].id if users else "",
            product=product,
            tone=tone,
            context={"k": "v"},
        )
        for line, turn in turns:
            try:
                turn.render(values)
            except RenderError as error:
                _report_prompt(parts, file, line + error.lineno - 1, f"Jinja: {error}")
                return


def _violations(playbook: Playbook, template: Template) -> Iterator[str]:
    """Yields each guardrail that a template breaks, with the first product that triggers it."""
    wrong: dict[str, list[str]] = {}
    details: dict[str, GuardrailVerdict] = {}
    samples = _samples(playbook, template.language)
    if template.target_group is None:
        samples = {"no product": ProductFacts(product_id="unknown")}
    users = [campaign for campaign in playbook.campaigns.values() if campaign.prompt == template.prompt]
    checked: set[tuple[object, ...]] = set()
    for (sample, product), tone, (market, locale) in product_of(
        samples.items(), _tones(users), _markets(playbook, template.language)
    ):
        name = sample + (f" in the tone `{tone}`" if tone else "") + (f" in the market `{market}`" if market else "")
        try:
            words = product_words(playbook, template.language, product, locale)
            text = templates.render(playbook, template, words, tone)
        except RenderError as error:
            yield f"Jinja: {error} (with {name})"
            return
        about = templates.TextContext(
            language=template.language, channel=template.channel, product=product, locale=locale
        )
        known = (sample, text, words.reference_price)
        seen, same_market = known in checked, (*known, market) in checked
        if same_market:  # a tone that this template ignores
            continue
        checked |= {known, (*known, market)}
        for verdict in _verdicts(text, about, playbook, only_market=seen):
            wrong.setdefault(verdict.name, []).append(name)
            details.setdefault(verdict.name, verdict)
    for guardrail, names in wrong.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield f"breaks the guardrail {guardrail}: {details[guardrail].detail} (with {names[0]}{more})"


def _tones(campaigns: Iterable[Campaign]) -> list[str | None]:
    """Returns None (no tone) and every tone that one of the campaigns uses."""
    return [None, *dict.fromkeys(tone for campaign in campaigns for tone in campaign.tones)]


def _markets(playbook: Playbook, language: str) -> list[tuple[str, str]]:
    """Returns (market, a locale that leads to it) for the language's default market ("" if it has none) and all others.

    Every market may use every language.
    """
    places = {market.id: market.regions[0] for market in playbook.policy.markets if market.regions}
    default = playbook.policy.default_market.get(language, "")
    return [
        (default, language),
        *((market, f"{language}-{place}") for market, place in places.items() if market != default),
    ]


def _verdicts(
    text: MessageText, about: templates.TextContext, playbook: Playbook, *, only_market: bool
) -> list[GuardrailVerdict]:
    """Returns the verdicts that reject. `only_market` checks the market's rules alone: the others have seen the same text."""
    verdicts = [market_verdict(text, about, playbook)] if only_market else check(text, about, playbook)
    return rejections(verdicts)


def _samples(playbook: Playbook, language: str) -> dict[str, ProductFacts]:
    """Returns every product, plus unknown ones if there are campaigns: copy is only for the playbook's own products."""
    known = {f"`{product.product_id}`": facts_of(product, language) for product in playbook.products.values()}
    return known | (_UNKNOWN_PRODUCTS if playbook.campaigns else {})


def _report_prompt(parts: Parts, file: PromptFile, line: int, wrong: str, allowed: str = "") -> None:
    parts.problems.append(Problem(file.document.file, line + file.line - 1, "", wrong, allowed))
