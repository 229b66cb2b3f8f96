"""Keeps exponentially decayed counters at one multiplication per event, however many counters there are.

Forward decay (Cormode, Shkapenyuk, Srivastava, Xu: "Forward Decay", ICDE 2009): an event at time t adds exp(λ(t − L)) for a fixed
landmark L; the value at time `now` is the sum times exp(−λ(now − L)). Late events get their correct weight, and the order of
events does not matter (up to rounding).
"""

from __future__ import annotations

from math import exp, log

HALF_LIFE_S = 7 * 86_400.0
_RATE = log(2) / HALF_LIFE_S
#: Beyond this exponent the landmark moves, long before a float would overflow (e^700).
_LARGEST_EXPONENT = 100.0


def weight(at_s: float, landmark_s: float) -> float:
    """Returns what an event at `at_s` adds to a counter with landmark `landmark_s`."""
    return exp(_RATE * (at_s - landmark_s))


def needs_new_landmark(at_s: float, landmark_s: float) -> bool:
    """Returns whether weights at `at_s` would grow too large (after some 2.7 years)."""
    return _RATE * (at_s - landmark_s) > _LARGEST_EXPONENT


def move_landmark(counters: dict[str, float], old_s: float, new_s: float) -> None:
    """Rescales the counters in place to a new landmark; values that have decayed below 1e-9 are removed."""
    factor = exp(-_RATE * (new_s - old_s))
    for name in list(counters):
        counters[name] *= factor
        if counters[name] < 1e-9:
            del counters[name]


def value(counter: float, landmark_s: float, now_s: float) -> float:
    """Returns the decayed count at `now_s`.

    >>> round(value(weight(0.0, 0.0), 0.0, HALF_LIFE_S), 6)
    0.5
    """
    return counter * exp(-_RATE * (now_s - landmark_s))
