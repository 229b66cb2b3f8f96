"""Reads a playbook folder and checks all of it; reports every mistake with file, line, and what is allowed.

```
products.yaml  audiences.yaml  campaigns.yaml  channels.yaml  policy.yaml  [copy.yaml]
prompts/<language>/<prompt>.j2        templates/<language>/<prompt>.yaml
```
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec

from workers.adapters.playbook.check_cache import Stamps
from workers.adapters.playbook.checks import copy, provider_templates, references
from workers.adapters.playbook.documents.parts import (
    CampaignsFile,
    ChannelsFile,
    CopyFile,
    Parts,
    PolicyFile,
    ProductsFile,
    PromptFile,
    TemplateFile,
    TemplatesFile,
)
from workers.adapters.playbook.documents.yaml_documents import Document, Problem, read_text
from workers.adapters.playbook.documents.yaml_structs import did_you_mean, read_struct
from workers.core.errors import Misconfigured
from workers.core.playbook.audiences import Audiences
from workers.core.playbook.copy import Decoding, Prompt, Template
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.playbook.policy import Policy
from workers.settings import Settings

FILES = ("products.yaml", "audiences.yaml", "campaigns.yaml", "channels.yaml", "policy.yaml")
#: Optional: without this file a playbook only has messages.
COPY_FILE = "copy.yaml"
_VERSION_DIGITS = 12
_MAX_FILES = 2000
_OTHER = ("README.md", "LICENSE")


def load(folder: Path, stamps: Stamps | None = None) -> Playbook:
    """Returns the playbook of a folder. Checking all texts takes seconds; versions that `stamps` has are not checked again.

    Raises Misconfigured listing every mistake as `file:line: field: what is wrong; allowed: ...`.
    """
    if stamps is not None and folder.is_dir() and stamps.has(_version(folder)):
        parts = _read(folder)
        references.check(parts)  # cheap
        if not parts.problems:
            return _assemble(folder, parts)
    playbook, problems = examine(folder)
    if playbook is not None and stamps is not None:
        stamps.put(playbook.version)
    if playbook is None:
        listed = "\n".join(map(str, problems))
        raise Misconfigured(
            f"The playbook {folder} is not valid; mistakes found: {len(problems)}.\n{listed}\n", "correct them"
        )
    return playbook


def load_for(settings: Settings) -> Playbook:
    """Returns the playbook of an installation, and caches in its data folder what was checked. Raises Misconfigured."""
    return load(Path(settings.playbook), Stamps(Path(settings.data_dir) / "checked"))


def examine(folder: Path) -> tuple[Playbook | None, list[Problem]]:
    """Returns (the playbook, []) or (None, every mistake, in the order of files and lines).

    Templates are checked against the guardrails only if everything else is valid.
    """
    parts = _read(folder)
    references.check(parts)
    copy.check_sources(parts)
    if not parts.problems:
        playbook = _assemble(folder, parts)
        copy.check_rendered(playbook, parts)
        provider_templates.check_filled(playbook, parts)
        if not parts.problems:
            return playbook, []
    return None, sorted(set(parts.problems))


def _read(folder: Path) -> Parts:
    parts = Parts(problems=[])
    if not folder.is_dir():
        parts.problems.append(
            Problem(str(folder), 1, "", "there is no such folder", "a folder with " + ", ".join(FILES))
        )
        return parts
    for file in FILES:
        text = read_text(folder, file, parts.problems)
        if text is not None:
            parts.documents[file] = Document(file, text, parts.problems)
    documents = parts.documents
    if (document := documents.get("products.yaml")) is not None:
        parts.products = read_struct(document, ProductsFile)
    if (document := documents.get("audiences.yaml")) is not None:
        parts.audiences = read_struct(document, Audiences)
    if (document := documents.get("campaigns.yaml")) is not None:
        parts.campaigns = read_struct(document, CampaignsFile)
    if (document := documents.get("channels.yaml")) is not None:
        parts.channels = read_struct(document, ChannelsFile)
    if (document := documents.get("policy.yaml")) is not None:
        parts.policy = read_struct(document, PolicyFile)
    if (folder / COPY_FILE).is_file() and (text := read_text(folder, COPY_FILE, parts.problems)) is not None:
        documents[COPY_FILE] = Document(COPY_FILE, text, parts.problems)
        parts.copy = read_struct(documents[COPY_FILE], CopyFile)
    for path in _paths(folder)[:_MAX_FILES]:
        _read_other(folder, path, parts)
    return parts


def _paths(folder: Path) -> list[Path]:
    """Returns every file of the folder except hidden ones, relative, sorted."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted((path for path in found if not any(part.startswith(".") for part in path.parts)), key=Path.as_posix)


