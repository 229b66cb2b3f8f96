"""Rules of a playbook: who belongs where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import TraitValue
from tests.support.playbooks import REES46, playbook
from workers.core.playbook.audiences import Audiences, Condition, Segment, TargetGroup
from workers.core.segments.conditions import Groups, Lookup, by_lookup, compile_condition, mistakes

VALUES: dict[str, TraitValue] = {
    "traits.age": 30,
    "traits.city": "Berlin",
    "traits.interests": ["Running", "Music"],
    "traits.vip": True,
    "traits.score": "30",
    "count.Product Viewed": 4,
    "interest.sports": 2.5,
    "orders": 2,
    "language": "zh",
}


def lookup(values: dict[str, TraitValue]) -> Lookup:
    """A profile that knows only `values`."""
    return lambda root, name: values.get(f"{root}.{name}" if name else root)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"field": "traits.age", "at_least": 30}, True),
        ({"field": "traits.age", "at_least": 30.5}, False),
        ({"field": "traits.age", "at_most": 30}, True),
        ({"field": "traits.age", "at_least": 18, "at_most": 29}, False),
        ({"field": "traits.age", "at_least": 18, "at_most": 40}, True),
        ({"field": "traits.age", "equals": 30}, True),
        ({"field": "traits.age", "equals": "30"}, False),
        ({"field": "traits.score", "at_least": 1}, True),
        ({"field": "traits.vip", "equals": True}, True),
        ({"field": "traits.vip", "equals": 1}, False),
        ({"field": "traits.vip", "at_least": 1}, False),
        ({"field": "traits.city", "equals": "berlin"}, True),
        ({"field": "traits.city", "one_of": ["Paris", "BERLIN"]}, True),
        ({"field": "traits.city", "contains": "LIN"}, True),
        ({"field": "traits.interests", "contains": "music"}, True),
        ({"field": "traits.interests", "contains": "mus"}, False),
        ({"field": "traits.interests", "one_of": ["running", "yoga"]}, True),
        ({"field": "traits.interests", "one_of": ["yoga"]}, False),
        ({"field": "traits.age", "one_of": ["30"]}, False),
        ({"field": "traits.age", "contains": "3"}, False),
        ({"field": "traits.age", "known": True}, True),
        ({"field": "traits.missing", "known": False}, True),
        ({"field": "traits.missing", "known": True}, False),
        ({"field": "traits.missing", "equals": "x"}, False),
        ({"field": "traits.missing", "at_least": 0}, False),
        ({"field": "traits.missing", "at_most": 9}, False),
        ({"field": "traits.missing", "one_of": ["x"]}, False),
        ({"field": "traits.missing", "contains": "x"}, False),
        ({"field": "count.Product Viewed", "at_least": 4}, True),
        ({"field": "interest.sports", "at_least": 2.5}, True),
        ({"field": "orders", "equals": 2}, True),
        ({"field": "language", "one_of": ["zh", "en"]}, True),
        ({"any": [{"field": "orders", "at_least": 9}, {"field": "orders", "at_least": 1}]}, True),
        ({"all": [{"field": "orders", "at_least": 9}, {"field": "orders", "at_least": 1}]}, False),
        ({"none": [{"field": "orders", "at_least": 9}]}, True),
        ({"none": [{"field": "orders", "at_least": 1}]}, False),
        ({"all": [{"none": [{"field": "traits.missing", "known": True}]}, {"field": "orders", "at_least": 1}]}, True),
    ],
)
def test_a_condition_holds_or_not(condition: dict[str, Any], holds: bool) -> None:
    assert compile_condition(to_condition(condition), by_lookup)(lookup(VALUES)) is holds


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, "has no comparison; allowed: `field`"),
        ({"field": "traits.age"}, "has none as its comparison"),
        ({"field": "traits.age", "equals": 1, "known": True}, "has equals and known as its comparison"),
        ({"field": "age", "equals": 1}, "`age` is not known; allowed: traits.NAME"),
        ({"field": "traits.", "equals": 1}, "`traits.` is not known"),
        ({"field": "orders.x", "equals": 1}, "`orders.x` is not known"),
        ({"field": "orders", "contains": "1"}, "does not fit `orders`; allowed: equals, at_least"),
        ({"field": "orders", "equals": "two"}, "'two' does not fit `orders`; allowed: a number"),
        ({"field": "language", "at_least": 1}, "does not fit `language`"),
        ({"any": []}, "is empty"),
        ({"any": [{"field": "orders", "at_least": 1}], "field": "orders"}, "is combined with other comparisons"),
        ({"all": [{"field": "orders", "at_least": 1}, {"field": "ages", "known": True}]}, "all.1.field: `ages`"),
    ],
)
def test_a_wrong_condition_says_what_is_allowed(condition: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|comparison") as caught:
        compile_condition(to_condition(condition), by_lookup)
    assert expected in str(caught.value)


def test_every_mistake_of_a_condition_is_found() -> None:
    condition = to_condition({"any": [{"field": "ages", "known": True}, {"all": [{}, {"field": "orders"}]}]})
    assert [path for path, _ in mistakes(condition)] == [
        ("any", 0, "field"),
        ("any", 1, "all", 0),
        ("any", 1, "all", 1),
    ]


def test_the_first_group_that_holds_wins_and_nobody_is_left_out() -> None:
    groups = Groups(
        Audiences(
            target_groups=[
                group("sports", {"field": "interest.sports", "at_least": 2}),
                group("young", {"field": "traits.age", "at_most": 29}),
            ],
            default_target_group="young",
            segments=[
                Segment(id="buyers", when=Condition(field="orders", at_least=1)),
                Segment(id="locals", when=Condition(field="traits.city", equals="Berlin")),
            ],
        ),
        by_lookup,
    )
    assert groups.target_group(lookup({"interest.sports": 3.0, "traits.age": 20})) == "sports"
    assert groups.target_group(lookup({"traits.age": 20})) == "young"
    assert groups.target_group(lookup({"traits.age": 50})) == "young"
    assert groups.segments(lookup(VALUES)) == ["buyers", "locals"]
    assert groups.segments(lookup({})) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"traits.interests": ["sports", "running"], "traits.age": 24}, "sports"),
        ({"traits.occupation": "Coach"}, "sports"),
        ({"interest.sports": 3.0, "traits.occupation": "manager"}, "sports"),
        ({"traits.interests": ["商务"]}, "business"),
        ({"traits.occupation": "manager", "traits.age": 44}, "business"),
        ({"traits.age": 40, "price_max": 499.0, "decayed.Product Viewed": 3.0}, "business"),
        ({"traits.age": 40, "price_max": 499.0}, "young"),
        ({"traits.age": 21, "traits.occupation": "student"}, "young"),
        ({"interest.fashion": 3.0, "traits.age": 41}, "young"),
        ({}, "young"),
    ],
)
def test_the_shipped_groups_follow_traits_and_behaviour(values: dict[str, TraitValue], expected: str) -> None:
    assert Groups(playbook().audiences, by_lookup).target_group(lookup(values)) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"price_max": 900.0}, "premium"),
        ({"price_max": 90.0, "count.Product Viewed": 7}, "explorers"),
        ({"count.Product Viewed": 1, "days_since_last_seen": 0.0}, "everyone"),
        ({}, "everyone"),
    ],
)
def test_the_clickstream_groups_follow_behaviour_alone(values: dict[str, TraitValue], expected: str) -> None:
    assert Groups(playbook(REES46).audiences, by_lookup).target_group(lookup(values)) == expected


trait_values: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.text(max_size=4), max_size=3),
)
comparisons: list[Callable[[Any], Condition]] = [
    lambda value: Condition(field="traits.x", equals=value if isinstance(value, str | int | float) else "x"),
    lambda value: Condition(field="traits.x", one_of=[str(value)]),
    lambda value: Condition(field="traits.x", contains=str(value)),
    lambda value: Condition(field="traits.x", at_least=1.0),
    lambda value: Condition(field="traits.x", at_most=1.0),
    lambda value: Condition(field="traits.x", known=True),
]


@given(st.sampled_from(comparisons), trait_values, trait_values)
def test_no_value_makes_a_rule_raise_and_missing_ones_never_hold(
    make: Callable[[Any], Condition], wanted: Any, value: TraitValue
) -> None:
    holds = compile_condition(make(wanted), by_lookup)
    assert holds(lambda root, name: value) in (True, False)
    assert holds(lambda root, name: None) is False


@given(trait_values)
def test_none_of_a_condition_is_its_opposite(value: TraitValue) -> None:
    condition = Condition(field="traits.x", at_least=0.0)
    holds, opposite = compile_condition(condition, by_lookup), compile_condition(Condition(none=[condition]), by_lookup)
    assert holds(lambda root, name: value) is not opposite(lambda root, name: value)


def group(name: str, when: dict[str, Any]) -> TargetGroup:
    """A target group with nothing but its rule."""
    return TargetGroup(id=name, name={}, angle={}, when=to_condition(when))


def to_condition(values: dict[str, Any]) -> Condition:
    """A condition as a playbook would write it."""
    plain = dict(values)
    for name in ("all", "any", "none"):
        if name in values:
            plain[name] = [to_condition(part) for part in values[name]]
    return Condition(**plain)
