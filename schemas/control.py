"""Defines control.switches, playbook.versions, audit.trail, privacy.* and dead.letters: the records for operating the system."""

from __future__ import annotations

from typing import Literal

from schemas.base import FIRST_VERSION, Identifier, Instant, Wire, always


class ControlSwitch(Wire, frozen=True, kw_only=True):
    """control.switches: pauses and resumes; the newest record of a scope applies. Scope: `all`, `campaign:<id>`, `channel:<id>`;
    and `prompt:<id>/<language>@<version>`, which is `running` once a person has approved that version of a prompt.
    """

    scope: Identifier
    state: Literal["paused", "running"]
    reason: str = ""
    changed_by: str = ""
    changed_at: Instant
    schema_version: int = always(FIRST_VERSION)


class PlaybookVersion(Wire, frozen=True, kw_only=True):
    """playbook.versions: a complete playbook, checked before publication. `files`: path → text."""

    version: Identifier
    status: Literal["active", "retired"]
    files: dict[str, str] = {}
    comment: str = ""
    published_by: str = ""
    published_at: Instant
    schema_version: int = always(FIRST_VERSION)


class AuditRecord(Wire, frozen=True, kw_only=True):
    """audit.trail: a change by a person."""

    audit_id: Identifier
    actor: str
    action: str
    subject: str
    detail: str = ""
    happened_at: Instant
    schema_version: int = always(FIRST_VERSION)


class PrivacyRequest(Wire, frozen=True, kw_only=True):
    """privacy.requests: a request to erase, export or restrict the data of one customer."""

    request_id: Identifier
    user_id: Identifier
    kind: Literal["erase", "export", "restrict"]
    requested_by: str = ""
    requested_at: Instant
    schema_version: int = always(FIRST_VERSION)


class PrivacyReceipt(Wire, frozen=True, kw_only=True):
    """privacy.receipts: what a stage did for a request, and which data remain until when. Keyed by a salted hash."""

    request_id: Identifier
    subject_hash: Identifier
    stage: str
    kind: Literal["erase", "export", "restrict"]
    erased: list[str] = []
    remaining_until: dict[str, str] = {}
    completed_at: Instant
    schema_version: int = always(FIRST_VERSION)


class DeadLetter(Wire, frozen=True, kw_only=True):
    """dead.letters: an input that could not be processed, with reason and origin. `key` and `value` are its bytes (base64).

    `complete` False: the bytes were truncated or are not available (a row of a file); such a record cannot be replayed.
    """

    reason: Identifier
    detail: str = ""
    stage: str
    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    headers: dict[str, bytes] = {}
    complete: bool = True
    appended_at: Instant | None = None
    failed_at: Instant
    schema_version: int = always(FIRST_VERSION)
