"""Builds the connection settings of every Kafka client: address, TLS and SASL, nothing else."""

from __future__ import annotations

from pathlib import Path

from workers.core.errors import Misconfigured
from workers.secrets import reveal
from workers.settings import Settings

MECHANISM = "SCRAM-SHA-512"  # the only one: the password is never sent


def client_config(settings: Settings) -> dict[str, str | int]:
    """Returns the part of a librdkafka configuration (confluent_kafka) with the brokers' address and our credentials.

    Plain text without `kafka_ca`, TLS with it, SASL over TLS with `kafka_user`. Contains the password: never log it. Raises
    Misconfigured while `brokers` is `embedded` (the code that starts the embedded Kafka replaces it by an address), and if
    the file with the certificate authorities is missing.
    """
    config: dict[str, str | int] = {
        "bootstrap.servers": _brokers(settings),
        "security.protocol": security_protocol(settings),
        "reconnect.backoff.max.ms": 1000,  # reconnects within a second of the broker's return, not ten
    }
    if settings.kafka.ca:
        config["ssl.ca.location"] = _authorities(settings)
    if settings.kafka.user:
        config |= {
            "sasl.mechanism": MECHANISM,
            "sasl.username": settings.kafka.user,
            "sasl.password": reveal(settings.kafka.password),
        }
    return config


def quiet_config(settings: Settings) -> dict[str, str | int]:
    """Returns the same configuration for commands, without librdkafka's own log lines on the terminal.

    Transient conditions (a broker that starts or stops) are reported by the calls that fail.
    """
    return {**client_config(settings), "log_level": 2}


def kafka_python_config(settings: Settings) -> dict[str, str | list[str]]:
    """Returns the same configuration as keyword arguments of kafka-python. Raises Misconfigured as `client_config` does."""
    config: dict[str, str | list[str]] = {
        "bootstrap_servers": _brokers(settings).split(","),
        "security_protocol": security_protocol(settings),
    }
    if settings.kafka.ca:
        config["ssl_cafile"] = _authorities(settings)
    if settings.kafka.user:
        config |= {
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": settings.kafka.user,
            "sasl_plain_password": reveal(settings.kafka.password),
        }
    return config


def security_protocol(settings: Settings) -> str:
    """Returns Kafka's name of the protocol: PLAINTEXT, SSL or SASL_SSL.

    >>> security_protocol(Settings().changed(kafka_ca="ca.pem"))
    'SSL'
    """
    if settings.kafka.user:
        return "SASL_SSL"
    return "SSL" if settings.kafka.ca else "PLAINTEXT"


def _brokers(settings: Settings) -> str:
    if settings.brokers == "embedded":
        raise Misconfigured(
            "brokers = 'embedded' is not an address.", "start the embedded Kafka first, or set ATTUNE_BROKERS"
        )
    return ",".join(address.strip() for address in settings.brokers.split(","))


def _authorities(settings: Settings) -> str:
    if not Path(settings.kafka.ca).is_file():  # the clients would report "connection failed" and retry forever
        raise Misconfigured(
            f"kafka_ca: there is no file {settings.kafka.ca}.",
            "name the PEM file with the brokers' certificate authorities",
        )
    return settings.kafka.ca
