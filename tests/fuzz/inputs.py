"""Generates the inputs of the targets: valid inputs changed in a few places, and random bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

MOST_BYTES = 20_000
_MOST_EDITS = 6
#: Fragments that are significant to some reader: structure, terminators, signs of other scripts, numbers at a limit.
TOKENS = tuple(
    token.encode() if isinstance(token, str) else token
    for token in (
        *"{}[]()<>\"'`,;:|\t\n\r\0\\/@#%&*=+-_.~$€ 0",
        *("null", "true", "NaN", "-1", "1e999", "9" * 40, "0.1", '""', "[]", "{}", "{{", "}}", "{%", "=== user ===\n"),
        *("\u200b", "\u202e", "\ufeff", "\u2028", "\u0301", "ﷺ", "都", "é", "ß", "İ", "🙂", "１", "\u2011", "ʼ", "½"),
        *("\\ud800", "\\u0000", "</think>", "<|im_end|>", "```json", "https://a.example", "data:", "%0d%0a", "&amp;"),
        *(
            "7 days",
            "50% off",
            "€19,90",
            "1 299 €",
            "25:61",
            "2024-02-30T24:00:00Z",
            "=?utf-8?q?x?=",
            "!!python/object:x",
        ),
        *(b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\x1f\x8b"),
    )
)
_EDIT = st.tuples(
    st.sampled_from(("cut", "copy", "replace", "insert", "insert", "pump", "splice")),
    st.integers(0, 1 << 16),
    st.integers(0, 64),
    st.sampled_from(TOKENS),
    st.integers(0, 1 << 16),
)
_NOISE = st.one_of(st.binary(max_size=200), st.text(max_size=120).map(lambda text: text.encode("utf-8", "replace")))


#: Values of the wrong type for a field, or far larger than expected.
_VALUES: tuple[object, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        2**63,
        10**30,
        1e308,
        -0.5,
        "",
        " ",
        "0",
        "null",
        "(not set)",
        "x" * 5_000,
        "\u0000",
        "都" * 400,
    ),
    *(
        [],
        {},
        [[]],
        [None],
        [{}] * 300,
        {"": ""},
        {"a": {"a": {"a": {}}}},
        [1] * 2_000,
        {str(n): n for n in range(300)},
    ),
    *("2099-01-01T00:00:00Z", "1e400", "１９，９０", "ﷺ" * 50, "javascript:x", "https://a.example/" + "%41" * 500),
)
VALUES = tuple(map(json.dumps, _VALUES))
_PLACE = st.tuples(
    st.sampled_from(("alike", "alike", "alike", "alike", "set", "add", "drop", "twice", "wrap")),
    st.integers(0, 1 << 16),
    st.integers(0, len(VALUES) - 1),
)


def changed(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Returns a strategy: mostly seeds with a few edits (of values for JSON, else of bytes), some with more, a few random."""
    seed = st.sampled_from(seeds)
    few = st.builds(_edited, seed, st.lists(_EDIT, max_size=2), seed)
    many = st.builds(_edited, seed, st.lists(_EDIT, max_size=_MOST_EDITS), seed)
    documents = [document for document in seeds if _document(document) is not None]
    if not documents:
        return st.one_of(few, few, many, _NOISE)
    within = st.builds(_edited_within, st.sampled_from(documents), st.lists(_PLACE, min_size=1, max_size=3))
    return st.one_of(within, within, few, many, _NOISE)


def _document(data: bytes) -> dict[str, object] | list[object] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _edited_within(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    """Returns the JSON with some values replaced."""
    document = _document(data)
    assert document is not None
    for kind, number, index in edits:
        value = json.loads(VALUES[index])  # decoded again, so that documents do not share values
        places = list(_places(document))
        if not places:
            break
        holder, key = places[number % len(places)]
        match kind:
            case "alike":
                holder[key] = _alike(holder[key], number, value)
            case "drop":
                del holder[key]
            case "twice":
                holder[key] = [holder[key], holder[key]]
            case "wrap":
                holder[key] = {"value": holder[key]}
            case "add" if isinstance(holder, dict):
                holder[f"{key}_"] = value
            case _:
                holder[key] = value
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")[:MOST_BYTES]


def _alike(value: object, number: int, other: object) -> object:
    """Returns another value of the same type, which only a detailed check distinguishes from a good one."""
    match value:
        case str():
            return other if isinstance(other, str) else f"{value}{number}"
        case bool():
            return not value
        case int() | float():
            return number
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yields (container, key or index) of every nested value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _edited(data: bytes, edits: list[tuple[str, int, int, bytes, int]], other: bytes) -> bytes:
    for kind, place, length, token, elsewhere in edits:
        at = place % (len(data) + 1)
        part = data[at : at + length] or token
        match kind:
            case "cut":
                data = data[:at] + data[at + length :]
            case "copy":
                to = elsewhere % (len(data) + 1)
                data = data[:to] + part + data[to:]
            case "replace":
                data = data[:at] + token + data[at + len(token) :]
            case "insert":
                data = data[:at] + token + data[at:]
            case "pump":
                data = data[:at] + part * (elsewhere % (MOST_BYTES // len(part) + 1)) + data[at:]
            case _:
                data = data[:at] + other[elsewhere % (len(other) + 1) :]
    return data[:MOST_BYTES]