def _read_other(folder: Path, path: Path, parts: Parts) -> None:
    file = path.as_posix()
    match path.parts:
        case ("prompts", language, name) if name.endswith(".j2"):
            if (text := read_text(folder, file, parts.problems)) is not None:
                _read_prompt(file, language, path.stem, text, parts)
        case ("templates", language, name) if name.endswith(".yaml"):
            if (text := read_text(folder, file, parts.problems)) is not None:
                document = Document(file, text, parts.problems)
                content = read_struct(document, TemplatesFile)
                if content is not None:
                    version = _digest(text.encode())
                    parts.templates.append(
                        TemplateFile(
                            prompt=path.stem, language=language, version=version, content=content, document=document
                        )
                    )
        case (name,) if name in FILES or name in (COPY_FILE, *_OTHER):
            pass
        case _:
            allowed = ", ".join(
                (*FILES, COPY_FILE, "prompts/LANGUAGE/PROMPT.j2", "templates/LANGUAGE/PROMPT.yaml", *_OTHER)
            )
            parts.problems.append(
                Problem(file, 1, "", "this file is not known" + did_you_mean(file, (*FILES, COPY_FILE)), allowed)
            )


def _read_prompt(file: str, language: str, name: str, text: str, parts: Parts) -> None:
    """Reads a prompt; its decoding settings, if any, come first, between two lines `---`."""
    decoding, source, line = Decoding(), text, 1
    if text.startswith("---\n"):
        head, end, source = text[4:].partition("\n---\n")
        line = 3 + head.count("\n") + 1
        if not end:
            parts.problems.append(Problem(file, 1, "", "the decoding settings are not closed", "a second line `---`"))
            return
        read = read_struct(Document(file, head, parts.problems, first_line=2), Decoding)
        if read is None:
            return
        decoding = read
    prompt = Prompt(id=name, language=language, source=source, version=_digest(text.encode()), decoding=decoding)
    document = Document(file, "{}", parts.problems)
    parts.prompts.append(PromptFile(prompt=prompt, document=document, line=line))


def _assemble(folder: Path, parts: Parts) -> Playbook:
    products, audiences, campaigns, channels, policy = _complete(parts)
    fields = {field.name: getattr(policy, field.name) for field in msgspec.structs.fields(Policy)}
    templates = {}
    for file in parts.templates:
        for channel, groups in file.content.items():
            for group, texts in groups.items():
                target_group = None if group == GENERIC_GROUP else group
                templates[file.prompt, file.language, target_group, channel] = Template(
                    prompt=file.prompt,
                    language=file.language,
                    target_group=target_group,
                    channel=channel,
                    fields=texts,
                    version=file.version,
                )
    prompts = {(file.prompt.id, file.prompt.language): file.prompt for file in parts.prompts}
    return Playbook(
        name=folder.resolve().name,
        version=_version(folder),
        languages=tuple(policy.languages),
        products={product.product_id: product for product in products.products},
        audiences=audiences,
        channels={channel.id: channel for channel in channels.channels},
        campaigns={campaign.id: campaign for campaign in campaigns.campaigns},
        policy=Policy(**fields),
        prompts={key: prompt for key, prompt in prompts.items() if key[0] not in parts.copy_prompts},
        templates={key: template for key, template in templates.items() if key[0] not in parts.copy_prompts},
        tones={tone.id: tone for tone in campaigns.tones},
        category_names=products.categories,
        surfaces={surface.id: surface for surface in parts.copy.surfaces} if parts.copy else {},
        copy_prompts={key: prompt for key, prompt in prompts.items() if key[0] in parts.copy_prompts},
        copy_templates={key: template for key, template in templates.items() if key[0] in parts.copy_prompts},
    )


def _complete(parts: Parts) -> tuple[ProductsFile, Audiences, CampaignsFile, ChannelsFile, PolicyFile]:
    if not (parts.products and parts.audiences and parts.campaigns and parts.channels and parts.policy):
        raise ValueError("a part of the playbook is missing, but no problem was reported")
    return parts.products, parts.audiences, parts.campaigns, parts.channels, parts.policy


def _version(folder: Path) -> str:
    """Returns a hash of all paths and contents: any change makes another version."""
    digest = sha256()
    for path in _paths(folder):
        if path.name not in _OTHER:
            content = (folder / path).read_bytes()
            digest.update(f"{len(path.as_posix())}:{path.as_posix()}{len(content)}:".encode())
            digest.update(content)
    return digest.hexdigest()[:_VERSION_DIGITS]


def _digest(content: bytes) -> str:
    return sha256(content).hexdigest()[:_VERSION_DIGITS]
