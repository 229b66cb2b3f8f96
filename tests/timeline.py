"""Runs timelines: the events of one customer, minute by minute, as text, applied to a real lane.

```
12:00  allow push            an action of ana, or one that affects her
12:00  add smart-band
12:30  -> requested push     the decision of this minute, with its channel if it has one
12:31  words                 the LLM's answer to every open request
12:31  => published          the outcome of this minute
```

Between two lines, time advances in steps of five minutes, unless the later one is `outage`: then no worker ran. `-> nothing` and
`=> nothing` assert that nothing was decided or ended since the last line of their kind. `+1 09:00` is on the next day.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from schemas.messages import MessageRequest
from tests.support.core import NOON, LaneHarness
from workers.core.playbook.playbook import Playbook
from workers.core.stream.records import Record

MIDNIGHT = NOON - 12 * 3600
_STEP_S = 300.0
_LINE = re.compile(r"^(?:\+(\d+) +)?(\d\d):(\d\d)  +(.*)$")


class Timeline:
    """Runs the lines against a lane. `user` None = an anonymous visitor; `day_s` is the midnight (UTC) of the first day."""

    def __init__(self, playbook: Playbook, *, user: str = "ana", day_s: float = MIDNIGHT, **config: Any) -> None:
        self.lane = LaneHarness(playbook, **config)
        self._user = user
        self._day_s = day_s
        self._decided = self._ended = self._answered = 0
        self._now_s = day_s
        self._context: dict[str, str] = {}

    def run(self, text: str) -> LaneHarness:
        """Runs every line in order; fails if a decision or an outcome is not in the timeline."""
        for line in filter(None, map(str.strip, text.splitlines())):
            found = _LINE.match(line)
            assert found, f"not a line of a timeline: {line!r}"
            days, hours, minutes, words = found.groups()
            at_s = self._day_s + int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60
            outage = words.startswith("outage")
            self._pass(at_s, outage=outage)
            if not outage:
                self._line(line, *words.split())
        assert [d.reason for d in self.lane.decisions[self._decided :]] == [], "decided, but not in the timeline"
        assert [o.reason for o in self.lane.outcomes[self._ended :]] == [], "ended, but not in the timeline"
        return self.lane

    def _pass(self, at_s: float, *, outage: bool) -> None:
        while not outage and self._now_s + _STEP_S < at_s:
            self._now_s += _STEP_S
            self.lane.run([], self._now_s)
        self._now_s = max(self._now_s, at_s)
        self.lane.run([], self._now_s)

    def _line(self, line: str, verb: str, *words: str) -> None:
        if verb in ("->", "=>"):
            self._expect(line, verb, list(words))
            return
        if verb == "restart":
            self.lane.clock_s = self._now_s
            self.lane.restart()
            return
        if verb in ("pause", "resume"):
            paused = self.lane.control.paused
            changed = paused | {words[0]} if verb == "pause" else paused - {words[0]}
            self.lane.control = msgspec.structs.replace(self.lane.control, paused=changed)
            return
        if verb == "zone":
            self._context["timezone"] = words[0]
            return
        actions: dict[str, Callable[..., list[Record]]] = {
            "allow": lambda channel: self.lane.allow(channel, at_s=self._now_s, user=self._user),
            "refuse": self._refuse,
            "age": lambda years: [self._identified({"type": "identify", "traits": {"age": int(years)}})],
            "add": lambda product, cart="cart-1": [self._track("Product Added", product, cart_id=cart)],
            "look": lambda product, visit="visit-1": [self._track("Product Viewed", product, session_id=visit)],
            "buy": lambda product, order="order-1": [self._track("Order Completed", product, order_id=order)],
            "buys": lambda cart: [self._track("Order Completed", "smart-band", cart_id=cart, order_id="order-2")],
            "cancel": lambda order: [self._track("Order Cancelled", "smart-band", order_id=order)],
            "words": self._words,
            "feedback": self._feedback,
        }
        self.lane.run(actions[verb](*words), self._now_s)

    def _expect(self, line: str, verb: str, words: list[str]) -> None:
        if verb == "->":
            found = [[str(d.reason), *([d.channel] if d.channel else [])] for d in self.lane.decisions[self._decided :]]
            self._decided = len(self.lane.decisions)
        else:
            found = [[str(outcome.reason) for outcome in self.lane.outcomes[self._ended :]]]
            found = found if found[0] else []
            self._ended = len(self.lane.outcomes)
        assert found == ([] if words == ["nothing"] else [words]), line

    def _identified(self, fields: dict[str, object]) -> Record:
        identity = {"userId": self._user} if self._user else {"userId": None, "anonymousId": "somebody"}
        return self.lane.raw({**fields, **identity, "context": self._context}, self._now_s, self._user or "somebody")

    def _track(self, event: str, product: str, **properties: str) -> Record:
        details = {"product_id": product, "price": 199.0, "currency": "CNY", "quantity": 1} | properties
        return self._identified({"type": "track", "event": event, "properties": details})

    def _refuse(self, what: str) -> list[Record]:
        if what == "personalisation":
            properties = {"purpose": what, "status": "denied"}
            return [self._identified({"type": "track", "event": "Consent Updated", "properties": properties})]
        return self.lane.allow(what, at_s=self._now_s, user=self._user, status="unsubscribed")

    def _words(self) -> list[Record]:
        requests: list[MessageRequest] = self.lane.requests[self._answered :]
        self._answered = len(self.lane.requests)
        return [self.lane.candidate(request) for request in requests]

    def _feedback(self, status: str, *details: str) -> list[Record]:
        message = self.lane.messages[-1]
        fields = {"bounce_type": details[0]} if details else {}
        return [self.lane.feedback(message, status, self._now_s, self._user, **fields)]
