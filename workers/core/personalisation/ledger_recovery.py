"""Rebuilds a lane's initial state from its ledger after its own state is lost.

It restores sent messages, decisions, and requests without an outcome: caps hold, no occurrence is decided twice, and the open
requests end. Customer behaviour is not in the ledger; it is read back from the events, as far as they are still retained.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas import codec
from schemas.messages import Decision, Outcome
from workers.core.common import ids
from workers.core.common.timestamps import instant
from workers.core.partition import keys
from workers.core.profile import eviction
from workers.core.profile.model import CapReservation, Profile
from workers.core.stream.published_ids import DECISIONS, OUTCOMES
from workers.core.stream.records import Output
from workers.core.triggers.registry import done_key

#: Outcomes after which a message still counts against the caps: it was published, or was not meant to be delivered.
_KEEPS_ITS_PLACE = frozenset({"published", "holdout", "shadow"})
#: Decisions that count against the caps → the kind of their reservation.
_KINDS = {"requested": "message", "holdout": "holdout", "shadow": "shadow"}
LOST = "the lane lost its state before the text arrived"


class RecoveredCustomer(msgspec.Struct, frozen=True):
    """One customer: the profile record to store, and the outcomes that must still be published."""

    key: bytes
    value: bytes
    outcomes: list[Output]


class LedgerRecovery:
    """Collects one lane's ledger records in any order; takes about 1 KB of memory per decision."""

    def __init__(self) -> None:
        self._decisions: dict[str, dict[str, Decision]] = {}
        self._ended: dict[str, str] = {}

    def add(self, topic: str, value: bytes | None) -> None:
        """Adds one committed record of the ledger; skips one that cannot be decoded."""
        try:
            if topic == DECISIONS:
                decision = codec.decode(Decision, value)
                lean = msgspec.structs.replace(decision, checks=[], detail="", propensities={})
                self._decisions.setdefault(decision.user_id, {})[decision.decision_id] = lean
            elif topic == OUTCOMES:
                outcome = codec.decode(Outcome, value)
                self._ended[outcome.decision_id] = outcome.reason
        except codec.Malformed:
            return

    def customers(self, now_s: float) -> Iterator[RecoveredCustomer]:
        """Yields every customer with a decision. A missing outcome is dated `now_s`, or the decision if that is later."""
        for customer_id, decisions in self._decisions.items():
            profile = Profile(customer_id=customer_id)
            outcomes = []
            for decision in sorted(decisions.values(), key=lambda decision: decision.decided_at):
                at_s, ended = decision.decided_at.timestamp(), self._ended.get(decision.decision_id)
                profile.done[done_key(decision.campaign_id, decision.occurrence_id)] = at_s
                if decision.message_id is not None and ended is None:
                    outcomes.append(_outcome(decision, now_s))
                    ended = "stale"
                if (send := _send(decision, ended)) is not None:
                    profile.sends.append(send)
                    profile.user_id = customer_id  # only identified customers are sent messages
                profile.sent += ended == "published"
            yield RecoveredCustomer(keys.profile_key(customer_id), eviction.encode_bounded(profile), outcomes)


def _send(decision: Decision, ended: str | None) -> CapReservation | None:
    """Returns the reservation that a decision holds in the caps; None = none."""
    kind = _KINDS.get(decision.reason)
    if kind is None or decision.channel is None:
        return None
    if kind != "holdout" and ended not in _KEEPS_ITS_PLACE:
        return None
    message_id = decision.message_id or ids.message_id(
        decision.user_id, decision.campaign_id, decision.occurrence_id, decision.channel
    )
    return CapReservation(message_id, decision.decided_at.timestamp(), decision.channel, decision.category, kind)


def _outcome(decision: Decision, now_s: float) -> Output:
    outcome = Outcome(
        message_id=decision.message_id or "",
        decision_id=decision.decision_id,
        user_id=decision.user_id,
        campaign_id=decision.campaign_id,
        channel=decision.channel or "",
        reason="stale",
        detail=LOST,
        locale=decision.locale or "",
        target_group=decision.target_group or "",
        product_id=decision.product_id,
        variation_id=decision.variation_id,
        requested_at=decision.decided_at,
        ended_at=max(decision.decided_at, instant(now_s)),
    )
    return Output(OUTCOMES, decision.user_id.encode(), codec.encode(outcome))
