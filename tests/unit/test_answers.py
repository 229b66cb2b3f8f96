"""How simulated shoppers answer, and that what they like can be learnt in the two minutes of a demo."""

from __future__ import annotations

from collections import Counter, defaultdict
from heapq import heappop, heappush
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import pytest

from schemas import codec
from schemas.learning import ArmStatistics
from schemas.messages import Decision, Feedback, Message, Provenance
from tests.support.playbooks import playbook
from workers.core.common.timestamps import instant
from workers.core.experimentation.bandit import probabilities
from workers.core.experimentation.logged_decisions import LoggedFeedback
from workers.core.experimentation.off_policy import Comparison, compare
from workers.core.experimentation.sampling import choose
from workers.core.playbook.policy import Rewards
from workers.core.simulation.responses import Answer, Carts, answer, appeal
from workers.core.simulation.shoppers import KINDS, Crowd, behave

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = playbook().products
CROWD = Crowd(PRODUCTS, seed=7, pause_s=1.0)
NOW_S = 1_790_000_000.0
ARMS = ("plain.brisk", "plain.warm", "question.brisk", "question.warm")
OTHER_ARMS = ("base.brisk", "base.warm")
#: Mean reward that the learnt arms must earn over chance in every seeded demo.
MARGIN = 0.03


def message(arm: str = "plain.warm", number: int = 0, user: int = 0, **fields: Any) -> Message:
    values: dict[str, Any] = {
        "message_id": f"m-{number}",
        "idempotency_key": f"m-{number}",
        "user_id": CROWD.persona(user).user_id,
        "channel": "push",
        "campaign_id": "cart-abandonment",
        "variation_id": arm,
        "product_id": "smart-band",
        "locale": "en-US",
        "send_at": instant(NOW_S),
        "expires_at": instant(NOW_S + 60),
        "provenance": Provenance(decision_id=f"d-{number}"),
    }
    return Message(**(values | fields))


def answers_to(one: Message) -> list[Answer]:
    persona = CROWD.of(one.user_id)
    assert persona is not None
    return answer(one, persona, PRODUCTS["smart-band"], "cart-1", 7, NOW_S)


def statuses(answers: list[Answer]) -> list[str]:
    return [what.status if isinstance(what, Feedback) else what["event"] for _, what in answers]


def test_the_same_message_is_answered_the_same_way() -> None:
    assert [answers_to(message(number=number)) for number in range(50)] == [
        answers_to(message(number=number)) for number in range(50)
    ]


def test_answers_come_in_order_and_within_six_seconds() -> None:
    for number in range(2000):
        answers = answers_to(message("question.brisk", number, channel="email"))
        delays = [delay_s for delay_s, _ in answers]
        assert delays == sorted(delays)
        assert delays[-1] < 6.0
        assert statuses(answers)[0] == "sent"
        assert statuses(answers)[1] in ("delivered", "bounced")


def test_feedback_and_orders_are_what_the_topics_take() -> None:
    seen: Counter[str] = Counter()
    for number in range(5000):
        for delay_s, what in answers_to(message("plain.warm", number, channel="email")):
            if isinstance(what, Feedback):
                assert codec.decode(Feedback, codec.encode(what)) == what
                assert what.timestamp == instant(NOW_S + delay_s)
            else:
                assert what["properties"]["cart_id"] == "cart-1"
                assert what["userId"] == CROWD.persona(0).user_id
            seen[what.status if isinstance(what, Feedback) else what["event"]] += 1
    expected = {"sent", "delivered", "bounced", "opened", "clicked", "unsubscribed", "complained", "Order Completed"}
    assert seen.keys() == expected


def test_nothing_follows_a_bounce_an_unsubscribe_or_a_complaint() -> None:
    for number in range(3000):
        found = statuses(answers_to(message("plain.warm", number)))
        for last in ("bounced", "unsubscribed", "complained"):
            assert last not in found[:-1]


def test_each_kind_of_person_likes_another_arm_best() -> None:
    best = {kind: max(ARMS, key=lambda arm: appeal(kind, "cart-abandonment", "push", arm)) for kind in KINDS}
    assert best == {"young": "question.brisk", "sports": "plain.brisk", "business": "question.warm"}


def test_a_tone_that_nobody_knows_is_liked_by_a_hash_of_it() -> None:
    liked = {name: appeal("young", "cart-abandonment", "push", name) for name in ("solemn", "witty", "terse")}
    assert len(set(liked.values())) == 3
    assert all(0 < value <= 1 for value in liked.values())


def test_a_cart_is_bought_once() -> None:
    carts, persona = Carts(), CROWD.persona(0)
    added = {"cart_id": "cart-s1", "session_id": "s1", "product_id": "smart-band"}
    order = persona.order(PRODUCTS["smart-band"], "cart-s1", "o-1", NOW_S)
    assert carts.of(persona.user_id, "smart-band", "other") == "other"
    assert carts.happens(persona.event("track", "e-1", NOW_S, event="Product Added", properties=added))
    assert carts.of(persona.user_id, "smart-band", "other") == "cart-s1"
    assert carts.happens(order)
    assert not carts.happens(order)
    assert carts.of(persona.user_id, "smart-band", "other") == "other"


