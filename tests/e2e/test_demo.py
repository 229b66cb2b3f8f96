"""`attune demo`, looked at by a reader that trusts nothing of it."""

from __future__ import annotations

import json
import math
import os
import re
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
import yaml

from infra.kafka.embedded import EmbeddedKafka
from schemas import codec
from schemas.base import AbortType
from schemas.events import AnyEvent, Track
from schemas.messages import Decision, Feedback, Message
from schemas.profiles import ProfileView
from tests.support.cli import attune
from tests.support.workers import ROOT, read
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.llm, pytest.mark.timeout(420)]

PLAYBOOK = ROOT / "playbooks" / "smart-devices"
CHANNELS = ("push", "email")
CAMPAIGNS = {"cart-abandonment", "repeat-view", "browse-abandonment", "cross-sell"}
DURATION_S = 120
SPEEDUP = 360
#: A word of the customer is obeyed this long after it was appended [s].
HEARD_WITHIN_S = 2.0
#: An abandoned cart is decided this long after it was touched, the delay included [s].
DECIDED_WITHIN_S = 15.0
REASONS = set(get_args(AbortType)) | {"requested"}


class Aftermath:
    """What the demo said, and what lies in its topics."""

    def __init__(self, report: dict[str, Any], picture: str, words: str, settings: Settings) -> None:
        self.report = report
        self.picture = picture
        self.words = words
        self.decisions: list[Decision] = self.of(settings, "message.decisions")
        self.requests = self.of(settings, "message.requests")
        self.outcomes = self.of(settings, "message.outcomes")
        self.feedback = read(settings, "message.feedback")
        self.events: list[AnyEvent] = [codec.decode_event(r.value) for r in read(settings, "customer.events")]
        self.appended = [
            (codec.decode(Message, record.value), record.appended_at_s)
            for channel in CHANNELS
            for record in read(settings, f"messages.{channel}")
        ]
        self.messages = [message for message, _ in self.appended]
        newest = {record.key: codec.decode(ProfileView, record.value) for record in read(settings, "customer.profiles")}
        self.profiles = {view.customer_id: view for view in newest.values()}
        self.dead_letters = read(settings, "dead.letters")

    @staticmethod
    def of(settings: Settings, topic: str) -> list[Any]:
        return [codec.decode_topic(record.topic, record.value) for record in read(settings, topic)]

    @cached_property
    def answers(self) -> list[tuple[Feedback, float]]:
        """Feedback, and when it was appended."""
        return [(codec.decode(Feedback, record.value), record.appended_at_s) for record in self.feedback]

    @property
    def tracks(self) -> Iterator[Track]:
        return (event for event in self.events if isinstance(event, Track))

    @property
    def refusals(self) -> list[tuple[Feedback, float]]:
        """Who said no to what, and when that was appended."""
        return [(one, at_s) for one, at_s in self.answers if one.status in ("unsubscribed", "complained")]


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder = tmp_path_factory.mktemp("demo")
    settings = Settings(data_dir=str(folder))
    report = folder / "report.json"
    with usual_ports_taken():
        finished = attune(settings, "demo", "--duration", str(DURATION_S), "--report", str(report), timeout_s=300)
    assert processes_of(folder) == []
    with EmbeddedKafka(folder / "demo" / "kafka") as kafka:
        picture = report.with_suffix(".svg").read_text()
        running = Settings(brokers=kafka.bootstrap, data_dir=str(folder))
        yield Aftermath(json.loads(report.read_text()), picture, finished.stderr, running)


@contextmanager
def usual_ports_taken() -> Iterator[None]:
    """The metrics ports of `attune up`, as if it ran beside."""
    with ExitStack() as stack:
        for role in ("intake", "personalise", "generate", "learn"):
            taken = stack.enter_context(socket.socket())
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # somebody has it already, which is as good
                taken.bind(("127.0.0.1", Settings().metrics.ports[role]))
                taken.listen()
        yield


