"""The judge of a simulated world: reads what goes into the log and what comes out of it, and says what must never be.

It shares no code with the product: it decodes JSON itself and has its own idea of consent, nights, caps, carts and orders.
Every rule has a name, so that a violation can be looked for again while its timeline is shortened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tests.simulation.person import Person, Words, spoken_of
from tests.simulation.rules import CART, CHANNELS, Shop

Json = dict[str, Any]
SLACK_S = 0.002
_ALONE = ("requested", "holdout")
#: Wherein a virtual send and a real one must not differ.
_SAME = (
    "campaign_id",
    "occurrence_id",
    "channel",
    "variation_id",
    "propensities",
    "due_at",
    "target_group",
    "category",
)
_ENDS_DELIVERY = frozenset(
    {"sent", "delivered", "opened", "clicked", "replied", "bounced", "complained", "dropped", "failed", "skipped"}
)


class Violation(msgspec.Struct, frozen=True):
    """One thing that must not be. `rule` names what was broken."""

    rule: str
    text: str


class Batch(msgspec.Struct, kw_only=True):
    """What a lane of personalise did in one transaction. `records` are those it applied, `outputs` (topic, value)."""

    lane: int
    records: list[tuple[str, Json | None, float]]
    outputs: list[tuple[str, Json]]
    clock_s: float
    broker_s: float
    newest_broker_s: float
    shop: Shop
    paused: frozenset[str]
    gone_zone: str
    caught_up: bool


class Asked(msgspec.Struct):
    """A decision that asked for words, and what became of it."""

    user: str
    campaign: str
    occurrence: str
    channel: str
    due_s: float
    reason: str
    at_s: float
    message_id: str | None
    outcome: str = ""
    sent_s: float = 0.0
    expires_s: float = 0.0
    settled: bool = False
    freed: bool = False
    cancelled: bool = False
    must_cancel: str = ""


def at(text: str) -> float:
    """An instant of the wire as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


