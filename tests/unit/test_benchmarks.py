"""The bench's arithmetic, its oracle, and that every program does the same work."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any
from xml.parsers import expat

import msgspec
import pytest

from benchmarks import cost, report
from benchmarks.findings import Findings, completed
from benchmarks.job import Job, Progress
from benchmarks.numbers import paired_ratio, per_100k, percentile, spread
from benchmarks.processes import Run
from benchmarks.programs import OURS, PROGRAMS, QUIX, faust_guide, kafka_streams, module_of
from benchmarks.programs.ours import WorkUnitCore
from benchmarks.work_unit import (
    MAX_RECENT,
    Event,
    Needed,
    Product,
    Profile,
    decode_event,
    decode_profile,
    differences,
    encode_profile,
    make_events,
    oracle,
    update,
)
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record

EVENTS = list(make_events(3000, 20, start_s=1_700_000_000.0))
#: Sessions end, carts empty and fill, products repeat: what random events seldom do in order.
EDGES = [
    Event("e0", "ana", "add_to_cart", 10.0, "s1", product=Product("p1")),
    Event("e1", "ana", "add_to_cart", 10.0, "s1", product=Product("p1")),
    Event("e2", "ana", "remove_from_cart", 20.0, "s1", product=Product("p1")),
    Event("e3", "ana", "add_to_cart", 30.0, "s2", product=Product("p2")),
    Event("e4", "ana", "purchase", 5000.0, "s2", product=Product("p2")),
    Event("e5", "ana", "add_to_cart", 5001.0, "s2", product=Product("p3")),
    Event("e6", "bob", "page_view", 1.0, "s1"),
    Event("e7", "bob", "remove_from_cart", 9999.0, "s9", product=Product("p1")),
]
BOTH = [*EVENTS, *EDGES]


def typed(events: list[Event]) -> dict[str, Profile]:
    """As the floor, Quix and Bytewax do it: decode, update, and through their bytes."""
    stored: dict[str, bytes] = {}
    for event in events:
        needed = decode_event(msgspec.json.encode(event))
        before = stored.get(needed.customer_id)
        profile = decode_profile(before) if before is not None else Profile()
        update(profile, needed)
        stored[needed.customer_id] = encode_profile(profile)
    return {customer: decode_profile(value) for customer, value in stored.items()}


def as_faust(events: list[Event]) -> dict[str, Profile]:
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        value = msgspec.json.decode(msgspec.json.encode(event))
        faust_guide.update_profile(found.setdefault(event.customer_id, {}), value)
    return {customer: msgspec.convert(profile, Profile) for customer, profile in found.items()}


def as_ours(events: list[Event]) -> dict[str, Profile]:
    """The core of our lane, in batches, with a cache too small for all customers."""
    store = Stored()
    core = WorkUnitCore(store, cache_size=3, output="out")
    outputs = 0
    for start in range(0, len(events), 70):
        batch = [
            Record(
                topic="events",
                partition=0,
                offset=start + number,
                key=event.customer_id.encode(),
                value=msgspec.json.encode(event),
                appended_at_s=0.0,
            )
            for number, event in enumerate(events[start : start + 70])
        ]
        effects = core.apply(batch, 1.0, caught_up=True)
        outputs += len(effects.outputs)
        store.commit(effects)
    assert outputs == len(events)
    return {key.decode(): decode_profile(value) for key, value in store.values.items()}


class Stored:
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self.values.get(key)

    def scan(self, prefix: bytes, start: bytes = b"") -> Any:
        raise NotImplementedError

    def commit(self, effects: Effects) -> None:
        self.values.update({key: value for key, value in effects.puts if value is not None})


@pytest.mark.parametrize("program", [typed, as_faust, as_ours], ids=lambda program: str(program.__name__))
def test_a_programs_profile_function_gives_what_the_oracle_gives(program: Any) -> None:
    assert differences(program(BOTH), oracle(BOTH)) == []


def test_the_java_program_gives_what_the_oracle_gives(tmp_path: Path) -> None:
    if not kafka_streams.folder().is_dir():
        pytest.skip("`make bench` has not fetched and compiled Kafka Streams here")
    command = kafka_streams.command("--check", str(tmp_path / "events"))
    (tmp_path / "events").write_bytes(b"\n".join(map(msgspec.json.encode, BOTH)))
    lines = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.splitlines()
    found = {line.split("\t")[0]: kafka_streams.decode(bytes.fromhex(line.split("\t")[1])) for line in lines}
    assert differences(found, oracle(BOTH)) == []


def test_the_oracle_knows_a_profile_that_was_worked_out_by_hand() -> None:
    ana = oracle(EDGES)["ana"]
    assert (ana.events, ana.last_seen, ana.session_id) == (6, 5001.0, "s2")
    assert ana.recent == ["p1", "p1", "p1", "p2", "p2", "p3"]
    assert ana.cart == {"p3": 1}  # p2 was bought
    assert ana.counts["purchase"] == pytest.approx(0.999722, abs=1e-6)  # one second old
    assert 1.5 < ana.counts["add_to_cart"] < 1.8  # two are 5,000 s old: a quarter each; one nearly too; one is new


def test_the_oracle_keeps_the_last_products_only() -> None:
    looks = [Event(f"e{n}", "ana", "product_view", float(n), "s", product=Product(f"p{n}")) for n in range(30)]
    assert oracle(looks)["ana"].recent == [f"p{n}" for n in range(30 - MAX_RECENT, 30)]


def test_differences_name_what_is_wrong() -> None:
    right = oracle(EDGES)
    missing = {"ana": right["ana"]}
    assert differences(missing, right) == ["1 customers, expected 2", "bob is missing"]
    off = msgspec.structs.replace(right["bob"], counts={"page_view": 0.5, "remove_from_cart": 1.0})
    assert differences({"ana": right["ana"], "bob": off}, right)[0].startswith("bob: counts are")


def test_events_are_the_same_for_the_same_seed_and_the_first_ones_of_a_longer_list() -> None:
    assert list(make_events(50, 5)) == list(make_events(100, 5))[:50]
    assert list(make_events(50, 5, seed=8)) != list(make_events(50, 5))
    size = sum(len(msgspec.json.encode(event)) for event in EVENTS) / len(EVENTS)
    assert 140 < size < 200
    assert decode_event(msgspec.json.encode(EVENTS[0])) == msgspec.convert(msgspec.to_builtins(EVENTS[0]), Needed)


def test_percentiles_are_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    for wrong in ([], 0.5), (values, 0.0), (values, 1.5):
        with pytest.raises(ValueError, match=r"no values|share"):
            percentile(*wrong)


def test_ratios_pair_the_runs_of_one_round() -> None:
    assert paired_ratio([10.0, 20.0, 90.0], [5.0, 20.0, 30.0]).median == 2.0
    assert paired_ratio([10.0, 20.0], [5.0]).runs == 1  # a round that a peer did not finish has no ratio
    assert spread([2.0, 4.0]).median == 3.0
    assert per_100k(1.0, 200_000) == 0.5
    with pytest.raises(ValueError, match="no runs"):
        spread([])


def test_progress_is_seen_from_outside(tmp_path: Path) -> None:
    program, bench = Progress(tmp_path / "progress"), Progress(tmp_path / "progress")
    program.add(3)
    assert (program.add(4), bench.events, bench.finished) == (7, 7, False)
    program.finish()
    assert bench.finished


def test_every_program_has_its_file_and_a_name_of_its_own() -> None:
    assert len({program.name for program in PROGRAMS}) == len(PROGRAMS)
    for program in PROGRAMS:
        module = module_of(program.module)
        assert callable(module.run)
        assert callable(module.final_state)


def test_a_job_survives_its_way_to_the_process() -> None:
    job = Job(program=QUIX, brokers="b", topic="t", events=1, name="n", folder="f", output="o")
    assert msgspec.json.decode(msgspec.json.encode(job), type=Job) == job


def test_every_step_of_the_cost_table_exists_and_is_put_back() -> None:
    before = [getattr(owner, name) for pairs in cost.STEPS.values() for owner, name in pairs]
    with cost.StepTimers().installed():
        during = [getattr(owner, name) for pairs in cost.STEPS.values() for owner, name in pairs]
    after = [getattr(owner, name) for pairs in cost.STEPS.values() for owner, name in pairs]
    assert before == after
    assert all(one is not two for one, two in zip(before, during, strict=True))


def test_step_timers_count_inner_steps_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1.0, 4.0, 10.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))
    timers = cost.StepTimers()
    inner = timers.timed("inner", lambda: None)
    timers.timed("outer", inner)()
    assert timers.spent_s == {"inner": 3.0, "outer": 7.0}


def findings() -> Findings:
    def runs(rate: float, matches: bool) -> list[Run]:
        return [
            Run(
                events_per_s=rate * factor,
                whole_events_per_s=rate * factor / 2,
                cpu_s_per_100k=100_000 / rate,
                cpu_s_whole=1.0,
                peak_rss_mb=50.0,
                start_s=1.0,
                matches=matches,
            )
            for factor in (1.0, 1.1, 0.9)
        ]

    return Findings(
        at="2026-01-02T03:04:05+00:00",
        hardware="a <box>, 2 cores",
        commit="abc",
        size={"events": 1000, "customers": 10, "runs": 3},
        runs={OURS: runs(60_000.0, True), QUIX: runs(30_000.0, False)},
    )


def test_the_report_shows_ratios_and_names_a_state_that_does_not_match() -> None:
    events, ratios = report.tables(findings())
    assert {row[0]: row[-1] for row in events.rows} == {OURS: "matches", QUIX: "DOES NOT MATCH"}
    assert ratios.rows[0][:2] == (QUIX, "2.00")
    assert "| Quix Streams | 2.00 |" in report.markdown(findings())


def test_sections_that_were_not_run_are_kept_and_say_from_where() -> None:
    now = Findings(at="2026-02-03T00:00:00+00:00", hardware="a <box>, 2 cores", commit="def", latency_rate=500)
    found = completed(now, msgspec.structs.replace(findings(), latency_rate=900))
    assert (found.runs, found.latency_rate, found.commit) == (findings().runs, 500, "def")
    assert found.kept == {"events": "`abc`, 2026-01-02"}
    assert completed(msgspec.structs.replace(now, commit="123"), found).kept == found.kept
    assert completed(found, findings()).kept == found.kept, "what was kept stays marked when it is written again"
    assert "Not run this time, kept from an earlier benchmark: events (`abc`, 2026-01-02)." in report.markdown(found)


def test_the_tables_replace_only_what_stands_between_the_marks() -> None:
    document = f"before\n{report.BEGIN}\nold\n{report.END}\nafter"
    assert report.with_tables(document, "new") == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter"
    with pytest.raises(ValueError, match="markers"):
        report.with_tables("no marks", "new")
    assert report.BEGIN in report.DOCUMENT.read_text()


def test_the_picture_is_well_formed() -> None:
    opened: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _attributes: opened.append(name)
    parser.Parse(report.picture(findings()), True)
    assert opened[0] == "svg"
    assert opened.count("line") == 2
