"""Claims that a product's facts do not bear out are rejected, paraphrases and scenes pass; a marketer can allow a word."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.claims import Claim, load, measure
from tests.support.playbooks import SMART_DEVICES, copy_of, playbook, request
from workers.adapters.playbook.loader import examine
from workers.core.guardrails.check import check
from workers.core.guardrails.checks.claims import CLAIMS as CLAIM_TABLE
from workers.core.guardrails.grounding.lexicon import lexicon

LABELLED = Path(__file__).resolve().parents[1] / "labelled"
#: Written while the guardrail was; and by another hand, without sight of it.
CLAIMS, OTHERS = load(LABELLED / "claims_dev.yaml"), load(LABELLED / "claims.yaml")


def reason(text: str, product: ProductFacts | str = "smart-band", language: str = "en", words: str = "") -> str:
    """What the guardrails say, without a checker, of the claims of an English or Chinese push message; "" = nothing."""
    marketing = playbook()
    if words:
        policy = msgspec.structs.replace(marketing.policy, neutral_words={language: [words]})
        marketing = msgspec.structs.replace(marketing, policy=policy)
    about = request(product, language=language)
    verdicts = check(MessageText(title=about.product.name or "Hello", body=text), about, marketing)
    of_claims = (verdict for verdict in verdicts if verdict.name in ("claims", "unsupported"))
    return next((verdict.detail for verdict in of_claims if not verdict.passed), "")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("claims", [CLAIMS, OTHERS], ids=["own", "others"])
def test_of_the_labelled_claims_the_false_ones_are_rejected_and_few_true_ones_are(
    claims: list[Claim], language: str
) -> None:
    measured = measure([claim for claim in claims if claim.language == language])
    assert measured.recall >= 0.98, measured.missed
    assert measured.false_rejects <= 0.05, measured.wronged


def test_the_labelled_claims_are_many_and_of_every_product() -> None:
    kinds = Counter((claim.product, claim.language, claim.grounded) for claim in CLAIMS)
    assert len(CLAIMS) >= 200
    assert len({claim.id for claim in CLAIMS}) == len(CLAIMS)
    assert set(kinds) == {
        (product, language, grounded)
        for product in playbook().products
        for language in ("zh", "en")
        for grounded in (False, True)
    }


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("The Smart Band nudges you to move.", "en", '"nudges"'),
        ("Plans your training for the week.", "en", '"plans" (agency)'),
        ("It tracks your spending all week.", "en", '"tracks spending week"'),
        ("智能手环帮你规划训练。", "zh", '"规划"'),
        ("智能手环可以遥控电视。", "zh", '"遥控"'),
    ],
)
def test_the_reason_names_the_words_that_nobody_stated(text: str, language: str, found: str) -> None:
    assert reason(text, language=language).startswith(found)


@pytest.mark.parametrize("sport", ["soccer", "climbing", "cycling", "bike", "bikes", "biking", "骑行", "登山"])
def test_every_sport_of_the_list_is_a_claim(sport: str) -> None:
    text = f"支持{sport}" if sport > "z" else f"tracks your {sport}"
    assert CLAIM_TABLE.ungrounded(text, "") == ("kinds of sport", text)
    assert CLAIM_TABLE.ungrounded(text, f"{text}, and others") is None


def test_a_marketer_allows_a_word_or_a_phrase() -> None:
    text = "A gizmo for wizards: the Smart Band."
    assert "gizmo" in reason(text) or "wizards" in reason(text)
    assert reason(text, words="gizmo") == ""
    assert reason("Ein Smart Band wie gerufen, in your cart.")
    assert reason("Ein Smart Band wie gerufen, in your cart.", words="ein smart band wie gerufen") == ""


def test_a_fact_is_a_word_of_its_own_product_only() -> None:
    assert reason("Soft silicone for your wrist, still in your cart.", "band-strap-sport") == ""
    assert "silicone" in reason("Soft silicone for your wrist, still in your cart.")


def test_one_word_that_is_in_no_list_passes_and_two_do_not() -> None:
    assert reason("The Smart Band, from the fjord to the city.") == ""
    assert "tundra" in reason("The Smart Band, from the fjord to the tundra.")


def test_a_product_of_which_no_fact_is_known_and_a_language_without_lexicon_are_not_asked_for_more() -> None:
    stranger = ProductFacts(product_id="x", name="Garden Gloves")
    assert reason("The Garden Gloves dance a merry jig in the moonlit orchard.", stranger) == ""
    known = ProductFacts(product_id="x", name="Gartenhandschuhe", facts=["fester Griff"])
    assert lexicon("de").neutral == frozenset()
    about = request(known, language="de")
    text = MessageText(title="Gartenhandschuhe", body="Gartenhandschuhe tanzen im mondhellen Obstgarten.")
    assert all(
        verdict.passed
        for verdict in check(text, about, playbook())
        if verdict.name in ("claims", "offers", "unsupported")
    )


def test_the_end_of_one_field_and_the_beginning_of_the_next_are_no_word() -> None:
    about = request("wireless-earphones", language="zh")
    text = MessageText(title="看看无线耳机", body="会根据心情选歌。")
    assert any("会根据" in verdict.detail for verdict in check(text, about, playbook()))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_neutral_word_of_more_than_a_character_claims(language: str) -> None:
    known = lexicon(language)
    assert len(known.neutral) > 2000
    assert {word for word in known.neutral & known.claiming if language == "zh" and len(word) > 1} == set()


def test_neutral_words_of_an_unknown_language_are_a_mistake(tmp_path: Path) -> None:
    folder = copy_of(SMART_DEVICES, tmp_path / "playbook")
    policy = folder / "policy.yaml"
    policy.write_text(policy.read_text().replace("neutral_words:\n  zh:", "neutral_words:\n  xx:"))
    _, problems = examine(folder)
    assert any(problem.field == "neutral_words.xx" for problem in problems)


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("The Smart Band runs for up to 7 days.", True),
        ("The Smart Band runs for more than 7 days.", False),
        ("The Smart Band runs for 7 days or more.", False),
        ("The Smart Band keeps 7 days of sleep data.", False),
        ("The Smart Band charges in just 7 days.", False),
        ("A fortnight of battery for the Smart Band.", False),
        ("The Smart Band has 7 ways to train.", False),
    ],
)
def test_a_right_number_on_the_wrong_thing_is_rejected(body: str, passes: bool) -> None:
    checked = check(MessageText(title="Smart Band", body=body), request(), playbook())
    assert next(verdict for verdict in checked if verdict.name == "numbers").passed is passes
