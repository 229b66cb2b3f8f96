"""Cleans what prompts and templates may say about a product, and renders them in a sandbox.

Names, brands and categories may come from events, and so from anyone: they are data, never instructions or markup.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache

import jinja2
import msgspec
from jinja2.runtime import Context

from schemas.messages import ProductFacts
from workers.core.guardrails.grounding.prices import amount, announceable
from workers.core.guardrails.trusted_input import MAX_NAME_CHARS, MAX_WORD_CHARS, trusted_text
from workers.core.playbook.playbook import Playbook
from workers.core.text.sanitize import INPUT_FACTOR, clean
from workers.core.text.template_sandbox import BoundedEnvironment

MAX_FACT_CHARS = 120
MAX_FACTS = 12
#: Key in category_names: the name for products whose own category has none.
ANY_CATEGORY = "*"
_EDGE = re.compile(r"(?<=[\u3400-\u9fff])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[\u3400-\u9fff])")
_CURRENCY = re.compile(r"[A-Za-z]{3}")
_AND = {"zh": ("、", "、"), "en": (", ", " and ")}


class ProductWords(msgspec.Struct, frozen=True, kw_only=True):
    """A product as copy may name it. `label` is the best name available: the name, else brand and category, else "".

    `reference_price` is the lowest price of the last 30 days, if it is above `price` and the market's rules regulate how
    it is stated, else "".
    """

    name: str = ""
    brand: str = ""
    category: str = ""
    label: str = ""
    facts: list[str] = []
    price: str = ""
    reference_price: str = ""
    quantity: int = 1


def product_words(playbook: Playbook, language: str, product: ProductFacts, locale: str = "") -> ProductWords:
    """Cleans a product for one language and the market of `locale` ("" = that of the language).

    A name is dropped if it contains a link, code, an instruction, or a word that is banned or breaks any market's rules.
    """
    policy = playbook.policy
    name = trusted_text(product.name, MAX_NAME_CHARS, policy)
    brand = _brand(trusted_text(product.brand, MAX_WORD_CHARS, policy))
    category = trusted_text(_category(playbook, language, product.category), MAX_WORD_CHARS, policy)
    lower = announceable(policy, language, locale, product)
    between = "" if language == "zh" and not brand[-1:].isascii() else " "
    return ProductWords(
        name=name,
        brand=brand,
        category=category,
        label=name or ((brand + between + category).strip() if category else ""),
        facts=[fact for text in product.facts[:MAX_FACTS] if (fact := _fact(text[: INPUT_FACTOR * MAX_FACT_CHARS]))],
        price=_price(product.price, product.currency or ""),
        reference_price=f"{amount(lower.reference_price)} {lower.currency}" if lower and lower.currency else "",
        quantity=product.quantity or 1,
    )


def spaced(text: str) -> str:
    """Adds a space between Chinese characters and Latin letters or digits, as Chinese typesetting requires.

    >>> spaced("您选中的Samsung手机")
    '您选中的 Samsung 手机'
    """
    return _EDGE.sub(" ", text)


@lru_cache(maxsize=4096)
def compiled(source: str) -> jinja2.Template:
    """Compiles a source of the playbook into a sandboxed template.

    Raises jinja2.TemplateSyntaxError.
    """
    return ENVIRONMENT.from_string(source)


@lru_cache(maxsize=4096)  # many texts are about one product
def _fact(text: str) -> str:
    return clean(text, MAX_FACT_CHARS)


def _price(price: float | None, currency: str) -> str:
    known = price and math.isfinite(price) and _CURRENCY.fullmatch(currency)
    return f"{price:g} {currency}" if known else ""


def _brand(brand: str) -> str:
    """Capitalises a brand: shops' codes are lower case, names are not (`samsung` → Samsung, `hp` → HP)."""
    if not (brand.isascii() and brand.islower()):
        return brand
    return brand.upper() if len(brand) <= 3 else " ".join(word[:1].upper() + word[1:] for word in brand.split())


def _category(playbook: Playbook, language: str, category: str) -> str:
    """Returns the playbook's name for a category code, else the code's last part as words if it reads as this language."""
    named = playbook.category_names.get(category, {}).get(language)
    if named:
        return named
    is_code = category.isascii() and bool(re.search(r"[._]|^[a-z0-9-]*$", category))
    if category and not is_code:
        return clean(category, MAX_WORD_CHARS)
    words = clean(re.split(r"[.>/]", category)[-1].replace("_", " "), MAX_WORD_CHARS)
    if language == "en" and words and ANY_CATEGORY not in playbook.category_names:
        return words
    return playbook.category_names.get(ANY_CATEGORY, {}).get(language, words if language == "en" else "")


def _pick(items: list[str], count: int, *preferred: str) -> list[str]:
    """Returns up to `count` items; those that contain one of `preferred` come first."""
    return sorted(items, key=lambda item: not any(word.casefold() in item.casefold() for word in preferred))[:count]


@jinja2.pass_context
def _listed(context: Context, items: list[str], count: int, *preferred: str) -> str:
    """Returns the items that `pick` picks as a phrase: a, b and c."""
    chosen = _pick(items, count, *preferred)
    comma, conjunction = _AND.get(str(context.get("language")), (", ", ", "))
    return conjunction.join(filter(None, (comma.join(chosen[:-1]), chosen[-1]))) if chosen else ""


def _fitting(text: str, most: int, other: str) -> str:
    """Returns the text if it has 1 to `most` characters, else `other`: for titles, where a long name would not fit."""
    return text if 0 < len(text) <= most else other


def _sentence(text: str) -> str:
    """Puts the first letter in upper case and leaves the rest as it is."""
    return text[:1].upper() + text[1:]


@jinja2.pass_context
def _answer(context: Context, example: Mapping[str, str]) -> str:
    """Returns an answer as a model should write it: JSON with the channel's fields, in order; `example` may have more."""
    names = [field.name for field in context["fields"]]
    if missing := [name for name in names if name not in example]:
        raise jinja2.TemplateRuntimeError(f"the example has no {', '.join(missing)}; {context['channel']} needs it")
    return json.dumps({name: example[name] for name in names}, ensure_ascii=False)


def _environment() -> jinja2.Environment:
    environment = BoundedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.add("pick", _pick)
    environment.add("listed", _listed)
    environment.add("fitting", _fitting)
    environment.add("sentence", _sentence)
    environment.add("answer", _answer)
    return environment


#: Plain text, so nothing is escaped.
ENVIRONMENT = _environment()
