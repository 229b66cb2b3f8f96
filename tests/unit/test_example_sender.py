"""The sender to copy from: what its e-mails look like, what cannot be smuggled into them, and what its ledger promises."""

from __future__ import annotations

import ast
import re
import string
import sys
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.sender.__main__ import main
from schemas import codec
from schemas.events import Track
from schemas.messages import CallToAction, Feedback, Message, Provenance
from workers.core.profile.consent import from_properties
from workers.delivery import unsubscribe
from workers.delivery.email_address import mailbox
from workers.delivery.feedback import feedback
from workers.delivery.ledger import Ledger
from workers.delivery.transports.mime import POLICY, Identity, compose
from workers.delivery.transports.push import notification

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of the tests"
IDENTITY = Identity(address="news@shop.example", name="The Shop")
ENGLISH = Message(
    message_id="5f0c",
    idempotency_key="5f0c",
    user_id="ana",
    channel="email",
    campaign_id="cart-abandonment",
    variation_id="fresh.warm",
    locale="en-GB",
    email_subject="Still thinking it over?",
    preheader="Your Smart Band is in your cart",
    body="Sleep tracking & more:\nyour Smart Band is still in your cart.",
    cta=CallToAction(text="Back to my cart", link_url="https://shop.example/cart?a=1&b=2"),
    send_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    list_id="marketing-email",
    unsubscribe_url="https://shop.example/unsubscribe",
    ai_generated=True,
    ai_label="Written with the help of AI",
    provenance=Provenance(decision_id="d"),
)
CHINESE = msgspec.structs.replace(
    ENGLISH,
    locale="zh-CN",
    email_subject="您的智能手环还在购物车里，等您回来看看它的睡眠监测功能",
    preheader="睡眠监测，全天陪伴",
    body="智能手环支持睡眠监测，\n还在您的购物车里。",
    cta=CallToAction(text="返回购物车", link_url="https://shop.example/cart"),
    ai_label="本内容由人工智能生成",
)


def wire(message: Message, to: str = "ana@mail.example") -> bytes:
    return compose(message, mailbox(to), unsubscribe.link(message, SECRET), IDENTITY, NOW).as_bytes(policy=POLICY)


def received(message: Message) -> EmailMessage:
    """What a mail program makes of the bytes on the wire."""
    return message_from_bytes(wire(message), policy=default)


def part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def changed(**fields: Any) -> Message:
    return msgspec.structs.replace(ENGLISH, **fields)


def test_an_english_mail_has_its_words_in_text_and_html() -> None:
    mail = received(ENGLISH)
    assert (mail["Subject"], mail["From"], mail["To"]) == (
        "Still thinking it over?",
        "The Shop <news@shop.example>",
        "ana@mail.example",
    )
    text, html = part(mail, "plain"), part(mail, "html")
    for words in (
        "your Smart Band is still in your cart.",
        "Back to my cart",
        "Written with the help of AI",
        "Unsubscribe",
    ):
        assert words in text
        assert words in html
    assert "https://shop.example/cart?a=1&b=2" in text
    assert '<a href="https://shop.example/cart?a=1&amp;b=2">' in html
    assert "Sleep tracking &amp; more:<br>" in html
    assert "Your Smart Band is in your cart" in html
    assert '<html lang="en-GB">' in html


def test_a_chinese_mail_arrives_as_it_was_written() -> None:
    mail = received(CHINESE)
    assert mail["Subject"] == CHINESE.email_subject
    text, html = part(mail, "plain"), part(mail, "html")
    for words in ("还在您的购物车里。", "返回购物车", "本内容由人工智能生成", "退订"):
        assert words in text
        assert words in html
    assert CHINESE.preheader in html
    assert wire(CHINESE).isascii(), "no server needs 8BITMIME"


def test_the_headers_that_mailbox_providers_ask_for() -> None:
    mail = received(ENGLISH)
    assert mail["List-Unsubscribe"] == f"<{unsubscribe.link(ENGLISH, SECRET)}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["List-Id"] == "<marketing-email.shop.example>"
    assert mail["Message-ID"] == "<5f0c@shop.example>"
    assert mail["X-Message-ID"] == "5f0c"
    assert mail["Feedback-ID"] == "cart-abandonment:fresh.warm:marketing:attune-shop.exa"


def test_a_long_unsubscribe_url_stays_one_word_on_the_wire() -> None:
    message = changed(user_id="u" * 200)
    assert f"List-Unsubscribe: <{unsubscribe.link(message, SECRET)}>\r\n".encode() in wire(message)


def test_the_same_message_has_the_same_message_id_whatever_its_id_looks_like() -> None:
    strange = changed(message_id="cart 1>\r\nBcc: eve@evil.example")
    assert received(strange)["Message-ID"] == received(strange)["Message-ID"]
    assert received(strange)["Message-ID"] != received(ENGLISH)["Message-ID"]
    assert received(strange)["Bcc"] is None


