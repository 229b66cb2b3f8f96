"""Checks copy.yaml: references of surfaces, and that every product can get copy for every target group."""

from __future__ import annotations

from workers.adapters.playbook.checks.campaigns import prompts_of
from workers.adapters.playbook.checks.channels import fields
from workers.adapters.playbook.checks.findings import missing_file, texts, unique
from workers.adapters.playbook.documents.parts import Parts
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.core.generation.copy_surfaces import as_channel
from workers.core.playbook.copy import Surface


def check(parts: Parts) -> None:
    """Adds findings to `parts.problems`; a playbook without copy.yaml is valid."""
    if parts.copy is None:
        return
    document = parts.documents["copy.yaml"]
    unique(document, ("surfaces",), [surface.id for surface in parts.copy.surfaces], "id", "id")
    for index, surface in enumerate(parts.copy.surfaces):
        path: FieldPath = ("surfaces", index)
        texts(document, (*path, "name"), surface.name, parts.languages, required=True)
        fields(parts, document, path, as_channel(surface), parts.languages)
        _is_separate(parts, document, path, surface)
        for language in parts.languages if surface.prompt in parts.copy_prompts else []:
            _has_copy(parts, surface, language)


def _is_separate(parts: Parts, document: Document, path: FieldPath, surface: Surface) -> None:
    """Checks that a surface is not a channel, nor its prompt a campaign's: only campaigns have a customer's occurrence."""
    if parts.channels is not None and surface.id in [channel.id for channel in parts.channels.channels]:
        document.report((*path, "id"), f"`{surface.id}` is a channel", "another id")
    users = [
        one.id for one in (parts.campaigns.campaigns if parts.campaigns else []) if surface.prompt in prompts_of(one)
    ]
    if users:
        document.report(
            (*path, "prompt"), f"`{surface.prompt}` is the prompt of campaign `{users[0]}`", "another prompt"
        )


def _has_copy(parts: Parts, surface: Surface, language: str) -> None:
    """Requires a prompt, and a template for every target group. Copy needs no generic one: it is not for a single person."""
    user = f"surface `{surface.id}`"
    if (surface.prompt, language) not in {(file.prompt.id, file.prompt.language) for file in parts.prompts}:
        missing_file(parts.problems, f"prompts/{language}/{surface.prompt}.j2", user)
    file = next((one for one in parts.templates if (one.prompt, one.language) == (surface.prompt, language)), None)
    if file is None:
        missing_file(parts.problems, f"templates/{language}/{surface.prompt}.yaml", user)
        return
    for group in parts.audiences.target_groups if parts.audiences is not None else []:
        if group.id not in file.content.get(surface.id, {}):
            file.document.report((surface.id, group.id), f"is missing; {user} needs it")
