"""The marketing knowledge, as plain structs: what `adapters/playbook/loader.py` reads from a folder and checks.

What holds for every campaign (policy.yaml) is in `house_rules`.

Times are seconds, money is in the product's currency, languages are BCP 47 primary tags (`zh`, `en`).
"""

from __future__ import annotations

import msgspec

from schemas.catalogue import CatalogueProduct
from workers.core.playbook.audiences import Audiences
from workers.core.playbook.base import Texts
from workers.core.playbook.campaigns import Campaign, Tone
from workers.core.playbook.channels import Channel
from workers.core.playbook.copy import Prompt, Surface, Template
from workers.core.playbook.policy import Policy

#: The target group of texts that use nothing of the customer; no group of a playbook may be called so.
GENERIC_GROUP = "generic"


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """A checked playbook. `version` is the hash of all its files. Keys: prompts (prompt, language), templates (prompt,
    language, target group or None, channel). The first of `languages` is for customers whose language is not known.
    """

    name: str
    version: str
    languages: tuple[str, ...]
    products: dict[str, CatalogueProduct]
    audiences: Audiences
    channels: dict[str, Channel]
    campaigns: dict[str, Campaign]
    policy: Policy
    prompts: dict[tuple[str, str], Prompt]
    templates: dict[tuple[str, str, str | None, str], Template]
    tones: dict[str, Tone] = {}
    #: What a category code is called in copy, per language: for products that only events know.
    category_names: dict[str, Texts] = {}
    #: Of copy that is no message; the keys of its prompts and templates are as above, with the surface as channel.
    surfaces: dict[str, Surface] = {}
    copy_prompts: dict[tuple[str, str], Prompt] = {}
    copy_templates: dict[tuple[str, str, str | None, str], Template] = {}
