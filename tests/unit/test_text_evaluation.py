"""Evaluating a model's texts: which are tried, how they are counted, and a reader who cannot be fooled by chance."""

from __future__ import annotations

import random

import msgspec

from schemas.messages import Candidate, GuardrailVerdict, LlmUsage, MessageRequest, MessageText
from tests.support.playbooks import NOW, playbook
from tests.unit.labelled_texts import push
from workers.core.experimentation import arms
from workers.core.generation.evaluation.group_recovery import Labelled, recover
from workers.core.generation.evaluation.pass_rates import Written, evaluate
from workers.core.generation.sample_requests import Scope, requests

GOOD = push("Your Smart Band", "Your Smart Band with sleep tracking is still in your cart.")
GROUPS = ("young", "sports", "business")


def candidate(request: MessageRequest, calls: int, text: MessageText = GOOD, failure: str = "") -> Candidate:
    return Candidate(
        message_id=request.message_id,
        user_id="eval",
        text=text,
        generated_by="template" if failure else "llm",
        failure=failure,
        verdicts=[GuardrailVerdict(name="offers", passed=False)] if failure == "guardrail" else [],
        usage=LlmUsage(model="m", calls=calls, input_tokens=100 * calls, output_tokens=10 * calls),
        generated_at=NOW,
    )


def test_every_product_group_language_and_channel_is_tried_in_every_arm() -> None:
    known = playbook()
    campaign, everywhere = known.campaigns["cart-abandonment"], tuple(known.channels)
    asked = list(requests(known, Scope(campaigns=("cart-abandonment",), each=4), NOW, 20.0))
    assert len(asked) == len(known.products) * 3 * 2 * len(campaign.channels) * 4
    assert len({request.message_id for request in asked}) == len(asked)
    scope = Scope(campaigns=("cart-abandonment",), channels=everywhere, each=1)
    in_turn = list(requests(known, scope, NOW, 20.0))
    for channel in known.channels:
        tried = {request.variation_id for request in in_turn if request.channel == channel}
        assert tried == set(arms.sending(known.campaigns["cart-abandonment"]))
    assert asked == list(requests(known, Scope(campaigns=("cart-abandonment",), each=4), NOW, 20.0))
    written = {(request.language, request.channel) for request in in_turn}
    assert written == {(language, channel) for language in known.languages for channel in known.channels} - {
        ("zh", "sms")  # there the model writes nothing: a provider's template leaves
    }


def test_a_scope_narrows_down() -> None:
    scope = Scope(
        campaigns=("cross-sell",),
        products=("smart-band",),
        groups=("young",),
        languages=("en",),
        channels=("push",),
        each=1,
    )
    (request,) = requests(playbook(), scope, NOW, 20.0)
    assert (request.product.product_id, request.target_group, request.language) == ("smart-band", "young", "en")


def test_texts_are_counted_by_the_way_in_which_they_came() -> None:
    scope = Scope(
        campaigns=("cart-abandonment",), products=("smart-band",), languages=("en",), channels=("push",), each=2
    )
    asked = list(requests(playbook(), scope, NOW, 20.0))
    ways = [(1, ""), (1, ""), (1, ""), (2, ""), (2, "guardrail"), (0, "language")]
    written = [Written(one, candidate(one, calls, failure=why)) for one, (calls, why) in zip(asked, ways, strict=True)]
    found = evaluate(playbook(), written)
    (row,) = found.rows
    assert (row.language, row.channel, row.texts) == ("en", "push", 6)
    assert (row.first.value, row.after_reask, row.template) == (0.5, 1, 2)
    assert row.first.low < 0.5 < row.first.high
    assert found.failures == {"guardrail": 1, "language": 1}
    assert found.rejections == {"offers": 1}
    assert (found.calls, found.input_tokens, found.output_tokens, found.model) == (7, 700, 70, "m")
    assert found.unfit == 0


def test_a_text_that_should_not_have_passed_is_found() -> None:
    scope = Scope(
        campaigns=("cart-abandonment",), products=("smart-band",), languages=("en",), channels=("push",), each=1
    )
    asked = list(requests(playbook(), scope, NOW, 20.0))
    worse = msgspec.structs.replace(GOOD, body="Half price today: your Smart Band is in your cart.")
    assert evaluate(playbook(), [Written(one, candidate(one, 1, worse)) for one in asked]).unfit == len(asked)


# -- the blind reader ----------------------------------------------------------------------------------------------------


def texts(words: dict[str, list[str]], count: int = 40, *, seed: int = 1) -> list[Labelled]:
    draw = random.Random(seed)
    common = ["your", "band", "is", "still", "here", "look", "again", "cart", "waits", "nice"]
    return [
        Labelled(" ".join(draw.choices([*common, *words.get(group, [])], k=12)), group, str(cell))
        for cell in range(count)
        for group in GROUPS
    ]


def test_groups_with_words_of_their_own_are_told_apart() -> None:
    found = recover(texts({"young": ["trendy"] * 5, "sports": ["workout"] * 5, "business": ["elegant"] * 5}), [])
    assert found is not None
    assert found.share.low > 0.8
    assert (found.texts, found.chance) == (120, 1 / 3)


def test_texts_without_any_difference_are_told_apart_by_chance_only() -> None:
    shares = [found.share.value for seed in range(10) if (found := recover(texts({}, seed=seed), [])) is not None]
    assert abs(sum(shares) / len(shares) - 1 / 3) < 0.06  # four standard errors of 1,200 guesses


def test_masked_words_do_not_give_a_group_away() -> None:
    given_away = texts({group: [f"{group}ster"] * 20 for group in GROUPS})
    open_, masked = recover(given_away, []), recover(given_away, [f"{group}ster" for group in GROUPS])
    assert open_ is not None
    assert masked is not None
    assert open_.share.value > 0.9
    assert masked.share.low < 0.5


def test_chinese_is_read_in_pairs_of_characters() -> None:
    words = {"young": "潮流出街有型", "sports": "运动挥汗出发", "business": "商务沉稳从容"}
    found = recover(
        [Labelled(f"你的手环{words[group]}在等你", group, str(cell)) for cell in range(20) for group in GROUPS], []
    )
    assert found is not None
    assert found.share.value == 1.0


def test_texts_of_one_group_or_one_cell_prove_nothing() -> None:
    assert recover([Labelled("a", "young", str(cell)) for cell in range(9)], []) is None
    assert recover([Labelled("a", group, "one") for group in GROUPS], []) is None
    assert recover([], []) is None
