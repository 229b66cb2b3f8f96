"""Generates the timeline of a seed: everything that happens in one simulated world, as data that can be shortened.

A step is a tuple: its name, then its arguments (see World.do). Steps refer to earlier ones by a number that is taken
modulo what there is, so that leaving any of them out leaves a timeline that can be played.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.simulation.person import PERSONAL
from tests.simulation.rules import CART, CHANNELS, HOUR, PRODUCTS, SHADE, Shop

Step = tuple[Any, ...]
ALL = 10_000
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Shanghai", "UTC")
#: (zone, quiet hours that end within the repeated hour, time at which that hour is repeated)
TWICE = (
    ("America/New_York", ("22:00", "01:30"), datetime(2025, 11, 2, 6, 0, tzinfo=UTC)),
    ("Europe/Berlin", ("22:00", "02:30"), datetime(2025, 10, 26, 1, 0, tzinfo=UTC)),
    ("Australia/Lord_Howe", ("22:00", "01:45"), datetime(2025, 4, 5, 15, 0, tzinfo=UTC)),
)
_EVENING = datetime(2024, 3, 4, 12, 0, tzinfo=UTC).timestamp()
_DEVICE_S = (0.0,) * 14 + (5.0, 600.0, 600.0, -600.0, 3600.0, -7200.0, 72_000.0)
_PASSES_S = (1.0, 5.0, 20.0, 70.0, 300.0, 900.0, 1900.0, 3700.0)
_WORDS = ("good",) * 8 + ("doubtful", "reask", "template", "empty", "unknown", "other", "garbage")
_STATUSES = (
    "sent",
    "delivered",
    "opened",
    "clicked",
    "unsubscribed",
    "complained",
    "hard",
    "soft",
    "dropped",
    "failed",
)


class Plan(msgspec.Struct, kw_only=True):
    """One world and its timeline. `users`: (name, zone); `sources`: partitions of the shop's topic."""

    seed: int
    start_s: float
    partitions: int
    sources: int
    users: list[tuple[str, str]]
    shop: Shop
    steps: list[Step] = []


def plan(seed: int) -> Plan:
    """Returns the timeline of a seed."""
    return _Planner(random.Random(seed), seed).plan


