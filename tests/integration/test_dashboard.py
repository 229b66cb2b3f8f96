"""The dashboard on the real things: a real Prometheus scrapes real workers while events flow, and no panel stays empty."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas import codec
from schemas.catalogue import CatalogueProduct
from schemas.messages import Feedback, FeedbackStatus, Message
from schemas.topics import CHANNELS, message_topic
from tests.support.llm import FakeLlm
from tests.support.prometheus import FOLDER, Prometheus, filled, panel_queries, promtool, serving
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.playbook.loader import load_for as load_playbook
from workers.main import ROLES
from workers.settings import Settings

pytestmark = pytest.mark.prometheus

#: Panels that may be empty in this test, each with its reason.
MAY_BE_EMPTY = {
    "Deferred by reason": "a playbook whose time runs faster has no quiet hours, and so few are below every rate",
    "Calls shed by priority": "the LLM of the test is never overloaded",
}

#: As vLLM serves it: the tests have no GPU.
VLLM_PAGE = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 1.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
"""
PRODUCT, LOCALES = "smart-band", ("en-GB", "en-GB", "zh-CN", "en-US")
#: Words that the guardrails take for one product, language and channel; for all others they are rejected.
WORDS = {
    "title": "Still thinking it over?",
    "body": "Workout recording and sleep tracking: your Smart Band is still in your cart.",
}
ANSWER = {
    "choices": [{"message": {"content": json.dumps(WORDS)}, "finish_reason": "stop"}],
    "model": "fake-1",
    "usage": {"prompt_tokens": 120, "completion_tokens": 30},
}


def test_the_configuration_of_prometheus_is_sound() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", "--lint-fatal", "rules.yml")


def test_every_alert_fires_when_it_must_and_is_silent_otherwise() -> None:
    assert "SUCCESS" in promtool("test", "rules", "rules_test.yml")
    alerts = set(re.findall(r"alert: (\w+)", (FOLDER / "rules.yml").read_text()))
    fired = re.findall(r"ALERTS\{alertname=\"(\w+)\", alertstate=\"firing\"(?:, .*?)?\}', value: 1", _rule_tests())
    assert alerts - set(fired) == set()


def _rule_tests() -> str:
    return (FOLDER / "rules_test.yml").read_text()


@pytest.mark.kafka
@pytest.mark.timeout(420)
def test_every_panel_shows_data_while_events_flow(settings: Settings, tmp_path: Path) -> None:
    with FakeLlm() as llm, ExitStack() as stack:
        llm.reply_with(500)
        ports = {f"metrics_port_{role}": 0 for role in ROLES}
        running = prepare(settings).changed(
            llm=llm.base_url, llm_model="fake-1", llm_deadline_s=3.0, speedup=1800.0, **ports
        )
        targets = {"vllm": stack.enter_context(serving(VLLM_PAGE))}
        for role in ROLES:
            stack.enter_context(worker(role, running))
            targets[role] = wait_until(partial(_metrics_address, running, role), 60, f"{role} serves metrics")
        prometheus = stack.enter_context(Prometheus(tmp_path / "prometheus", targets))
        stack.enter_context(_shoppers(running))
        failed = 'gen_ai_client_operation_duration_seconds_count{error_type!=""}'
        wait_until(lambda: prometheus.series(failed), 90, "failed LLM calls are seen")
        llm.reply_with(200, json.dumps(ANSWER).encode(), {"Content-Type": "application/json"})
        for topic in ("shop.events", "message.requests"):  # the second is ours: an alert tells of it
            produce(running, topic, [(b"key", b"{broken")])
        _hear_back(running)
        _wait_for_data(prometheus)
        for query in panel_queries():  # as Grafana asks, for all campaigns and for those that are chosen
            for campaign in (".*", "cart-abandonment|none"):
                prometheus.series(filled(query.expr, campaign=campaign))
        assert "cart-abandonment" in prometheus.label_values("campaign", "attune_decisions_total")
        assert prometheus.newest("up") == dict.fromkeys(prometheus.newest("up"), 1.0)
        assert len(prometheus.newest("up")) == len(targets)
        wait_until(lambda: all(map(prometheus.series, _recorded())), 90, "every recording rule has data")
        alert = 'ALERTS{alertstate="firing", alertname="AttuneOwnDeadLetters"}'
        wait_until(lambda: prometheus.newest(alert), 30, "the stranger's record is told at once")


