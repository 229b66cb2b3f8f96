"""`python -m examples.sender --channel email ...`: the command line, and what a sender is made of.

Secrets come from the environment: SENDER_SMTP_USER, SENDER_SMTP_PASSWORD, SENDER_UNSUBSCRIBE_SECRET, SENDER_PUSH_TOKEN.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

from workers.delivery.addresses import SqliteAddressBook
from workers.delivery.dispatch import Rules
from workers.delivery.email_address import mailbox
from workers.delivery.ports import Channel
from workers.delivery.sender import Plan, Sender
from workers.delivery.transports.mime import Identity
from workers.delivery.transports.push import HttpPushGateway, PushChannel
from workers.delivery.transports.smtp import SmtpChannel, SmtpServer


def main(arguments: list[str] | None = None) -> None:
    """Sends until SIGTERM or SIGINT; then the message in hand is finished, offsets are committed, the group is left."""
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.ignore_times and not args.prefix:
        parser.error("--ignore-times is for the prefix of a replay; name it with --prefix")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    channel = _channel(args, parser)
    # E-mail: two of the same are worse than none. Push: the second replaces the first on the device.
    resend = args.after_crash == "resend" if args.after_crash else args.channel == "push"
    plan = Plan(
        channel=args.channel,
        prefix=args.prefix,
        group=args.group or f"sender-{args.channel}",
        instance=args.instance,
        ledger=args.ledger or f"sender-{args.prefix}{args.channel}.sqlite",
        rules=Rules(
            resend=resend, backoff_s=args.backoff_s, rate_per_s=args.rate_per_s, ignore_times=args.ignore_times
        ),
        keep_s=args.keep_days * 86_400,
    )
    sender = Sender(plan, _kafka(args), channel, SqliteAddressBook(args.addresses), _now)
    while not stopping.is_set():
        sender.step()
    sender.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.sender", description="Reference sender of Attune.")
    parser.add_argument("--channel", required=True, choices=("email", "push"))
    parser.add_argument("--brokers", required=True, help="host:port[,host:port]")
    parser.add_argument("--kafka-config", type=Path, help="file of librdkafka settings (TLS, SASL), key=value a line")
    parser.add_argument("--prefix", default="", help="the installation's prefix of topics and groups")
    parser.add_argument("--group", help="consumer group behind the prefix; default: sender-<channel>")
    parser.add_argument("--instance", default="0", help="name of this process in the group, the same after a restart")
    parser.add_argument("--ledger", help="SQLite file shared by the group; default: sender-<prefix><channel>.sqlite")
    parser.add_argument("--addresses", required=True, type=Path, help="SQLite file with a table `addresses`")
    parser.add_argument("--after-crash", choices=("skip", "resend"), help="default: skip (email), resend (push)")
    parser.add_argument("--keep-days", type=float, default=14, help="keys are remembered so long; Kafka keeps 7")
    parser.add_argument("--backoff-s", type=float, default=30, help="before the second attempt; doubles each time")
    parser.add_argument("--rate-per-s", type=float, help="messages that this process sends a second; default: no limit")
    parser.add_argument("--timeout-s", type=float, default=30, help="of one call to the server")
    parser.add_argument("--ignore-times", action="store_true", help="replays: send_at has come, expires_at has not")
    email = parser.add_argument_group("email")
    email.add_argument("--smtp", default="localhost:25", help="host:port")
    email.add_argument("--starttls", action="store_true")
    email.add_argument("--from-address", default="news@shop.example")
    email.add_argument("--from-name", default="")
    push = parser.add_argument_group("push")
    push.add_argument("--gateway", help="URL that takes the notifications")
    push.add_argument("--plain-http", action="store_true", help="it may be http:// on another machine")
    return parser


def _channel(args: argparse.Namespace, parser: argparse.ArgumentParser) -> Channel:
    environment = os.environ
    if args.channel == "push":
        if not args.gateway:
            parser.error("--channel push needs --gateway")
        if not args.plain_http and not args.gateway.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
            parser.error(
                "--gateway is not https: others could read the messages (--plain-http: nobody else is on the way)"
            )
        return PushChannel(HttpPushGateway(args.gateway, environment.get("SENDER_PUSH_TOKEN", ""), args.timeout_s))
    secret = environment.get("SENDER_UNSUBSCRIBE_SECRET", "")
    if len(secret) < 16:
        parser.error("--channel email needs SENDER_UNSUBSCRIBE_SECRET, at least 16 characters")
    host, _, port = args.smtp.rpartition(":")
    server = SmtpServer(
        host=host,
        port=int(port),
        starttls=args.starttls,
        user=environment.get("SENDER_SMTP_USER", ""),
        password=environment.get("SENDER_SMTP_PASSWORD", ""),
        timeout_s=args.timeout_s,
    )
    if server.user and not server.starttls:
        parser.error("SENDER_SMTP_USER without --starttls would send the password in plain text")
    return SmtpChannel(
        server, Identity(address=mailbox(args.from_address).envelope, name=args.from_name), secret.encode()
    )


def _kafka(args: argparse.Namespace) -> dict[str, str | int]:
    lines = args.kafka_config.read_text().splitlines() if args.kafka_config else []
    pairs = (line.partition("=") for line in lines if line.strip() and not line.startswith("#"))
    return {"bootstrap.servers": args.brokers} | {key.strip(): value.strip() for key, _, value in pairs}


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 # the one place that reads the clock


if __name__ == "__main__":
    main()
