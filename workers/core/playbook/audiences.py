"""audiences.yaml: conditions, target groups, segments."""

from __future__ import annotations

from workers.core.playbook.base import Id, Texts
from workers.core.playbook.base import Strict as _Strict


class Condition(_Strict, frozen=True, kw_only=True):
    """One comparison of a profile field, or a combination. Exactly one comparison per condition (`at_least` with
    `at_most` is one: a range). Texts compare without regard to case.

    `field` is `traits.NAME`, `count.EVENT NAME` (exact), `decayed.EVENT NAME`, `interest.CATEGORY|BRAND|TAG` (decayed),
    `orders`, `revenue`, `days_since_last_order`, `days_since_last_seen`, `price_max`, `language`, `locale`, `timezone`.
    """

    field: str | None = None
    equals: str | int | float | bool | None = None
    one_of: list[str] | None = None
    contains: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    known: bool | None = None
    all: list[Condition] | None = None
    any: list[Condition] | None = None
    none: list[Condition] | None = None


class TargetGroup(_Strict, frozen=True, kw_only=True):
    """One group of customers that is spoken to in its own way. A customer is in the first whose `when` holds."""

    id: Id
    name: Texts
    angle: Texts
    when: Condition


class Segment(_Strict, frozen=True, kw_only=True):
    """A live set of customers; one customer may be in many."""

    id: Id
    name: Texts = {}
    when: Condition


class Audiences(_Strict, frozen=True, kw_only=True):
    """audiences.yaml. `default_target_group` takes those in whom no rule recognises a group."""

    target_groups: list[TargetGroup]
    default_target_group: Id
    segments: list[Segment] = []
