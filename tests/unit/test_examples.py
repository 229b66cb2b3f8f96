"""Every example in a docstring is true."""

from __future__ import annotations

import doctest

import pytest

from tests.fuzz.patterns import modules

WITH_EXAMPLES = {
    module.__name__: tests
    for module in modules()
    if (tests := [found for found in doctest.DocTestFinder(exclude_empty=True).find(module) if found.examples])
}


def test_most_of_the_pure_modules_have_examples() -> None:
    assert len(WITH_EXAMPLES) >= 60


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_every_example_of_a_module_is_true(module: str) -> None:
    said: list[str] = []
    runner = doctest.DocTestRunner()
    for found in WITH_EXAMPLES[module]:
        runner.run(found, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
