"""History through the whole way: counted by somebody else, and the same whatever way it comes in."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
import yaml

from schemas import codec
from schemas.messages import Decision
from schemas.profiles import ProfileView
from tests.support.cli import attune, replay
from tests.support.data import data_file
from tests.support.llm import FakeLlm
from tests.support.workers import ROOT, committed_profiles, read
from workers.core.profile.model import Profile
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(600)]

PLAYBOOK = ROOT / "playbooks" / "rees46"
DELAY_S = 15 * 60
#: The playbook's delays, as it stands in its file.
DELAYS_S = {
    campaign["id"]: float(campaign["trigger"]["delay_s"])
    for campaign in yaml.safe_load((PLAYBOOK / "campaigns.yaml").read_text())["campaigns"]
}
CHANNELS = ("messages.push", "messages.email")
NAMES = {"view": "Product Viewed", "cart": "Product Added", "purchase": "Order Completed"}


@pytest.fixture
def running(settings: Settings, tmp_path: Path) -> Any:
    """Settings of a replay: the session's Kafka, and a fast LLM that the contract suite trusts."""
    with FakeLlm() as llm:
        yield settings.changed(prefix="", llm=llm.base_url, data_dir=str(tmp_path / "data"), playbook=str(PLAYBOOK))


def under(settings: Settings, prefix: str) -> Settings:
    return settings.changed(prefix=prefix)


def views(settings: Settings) -> dict[str, ProfileView]:
    newest = {record.key: codec.decode(ProfileView, record.value) for record in read(settings, "customer.profiles")}
    return {view.customer_id: view for view in newest.values()}


def comparable(profiles: dict[str, Profile]) -> dict[str, Any]:
    """Profiles without what names their events: ids of messages and offsets."""
    found = {}
    for user, profile in profiles.items():
        profile.seen, profile.viewed_at, profile.timers = {}, 0.0, {}
        known = found[user] = msgspec.to_builtins(profile)
        for cart in known.get("carts", {}).values():
            del cart[4]  # the offset at which the cart began
        for looked in known.get("looked", {}).values():
            del looked[4]
        known["purchases"] = sorted(purchase[:2] for purchase in known.get("purchases", {}).values())
        known["ordered"] = sorted(known.get("ordered", {}).values())
        known["done"] = sorted((name.split("|")[0], at) for name, at in known.get("done", {}).items())
    return found


def reminded_in_vain(frame: pd.DataFrame, decisions: list[Decision]) -> list[Decision]:
    """Requests to customers who had bought meanwhile, by pandas alone: since the last change of that cart (the cart, or its
    product), or since the last look (anything). A cross-sell must follow an order, and offer what its customer lacks.
    """
    bought = frame[frame.event_type == "purchase"]
    of_user = {str(user): rows for user, rows in bought.groupby("user_id")}
    nothing = bought.head(0)
    wrong = []
    for decision in decisions:
        orders = of_user.get(decision.user_id, nothing)
        until = orders[orders.event_time <= decision.decided_at]
        anchor = decision.due_at - timedelta(seconds=DELAYS_S[decision.campaign_id])  # type: ignore[operator] # it has one
        since = until[until.event_time >= anchor]
        if decision.campaign_id == "cart-abandonment":
            session = decision.occurrence_id.rsplit("@", 1)[0]
            found = len(since[(since.user_session == session) | (since.product_id == decision.product_id)])
        elif decision.campaign_id == "cross-sell":
            found = len(until[until.product_id == decision.product_id]) + (len(until) == 0)
        else:
            found = len(since)
        if found:
            wrong.append(decision)
    return wrong


def as_segment(source: Path, target: Path) -> None:
    """The clickstream as Segment JSON lines, by somebody who has not read our mapping."""
    with gzip.open(source, "rt") as rows, target.open("w") as lines:
        for number, row in enumerate(csv.DictReader(rows)):
            price = float(row["price"] or 0)
            product = {
                "product_id": row["product_id"],
                "category": row["category_code"] or None,
                "brand": row["brand"] or None,
                "price": price or None,
            }
            basket = {"cart_id": row["user_session"], "session_id": row["user_session"], "currency": "USD"}
            properties: dict[str, Any] = {"session_id": row["user_session"], "currency": "USD", **product}
            if row["event_type"] == "cart":
                properties |= basket
            if row["event_type"] == "purchase":
                order = {"order_id": f"order-{number}", "products": [{**product, "quantity": 1}]}
                properties = {**basket, **order, "total": price or None, "revenue": price or None}
            event = {
                "type": "track",
                "event": NAMES[row["event_type"]],
                "messageId": f"converted-{number}",
                "timestamp": datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC").isoformat() + "Z",  # noqa: DTZ007
                "userId": row["user_id"],
                "properties": properties,
            }
            lines.write(json.dumps(event) + "\n")


