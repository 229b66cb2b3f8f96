"""What is asked again before a message leaves, and what leaves then: one row a reason, each beside the message that may go."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.base import SourceEvent
from schemas.messages import Candidate, LlmUsage, Message, MessageText, ProductFacts
from tests.support.core import NOON, make_playbook
from workers.core.common.timestamps import instant
from workers.core.decisioning.control_state import NOTHING, ControlState
from workers.core.playbook.channels import Channel, FieldLimit, Param, ProviderTemplate, Vendor
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Market
from workers.core.profile.model import Cart, CartLine, Consent, OpenRequest, PendingText, Profile
from workers.core.publishing import messages, recheck
from workers.core.triggers.base import occurrence_id
from workers.core.triggers.registry import Triggers

HOUR = 3600.0


def ana(**fields: Any) -> Profile:
    """She allows push and e-mail, and has a cart."""
    word = Consent(True, NOON - HOUR)
    values: dict[str, Any] = {
        "user_id": "ana",
        "consent": {"push:marketing": word, "email:marketing": word},
        "carts": {"c1": Cart(NOON, NOON, {"smart-band": CartLine("smart-band", added_at=NOON)})},
        "version": 7,
    }
    return Profile(customer_id="ana", **(values | fields))


def opened(**fields: Any) -> OpenRequest:
    """A message about that cart."""
    values: dict[str, Any] = {
        "message_id": "m1",
        "decision_id": "d1",
        "campaign_id": "cart-abandonment",
        "occurrence_id": occurrence_id("c1", NOON),
        "channel": "push",
        "trigger_key": "c1",
        "locale": "en-GB",
        "language": "en",
        "target_group": "young",
        "product": ProductFacts(product_id="smart-band", name="Smart Band", url="https://shop.example/smart-band"),
        "requested_at": NOON,
        "deadline_at": NOON + 60,
        "expires_at": NOON + HOUR,
        "propensity": 0.25,
        "prompt": "cart-abandonment",
        "variation_id": "base.warm",
        "source": SourceEvent("customer.events", 0, 3),
    }
    return OpenRequest(**(values | fields))


def objection(
    profile: Profile,
    request: OpenRequest,
    now_s: float = NOON + 60,
    playbook: Playbook | None = None,
    control: ControlState = NOTHING,
    presumed: tuple[str, ...] = (),
) -> str | None:
    book = playbook or make_playbook()
    found = recheck.objection(profile, request, book, Triggers(book), control=control, now_s=now_s, presumed=presumed)
    assert found is None or found[1], "each no has its words"
    return found[0] if found else None


def test_the_occurrence_of_these_tests_is_that_of_the_cart() -> None:
    book = make_playbook()
    occurrence = Triggers(book).due(ana(), book.campaigns["cart-abandonment"], "c1")
    assert occurrence is not None
    assert occurrence.occurrence_id == opened().occurrence_id


NO = Consent(False, NOON)


@pytest.mark.parametrize(
    ("profile", "request_", "now_s", "reason"),
    [
        ({}, {}, 60, None),
        # -- a hard bounce meanwhile
        ({"unreachable": {"push": NOON}}, {}, 60, "missing_identifier"),
        ({"unreachable": {"email": NOON}}, {}, 60, None),
        # -- consent: marketing, and to what the words were made of
        ({"consent": {"push:marketing": NO}}, {}, 60, "consent"),
        ({"consent": {}}, {}, 60, "consent"),
        ({"consent": {"push:marketing": Consent(True, NOON), "email:marketing": NO}}, {}, 60, None),
        ({"consent": {"push:marketing": Consent(True, NOON), "personalisation": NO}}, {}, 60, "consent"),
        (
            {"consent": {"push:marketing": Consent(True, NOON), "personalisation": NO}},
            {"personalised": False},
            60,
            None,
        ),
        ({"adult_at": {"age": (NOON, NOON + 61)}}, {}, 60, "consent"),
        ({"adult_at": {"age": (NOON, NOON + 60)}}, {}, 60, None),
        # -- time
        ({}, {}, HOUR - 0.001, None),
        ({}, {}, HOUR, "expired"),
        ({}, {}, 2 * HOUR, "expired"),
        # -- what the customer did
        ({"carts": {}}, {}, 60, "converted"),
        ({}, {"trigger_key": "c2"}, 60, "converted"),
        # -- nobody hears it
        ({}, {"shadow": True}, 60, "shadow"),
        ({}, {"held_out": True}, 60, "holdout"),
        # -- the playbook is another one
        ({}, {"campaign_id": "welcome"}, 60, "stale"),
        ({}, {"channel": "fax"}, 60, "stale"),
        ({}, {"language": "fr"}, 60, "stale"),
    ],
)
def test_what_is_asked_again_before_a_message_leaves(
    profile: dict[str, Any], request_: dict[str, Any], now_s: float, reason: str | None
) -> None:
    assert objection(ana(**profile), opened(**request_), NOON + now_s) == reason


@pytest.mark.parametrize(
    ("paused", "reason"),
    [
        ("all", "paused"),
        ("campaign:cart-abandonment", "paused"),
        ("channel:push", "paused"),
        ("channel:email", None),
        ("campaign:welcome", None),
    ],
)
def test_a_pause_holds_back_what_was_asked_for_before(paused: str, reason: str | None) -> None:
    assert objection(ana(), opened(), control=ControlState(paused=frozenset({paused}))) == reason


def test_consent_may_be_presumed_where_nothing_was_said() -> None:
    assert objection(ana(consent={}), opened(), presumed=("push",)) is None
    assert objection(ana(consent={}), opened(), presumed=("email",)) == "consent"
    assert objection(ana(consent={"push:marketing": NO}), opened(), presumed=("push",)) == "consent"


# -- what leaves ---------------------------------------------------------------------------------------------------------


def words(**fields: Any) -> MessageText:
    return MessageText(**({"title": "Still thinking?", "body": "It is here."} | fields))


def written(**fields: Any) -> Candidate:
    values: dict[str, Any] = {
        "message_id": "m1",
        "user_id": "ana",
        "text": words(),
        "generated_by": "llm",
        "usage": LlmUsage(model="qwen", adapter="ours", calls=1),
        "prompt_version": "p1",
        "generated_at": instant(NOON),
    }
    return Candidate(**(values | fields))


def made(held: PendingText, playbook: Playbook | None = None, **request: Any) -> Message | tuple[str, str]:
    return messages.message(ana(), opened(**request), held, playbook or make_playbook(), NOON + 60)


def left(held: PendingText, playbook: Playbook | None = None, **request: Any) -> Message:
    found = made(held, playbook, **request)
    assert isinstance(found, Message), found
    return found


def test_an_empty_body_never_leaves() -> None:
    assert left(PendingText(words())).body == "It is here."
    for text in (MessageText(), words(body="")):
        found = made(PendingText(text, written()))
        assert not isinstance(found, Message)
        assert found[0] == "stale"


def test_what_leaves_says_where_it_comes_from() -> None:
    message = left(PendingText(words(), written(), reviewed="approved"))
    assert (message.message_id, message.idempotency_key, message.user_id) == ("m1", "m1", "ana")
    assert (message.send_at, message.expires_at) == (instant(NOON + 60), instant(NOON + HOUR))
    assert (message.title, message.body, message.product_id) == ("Still thinking?", "It is here.", "smart-band")
    assert message.cta.link_url.startswith("https://shop.example/smart-band?utm_source=attune&utm_medium=push")
    found = message.provenance
    assert (found.decision_id, found.propensity, found.playbook_version, found.profile_version) == ("d1", 0.25, "v1", 7)
    assert (found.prompt_version, found.model, found.adapter, found.generated_by) == ("p1", "qwen", "ours", "llm")
    assert (found.reviewed, found.source_event) == ("approved", SourceEvent("customer.events", 0, 3))
    assert message.ai_generated


def test_a_template_is_no_words_of_a_machine() -> None:
    book = make_playbook()
    labelled = msgspec.structs.replace(book, policy=msgspec.structs.replace(book.policy, ai_label={"en": "Made by AI"}))
    for held, label in ((PendingText(words(), written()), "Made by AI"), (PendingText(words(), None, "t1"), "")):
        message = left(held, labelled)
        assert (message.ai_label, message.ai_generated) == (label, bool(label))
    template = left(PendingText(words(), None, "t1"))
    assert (template.provenance.prompt_version, template.provenance.generated_by) == ("t1", "template")
    assert (template.provenance.model, template.provenance.verdicts) == ("", [])
    of_candidate = left(PendingText(words(), written(generated_by="template", prompt_version="t2")))
    assert (of_candidate.ai_generated, of_candidate.provenance.prompt_version) == (False, "t2")


def test_the_label_of_a_market_goes_before_the_policys_own() -> None:
    book = make_playbook()
    market = Market(id="uk", regions=["GB"], ai_label={"en": "AI"})
    other = Market(id="us", regions=["US"])
    rules = msgspec.structs.replace(book.policy, ai_label={"en": "Made by AI"}, markets=[market, other])
    book = msgspec.structs.replace(book, policy=rules)
    assert left(PendingText(words(), written()), book).ai_label == "AI"
    assert left(PendingText(words(), written()), book, locale="en-US").ai_label == "Made by AI"


def test_the_call_to_action_is_the_texts_own_else_the_campaigns() -> None:
    book = make_playbook()
    named = msgspec.structs.replace(book.campaigns["cart-abandonment"], cta={"en": "To the cart"}, name={"en": "Cart"})
    book = msgspec.structs.replace(book, campaigns={"cart-abandonment": named})
    message = left(PendingText(words()), book)
    assert (message.cta.text, message.campaign_name) == ("To the cart", "Cart")
    assert left(PendingText(words(cta_text="See it")), book).cta.text == "See it"
    assert left(PendingText(words()), book, language="zh").campaign_name == ""


@pytest.mark.parametrize(
    ("most", "fits"),
    [(4000, True), (10, False)],
)
def test_what_a_vendor_would_refuse_does_not_leave(most: int, *, fits: bool) -> None:
    book = make_playbook()
    field = {"en": FieldLimit(max_chars=200)}
    narrow = Channel(id="push", fields={"body": field}, vendors={"apns": Vendor(payload_bytes=most)})
    found = made(PendingText(words()), msgspec.structs.replace(book, channels={"push": narrow}))
    assert isinstance(found, Message) == fits
    assert isinstance(found, Message) or found[0] == "guardrail"


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("", ""),
        (
            "https://shop.example/p",
            "https://shop.example/p?utm_source=attune&utm_medium=push&utm_campaign=c&message_id=m",
        ),
        (
            "https://shop.example/p?a=&b=2#top",
            "https://shop.example/p?a=&b=2&utm_source=attune&utm_medium=push&utm_campaign=c&message_id=m#top",
        ),
        ("https://[shop", ""),
    ],
)
def test_links_tell_where_they_were_pressed(url: str, link: str) -> None:
    assert messages.tracked_url(url, "push", "c", "m") == link


def test_the_outcome_says_how_it_ended() -> None:
    message = left(PendingText(words(), written()))
    ended = messages.outcome(ana(), opened(), None, message, NOON + 60)
    assert (ended.reason, ended.detail, ended.generated_by) == ("published", "", "llm")
    assert (ended.requested_at, ended.ended_at) == (instant(NOON), instant(NOON + 60))
    assert (ended.product_id, ended.variation_id, ended.target_group) == ("smart-band", "base.warm", "young")
    kept = messages.outcome(ana(), opened(), ("consent", "withdrawn"), None, NOON + 60)
    assert (kept.reason, kept.detail, kept.generated_by) == ("consent", "withdrawn", None)


def test_what_generate_is_asked_for() -> None:
    book = make_playbook()
    campaign = book.campaigns["cart-abandonment"]
    asked = messages.request(ana(sketches=[[1]]), opened(tone="warm"), campaign, book, "salt")
    assert (asked.message_id, asked.decision_id, asked.user_id, asked.channel) == ("m1", "d1", "ana", "push")
    assert (asked.prompt, asked.prompt_version, asked.template) == ("cart-abandonment", "p1", "cart-abandonment")
    assert (asked.requested_at, asked.deadline_at) == (instant(NOON), instant(NOON + 60))
    assert (asked.sketches, asked.tone, asked.ghost, asked.playbook_version) == ([[1]], "warm", False, "v1")
    assert "ana" not in asked.customer_ref
    gone = messages.request(ana(), opened(prompt="gone", shadow=True), campaign, book, "other")
    assert (gone.prompt_version, gone.ghost) == ("", True)
    assert gone.customer_ref != asked.customer_ref


def templated(*texts: ProviderTemplate) -> Playbook:
    book = make_playbook()
    push = msgspec.structs.replace(book.channels["push"], provider_templates=list(texts))
    return msgspec.structs.replace(book, channels={**book.channels, "push": push})


FIXED = ProviderTemplate(
    id="SMS_1", language="en", text="Your ${item} waits.", params={"item": Param(fixed="band", max_chars=9)}
)


def test_where_a_provider_has_the_words_none_of_ours_go_with_them() -> None:
    for held in (PendingText(words(cta_text="See it"), written()), PendingText(MessageText())):
        message = left(held, templated(FIXED))
        assert (message.provider_template_id, message.params) == ("SMS_1", {"item": "band"})
        assert (message.title, message.body, message.cta.text) == ("", "", "")
        assert (message.ai_generated, message.provenance.generated_by) == (False, "template")
        assert (message.provenance.prompt_version, message.provenance.model) == ("SMS_1", "")
    plain = left(PendingText(words(), written()))
    assert (plain.provider_template_id, plain.params) == (None, {})


def test_a_provider_template_that_does_not_fit_does_not_leave() -> None:
    found = made(
        PendingText(words()),
        templated(msgspec.structs.replace(FIXED, params={"item": Param(fixed="band", max_chars=3)})),
    )
    assert not isinstance(found, Message)
    assert found[0] == "guardrail"
    gone = made(PendingText(words()), templated(msgspec.structs.replace(FIXED, campaigns=["welcome"])))
    assert not isinstance(gone, Message)
    assert gone[0] == "stale"
