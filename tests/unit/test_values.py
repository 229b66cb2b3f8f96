"""What strangers write, and what is read from it."""

from __future__ import annotations

import datetime as dt
import doctest
from types import ModuleType

import pytest

from schemas import moments, names, numerals, values

NBSP, NARROW, THIN = "\u00a0", "\u202f", "\u2009"


@pytest.mark.parametrize("module", [values, numerals, moments, names])
def test_the_examples_of_the_readers_hold(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.299,00", 1299.0),
        ("1 299,00 €", 1299.0),
        (f"1{NBSP}299,00{NBSP}€", 1299.0),
        (f"1{NARROW}299,5", 1299.5),
        (f"1{THIN}299", 1299.0),
        ("€19.90", 19.9),
        ("€ 19,90", 19.9),
        ("19,90€", 19.9),
        ("US$1,299.00", 1299.0),
        ("R$ 1.299,00", 1299.0),
        ("19.90 EUR", 19.9),
        ("CHF 1'299.00", 1299.0),
        ("1’299.00", 1299.0),
        ("1ʼ299", 1299.0),
        ("19,-", 19.0),
        ("19.– €", 19.0),
        ("١٢٩٩٫٥٠", 1299.5),
        ("١٬٢٩٩٫٥٠", 1299.5),
        ("１２９９．５", 1299.5),
        ("￥1,299", 1299.0),
        ("1299元", 1299.0),
        ("1.299.000", 1_299_000.0),
        ("1,29,900.00", 129_900.0),
        ("−5", -5.0),
        ("-€5.00", -5.0),
        ("€-5,00", -5.0),
        ("1.299", 1.299),
        ("1.299 €", 1299.0),
        ("$1.299", 1299.0),
        ("$0.299", 0.299),
        ("$12.99", 12.99),
        ("1.299 KWD", 1.299),
        ("1,299", 1299.0),
        ("0,299", 0.299),
        ("3,14159", 3.14159),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("100 kr.", 100.0),
        ("Rs. 1,299", 1299.0),
    ],
)
def test_numbers_are_read_as_people_write_them(written: str, meant: float) -> None:
    assert values.number(written) == pytest.approx(meant)


@pytest.mark.parametrize(
    "written",
    [
        "", " ", "free", "NaN", "nan", "Infinity", "-inf", "1e999", "true", "10²", "½", "20%", "1.2.3", "1,2,3", "12 34",
        "19 pcs", "1.299.00", "19.90 €/kg", "10-20", "0x10", "1_000", "€", ",", "--5", "9" * 41, "2024-05-01", "19:90", "1'2",
    ],
)  # fmt: skip
def test_what_is_no_number_is_none(written: str) -> None:
    assert values.number(written) is None


@pytest.mark.parametrize("written", [float("nan"), float("inf"), True, False, None, [], {}, [19.9]])
def test_what_is_no_number_is_none_whatever_its_type(written: object) -> None:
    assert values.number(written) is None


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-01T10:00:00Z",
        "2024-05-01T10:00:00.000000Z",
        "2024-05-01T10:00:00.000000000Z",
        "2024-05-01T10:00:00 Z",
        "2024-05-01t10:00:00z",
        "2024-05-01T12:00:00+0200",
        "2024-05-01T12:00:00+02:00[Europe/Berlin]",
        "2024-05-01 10:00:00 +0000",
        "2024-05-01 10:00:00 +0000 UTC m=+0.000012",
        "2024-05-01 10:00:00 UTC",
        "2024-05-01 10:00:00 GMT",
        "2024/05/01 10:00:00",
        "2024/5/1 10:00:00",
        "20240501T100000Z",
        "2024-05-01T10:00:00:000+0000",
        "Wed, 01 May 2024 10:00:00 GMT",
        "Wed, 01 May 2024 12:00:00 +0200",
        "1 May 2024 10:00:00 +0000",
        "Wednesday, 01-May-24 10:00:00 GMT",
        "Wed May 01 2024 12:00:00 GMT+0200 (Central European Summer Time)",
        "Wed May 01 10:00:00 UTC 2024",
        "/Date(1714557600000)/",
        "/Date(1714557600000+0200)/",
        "1714557600",
        "1714557600.0",
        "1714557600000",
        "1714557600000000",
        "1714557600000000000",
        1714557600,
        1714557600000,
        1714557600.0,
    ],
)
def test_instants_are_read_as_programs_print_them(written: object) -> None:
    assert values.instant(written) == dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "written",
    [
        "", "yesterday", "01.05.2024 10:00:00", "05/01/2024", "01/05/2024 10:00", "2024-13-01T00:00:00Z", "2024-02-30", "NaN",
        True, None, [], {}, "-5965-09-20 15:44:22.721", "10013-12-10 01:09:46.708", "2024-05-01T10:00:00 CEST", "9" * 25, 1e300,
        float("inf"), "Wed, 99 May 2024 10:00:00 GMT", "0000-00-00 00:00:00", "2024-05-01" + " " * 100,
    ],
)  # fmt: skip
def test_what_is_no_instant_is_none(written: object) -> None:
    assert values.instant(written) is None


