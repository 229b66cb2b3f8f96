"""Reads the customer features that conditions can test, by name."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.base import TraitValue
from workers.core.profile import decay
from workers.core.profile.model import Profile

_DAY_S = 86_400.0


class CustomerSnapshot(msgspec.Struct, frozen=True, gc=False):
    """One customer at one point in time, for conditions. `fade`: the factor that brings a decayed counter to `now_s`."""

    profile: Profile
    now_s: float
    fade: float


def snapshot(profile: Profile, now_s: float) -> CustomerSnapshot:
    """Returns the customer in the form that conditions read."""
    return CustomerSnapshot(profile, now_s, decay.value(1.0, profile.landmark, now_s))


def reader(root: str, name: str) -> Callable[[CustomerSnapshot], TraitValue]:
    """Returns the function that reads one field (see playbook.audiences.Condition for the names)."""
    match root:
        case "traits":
            return lambda customer: customer.profile.traits.get(name)
        case "count":
            return lambda customer: customer.profile.counts.get(name, 0)
        case "decayed":
            return lambda customer: customer.profile.decayed.get(name, 0.0) * customer.fade
        case "interest":
            return lambda customer: customer.profile.interests.get(name, 0.0) * customer.fade
        case _:
            return _PLAIN.get(root, lambda _customer: None)


def _days_since_last_order(customer: CustomerSnapshot) -> TraitValue:
    last_s = customer.profile.last_order_at
    return None if last_s is None else (customer.now_s - last_s) / _DAY_S


def _language(customer: CustomerSnapshot) -> TraitValue:
    locale = customer.profile.locale
    return locale.replace("_", "-").split("-")[0].lower() if locale else None


_PLAIN: dict[str, Callable[[CustomerSnapshot], TraitValue]] = {
    "orders": lambda customer: customer.profile.orders,
    "revenue": lambda customer: sum(customer.profile.revenue.values()),
    "days_since_last_order": _days_since_last_order,
    "days_since_last_seen": lambda customer: (customer.now_s - customer.profile.last_seen) / _DAY_S,
    "price_max": lambda customer: customer.profile.price_max,
    "locale": lambda customer: customer.profile.locale,
    "language": _language,
    "timezone": lambda customer: customer.profile.timezone,
}
