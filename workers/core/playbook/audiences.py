"""The structs of audiences.yaml: conditions, target groups, segments."""

from __future__ import annotations

from workers.core.playbook.base import Id, Texts
from workers.core.playbook.base import Strict as _Strict


class Condition(_Strict, frozen=True, kw_only=True):
    """One comparison of a profile field, or a combination. Exactly one comparison per condition (`at_least` with `at_most`
    counts as one: a range). Text comparison ignores case.

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
    """A group of customers addressed in its own way. A customer belongs to the first group whose `when` holds."""

    id: Id
    name: Texts
    angle: Texts
    when: Condition


class Segment(_Strict, frozen=True, kw_only=True):
    """A continuously updated set of customers; one customer may be in many."""

    id: Id
    name: Texts = {}
    when: Condition


class Audiences(_Strict, frozen=True, kw_only=True):
    """audiences.yaml. `default_target_group` is for customers who match no group's rule."""

    target_groups: list[TargetGroup]
    default_target_group: Id
    segments: list[Segment] = []
