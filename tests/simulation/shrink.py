"""Shortens a timeline while it breaks the same rule, and prints the result."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.simulation.oracle import Judge
from tests.simulation.plan import Plan, Step
from tests.simulation.world import World

Make = Callable[[Plan], World]
_TOLD = ("customer.profiles",)


def breaks(judge: Judge, rule: str) -> bool:
    """Returns whether a rule was broken."""
    return any(violation.rule == rule for violation in judge.violations)


def shorten(plan: Plan, rule: str, make: Make = World, most_runs: int = 600) -> Plan:
    """Returns the plan without the steps that are not needed to break `rule`: removes halves, quarters ... single steps."""
    steps, size, runs = plan.steps, len(plan.steps) // 2, 0

    def still(left: list[Step]) -> bool:
        return breaks(make(msgspec.structs.replace(plan, steps=left)).run(), rule)

    while size >= 1:
        position, shorter = 0, False
        while position < len(steps) and runs < most_runs:
            left = [*steps[:position], *steps[position + size :]]
            runs += 1
            if still(left):
                steps, shorter = left, True
            else:
                position += size
        if size == 1 and (not shorter or runs >= most_runs):
            break
        size = max(size // 2, 1)
    return msgspec.structs.replace(plan, steps=steps)


def timeline(plan: Plan, make: Make = World) -> Iterator[str]:
    """Yields the events of a world, line by line; times are those of the broker, UTC."""
    world = make(plan)
    printed = found = 0
    yield f"users {', '.join(f'{name} ({zone})' for name, zone in plan.users)}; {plan.partitions} lanes"
    default = type(plan.shop)()
    shop = {field: getattr(plan.shop, field) for field in plan.shop.__struct_fields__}
    yield f"shop {', '.join(f'{name}={value}' for name, value in shop.items() if value != getattr(default, name))}"

    def news() -> Iterator[str]:
        nonlocal printed, found
        for lane, records, outputs in world.trace[printed:]:
            took = ", ".join(f"{record.topic.partition('.')[2]}@{record.offset}" for record in records)
            gave = "; ".join(_brief(topic, value) for topic, value in outputs if topic not in _TOLD)
            yield f"             lane {lane} took {took or 'nothing'}{' and gave ' + gave if gave else ''}"
        printed = len(world.trace)
        for violation in world.judge.violations[found:]:
            yield f"        !!!  {violation.rule}: {violation.text}"
        found = len(world.judge.violations)

    with world.playing():
        for step in plan.steps:
            yield f"{datetime.fromtimestamp(world.now_s, UTC):%d %H:%M:%S}  {' '.join(map(str, step))}"
            world.do(step)
            yield from news()
        world.compare()
        yield f"{datetime.fromtimestamp(world.now_s, UTC):%d %H:%M:%S}  then until the world is at rest"
        world.rest()
        yield from news()


def _brief(topic: str, value: dict[str, Any]) -> str:
    shown = ("user_id", "campaign_id", "occurrence_id", "reason", "message_id", "variation_id", "send_at", "channel")
    fields = {name: value[name] for name in shown if value.get(name)}
    if "message_id" in fields:
        fields["message_id"] = fields["message_id"][:8]
    return f"{topic} {json.dumps(fields)}"
