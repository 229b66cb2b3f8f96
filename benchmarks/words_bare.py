"""Runs the bare loop with which `generate` is compared, and defines the result of a round."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import msgspec

from schemas.messages import Candidate, MessageRequest
from workers.adapters.claims.models import load_models
from workers.adapters.llm.wire import decode_reply, encode_request
from workers.core.generation.draft import Draft
from workers.core.playbook.playbook import Playbook
from workers.settings import Settings


class Round(msgspec.Struct, kw_only=True):
    """The result of one round of one program."""

    took_s: float
    calls: int
    messages: int
    cpu_s: float = 0.0
    candidates: list[Candidate] = []


class Bare:
    """The server without the role: a plain loop of HTTP calls. Only the request bytes and the checks of a real server's answers
    are ours: rejected answers are requested again like in the role, with the same seeds, so that both request the same work.
    """

    def __init__(self, settings: Settings, playbook: Playbook, *, judges: bool) -> None:
        """`judges`: answers are checked, and rejected ones are requested again."""
        self._settings = settings
        self._playbook = playbook
        self._judges = judges
        self._models = load_models(playbook)

    def write(self, requests: list[MessageRequest]) -> Round:
        """Measures one round: from the first request to the last answer."""
        return asyncio.run(self._write(requests))

    async def _write(self, requests: list[MessageRequest]) -> Round:
        max_tokens = self._settings.llm.max_tokens
        drafts = [Draft(self._playbook, request, self._models, max_tokens=max_tokens) for request in requests]
        first_calls = [call for draft in drafts if (call := draft.next_call()) is not None]
        limits, calls = aiohttp.TCPConnector(limit=0), 0
        async with aiohttp.ClientSession(connector=limits, headers={"Content-Type": "application/json"}) as session:
            async with session.get(f"{self._settings.llm.server}/v1/models") as models:
                model = (await models.json())["data"][0]["id"]
            bodies = [encode_request(call, model) for call in first_calls]
            waiting = iter(list(zip(drafts, bodies, strict=True)))

            async def write() -> None:
                nonlocal calls
                for draft, first in waiting:
                    body: bytes | None = first
                    while body is not None:
                        async with session.post(
                            f"{self._settings.llm.server}/v1/chat/completions", data=body
                        ) as answer:
                            assert answer.status == 200
                            reply = await answer.read()
                        calls, body = calls + 1, None
                        if self._judges:
                            draft.answer(decode_reply(reply, model, 0.0))
                            again = draft.next_call()
                            body = None if again is None else encode_request(again, model)

            started_s = time.perf_counter()
            await asyncio.gather(*(write() for _ in range(self._settings.llm.in_flight)))
            took_s = time.perf_counter() - started_s
        return Round(took_s=took_s, calls=calls, messages=len(requests))
