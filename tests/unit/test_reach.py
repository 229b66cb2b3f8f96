"""Ways to reach somebody, and personal data: every alternative of the patterns has a text that nothing else finds."""

from __future__ import annotations

import importlib
import re

import msgspec
import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.playbooks import playbook, request
from workers.core.guardrails.checks.contact import contact, contact_detail
from workers.core.guardrails.checks.privacy import PERSONAL, leaks, personal_data
from workers.core.guardrails.grounding.subject import Subject, subject
from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.playbook.copy import Prompt

REACH = {
    "a link": [
        "look here: a:// is it",
        "look at /offer today",
        "look at \\\\share today",
        "h tt p is it",
        "w w w is it",
        "xn--bcher is it",
        "so %2f is it",
        "so ?ref=7 is it",
        "so mailto: is it",
        "so data:text/ is it",
        "shop dot com is it",
        "shop [.] net is it",
        "shop点cn见",
        "shop.xx/y is it",
        "so 10.0.0.1 is it",
        "so 0xdeadbeef is it",
        "so fe80:1:2: is it",
        "so ::1 is it",
        "the link in our bio",
        "点击下面的链接",
        "scan the qr today",
        "扫一扫",
        "扫码",
        "二维码",
        "shop.example is it",
        "visit a-b.shop now",
        "visit x.work now",
    ],
    "an e-mail address or handle": [
        "so a@b is it",
        "so @ana is it",
        "so ana [at] home",
        "so ana at home.de is it",
        "so ana at home dot de",
        "艾特小明",
        "发邮件吧",
        "email us today",
    ],
    "a telephone number": [
        "so 0 20 79 46 is it",
        "so +1 202 555 0123",
        "so 123-456 is it",
        "one two three four five is it",
        "一三八零零幺",
    ],
    "another way to reach someone": [
        "加个群吧",
        "微信: 见",
        "微信abc",
        "公众号",
        "qq 群见",
        "wei信见",
        "wechat is it",
        "薇信见",
        "威信见",
        "薇❤见",
        "加薇见",
        "so vx is it",
        "扣扣见",
        "企鹅号见",
        "电报群见",
        "纸飞机见",
        "私信吧",
        "私聊吧",
        "联系客服吧",
        "小红书见",
        "微博见",
        "whats app is it",
        "tele gram is it",
        "discord is it",
        "instagram is it",
        "snapchat is it",
        "skype is it",
        "facebook is it",
        "tik tok is it",
        "so line id is it",
        "text us today",
        "call now please",
        "find us on the web",
        "拨打吧",
        "致电吧",
        "来电咨询吧",
        "热线吧",
    ],
    "a coupon code": ["take B2A9C today", "take spring_25 today", "take SPRING today", "take AB-CD today"],
    "a code to type in": [
        'the promo is "X1Y2 today',
        "take Gift-5 today",
        "take 20off today",
        "take aB3aB3aB3aB3aB3 today",
        "take abcdefghijklmnopqrstuvwxyz today",
        "take abcd== today",
        "折扣码",
        "暗号",
        "口令",
    ],
}
PERSONAL_DATA = [
    "your order no. is here",
    "the card # is here",
    "the passport id is here",
    "the card ending so",
    "your credit card is here",
    "your password is here",
    "your pin code is here",
    "your social security is here",
    "your ssn is here",
    "your date of birth is here",
    "she was born in may",
    "your home address is here",
    "she bought it",
    "who lives in town",
    "ana lives at sea",
    "at 10 downing street today",
    "身份证在此",
    "护照在此",
    "卡号在此",
    "订单编号在此",
    "单号在此",
    "密码在此",
    "您的密码",
    "请输入密码",
    "验证码在此",
    "住址在此",
    "家住何处",
    "他住在此",
    "手机号在此",
    "电话是在此",
    "生日是在此",
    "出生在此",
    "收货人在此",
    "寄到浙江省杭州市西湖区",
    "长安路5",
    "王小明,你好",
    "刘洋也买了",
    "这位教授也来了",
]
HARMLESS = [
    "Your band is still in your cart. Have a look!",
    "Ready in 3 sizes, and light.",
    "Sleep tracking, heart rate: all of it.",
    "智能手环还在购物车里，回来看看吧。",
    "权威信赖的选择，王者之选。",
    "全城市民都喜欢，唐装也合适。",
    "It works at home and at the office.",
    "Call it a day with the band.",
    "Have a look at your band.So nice!",  # a sentence begins there, no domain
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in REACH.items() for text in texts])
def test_every_way_to_reach_somebody_is_found(kind: str, text: str) -> None:
    found = contact_detail(text)
    assert found is not None
    assert found[0] == kind


@pytest.mark.parametrize("text", PERSONAL_DATA)
def test_personal_data_is_found(text: str) -> None:
    assert personal_data(judged(text)) is not None


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_copy_passes(text: str) -> None:
    assert contact(judged(text)) is None
    assert personal_data(judged(text)) is None
    assert leaks(judged(text)) is None


def judged(
    body: str, *, facts: list[str] | None = None, name: str = "Band", context: dict[str, str] | None = None
) -> Subject:
    product = ProductFacts(product_id="x", name=name, facts=facts or [])
    spoken = "zh" if re.search("[\u3400-\u9fff]", body) else "en"
    about = request(product, language=spoken, context=context)
    return subject(MessageText(body=body), about, playbook())


