"""Which server gets a call: a healthy one with little load, the one that knows the prompt if it has room."""

from __future__ import annotations

from collections import Counter

from workers.core.resilience.load_balancer import EndpointState, capacity, choose, wait_s, weight

MOST = 8


def servers(count: int = 3, most: int = MOST) -> list[EndpointState]:
    return [EndpointState(f"http://llm-{number}", most) for number in range(count)]


def preferred(states: list[EndpointState], affinity: str) -> EndpointState:
    return max(states, key=lambda state: weight(affinity, state.key))


def fill(states: list[EndpointState], calls: int, affinity: str) -> Counter[str]:
    """Makes calls that never end; who got how many."""
    for _ in range(calls):
        state = choose(states, affinity, 0.0)
        assert state is not None
        state.in_flight += 1
    return Counter({state.key: state.in_flight for state in states})


def test_equal_prompts_go_to_the_same_idle_server_whatever_its_place() -> None:
    states = servers()
    for affinity in ("cart/en", "cart/zh", "browse/en"):
        assert choose(states, affinity, 0.0) is choose(states[::-1], affinity, 0.0) is preferred(states, affinity)


def test_different_prompts_are_spread() -> None:
    found = Counter(choose(servers(), f"prompt-{number}/en", 0.0).key for number in range(300))  # type: ignore[union-attr]
    assert min(found.values()) > 60


def test_a_server_that_leaves_moves_only_its_own_prompts() -> None:
    states = servers()
    for number in range(100):
        before = preferred(states, f"p{number}")
        after = preferred(states[:-1], f"p{number}")
        assert after is before or before is states[-1]


def test_one_prompt_alone_still_uses_all_servers_evenly() -> None:
    found = fill(servers(), 12, "cart/en")
    assert max(found.values()) - min(found.values()) <= MOST * 0.25 + 1
    assert sorted(fill(servers(), 3 * MOST, "cart/en").values()) == [MOST, MOST, MOST]


def test_load_is_measured_against_the_limit() -> None:
    small, large = EndpointState("http://small", 2), EndpointState("http://large", 20)
    found = fill([small, large], 11, "x")
    assert found["http://large"] >= 9


def test_when_all_are_full_nobody_gets_the_call() -> None:
    states = servers(2)
    fill(states, 2 * MOST, "x")
    assert choose(states, "x", 0.0) is None
    assert wait_s(states, 0.0) == 0.0


def test_a_server_that_is_left_alone_gets_nothing_until_its_probe() -> None:
    states = servers(2)
    broken, other = states
    broken.breaker.trip(0.0)
    assert all(choose(states, f"p{number}", 0.5) is other for number in range(20))
    assert choose(states, "x", 1.0) is broken, "its probe goes first"
    broken.breaker.begin(1.0)
    assert all(choose(states, f"p{number}", 1.0) is other for number in range(20))


def test_after_a_failure_the_next_call_meets_another_server() -> None:
    states = servers(2)
    first = preferred(states, "x")
    token = first.breaker.begin(0.0)
    first.breaker.failed(token, 0.0)
    assert choose(states, "x", 0.0) is not first
    first.breaker.succeeded(token, 0.0)
    assert choose(states, "x", 0.0) is first


def test_a_probe_goes_although_older_calls_still_hang() -> None:
    (state,) = servers(1)
    state.in_flight = MOST
    state.breaker.trip(0.0)
    assert choose([state], "x", 1.0) is state


def test_when_all_are_left_alone_the_first_probe_says_how_long() -> None:
    states = servers(2)
    states[0].breaker.trip(0.0, retry_after_s=30.0)
    states[1].breaker.trip(0.0, retry_after_s=4.0)
    assert choose(states, "x", 1.0) is None
    assert wait_s(states, 1.0) == 3.0


def test_capacity_adds_up_the_servers_that_work_and_are_known() -> None:
    states = servers(3, most=4)
    assert capacity(states, 0.0) is None
    states[0].limiter.succeeded(0.0, 2.0, 1)
    states[1].limiter.succeeded(0.0, 1.0, 1)
    found = capacity(states, 0.0)
    assert found is not None
    assert (found.calls_per_s, round(found.service_s, 3)) == (6.0, 1.333)
    states[1].breaker.trip(0.0)
    found = capacity(states, 0.0)
    assert found is not None
    assert found.calls_per_s == 2.0
