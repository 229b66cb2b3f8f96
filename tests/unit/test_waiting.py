"""The line before the LLM servers: the most important first, and no waiting in vain."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from workers.adapters.llm import vllm_load
from workers.core.resilience import load_balancer, priority_queue
from workers.core.resilience.load_balancer import Capacity
from workers.core.resilience.priority_queue import GHOST, CallQueue, patience_s

ROOM = 100
#: Two calls a second, one second each.
SLOW = Capacity(2.0, 1.0)


def order(line: CallQueue) -> list[int]:
    """The priorities, first to last."""
    found = []
    while (place := line.first()) is not None:
        found.append(place.priority)
        line.leave(place)
    return found


def test_the_most_important_goes_first() -> None:
    line = CallQueue(ROOM)
    for priority in (5, GHOST, 9, 0, 7):
        line.join(priority, 0.0, 20.0)
    assert order(line) == [9, 7, 5, 0, GHOST]


def test_among_equals_the_nearest_end_goes_first_then_who_came_first() -> None:
    line = CallQueue(ROOM)
    later, first, second = (line.join(5, 0.0, left_s) for left_s in (20.0, 8.0, 8.0))
    for expected in (first, second, later):
        assert line.first() is expected
        line.leave(expected)
    line.leave(later)
    assert len(line) == 0


@pytest.mark.parametrize("priority", range(GHOST, 10))
def test_patience_grows_with_priority_from_nothing_to_all(priority: int) -> None:
    assert patience_s(priority, 20.0) == pytest.approx(2.0 * (priority + 1))
    assert patience_s(99, 20.0) == 20.0
    assert patience_s(-99, 20.0) == 0.0


def test_whose_turn_would_come_too_late_goes_at_once_and_the_others_stay() -> None:
    line = CallQueue(ROOM)
    places = [line.join(3, 0.0, 20.0) for _ in range(30)]  # each has 8 s of patience: 16 calls
    gone = line.shed(0.0, SLOW)
    assert [place for place, _ in gone] == places[16:]
    assert {why for _, why in gone} == {"late"}
    assert len(line) == 16
    assert line.shed(0.0, SLOW) == []


def test_with_less_time_passing_everybody_stays_and_with_more_some_go() -> None:
    line = CallQueue(ROOM)
    for _ in range(16):
        line.join(3, 0.0, 20.0)
    assert line.shed(0.0, SLOW) == []
    assert len(line.shed(4.0, SLOW)) == 8


def test_an_important_newcomer_moves_less_important_ones_out() -> None:
    line = CallQueue(ROOM)
    low = [line.join(3, 0.0, 20.0) for _ in range(16)]
    high = line.join(9, 0.0, 20.0)
    assert [place for place, _ in line.shed(0.0, SLOW)] == [low[-1]]
    assert line.first() is high


def test_the_call_itself_must_fit_before_the_end() -> None:
    line = CallQueue(ROOM)
    line.join(9, 0.0, 1.4)  # its turn comes after 0.5 s, the answer after 1.5 s
    assert [why for _, why in line.shed(0.0, SLOW)] == ["late"]
    line.join(9, 0.0, 1.6)
    assert line.shed(0.0, SLOW) == []


def test_a_ghost_never_waits() -> None:
    line = CallQueue(ROOM)
    line.join(GHOST, 0.0, 20.0)
    assert [why for _, why in line.shed(0.0, None)] == ["late"]


def test_beyond_the_room_the_least_important_and_latest_goes() -> None:
    line = CallQueue(3)
    places = [line.join(priority, 0.0, 20.0) for priority in (5, 2, 2, 5, 9)]
    assert [(place, why) for place, why in line.shed(0.0, None)] == [(places[1], "full"), (places[2], "full")]
    assert order(line) == [9, 5, 5]


def test_nothing_is_known_of_the_servers_then_nobody_is_late() -> None:
    line = CallQueue(ROOM)
    for _ in range(ROOM):
        line.join(0, 0.0, 20.0)
    assert line.shed(0.0, None) == []


def test_in_a_replay_all_wait_until_their_end() -> None:
    line = CallQueue(None)
    place = line.join(GHOST, 0.0, 20.0)
    for _ in range(1_000):
        line.join(5, 0.0, 20.0)
    assert line.shed(19.0, SLOW) == []
    assert place.begins_by_s == 20.0


@pytest.mark.parametrize("module", [priority_queue, load_balancer, vllm_load], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
