"""Runs a lane of personalise without Kafka: a dictionary replaces RocksDB, lists replace topics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from benchmarks.memory_store import MemoryStore
from schemas import codec
from schemas.base import GeneratedBy, Wire
from schemas.catalogue import CatalogueProduct
from schemas.messages import (
    Candidate,
    Decision,
    GuardrailVerdict,
    LlmUsage,
    Message,
    MessageRequest,
    MessageText,
    Outcome,
    Review,
    ReviewVerdict,
)
from schemas.topics import BY_NAME
from workers.core.decisioning.control_state import NOTHING
from workers.core.partition import keys
from workers.core.partition.clock import PUNCTUATION
from workers.core.personalisation.processor import (
    CANDIDATES,
    EVENTS,
    FEEDBACK,
    VERDICTS,
    PersonalisationConfig,
    PersonalisationProcessor,
)
from workers.core.playbook.audiences import Audiences, Condition, TargetGroup
from workers.core.playbook.campaigns import Campaign, CartAbandonment
from workers.core.playbook.channels import Channel, FieldLimit
from workers.core.playbook.copy import Prompt, Template
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap, Policy
from workers.core.profile import model as profiles
from workers.core.profile.model import Profile
from workers.core.stream.effects import Effects
from workers.core.stream.records import Output, Record

S = TypeVar("S", bound=Wire)

#: 2024-03-04 12:00:00 UTC
NOON = 1_709_553_600.0
DELAY_S = 1800.0
CAP = 2


class LaneHarness:
    """One lane with its store and all its outputs."""

    def __init__(self, playbook: Playbook | None = None, clock: str = "wall", **config: Any) -> None:
        self.playbook = playbook or make_playbook()
        self.store = MemoryStore()
        self.outputs: list[Output] = []
        self.effects: list[Effects] = []
        #: The control state of the lane; may be replaced at any time.
        self.control = NOTHING
        self.clock_s = 0.0
        self._clock = clock
        self._config = config
        self._offset = 0
        self._deferred: list[Record] = []
        self.restart()

    def restart(self) -> None:
        """Starts a new lane on the committed state."""
        values: dict[str, Any] = {"clock": self._clock, "partition_of": lambda _key: 0, "salt": "salt"} | self._config
        config = PersonalisationConfig(**values)
        self.core = PersonalisationProcessor(config, self.playbook, self.store, self.clock_s, lambda: self.control)

    def run(self, records: Iterable[Record], wall_s: float = NOON, *, caught_up: bool = True) -> Effects:
        """Applies and commits one batch."""
        batch = [*self._deferred, *records]
        effects = self.core.apply(batch, wall_s, caught_up=caught_up)
        self._deferred = effects.deferred
        self.store.commit(effects)
        self.clock_s = effects.clock_s
        self.outputs.extend(effects.outputs)
        self.effects.append(effects)
        return effects

    @property
    def deferred(self) -> list[Record]:
        return self._deferred

    def record(self, value: bytes | None, key: bytes | None, topic: str = EVENTS, **fields: Any) -> Record:
        """Returns a record at the next offset; its append time is unknown unless `appended_at_s` is given."""
        self._offset += 1
        values = {"partition": 0, "offset": self._offset - 1, "appended_at_s": 0.0} | fields
        return Record(topic=topic, key=key, value=value, **values)

    def event(self, name: str, at_s: float = NOON, user: str = "ana", **fields: Any) -> Record:
        """Returns a Track event; `properties` and any other field of the Segment spec by name."""
        return self.raw({"type": "track", "event": name, **fields}, at_s, user)

    def raw(self, fields: dict[str, Any], at_s: float = NOON, user: str = "ana") -> Record:
        """Returns an event of any type."""
        value = {
            "messageId": f"m-{self._offset}",
            "timestamp": datetime.fromtimestamp(at_s, UTC).isoformat(),
            "userId": user,
        } | fields
        value = {name: field for name, field in value.items() if field is not None}
        key = value.get("userId") or value.get("anonymousId")
        return self.record(json.dumps(value).encode(), str(key).encode())

    def allow(self, *channels: str, user: str = "ana", at_s: float = NOON, status: str = "subscribed") -> list[Record]:
        """Returns Consent Updated for each channel."""
        return [
            self.event("Consent Updated", at_s, user, properties={"channel": channel, "status": status})
            for channel in channels
        ]

    def add(self, cart_id: str = "cart-1", at_s: float = NOON, user: str = "ana", **properties: Any) -> Record:
        """Returns Product Added."""
        details = {"product_id": "smart-band", "price": 199.0, "cart_id": cart_id, "currency": "CNY"} | properties
        return self.event("Product Added", at_s, user, properties=details)

    def buy(self, cart_id: str | None = "cart-1", at_s: float = NOON, user: str = "ana", **properties: Any) -> Record:
        """Returns Order Completed."""
        details = {"order_id": "o", "cart_id": cart_id, "total": 199.0, "currency": "CNY"} | properties
        return self.event("Order Completed", at_s, user, properties={k: v for k, v in details.items() if v is not None})

    def view(self, product_id: str = "smart-band", at_s: float = NOON, user: str = "ana", **properties: Any) -> Record:
        """Returns Product Viewed."""
        details = {"product_id": product_id, "price": 199.0, "currency": "CNY"} | properties
        return self.event("Product Viewed", at_s, user, properties=details)

    def feedback(
        self, message: Message | str, status: str, at_s: float = NOON, user: str = "ana", **fields: Any
    ) -> Record:
        """Returns a sender's feedback on a message (or on a message_id)."""
        about = (
            {"message_id": message}
            if isinstance(message, str)
            else {"message_id": message.message_id, "channel": message.channel}
        )
        value = (
            {
                "event_id": f"f-{self._offset}",
                "user_id": user,
                "status": status,
                "timestamp": datetime.fromtimestamp(at_s, UTC).isoformat(),
            }
            | about
            | fields
        )
        return self.record(json.dumps(value).encode(), user.encode(), FEEDBACK)

    def candidate(
        self,
        request: MessageRequest,
        body: str = "Your band is still here.",
        *,
        generated_by: GeneratedBy = "llm",
        calls: int = 1,
        verdicts: Sequence[GuardrailVerdict] = (),
        **fields: Any,
    ) -> Record:
        """Returns a generated text for a request."""
        text = MessageText(title="Still thinking?", body=body)
        candidate = Candidate(
            message_id=request.message_id,
            user_id=request.user_id,
            text=text,
            generated_by=generated_by,
            usage=LlmUsage(model="m", calls=calls),
            verdicts=list(verdicts),
            prompt_version=request.prompt_version,
            generated_at=datetime.fromtimestamp(NOON, UTC),
        )
        return self.record(codec.encode(candidate), request.user_id.encode(), CANDIDATES, **fields)

    def verdict(self, review: Review, verdict: str, user: str | None = None, **fields: Any) -> Record:
        """Returns a reviewer's verdict on a text."""
        user_id = user or review.user_id
        value = ReviewVerdict(
            verdict_id=f"v-{self._offset}",
            message_id=review.message_id,
            user_id=user_id,
            verdict=verdict,  # type: ignore[arg-type] # one of its values
            reviewer="vera",
            decided_at=datetime.fromtimestamp(NOON, UTC),
            **fields,
        )
        return self.record(codec.encode(value), user_id.encode(), VERDICTS)

    def punctuation(self, until_s: float) -> Record:
        """Returns the record that ends a replay."""
        return self.record(None, None, headers=((PUNCTUATION, str(until_s).encode()),))

    def of(self, topic: str, struct: type[S]) -> list[S]:
        """Returns all records published to a topic."""
        return [codec.decode(struct, output.value) for output in self.outputs if output.topic == topic]

    @property
    def decisions(self) -> list[Decision]:
        return self.of("message.decisions", Decision)

    @property
    def requests(self) -> list[MessageRequest]:
        return self.of("message.requests", MessageRequest)

    @property
    def reviews(self) -> list[Review]:
        return self.of("message.reviews", Review)

    @property
    def outcomes(self) -> list[Outcome]:
        return self.of("message.outcomes", Outcome)

    @property
    def messages(self) -> list[Message]:
        return [message for topic in BY_NAME if topic.startswith("messages.") for message in self.of(topic, Message)]

    def profile(self, user: str = "ana") -> Profile:
        """Returns the committed hot record of a profile."""
        return profiles.decode(self.store.values[keys.profile_key(user)])