def processes_of(folder: Path) -> list[str]:
    """Commands of processes, other than this one, that name the folder or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(process.name) != os.getpid() and str(folder) in command + environment:
            found.append(command)
    return found


def test_without_a_terminal_a_line_tells_now_and_then_how_far_it_is(aftermath: Aftermath) -> None:
    said = aftermath.words.splitlines()
    progress = [
        re.match(r"attune: (\d+) s: (\d+) events .*, (\d+) decisions, .* (\d+) messages", line) for line in said
    ]
    counts = [tuple(map(int, found.groups())) for found in progress if found]
    assert len(counts) >= DURATION_S / 10
    assert max(later[0] - earlier[0] for earlier, later in pairwise(counts)) <= 15
    assert counts == sorted(counts)
    assert counts[-1][3] > 0


def test_it_says_where_its_metrics_are_and_nothing_that_passes_by_itself(aftermath: Aftermath) -> None:
    assert re.search(r"intake http://127\.0\.0\.1:\d+/metrics   personalise http://.*   learn http://", aftermath.words)
    assert ":9101/" not in aftermath.words
    assert [line for line in aftermath.words.splitlines() if line.startswith("%")] == []
    user = re.search(r"attune why --user (\S+) --data-dir (\S+)", aftermath.words)
    assert user is not None
    assert user[1] in aftermath.profiles


def test_everybody_is_there(aftermath: Aftermath) -> None:
    assert len(aftermath.profiles) >= 250
    assert aftermath.dead_letters == []
    assert aftermath.report["restarts"] == 0
    assert {message.locale.split("-")[0] for message in aftermath.messages} == {"zh", "en"}
    assert {message.target_group for message in aftermath.messages} >= {"young", "sports", "business"}
    assert {message.product_id for message in aftermath.messages} >= {"smart-band", "wireless-earphones"}


def test_the_report_says_what_the_topics_say(aftermath: Aftermath) -> None:
    report = aftermath.report
    assert report["triggers"] == len(aftermath.decisions)
    assert report["requests"] == len(aftermath.requests)
    assert report["messages"]["total"] == len(aftermath.messages)
    assert report["profiles"] == len(aftermath.profiles)
    assert set(report["llm_share"]) == {"zh", "en"}


def test_every_request_has_one_outcome_and_no_message_is_doubled(aftermath: Aftermath) -> None:
    assert sorted(outcome.message_id for outcome in aftermath.outcomes) == sorted(
        request.message_id for request in aftermath.requests
    )
    assert len({decision.decision_id for decision in aftermath.decisions}) == len(aftermath.decisions)
    assert len({message.message_id for message in aftermath.messages}) == len(aftermath.messages)


def test_nobody_heard_anything_without_consent(aftermath: Aftermath) -> None:
    said_yes = {
        (track.user_id, track.properties.channel)
        for track in aftermath.tracks
        if track.event == "Consent Updated" and track.properties.status == "subscribed"
    }
    said_no = {refusal.user_id for refusal, _ in aftermath.refusals}
    for message in aftermath.messages:
        assert (message.user_id, message.channel) in said_yes
        if message.user_id not in said_no:
            assert aftermath.profiles[message.user_id].consent[f"{message.channel}:marketing"].granted


def test_nobody_heard_anything_after_saying_no(aftermath: Aftermath) -> None:
    assert len(aftermath.refusals) >= 5
    for refusal, said_s in aftermath.refusals:
        later = [
            message
            for message, at_s in aftermath.appended
            if message.user_id == refusal.user_id
            and (message.channel == refusal.channel or refusal.status == "complained")
            and at_s > said_s + HEARD_WITHIN_S
        ]
        assert later == []
        assert not aftermath.profiles[refusal.user_id].consent[f"{refusal.channel}:marketing"].granted


def test_the_holdout_heard_nothing(aftermath: Aftermath) -> None:
    held = {decision.user_id for decision in aftermath.decisions if decision.reason == "holdout"}
    assert held
    assert [message for message in aftermath.messages if message.user_id in held] == []
    assert [request for request in aftermath.requests if request.user_id in held] == []


def test_all_four_triggers_speak(aftermath: Aftermath) -> None:
    assert {decision.campaign_id for decision in aftermath.decisions} == CAMPAIGNS
    assert {message.campaign_id for message in aftermath.messages} == CAMPAIGNS


def test_the_ledger_explains_every_occurrence_once(aftermath: Aftermath) -> None:
    occurrences = Counter((one.user_id, one.campaign_id, one.occurrence_id) for one in aftermath.decisions)
    assert set(occurrences.values()) == {1}
    assert {decision.reason for decision in aftermath.decisions} <= REASONS
    explained = Counter(
        (one.user_id, one.occurrence_id.rpartition("@")[0])
        for one in aftermath.decisions
        if one.campaign_id == "cart-abandonment"
    )
    abandoned = abandoned_carts(aftermath)
    assert len(abandoned) >= 100
    assert {cart: explained[cart] for cart in abandoned if explained[cart] != 1} == {}


def abandoned_carts(aftermath: Aftermath) -> set[tuple[str, str]]:
    """Carts that nothing happened to for long enough before the end, by the events alone."""
    touched: dict[tuple[str, str], list[float]] = defaultdict(list)
    for track in aftermath.tracks:
        if track.event in ("Product Added", "Order Completed") and track.properties.cart_id:
            touched[track.customer_id, track.properties.cart_id].append(track.timestamp.timestamp())
    added = {
        (track.customer_id, track.properties.cart_id or "")
        for track in aftermath.tracks
        if track.event == "Product Added"
    }
    end_s = max(decision.decided_at.timestamp() for decision in aftermath.decisions)
    found = set()
    for cart, times in touched.items():
        ends = [*sorted(times)[1:], end_s]
        if cart in added and ends[0] - min(times) > DECIDED_WITHIN_S:
            found.add(cart)
    return found


def test_every_choice_is_logged_with_its_exact_chance(aftermath: Aftermath) -> None:
    chosen = [decision for decision in aftermath.decisions if decision.propensities]
    assert len(chosen) > 300
    for decision in chosen:
        assert math.isclose(sum(decision.propensities.values()), 1.0, abs_tol=1e-9)
        assert decision.propensities[decision.variation_id or ""] == decision.propensity > 0
        assert (decision.variation_id == "no-send") == (decision.reason == "no_action_chosen") or (
            decision.reason == "holdout"
        )
    for message in aftermath.messages:
        assert message.variation_id != "no-send"


def test_learnt_arms_earn_more_than_equal_chances(aftermath: Aftermath) -> None:
    """By a computation of its own: self-normalised weights, linearised, errors clustered by customer."""
    rewarded = rewards(aftermath)
    learnt = sum(reward for _, reward in rewarded) / len(rewarded)
    weights = [1 / (len(one.propensities) * one.propensity) for one, _ in rewarded]
    uniform = sum(w * reward for w, (_, reward) in zip(weights, rewarded, strict=True)) / sum(weights)
    influence: dict[str, float] = defaultdict(float)
    for weight, (one, reward) in zip(weights, rewarded, strict=True):
        influence[one.user_id] += (reward - learnt) / len(rewarded) - weight * (reward - uniform) / sum(weights)
    margin = 1.96 * math.sqrt(sum(value * value for value in influence.values()))
    assert sum(weights) ** 2 / sum(weight * weight for weight in weights) > 50
    assert learnt - uniform - margin > 0, (learnt, uniform, margin)
    said = aftermath.report["learning"]
    assert math.isclose(said["learnt"], learnt, abs_tol=1e-9)
    assert math.isclose(said["uniform"], uniform, abs_tol=1e-9)
    assert said["difference"]["low"] > 0
    assert abs(said["difference"]["high"] - said["difference"]["low"] - 2 * margin) < margin


def rewards(aftermath: Aftermath) -> list[tuple[Decision, float]]:
    """What each decision that chose earned, from the playbook's own file and the topics."""
    policy = yaml.safe_load((PLAYBOOK / "policy.yaml").read_text()).get("learning", {})
    worth = {"opened": 0, "clicked": 0.3, "replied": 0.3, "converted": 1, "unsubscribed": -1, "complained": -2}
    worth |= policy.get("rewards", {})
    window_s = policy.get("attribution_s", 86_400) / SPEEDUP
    chose = [
        d for d in aftermath.decisions if d.reason in ("requested", "no_action_chosen") and len(d.propensities) > 1
    ]
    happened: dict[str, set[str]] = defaultdict(set)
    for feedback, _ in aftermath.answers:
        if not feedback.machine_opened:
            happened[feedback.message_id].add(feedback.status)
    converted = set()
    for track in aftermath.tracks:
        if track.event == "Order Completed":
            before = [
                d
                for d in chose
                if d.user_id == track.customer_id and 0 <= (track.timestamp - d.decided_at).total_seconds() <= window_s
            ]
            if before:
                converted.add(max(before, key=lambda d: (d.decided_at, d.decision_id)).decision_id)
    return [
        (
            decision,
            sum(worth.get(status, 0) for status in happened.get(decision.message_id or "", ()))
            + (worth["converted"] if decision.decision_id in converted else 0),
        )
        for decision in chose
    ]


