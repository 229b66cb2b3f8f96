"""What each exposure adds, fact by fact, and what the sums of a lane tell of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from benchmarks.memory_store import MemoryStore
from schemas import codec
from schemas.learning import FeedbackMetrics, PolicySnapshot
from workers.core.attribution import keys
from workers.core.attribution.aggregates import METRICS, SNAPSHOTS, Sums
from workers.core.attribution.attribution import (
    CLOCK_TOLERANCE_S,
    DELIVERY_TOLERANCE_S,
    contributions,
    is_trial,
    is_within,
    refusal,
    refusals,
)
from workers.core.attribution.metrics import FLAGS
from workers.core.attribution.model import Contribution, Customer, Exposure, Fact, Order, OrderRecord
from workers.core.attribution.reward_delays import bucket, slot_ms
from workers.core.attribution.rewards import BITS
from workers.core.playbook.policy import Learning
from workers.core.stream.metrics import Tally

NOON = 1_709_553_600.0
HOUR = 3600.0
WINDOW, GRACE = 6 * HOUR, 2 * HOUR


def exposure(
    name: str = "d1", at_s: float = 0.0, kind: str = "requested", outcome: str = "published", **fields: Any
) -> Exposure:
    values: dict[str, Any] = {
        "decision_id": name,
        "message_id": name.replace("d", "m"),
        "kind": kind,
        "campaign": "cart",
        "channel": "push",
        "arm": "warm",
        "context": "young",
        "decided_at": NOON + at_s,
        "start_ms": int(NOON * 1000),
        "end_ms": int((NOON + HOUR) * 1000),
        "window_s": WINDOW,
        "grace_s": GRACE,
        "earning": BITS["clicked"] | BITS["converted"] | BITS["unsubscribed"],
        "outcome": outcome if kind == "requested" else "",
    }
    return Exposure(**(values | fields))


def facts(*told: tuple[str, float], **fields: Any) -> dict[int, Fact]:
    return {number: Fact(status, NOON + at_s, **fields) for number, (status, at_s) in enumerate(told)}


def found(*exposures: Exposure, orders: tuple[tuple[float, int | None, str], ...] = ()) -> dict[str, Contribution]:
    told = {
        f"o{n}": OrderRecord(Order(NOON + at_s, amount, currency)) for n, (at_s, amount, currency) in enumerate(orders)
    }
    return contributions(Customer("ana", {one.decision_id: one for one in exposures}, told))


def flags(contribution: Contribution) -> set[str]:
    return {name for place, name in enumerate(FLAGS) if contribution.flags >> place & 1}


# -- which feedback counts at all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "reason"),
    [
        (-CLOCK_TOLERANCE_S - 1, "before_message"),
        (-CLOCK_TOLERANCE_S, ""),
        (0, ""),
        (WINDOW + GRACE, ""),
        (WINDOW + GRACE + 1, "expired"),
    ],
)
def test_feedback_counts_from_a_little_before_the_message_until_it_is_sealed(at_s: float, reason: str) -> None:
    assert refusal(exposure(), Fact("clicked", NOON + at_s)) == reason
    assert refusal(exposure(), Fact("clicked", NOON + at_s, "wrong_customer")) == "wrong_customer"


@pytest.mark.parametrize("status", ["opened", "clicked", "replied", "sent"])
@pytest.mark.parametrize(("before_s", "late"), [(DELIVERY_TOLERANCE_S, True), (DELIVERY_TOLERANCE_S + 1, False)])
def test_nobody_opens_what_was_not_delivered(status: str, before_s: float, *, late: bool) -> None:
    told = facts((status, 100 - before_s), ("delivered", 100), ("delivered", 150))
    refused = refusals(exposure(facts=told))
    counts = late or status in ("replied", "sent")
    assert refused == ({} if counts else {0: "before_delivery"})


def test_a_delivery_that_counts_nowhere_bars_nothing() -> None:
    told = {0: Fact("clicked", NOON + 10), 1: Fact("delivered", NOON + 100, "wrong_customer")}
    assert refusals(exposure(facts=told)) == {1: "wrong_customer"}


@pytest.mark.parametrize(
    ("outcome", "status", "reason"),
    [
        ("published", "clicked", None),
        ("", "clicked", None),  # its end is not known yet
        ("consent", "clicked", "not_published"),
        ("consent", "unsubscribed", "not_published"),
        ("consent", "rated", None),
        ("consent", "converted", None),
    ],
)
def test_what_never_left_is_not_pressed(outcome: str, status: str, reason: str | None) -> None:
    told = refusals(exposure(outcome=outcome, facts=facts((status, 10))))
    assert told == ({0: reason} if reason else {})
    contribution = found(exposure(outcome=outcome, facts=facts((status, 10))))["d1"]
    assert contribution.ignored == ({reason: 1} if reason else {})


# -- windows and last touch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("at_s", "within"), [(-1, False), (0, True), (WINDOW, True), (WINDOW + 1, False)])
def test_the_window_has_both_its_ends(at_s: float, *, within: bool) -> None:
    assert is_within(exposure(), NOON + at_s) is within
    row = found(exposure(), orders=((at_s, 50_000, "EUR"),))["d1"]
    assert ("requested_converted" in flags(row), "converted" in flags(row)) == (within, within)
    assert row.own_revenue == row.revenue == ({"EUR": 50_000} if within else {})


def test_an_order_is_that_of_the_newest_message_before_it() -> None:
    rows = found(exposure("d1"), exposure("d2", HOUR), exposure("d3", 3 * HOUR), orders=((2 * HOUR, 10, "EUR"),))
    assert {name: "converted" in flags(row) for name, row in rows.items()} == {"d1": False, "d2": True, "d3": False}
    assert {name: "requested_converted" in flags(row) for name, row in rows.items()} == {
        "d1": True,
        "d2": True,
        "d3": False,
    }
    at_once = found(exposure("d1"), exposure("d2", HOUR), orders=((HOUR, 10, "EUR"),))
    assert [name for name, row in at_once.items() if "converted" in flags(row)] == ["d2"]


def test_a_newest_message_that_is_too_old_takes_no_order_and_gives_it_to_no_older_one() -> None:
    long = exposure("d1", window_s=24 * HOUR)
    rows = found(long, exposure("d2", HOUR), orders=((HOUR + WINDOW + 1, 10, "EUR"),))
    assert [name for name, row in rows.items() if "converted" in flags(row)] == []
    assert [name for name, row in rows.items() if "requested_converted" in flags(row)] == ["d1"]


def test_several_orders_add_up_by_currency_and_one_without_amount_is_still_one() -> None:
    orders = ((10.0, 5, "EUR"), (20.0, 7, "EUR"), (30.0, 1, "USD"), (40.0, None, ""))
    row = found(exposure(), orders=orders)["d1"]
    assert (row.revenue, row.own_revenue) == ({"EUR": 12, "USD": 1}, {"EUR": 12, "USD": 1})
    assert found(exposure(), orders=((10.0, None, ""),))["d1"].revenue == {}
    assert "converted" in flags(found(exposure(), orders=((10.0, None, ""),))["d1"])


# -- kinds ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "names", "own"),
    [
        ("requested", {"decisions", "requested", "requested_converted", "published", "converted"}, {"EUR": 9}),
        ("holdout", {"decisions", "holdout", "holdout_converted"}, {"EUR": 9}),
        ("no_action_chosen", {"decisions", "no_action", "no_action_converted"}, {}),
    ],
)
def test_what_each_kind_of_decision_counts(kind: str, names: set[str], own: dict[str, int]) -> None:
    row = found(exposure(kind=kind), orders=((10.0, 9, "EUR"),))["d1"]
    assert (flags(row), row.own_revenue) == (names, own)
    assert row.revenue == ({"EUR": 9} if kind == "requested" else {})
    assert (row.happened >= 0) == (kind != "holdout")


@pytest.mark.parametrize(
    ("kind", "outcome", "trial"),
    [
        ("requested", "", True),
        ("requested", "published", True),
        ("requested", "converted", True),
        ("requested", "consent", False),
        ("requested", "expired", False),
        ("holdout", "", False),
        ("no_action_chosen", "", True),
    ],
)
def test_which_decisions_judge_their_arm(kind: str, outcome: str, *, trial: bool) -> None:
    one = exposure(kind=kind, outcome=outcome)
    assert is_trial(one) is trial
    assert (found(one)["d1"].happened >= 0) is trial


def test_what_did_not_leave_is_no_message_of_an_order_but_its_decision_still_counts_by_intention() -> None:
    rows = found(exposure("d1"), exposure("d2", HOUR, outcome="consent"), orders=((2 * HOUR, 4, "EUR"),))
    assert [name for name, row in rows.items() if "converted" in flags(row)] == ["d1"]
    assert "requested_converted" in flags(rows["d2"])
    assert "published" not in flags(rows["d2"])
    assert rows["d1"].happened == BITS["converted"]


# -- what happened ------------------------------------------------------------------------------------------------------------


def test_statuses_count_once_and_the_newest_rating_holds() -> None:
    told = facts(("clicked", 50), ("clicked", 20), ("opened", 10))
    rated = {9: Fact("rated", NOON + 5, rating=2), 10: Fact("rated", NOON + 6, rating=4)}
    row = found(exposure(facts={**told, **rated}))["d1"]
    assert flags(row) == {"decisions", "requested", "published", "clicked", "opened", "rated"}
    assert row.rating == 4
    same_time = {9: Fact("rated", NOON + 5, rating=2), 10: Fact("rated", NOON + 5, rating=1)}
    assert found(exposure(facts=same_time))["d1"].rating == 1, "of one moment: that with the larger hash"


def test_feedback_on_a_request_without_an_outcome_earns_nothing_yet() -> None:
    clicked = facts(("clicked", 60.0))
    assert found(exposure(outcome="", facts=clicked))["d1"].happened == 0
    assert found(exposure(facts=clicked))["d1"].happened > 0


def test_a_trial_without_earnings_is_open_and_one_with_earnings_tells_their_delay() -> None:
    silent = found(exposure())["d1"]
    assert (silent.happened, silent.open_ms, silent.delay) == (0, slot_ms(NOON, WINDOW), -1)
    only_opened = found(exposure(facts=facts(("opened", 10))))["d1"]  # opening earns nothing here
    assert (only_opened.happened, only_opened.open_ms) == (BITS["opened"], slot_ms(NOON, WINDOW))
    clicked = found(exposure(facts=facts(("opened", 10), ("clicked", 60), ("unsubscribed", 600))))["d1"]
    assert clicked.happened == BITS["opened"] | BITS["clicked"] | BITS["unsubscribed"]
    assert (clicked.open_ms, clicked.delay) == (-1, bucket(60))
    bought = found(exposure(facts=facts(("clicked", 600))), orders=((60.0, None, ""),))["d1"]
    assert (bought.happened, bought.delay) == (BITS["clicked"] | BITS["converted"], bucket(60))
    twice = found(exposure(), orders=((60.0, None, ""), (600.0, None, "")))["d1"]
    assert twice.delay == bucket(60)


@pytest.mark.parametrize(("at_s", "earns"), [(-200.0, True), (WINDOW, True), (WINDOW + 1, False)])
def test_what_happens_after_the_window_is_counted_and_earns_nothing(at_s: float, *, earns: bool) -> None:
    row = found(exposure(facts=facts(("clicked", at_s))))["d1"]
    assert "clicked" in flags(row)
    assert row.happened == (BITS["clicked"] if earns else 0)


def test_the_order_of_exposures_does_not_matter() -> None:
    many = [exposure("d2", HOUR), exposure("d1"), exposure("d3", HOUR)]
    rows = found(*many, orders=((2 * HOUR, 4, "EUR"),))
    assert rows == found(*reversed(many), orders=((2 * HOUR, 4, "EUR"),))
    assert [name for name, row in rows.items() if "converted" in flags(row)] == ["d3"], "of one moment: by its id"


# -- the sums of a lane -------------------------------------------------------------------------------------------------------

LEARNING = Learning(attribution_s=WINDOW, metrics_window_s=HOUR)


class Lane:
    """The sums, committed batch by batch as the lane does it."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.tally: Tally = Counter()
        self.sums = Sums(self.store, LEARNING)

    def commit(self, clock_s: float = NOON) -> dict[bytes, bytes | None]:
        puts = dict(self.sums.puts(clock_s))
        added, gone = self.sums.index_changes()
        for key, value in puts.items():
            if value is None:
                self.store.values.pop(key, None)
            else:
                self.store.values[key] = value
        for key in gone:
            self.store.values.pop(key, None)
        for key in added:
            self.store.values[key] = b""
        self.sums.begin()
        return puts

    def move(self, one: Exposure, new: Contribution) -> None:
        self.sums.move(one, new, self.tally)

    def tell(self, clock_s: float = NOON) -> tuple[list[FeedbackMetrics], list[PolicySnapshot]]:
        told = self.sums.publish(3, clock_s)
        rows = [codec.decode(FeedbackMetrics, output.value) for output in told if output.topic == METRICS]
        shots = [codec.decode(PolicySnapshot, output.value) for output in told if output.topic == SNAPSHOTS]
        assert len(rows) + len(shots) == len(told)
        return rows, shots


