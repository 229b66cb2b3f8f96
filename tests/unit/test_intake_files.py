from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from schemas import codec
from tests.support.data import data_file
from tests.support.intake import NOW
from workers.adapters.sources.event_files import open_events
from workers.core.errors import Misconfigured
from workers.core.intake.event_files import read_plan
from workers.core.intake.mapping import Mapped

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
REES46 = f"""{HEADER}
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,s-1
2019-10-01 00:00:01 UTC,cart,1307067,2053013558920217191,computers.notebook,lenovo,251.74,550050854,s-2
2019-10-01 00:00:02 UTC,purchase,1307067,2053013558920217191,computers.notebook,lenovo,251.74,550050854,s-2
2019-10-01 00:00:02 UTC,purchase,1307067,2053013558920217191,computers.notebook,lenovo,251.74,550050854,s-2
2019-10-01 00:00:03 UTC,remove_from_cart,17,1,,,0.00,550050854,s-2

2019-10-01 00:00:04 UTC,purchase,18,1,,,,550050854
2019-10-01 00:00:05 UTC,view,18,1,,,1.0,,s-3
noon,view,18,1,,,1.0,5,s-3
2019-10-01 00:00:06 UTC,view,18,1,,,1.0,5,s-3,too,many
"""
PLAN = """
delimiter: ";"
columns:
  {who: userId, when: timestamp, what: event, article: product_id, amount: price,
   floor: properties.floor, age: traits.age}
events: {gesehen: Product Viewed, gekauft: Order Completed}
defaults: {currency: EUR, locale: de-DE}
"""


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def events_of(rows: Iterable[tuple[int, Mapped]]) -> list[dict[str, Any]]:
    found = [event for _, mapped in rows for event in mapped.events]
    for event in found:
        codec.decode_event(event.value)
    return [json.loads(event.value) for event in found]


def test_rows_of_the_clickstream_become_events(tmp_path: Path) -> None:
    rows = list(open_events(write(tmp_path / "a.csv", REES46), "rees46", None, NOW))
    assert [number for number, _ in rows] == list(range(1, 10))
    view, cart, bought, again, removed, unknown = events_of(rows)
    assert (view["event"], view["userId"], view["timestamp"]) == ("Product Viewed", "541312140", "2019-10-01T00:00:00Z")
    assert view["properties"] == {
        "product_id": "44600062",
        "brand": "shiseido",
        "price": 35.79,
        "currency": "USD",
        "session_id": "s-1",
        "category_id": "2103807459595387724",
    }
    assert (cart["event"], cart["properties"]["cart_id"]) == ("Product Added", "s-2")
    assert cart["properties"]["category"] == "computers.notebook"
    order = bought["properties"]
    assert (bought["event"], order["cart_id"], order["session_id"], order["revenue"]) == (
        "Order Completed",
        "s-2",
        "s-2",
        251.74,
    )
    assert [(line["product_id"], line["price"], line["quantity"]) for line in order["products"]] == [
        ("1307067", 251.74, 1)
    ]
    assert order["order_id"] != again["properties"]["order_id"]
    assert (removed["event"], "price" in removed["properties"]) == ("Product Removed", False)
    assert "revenue" not in unknown["properties"]
    assert "cart_id" not in unknown["properties"]
    assert [str(error) for _, mapped in rows for error in mapped.rejects] == [
        "no_identity: neither userId nor anonymousId",
        "bad_timestamp: timestamp: neither an ISO 8601 time nor a Unix timestamp",
        "wrong_type: 11 columns, the header has 9",
    ]


def test_equal_rows_count_separately_and_a_second_import_counts_nothing_twice(tmp_path: Path) -> None:
    plain = open_events(write(tmp_path / "a.csv", REES46), "rees46", None, NOW)
    packed = open_events(write(tmp_path / "a.csv.gz", gzip.compress(REES46.encode())), "rees46", None, NOW)
    ids = [event["messageId"] for event in events_of(plain)]
    assert len(set(ids)) == len(ids)
    assert ids == [event["messageId"] for event in events_of(packed)]


def test_a_shops_own_csv_is_read_as_its_mapping_says(tmp_path: Path) -> None:
    lines = ("\ufeffwho;when;what;article;amount;floor;age;rest", "u-1;2024-04-01T10:00:00;gekauft;p-1;19,90;3;34;x")
    text = "\n".join((*lines, "u-2;1711965600;gelikt;;;;;", ""))
    mapping = write(tmp_path / "plan.yaml", PLAN)
    bought, liked = events_of(open_events(write(tmp_path / "shop.csv", text), "csv", mapping, NOW))
    assert (bought["event"], bought["userId"], bought["timestamp"]) == (
        "Order Completed",
        "u-1",
        "2024-04-01T10:00:00Z",
    )
    assert bought["properties"] == {"currency": "EUR", "product_id": "p-1", "price": 19.9, "floor": "3"}
    assert (bought["context"], bought["traits"]) == ({"locale": "de-DE"}, {"age": "34"})
    assert (liked["event"], liked["properties"]) == ("gelikt", {"currency": "EUR"})


