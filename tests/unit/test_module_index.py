"""The list of modules in the documentation is that of the code."""

from __future__ import annotations

import re

from infra.docs.modules import PAGE, page


def test_the_page_is_the_one_that_the_code_gives() -> None:
    assert PAGE.read_text() == page(), "make schemas writes it"


def test_every_folder_and_every_module_says_what_it_does() -> None:
    text = page()
    assert re.findall(r"^\| \[(.*?)\].*\| +\|$", text, re.MULTILINE) == []
    assert set(re.findall(r"^## (.*)\n\n\n", text, re.MULTILINE)) == {"infra/setup"}, (
        "runs before anything is installed"
    )
    assert text.count("\n| [") > 300
