"""`attune review` on a real broker: from a real worker's question to the person's answer and the message."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.control import AuditRecord
from schemas.messages import (
    Candidate,
    Message,
    MessageRequest,
    MessageText,
    Outcome,
    ProductFacts,
    Review,
    ReviewVerdict,
)
from tests.support.playbooks import SMART_DEVICES, copy_of, playbook
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.broadcast_state import Follower
from workers.adapters.kafka.partitioner import partition_of
from workers.commands.content.review import review
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka

NOW = datetime.now(UTC)
BODY = "Your Smart Band with sleep tracking is still in your cart."


class Terminal:
    """The command on one installation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._runner = CliRunner(env=to_environment(settings))

    def __call__(self, *arguments: str, typed: str = "", code: int = 0) -> Result:
        result = self._runner.invoke(review, arguments, input=typed)
        assert result.exit_code == code, result.output
        return result

    @property
    def verdicts(self) -> list[ReviewVerdict]:
        return [codec.decode(ReviewVerdict, record.value) for record in read(self.settings, "message.verdicts")]


@pytest.fixture
def terminal(settings: Settings) -> Terminal:
    return Terminal(prepare(settings))


def asked(number: int, *, hours: float = 4.0, body: str = BODY) -> Review:
    """A question as personalise would write it."""
    return Review(
        message_id=f"{number:04d}{'a' * 28}",
        user_id=f"user-{number}",
        campaign_id="cart-abandonment",
        channel="push",
        locale="en-GB",
        target_group="sports",
        product=ProductFacts(product_id="smart-band", name="Smart Band", facts=["sleep tracking"]),
        text=MessageText(title="Your Smart Band", body=body),
        prompt="cart-abandonment",
        language="en",
        prompt_version="p1",
        why="it is [new]",
        asked_at=NOW,
        timeout_at=NOW + timedelta(hours=hours),
    )


def ask(settings: Settings, *reviews: Review) -> None:
    produce(settings, "message.reviews", [(one.user_id.encode(), codec.encode(one)) for one in reviews])


def test_the_list_shows_what_is_open_and_nothing_else(terminal: Terminal) -> None:
    assert terminal("list").stdout == "no texts wait for a verdict\n"
    ask(terminal.settings, asked(1, hours=3), asked(2, hours=2), asked(3, hours=-1))
    shown = terminal("list").stdout
    assert shown.index("0002") < shown.index("0001")
    assert "0003" not in shown
    terminal("approve", "0001")
    assert "0001" not in terminal("list").stdout
    (line,) = terminal("list", "--json").stdout.splitlines()
    assert codec.decode(Review, line.encode()) == asked(2, hours=2)


def test_a_text_is_shown_with_what_it_may_claim(terminal: Terminal) -> None:
    ask(terminal.settings, asked(1))
    shown = terminal("show", "0001").stdout
    assert BODY in shown
    assert "sleep tracking" in shown
    assert "it is [new]" in shown
    assert "no text in review" in terminal("show", "9", code=78).stderr


def test_a_verdict_goes_to_the_customers_own_partition_and_into_the_audit_trail(terminal: Terminal) -> None:
    ask(terminal.settings, asked(1), asked(2))
    terminal("approve", "0001", "--by", "vera", "--rating", "5")
    terminal("reject", "0002", "--by", "vera", "--reason", "too dry", "--reason", "too long")
    for record in read(terminal.settings, "message.verdicts"):
        assert record.partition == partition_of(record.key or b"", terminal.settings.partitions)
    by_user = {said.user_id: said for said in terminal.verdicts}
    assert (by_user["user-1"].verdict, by_user["user-1"].rating) == ("approve", 5)
    assert (by_user["user-2"].verdict, by_user["user-2"].reasons) == ("reject", ["too dry", "too long"])
    trail = [codec.decode(AuditRecord, record.value) for record in read(terminal.settings, "audit.trail")]
    assert {(one.actor, one.action, one.subject[:4]) for one in trail} == {
        ("vera", "review approve", "0001"),
        ("vera", "review reject", "0002"),
    }


def test_a_second_verdict_and_one_that_is_too_late_are_refused(terminal: Terminal) -> None:
    ask(terminal.settings, asked(1), asked(2, hours=-1), asked(3))
    terminal("approve", "0001", "--by", "vera")
    assert "vera has decided: approve" in terminal("reject", "0001", code=78).stderr
    assert "its deadline has passed" in terminal("approve", "0003", "0002", code=78).stderr
    assert [said.user_id for said in terminal.verdicts] == ["user-1"]


def test_an_edit_must_hold_to_the_guardrails_and_change_something(terminal: Terminal) -> None:
    ask(terminal.settings, asked(1))
    refused = terminal("edit", "0001", "--set", "body=Half price today: your Smart Band!", code=78).stderr
    assert "offers" in refused
    assert "the text is unchanged" in terminal("edit", "0001", code=78).stderr
    assert "title, body" in terminal("edit", "0001", "--set", "subject=Hello", code=78).stderr
    assert terminal.verdicts == []
    terminal("edit", "0001", "--set", "body=Sleep tracking, all week: your Smart Band is still in your cart.")
    (said,) = terminal.verdicts
    assert said.text is not None
    assert (said.text.title, said.text.body[:14]) == ("Your Smart Band", "Sleep tracking")


