"""Fills gaps in the pool: generates texts, drops those that did not pass or already exist, and counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from schemas.learning import PoolEntry
from schemas.messages import Candidate, MessageRequest, MessageText
from workers.adapters.process import clock
from workers.core.generation.pool import planning
from workers.core.generation.pool.planning import PoolGap
from workers.core.guardrails.models import Models
from workers.core.playbook.playbook import Playbook
from workers.core.text.similarity import is_near

Write = Callable[[MessageRequest], Awaitable[Candidate]]
Put = Callable[[list[PoolEntry]], Awaitable[None]]
#: A combination that still lacks texts after this many rounds is given up; each round makes one call per missing text.
_ROUNDS = 3
#: The LLM counts as unavailable after this many consecutive requests without an answer.
MAX_UNANSWERED = 5
#: Failures after which the LLM still counts as available: it answered, or had no time to answer.
_ANSWERED = ("", "guardrail", "malformed", "cut_off", "shed")


class Row(msgspec.Struct):
    """The results of one campaign, language and channel. `short`: number of combinations that still lack texts."""

    requested: int = 0
    passed: int = 0
    duplicates: int = 0
    written: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    short: int = 0


class Filling:
    """Fills gaps concurrently; `rows` has the results by (campaign, language, channel)."""

    def __init__(
        self,
        playbook: Playbook,
        write: Write,
        put: Put,
        models: Models,
        *,
        count: int,
        in_flight: int,
        deadline_s: float,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Generates `count` texts per combination, `in_flight` at a time. `put` stores new entries as soon as there are any."""
        self.rows: dict[tuple[str, str, str], Row] = {}
        self.rejections: Counter[str] = Counter()
        self._playbook = playbook
        self._write = write
        self._put = put
        self._models = models
        self._count = count
        self._slots = asyncio.Semaphore(in_flight)
        self._deadline = timedelta(seconds=deadline_s)
        self._stopped = stopped
        self._unanswered = 0

    async def run(self, gaps: Iterable[PoolGap], started_at: datetime) -> None:
        """Returns once every combination has enough texts or was given up, a stop was requested, or the LLM is unavailable; texts
        in progress are finished.

        The same `started_at` creates the same requests. Exceptions of `put` propagate; entries that it has stored are kept.
        """
        await asyncio.gather(*(self._fill(gap, started_at) for gap in gaps))

    @property
    def llm_unavailable(self) -> bool:
        """True if the LLM has not answered MAX_UNANSWERED consecutive requests."""
        return self._unanswered >= MAX_UNANSWERED

    async def _fill(self, gap: PoolGap, started_at: datetime) -> None:
        row = self.rows.setdefault((gap.key.campaign_id, gap.key.language, gap.key.channel), Row())
        texts, missing = list(gap.texts), self._count - gap.have
        for round_ in range(_ROUNDS):
            if missing <= 0 or self._should_stop:
                break
            calls = (self._generate(gap, f"{started_at.isoformat()}/{round_}/{n}", row) for n in range(missing))
            written = [
                entry
                for candidate in await asyncio.gather(*calls)
                if candidate is not None and (entry := self._entry(gap, candidate, texts, row)) is not None
            ]
            if written:
                await self._put(written)
            row.written += len(written)
            missing -= len(written)
        row.short += missing > 0

    async def _generate(self, gap: PoolGap, number: str, row: Row) -> Candidate | None:
        async with self._slots:
            if self._should_stop:
                return None
            now = clock.utc_now()
            request = planning.request_for(
                self._playbook,
                gap.key,
                number=number,
                variation_id=gap.arm.id,
                requested_at=now,
                deadline_at=now + self._deadline,
            )
            candidate = await self._write(request)
        self._unanswered = 0 if candidate.failure in _ANSWERED else self._unanswered + 1
        row.requested += 1
        row.input_tokens += candidate.usage.input_tokens
        row.output_tokens += candidate.usage.output_tokens
        return candidate

    def _entry(self, gap: PoolGap, candidate: Candidate, texts: list[MessageText], row: Row) -> PoolEntry | None:
        """Returns the draft; None = its text did not pass, or a similar one exists (rejected ones included)."""
        if planning.rejected(candidate):
            self.rejections[candidate.failure] += 1
            return None
        now = clock.utc_now()
        entry = planning.entry_of(self._playbook, gap, candidate, now)
        if planning.objections(self._playbook, entry, now, self._models):
            self.rejections["guardrail"] += 1
            return None
        row.passed += 1
        if any(is_near(entry.text, text) for text in texts):
            row.duplicates += 1
            return None
        texts.append(entry.text)
        return entry

    @property
    def _should_stop(self) -> bool:
        return self.llm_unavailable or self._stopped()