def test_what_databases_write_for_nothing_in_a_cell_says_nothing(tmp_path: Path) -> None:
    plan = PLAN.replace("age: traits.age", "age: traits.age, money: currency")
    lines = ("who;when;what;article;amount;floor;age;money", "u-1;2024-04-01;gekauft;p-1;NULL;\\N;nan;None", "")
    mapping = write(tmp_path / "plan.yaml", plan)
    (bought,) = events_of(open_events(write(tmp_path / "shop.csv", "\n".join(lines)), "csv", mapping, NOW))
    assert bought["properties"] == {"currency": "EUR", "product_id": "p-1"}
    assert "traits" not in bought


def test_lines_of_segment_keep_their_ids_and_equal_lines_without_one_count_separately(tmp_path: Path) -> None:
    own = {"type": "track", "event": "X", "userId": "u", "messageId": "m-1", "timestamp": "2024-04-01T10:00:00Z"}
    bare = {name: value for name, value in own.items() if name != "messageId"}
    lines = [json.dumps(own), "", json.dumps(bare), json.dumps(bare), "{", json.dumps({"batch": [own, bare]})]
    rows = list(open_events(write(tmp_path / "a.jsonl", "\r\n".join(lines)), "segment", None, NOW))
    assert [number for number, _ in rows] == [1, 3, 4, 5, 6]
    ids = [event["messageId"] for event in events_of(rows)]
    assert (ids[0], ids[3], len(set(ids))) == ("m-1", "m-1", 4)
    assert [error.reason for _, mapped in rows for error in mapped.rejects] == ["broken_json"]


def test_a_bad_line_costs_only_itself(tmp_path: Path) -> None:
    text = (
        REES46.encode().replace(b"shiseido", b"shi\xffseido") + b'2019-10-01 00:00:07 UTC,view,9,1,,"a ""b""",1.0,5,s\n'
    )
    rows = list(open_events(write(tmp_path / "a.csv", text), "rees46", None, NOW))
    assert rows[0][1].rejects[0].reason == "broken_encoding"
    assert events_of(rows)[-1]["properties"]["brand"] == 'a "b"'
    lines = b'{"x":"' + b"y" * 5_000_000 + b'"}\n{"type":"identify","userId":"u"}\n'
    first, second = open_events(write(tmp_path / "a.jsonl", lines), "auto", None, NOW)
    assert (first[1].rejects[0].reason, len(second[1].events)) == ("too_large", 1)


def test_progress_is_told_in_bytes_on_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv.gz", gzip.compress(REES46.encode()))
    file = open_events(path, "rees46", None, NOW)
    assert (file.bytes_read, file.bytes_total) == (0, path.stat().st_size)
    list(file)
    assert file.bytes_read == file.bytes_total
    assert len(list(file)) == 9


@pytest.mark.parametrize(
    ("content", "form", "plan", "words"),
    [
        (REES46, "xml", None, "there is no format `xml`. Hint: use one of: rees46, csv, auto, segment"),
        (
            REES46.replace("brand,", "make,"),
            "rees46",
            None,
            "a.csv, line 1: column `brand` is missing; columns in the header: event_time",
        ),
        ("", "rees46", None, "a.csv is empty"),
        ("\n", "rees46", None, "column `event_time` is missing; columns in the header: none"),
        (REES46, "csv", None, "do not go together"),
        (REES46, "rees46", PLAN, "do not go together"),
        ("a;b\n", "csv", PLAN, "a.csv, line 1: column `who` is missing; columns in the header: a, b"),
        ("a;b\n", "csv", "columns: {who: prize}", "plan.yaml: columns: who: unknown field `prize`"),
        ("a;b\n", "csv", "columns: {who: properties.}", "unknown field `properties.`"),
        ("a;b\n", "csv", "columns: {who: userId, when: timestamp}", "no column provides event or type"),
        ("a;b\n", "csv", "rows: 7", "plan.yaml: Object contains unknown field `rows`"),
        ("a;b\n", "csv", "a: [", "plan.yaml: while parsing"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_is_read(
    tmp_path: Path, content: str, form: str, plan: str | None, words: str
) -> None:
    mapping = write(tmp_path / "plan.yaml", plan) if plan is not None else None
    with pytest.raises(Misconfigured) as caught:
        open_events(write(tmp_path / "a.csv", content), form, mapping, NOW)
    assert words in str(caught.value)


def test_files_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"nowhere\.csv cannot be read: No such file"):
        open_events(tmp_path / "nowhere.csv", "segment", None, NOW)
    packed = gzip.compress(REES46.encode() * 100)
    cut = open_events(write(tmp_path / "a.csv.gz", packed[: len(packed) // 2 + 200]), "rees46", None, NOW)
    with pytest.raises(Misconfigured, match="cut off or damaged after row"):
        list(cut)


def test_a_mapping_needs_no_file() -> None:
    plan = read_plan({"columns": {"a": "anonymousId", "t": "timestamp"}, "defaults": {"event": "Visited"}}, "plan")
    assert plan.columns == {"a": "anonymousId", "t": "timestamp"}


@pytest.mark.data
def test_the_whole_clickstream_maps_without_a_reject() -> None:
    path = data_file("rees46-2019-10-01.csv.gz")
    rows = list(open_events(path, "rees46", None, NOW))
    assert [error for _, mapped in rows for error in mapped.rejects] == []
    events = events_of(rows)
    assert Counter(event["event"] for event in events) == {
        "Product Viewed": 17_056,
        "Product Added": 165,
        "Order Completed": 214,
    }
    assert len({event["messageId"] for event in events}) == 17_435
    assert len({event["userId"] for event in events}) == 4_505
    assert sum("price" not in str(event["properties"]) for event in events) == 19
