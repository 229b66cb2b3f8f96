"""Builds the final report of a replay and of the demo from the topics alone, independently of the workers' own counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import codec
from schemas.messages import Decision, Feedback, Message, MessageRequest, Outcome
from schemas.profiles import ProfileView
from workers.core.experimentation.logged_decisions import LoggedDecision
from workers.core.experimentation.off_policy import Comparison, InsufficientData, Point, by_arm
from workers.core.stream.records import Record

#: The topics that a report reads, by logical name, in addition to messages.* and, where it exists, message.feedback.
TOPICS = ("customer.profiles", "message.decisions", "message.requests", "message.outcomes", "dead.letters")


class Report:
    """Aggregates records of TOPICS and messages.*, given in any order; `as_dict` may be called at any time.

    Latency is measured from the request's append to the outcome's append on the broker, LLM call included [ms].
    """

    def __init__(self) -> None:
        self.events = 0
        self.decisions: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.feedback: Counter[str] = Counter()
        self.by: dict[str, Counter[str]] = {
            name: Counter() for name in ("channel", "generated_by", "locale", "target_group", "product", "campaign")
        }
        self.by_language: dict[str, Counter[str]] = {}
        self.dead_letters: Counter[str] = Counter()
        self._requested: set[str] = set()
        self.messages: list[Message] = []
        self.profiles: dict[str, ProfileView] = {}
        self._requested_at_s: dict[str, float] = {}
        self.latencies_ms: list[float] = []

    def add(self, record: Record) -> Any:
        """Adds one record; returns its decoded value."""
        value = codec.decode_topic(record.topic, record.value)
        match value:
            case ProfileView():
                self.profiles[value.customer_id] = value
            case Decision():
                self.decisions[value.reason] += 1
            case MessageRequest():
                self._requested.add(value.message_id)
                self._requested_at_s.setdefault(value.message_id, record.appended_at_s)
            case Outcome():
                self.outcomes[value.reason] += 1
                requested_at_s = self._requested_at_s.pop(value.message_id, None)
                if requested_at_s is not None:
                    self.latencies_ms.append((record.appended_at_s - requested_at_s) * 1000)
            case Message():
                self._message(value)
            case Feedback():
                self.feedback[value.status] += 1
            case _:
                self.dead_letters[value.reason] += 1
        return value

    @property
    def requests(self) -> int:
        """Distinct requests: a request repeated after an interruption counts once."""
        return len(self._requested)

    def _message(self, message: Message) -> None:
        self.messages.append(message)
        generated_by = message.provenance.generated_by
        language = message.locale.split("-")[0]
        for name, label in (
            ("channel", message.channel),
            ("generated_by", generated_by),
            ("locale", message.locale),
            ("target_group", message.target_group),
            ("product", message.product_id or ""),
            ("campaign", message.campaign_id),
        ):
            self.by[name][label] += 1
        self.by_language.setdefault(language, Counter())[generated_by] += 1

    def llm_share(self) -> dict[str, float]:
        """Returns the LLM's share of the published texts, per language."""
        return {
            language: round(counts["llm"] / counts.total(), 3) for language, counts in sorted(self.by_language.items())
        }

    def as_dict(self, elapsed_s: float) -> dict[str, Any]:
        """Returns the report, ready for JSON. `elapsed_s` is the wall time taken to process the events."""
        return {
            "events": self.events,
            "profiles": len(self.profiles),
            "triggers": self.decisions.total(),
            "decisions": dict(self.decisions),
            "requests": self.requests,
            "outcomes": dict(self.outcomes),
            "feedback": dict(self.feedback),
            "messages": {
                "total": len(self.messages),
                **{name: dict(counts) for name, counts in self.by.items()},
                "generated_by_language": {language: dict(counts) for language, counts in self.by_language.items()},
            },
            "llm_share": self.llm_share(),
            "dead_letters": self.dead_letters.total(),
            "dead_letter_reasons": dict(self.dead_letters),
            "elapsed_s": round(elapsed_s, 3),
            "events_per_s": round(self.events / elapsed_s, 1) if elapsed_s > 0 else 0.0,
            "latency_ms": percentiles(self.latencies_ms),
        }


def learning(
    scored: Sequence[LoggedDecision], comparison: Comparison | InsufficientData, points: Sequence[Point]
) -> dict[str, Any]:
    """Returns the learning results, ready for JSON: the comparison of learnt arms with a uniform choice (or why there is none),
    the arms, and the history.

    `difference` is per decision, with its 95 % interval; `points` become `series`, in seconds since the first decision.
    """
    result = (
        {"refused": comparison.reason} if isinstance(comparison, InsufficientData) else msgspec.to_builtins(comparison)
    )
    return {
        "decisions": comparison.decisions,
        "ess": comparison.ess,
        **result,
        "arms": msgspec.to_builtins(by_arm(scored)),
        "series": msgspec.to_builtins(points),
    }


def percentiles(values: list[float]) -> dict[str, float | None]:
    """Returns p50, p95 and p99 by nearest rank; None without values.

    >>> percentiles([3.0, 1.0, 2.0])
    {'p50': 2.0, 'p95': 3.0, 'p99': 3.0}
    """
    ordered = sorted(values)

    def rank(share: float) -> float | None:
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)], 1) if ordered else None

    return {"p50": rank(0.50), "p95": rank(0.95), "p99": rank(0.99)}


encode_report = msgspec.json.encode
