"""`python -m examples.first_message`: twenty customers allow e-mail and leave a cart, so that you soon see messages.

Twenty, because one may be in the control group (5 %), or Attune may choose to say nothing to learn what that is worth.
"""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

from confluent_kafka import Producer

CUSTOMERS = 20


def main(arguments: list[str] | None = None) -> None:
    """Sends two events a customer and returns when Kafka has them."""
    parser = argparse.ArgumentParser(prog="python -m examples.first_message", description=__doc__)
    parser.add_argument("--brokers", default="localhost:9092", help="host:port[,host:port]")
    parser.add_argument("--topic", default="shop.events", help="prefix included")
    parser.add_argument("--product", default="smart-band", help="one that the playbook knows")
    parser.add_argument("--channel", default="email")
    args = parser.parse_args(arguments)
    now = datetime.now(UTC)  # noqa: TID251 # what happens now
    producer = Producer({"bootstrap.servers": args.brokers, "enable.idempotence": True})
    for number in range(CUSTOMERS):
        customer = f"first-{now:%H%M%S}-{number}"
        consent = {"channel": args.channel, "purpose": "marketing", "status": "subscribed", "source": "trying it out"}
        cart = {"product_id": args.product, "price": 299, "currency": "CNY", "quantity": 1, "cart_id": customer}
        for event, properties in (("Consent Updated", consent), ("Product Added", cart)):
            record = {
                "type": "track",
                "event": event,
                "messageId": f"{customer}-{event}",
                "userId": customer,
                "timestamp": now.isoformat(),
                "properties": properties,
                "context": {"locale": "en-GB", "timezone": "Europe/London"},
            }
            producer.produce(args.topic, key=customer, value=json.dumps(record))
    if producer.flush(30):
        raise SystemExit(f"no Kafka answers at {args.brokers}")
    first = f"first-{now:%H%M%S}"
    print(f"{first}-0 to {first}-{CUSTOMERS - 1} have allowed {args.channel} and left a cart")  # noqa: T201 # a command's answer


if __name__ == "__main__":
    main()