def test_sums_follow_what_an_exposure_adds_and_takes_back() -> None:
    lane, one = Lane(), exposure()
    lane.move(one, found(exposure(facts=facts(("clicked", 10))))["d1"])
    rows, shots = lane.tell()
    assert [(row.decisions, row.clicked, row.partition) for row in rows] == [(1, 1, 3)]
    assert [(arm.arm, arm.trials) for arm in shots[0].arms] == [("warm", 1.0)]
    lane.move(one, found(exposure())["d1"])
    rows, shots = lane.tell()
    assert [(row.decisions, row.clicked) for row in rows] == [(1, 0)]
    assert one.counted == found(exposure())["d1"]
    assert [arm.rewards for arm in shots[0].arms] == [0.0]
    lane.move(one, one.counted)
    assert lane.tell() == ([], []), "nothing is new"


def test_what_was_told_is_not_told_again_and_what_was_not_is_remembered_over_a_restart() -> None:
    lane = Lane()
    lane.move(exposure(), found(exposure())["d1"])
    puts = lane.commit()
    assert {key[:1] for key in puts} == {keys.ROW, keys.ARM, keys.CAMPAIGN}
    assert [key[:1] for key in lane.store.values if key.startswith(keys.DIRTY)] == [keys.DIRTY]
    lane.sums = Sums(lane.store, LEARNING)
    rows, shots = lane.tell()
    assert (len(rows), len(shots)) == (1, 1)
    lane.commit()
    assert [key for key in lane.store.values if key.startswith(keys.DIRTY)] == [], "an index entry that is done is gone"
    lane.sums = Sums(lane.store, LEARNING)
    assert lane.tell() == ([], []), "the snapshot's version was kept"


