"""examples/clients: senders in TypeScript, Java and Go, whose types are generated from the contract, on a real Kafka."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas import codec
from schemas.messages import Cancellation, Feedback, Message, Provenance
from tests.support.workers import ROOT, prepare, read
from workers.adapters.kafka.config import client_config
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.lanes.transactions import LaneProducer
from workers.core.stream.records import Output
from workers.settings import Settings

CLIENTS = ROOT / "examples" / "clients"
#: Built beside the checkout's other caches, so that packages are fetched once and the examples stay clean.
WORKSHOP = Path(os.environ.get("ATTUNE_CACHE") or ROOT / ".cache").absolute() / "clients"
LANGUAGES = [
    pytest.param("node", marks=pytest.mark.node),
    pytest.param("java", marks=[pytest.mark.node, pytest.mark.javac]),  # node writes the types of all of them
    pytest.param("go", marks=[pytest.mark.node, pytest.mark.go]),
]


def run(*command: str, folder: str) -> None:
    finished = subprocess.run(command, cwd=WORKSHOP / folder, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"{' '.join(command)}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"


def generate(language: str, target: str) -> None:
    run("node", "generate.mjs", str(ROOT / "schemas"), language, target, folder="node")


def build_node() -> list[str]:
    generate("typescript", "generated")
    run("npx", "tsc", folder="node")
    return ["node", "node/build/sender.js"]


def build_java() -> list[str]:
    generate("java", "../java/src/main/java")
    run("mvn", "--batch-mode", "--quiet", "--strict-checksums", "clean", "package", folder="java")
    return ["java", "-cp", "java/target/lib/*:java/target/classes", "example.Sender"]


def build_go() -> list[str]:
    generate("go", "../go/attune")
    run("go", "build", "-mod=readonly", "-o", "sender", ".", folder="go")
    return ["go/sender"]


BUILD: dict[str, Callable[[], list[str]]] = {"node": build_node, "java": build_java, "go": build_go}


@pytest.fixture(scope="module")
def build(request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """Language → how its sender is started; each is built once, from types of today's contract."""
    own = shutil.ignore_patterns("node_modules", "generated", "attune", "build", "target", "sender")
    for stale in ("node/generated", "node/build", "java/src", "go/attune"):
        shutil.rmtree(WORKSHOP / stale, ignore_errors=True)
    shutil.copytree(CLIENTS, WORKSHOP, dirs_exist_ok=True, ignore=own)
    lock = hashlib.sha256((CLIENTS / "node" / "package-lock.json").read_bytes()).hexdigest()
    installed = WORKSHOP / "node" / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock:
        run("npm", "ci", "--ignore-scripts", "--no-fund", "--no-audit", folder="node")
        installed.write_text(lock)
    built: dict[str, list[str]] = {}

    def ready(language: str) -> list[str]:
        if language not in built:
            built[language] = BUILD[language]()
        return built[language]

    return ready


@pytest.mark.parametrize("language", LANGUAGES)
def test_types_generated_from_the_contract_compile(build: Callable[[str], list[str]], language: str) -> None:
    assert build(language)


def message(name: str, user: str, **fields: Any) -> Message:
    now = datetime.now(UTC)
    defaults: dict[str, Any] = {
        "idempotency_key": f"key-{name}",
        "channel": "email",
        "campaign_id": "cart-abandonment",
        "locale": "en-GB",
        "body": "Your basket is waiting.",
        "send_at": now,
        "expires_at": now + timedelta(hours=1),
        "provenance": Provenance(decision_id="d"),
    }
    return Message(message_id=name, user_id=user, **{**defaults, **fields})


def publish(settings: Settings, messages: list[Message], cancellations: list[Cancellation]) -> None:
    """As a lane of `personalise` does it: in one transaction, after another one that was aborted."""
    lost = Producer({**client_config(settings), "transactional.id": f"{settings.prefix}lost"})
    lost.init_transactions(30)
    lost.begin_transaction()
    never = message("never-decided", "u-0", unsubscribe_url="https://shop.example/u")
    lost.produce(settings.topic("messages.email"), key=b"u-0", value=codec.encode(never))
    lost.flush(30)
    lost.abort_transaction(30)
    lane = LaneProducer(client_config(settings), f"{settings.prefix}lane", 30.0, settings.compression)
    lane.fence()
    outputs = [Output("messages.email", one.user_id.encode(), codec.encode(one)) for one in messages]
    outputs += [Output("message.cancellations", one.user_id.encode(), codec.encode(one)) for one in cancellations]
    lane.commit(outputs, prefix=settings.prefix, partition=None)
    lane.close()


@pytest.mark.kafka
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sender_in_another_language_reads_messages_and_answers(
    build: Callable[[str], list[str]], settings: Settings, language: str
) -> None:
    command = build(language)
    prepare(settings)
    now = datetime.now(UTC)
    link = {"unsubscribe_url": "https://shop.example/u"}
    messages = [
        *(message(f"offer-{number}", f"u-{number}", **link) for number in range(8)),
        message("offer-0", "u-0", **link),  # the same key again
        message("receipt", "ana", category="transactional", ai_label="Written with AI"),
        message("no-way-out", "bo"),
        message("late", "ana", expires_at=now - timedelta(seconds=1), **link),
        message("withdrawn", "李娜", send_at=now - timedelta(minutes=1), **link),
    ]
    withdrawn = Cancellation(
        message_id="withdrawn", user_id="李娜", channel="email", reason="converted", cancelled_at=now
    )
    publish(settings, messages, [withdrawn])
    expected: dict[str, tuple[str, str | None, str | None]] = {
        **{f"offer-{number}": ("sent", None, None) for number in range(8)},
        "receipt": ("sent", None, None),
        "no-way-out": ("failed", None, "no_unsubscribe_url"),
        "late": ("skipped", "expired", None),
        "withdrawn": ("skipped", "stale", None),
    }
    environment = {
        **os.environ,
        "BROKERS": settings.brokers,
        "PREFIX": settings.prefix,
        "ANSWERS": str(len(expected)),
    }
    ended = subprocess.run(
        command, cwd=WORKSHOP, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    shown = [line for line in ended.stdout.splitlines() if '"to":' in line]
    assert len(shown) == 9, ended.stdout
    assert sum('"Written with AI"' in line for line in shown) == 1

    found = {}
    for record in read(settings, "message.feedback"):
        feedback = codec.decode(Feedback, record.value)
        assert record.key == feedback.user_id.encode()
        assert record.partition == partition_of(record.key, settings.partitions), (
            "murmur2, or customers lose their feedback"
        )
        assert abs(feedback.timestamp - now) < timedelta(minutes=5)
        assert len(feedback.event_id) == 32
        found[feedback.message_id] = (feedback.status, feedback.abort_type, feedback.abort_log)
    assert found == expected
