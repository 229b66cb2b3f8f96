"""docker-compose.yml without an engine: right by the Compose specification, and true to the code it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from workers.core.errors import Misconfigured
from workers.main import ROLES
from workers.settings import NAMES
from workers.settings_loader import load

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PROMETHEUS = yaml.safe_load((ROOT / "infra" / "prometheus" / "prometheus.yml").read_text())
#: ${NAME}, ${NAME:-default}, ${NAME:?what is missing}
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")


def example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def interpolated(value: str, given: dict[str, str]) -> str:
    """As Compose fills it in: `:-` and `:?` look for an empty value too."""
    return VARIABLE.sub(
        lambda found: given.get(found["name"]) or (found["rest"] if found["kind"] == "-" else ""), value
    )


def environment(service: str, given: dict[str, str]) -> dict[str, str]:
    """What the containers of a service get."""
    return {name: interpolated(value, given) for name, value in SERVICES[service].get("environment", {}).items()}


def mounts() -> list[tuple[str, str, str]]:
    """Every volume: service, source, target."""
    return [
        (name, *volume.split(":")[:2]) for name, service in SERVICES.items() for volume in service.get("volumes", ())
    ]


@pytest.mark.slow
def test_the_file_obeys_the_compose_specification(tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, str(FILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(TEXT.replace("    image: apache", "    imago: apache"))
    assert subprocess.run([*check, str(broken)], capture_output=True, check=False).returncode != 0


def test_every_role_has_a_service_that_starts_it() -> None:
    commands = {name: service.get("command", []) for name, service in SERVICES.items()}
    started = {command[1]: name for name, command in commands.items() if command[:1] == ["worker"]}
    assert {role: role for role in ROLES} == {role: started.get(role) for role in ROLES}


@pytest.mark.parametrize("given", [{}, example()], ids=["defaults", "example"])
@pytest.mark.parametrize("service", [name for name, service in SERVICES.items() if "build" in service])
def test_every_variable_of_a_worker_is_a_setting_with_an_allowed_value(service: str, given: dict[str, str]) -> None:
    variables = environment(service, given)
    assert all(name.startswith("ATTUNE_") for name in variables)
    settings = load(variables)  # raises and names what is wrong
    assert settings.brokers == "kafka:9092"
    assert settings.metrics.host == "0.0.0.0"  # noqa: S104 # inside a container only


def test_every_variable_that_the_file_asks_for_is_in_the_example() -> None:
    asked = {found["name"] for found in VARIABLE.finditer(TEXT)}
    assert asked == example().keys()
    settings = {f"ATTUNE_{name.upper()}" for name in NAMES}
    assert {name for name in asked if name.startswith("ATTUNE_")} <= settings


def test_defaults_of_the_file_and_of_the_example_agree() -> None:
    defaults = {found["name"]: found["rest"] for found in VARIABLE.finditer(TEXT) if found["kind"] == "-"}
    assert {name: value for name, value in example().items() if name in defaults} == defaults


def test_secrets_come_from_outside_and_stop_the_start_when_they_are_missing() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|API_KEY|SECRET", variable):
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), (name, variable)
    assert {name: value for name, value in example().items() if re.search("PASSWORD|KEY|TOKEN", name)} == {
        "GRAFANA_PASSWORD": "",
        "ATTUNE_LLM_API_KEY": "",
        "HF_TOKEN": "",
    }


def test_every_mounted_file_exists_and_every_volume_is_named() -> None:
    named = set()
    for service, source, target in mounts():
        if source.startswith("./"):
            assert (ROOT / source).exists(), (service, source)
            assert any(f"{source}:{target}:ro" == volume for volume in SERVICES[service]["volumes"]), "read only"
        else:
            named.add(source)
    assert named == COMPOSE["volumes"].keys()


def test_no_two_workers_share_their_local_state() -> None:
    data = [source for service, source, target in mounts() if target == "/data"]
    assert len(data) == len(set(data))
    assert set(ROLES) <= set(data)


def test_images_are_pinned_and_ports_are_published_on_loopback_only() -> None:
    for name, service in SERVICES.items():
        if "build" not in service:
            assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+\.\d+", service["image"]), name
        for port in service.get("ports", ()):
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), (name, port)
    bases = re.findall(r"^FROM (\S+)", (ROOT / "infra" / "docker" / "Dockerfile").read_text(), re.MULTILINE)
    assert set(bases) == {bases[0]}
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])


def test_no_container_has_more_rights_than_its_program_needs() -> None:
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "pid", "network_mode"} & service.keys(), name


def test_everything_that_runs_comes_back_and_is_looked_after() -> None:
    for name, service in SERVICES.items():
        once = name == "topics"
        assert service["restart"] == ("no" if once else "unless-stopped"), name
        assert once != ("healthcheck" in service), name
        assert service["deploy"]["resources"], name


def test_each_role_is_probed_on_the_port_of_its_setting() -> None:
    for role in ROLES:
        port = load(environment(role, {})).metrics.ports[role]
        assert f"http://127.0.0.1:{port}/healthz" in SERVICES[role]["healthcheck"]["test"][-1]


def test_a_worker_has_ended_by_itself_before_it_is_killed() -> None:
    for role in ROLES:
        grace_s = float(SERVICES[role]["stop_grace_period"].removesuffix("s"))
        assert load(environment(role, {})).stop_timeout_s + 5 <= grace_s


def test_prometheus_scrapes_every_role_where_it_listens() -> None:
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in PROMETHEUS["scrape_configs"]}
    for role in ROLES:
        port = load(environment(role, {})).metrics.ports[role]
        assert targets.get(role) == [f"{role}:{port}"]
    addresses = [address for group in targets.values() for address in group]
    assert {address.split(":")[0] for address in addresses} <= SERVICES.keys()
    assert "--port=8000" in SERVICES["vllm"]["command"]
    assert targets["vllm"] == ["vllm:8000"]


def test_the_workers_find_kafka_and_the_llm_under_their_service_names() -> None:
    listeners = dict(
        listener.split("://") for listener in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    )
    settings = load(environment("generate", {}))
    assert settings.brokers == listeners["INTERNAL"]
    assert listeners["HOST"] in SERVICES["kafka"]["ports"][0]
    assert settings.llm.server == "http://vllm:8000"
    assert settings.llm.model == interpolated(SERVICES["vllm"]["command"][0], {})
    assert SERVICES["vllm"]["environment"]["VLLM_API_KEY"] == SERVICES["generate"]["environment"]["ATTUNE_LLM_API_KEY"]


def test_the_key_that_the_file_asks_for_may_go_to_vllm_and_nowhere_else_in_plain_text() -> None:
    key = {"ATTUNE_LLM_API_KEY": "chosen"}
    assert load(environment("generate", example() | key)).llm.api_key == "chosen"
    with pytest.raises(Misconfigured, match="plain text"):
        load(environment("generate", key | {"ATTUNE_LLM": "http://elsewhere:8000"}))


def test_the_image_is_built_from_what_the_context_lets_through() -> None:
    dockerfile = (ROOT / "infra" / "docker" / "Dockerfile").read_text()
    copied = [line.split()[-2] for line in dockerfile.splitlines() if re.match(r"COPY (?!--from)", line)]
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in allowed), source
    assert "--require-hashes" in dockerfile
    assert re.search(r"^USER attune$", dockerfile, re.MULTILINE)


def test_grafana_is_given_the_data_source_and_the_folder_that_the_dashboard_names() -> None:
    provisioning = ROOT / "infra" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "attune.yml").read_text())["providers"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    targets = {target: source for service, source, target in mounts() if service == "grafana"}
    assert targets[provider["options"]["path"]] == "./infra/grafana/dashboards"
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == provider["options"]["path"] + "/attune.json"