def test_time_alone_changes_a_snapshot_slot_by_slot() -> None:
    lane = Lane()
    lane.move(exposure(), found(exposure())["d1"])
    lane.tell(NOON)
    slot_s = WINDOW / 64
    assert lane.tell(NOON + slot_s / 4) == ([], [])
    (first,) = lane.tell(NOON + 2 * slot_s)[1]
    (last,) = lane.tell(NOON + WINDOW + slot_s)[1]
    assert 0 < first.arms[0].trials < last.arms[0].trials == 1.0
    assert (first.arms[0].pending, last.arms[0].pending) == (1.0, 0.0)


def test_rows_are_forgotten_once_they_were_told() -> None:
    lane = Lane()
    for number, start_s in enumerate((0.0, HOUR, 2 * HOUR)):
        start_ms = int((NOON + start_s) * 1000)
        lane.move(exposure(f"d{number}", start_s, start_ms=start_ms), found(exposure())["d1"])
    lane.commit()
    lane.sums.forget_rows(int((NOON + 2 * HOUR) * 1000))
    assert [value for value in lane.commit().values() if value is None] == [], "nobody has heard of them yet"
    lane.tell()
    lane.commit()
    lane.sums.forget_rows(int((NOON + 2 * HOUR) * 1000))
    gone = [key for key, value in lane.commit().items() if value is None]
    assert [keys.row_start_ms(key) / 1000 - NOON for key in gone] == [0.0, HOUR]
    assert sum(key.startswith(keys.ROW) for key in lane.store.values) == 1


