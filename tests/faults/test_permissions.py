"""A cluster with TLS, passwords and permissions, as companies run it: least rights are enough, and one that is taken away
in the middle of the work stops a worker without a loss.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (  # where the library defines them
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from confluent_kafka.admin._scram import ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from infra.kafka.embedded import EmbeddedKafka
from infra.kafka.java import find_java
from infra.kafka.ports import pick_port
from infra.kafka.properties import HOST
from tests.faults.table import Cases
from tests.support.carts import fill_carts, workers
from tests.support.faults import FULL, Follower, Shop, log_of
from tests.support.service import clean_row
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.kafka import topic_admin
from workers.adapters.process.exit_codes import Exit
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900 if FULL else 240)]

EVENTS = 200_000 if FULL else 8_000
USER, PASSWORD = "attune", "made up for this test"
#: What docs/operation.md asks an administrator for; everything begins with the installation's prefix.
RIGHTS = [
    (ResourceType.TOPIC, AclOperation.READ),
    (ResourceType.TOPIC, AclOperation.WRITE),
    (ResourceType.GROUP, AclOperation.READ),
    (ResourceType.TRANSACTIONAL_ID, AclOperation.WRITE),
]
RIGHTS_TO_APPLY = [AclOperation.CREATE, AclOperation.DESCRIBE_CONFIGS, AclOperation.ALTER_CONFIGS]


class SecuredKafka(EmbeddedKafka):
    """The embedded broker with one more listener, for those who prove who they are. Whoever comes by the plain one is the
    administrator; everybody else may do what was granted, and nothing without a grant.
    """

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.secured_port = pick_port()
        self.authority = data_dir.with_name("ca.pem")
        self._keys = data_dir.with_name("keys.p12")
        keytool = Path(find_java()).resolve().with_name("keytool")
        common = ["-keystore", str(self._keys), "-storepass", PASSWORD, "-alias", "broker"]
        about = ["-keyalg", "EC", "-dname", f"CN={HOST}", "-ext", f"SAN=ip:{HOST}", "-storetype", "PKCS12"]
        for command in (["-genkeypair", *about], ["-exportcert", "-rfc", "-file", str(self.authority)]):
            subprocess.run([keytool, *command, *common], check=True, capture_output=True)

    def _write_properties(self, data: Path) -> Path:
        path = super()._write_properties(data)
        lines = dict(line.split("=", 1) for line in path.read_text().splitlines())
        lines["listeners"] += f",SECURED://{HOST}:{self.secured_port}"
        lines["advertised.listeners"] += f",SECURED://{HOST}:{self.secured_port}"
        lines["listener.security.protocol.map"] += ",SECURED:SASL_SSL"
        lines |= {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(self._keys),
            "ssl.keystore.password": PASSWORD,
            "listener.name.secured.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
        }
        path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        return path


@pytest.fixture(scope="module")
def kafka_with_rights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(tmp_path_factory.mktemp("secured") / "kafka") as broker:
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        upsertion = UserScramCredentialUpsertion(USER, info, PASSWORD.encode())
        plain = AdminClient({"bootstrap.servers": broker.bootstrap})
        plain.alter_user_scram_credentials([upsertion])[USER].result()
        wait_until(lambda: USER in users(plain), 30, "the broker knows the user")
        yield broker


def users(admin: AdminClient) -> dict[str, object]:
    """Who can log in, by name."""
    found = admin.describe_user_scram_credentials()
    assert isinstance(found, Future), "of all users there is one answer"
    return dict(found.result())


@pytest.fixture
def administrator(kafka_with_rights: SecuredKafka, settings: Settings) -> Settings:
    """The same installation by the plain listener, with all rights; its topics exist."""
    playbook = str(ROOT / "playbooks" / "rees46")
    return prepare(settings.changed(brokers=kafka_with_rights.bootstrap, playbook=playbook))


@pytest.fixture
def secured(kafka_with_rights: SecuredKafka, administrator: Settings) -> Settings:
    """The installation as its workers see it: TLS, a user, and what that user was granted."""
    for resource, operation in RIGHTS:
        grant(administrator, binding(resource, administrator.prefix, operation))
    return administrator.changed(
        brokers=f"{HOST}:{kafka_with_rights.secured_port}",
        kafka_ca=str(kafka_with_rights.authority),
        kafka_user=USER,
        kafka_password=PASSWORD,
    )


def binding(
    resource: ResourceType,
    name: str,
    operation: AclOperation,
    pattern: ResourcePatternType = ResourcePatternType.PREFIXED,
    permission: AclPermissionType = AclPermissionType.ALLOW,
) -> AclBinding:
    return AclBinding(resource, name, pattern, f"User:{USER}", "*", operation, permission)


def no_writing(settings: Settings, topic: str) -> AclBinding:
    """A denial: stronger than any grant."""
    return binding(
        ResourceType.TOPIC,
        settings.topic(topic),
        AclOperation.WRITE,
        ResourcePatternType.LITERAL,
        AclPermissionType.DENY,
    )


def grant(administrator: Settings, rule: AclBinding) -> None:
    """Returns when the broker goes by it."""
    admin = AdminClient({"bootstrap.servers": administrator.brokers})
    admin.create_acls([rule])[rule].result()
    wait_until(lambda: len(admin.describe_acls(only(rule)).result()) == 1, 30, "the broker knows the rule")


def withdraw(administrator: Settings, rule: AclBinding) -> None:
    """The same for its end."""
    admin = AdminClient({"bootstrap.servers": administrator.brokers})
    assert len(admin.delete_acls([only(rule)])[only(rule)].result()) == 1
    wait_until(lambda: not admin.describe_acls(only(rule)).result(), 30, "the broker has forgotten the rule")


def only(rule: AclBinding) -> AclBindingFilter:
    where = (rule.restype, rule.name, rule.resource_pattern_type)
    return AclBindingFilter(*where, rule.principal, rule.host, rule.operation, rule.permission_type)


@pytest.mark.parametrize("topic", ["personalise-state", "message.decisions"])
def test_a_right_that_is_taken_away_in_the_middle_stops_the_worker_and_loses_nothing(
    administrator: Settings, secured: Settings, cases: Cases, topic: str
) -> None:
    shop, rule = Shop(500), no_writing(administrator, topic)
    with Follower(administrator) as follower:

        def applied(events: int, process: subprocess.Popen[bytes]) -> bool:
            assert process.poll() is None, log_of(secured)[-2000:]
            return follower.applied() >= events

        with worker("personalise", secured) as process:
            produce(administrator, "customer.events", list(shop.events(EVENTS // 2)))
            wait_until(lambda: applied(EVENTS // 4, process), 120, "it is at work")
            grant(administrator, rule)
            produce(administrator, "customer.events", list(shop.events(EVENTS // 2)))
            assert process.wait(90) == Exit.MISCONFIGURED, log_of(secured)[-3000:]
        assert "allow this user to write to the topic" in log_of(secured)
        assert follower.applied() < EVENTS
        withdraw(administrator, rule)
        # worker 1   ├── half the events ── right gone ✗ 78
        # worker 2                                          right back ├── the rest ──┤ 0
        back_at_s = time.monotonic()
        with worker("personalise", secured) as process:
            wait_until(lambda: applied(EVENTS, process), 300 if FULL else 90, "all is applied")
            took_s = time.monotonic() - back_at_s
            process.terminate()
            assert process.wait(40) == 0
        case = f"the right to write {topic} is taken away"
        injected = f"in the middle of {EVENTS:,} events, on a cluster with TLS and SCRAM"
        row = clean_row(administrator, follower, shop, case, injected, took_s)
    assert read(administrator, "message.decisions"), "there was something to repeat"
    cases.passed(f"31-right-{topic}", row)


@pytest.fixture
def push_service() -> Iterator[str]:
    """Takes every message."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_address[1]}/send"
        server.shutdown()


