"""The playbook as plain structs, which `adapters/playbook/loader.py` reads from a folder and validates.

What applies to every campaign (policy.yaml) is in `policy`.

Times are in seconds, money is in the product's currency, languages are BCP 47 primary tags (`zh`, `en`).
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

#: The target group of texts that use no customer data; a playbook must not use this name for a group.
GENERIC_GROUP = "generic"


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """A validated playbook. `version` is the hash of all its files. Keys: prompts (prompt, language), templates (prompt,
    language, target group or None, channel). The first of `languages` is used for customers whose language is unknown.
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
    #: The name of a category code in copy, per language: for products known only from events.
    category_names: dict[str, Texts] = {}
    #: For copy that is not a message; the keys of its prompts and templates are as above, with the surface as channel.
    surfaces: dict[str, Surface] = {}
    copy_prompts: dict[tuple[str, str], Prompt] = {}
    copy_templates: dict[tuple[str, str, str | None, str], Template] = {}