class SmallDemo:
    """Shoppers, four simple triggers, the bandit and the answers, without Kafka: what `attune demo` does in `seconds`."""

    def __init__(self, seed: int, shoppers: int, seconds: float, loop_s: float = 2.0) -> None:
        self.crowd = Crowd(PRODUCTS, seed, 1.0)
        self.evaluation = LoggedFeedback(Rewards(), 240.0)
        self.reasons: Counter[str] = Counter()
        self.campaigns: Counter[str] = Counter()
        self._carts, self._rng, self._seed, self._loop_s = Carts(), Random(seed), seed, loop_s
        self._queue: list[tuple[float, int, Any]] = []
        self._timers: dict[tuple[str, str], float] = {}
        self._sent: Counter[str] = Counter()
        self._number = 0
        self._silent: set[tuple[str, str]] = set()
        self._learnt: dict[tuple[str, str], dict[str, ArmStatistics]] = {}
        self._learnt_at_s = 0.0
        for at_s, event in takewhile(lambda planned: planned[0] < NOW_S + seconds, behave(self.crowd, shoppers, NOW_S)):
            self._push(at_s, event)
        while self._queue:
            at_s, _, what = heappop(self._queue)
            self._happen(at_s, what)

    def _push(self, at_s: float, what: Any) -> None:
        self._number += 1
        heappush(self._queue, (at_s, self._number, what))

    def _happen(self, at_s: float, what: Any) -> None:
        if isinstance(what, Feedback):
            self.evaluation.add(what)
            if what.status in ("unsubscribed", "complained"):
                self._silent.add((what.user_id, what.channel))
        elif isinstance(what, dict):
            self._event(at_s, what)
        else:
            user_id, campaign, product_id, armed_at_s = what
            if self._timers.get((user_id, campaign)) == armed_at_s:
                self._decide(at_s, user_id, campaign, product_id)

    def _event(self, at_s: float, event: dict[str, Any]) -> None:
        if "userId" not in event or not self._carts.happens(event):
            return
        user_id, properties = event["userId"], event.get("properties", {})
        match event.get("event"):
            case "Product Viewed":
                self._arm(at_s, user_id, "browse-abandonment", properties["product_id"], 10.0)
            case "Product Added":
                self._timers.pop((user_id, "browse-abandonment"), None)
                self._arm(at_s, user_id, "cart-abandonment", properties["product_id"], 5.0)
            case "Order Completed":
                self._timers.pop((user_id, "browse-abandonment"), None)
                self._timers.pop((user_id, "cart-abandonment"), None)
                self._arm(at_s, user_id, "cross-sell", "charging-case", 10.0)
                self.evaluation.add(codec.decode_event(codec.encode(event)))

    def _arm(self, at_s: float, user_id: str, campaign: str, product_id: str, delay_s: float) -> None:
        self._timers[user_id, campaign] = at_s
        self._push(at_s + delay_s, (user_id, campaign, product_id, at_s))

    def _decide(self, at_s: float, user_id: str, campaign: str, product_id: str) -> None:
        persona = self.crowd.of(user_id)
        assert persona is not None
        allowed = [name for name, granted in persona.consents if granted and (user_id, name) not in self._silent]
        if not allowed or self._sent[user_id] >= 3:
            self.reasons["consent or cap"] += 1
            return
        if at_s - self._learnt_at_s > self._loop_s:
            self._learn(at_s)
        arms = [*(ARMS if campaign == "cart-abandonment" else OTHER_ARMS), "no-send"]
        chances = probabilities(self._learnt.get((campaign, persona.kind), {}), arms, 0.1, 4.0)
        number = f"{self._seed}-{self.reasons.total()}"
        arm = choose(chances, number)
        sends = arm != "no-send"
        self.reasons["requested" if sends else "no_action_chosen"] += 1
        self.campaigns[campaign] += 1
        self.evaluation.add(
            Decision(
                decision_id=f"d-{number}",
                user_id=user_id,
                campaign_id=campaign,
                occurrence_id=number,
                trigger=campaign,
                decided_at=instant(at_s),
                reason="requested" if sends else "no_action_chosen",
                message_id=f"m-{number}" if sends else None,
                variation_id=arm,
                target_group=persona.kind,
                propensity=chances[arm],
                propensities=chances,
            )
        )
        if sends:
            self._sent[user_id] += 1
            sent = message(arm, user_id=user_id, message_id=f"m-{number}", campaign_id=campaign, channel=allowed[0])
            cart_id = self._carts.of(user_id, product_id, f"cart-{number}")
            for delay_s, what in answer(sent, persona, PRODUCTS[product_id], cart_id, self._seed, at_s + 1.0):
                self._push(at_s + 1.0 + delay_s, what)

    def _learn(self, at_s: float) -> None:
        """What is known of decisions that are old enough to have been answered."""
        self._learnt_at_s = at_s
        sums: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for one in self.evaluation.scored():
            if one.decided_at_s < at_s - 8.0:
                sums[one.campaign_id, one.target_group][one.arm].append(one.reward)
        self._learnt = {
            context: {
                arm: ArmStatistics(arm=arm, trials=len(r), rewards=sum(r), reward_squares=sum(x * x for x in r))
                for arm, r in arms.items()
            }
            for context, arms in sums.items()
        }


@pytest.mark.parametrize("seed", [7, 11, 23])
def test_two_minutes_are_enough_to_learn(seed: int) -> None:
    demo = SmallDemo(seed, shoppers=300, seconds=120.0)
    found = compare(demo.evaluation.scored(), Random(seed), resamples=300)
    assert isinstance(found, Comparison)
    assert found.difference.low > MARGIN, found
    assert set(demo.campaigns) == {"cart-abandonment", "browse-abandonment", "cross-sell"}
