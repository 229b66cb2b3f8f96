"""Loads the settings once: defaults, then the TOML file named by ATTUNE_CONFIG, then the environment (ATTUNE_*).

An unknown setting, a value of the wrong type or out of range, or two settings that do not fit together prevent the start with an
error that names them.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from workers.core.errors import Misconfigured
from workers.secrets import HIDDEN, SecretUrl, is_http, plain_host, without_login
from workers.settings import NAMES, SECRET_URLS, SECRETS, Settings, converted, nested

#: Variables that are read by the set-up, the tests and the failpoints, and are not settings.
NOT_SETTINGS = frozenset(
    {"ATTUNE_CONFIG", "ATTUNE_CACHE", "ATTUNE_FAILPOINTS", "ATTUNE_VLLM_PYTHON"}
    | {"ATTUNE_TEST_DATA", "ATTUNE_TEST_ALL", "ATTUNE_SKIP_VLLM"}
)


def load(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Reads the settings once; `overrides` (from the command line) take precedence over everything.

    Raises Misconfigured naming the setting, its source and the allowed values.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    if path := environment.get("ATTUNE_CONFIG"):
        for name, value in _read_file(Path(path)).items():
            values[name], sources[name] = value, path
    for key, value in environment.items():
        if key.startswith("ATTUNE_") and key not in NOT_SETTINGS:
            name = key.removeprefix("ATTUNE_").lower()
            values[name], sources[name] = value, key
    for name, value in overrides.items():
        if value is not None:
            values[name], sources[name] = value, "--" + name.replace("_", "-")
    for name, value in values.items():
        if name not in NAMES:
            raise Misconfigured(
                f"{sources[name]}: there is no setting `{name}`.", f"use one of: {', '.join(sorted(NAMES))}"
            )
        try:  # one at a time, so that the error names the source
            values[name] = converted(name, value)
        except msgspec.ValidationError as error:
            shown = SecretUrl(str(value)) if name in SECRET_URLS else HIDDEN if name in SECRETS else value
            raise Misconfigured(
                f"{sources[name]}: {name} = {shown!r} is not allowed: {error}.", "correct the value"
            ) from error
    settings = nested(values)
    _check_rules(settings, sources)
    return settings


def _check_rules(settings: Settings, sources: Mapping[str, str]) -> None:
    """Raises Misconfigured for the first rule that several settings break together."""
    if bool(settings.kafka.user) != bool(settings.kafka.password):
        raise Misconfigured("kafka_user and kafka_password go together.", "set both or neither")
    if settings.kafka.user and not settings.kafka.ca:
        raise Misconfigured("kafka_user without kafka_ca would send the password in plain text.", "set kafka_ca")
    if settings.grant and settings.clock != "event":
        raise Misconfigured(
            "grant is only for replays (clock = event): live customers must give consent themselves.",
            "unset ATTUNE_GRANT",
        )
    _check_llm(settings, sources.get("llm", "llm"))
    _check_traces(settings, sources.get("traces_url", "traces_url"))
    _check_plain_http(settings, sources)


def _check_llm(settings: Settings, source: str) -> None:
    """Raises Misconfigured naming an invalid URL."""
    for url in settings.llm.urls:
        if not is_http(url):
            raise Misconfigured(
                f"{source}: llm = {url!r} is not allowed.",
                "use embedded, vllm-cpu, off, or http(s)://... (several URLs separated by commas)",
            )
        if settings.llm.api_key and without_login(url)[1]:
            raise Misconfigured(f"{source}: {url} has a user, and llm_api_key is set as well.", "remove one of the two")
    if len({without_login(url)[0].rstrip("/").removesuffix("/v1") for url in settings.llm.urls}) < len(
        settings.llm.urls
    ):
        raise Misconfigured(
            f"{source}: llm names a server twice.", "name each server once; llm_in_flight sets how many calls it gets"
        )


def _check_traces(settings: Settings, source: str) -> None:
    """Raises Misconfigured naming an invalid URL. A query is not allowed: it would appear in the exporter's error messages."""
    if settings.traces.url and not is_http(settings.traces.url):
        raise Misconfigured(
            f"{source}: traces_url = {settings.traces.url!r} is not allowed.",
            "use http(s)://host:4318/v1/traces; a token belongs in OTEL_EXPORTER_OTLP_HEADERS",
        )


def _check_plain_http(settings: Settings, sources: Mapping[str, str]) -> None:
    """Raises Misconfigured naming the first URL that would send secrets or messages over the network in plain text."""
    urls = [(f"deliver_{channel}", url) for channel, url in sorted(settings.deliver.urls.items())]
    urls += [("llm", url) for url in settings.llm.urls if settings.llm.api_key or without_login(url)[1]]
    if settings.traces.url and without_login(settings.traces.url)[1]:
        urls.append(("traces_url", SecretUrl(settings.traces.url)))
    allowed = {host.lower() for host in settings.plain_http_hosts}
    for name, url in urls:
        host = plain_host(url)
        if host and host not in allowed:
            raise Misconfigured(
                f"{sources.get(name, name)}: {name} = {url} would go to another machine in plain text.",
                f"use https, or set ATTUNE_PLAIN_HTTP_HOSTS={host} if the network path is private",
            )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise Misconfigured(
            f"ATTUNE_CONFIG: {path} cannot be read: {error.strerror}.", "name a readable TOML file"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{path}: {error}.", "correct the TOML") from error