def screens() -> list[tuple[str, PatternTable, list[str]]]:
    """Each table of patterns, and the texts in which something of it must be found, as it looks at them."""
    of_contact = importlib.import_module("workers.core.guardrails.checks.contact")
    texts = [text for found in REACH.values() for text in found]
    return [
        ("folded", of_contact._FOLDED, [text.casefold() for text in texts]),
        ("cased", of_contact._CASED, texts),
        ("personal", PERSONAL, [text.casefold() for text in PERSONAL_DATA]),
    ]


@pytest.mark.parametrize(
    ("name", "screen", "texts"), screens(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_alternative_is_the_only_one_that_finds_some_text(
    name: str, screen: PatternTable, texts: list[str]
) -> None:
    expressions = [source for _, source in screen._parts.table]
    alone = set()
    for text in texts:
        matching = [source for source in expressions if re.search(source, text)]
        if len(matching) == 1:
            alone.add(matching[0])
    assert [source for source in expressions if source not in alone] == [], name
    assert len(expressions) >= 10


# -- what is the product's own -----------------------------------------------------------------------------------------------


def test_words_of_the_products_own_data_are_no_codes_but_a_link_stays_one() -> None:
    assert contact(judged("Your WH1000XM4 is here", name="Sony WH1000XM4")) is None
    assert (
        contact(judged("Your WH1000XM5 is here", name="Sony WH1000XM4")) == 'a coupon code ("WH1000XM5") is not allowed'
    )
    assert contact(judged("See shop.example", facts=["shop.example"])) == 'a link ("shop.example") is not allowed'
    assert contact(judged("With WH1000XM4 and SALE77", name="Sony WH1000XM4")) is not None
    assert contact(judged("SALE77", facts=["SALE77"])) is not None, "a code to type in is one whoever says it"


def test_letters_in_disguise_are_read_as_an_eye_reads_them() -> None:
    assert contact(judged("Find it on f\u0430cebook")) is not None  # a Cyrillic а
    assert contact(judged("Find it on f\u0430cebook or shop.example")) is not None
    assert personal_data(judged("your p\u0430ssword is here")) is not None


# -- what the customer wrote, and what the prompt says -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "body", "leaked"),
    [
        ("my cat ate it yesterday", "We heard my cat ate it.", True),  # four words in a row
        ("my cat ate it yesterday", "We heard my cat ate.", False),
        ("my cat ate it yesterday", "We heard MY CAT, ate it!", True),
        ("battery for seven days", "A battery for seven days.", False),  # the product's own words
        ("", "We heard my cat ate it.", False),
        ("我家的猫昨天把它咬坏了", "听说我家的猫昨天把它，回来看看。", True),  # eight characters
        ("我家的猫昨天把它咬坏了", "听说我家的猫昨天把，回来看看。", False),
    ],
)
def test_what_a_customer_wrote_is_not_repeated(said: str, body: str, *, leaked: bool) -> None:
    found = leaks(judged(body, facts=["battery for seven days"], context={"review": said} if said else {}))
    assert (found == "it repeats what the customer wrote") is leaked


@pytest.mark.parametrize(("spoken", "size"), [("en", 6), ("zh", 12)])
def test_the_instructions_of_the_prompt_are_not_repeated(spoken: str, size: int) -> None:
    words = {language: instructions(language) for language in ("en", "zh")}
    assert len(words[spoken]) > size
    glue = " " if spoken == "en" else ""
    opening, closing = ("So ", " now") if spoken == "en" else ("嗯", "嗯")
    assert leaks(judged(opening + glue.join(words[spoken][:size]) + closing)) == "it repeats the instructions"
    assert leaks(judged(opening + glue.join(words[spoken][: size - 1]) + closing)) is None


def test_an_example_in_the_instructions_is_copy() -> None:
    turns = (
        "=== system ===",
        "Write as a friend of the shop would.",
        '{"body": "A calm voice for a calm evening at home"}',
    )
    source = "\n".join([*turns, "=== user ===", "x"])
    prompts = {("p", "en"): Prompt(id="p", language="en", source=source, version="p1")}
    shown = msgspec.structs.replace(playbook(), prompts=prompts)
    about = request(ProductFacts(product_id="x", name="Band"))
    example, rule = ("A calm voice for a calm evening at home", "Write as a friend of the shop would")
    assert leaks(subject(MessageText(body=example), about, shown)) is None
    assert leaks(subject(MessageText(body=rule), about, shown)) == "it repeats the instructions"


def test_the_instructions_of_another_language_may_be_repeated() -> None:
    english = "So " + " ".join(instructions("en")[:12])
    assert len(english.split()) == 13, "as many words as would tell Chinese instructions"
    assert leaks(judged(english)) is not None
    product = ProductFacts(product_id="x", name="Band")
    about = request(product, language="zh")
    assert leaks(subject(MessageText(body=english), about, playbook())) is None


def instructions(spoken: str) -> list[str]:
    """The words of the longest plain line of a prompt's instructions."""
    found: list[list[str]] = []
    for (_, language), prompt in playbook().prompts.items():
        system = re.search(r"^=== *system *===[ \t]*\n(.*?)(?=^=== |\Z)", prompt.source, re.MULTILINE | re.DOTALL)
        if language == spoken and system is not None:
            lines = [line for line in system[1].split("\n") if "{" not in line]
            found += [re.findall(r"[a-z0-9']+|[\u3400-\u9fff]", line.casefold()) for line in lines]
    return max(found, key=len)