def open_carts(frame: pd.DataFrame) -> set[tuple[str, str]]:
    """(session, first cart time) of carts that were left alone for the delay, by pandas alone."""
    left = set()
    for session, rows in frame[frame.event_type != "view"].groupby("user_session", sort=False):
        began: Any = None
        last: Any = None
        row: Any
        for row in rows.itertuples():
            if last is not None and (row.event_time - last).total_seconds() > DELAY_S:
                left.add((str(session), str(began)))
            if row.event_type == "cart":
                began, last = began or row.event_time, row.event_time
            else:
                began = last = None
        if last is not None:
            left.add((str(session), str(began)))
    return left


@pytest.mark.data
def test_the_real_clickstream(running: Settings, tmp_path: Path) -> None:
    source = data_file("rees46-2019-10-01.csv.gz")
    frame = pd.read_csv(source, dtype={"user_id": str, "product_id": str})
    frame["event_time"] = pd.to_datetime(frame["event_time"], utc=True)

    report = replay(running, source, "rees46", tmp_path, "--grant", "email,push", prefix="granted.")
    granted = under(running, "granted.")
    assert (report["events"], report["dead_letters"]) == (17_435, 0)
    assert read(granted, "dead.letters") == []

    counted = frame.groupby("user_id").event_type.value_counts()
    expected: dict[str, dict[str, int]] = {}
    key: Any
    for key, number in counted.items():
        expected.setdefault(key[0], {})[NAMES[key[1]]] = int(number)
    assert {user: view.features.counts for user, view in views(granted).items()} == expected
    assert report["profiles"] == len(expected)

    decisions = ledger(granted)
    carts = open_carts(frame)
    of_carts = [decision for decision in decisions if decision.campaign_id == "cart-abandonment"]
    assert Counter(decision.occurrence_id.rsplit("@", 1)[0] for decision in of_carts) == Counter(
        session for session, _ in carts
    )
    assert len({decision.decision_id for decision in decisions}) == len(decisions) == report["triggers"] >= 1000
    asked = [decision for decision in decisions if decision.reason == "requested"]
    assert {decision.campaign_id for decision in asked} == DELAYS_S.keys()
    assert reminded_in_vain(frame, asked) == []
    held_out = {decision.user_id for decision in decisions if decision.reason == "holdout"}
    assert 0.02 < len(held_out) / len({decision.user_id for decision in decisions}) < 0.09  # 5 % of the playbook

    requests = [codec.decode_topic("message.requests", record.value) for record in read(granted, "message.requests")]
    outcomes = [codec.decode_topic("message.outcomes", record.value) for record in read(granted, "message.outcomes")]
    assert Counter(outcome.message_id for outcome in outcomes) == Counter(request.message_id for request in requests)
    assert {request.decision_id for request in requests} == {decision.decision_id for decision in asked}
    assert len(requests) == report["requests"] >= 200
    sent = [codec.decode_topic(topic, record.value) for topic in CHANNELS for record in read(granted, topic)]
    assert len({message.message_id for message in sent}) == len(sent) == report["outcomes"]["published"]
    assert held_out.isdisjoint(message.user_id for message in sent)
    assert max(Counter(message.user_id for message in sent).values()) <= 3  # the weekly cap

    before = comparable(committed_profiles(granted)), len(sent)
    again = replay(running, source, "rees46", tmp_path, "--grant", "email,push", prefix="granted.")
    assert (again["events"], again["profiles_changed"], again["requests"], again["messages"]["total"]) == (
        17_435,
        0,
        0,
        0,
    )
    after = sum(len(read(granted, topic)) for topic in CHANNELS)
    assert (comparable(committed_profiles(granted)), after) == before

    converted = tmp_path / "converted.jsonl"
    as_segment(source, converted)
    silent = replay(running, converted, "segment", tmp_path, prefix="segment.")
    assert (silent["events"], silent["dead_letters"], silent["messages"]["total"]) == (17_435, 0, 0)
    assert silent["decisions"].keys() <= {"consent", "converted"}
    assert occasions(ledger(under(running, "segment."))) == occasions(decisions)
    without_sends = comparable(committed_profiles(under(running, "segment.")))
    for user, profile in before[0].items():
        for name in ("sends", "sent", "sketches", "published"):
            profile.pop(name, None)
        assert without_sends[user] == profile, user


def ledger(settings: Settings) -> list[Decision]:
    """Every record of the ledger."""
    return [codec.decode(Decision, record.value) for record in read(settings, "message.decisions")]


def occasions(decisions: list[Decision]) -> Counter[Any]:
    """What was decided about whom and when, whatever was decided; ids of orders are the converter's own."""
    return Counter((d.campaign_id, d.user_id, d.due_at, d.product_id) for d in decisions)