def test_a_subject_that_is_none_is_refused_before_anything_is_folded() -> None:
    with pytest.raises(ValueError, match="the subject has 301 characters"):
        received(changed(email_subject="语" * 301))
    assert received(changed(email_subject="语" * 300))["Subject"] == "语" * 300


@pytest.mark.parametrize(
    "field", ["email_subject", "title", "message_id", "campaign_id", "variation_id", "list_id", "locale", "preheader"]
)
@pytest.mark.parametrize("breaker", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85", "\x00"])
def test_no_field_can_begin_a_header_of_its_own(field: str, breaker: str) -> None:
    usual = list(received(ENGLISH).keys())
    mail = received(changed(**{field: f"Hello{breaker}Bcc: eve@evil.example{breaker}{breaker}<b>body</b>"}))
    assert list(mail.keys()) == usual
    assert mail["Bcc"] is None


@pytest.mark.parametrize(
    "to",
    [
        "",
        "ana",
        "@mail.example",
        "a@b@c",
        "ana@mail.example\r\nBcc: eve@evil.example",
        "Ana <ana@mail.example>",
        "ana@mail.example, eve@evil.example",
        "ana @mail.example",
        "ana@mail..example",
        "ana@-mail.example",
        f"{'a' * 65}@mail.example",
        "ana@mail.example\u2028Bcc: eve@evil.example",
        "ana\x00@mail.example",
        "ana@i❤.example",
        "ana@mail.example>",
    ],
)
def test_only_one_plain_address_is_an_address(to: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        wire(ENGLISH, to)


def test_texts_are_escaped_and_links_lead_to_the_web() -> None:
    evil = "<script>alert(1)</script>\"'"
    message = changed(
        title=evil,
        body=evil,
        preheader=evil,
        ai_label=evil,
        email_subject=evil,
        cta=CallToAction(text=evil, link_url="javascript:alert(1)"),
        image_url='https://x.example/"onload="alert(1)',
    )
    html = part(received(message), "html")
    assert "<script" not in html
    assert "javascript:" not in html
    assert '"onload="' not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;" in html


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_makes_a_mail(subject: str, body: str, title: str, url: str) -> None:
    link = CallToAction(text=title, link_url=url)
    mail = received(changed(email_subject=subject, body=body, title=title, preheader=body, image_url=url, cta=link))
    assert {kind.get_content_type() for kind in mail.walk()} >= {"text/plain", "text/html"}


def test_an_unsubscribe_link_says_who_wants_what_no_longer_and_cannot_be_forged() -> None:
    token = unsubscribe.link(ENGLISH, SECRET).partition("token=")[2]
    assert unsubscribe.read(token, SECRET) == unsubscribe.Unsubscribe("ana", "email", "5f0c")
    other = unsubscribe.link(changed(user_id="bo"), SECRET).partition("token=")[2]
    for forged in (token[:-2], token[:22] + other[22:], "", "é", "x" * 40):
        with pytest.raises(ValueError, match=r"signature|token"):
            unsubscribe.read(forged, SECRET)
    with pytest.raises(ValueError, match="signature"):
        unsubscribe.read(token, b"another secret")


@pytest.mark.parametrize("user", ["a", "an", "ana", "anas", "安娜", "a?b&c=d/e+f"])
def test_a_token_of_any_length_reads_back(user: str) -> None:
    token = unsubscribe.link(changed(user_id=user), SECRET).partition("token=")[2]
    assert unsubscribe.read(token, SECRET).user_id == user
    assert set(token) <= {*string.ascii_letters, *string.digits, "-", "_"}, "it needs no escapes in a URL"
    with pytest.raises(ValueError, match=r"^the signature is wrong$"):
        unsubscribe.read(token + "AAAA", SECRET)
    with pytest.raises(ValueError, match=r"^not a token$"):
        unsubscribe.read(token + "A" * (-len(token) % 4 + 1), SECRET)


@pytest.mark.parametrize("url", ["", "http://shop.example/u", "javascript:x", "https://a b", "https://a>\r\nBcc: e"])
def test_without_an_https_url_there_is_no_unsubscribe_link(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        unsubscribe.link(changed(unsubscribe_url=url), SECRET)


def test_an_unsubscribe_url_keeps_its_query() -> None:
    link = unsubscribe.link(changed(unsubscribe_url="https://shop.example/u?list=1#top"), SECRET)
    assert link.startswith("https://shop.example/u?list=1&token=")


def test_a_notification_collapses_with_its_repetition_and_dies_with_its_message() -> None:
    pushed = notification(ENGLISH, "token", NOW + timedelta(minutes=50))
    assert (pushed.collapse_key, pushed.ttl_s) == (ENGLISH.idempotency_key, 600)
    assert notification(ENGLISH, "token", NOW + timedelta(days=1)).ttl_s == 0


def test_feedback_said_twice_is_one_fact() -> None:
    assert feedback(ENGLISH, "sent", NOW).event_id == feedback(ENGLISH, "sent", NOW + timedelta(days=1)).event_id
    ids = {feedback(ENGLISH, status, NOW).event_id for status in ("sent", "failed", "skipped")}
    assert len(ids) == 3


LANE = {"messages.email:0"}


def test_the_ledger_takes_a_key_once_and_remembers_what_became_of_it(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.sqlite")
    ledger = Ledger(path)
    assert ledger.add(ENGLISH, "messages.email:0", 10, 0)
    assert not ledger.add(ENGLISH, "messages.email:0", 10, 0)
    assert ledger.due(LANE, 9) is None
    assert ledger.due({"messages.email:1"}, 10) is None
    entry = ledger.due(LANE, 10)
    assert entry is not None
    assert (entry.message, entry.attempts) == (ENGLISH, 0)
    ledger.start(entry.key, 11)
    ledger.close()

    ledger = Ledger(path)  # after a crash
    assert ledger.due(LANE, 99) is None
    interrupted = ledger.interrupted(LANE)
    assert interrupted is not None
    assert interrupted.attempts == 1
    ledger.end(interrupted.key, feedback(ENGLISH, "failed", NOW), 12)
    assert not ledger.add(ENGLISH, "messages.email:0", 10, 13)
    assert [user for _, user, _ in ledger.unpublished(LANE, 10)] == ["ana"]
    assert ledger.unpublished({"messages.email:1"}, 10) == []
    ledger.published(event_id for event_id, _, _ in ledger.unpublished(LANE, 10))
    assert ledger.unpublished(LANE, 10) == []
    ledger.close()
    assert b"Smart Band" not in Path(path).read_bytes(), "no words are kept"


@pytest.mark.parametrize("first", ["message", "cancellation"])
def test_a_cancellation_counts_whether_it_comes_before_its_message_or_after(first: str) -> None:
    ledger = Ledger(":memory:")
    if first == "cancellation":
        ledger.cancel(ENGLISH.message_id, 0)
    ledger.add(ENGLISH, "messages.email:0", 1000, 1)
    if first == "message":
        ledger.cancel(ENGLISH.message_id, 2)
    entry = ledger.due(LANE, 3)  # long before it was due: the feedback does not wait
    assert entry is not None
    assert entry.cancelled


def test_a_purge_forgets_old_keys_but_nothing_that_has_not_ended() -> None:
    ledger = Ledger(":memory:")
    for number in range(3):
        ledger.add(changed(message_id=f"m{number}", idempotency_key=f"m{number}"), "messages.email:0", 0, 10)
    ledger.start("m1", 10)
    ledger.end("m2", feedback(ENGLISH, "sent", NOW), 10)
    ledger.cancel("m9", 10)
    assert ledger.purge(10) == 0
    assert ledger.purge(11) == 1
    assert ledger.due(LANE, 99) is not None
    assert ledger.interrupted(LANE) is not None


def test_the_records_of_the_documentation_are_what_the_topics_take() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "senders.md").read_text(), re.DOTALL)
    records = [block.encode() for block in blocks]
    said = [
        codec.decode(Feedback, record) for record in records if b'"status": "' in record and b'"event_id"' in record
    ]
    assert [one.status for one in said] == ["bounced", "opened", "clicked", "unsubscribed"]
    (event,) = [codec.decode_event(record) for record in records if b'"messageId"' in record]
    assert isinstance(event, Track)
    assert [change.granted for change in from_properties(event.properties, 0)] == [True]


@pytest.mark.parametrize(
    "gateway", ["http://push.internal/send", "http://127.0.0.1.evil.example/", "ftp://push.example"]
)
def test_the_example_sends_nothing_to_another_machine_in_plain_text(
    gateway: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--channel", "push", "--brokers", "nowhere:1", "--addresses", "none", "--gateway", gateway])
    assert "--plain-http" in capsys.readouterr().err


COPIED = sorted([*(ROOT / "examples").rglob("*.py"), *(ROOT / "workers" / "delivery").glob("*.py")])


@pytest.mark.parametrize("path", COPIED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_is_to_be_copied_needs_only_the_contract_of_ours(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    foreign = {name for name in imported if name.split(".")[0] not in {*sys.stdlib_module_names, "schemas"}}
    assert {name for name in foreign if not name.startswith("workers.delivery")} <= {
        "confluent_kafka",
        "idna",
        "msgspec",
    }