class _Planner:
    def __init__(self, rng: random.Random, seed: int) -> None:
        self._rng = rng
        self._number = self._rushes = 0
        users = [(f"u{number}-{seed}", rng.choice(ZONES)) for number in range(rng.randint(3, 6))]
        shop, start_s = self._shop(users), _EVENING + rng.randrange(72) * HOUR / 2
        self._twice = rng.random() < 0.12
        if self._twice:
            zone, quiet, again = rng.choice(TWICE)
            users = [(name, zone if rng.random() < 0.8 else other) for name, other in users]
            shop = msgspec.structs.replace(shop, quiet=quiet)
            start_s = again.timestamp() - shop.delay_s - rng.uniform(-600, 2400)
        self.plan = Plan(
            seed=seed,
            start_s=start_s,
            partitions=rng.randint(1, 2),
            sources=rng.randint(1, 2),
            users=users,
            shop=shop,
        )
        self._now_shop = shop
        for user, _ in users:
            for channel, share in (("push", 0.9), ("email", 0.4)):
                if rng.random() < share:
                    self._event("yes", channel, user=user, plain=True)
        if rng.random() < 0.9:
            self._pump()
        for _ in range(rng.randint(6, 20)):
            rng.choices(_MOVES, _WEIGHTS)[0](self)
            if shop.rate_per_s is not None and rng.random() < 0.2:
                self._rush()

    def _shop(self, users: list[tuple[str, str]]) -> Shop:
        rng = self._rng
        rated = rng.random() < 0.25
        arms = rated or rng.random() < 0.4
        return Shop(
            quiet=rng.choice((None, ("22:00", "08:00"), ("22:00", "08:00"), ("20:00", "09:30"))),
            cap=rng.choice(((1, 24 * HOUR), (2, 24 * HOUR), (3, 24 * HOUR), (9, 12 * HOUR))),
            rate_per_s=rng.choice((0.02, 0.002, 0.0005)) if rated else None,
            arms=arms,
            holdout=rng.choice((0.0, 0.0, 0.0, 0.4)),
            ghost_share=rng.choice((0.0, 1.0)),
            review=rng.choice((0.0, 0.0, 1.0)),
            on_timeout=rng.choice(("template", "publish", "discard")),
            on_reject=rng.choice(("template", "discard")),
            ttl_s=rng.choice((HOUR, 6 * HOUR, 24 * HOUR)),
            deadline_s=rng.choice((60.0, 60.0, 1200.0)),
            modes=tuple(
                (name, rng.choice(modes))
                for name, modes in (
                    (CART, ("live",) * 6 + ("ramp", "allowlist")),
                    (SHADE, ("shadow",) * 5 + ("live", "allowlist")),
                )
            ),
            allowlist=tuple(name for name, _ in users if rng.random() < 0.7),
        )

    # -- single steps ------------------------------------------------------------------------------------------------

    def _do(self, *step: Any) -> None:
        self.plan.steps.append(step)

    def _id(self) -> int:
        self._number += 1
        return self._number

    def _user(self) -> str:
        return self._rng.choice(self.plan.users)[0]

    def _cart(self) -> str:
        return self._rng.choice(("a", "a", "b", "c"))

    def _source(self) -> int:
        return self._rng.randrange(self.plan.sources)

    def _lane(self) -> int:
        return self._rng.randrange(self.plan.partitions)

    def _event(self, kind: str, *args: Any, user: str | None = None, plain: bool = False) -> None:
        rng = self._rng
        skew_s = 0.0 if plain else rng.choice(_DEVICE_S)
        late_s = 0.0 if plain or rng.random() < 0.8 else rng.choice((30.0, 600.0, 1500.0, 5000.0))
        self._do("event", self._id(), user or self._user(), kind, args, skew_s, late_s, self._source())
        if rng.random() < 0.08:
            self._do("again", rng.randrange(4), self._source())

    def _add(self, user: str | None = None) -> None:
        self._event("add", self._cart(), self._rng.choice(PRODUCTS), user=user)

    def _buy(self, user: str | None = None, cart: str | None = None) -> None:
        self._event("buy", cart or self._cart(), self._rng.choice(PRODUCTS), self._rng.randrange(12), user=user)

    def _no(self, user: str | None = None) -> None:
        self._event("no", self._rng.choice((*CHANNELS, "push", "push", "", PERSONAL)), user=user)

    def _any_event(self, user: str | None = None) -> None:
        self._rng.choices((self._add, self._buy, self._no, self._yes, self._view), (5, 2, 1, 1, 2))[0](user)

    def _yes(self, user: str | None = None) -> None:
        self._event("yes", self._rng.choice((*CHANNELS, *CHANNELS, PERSONAL)), user=user)

    def _view(self, user: str | None = None) -> None:
        self._event("view", self._rng.choice(PRODUCTS), user=user)

    def _intake(self) -> None:
        for source in range(self.plan.sources):
            self._do("settle", source, True)
            self._do("intake", source, ALL, "commit")

    def _lanes(self) -> None:
        for lane in range(self.plan.partitions):
            self._do("lane", lane, (ALL, ALL, ALL, ALL), False)

    def _pump(self) -> None:
        self._intake()
        self._lanes()

    def _pass(self, *choices: float) -> None:
        self._do("pass", self._rng.choice(choices or _PASSES_S) + round(self._rng.random(), 3))

    def _some_lane(self) -> None:
        rng = self._rng
        limits = tuple(rng.choice((0, 1, 3, ALL, ALL)) for _ in range(4))
        self._do("lane", self._lane(), limits, rng.random() < 0.1)

    # -- moves -------------------------------------------------------------------------------------------------------

    def _traffic(self) -> None:
        for _ in range(self._rng.randint(1, 5)):
            self._any_event()
        if self._rng.random() < 0.5:
            self._pump()

    def _partly(self) -> None:
        """Lets intake and lanes process some records; a transaction may stay open."""
        rng = self._rng
        for _ in range(rng.randint(1, 3)):
            what = rng.random()
            if what < 0.4:
                if rng.random() < 0.5:
                    self._any_event()
                self._do(
                    "intake",
                    self._source(),
                    rng.choice((1, 2, 5, ALL)),
                    rng.choice(("commit", "open", "open", "abort")),
                )
            elif what < 0.45:
                self._do("settle", self._source(), rng.random() < 0.6)
            else:
                self._some_lane()

    def _wait(self) -> None:
        self._pass()
        if self._rng.random() < 0.7:
            self._pump()

    def _night(self) -> None:
        """Lets hours pass, in steps of the lanes."""
        for _ in range(self._rng.randint(1, 3)):
            self._pass(3 * HOUR, 5 * HOUR, 1.5 * HOUR)
            self._pump()

    def _answer(self) -> None:
        rng = self._rng
        for _ in range(rng.randint(1, 3)):
            self._do("words", rng.randrange(6), rng.choice(_WORDS))
            if rng.random() < 0.15:
                self._do("words", 0, "good")
        if rng.random() < 0.6:
            self._lanes()

    def _look(self) -> None:
        rng = self._rng
        self._do("verdict", self._id(), rng.randrange(3), rng.choice(("approve", "approve", "reject", "rate", "edit")))
        if rng.random() < 0.5:
            self._lanes()

    def _deliver(self) -> None:
        rng = self._rng
        for _ in range(rng.randint(1, 3)):
            skew_s = rng.choice((0.0, 0.0, 0.0, -60.0, 600.0))
            self._do("deliver", self._id(), rng.randrange(4), rng.choice(_STATUSES), skew_s, rng.random() < 0.1)

    def _pause(self) -> None:
        self._do("pause", self._rng.choice(("all", f"campaign:{CART}", "channel:push")))

    def _resume(self) -> None:
        self._do("resume")

    def _change(self) -> None:
        """Publishes another playbook, which may be reverted later."""
        rng = self._rng
        modes = dict(self._now_shop.modes)
        match rng.choice(("shadow", "list", "gone", "delay", "back", "back", "arms")):
            case "shadow":
                self._reshape(modes=tuple((modes | {CART: "shadow"}).items()))
            case "list":
                self._reshape(modes=tuple((modes | {CART: "allowlist"}).items()), allowlist=())
            case "gone":
                self._reshape(modes=tuple((name, mode) for name, mode in modes.items() if name != CART))
            case "delay":
                self._reshape(delay_s=rng.choice((600.0, 3600.0, 1800.0)))
            case "arms":
                self._reshape(arms=not self._now_shop.arms)
            case _:
                self._reshape(modes=tuple((modes | {CART: "live"}).items()))

    def _reshape(self, **changes: Any) -> None:
        self._now_shop = msgspec.structs.replace(self._now_shop, **changes)
        self._do("shop", tuple(changes.items()))

    def _clocks(self) -> None:
        rng = self._rng
        if rng.random() < 0.25:
            self._do("skew", "broker", rng.choice((3600.0, -3600.0, 300.0, 0.0)))
        else:
            self._do("skew", self._lane(), rng.choice((30 * 86_400.0, 7200.0, 600.0, -600.0, -3600.0, 0.0, 0.0)))
        self._lanes()
        if rng.random() < 0.7:
            self._do("skew", "broker", 0.0)
            for lane in range(self.plan.partitions):
                self._do("skew", lane, 0.0)

    def _restart(self) -> None:
        self._do("restart", self._lane())

    def _hand_over(self) -> None:
        """Moves a lane to another worker, with its own clock."""
        lane = self._lane()
        if self._rng.random() < 0.5:
            self._do("lane", lane, (ALL, ALL, ALL, ALL), True)
        self._do("skew", lane, self._rng.choice((0.0, 0.0, 20.0, -20.0, 900.0, -900.0)))
        self._do("restart", lane)

    def _travel(self) -> None:
        user = self._user()
        self._do("travel", user, self._rng.choice(ZONES))
        self._view(user)

    def _learn(self) -> None:
        self._do("learn", self._lane(), self._rng.choice((2, ALL)))

    def _evidence(self) -> None:
        self._do("evidence", self._rng.randrange(4))

    def _poison(self) -> None:
        """Adds a record that makes our own code raise, between others."""
        for _ in range(self._rng.randint(0, 2)):
            self._any_event()
        self._do("poison", self._id(), self._user(), self._source())
        for _ in range(self._rng.randint(0, 2)):
            self._any_event()
        self._pump()

    def _refusal_behind_poison(self, user: str) -> None:
        """Lets requests become due; the batch has a record that makes our code raise, and an opt-out after it."""
        self._pass(75.0, 1300.0)
        self._do("poison", self._id(), user, 0)
        self._do("event", self._id(), user, "no", ("",), 0.0, 0.0, 0)

    def _zone(self) -> None:
        """Removes a zone from the time zone data, or restores it."""
        self._do("zone", self._rng.choice(self.plan.users)[1] if self._rng.random() < 0.6 else "")

    def _curse(self) -> None:
        self._do("curse", self._user() if self._rng.random() < 0.7 else "")

    def _episode(self) -> None:
        """Abandons a cart, so that a text is requested, and adds events before it is published."""
        rng, user, cart = self._rng, self._user(), self._cart()
        for _ in range(rng.randint(1, 3) if self._now_shop.rate_per_s is not None else 1):
            self._event("add", cart, rng.choice(PRODUCTS), user=user, plain=True)
            if self._now_shop.rate_per_s is not None:
                user = self._user()
        self._pump()
        self._do("pass", self._now_shop.delay_s + rng.random() * 60)
        self._pump()
        things = (
            lambda: self._no(user),
            lambda: self._no(user),
            lambda: self._buy(user, cart),
            lambda: self._yes(user),
            self._change,
            self._pause,
            self._resume,
            self._restart,
            self._evidence,
            self._clocks,
            self._partly,
            self._poison,
            lambda: self._refusal_behind_poison(user),
            lambda: self._pass(30.0, 45.0, 1300.0, 2 * HOUR, 4 * HOUR, 9 * HOUR),
            lambda: self._pass(30.0, 45.0),
            lambda: self._do("words", 0, "good"),
        )
        for _ in range(rng.randint(0, 3)):
            rng.choice(things)()
        self._do("words", rng.randrange(2), rng.choice(_WORDS))
        if rng.random() < 0.4:
            self._look()
        if rng.random() < 0.3:
            self._some_lane()
        (self._pump if rng.random() < 0.6 else self._lanes)()
        if rng.random() < 0.3:
            self._deliver()
            rng.choice((lambda: self._no(user), lambda: self._buy(user, cart), self._wait))()
            self._pump()

    def _rush(self) -> None:
        """Makes many occurrences due at the same time, and changes the evidence of the arms while they wait for a slot."""
        rng = self._rng
        if self._rushes == 2:  # no customer has more carts than a profile keeps
            return
        self._rushes += 1
        for user, _ in self.plan.users:
            for cart in ("r", "s", "t")[: rng.randint(1, 3)]:
                self._event("add", f"{cart}{self._rushes}", rng.choice(PRODUCTS), user=user, plain=True)
        self._pump()
        self._do("pass", self._now_shop.delay_s + rng.random() * 60)
        self._pump()
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.7:
                self._evidence()
            self._pass(60.0, 300.0, 900.0)
            self._lanes()

    def _two_words(self) -> None:
        """Gives and withdraws consent on two devices."""
        rng, user, channel = self._rng, self._user(), self._rng.choice(CHANNELS)
        for kind in rng.choice((("yes", "no"), ("no", "yes"), ("yes", "no"))):
            self._event(kind, channel, user=user)
            self._pass(1.0, 60.0, 300.0)
            if rng.random() < 0.4:
                self._intake()


_MOVES: tuple[Any, ...] = tuple(
    getattr(_Planner, name)
    for name in (
        *("_traffic", "_partly", "_wait", "_night", "_answer", "_look", "_deliver", "_pause", "_resume", "_change"),
        *("_clocks", "_restart", "_learn", "_evidence", "_poison", "_zone", "_episode", "_two_words"),
        *("_hand_over", "_travel", "_curse"),
    )
)
_WEIGHTS = (8, 6, 6, 2, 5, 2, 4, 1, 2, 2, 3, 2, 1, 3, 1.5, 0.5, 14, 3, 1, 1, 0.5)
