"""Every command, on topics full of text that a terminal would obey: it is shown, and never obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from schemas import codec
from schemas.base import Wire
from schemas.control import AuditRecord, ControlSwitch, DeadLetter
from schemas.learning import ArmStatistics, FeedbackMetrics, PolicySnapshot, PoolEntry
from schemas.messages import (
    Candidate,
    Decision,
    Feedback,
    GuardrailVerdict,
    Message,
    MessageText,
    Outcome,
    PolicyCheck,
    ProductFacts,
    Provenance,
    Review,
    ReviewVerdict,
)
from schemas.profiles import CartLine, CartView, ConsentView, Features, ProfileView
from tests.support.workers import prepare, produce
from tests.unit.test_command_line import EVERY, HOSTILE, obeyed
from workers.cli import main
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka

H = HOSTILE.replace("\ud800", "") + "\x00\n  ended: it was handed to the sender"
NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=5)
ANA = f"ana{H}"
#: Arguments of the commands that look at topics; what they must show of them.
LOOKING: dict[str, list[tuple[list[str], str]]] = {
    "why": [
        (["--user", ANA], "text by"),
        (["--user", ANA, "--json"], '"feedback"'),
        (["--message", "m1"], "review requested"),
        (["--user", f"bo{H}"], "Profile of bo"),
        (["--user", f"cem{H}"], "cannot be read"),
    ],
    "stats": [
        ([], "What messages achieved"),
        (["--by", "arm"], "What was learnt"),
        (["--by", "group", "--json"], '"rows"'),
    ],
    "review list": [([], "wait for a verdict"), (["--json"], "message_id")],
    "review show": [(["m2"], "guardrail")],
    "pause": [(["--list"], "is paused")],
    "pool list": [([], "e1 draft"), (["--json"], "entry_id")],
    "dlq list": [([], "newest"), (["--json"], "reason")],
    "dlq show": [(["shop.events:0:7"], "key: ")],
    "tail": [
        (["message.decisions", "--all"], "d1"),
        (["customer.events", "--all"], "not JSON"),
        (["customer.events", "--all", "--json"], "not JSON"),
        (["audit.trail", "--all"], "pause"),
    ],
    "topics show": [([], "message.decisions"), (["--json"], "ours")],
}
#: They print no text of topics, or the same by the same functions; what they print passes the same console.
NOT_LOOKING = {
    *("demo", "up", "down", "worker", "replay", "copy", "settings", "eval text", "playbook check", "topics apply"),
    *("eval guardrails", "guardrails explain", "train checker"),
    *("review approve", "review reject", "review edit", "review rate", "review trust", "review next", "resume"),
    *("pool fill", "pool approve", "pool reject", "pool retire", "dlq replay"),
}


def test_no_command_is_forgotten() -> None:
    assert {*LOOKING, *NOT_LOOKING} == EVERY.keys()


def records() -> Iterator[tuple[str, str, Wire]]:
    """(topic, key, value) with hostile text wherever anybody may write some."""
    ids: dict[str, Any] = {"message_id": "m1", "user_id": ANA}
    facts = ProductFacts(product_id=f"p{H}", name=H, facts=[H])
    text = MessageText(title=H, body=H)
    failed = GuardrailVerdict(name=f"claims{H}", passed=False, detail=H)
    yield (
        "message.decisions",
        ANA,
        Decision(
            **ids,
            decision_id=f"d1{H}",
            campaign_id=f"cart{H}",
            occurrence_id=H,
            trigger=f"cart_abandonment{H}",
            decided_at=NOW,
            reason="requested",
            target_group=H,
            locale=H,
            product_id=f"p{H}",
            checks=[PolicyCheck(name=f"consent{H}", passed=False, detail=H)],
            variation_id=H,
            propensities={H: 0.5, f"b{H}": 0.5},
            snapshot_version=H,
        ),
    )
    yield (
        "message.candidates",
        ANA,
        Candidate(
            **ids, text=text, generated_by="llm", failure=H, verdicts=[failed], prompt_version=H, generated_at=NOW
        ),
    )
    for message_id in ("m1", "m2"):
        yield (
            "message.reviews",
            ANA,
            Review(
                message_id=message_id,
                user_id=ANA,
                campaign_id=f"cart{H}",
                channel=f"push{H}",
                target_group=H,
                locale=H,
                product=facts,
                text=text,
                prompt=H,
                language=H,
                verdicts=[failed],
                why=H,
                asked_at=NOW,
                timeout_at=LATER,
            ),
        )
    said = ReviewVerdict(**ids, verdict_id="v1", verdict="reject", reviewer=H, reasons=[H], decided_at=NOW)
    yield "message.verdicts", ANA, said
    yield (
        "message.outcomes",
        ANA,
        Outcome(
            **ids,
            decision_id=f"d1{H}",
            campaign_id=f"cart{H}",
            channel="push",
            reason="published",
            detail=H,
            requested_at=NOW,
            ended_at=NOW,
        ),
    )
    yield (
        "messages.push",
        ANA,
        Message(
            **ids,
            idempotency_key="m1",
            channel="push",
            campaign_id=f"cart{H}",
            locale=H,
            title=H,
            body=H,
            send_at=NOW,
            expires_at=LATER,
            provenance=Provenance(decision_id=H),
        ),
    )
    bounced = Feedback(**ids, event_id="f1", status="bounced", timestamp=NOW, bounce_reason=H)
    yield "message.feedback", ANA, bounced
    rated = Feedback(**ids, event_id="f2", status="rated", timestamp=NOW, rating=1, comment=H)
    yield "message.feedback", ANA, rated
    yield "message.feedback", ANA, msgspec.structs.replace(bounced, event_id="f3", message_id=f"m9{H}")
    yield (
        "customer.profiles",
        f"bo{H}",
        ProfileView(
            customer_id=f"bo{H}",
            target_group=H,
            segments=[H],
            consent={
                f"push{H}:marketing": ConsentView(granted=True, captured_at=NOW, source=H),
                "personalisation": ConsentView(granted=False, captured_at=NOW),
            },
            features=Features(
                counts={H: 1},
                carts=[CartView(cart_id=H, opened_at=NOW, updated_at=NOW, items=[CartLine(product_id=H, quantity=1)])],
            ),
            updated_at=NOW,
        ),
    )
    yield (
        "dead.letters",
        "k",
        DeadLetter(
            reason=f"broken_json{H}",
            detail=H,
            stage=f"intake{H}",
            topic="shop.events",
            partition=0,
            offset=7,
            key=H.encode() + b"\xff\x9b31m",
            value=H.encode() + b"\xff\x9b31m",
            headers={H: H.encode()},
            failed_at=NOW,
        ),
    )
    yield (
        "copy.pool",
        "e1",
        PoolEntry(
            entry_id="e1",
            campaign_id=f"cart{H}",
            channel=H,
            language=H,
            target_group=H,
            product_id=H,
            text=text,
            status="draft",
            model=H,
            reviewer=H,
            updated_at=NOW,
        ),
    )
    scope = f"campaign:{H}"
    yield "control.switches", scope, ControlSwitch(scope=scope, state="paused", reason=H, changed_by=H, changed_at=NOW)
    yield (
        "audit.trail",
        "a",
        AuditRecord(audit_id="a", actor=H, action="pause", subject=H, detail=H, happened_at=NOW),
    )
    yield (
        "feedback.metrics",
        f"cart{H}|0",
        FeedbackMetrics(
            campaign_id=f"cart{H}",
            partition=0,
            window_start=NOW,
            window_end=NOW,
            channel=H,
            variation_id=H,
            target_group=H,
            published=3,
            revenue={H: 5.0},
            updated_at=NOW,
        ),
    )
    yield (
        "policy.snapshots",
        f"cart{H}|0",
        PolicySnapshot(
            campaign_id=f"cart{H}",
            partition=0,
            arms=[ArmStatistics(arm=H, context=H, trials=3, rewards=1)],
            taken_at=NOW,
        ),
    )


def test_whatever_anybody_wrote_is_shown_and_never_obeyed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = prepare(settings)
    for topic, key, value in records():
        produce(settings, topic, [(key.encode(), codec.encode(value))])
    produce(settings, "customer.events", [(H.encode(), b'"not JSON'[1:] + H.encode() + b"\xff\x9b31m")])
    produce(settings, "dead.letters", [(b"k", b"{}" + H.encode())])
    produce(settings, "customer.profiles", [(f"cem{H}".encode(), b"{}" + H.encode())])
    produce(settings, "message.outcomes", [(ANA.encode(), b"m1{}" + H.encode())])
    monkeypatch.setenv("COLUMNS", "300")
    runner = CliRunner(env=to_environment(settings))
    for name, runs in LOOKING.items():
        for arguments, words in runs:
            result = runner.invoke(main, [*name.split(), *arguments])
            assert result.exit_code == 0, (name, arguments, result.output, result.exception)
            assert words in result.stdout, (name, arguments, result.stdout)
            assert obeyed(result.output) == [], (name, arguments)
            forged = [line for line in result.stdout.splitlines() if line.startswith("  ended: it was handed")]
            # The one of our own, and the payload as it came, behind all else that is said of a letter.
            assert len(forged) <= (name in ("why", "dlq show")), (name, arguments, result.stdout)
