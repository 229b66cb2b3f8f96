"""Filling the pool: what is missing, what is written, what is too near to what there is, what must not be approved."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from schemas.learning import ArmStatistics, PoolEntry
from schemas.messages import Candidate, LlmUsage, MessageRequest, MessageText
from tests.support.playbooks import CAMPAIGN, NOW, models, playbook, request
from tests.support.pool import TEXTS, entry, pool_of, pooled_playbook
from workers.commands.content.pool_filler import Filling, Row
from workers.core.experimentation import arms
from workers.core.generation.pool.entries import key_of
from workers.core.generation.pool.planning import PoolFilter, PoolGap, entry_of, gaps, objections, request_for
from workers.core.generation.pool.selection import Pooled
from workers.core.reporting.standings import losing_arms
from workers.core.text.similarity import is_near, similarity

ONE = PoolFilter(channels=["push"], languages=["en"], groups=["sports"], products=["smart-band"])
BODIES = (
    "Workout recording and sleep tracking: your Smart Band is still in your cart.",
    "Your Smart Band is waiting in the cart, with heart-rate monitoring and a comfortable fit.",
    "Up to 7 days of battery life, and it is all yours to look at: the Smart Band.",
    "An overview of your health in one look: come back to your Smart Band.",
)


def missing(entries: list[PoolEntry] | None = None, wanted: PoolFilter = ONE) -> list[PoolGap]:
    """The gaps of the pooled campaign."""
    known = pooled_playbook()
    return gaps(known, [known.campaigns[CAMPAIGN]], wanted, entries or [])


def test_every_combination_that_the_campaign_can_ask_for_is_a_key() -> None:
    known = pooled_playbook()
    found = missing(wanted=PoolFilter())
    expected = 2 * len(known.campaigns[CAMPAIGN].channels) * 2 * 3 * len(known.products)
    assert len(found) == len({gap.key for gap in found}) == expected
    assert {gap.arm.id for gap in found} == {"plain", "question"}
    assert {gap.key.channel for gap in found} == {"push", "email"}


def test_where_a_provider_has_the_texts_nothing_is_written_approved_or_served() -> None:
    known = pooled_playbook()
    campaign = msgspec.structs.replace(known.campaigns[CAMPAIGN], channels=["sms"])
    by_sms = gaps(known, [campaign], msgspec.structs.replace(ONE, channels=(), languages=()), [])
    assert {gap.key.language for gap in by_sms} == {"en"}
    chinese = entry(0, channel="sms", language="zh")
    assert objections(known, chinese, NOW) == ["sms sends provider templates in zh"]
    shelf = pool_of([chinese]).current
    assert Pooled(known, lambda: shelf).draw(request(language="zh", channel="sms"), NOW) is None


def test_tones_are_arms_too() -> None:
    known = playbook()
    found = gaps(known, [known.campaigns[CAMPAIGN]], ONE, [])
    assert [gap.arm.id for gap in found] == list(arms.sending(known.campaigns[CAMPAIGN]))
    assert {gap.key.tone for gap in found} == {"warm", "brisk"}


def test_drafts_and_approved_texts_count_and_what_was_rejected_is_remembered() -> None:
    entries = [entry(0), entry(1, status="draft"), entry(2, status="rejected"), entry(3, status="retired")]
    plain, question = missing([*entries, entry(4, product_id="ear-tips")])
    assert (plain.key, plain.have, len(plain.texts)) == (key_of(entry(0)), 2, 4)
    assert (question.have, question.texts) == (0, ())


def test_a_request_asks_for_what_its_key_says_at_the_lowest_priority() -> None:
    asked = asked_for(missing()[0], "1")
    assert (asked.priority, asked.template, asked.tone) == (0, CAMPAIGN, None)
    assert (asked.product.name, asked.product.quantity) == ("Smart Band", 1)
    assert asked.message_id == asked_for(missing()[0], "1").message_id
    assert len({asked_for(gap, number).message_id for gap in missing() for number in "12"}) == 4


def asked_for(gap: PoolGap, number: str) -> MessageRequest:
    return request_for(
        pooled_playbook(), gap.key, number=number, variation_id=gap.arm.id, requested_at=NOW, deadline_at=NOW
    )


def candidate(body: str, asked: MessageRequest | None = None, **fields: Any) -> Candidate:
    """What the LLM wrote."""
    values: dict[str, Any] = {
        "message_id": asked.message_id if asked else "m",
        "user_id": "nobody",
        "text": MessageText(title="Still thinking it over?", body=body),
        "generated_by": "llm",
        "usage": LlmUsage(model="tiny", calls=1, input_tokens=100, output_tokens=20),
        "prompt_version": "p",
        "generated_at": NOW,
    }
    return Candidate(**(values | fields))


def test_a_text_becomes_a_draft_with_the_products_name_as_a_slot() -> None:
    gap = missing()[0]
    made = entry_of(pooled_playbook(), gap, candidate(BODIES[0]), NOW)
    assert made.text.body == BODIES[0].replace("Smart Band", "{product_name}")
    assert (made.slots, made.status, made.model) == (["product_name"], "draft", "tiny")
    assert (made.variation_id, key_of(made)) == ("plain", gap.key)
    assert made.playbook_version == pooled_playbook().version
    assert objections(pooled_playbook(), made, NOW, models()) == []
    later = entry_of(pooled_playbook(), gap, candidate(BODIES[0]), NOW + timedelta(days=1))
    assert later.entry_id == made.entry_id != entry_of(pooled_playbook(), gap, candidate(BODIES[1]), NOW).entry_id


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (
            {"text": MessageText(title="Your band", body="Only today 50% off: {product_name}, in your cart.")},
            "numbers: ",
        ),
        ({"text": MessageText(title="Hi {first_name}", body=TEXTS[0].body)}, "unknown slot {first_name}"),
        ({"text": MessageText(title="Your cart", body="{brand} makes it: the {product_name}.")}, "a slot has no value"),
        ({"campaign_id": "gone"}, "the playbook has no campaign gone"),
        ({"channel": "fax"}, "the playbook has no channel fax"),
        ({"language": "fr"}, "the playbook has no language fr"),
        ({"target_group": "generic"}, "the playbook has no target group generic"),
        ({"product_id": "gone"}, "the playbook has no product gone"),
        ({"tone": "warm"}, "has no arm with prompt 'cart-abandonment' and tone 'warm'"),
        ({"prompt": ""}, "has no arm with prompt ''"),
    ],
)
def test_what_no_longer_holds_is_not_approved_and_says_why(fields: dict[str, Any], why: str) -> None:
    found = objections(pooled_playbook(), entry(0, **fields), NOW, models())
    assert any(why in objection for objection in found), found


# -- near-duplicates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("Your band is still in your cart.", "your band is still in YOUR cart!", True),
        (
            "Workout recording: your band is still in your cart, ready to go.",
            "Workout recording: your band is still in your cart, ready.",
            True,
        ),
        ("Your band is still in your cart.", "Come back to sleep tracking and more.", False),
        ("购物车里的手环在等你，睡眠监测随时开始。", "购物车里的手环在等你，睡眠监测随时开始！", True),
        ("购物车里的手环在等你。", "运动记录和心率监测都有。", False),
        ("", "", True),
        ("hi", "hi", True),
        ("hi", "ho", False),
    ],
)
def test_texts_with_nearly_the_same_letters_are_one(one: str, other: str, near: bool) -> None:
    assert is_near(MessageText(body=one), MessageText(body=other)) is near
    assert similarity(MessageText(body=one), MessageText(body=other)) == similarity(
        MessageText(body=other), MessageText(body=one)
    )


# -- filling -----------------------------------------------------------------------------------------------------------


class Pen:
    """Writes the given candidates one after the other, the last for ever."""

    def __init__(self, *bodies: str | Candidate) -> None:
        self.asked: list[MessageRequest] = []
        self._bodies = bodies

    async def write(self, asked: MessageRequest) -> Candidate:
        self.asked.append(asked)
        body = self._bodies[min(len(self.asked), len(self._bodies)) - 1]
        return candidate(body, asked) if isinstance(body, str) else body


def filled(pen: Pen, found: list[PoolGap], count: int = 2, **options: Any) -> tuple[list[PoolEntry], Filling]:
    """What filling wrote."""
    entries: list[PoolEntry] = []

    async def put(new: list[PoolEntry]) -> None:
        entries.extend(new)

    filling = Filling(pooled_playbook(), pen.write, put, models(), count=count, in_flight=1, deadline_s=20.0, **options)
    asyncio.run(filling.run(found, NOW))
    return entries, filling


def test_a_key_gets_as_many_distinct_texts_as_asked_for() -> None:
    entries, filling = filled(Pen(BODIES[0], BODIES[0].replace(" still", ""), BODIES[1], BODIES[2]), missing()[:1])
    assert [one.text.body for one in entries] == [body.replace("Smart Band", "{product_name}") for body in BODIES[:2]]
    row = Row(requested=3, passed=3, duplicates=1, written=2, input_tokens=300, output_tokens=60)
    assert filling.rows == {(CAMPAIGN, "en", "push"): row}


def test_what_is_there_counts_and_what_was_rejected_is_not_written_again() -> None:
    entries = [entry(0), entry(1, status="rejected")]
    again = TEXTS[1].body.replace("{product_name}", "Smart Band")
    same = candidate(again, text=MessageText(title=TEXTS[1].title, body=again))
    pen = Pen(same, BODIES[3])
    written, filling = filled(pen, missing(entries)[:1])
    assert [one.text.body for one in written] == [BODIES[3].replace("Smart Band", "{product_name}")]
    assert filling.rows[CAMPAIGN, "en", "push"].duplicates == 1
    _, none = filled(pen, missing([entry(0), entry(1)])[:1])
    assert none.rows[CAMPAIGN, "en", "push"] == Row()


def test_a_key_that_gets_no_text_is_given_up_and_said_to_be_short() -> None:
    template = candidate(BODIES[0], generated_by="template", failure="guardrail")
    pen = Pen(template)
    written, filling = filled(pen, missing()[:1])
    assert (written, len(pen.asked), filling.rejections) == ([], 6, {"guardrail": 6})
    assert filling.rows[CAMPAIGN, "en", "push"].short == 1
    assert len({asked.message_id for asked in pen.asked}) == 6
    assert not filling.llm_unavailable


def test_a_dead_llm_ends_the_filling_after_a_few_texts() -> None:
    pen = Pen(candidate(BODIES[0], generated_by="template", failure="deadline"))
    _, filling = filled(pen, missing(wanted=PoolFilter()), count=5)
    assert filling.llm_unavailable
    assert len(pen.asked) == 5


def test_who_asks_to_stop_waits_only_for_what_is_in_work() -> None:
    pen = Pen(*BODIES)
    everybody = msgspec.structs.replace(ONE, groups=())
    written, _ = filled(pen, missing(wanted=everybody), stopped=lambda: len(pen.asked) >= 2)
    assert len(pen.asked) == len(written) == 2


# -- arms that lose ----------------------------------------------------------------------------------------------------


def test_an_arm_that_the_policy_hardly_draws_any_more_is_losing() -> None:
    def statistics(arm: str, rewards: float) -> ArmStatistics:
        return ArmStatistics(arm=arm, context="sports", trials=500, rewards=rewards, reward_squares=rewards)

    known = {arm: statistics(arm, 100) for arm in arms.names(pooled_playbook().campaigns[CAMPAIGN])}
    assert losing_arms(pooled_playbook(), {CAMPAIGN: {"sports": known}}) == frozenset()
    known["question"] = statistics("question", 5)
    assert losing_arms(pooled_playbook(), {CAMPAIGN: {"sports": known}, "gone": {"sports": known}}) == {
        (CAMPAIGN, "sports", "question")
    }
    assert losing_arms(msgspec.structs.replace(pooled_playbook(), campaigns={}), {CAMPAIGN: {"sports": known}}) == set()
