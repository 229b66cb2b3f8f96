"""SMS segments: the boundaries of 3GPP TS 23.038 and 23.040."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.generators import hit_rate
from workers.core.text.sms import BASIC, EXTENSION, Size, capacity, measure, outside


def gsm(units: int, segments: int) -> Size:
    return Size("GSM 7-bit", units, segments)


def ucs2(units: int, segments: int) -> Size:
    return Size("UCS-2", units, segments)


def test_the_tables_have_the_size_of_the_standard() -> None:
    assert len(BASIC) == 127  # 128 places, one is the escape
    assert len(EXTENSION) == 10
    assert not BASIC & EXTENSION


@pytest.mark.parametrize("character", sorted(BASIC))
def test_a_character_of_the_basic_table_takes_one_septet(character: str) -> None:
    assert measure(character) == gsm(1, 1)


@pytest.mark.parametrize("character", sorted(EXTENSION))
def test_a_character_of_the_extension_table_takes_two_septets(character: str) -> None:
    assert measure(character) == gsm(2, 1)


@pytest.mark.parametrize("character", ["ç", "’", "–", "…", "•", "`", "ê", "á", "\t", "α", "好", "\u00a0"])
def test_a_character_of_neither_table_makes_it_ucs2(character: str) -> None:
    assert measure("Hello" + character) == ucs2(6, 1)
    assert outside("Hello" + character + character) == [character]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", gsm(0, 0)),
        ("a" * 160, gsm(160, 1)),
        ("a" * 161, gsm(161, 2)),
        ("a" * 306, gsm(306, 2)),
        ("a" * 307, gsm(307, 3)),
        ("a" * 158 + "€", gsm(160, 1)),
        ("a" * 159 + "€", gsm(161, 2)),
        ("好" * 70, ucs2(70, 1)),
        ("好" * 71, ucs2(71, 2)),
        ("好" * 134, ucs2(134, 2)),
        ("好" * 135, ucs2(135, 3)),
        ("a" * 69 + "好", ucs2(70, 1)),
        ("a" * 70 + "好", ucs2(71, 2)),
        ("a" * 69 + "€", gsm(71, 1)),
        ("€好", ucs2(2, 1)),  # in UCS-2 the euro sign is one unit
        ("👍" * 35, ucs2(70, 1)),
        ("👍" * 36, ucs2(72, 2)),
        ("a" * 69 + "👍", ucs2(71, 2)),
        ("您的 Smart Band 还在购物车里 👍", ucs2(23, 1)),
    ],
)
def test_a_text_has_its_segments(text: str, size: Size) -> None:
    assert measure(text) == size


def test_a_euro_sign_is_not_split_between_segments() -> None:
    assert measure("a" * 152 + "€" + "a" * 152) == gsm(306, 3)  # without the rule: two
    assert measure("a" * 151 + "€" + "a" * 153) == gsm(306, 2)


def test_a_surrogate_pair_is_not_split_between_segments() -> None:
    assert measure("好" * 66 + "👍" + "好" * 66) == ucs2(134, 3)
    assert measure("好" * 65 + "👍" + "好" * 67) == ucs2(134, 2)


#: Runs of one character: texts as long as a message of several segments, with a pair or an escape at its edges.
RUNS = st.lists(
    st.tuples(st.sampled_from("abcä€[好é👍😀\u00a0") | st.characters(exclude_categories=["Cs"]), st.integers(1, 90)),
    max_size=9,
).map(lambda runs: "".join(character * times for character, times in runs))
GSM_RUNS = st.lists(st.tuples(st.sampled_from("abcä€[]|"), st.integers(1, 90)), max_size=9).map(
    lambda runs: "".join(character * times for character, times in runs)
)
TEXTS = RUNS | GSM_RUNS | st.text(max_size=400)


def packed(text: str) -> Size:
    """Character by character into the first segment that has room for the whole of it, as 23.040 says."""
    wide = any(character not in BASIC | EXTENSION for character in text)
    units = [len(c.encode("utf-16-le")) // 2 if wide else 1 + (c in EXTENSION) for c in text]
    whole, part = (70, 67) if wide else (160, 153)
    segments, room = (1 if text else 0), whole
    if sum(units) > whole:
        room = part
        for unit in units:
            if unit > room:
                segments, room = segments + 1, part
            room -= unit
    return Size("UCS-2" if wide else "GSM 7-bit", sum(units), segments)


@given(TEXTS)
def test_a_text_is_measured_as_it_is_packed(text: str) -> None:
    assert measure(text) == packed(text)


@given(TEXTS)
def test_what_is_measured_fits_and_takes_no_segment_too_many(text: str) -> None:
    size = measure(text)
    assert size.units <= capacity(size.segments, size.encoding) if text else size.segments == 0
    if size.encoding == "UCS-2":
        assert size.units == len(text.encode("utf-16-le")) // 2
    if size.segments > 1:  # at most one unit of each segment stays empty
        assert size.units > capacity(1, size.encoding)
        assert size.units > (size.segments - 1) * (capacity(2, size.encoding) // 2 - 1)


@pytest.mark.parametrize("encoding", ["GSM 7-bit", "UCS-2"])
def test_many_of_the_texts_have_several_segments(encoding: str) -> None:
    def has_several(text: str) -> bool:
        size = measure(text)
        return size.segments > 1 and size.encoding == encoding

    assert hit_rate(TEXTS, has_several) >= 0.15