def test_the_demo_says_and_draws_what_was_learnt(aftermath: Aftermath) -> None:
    assert "the learnt arms earned" in aftermath.words
    assert "95 % interval" in aftermath.words
    root = ElementTree.fromstring(aftermath.picture)  # noqa: S314 # our own picture
    assert root.tag.endswith("svg")
    drawn = "".join(root.itertext())
    for name in (*CAMPAIGNS, "young", "sports", "business", "question.brisk"):
        assert name in drawn
    arms = aftermath.report["learning"]["arms"]
    assert {arm["arm"] for arm in arms if arm["campaign_id"] == "cart-abandonment"} >= {"plain.warm", "question.brisk"}


def allowed_numbers(message: Message, products: dict[str, Any]) -> set[str]:
    """Every number that the product's own data holds."""
    product = products[message.product_id or ""]
    return set(re.findall(r"\d+(?:\.\d+)?", json.dumps(product, ensure_ascii=False))) | {
        f"{float(product['price']):g}",
        "1",
    }


def test_every_published_text_passes_an_independent_check(aftermath: Aftermath) -> None:
    entries = yaml.safe_load((PLAYBOOK / "products.yaml").read_text())
    products = {entry["product_id"]: entry for entry in (entries["products"] if isinstance(entries, dict) else entries)}
    listed = yaml.safe_load((PLAYBOOK / "channels.yaml").read_text())
    channels = {entry["id"]: entry for entry in (listed["channels"] if isinstance(listed, dict) else listed)}
    assert aftermath.messages
    for message in aftermath.messages:
        language = message.locale.split("-")[0]
        fields = {"title": message.title, "email_subject": message.email_subject, "preheader": message.preheader}
        texts = {name: text for name, text in {**fields, "body": message.body}.items() if text}
        for name, text in texts.items():
            limit = channels[message.channel]["fields"][name][language]
            assert len(text) <= limit["max_chars"], (name, text)
            assert not re.search(r"https?:|www\.|<[a-z/]|[{}]|\*\*|[\u200b-\u200f\u202a-\u202e]|@", text), text
            chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
            assert (chinese > 0) == (language == "zh"), text
            assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= allowed_numbers(message, products), text
            assert not re.search(r"最佳|第一|国家级|免费|折扣|\bfree\b|discount|sale\b|% off", text, re.IGNORECASE), (
                text
            )


def test_a_message_tells_where_it_came_from(aftermath: Aftermath) -> None:
    decisions = {decision.decision_id: decision for decision in aftermath.decisions}
    for message in aftermath.messages:
        decision = decisions[message.provenance.decision_id]
        assert decision.user_id == message.user_id
        assert decision.reason == "requested"
        assert message.provenance.source_event is not None
        assert message.ai_generated == (message.provenance.generated_by == "llm")