def test_an_index_entry_without_its_row_is_done_with() -> None:
    lane = Lane()
    lane.store.values[keys.DIRTY + keys.row_key(0, "gone")] = b""
    lane.sums = Sums(lane.store, LEARNING)
    assert lane.tell() == ([], [])
    lane.commit()
    assert lane.store.values == {}


def test_decisions_that_are_no_exposures_and_ignored_feedback_are_counted_in_their_row() -> None:
    lane = Lane()
    lane.sums.count_decision(exposure())
    lane.sums.count_decision(exposure())
    row_key = keys.row_key(int(NOON * 1000), "cart", "push", "warm", "young")
    lane.sums.ignore(row_key, "expired")
    lane.sums.ignore(keys.row_key(0, "gone"), "expired")
    (row,) = lane.tell()[0]
    assert (row.decisions, row.requested, row.ignored) == (2, 0, {"expired": 1})
    lane.commit()
    lane.sums = Sums(lane.store, LEARNING)
    lane.sums.ignore(row_key, "expired")
    assert lane.tell()[0][0].ignored == {"expired": 2}


def test_metrics_count_what_is_new_and_take_nothing_back() -> None:
    lane, one = Lane(), exposure()
    steps = [
        Contribution(),
        found(exposure(), orders=((10.0, 20_000, "EUR"),))["d1"],
        found(exposure(), orders=((10.0, 35_000, "EUR"), (11.0, 10_000, "USD")))["d1"],
        found(exposure(), orders=((10.0, 5_000, "EUR"),))["d1"],
        found(exposure(facts=facts(("clicked", -999), ("opened", -999))))["d1"],
        found(exposure(facts=facts(("clicked", -999), ("opened", -999), ("sent", -999))))["d1"],
        found(exposure(facts=facts(("clicked", -999))))["d1"],
    ]
    for step in steps:
        lane.move(one, step)
    assert lane.tally == {
        ("conversions", "cart"): 1,
        ("revenue", "EUR"): pytest.approx(3.5),
        ("revenue", "USD"): pytest.approx(1.0),
        ("feedback_ignored", "before_message"): 3,
    }
