"""Texts that no shop may send, about any product: each is rejected by its guardrail, and its harmless neighbour passes."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.playbooks import facts, playbook, request
from workers.core.guardrails.check import check

BAD: dict[str, tuple[str, ...]] = {
    "payment": (
        "Your payment could not be processed. Please try again from your cart.",
        "Confirm your card details to keep what you picked.",
        "There is an outstanding balance on your cart.",
        "Pay now and it is yours before the weekend.",
        "We will need your bank account to hold the item.",
        "您的付款未成功，请重新输入银行卡信息。",
        "请尽快核对支付信息，以免影响使用。",
        "还有一笔尾款待确认，点开看看。",
        "账户有欠费，处理后即可继续。",
    ),
    "account": (
        "Please verify your account to see your cart again.",
        "Your membership will be cancelled unless you come back.",
        "Unusual activity was found; log in again to be safe.",
        "Security notice: your profile is on hold.",
        "Your points are at risk: keep your membership today.",
        "您的账号存在异常，请及时验证。",
        "会员资格即将失效，回来激活一下吧。",
        "为了账户安全，请完成实名认证。",
        "积分将在月底清零，快来看看。",
    ),
    "order_state": (
        "Your order has been shipped and is on its way.",
        "Your parcel is held at customs; have a look.",
        "Good news: the refund was approved this morning.",
        "Track your package from the link in your cart.",
        "The courier could not reach you today.",
        "您的订单已发货，请注意查收。",
        "包裹滞留在站点，点开查看。",
        "退款已到账，回来再看看吧。",
        "快件正在派送，请保持电话畅通。",
    ),
    "tracking": (
        "We saw you looking at it again at work.",
        "You have viewed this page seven times since Monday.",
        "We know where you like to run in the evening.",
        "You spent twelve minutes on it last night.",
        "Based on your location, it would suit you.",
        "You were near our store yesterday, so here it is.",
        "我们看到您昨晚又在看它。",
        "您这周已经浏览了六次。",
        "根据您的位置信息，为您挑了它。",
        "昨天您路过我们附近的商场，顺便看看它吧。",
    ),
    "sensitive": (
        "Now that you are pregnant, a little calm helps.",
        "At your age, simple things matter.",
        "Something kind for your depression.",
        "Because you are single, treat yourself.",
        "A modest pick that suits your income.",
        "Be kind to your bad back.",
        "A calm evening, after your divorce.",
        "As a single mum, you deserve a break.",
        "Money is tight? It is a modest pick.",
        "With the baby on the way, rest matters.",
        "您怀孕期间正需要它。",
        "您的血压偏高，更该好好照顾自己。",
        "独居的您，也值得拥有它。",
        "手头不宽裕，也可以看看它。",
        "到了您这个年纪，更要对自己好一点。",
        "作为穆斯林，您会喜欢它。",
        "最近失恋的您，值得拥有它。",
        "考虑到您的收入水平，它刚刚好。",
    ),
}
#: Good copy that speaks of similar things.
GOOD: tuple[str, ...] = (
    "It is still in your cart. Complete your order whenever you like.",
    "Your cart is saved, so you can pick up where you left off.",
    "We saved it for you. Have another look when it suits you.",
    "Order at your own pace; nothing here runs away.",
    "You looked around the other day. Here is your pick again.",
    "You know where to find it: right in your cart.",
    "We noticed you left something in your cart.",
    "You have come back to it a few times. Maybe today is the day.",
    "Charge it overnight and you are set: you charge it once a week.",
    "A slim profile and noise cancelling for busy trains.",
    "Pay us a visit, or have another look at your cart.",
    "A long overdue break, within reach.",
    "Complete your power bank set whenever you like.",
    "Check the rolling pin that you picked.",
    "Light enough to be held in one hand, item by item.",
    "We know you are busy, so we kept it short.",
    "Protect your camera, your calendar stays yours.",
    "A courier bag for city days.",
    "Your every single day, made a little easier.",
    "A small treat for the age of endless meetings.",
    "Sign in any time to find it again.",
    "A single look may be enough to decide.",
    "Back from a long day? It is where you left it.",
    "The weekend is on the way.",
    "For mums, dads and everyone who deserves a quiet minute.",
    "Your weekend, your way.",
    "What you picked goes on your list of good ideas.",
    "Take it along to the office, the park or the sofa.",
    "它还在购物车里，想好了再下单也不迟。",
    "您挑中的好物已经为您留在购物车里，有空回来看看吧。",
    "上次看过的它，还在原来的位置等您。",
    "下单之前，不妨再看一眼。",
    "看您来回看了几次，是不是还在犹豫？",
    "一个人的周末，也可以很有意思。",
    "给忙碌的自己一点小小的心意。",
    "喜欢就慢慢选，不着急。",
    "一家人的周末，从一个小决定开始。",
    "让您的行程更从容。",
    "给您的相册添一点新意。",
    "您已下单的手环，可以搭配它。",
    "逛了一圈，还是它最合您的眼缘？回来看看吧。",
    "买单之前再想想也没关系，购物车替您记着。",
)
UNDESCRIBED = ProductFacts(product_id="4711")


class Case(NamedTuple):
    guardrail: str
    text: str


def rejected_by(text: str, product: ProductFacts) -> dict[str, str]:
    language = "zh" if any("\u3400" <= character <= "\u9fff" for character in text) else "en"
    about = request(product, language=language)
    verdicts = check(MessageText(title="Hello there", body=text), about, playbook())
    return {verdict.name: verdict.detail for verdict in verdicts if not verdict.passed}


@pytest.mark.parametrize("case", [Case(name, text) for name, texts in BAD.items() for text in texts], ids=str)
@pytest.mark.parametrize("described", [True, False], ids=["with facts", "without facts"])
def test_a_bad_text_is_rejected_by_the_guardrail_of_its_kind_with_the_words(case: Case, described: bool) -> None:
    language = "zh" if any("\u3400" <= character <= "\u9fff" for character in case.text) else "en"
    found = rejected_by(case.text, facts("smart-band", language) if described else UNDESCRIBED)
    assert case.guardrail in found
    quoted = found[case.guardrail].split('"')[1]
    assert quoted in case.text.casefold()


@pytest.mark.parametrize("text", GOOD)
def test_a_good_text_about_similar_things_is_not(text: str) -> None:
    assert BAD.keys() & rejected_by(text, UNDESCRIBED).keys() == set()


@pytest.mark.parametrize(
    ("fact", "text"),
    [
        ("blood pressure monitoring", "Your blood pressure at a glance."),
        ("supports sore knees", "Made for your sore knees."),
        ("血压监测", "随时了解您的血压。"),
        ("淡化皱纹", "温和呵护您的皱纹。"),
    ],
)
def test_a_body_value_that_the_facts_name_may_be_named(fact: str, text: str) -> None:
    product = ProductFacts(product_id="x", name="X", facts=[fact])
    assert "sensitive" not in rejected_by(text, product)
    assert "sensitive" in rejected_by(text, UNDESCRIBED)


def test_a_private_matter_that_the_facts_name_may_be_named() -> None:
    cream = ProductFacts(product_id="cream", name="Cream", facts=["for skin prone to acne"])
    text = "A cream for your acne, still in your cart."
    assert "sensitive" not in rejected_by(text, cream)
    assert "sensitive" in rejected_by(text, UNDESCRIBED)