def make_playbook(**changes: Any) -> Playbook:
    """Returns a playbook with one campaign, two channels, one product and two languages: enough for every rule of personalise."""
    field = {"en": FieldLimit(max_chars=200), "zh": FieldLimit(max_chars=100)}
    fields = {"title": field, "body": field}
    prompts = {
        (name, language): Prompt(id=name, language=language, source="Write.", version="p1")
        for name in ("cart-abandonment",)
        for language in ("en", "zh")
    }
    templates = {
        ("cart-abandonment", language, group, channel): Template(
            prompt="cart-abandonment",
            language=language,
            target_group=group,
            channel=channel,
            fields={"title": text, "body": text},
            version="t1",
        )
        for language, text in (("en", "It is still in your cart."), ("zh", "商品还在您的购物车里。"))
        for group in ("young", "sports", None)
        for channel in ("push", "email")
    }
    values: dict[str, Any] = {
        "name": "test",
        "version": "v1",
        "languages": ("en", "zh"),
        "products": {
            "smart-band": CatalogueProduct(
                product_id="smart-band",
                name={"en": "Smart Band", "zh": "智能手环"},
                category="wearables",
                tags=["sports"],
                facts={"en": ["sleep tracking"], "zh": ["睡眠监测"]},
                price=199.0,
                currency="CNY",
                url="https://shop.example/smart-band",
            )
        },
        "audiences": Audiences(
            target_groups=[
                TargetGroup(
                    id="sports",
                    name={},
                    angle={},
                    when=Condition(any=[Condition(field="interest.sports", at_least=4.0)]),
                ),
                TargetGroup(id="young", name={}, angle={}, when=Condition(field="traits.age", at_most=29)),
            ],
            default_target_group="young",
        ),
        "channels": {
            "push": Channel(id="push", fields=fields),
            "email": Channel(id="email", fields=fields, unsubscribe_url="https://shop.example/unsubscribe"),
        },
        "campaigns": {
            "cart-abandonment": Campaign(
                id="cart-abandonment",
                name={},
                trigger=CartAbandonment(delay_s=DELAY_S),
                channels=["push", "email"],
                prompt="cart-abandonment",
                goal={},
                mode="live",
            )
        },
        "policy": Policy(caps=[Cap(messages=CAP, per_s=7 * 86_400.0)], undescribed_products="named"),
        "prompts": prompts,
        "templates": templates,
    }
    return Playbook(**(values | changes))