def test_a_leap_second_is_the_second_before_it() -> None:
    assert values.instant("2016-12-31T23:59:60Z") == dt.datetime(2016, 12, 31, 23, 59, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2012-05-01", "2012-05-01"),
        ("2012-5-1", "2012-05-01"),
        ("2012/05/01", "2012-05-01"),
        ("2012.05.01", "2012-05-01"),
        ("20120501", "2012-05-01"),
        (20120501, "2012-05-01"),
        ("2012-05-01T22:00:00Z", "2012-05-01"),
        ("2012-05-01T23:00:00-08:00", "2012-05-01"),
        ("01.05.2012", "2012-05-01"),
        ("1. 5. 2012", "2012-05-01"),
        ("03.02.2015", "2015-02-03"),
        ("13/05/2012", "2012-05-13"),
        ("05/13/2012", "2012-05-13"),
        ("03/04/2010", "2010-04-03"),
        ("04/03/2010", "2010-04-03"),
        ("03-04-2010", "2010-04-03"),
        ("01/05/12", "2012-05-01"),
        ("01/05/85", "1985-05-01"),
        ("2010", "2010-12-31"),
        (2010, "2010-12-31"),
        (2010.0, "2010-12-31"),
        ("2010-02", "2010-02-28"),
        ("1 May 2012", "2012-05-01"),
        ("1st of May 2012", "2012-05-01"),
        ("May 1, 2012", "2012-05-01"),
        ("Tue, 01 May 2012 00:00:00 GMT", "2012-05-01"),
        ("Tue May 01 2012 00:00:00 GMT+0200 (CEST)", "2012-05-01"),
        ("2012年5月1日", "2012-05-01"),
        ("２０１２-05-01", "2012-05-01"),
        (1335830400, "2012-05-01"),
        ("1335830400000", "2012-05-01"),
        (-300000000, "1960-06-29"),
        ("-300000000000", "1960-06-29"),
        ("/Date(-300000000000)/", "1960-06-29"),
        ("29.02.2012", "2012-02-29"),
    ],
)
def test_days_are_read_as_people_write_them_and_the_later_one_where_two_are_meant(written: object, meant: str) -> None:
    assert str(values.date(written)) == meant


@pytest.mark.parametrize(
    "written",
    [
        "", "soon", "17", 17, 0, "0", -1, "31.02.2012", "2012-02-30", "20121345", "99/99/2012", "0000-00-00", "1800-01-01", True,
        None, [], "2012-05-01" + " " * 90, float("nan"), 1e300, "May 2012 1",
    ],
)  # fmt: skip
def test_what_is_no_day_is_none(written: object) -> None:
    assert values.date(written) is None


@pytest.mark.parametrize("written", [" ", "\t\n", "\u00a0", None])
def test_null_and_blank_are_absent(written: object) -> None:
    assert values.absent(written)


@pytest.mark.parametrize("written", ["(not set)", "guest", 0, "0", "GUEST", " undefined ", "[object Object]"])
def test_placeholders_are_nobody(written: object) -> None:
    assert values.person(written) is None