def _recorded() -> list[str]:
    """What the rules record, but for those that look at a minute ago: the test ends before."""
    groups = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"] if "record" in rule]
    late = {rule["record"] for rule in rules if "offset" in rule["expr"]}
    return [rule["record"] for rule in rules if not any(name in f"{rule['record']} {rule['expr']}" for name in late)]


def _wait_for_data(prometheus: Prometheus) -> None:
    """Until every query of every panel has given a number. Fails with those that gave none."""
    assert MAY_BE_EMPTY.keys() <= {query.panel for query in panel_queries()}
    empty = panel_queries()

    def all_filled() -> bool:
        empty[:] = [query for query in empty if not prometheus.series(filled(query.bare, campaign=".*"))]
        return {query.panel for query in empty} <= MAY_BE_EMPTY.keys()

    try:
        wait_until(all_filled, 150, "every panel has data")
    except AssertionError as error:
        raise AssertionError("\n".join(["no data:", *(f"{query.panel}: {query.bare}" for query in empty)])) from error


def _hear_back(settings: Settings) -> None:
    """Senders report on the first messages, and forget the stars of a rating; all buy, once without a currency."""

    def published() -> list[bytes]:
        return [record.value or b"" for channel in CHANNELS for record in read(settings, message_topic(channel))]

    wait_until(lambda: len(published()) >= 3, 90, "messages leave")
    messages = [codec.decode(Message, value) for value in published()]
    statuses: tuple[FeedbackStatus, ...] = ("sent", "delivered", "opened", "clicked", "rated")
    now = datetime.now(UTC)
    heard = [
        Feedback(
            event_id=f"{message.message_id}-{status}",
            message_id=message.message_id,
            user_id=message.user_id,
            channel=message.channel,
            status=status,
            timestamp=now,
        )
        for message in messages
        for status in statuses
    ]
    produce(settings, "message.feedback", [(event.user_id.encode(), codec.encode(event)) for event in heard])
    orders = [_order(message, currency, now) for message in messages for currency in ("EUR", None)]
    produce(settings, "shop.events", [(None, json.dumps(order).encode()) for order in orders])


def _order(message: Message, currency: str | None, now: datetime) -> dict[str, Any]:
    order_id = f"order-{message.message_id}-{currency}"
    return {
        "type": "track",
        "event": "Order Completed",
        "messageId": order_id,
        "userId": message.user_id,
        "timestamp": now.isoformat(),
        "properties": {"order_id": order_id, "total": 20.0, "currency": currency, "products": []},
    }


def _metrics_address(settings: Settings, role: str) -> str:
    """Where a role serves its metrics: it says so in its log."""
    log = (Path(settings.data_dir) / f"{role}.log").read_text()
    found = re.search(r"metrics on http://(\S+)/metrics", log)
    return found[1] if found else ""


@contextmanager
def _shoppers(settings: Settings) -> Iterator[None]:
    """Until the end of the block every quarter of a second a new customer allows one channel and leaves a cart."""
    products = load_playbook(settings).products
    assert PRODUCT in products
    stop = threading.Event()

    def act() -> None:
        for number in count():
            product = products[PRODUCT if number % 2 else next(iter(products))]
            events = _visit(f"shopper-{number}", ("push", "email")[number // 2 % 2], LOCALES[number % 4], product)
            produce(settings, "shop.events", [(None, json.dumps(event).encode()) for event in events])
            if stop.wait(0.25):
                return

    thread = threading.Thread(target=act, name="shoppers")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _visit(user: str, channel: str, locale: str, product: CatalogueProduct) -> list[dict[str, Any]]:
    about = {"product_id": product.product_id, "price": product.price, "currency": product.currency, "quantity": 1}
    consent = {"channel": channel, "purpose": "marketing", "status": "subscribed", "source": "test"}
    deeds = [
        ("Consent Updated", consent),
        ("Product Viewed", about),
        ("Product Added", {**about, "cart_id": f"c-{user}"}),
    ]
    return [
        {
            "type": "track",
            "event": event,
            "messageId": f"{user}-{number}",
            "userId": user,
            "timestamp": datetime.now(UTC).isoformat(),
            "context": {"locale": locale},
            "properties": properties,
        }
        for number, (event, properties) in enumerate(deeds)
    ]
