"""Where a veto ends: words of everyday copy pass, and the same words in a claim, an offer or a threat do not."""

from __future__ import annotations

import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.playbooks import models, playbook
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check

#: Guardrails that this page is about; the others need a whole message.
VETOES = ("market", "offers", "names", "brand_safety", "personal_data", "payment", "account", "meta", "sensitive")
PRODUCT = ProductFacts(product_id="x", name="Alder Lamp", facts=["three levels of light"])

PASSING = [
    # bounds and order, not ranks
    ("zh", "最多能存五个号码。"),
    ("zh", "低档最长能跑三十个小时。"),
    ("zh", "最少也得晾上一整天。"),
    ("zh", "亮度调到最低，能撑三天。"),
    ("zh", "放学路上最怕下雨。"),
    ("zh", "早上最忙的那五分钟。"),
    ("zh", "新的一本，第一页写点什么好？"),
    ("zh", "第一，它只认这一种灯泡。"),
    ("en", "There's no limit, and no one is counting."),
    ("en", "Handmade by her, that's the best part."),
    ("en", "Four strokes, one length of the pool."),
    # what is left, but not in stock
    ("zh", "深夜的宿舍，只剩一盏台灯亮着。"),
    ("zh", "剩下两天泡温泉睡懒觉都行。"),
    ("zh", "不用的时候，一折就平。"),
    ("zh", "等上二十秒没动静，它自己就歇了。"),
    ("en", "Who ate the last one?"),
    ("en", "It comes with a handle."),
    ("en", "A damp cloth deals with it."),
    # words that are not names
    ("en", "When the Wi-Fi sulks again."),
    ("en", "Ask Grandma about babysitting."),
    ("en", "The light comes from LEDs."),
    ("en", "You have two Alders in your cart."),
    ("en", "Picnic under the apple tree?"),
    ("zh", "当个会削苹果的家长就好。"),
    # words that insult nobody
    ("zh", "用完扔垃圾桶，别冲马桶。"),
    ("en", "Please don't leave the brush lying in water."),
    # things have places, passports and passwords, too
    ("en", "Between outings it lives in a padded tube."),
    ("zh", "护照藏在贴着后背的暗袋里。"),
    ("zh", "指纹、密码、门卡都能进。"),
]
REJECTED = [
    ("zh", "最大的一次升级。"),
    ("zh", "最快的一款台灯。"),
    ("zh", "最前沿的科技。"),
    ("zh", "今年最热销的灯。"),
    ("zh", "最适合您的台灯。"),
    ("zh", "最容易上手的灯。"),
    ("zh", "让它成为最好的选择。"),
    ("zh", "做到最好，只为您。"),
    ("zh", "音质第一，值得拥有。"),
    ("zh", "同类第一名。"),
    ("en", "Welcome to the best lamp."),
    ("en", "The best way to read at night."),
    ("en", "It is our no. 1 lamp."),
    ("en", "It helps to prevent strokes."),
    ("zh", "现在只剩3个了！"),
    ("zh", "还剩最后两件。"),
    ("en", "Get the last one!"),
    ("en", "Last one, be quick."),
    ("en", "Only the last pair is here."),
    ("zh", "今天五折。"),
    ("zh", "满200减30。"),
    ("zh", "上架即被秒没。"),
    ("en", "It comes with a gift."),
    ("en", "Our deals are here."),
    ("zh", "完美适配苹果。"),
    ("zh", "苹果手机的好搭档。"),
    ("en", "As good as an Apple."),
    ("en", "Rosa said yes, and Tomas too."),
    ("zh", "你就是个垃圾。"),
    ("en", "Other shops are lying to you."),
    ("en", "Other shops cheat."),
    ("en", "Liars sell lamps."),
    ("en", "Ana lives in Berlin."),
    ("en", "You and Thres will like it."),
    ("zh", "王阿姨住在人民路。"),
    ("zh", "请输入密码。"),
    ("zh", "请提供护照号。"),
    ("en", "Enter your password."),
]


def vetoes(language: str, text: str) -> list[str]:
    about = TextContext(
        language=language, channel="push", product=PRODUCT, locale={"zh": "zh-CN", "en": "en-US"}[language]
    )
    verdicts = check(MessageText(body=text), about, playbook(), models())
    return [
        f"{verdict.name}: {verdict.detail}" for verdict in verdicts if verdict.name in VETOES and not verdict.passed
    ]


@pytest.mark.parametrize(("language", "text"), PASSING)
def test_everyday_copy_passes(language: str, text: str) -> None:
    assert vetoes(language, text) == []


@pytest.mark.parametrize(("language", "text"), REJECTED)
def test_the_same_words_in_a_claim_do_not(language: str, text: str) -> None:
    assert vetoes(language, text)
