"""How copy is split into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.text.sentences import sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("…!?", []),
        ("One line", ["One line"]),
        ("It weighs 2.5 kg. Light.", ["It weighs 2.5 kg.", "Light."]),
        ("Made for e.g. runners", ["Made for e.g. runners"]),
        ('"Why not?" she said. "Because!"', ['"Why not?"', "she said.", '"Because!"']),
        ("下雨了？带上它吧！很轻。", ["下雨了？", "带上它吧！", "很轻。"]),
        ("“真的吗？”她问。", ["“真的吗？”", "她问。"]),
        ("Title\nBody one. Body two", ["Title", "Body one.", "Body two"]),
        ("wait... what", ["wait... what"]),
        ("Rain again?It holds.", ["Rain again?", "It holds."]),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@given(st.text(alphabet=st.sampled_from('aB1 .!?。！？\n…"”it'), max_size=200))
def test_nothing_with_a_letter_is_lost(text: str) -> None:
    joined = "".join("".join(sentences(text)).split())
    assert [c for c in joined if c.isalnum()] == [c for c in text if c.isalnum()]