def small_history(path: Path) -> None:
    """Ana leaves a cart, Bo buys his in time, Cem refuses, and one line is broken."""
    lines: list[str] = []

    def add(user: str, second: int, event: str, **properties: Any) -> None:
        lines.append(
            json.dumps(
                {
                    "type": "track",
                    "event": event,
                    "messageId": f"m{len(lines)}",
                    "userId": user,
                    "timestamp": f"2024-03-04T12:{second // 60:02}:{second % 60:02}Z",
                    "context": {"locale": "en-GB"},
                    "properties": properties,
                }
            )
        )

    for user in ("ana", "bo", "cem"):
        add(
            user,
            1,
            "Product Added",
            cart_id=f"cart-{user}",
            product_id="p1",
            category="audio",
            price=10,
            currency="EUR",
        )
    add("cem", 2, "Consent Updated", channel="push", purpose="marketing", status="unsubscribed")
    add("bo", 300, "Order Completed", cart_id="cart-bo", order_id="o1", total=10, currency="EUR")
    lines.append('{"type": "track", "event": ')
    path.write_text("\n".join(lines) + "\n")


def test_a_small_history_is_explained_to_the_end(running: Settings, tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    small_history(history)
    report = replay(running, history, "segment", tmp_path, "--grant", "push", prefix="small.")
    assert report["decisions"] == {"requested": 1, "consent": 1}
    assert report["outcomes"] == {"published": 1}
    assert report["dead_letters"] == 1

    small = under(running, "small.")
    ana = attune(small, "why", "--user", "ana").stdout
    assert "a message was requested" in ana
    assert "it was handed to the sender" in ana
    assert "FAIL consent" in attune(small, "why", "--user", "cem").stdout
    assert "Nothing was ever decided" in attune(small, "why", "--user", "bo").stdout
    (message,) = [codec.decode_topic(topic, record.value) for topic in CHANNELS for record in read(small, topic)]
    chain = json.loads(attune(small, "why", "--message", message.message_id, "--json").stdout)
    assert chain[0]["message"]["message_id"] == message.message_id
    assert chain[0]["decision"]["source_event"]["topic"] == "customer.events"
    (row,) = json.loads(attune(small, "stats", "--json").stdout)["ledger"]  # a replay runs without `learn`
    assert (row["decisions"], row["outcomes"]) == ({"requested": 1, "consent": 1}, {"published": 1})
    tail = attune(small, "tail", "message.decisions", "--all", "--json").stdout.splitlines()
    assert {json.loads(line)["key"] for line in tail} == {"ana", "cem"}


def test_a_line_stamped_ahead_costs_only_itself_and_never_a_no(running: Settings, tmp_path: Path) -> None:
    small, ahead = tmp_path / "small.jsonl", tmp_path / "ahead.jsonl"
    small_history(small)
    lines = small.read_text().splitlines()
    wrong = {**json.loads(lines[0]), "messageId": "ahead", "timestamp": "2025-03-04T12:00:00Z"}
    refusal = {**json.loads(lines[3]), "timestamp": "2025-03-04T12:00:00Z"}  # Cem's device tells another year
    del wrong["timestamp"]  # no time at all: that of the replay would do the same
    stamped = {**wrong, "messageId": "stamped", "timestamp": "2025-03-04T12:00:00Z"}
    ahead.write_text("\n".join([json.dumps(wrong), json.dumps(stamped), *lines[:3], json.dumps(refusal), *lines[4:]]))
    report = replay(running, ahead, "segment", tmp_path, "--grant", "push", prefix="ahead.")
    assert (report["events"], report["dead_letters"]) == (5, 3)
    assert report["decisions"] == {"requested": 1, "consent": 1}
    letters = [
        json.loads(line) for line in attune(under(running, "ahead."), "dlq", "list", "--json").stdout.splitlines()
    ]
    assert sorted(letter["reason"] for letter in letters) == ["bad_timestamp", "bad_timestamp", "broken_json"]


def test_dead_letters_are_listed_shown_and_sent_again(running: Settings, tmp_path: Path) -> None:
    history = tmp_path / "history.jsonl"
    small_history(history)
    said = attune(running, "replay", str(history), "--format", "segment", "--prefix", "letters.").stderr
    assert "% of the file), " in said  # no terminal: lines tell how far it is
    assert "attune: for details: attune stats --prefix letters., attune why --user U --prefix letters.\n" in said
    letters = under(running, "letters.")
    (listed,) = map(json.loads, attune(letters, "dlq", "list", "--json").stdout.splitlines())
    assert listed["reason"] == "broken_json"
    origin = f"{listed['topic']}:{listed['partition']}:{listed['offset']}"
    assert "broken_json" in attune(letters, "dlq", "show", origin).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.csv", "--format", "rees46"), ["nowhere.csv"]),
        (("README.md", "--format", "csv"), ["mapping"]),
        (("README.md", "--format", "rees46"), ["README.md", "event_time"]),
        (("README.md", "--format", "segment", "--speed", "fast"), ["--speed"]),
        (("README.md", "--format", "segment", "--live", "--grant", "push"), ["--live"]),
        (("README.md", "--format", "segment", "--playbook", "nowhere"), ["nowhere"]),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(running: Settings, arguments: tuple[str, ...], words: list[str]) -> None:
    finished = attune(running, "replay", *arguments, code=78)
    assert "Traceback" not in finished.stderr
    assert [word for word in words if word not in finished.stderr] == []
