"""Judges a simulated world: reads the inputs and outputs in the log, and reports violations of the rules.

It shares no code with the product: it decodes JSON itself and has its own model of consent, quiet hours, caps, carts and orders.
Every rule has a name, so that the same violation can be detected while its timeline is shortened.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tests.simulation.person import Person, Statements, consent_topic
from tests.simulation.rules import CART, CHANNELS, DOUBTFUL, Shop

Json = dict[str, Any]
SLACK_S = 0.002
_ALONE = ("requested", "holdout")
#: Fields in which a virtual send and a real one must not differ.
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
    """One violation; `rule` names the broken rule."""

    rule: str
    text: str


class Batch(msgspec.Struct, kw_only=True):
    """One transaction of a lane of personalise. `records`: those it applied; `outputs`: (topic, value)."""

    lane: int
    records: list[tuple[str, Json | None, float]]
    outputs: list[tuple[str, Json]]
    clock_s: float
    broker_s: float
    newest_broker_s: float
    shop: Shop
    paused: frozenset[str]
    removed_zone: str
    caught_up: bool


class Request(msgspec.Struct):
    """A decision that may have requested a text, and its outcome."""

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
    """Converts a timestamp on the wire to seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


class Judge:
    """The judge. `violations`: those found; `hits`: counts of the situations that the timeline reached."""

    def __init__(self, tolerance_s: float) -> None:
        self.violations: list[Violation] = []
        self.hits: Counter[str] = Counter()
        #: (arm → probability, drawn arm) of every draw, and whether a rate made the decision wait.
        self.draws: list[tuple[dict[str, float], str, bool]] = []
        self._tolerance_s = tolerance_s
        self._statements: dict[str, Statements] = defaultdict(Statements)
        self._added_s: dict[tuple[str, str], float] = {}
        self._ordered: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._order_s: dict[tuple[str, str], float] = {}
        self._seen: set[str] = set()
        self.people: dict[str, Person] = defaultdict(Person)
        self._decided: set[tuple[str, str, str]] = set()
        self._ids: dict[str, set[str]] = defaultdict(set)
        self._requests: dict[str, Request] = {}
        self._all: list[Request] = []
        self.held_out: set[str] = set()
        #: Customer → their decisions, in order.
        self.ledger: dict[str, list[Json]] = defaultdict(list)
        self._spinning: Counter[int] = Counter()

    def _report(self, rule: str, text: str) -> None:
        self.violations.append(Violation(rule, text))

    # -- inputs ------------------------------------------------------------------------------------------------------

    def event_appended(self, event: Json, appended_s: float) -> None:
        """Records an event in the topic of the shop, read or not."""
        if event["messageId"] in self._seen:
            return
        self._seen.add(event["messageId"])
        user, at_s, about = event["userId"], at(event["timestamp"]), event.get("properties", {})
        if event["event"] == "Consent Updated":
            yes = about["status"] == "subscribed"
            self._statements[user].record(consent_topic(about), min(at_s, appended_s), yes=yes)
            if not yes and any(one.user == user and not one.outcome for one in self._all):
                self.hits["an opt-out while a request is open"] += 1
        elif event["event"] == "Product Added":
            self._added_s[user, about["cart_id"]] = max(at_s, self._added_s.get((user, about["cart_id"]), at_s))
        elif event["event"] == "Order Completed":
            order = about["order_id"]
            self._ordered[user, about["cart_id"]].add(order)
            self._order_s[user, order] = min(at_s, self._order_s.get((user, order), at_s))

    def reported(self, feedback: Json, appended_s: float) -> None:
        """Records feedback in its topic, read or not."""
        if feedback["status"] in ("unsubscribed", "complained"):
            self._apply_opt_out(self._statements[feedback["user_id"]], feedback, appended_s)

    @staticmethod
    def _apply_opt_out(statements: Statements, feedback: Json, appended_s: float) -> None:
        channel = "" if feedback["status"] == "complained" else feedback["channel"]
        statements.record(channel, min(at(feedback["timestamp"]), appended_s), yes=False)

    # -- batches of a lane -------------------------------------------------------------------------------------------

    def batch(self, batch: Batch) -> None:
        """Checks a committed transaction of personalise."""
        if batch.clock_s > batch.newest_broker_s + self._tolerance_s + SLACK_S:
            self._report(
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
            self.hits["a message is cancelled"] += 1
        for user in touched:
            self._check_cancellations(user, batch)

    def _apply(self, batch: Batch) -> set[str]:
        users = set()
        for topic, value, appended_s in batch.records:
            if value is None:
                continue
            if topic == "customer.events" and "userId" in value:
                users.add(value["userId"])
                self.people[value["userId"]].apply(value, at(value["timestamp"]), appended_s)
            elif topic == "message.candidates":
                if self._night(batch, value["user_id"], batch.clock_s) and value["message_id"] in self._requests:
                    self.hits["a text arrives at night"] += 1
            elif topic == "message.feedback":
                users.add(value["user_id"])
                self._feedback(value, appended_s)
        return users

    def _feedback(self, value: Json, appended_s: float) -> None:
        if value["status"] in ("unsubscribed", "complained"):
            self._apply_opt_out(self.people[value["user_id"]].statements, value, appended_s)
        request = self._requests.get(value["message_id"])
        if request is None:
            return
        if value["status"] in ("bounced", "dropped", "failed", "skipped"):
            request.freed = True
        request.settled |= value["status"] in _ENDS_DELIVERY

    def _once(self, topic: str, name: str) -> None:
        if name in self._ids[topic]:
            self._report("ids", f"{topic} has {name} twice")
        self._ids[topic].add(name)

    def _decision(self, batch: Batch, value: Json) -> None:
        user, campaign, occurrence = value["user_id"], value["campaign_id"], value["occurrence_id"]
        self._once("message.decisions", value["decision_id"])
        if (user, campaign, occurrence) in self._decided:
            self._report("ledger", f"{campaign} decided {occurrence} of {user} twice")
        self._decided.add((user, campaign, occurrence))
        reason, mode = value["reason"], batch.shop.mode.get(campaign, "")
        self.hits[f"decided: {reason}"] += 1
        now_s, due_s = at(value["decided_at"]), at(value["due_at"])
        cart = self.people[user].carts.get(occurrence.partition("@")[0])
        if not mode:
            self._report("rollout", f"{campaign} decides, but is not in the playbook")
        if cart is not None and abs(cart.updated_s + batch.shop.delays()[campaign] - due_s) > SLACK_S:
            self._report("due", f"{occurrence} of {user} is due at {due_s}, not {cart.updated_s} + delay")
        if cart is None and reason == "requested":
            self._report("bought", f"{user} is to be reminded of {occurrence}, which is not an open cart")
        if mode == "shadow" and reason in _ALONE:
            self._report("shadow", f"{campaign} is in shadow mode, but its decision is {reason}")
        if reason == "requested" and batch.paused & {"all", f"campaign:{campaign}", f"channel:{value['channel']}"}:
            self._report("pause", f"{campaign} requests a text while {sorted(batch.paused)} is paused")
        if reason == "holdout":
            self.held_out.add(user)
        if reason == "requested" and user in self.held_out:
            self._report("holdout", f"{user} is in the control group, but a text is requested")
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
                self._report("propensity", "the probabilities of the arms do not sum to 1")
        request = Request(
            user, campaign, occurrence, value.get("channel") or "", due_s, reason, now_s, value.get("message_id")
        )
        self._all.append(request)
        if request.message_id is not None:
            self._requests[request.message_id] = request
        else:
            request.outcome = "none"

    def _caps(self, batch: Batch, value: Json, now_s: float) -> None:
        """Checks that a capped real decision has enough real ones before it."""
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
            self._report("cap", f"{value['user_id']} is capped after {len(real)} of {most} real messages")

    def _message(self, batch: Batch, value: Json) -> None:
        user, channel, campaign = value["user_id"], value["channel"], value["campaign_id"]
        name, sent_s = value["message_id"], at(value["send_at"])
        self.hits["published"] += 1
        self._once("messages", name)
        who = f"{user} gets {name[:8]} on {channel}"
        request = self._requests.get(name)
        if request is None or request.reason != "requested":
            self._report("ledger", f"{who}, but its decision is {request and request.reason}")
            return
        if not batch.caught_up:
            self._report("gate", f"{who} while the log has records that its lane has not read")
        if not self._statements[user].allow(channel):
            self._report("consent", f"{who} after an opt-out")
        if value["target_group"] != "generic" and self._statements[user].refuse_personal:
            self._report("consent", f"{who} with a text for {value['target_group']} after personalisation was refused")
        if user in self.held_out:
            self._report("holdout", f"{who} in the control group")
        if (night := self._night(batch, user, sent_s)) is not None:
            self._report("quiet hours", f"{who} at {night}")
        mode = batch.shop.mode.get(campaign)
        if mode in (None, "shadow") or (mode == "allowlist" and user not in batch.shop.allowlist):
            self._report("rollout", f"{who}, but {campaign} is {mode}")
        if batch.paused & {"all", f"campaign:{campaign}", f"channel:{channel}"}:
            self._report("pause", f"{who} while {sorted(batch.paused)} is paused")
        if sent_s >= request.due_s + batch.shop.ttl_s + SLACK_S:
            self._report(
                "expiry",
                f"{who} {(sent_s - request.due_s) / 3600:.1f} h after it was due, the maximum is {batch.shop.ttl_s / 3600:g} h",
            )
        if sent_s >= at(value["expires_at"]) + SLACK_S:
            self._report("expiry", f"{who} after it expired")
        cart = request.occurrence.partition("@")[0]
        ordered_s = max((self._order_s[user, order] for order in self._ordered[user, cart]), default=0.0)
        if ordered_s > self._added_s.get((user, cart), 0.0) + SLACK_S:
            self._report("bought", f"{who} about cart {cart}, which was bought")
        seen, wrote = value["provenance"]["reviewed"], value["provenance"]["generated_by"]
        accepted = {"approved", "edited"} | ({"timeout"} if batch.shop.on_timeout == "publish" else set())
        if batch.shop.review and wrote == "llm" and seen not in accepted:
            self._report("review", f"{who} with a model-written text that no one has reviewed")
        if value["body"] == DOUBTFUL:
            self.hits["a doubtful text leaves after a review"] += 1
            if seen != "approved":
                self._report("doubt", f"{who} with a doubtful text that no one has approved")
        if not value["body"]:
            self._report("words", f"{who} without a text")
        self._check_cap(batch, user, request, sent_s)
        request.sent_s, request.expires_s = sent_s, at(value["expires_at"])

    def _check_cap(self, batch: Batch, user: str, request: Request, sent_s: float) -> None:
        most, per_s = batch.shop.cap
        sent = [
            one
            for one in self._all
            if one.user == user and one.sent_s and not one.freed and one.sent_s > sent_s - per_s + SLACK_S
        ]
        if len(sent) >= most:
            self._report("cap", f"{user} gets {len(sent) + 1} messages in {per_s / 3600:g} h, the cap is {most}")

    def _night(self, batch: Batch, user: str, at_s: float) -> str | None:
        """Returns the customer's local time if it is in quiet hours."""
        zone = self.people[user].zone if user in self.people else ""
        if batch.shop.quiet is None or not zone or zone == batch.removed_zone:
            return None
        shown = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(zone)).strftime("%H:%M")
        start, end = batch.shop.quiet
        return shown if start <= shown or shown < end else None

    def _other(self, batch: Batch, topic: str, value: Json, published: set[str]) -> None:
        name = value.get("message_id") or ""
        match topic:
            case "message.requests":
                self._once(topic, name)
                if name not in self._requests:
                    self._report("ledger", f"a text is requested for {name[:8]}, which has no decision")
            case "message.reviews":
                self._once(topic, name)
                self.hits["a review is requested"] += 1
            case "message.cancellations":
                self._once(topic, name)
                if (request := self._requests.get(name)) is None or not request.sent_s:
                    self._report("cancellation", f"{name[:8]} is cancelled, but was never published")
                else:
                    request.cancelled = True
            case "message.outcomes":
                self._once(topic, name)
                request = self._requests.get(name)
                self.hits[f"ended: {value['reason']}"] += 1
                if request is None:
                    self._report("ledger", f"{name[:8]} has an outcome, but no request")
                    return
                request.outcome = value["reason"]
                if (value["reason"] == "published") != (name in published):
                    self._report(
                        "ledger", f"{name[:8]} ends as {value['reason']}, which contradicts the published messages"
                    )
                if value["reason"] != "published" and not batch.shop.mode.get(request.campaign):
                    self.hits["a campaign is removed while a text is awaited"] += 1

    def _letter(self, value: Json) -> None:
        self.hits[f"dead letter: {value['reason']}"] += 1

    def _check_cancellations(self, user: str, batch: Batch) -> None:
        """Checks that published messages that have become invalid are cancelled, as long as they may be unsent."""
        person = self.people[user]
        for request in self._all:
            if request.user != user or not request.sent_s or request.settled or request.cancelled:
                continue
            if batch.clock_s >= request.expires_s - SLACK_S:
                continue
            if not person.statements.allow(request.channel):
                request.must_cancel = "an opt-out"
            elif request.campaign in batch.shop.mode and request.occurrence.partition("@")[0] not in person.carts:
                request.must_cancel = "an order"  # the subject of a removed campaign is unknown
            else:
                continue
            self.hits["a published message becomes invalid"] += 1
            self._report("cancellation", f"{request.message_id} is not cancelled after {request.must_cancel}")

    # -- the end -----------------------------------------------------------------------------------------------------

    def settled(self, profiles: dict[str, Json], shop: Shop, *, whole: bool, right: bool) -> None:
        """Checks the end of a world, when everything is applied and nothing is due. `whole`: no campaign was ever removed from
        the playbook. `right`: all clocks were correct; otherwise a statement may be dated too early, if this adds no messages.
        """
        for request in self._all:
            if not request.outcome:
                self._report("ledger", f"the request {request.message_id} of {request.user} never ends")
        for user, person in self.people.items():
            found, expected = profiles.get(user, {}), person.expected_profile()
            if not right and set(found.get("allowed", ())) <= set(expected["allowed"]):
                expected["allowed"] = found.get("allowed")
            if found != expected:
                self._report("profile", f"{user} is {found}, not {expected}")
            for cart_id in person.carts if whole and CART in shop.mode else ():
                if not any(one[0] == user and one[2].startswith(f"{cart_id}@") for one in self._decided):
                    self._report("ledger", f"cart {cart_id} of {user} was abandoned, but not decided")

    def compare(self, other: Judge) -> None:
        """Compares with `other`, which judged the same world without a control group: the decisions for held-out customers must
        be the same up to their first virtual send.
        """
        for user in sorted(self.held_out):
            for mine, theirs in zip(self.ledger[user], other.ledger[user], strict=False):
                if mine["reason"] == "holdout" and theirs["reason"] not in ("requested", "holdout"):
                    self._report("holdout", f"{user} would have been {theirs['reason']}: {mine} and {theirs}")
                differing = [name for name in _SAME if mine.get(name) != theirs.get(name)]
                if differing:
                    self._report("holdout", f"the decisions for {user} differ in the control group: {differing}")
                self.hits["a held-out customer has a twin"] += 1
                if mine["reason"] == "holdout" or differing:
                    break

    @property
    def is_stuck(self) -> bool:
        """True if a lane makes no progress."""
        return any(violation.rule == "stuck" for violation in self.violations)

    def miscounted(self, text: str) -> None:
        """Reports that the counts of learn differ from its records."""
        self._report("counts", text)

    def stuck(self, text: str) -> None:
        """Reports that a lane makes no progress."""
        self._report("stuck", text)


__all__ = ["CHANNELS", "Batch", "Judge", "Violation", "at"]