def test_least_rights_are_enough_for_every_role(administrator: Settings, secured: Settings, push_service: str) -> None:
    running = secured.changed(
        playbook=str(ROOT / "playbooks" / "smart-devices"),
        speedup=1800.0,
        llm="off",
        snapshot_interval_s=1.0,
        deliver_push=push_service,
        deliver_webhook_secret=f"whsec_{base64.b64encode(bytes(24)).decode()}",
    )
    visitor = {"type": "page", "anonymousId": "visitor", "timestamp": datetime.now(UTC).isoformat(), "messageId": "p"}
    roles = ("intake", "personalise", "generate", "learn", "deliver")
    with workers(running, *roles) as processes:

        def happened(topic: str) -> bool:
            for role, process in zip(roles, processes, strict=True):
                assert process.poll() is None, (Path(secured.data_dir) / f"{role}.log").read_text()[-2000:]
            return bool(read(administrator, topic))

        produce(administrator, "shop.events", [(b"visitor", json.dumps(visitor).encode())])
        wait_until(lambda: happened("customer.events"), 60, "intake has passed an event on")
        fill_carts(administrator, [f"user-{number}" for number in range(6)], "a")
        wait_until(lambda: happened("message.outcomes"), 60, "personalise has asked and generate has written")
        wait_until(lambda: happened("feedback.metrics"), 60, "learn has counted")
        wait_until(lambda: happened("message.feedback"), 60, "deliver has sent a message and said so")
        for process in processes:
            process.terminate()
        assert [process.wait(40) for process in processes] == [0] * 5


def test_the_rights_to_make_topics_are_those_of_the_page(administrator: Settings, secured: Settings) -> None:
    another = f"{administrator.prefix}new."
    with pytest.raises(Misconfigured, match="grant the user Create"):
        topic_admin.apply(secured.changed(prefix=another))
    for operation in RIGHTS_TO_APPLY:
        grant(administrator, binding(ResourceType.TOPIC, another, operation))
    created = topic_admin.apply(secured.changed(prefix=another))
    assert {row.state for row in created} == {"missing"}
    assert {row.state for row in topic_admin.show(secured.changed(prefix=another))} == {"ok"}


def test_whoever_has_the_wrong_password_or_authority_gets_no_answer_and_is_told_so(
    secured: Settings, tmp_path: Path
) -> None:
    wrong = secured.changed(kafka_password="another")  # noqa: S106 - made up
    with pytest.raises((Misconfigured, Unavailable)):
        topic_admin.apply(wrong)
    with pytest.raises(Misconfigured, match="there is no file"):
        topic_admin.apply(secured.changed(kafka_ca=str(tmp_path / "none.pem")))


def test_a_user_without_the_right_to_read_its_topics_is_told_which(administrator: Settings, secured: Settings) -> None:
    withdraw(administrator, binding(ResourceType.TOPIC, administrator.prefix, AclOperation.READ))
    withdraw(administrator, binding(ResourceType.TOPIC, administrator.prefix, AclOperation.WRITE))
    with worker("personalise", secured) as process:
        assert process.wait(60) == Exit.MISCONFIGURED, log_of(secured)[-3000:]
    assert "may this user see it?" in log_of(secured), "Kafka hides what a user may not see"