def test_what_has_left_can_be_rated_by_its_whole_id(terminal: Terminal) -> None:
    left = Outcome(
        message_id="left-1",
        decision_id="d",
        user_id="user-7",
        campaign_id="cart-abandonment",
        channel="push",
        reason="published",
        requested_at=NOW,
        ended_at=NOW,
    )
    produce(terminal.settings, "message.outcomes", [(b"user-7", codec.encode(left))])
    terminal("rate", "left-1", "--rating", "4", "--reason", "warm")
    (said,) = terminal.verdicts
    assert (said.user_id, said.verdict, said.rating, said.reasons) == ("user-7", "rate", 4, ["warm"])
    assert "no message left-2" in terminal("rate", "left-2", "--rating", "4", code=78).stderr
    assert "needs --rating" in terminal("rate", "left-1", code=78).stderr


def test_a_trusted_prompt_is_heard_by_the_workers_until_it_is_revoked(terminal: Terminal) -> None:
    version = playbook().prompts["cart-abandonment", "en"].version
    scope = f"prompt:cart-abandonment/en@{version}"
    with Follower(terminal.settings) as follower:
        terminal("trust", "cart-abandonment", "--language", "en")
        wait_until(lambda: follower.current.trusted == {scope}, 5, "the trust is heard")
        terminal("trust", "cart-abandonment", "--language", "en", "--revoke")
        wait_until(lambda: follower.current.trusted == set(), 5, "its end is heard")
    assert "no prompt cart" in terminal("trust", "cart", code=78).stderr


def test_ten_approvals_and_nothing_else_propose_to_trust_a_prompt(terminal: Terminal) -> None:
    ask(terminal.settings, *(asked(number) for number in range(12)))
    terminal("approve", *(f"{number:04d}" for number in range(10)))
    assert "attune review trust cart-abandonment --language en" in terminal("list").stdout
    terminal("reject", "0010")
    assert "attune review trust" not in terminal("list").stdout


def test_one_by_one_asks_about_each_open_text(terminal: Terminal) -> None:
    ask(terminal.settings, asked(1, hours=1), asked(2, hours=2), asked(3, hours=3))
    terminal("next", "--by", "vera", typed="s\na\n5\n\nr\n0\ntoo dry\n")
    said = {one.user_id: (one.verdict, one.rating, one.reasons) for one in terminal.verdicts}
    assert said == {"user-2": ("approve", 5, []), "user-3": ("reject", None, ["too dry"])}


@pytest.mark.timeout(180)
def test_a_real_worker_asks_waits_and_publishes_what_was_approved(settings: Settings, tmp_path: Path) -> None:
    folder = copy_of(SMART_DEVICES, tmp_path / "playbook")
    policy = folder / "policy.yaml"
    policy.write_text(re.sub(r"quiet_hours:.*\n", "review: {new_prompts: true}\n", policy.read_text(), count=1))
    running = prepare(settings).changed(playbook=str(folder), speedup=3600.0)
    terminal = Terminal(running)
    at = datetime.now(UTC).isoformat()
    allowed = {"channel": "push", "status": "subscribed"}
    # Those who are in the control group, or for whom saying nothing is drawn, are asked nothing: some others remain.
    users = [f"user-{number}" for number in range(12)]
    cart = {"product_id": "smart-band", "cart_id": "c", "price": 299}
    events = [
        (user, {"messageId": f"{user}{name}", "type": "track", "event": name, "properties": properties})
        for user in users
        for name, properties in (("Consent Updated", allowed), ("Product Added", cart))
    ]
    records = [
        (user.encode(), json.dumps({**event, "userId": user, "timestamp": at}).encode()) for user, event in events
    ]
    produce(running, "customer.events", [(key, value) for key, value in records])
    with worker("personalise", running) as process:
        requests = wait_until(lambda: read(running, "message.requests"), 60, "a request for words")
        request = codec.decode(MessageRequest, requests[0].value)
        candidate = Candidate(
            message_id=request.message_id,
            user_id=request.user_id,
            text=MessageText(title="你的智能手环", body="智能手环还在购物车里，睡眠监测陪你每一晚。"),
            generated_by="llm",
            prompt_version=request.prompt_version,
            generated_at=datetime.now(UTC),
        )
        produce(running, "message.candidates", [(request.user_id.encode(), codec.encode(candidate))])
        wait_until(lambda: read(running, "message.reviews"), 30, "the text is shown to people")
        terminal("approve", request.message_id, "--by", "vera")
        published = wait_until(
            lambda: [
                found
                for record in read(running, "messages.push")
                if (found := codec.decode(Message, record.value)).message_id == request.message_id
            ],
            30,
            "the message leaves",
        )
        process.terminate()
        assert process.wait(30) == 0
    assert [message.provenance.reviewed for message in published] == ["approved"]