class Judge:
    """`violations` are what was found; `hits` count the situations that a timeline has come to."""

    def __init__(self, tolerance_s: float) -> None:
        self.violations: list[Violation] = []
        self.hits: Counter[str] = Counter()
        #: (arm → its probability, the arm taken) of every draw, and whether a rate made the decision wait.
        self.draws: list[tuple[dict[str, float], str, bool]] = []
        self._tolerance_s = tolerance_s
        self._said: dict[str, Words] = defaultdict(Words)
        self._added_s: dict[tuple[str, str], float] = {}
        self._ordered: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._order_s: dict[tuple[str, str], float] = {}
        self._told: set[str] = set()
        self.people: dict[str, Person] = defaultdict(Person)
        self._decided: set[tuple[str, str, str]] = set()
        self._ids: dict[str, set[str]] = defaultdict(set)
        self._asked: dict[str, Asked] = {}
        self._all: list[Asked] = []
        self.held_out: set[str] = set()
        #: Customer → the decisions about them, as they came.
        self.ledger: dict[str, list[Json]] = defaultdict(list)
        self._spinning: Counter[int] = Counter()

    def _wrong(self, rule: str, text: str) -> None:
        self.violations.append(Violation(rule, text))

    # -- what goes in ------------------------------------------------------------------------------------------------

    def told(self, event: Json, appended_s: float) -> None:
        """An event is in the topic of the shop, read or not."""
        if event["messageId"] in self._told:
            return
        self._told.add(event["messageId"])
        user, at_s, about = event["userId"], at(event["timestamp"]), event.get("properties", {})
        if event["event"] == "Consent Updated":
            yes = about["status"] == "subscribed"
            self._said[user].say(spoken_of(about), min(at_s, appended_s), yes=yes)
            if not yes and any(one.user == user and not one.outcome for one in self._all):
                self.hits["a no while a request is open"] += 1
        elif event["event"] == "Product Added":
            self._added_s[user, about["cart_id"]] = max(at_s, self._added_s.get((user, about["cart_id"]), at_s))
        elif event["event"] == "Order Completed":
            order = about["order_id"]
            self._ordered[user, about["cart_id"]].add(order)
            self._order_s[user, order] = min(at_s, self._order_s.get((user, order), at_s))

    def reported(self, feedback: Json, appended_s: float) -> None:
        """Feedback is in its topic, read or not."""
        if feedback["status"] in ("unsubscribed", "complained"):
            self._hear(self._said[feedback["user_id"]], feedback, appended_s)

    @staticmethod
    def _hear(words: Words, feedback: Json, appended_s: float) -> None:
        channel = "" if feedback["status"] == "complained" else feedback["channel"]
        words.say(channel, min(at(feedback["timestamp"]), appended_s), yes=False)

    # -- what a lane did ---------------------------------------------------------------------------------------------

    def batch(self, batch: Batch) -> None:
        """A transaction of personalise is committed."""
        if batch.clock_s > batch.newest_broker_s + self._tolerance_s + SLACK_S:
            self._wrong(
                "clock", f"lane {batch.lane} is {batch.clock_s - batch.newest_broker_s:.0f} s ahead of the broker"
            )
        touched = self._apply(batch)
        before = {topic for topic, _ in batch.outputs}
        published = {value["message_id"] for topic, value in batch.outputs if topic.startswith("messages.")}
        for topic, value in batch.outputs:
            if topic == "message.decisions":
                self._decision(batch, value)
        for topic, value in batch.outputs:
            match topic.partition(".")[0]:
                case "messages":
                    self._message(batch, value)
                case "message":
                    self._other(batch, topic, value, published)
                case "dead":
                    self._letter(value)
        if "message.cancellations" in before:
            self.hits["a message is called back"] += 1
        for user in touched:
            self._recall(user, batch)

    def _apply(self, batch: Batch) -> set[str]:
        users = set()
        for topic, value, appended_s in batch.records:
            if value is None:
                continue
            if topic == "customer.events" and "userId" in value:
                users.add(value["userId"])
                self.people[value["userId"]].see(value, at(value["timestamp"]), appended_s)
            elif topic == "message.candidates":
                if self._night(batch, value["user_id"], batch.clock_s) and value["message_id"] in self._asked:
                    self.hits["words come at night"] += 1
            elif topic == "message.feedback":
                users.add(value["user_id"])
                self._feedback(value, appended_s)
        return users

    def _feedback(self, value: Json, appended_s: float) -> None:
        if value["status"] in ("unsubscribed", "complained"):
            self._hear(self.people[value["user_id"]].words, value, appended_s)
        asked = self._asked.get(value["message_id"])
        if asked is None:
            return
        if value["status"] in ("bounced", "dropped", "failed", "skipped"):
            asked.freed = True
        asked.settled |= value["status"] in _ENDS_DELIVERY

    def _once(self, topic: str, name: str) -> None:
        if name in self._ids[topic]:
            self._wrong("ids", f"{topic} has {name} twice")
        self._ids[topic].add(name)

    def _decision(self, batch: Batch, value: Json) -> None:
        user, campaign, occurrence = value["user_id"], value["campaign_id"], value["occurrence_id"]
        self._once("message.decisions", value["decision_id"])
        if (user, campaign, occurrence) in self._decided:
            self._wrong("ledger", f"{campaign} decided {occurrence} of {user} twice")
        self._decided.add((user, campaign, occurrence))
        reason, mode = value["reason"], batch.shop.mode.get(campaign, "")
        self.hits[f"decided: {reason}"] += 1
        now_s, due_s = at(value["decided_at"]), at(value["due_at"])
        cart = self.people[user].carts.get(occurrence.partition("@")[0])
        if not mode:
            self._wrong("rollout", f"{campaign} decides, and is not in the playbook")
        if cart is not None and abs(cart.updated_s + batch.shop.delays()[campaign] - due_s) > SLACK_S:
            self._wrong("due", f"{occurrence} of {user} is due at {due_s}, not {cart.updated_s} + delay")
        if cart is None and reason == "requested":
            self._wrong("bought", f"{user} is to be reminded of {occurrence}, which is no open cart")
        if mode == "shadow" and reason in _ALONE:
            self._wrong("shadow", f"{campaign} is a shadow, and its decision is {reason}")
        if reason == "requested" and batch.paused & {"all", f"campaign:{campaign}", f"channel:{value['channel']}"}:
            self._wrong("pause", f"{campaign} asks while {sorted(batch.paused)} is paused")
        if reason == "holdout":
            self.held_out.add(user)
        if reason == "requested" and user in self.held_out:
            self._wrong("holdout", f"{user} is in the control group, and words are asked for")
        if self._night(batch, user, due_s) and not self._night(batch, user, now_s):
            self.hits["a decision waits for the morning"] += 1
        self.ledger[user].append(value)
        self._caps(batch, value, now_s)
        if value.get("propensities"):
            waited = any(check["name"] == "rate" for check in value.get("checks", []))
            self.draws.append(
                (value["propensities"], value["variation_id"], waited or batch.shop.rate_per_s is not None)
            )
            if abs(sum(value["propensities"].values()) - 1) > 1e-6:
                self._wrong("propensity", "the chances of the arms are not 1")
        asked = Asked(
            user, campaign, occurrence, value.get("channel") or "", due_s, reason, now_s, value.get("message_id")
        )
        self._all.append(asked)
        if asked.message_id is not None:
            self._asked[asked.message_id] = asked
        else:
            asked.outcome = "none"

    def _caps(self, batch: Batch, value: Json, now_s: float) -> None:
        """A real decision that is capped must have real ones before it."""
        if value["reason"] != "frequency_capped" or batch.shop.mode.get(value["campaign_id"]) == "shadow":
            return
        most, per_s = batch.shop.cap
        real = [
            one
            for one in self._all
            if one.user == value["user_id"]
            and one.reason in _ALONE
            and max(one.at_s, one.sent_s) > now_s - per_s - SLACK_S
        ]
        if len(real) < most:
            self._wrong("cap", f"{value['user_id']} is capped after {len(real)} of {most} real messages")

    def _message(self, batch: Batch, value: Json) -> None:
        user, channel, campaign = value["user_id"], value["channel"], value["campaign_id"]
        name, sent_s = value["message_id"], at(value["send_at"])
        self.hits["published"] += 1
        self._once("messages", name)
        who = f"{user} hears {name[:8]} on {channel}"
        asked = self._asked.get(name)
        if asked is None or asked.reason != "requested":
            self._wrong("ledger", f"{who}, and its decision is {asked and asked.reason}")
            return
        if not batch.caught_up:
            self._wrong("gate", f"{who} while the log holds what its lane has not read")
        if not self._said[user].allow(channel):
            self._wrong("consent", f"{who} after a no")
        if value["target_group"] != "generic" and self._said[user].refuse_personal:
            self._wrong("consent", f"{who} in words for {value['target_group']} after a no to personalisation")
        if user in self.held_out:
            self._wrong("holdout", f"{who} in the control group")
        if (night := self._night(batch, user, sent_s)) is not None:
            self._wrong("quiet hours", f"{who} at {night}")
        mode = batch.shop.mode.get(campaign)
        if mode in (None, "shadow") or (mode == "allowlist" and user not in batch.shop.allowlist):
            self._wrong("rollout", f"{who}, and {campaign} is {mode}")
        if batch.paused & {"all", f"campaign:{campaign}", f"channel:{channel}"}:
            self._wrong("pause", f"{who} while {sorted(batch.paused)} is paused")
        if sent_s >= asked.due_s + batch.shop.ttl_s + SLACK_S:
            self._wrong(
                "expiry", f"{who} {(sent_s - asked.due_s) / 3600:.1f} h after its time, of {batch.shop.ttl_s / 3600:g}"
            )
        if sent_s >= at(value["expires_at"]) + SLACK_S:
            self._wrong("expiry", f"{who} after it expired")
        cart = asked.occurrence.partition("@")[0]
        ordered_s = max((self._order_s[user, order] for order in self._ordered[user, cart]), default=0.0)
        if ordered_s > self._added_s.get((user, cart), 0.0) + SLACK_S:
            self._wrong("bought", f"{who} of cart {cart}, which was bought")
        seen, wrote = value["provenance"]["reviewed"], value["provenance"]["generated_by"]
        let_out = {"approved", "edited"} | ({"timeout"} if batch.shop.on_timeout == "publish" else set())
        if batch.shop.review and wrote == "llm" and seen not in let_out:
            self._wrong("review", f"{who} in words of a model that nobody has looked at")
        if not value["body"]:
            self._wrong("words", f"{who} without a word")
        self._crowd(batch, user, asked, sent_s)
        asked.sent_s, asked.expires_s = sent_s, at(value["expires_at"])

    def _crowd(self, batch: Batch, user: str, asked: Asked, sent_s: float) -> None:
        most, per_s = batch.shop.cap
        heard = [
            one
            for one in self._all
            if one.user == user and one.sent_s and not one.freed and one.sent_s > sent_s - per_s + SLACK_S
        ]
        if len(heard) >= most:
            self._wrong("cap", f"{user} hears {len(heard) + 1} messages in {per_s / 3600:g} h, and {most} are allowed")

    def _night(self, batch: Batch, user: str, at_s: float) -> str | None:
        """What the clock on the customer's wall shows, if it is night there."""
        zone = self.people[user].zone if user in self.people else ""
        if batch.shop.quiet is None or not zone or zone == batch.gone_zone:
            return None
        shown = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone)).strftime("%H:%M")
        start, end = batch.shop.quiet
        return shown if start <= shown or shown < end else None

    def _other(self, batch: Batch, topic: str, value: Json, published: set[str]) -> None:
        name = value.get("message_id") or ""
        match topic:
            case "message.requests":
                self._once(topic, name)
                if name not in self._asked:
                    self._wrong("ledger", f"words are asked for {name[:8]}, which nobody decided")
            case "message.reviews":
                self._once(topic, name)
                self.hits["a review is asked for"] += 1
            case "message.cancellations":
                self._once(topic, name)
                if (asked := self._asked.get(name)) is None or not asked.sent_s:
                    self._wrong("cancellation", f"{name[:8]} is called back, and was never published")
                else:
                    asked.cancelled = True
            case "message.outcomes":
                self._once(topic, name)
                asked = self._asked.get(name)
                self.hits[f"ended: {value['reason']}"] += 1
                if asked is None:
                    self._wrong("ledger", f"{name[:8]} ends, and nobody asked for it")
                    return
                asked.outcome = value["reason"]
                if (value["reason"] == "published") != (name in published):
                    self._wrong("ledger", f"{name[:8]} ends as {value['reason']}, beside what is published")
                if value["reason"] != "published" and not batch.shop.mode.get(asked.campaign):
                    self.hits["a campaign is removed while words wait"] += 1

    def _letter(self, value: Json) -> None:
        self.hits[f"dead letter: {value['reason']}"] += 1

    def _recall(self, user: str, batch: Batch) -> None:
        """What was published and is wrong now must be called back, as long as its sender may have it."""
        person = self.people[user]
        for asked in self._all:
            if asked.user != user or not asked.sent_s or asked.settled or asked.cancelled:
                continue
            if batch.clock_s >= asked.expires_s - SLACK_S:
                continue
            if not person.words.allow(asked.channel):
                asked.must_cancel = "a no"
            elif asked.campaign in batch.shop.mode and asked.occurrence.partition("@")[0] not in person.carts:
                asked.must_cancel = "an order"  # what a campaign that is gone was about nobody knows any more
            else:
                continue
            self.hits["a published message becomes wrong"] += 1
            self._wrong("cancellation", f"{asked.message_id} is not called back after {asked.must_cancel}")

    # -- the end -----------------------------------------------------------------------------------------------------

    def settled(self, profiles: dict[str, Json], shop: Shop, *, whole: bool, right: bool) -> None:
        """All is applied, and nothing is due any more. `whole`: no campaign was ever taken out of the playbook. `right`: the
        clocks of broker and workers were; else a word may be taken for older than it is, as long as nobody hears more for it.
        """
        for asked in self._all:
            if not asked.outcome:
                self._wrong("ledger", f"the request {asked.message_id} of {asked.user} never ends")
        for user, person in self.people.items():
            found, expected = profiles.get(user, {}), person.picture()
            if not right and set(found.get("allowed", ())) <= set(expected["allowed"]):
                expected["allowed"] = found.get("allowed")
            if found != expected:
                self._wrong("profile", f"{user} is {found}, not {expected}")
            for cart_id in person.carts if whole and CART in shop.mode else ():
                if not any(one[0] == user and one[2].startswith(f"{cart_id}@") for one in self._decided):
                    self._wrong("ledger", f"cart {cart_id} of {user} was left alone, and nobody decided")

    def compare(self, other: Judge) -> None:
        """`other` judged the same world without a control group: up to their first virtual send those who were in it must
        have been decided for as there.
        """
        for user in sorted(self.held_out):
            for mine, theirs in zip(self.ledger[user], other.ledger[user], strict=False):
                if mine["reason"] == "holdout" and theirs["reason"] not in ("requested", "holdout"):
                    self._wrong("holdout", f"{user} would have been {theirs['reason']}: {mine} and {theirs}")
                differing = [name for name in _SAME if mine.get(name) != theirs.get(name)]
                if differing:
                    self._wrong("holdout", f"{user} is decided otherwise in the control group: {differing}")
                self.hits["a held-out customer has a twin"] += 1
                if mine["reason"] == "holdout" or differing:
                    break

    @property
    def is_stuck(self) -> bool:
        """Whether some lane does not go on."""
        return any(violation.rule == "stuck" for violation in self.violations)

    def miscounted(self, text: str) -> None:
        """Learn has other counts than its records come to."""
        self._wrong("counts", text)

    def stuck(self, text: str) -> None:
        """A lane does not go on."""
        self._wrong("stuck", text)


__all__ = ["CHANNELS", "Batch", "Judge", "Violation", "at"]
