"""Products that only events know: anybody can send an event, and nothing of it may become the shop's word to a customer."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.catalogue import CatalogueProduct
from schemas.messages import ProductFacts
from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from workers.core.catalogue import links
from workers.core.playbook.campaigns import BrowseAbandonment, Campaign, CrossSell, RepeatView
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Policy

PHISHING = {
    "product_id": "p-evil",
    "name": "Verify your identity",
    "category": "Your payment has failed",
    "brand": "Act now or lose it",
    "url": "https://shop-login.evil.example/in",
    "image_url": "https://evil.example/logo.png?ana",
    "price": 999.0,
}


def playbook(**policy: Any) -> Playbook:
    return make_playbook(policy=Policy(**policy))


def sent(lane: LaneHarness, *lines: dict[str, Any]) -> LaneHarness:
    """ana allows push, fills a cart, and the words come when it is due."""
    added = [lane.event("Product Added", NOON + n, properties=line) for n, line in enumerate(lines)]
    lane.run([*lane.allow("push"), *added], NOON)
    lane.run([], NOON + DELAY_S + len(lines))
    lane.run([lane.candidate(request) for request in lane.requests], NOON + DELAY_S + len(lines))
    return lane


def test_nothing_is_sent_about_a_product_that_nobody_described_and_the_ledger_says_why() -> None:
    lane = sent(LaneHarness(playbook()), PHISHING)
    (decision,) = lane.decisions
    assert (lane.requests, lane.messages, decision.reason) == ([], [], "guardrail")
    assert "product p-evil is not described" in decision.checks[-1].detail


def test_of_a_cart_the_message_is_about_what_is_described() -> None:
    lane = sent(LaneHarness(playbook()), PHISHING, {"product_id": "smart-band", "price": 1.0})
    assert [message.product_id for message in lane.messages] == ["smart-band"]
    assert [message.cta.link_url.partition("?")[0] for message in lane.messages] == ["https://shop.example/smart-band"]


@pytest.mark.parametrize("mode", ["unnamed", "named"])
def test_where_the_playbook_allows_it_link_and_picture_of_strangers_still_do_not_leave(mode: str) -> None:
    lane = sent(LaneHarness(playbook(undescribed_products=mode)), PHISHING)
    (message,) = lane.messages
    assert (message.cta.link_url, message.image_url) == ("", "")
    product = lane.requests[0].product
    named = (PHISHING["name"], PHISHING["category"], PHISHING["brand"]) if mode == "named" else ("", "", "")
    assert (product.name, product.category, product.brand) == named


def test_categories_of_the_playbook_and_brands_of_one_word_may_leave_unnamed() -> None:
    told = {"product_id": "tv-1", "category": "electronics.tv", "brand": "acme", "url": "https://shop.example/tv-1"}
    names = {"electronics.tv": {"en": "TV"}}
    lane = sent(LaneHarness(make_playbook(policy=Policy(undescribed_products="unnamed"), category_names=names)), told)
    product = lane.requests[0].product
    assert (product.category, product.brand, product.url) == ("electronics.tv", "acme", "https://shop.example/tv-1")


@pytest.mark.parametrize("told", [{"brand": "login-evil.com"}, {"category": "your-account.is.blocked.call.0900-123"}])
def test_nothing_that_could_be_a_sentence_or_a_domain_leaves_unnamed(told: dict[str, str]) -> None:
    lane = sent(LaneHarness(playbook(undescribed_products="unnamed")), {"product_id": "p"} | told)
    assert (lane.requests[0].product.category, lane.requests[0].product.brand) == ("", "")


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/p",
        "javascript:alert(1)//shop.example",
        "intent://shop.example#Intent;scheme=http;end",
        "data:text/html,<script>",
        "//shop.example/p",
        "https://shop.example.evil.example/p",
        "https://shop.example@evil.example/p",
        "https://evil.example/https://shop.example/",
        "https://evilshop.example/p",
        "https://shop.example:8443/p",
        "https://shop.example\\@evil.example/p",
        "https://evil.example\\.shop.example/",
        "https://shop.example%2eevil.example/p",
        "https://evil.example%2f.cdn.example/p",
        "https://evil.example;.cdn.example/p",
        "https://evil.example%00.cdn.example/p",
        "https://shоp.example/p",  # a Cyrillic o
        "https://shop.example/p\njavascript:x",
        " https://shop.example/p",
        "https:///shop.example/p",
        "https://[::1",
        "HTTPS://",
        "",
    ],
)
def test_what_is_no_link_of_the_shop_is_none(url: str) -> None:
    assert links.safe(url, playbook(link_hosts=["cdn.example"])) == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/p?a=1#b",
        "HTTPS://SHOP.example/p",
        "https://cdn.example/a.png",
        "https://eu.cdn.example/a.png",
    ],
)
def test_links_on_the_hosts_of_the_playbook_leave(url: str) -> None:
    assert links.safe(url, playbook(link_hosts=["cdn.example"])) == url


def test_a_link_that_the_playbook_itself_gives_is_trusted_whatever_it_is() -> None:
    app = CatalogueProduct(product_id="app", name={"en": "App"}, url="myshop://product/app")
    made = make_playbook(products={"app": app})
    assert links.trusted(ProductFacts(product_id="app", url="myshop://product/app"), made).url == "myshop://product/app"
    assert links.trusted(ProductFacts(product_id="app", url="myshop://product/other"), made).url == ""


@pytest.mark.parametrize(
    "trigger",
    [
        RepeatView(delay_s=DELAY_S, views=2),
        BrowseAbandonment(delay_s=DELAY_S),
        CrossSell(delay_s=DELAY_S, offer=["viewed"]),
    ],
    ids=lambda trigger: type(trigger).__name__,
)
def test_no_trigger_speaks_of_a_product_that_nobody_described(trigger: Any) -> None:
    base = make_playbook()
    campaign = Campaign(
        id="c", name={}, trigger=trigger, channels=["push"], prompt="cart-abandonment", goal={}, mode="live"
    )
    lane = LaneHarness(make_playbook(policy=Policy(), campaigns={"c": campaign}, products=base.products))
    looks = [lane.event("Product Viewed", NOON + n, properties=PHISHING) for n in range(3)]
    lane.run([*lane.allow("push"), *looks], NOON)
    if isinstance(trigger, CrossSell):
        lane.run([lane.buy(None, NOON + 5)], NOON + 5)
    lane.run([], NOON + 3 * DELAY_S)
    assert lane.requests == []
    assert {decision.reason for decision in lane.decisions} <= {"guardrail"}
