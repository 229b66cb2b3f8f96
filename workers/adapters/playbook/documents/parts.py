"""The parts of a playbook as read from its folder, before they are checked against each other."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from schemas.catalogue import CatalogueProduct
from workers.adapters.playbook.documents.yaml_documents import Document, Problem
from workers.core.playbook.audiences import Audiences
from workers.core.playbook.base import Texts
from workers.core.playbook.campaigns import Campaign, Tone
from workers.core.playbook.channels import Channel, FieldLimit
from workers.core.playbook.copy import Prompt, Surface
from workers.core.playbook.policy import Policy

Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")]


class ProductsFile(msgspec.Struct, frozen=True, kw_only=True):
    """products.yaml. `categories`: category code → its name in copy; `*` = every other."""

    products: list[CatalogueProduct] = []
    categories: dict[str, Texts] = {}


class CampaignsFile(msgspec.Struct, frozen=True, kw_only=True):
    """campaigns.yaml. `tones` are those that campaigns may use."""

    campaigns: list[Campaign]
    tones: list[Tone] = []


class ChannelsFile(msgspec.Struct, frozen=True, kw_only=True):
    """channels.yaml."""

    channels: list[Channel]


class CopyFile(msgspec.Struct, frozen=True, kw_only=True):
    """copy.yaml, which is optional."""

    surfaces: list[Surface] = []


class PolicyFile(Policy, frozen=True, kw_only=True):
    """policy.yaml. The first of `languages` is for customers whose language is not known."""

    languages: Annotated[list[Language], Meta(min_length=1)]


#: templates/<language>/<prompt>.yaml: channel or surface → target group or `generic` → field → Jinja.
TemplatesFile = dict[str, dict[str, dict[str, str]]]


class PromptFile(msgspec.Struct, kw_only=True):
    """One prompts/<language>/<prompt>.j2; `line` is the line at which the source begins."""

    prompt: Prompt
    document: Document
    line: int


class TemplateFile(msgspec.Struct, kw_only=True):
    """One templates/<language>/<prompt>.yaml."""

    prompt: str
    language: str
    version: str
    content: TemplatesFile
    document: Document


class Parts(msgspec.Struct, kw_only=True):
    """The parts that could be read; None: the file is malformed, see `problems`."""

    problems: list[Problem]
    products: ProductsFile | None = None
    audiences: Audiences | None = None
    campaigns: CampaignsFile | None = None
    channels: ChannelsFile | None = None
    policy: PolicyFile | None = None
    copy: CopyFile | None = None
    documents: dict[str, Document] = {}
    prompts: list[PromptFile] = []
    templates: list[TemplateFile] = []

    @property
    def languages(self) -> list[str]:
        """The languages of the playbook; [] while policy.yaml is broken."""
        return self.policy.languages if self.policy else []

    def is_templated(self, channel_id: str, language: str) -> bool:
        """Returns whether a channel sends a provider's templates in this language, so that no texts are generated for it."""
        channels = self.channels.channels if self.channels else []
        return any(channel.id == channel_id and channel.is_templated(language) for channel in channels)

    @property
    def copy_prompts(self) -> set[str]:
        """The prompts used by surfaces only; empty if copy.yaml is broken or missing."""
        campaigns = self.campaigns.campaigns if self.campaigns else []
        taken = {campaign.prompt for campaign in campaigns}
        taken |= {variant.prompt for campaign in campaigns for variant in campaign.variants}
        return {surface.prompt for surface in self.copy.surfaces} - taken if self.copy else set()

    def kind_of_place(self, prompt: str) -> str:
        """Returns the purpose of a prompt's texts: `channel` or `surface`."""
        return "surface" if prompt in self.copy_prompts else "channel"

    def places(self, prompt: str) -> dict[str, dict[str, dict[str, FieldLimit]]] | None:
        """Returns ID → fields of the channels or surfaces that a prompt's texts can be for; None if that is not known."""
        if prompt in self.copy_prompts and self.copy is not None:
            return {surface.id: surface.fields for surface in self.copy.surfaces if surface.prompt == prompt}
        if self.channels is None or ("copy.yaml" in self.documents and self.copy is None):
            return None
        return {channel.id: channel.fields for channel in self.channels.channels}
