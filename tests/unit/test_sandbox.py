"""A prompt or template can neither hang nor exhaust whoever renders it, and says where it tried."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import jinja2
import pytest

from tests.support.playbooks import SMART_DEVICES, copy_of
from workers.adapters.playbook.loader import examine
from workers.core.generation.rendering import compiled
from workers.core.text.template_sandbox import MAX_CHARS, MAX_DEPTH, MAX_DIGITS, MAX_STEPS, RenderError

DOUBLED = "{% set a = 'x' * 1000 %}\n"
ENDLESS = {
    "nested ranges": "{% for a in range(999) %}" * 3 + "x" + "{% endfor %}" * 3,
    "nested ranges without a word": "{% for a in range(999) %}" * 3 + "{% endfor %}" * 3,
    "a long range": "{{ range(100000) | length }}",
    "a product": "{{ 'x' * 1500000000 }}",
    "a product the other way": "{{ 1500000000 * 'x' }}",
    "a product of lists": "{{ ([0] * 1500000000) | length }}",
    "products in turn": "{{ 'x' * 1000 * 1000 * 1000 * 1000 }}",
    "a power": "{{ 10 ** 10000000000 }}",
    "powers in turn": "{{ ((9 ** 64) ** 64) ** 64 }}",
    "sums": DOUBLED + "{% set a = a + a %}" * 30 + "{{ a | length }}",
    "chains": DOUBLED + "{% set a = a ~ a %}" * 30 + "{{ a | length }}",
    "blocks": DOUBLED + "{% set a %}{{ a }}{{ a }}{% endset %}" * 30 + "{{ a | length }}",
    "macros": "{% macro m(a) %}{{ a }}{{ a }}{% endmacro %}{{ " + "m(" * 30 + "'x' * 1000" + ")" * 30 + " | length }}",
    "macros that call themselves": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "a macro without an end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a recursive loop": "{% for a in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "a wide filter": "{{ 'x' | center(1500000000) }}",
    "a deep indent": "{{ 'x\ny' | indent(1500000000) }}",
    "a wide method": "{{ 'x'.ljust(1500000000) }}",
    "a wide format": "{{ '%1500000000d' | format(1) }}",
    "a wide operator": "{{ '%1500000000d' % 1 }}",
    "a wide operator with a star": "{{ '%*d' % (1500000000, 1) }}",
    "a wide format method": "{{ '{:1500000000}'.format(1) }}",
    "a wide format method with a name": "{{ '{:{w}}'.format(1, w=1500000000) }}",
    "many slices": "{{ [1] | slice(1500000000) | list | length }}",
    "joined": "{{ range(1000) | join('x' * 1000) }}",
    "replaced": "{{ ('x' * 1000).replace('x', 'y' * 1000) }}",
    "blind text": "{{ lipsum(n=1000000) }}",
    "much text": "{% for a in range(1000) %}" + "x" * 100 + "{% endfor %}",
    "filters without an end": "{% for a in range(999) %}" + "{{ a | string }}" * 30 + "{% endfor %}",
}
FAILING = {
    "a division": "{{ 1 / 0 }}",
    "a comparison": "{{ 1 < 'a' }}",
    "no number": "{{ 'a' | round }}",
    "a missing key": "{{ {}['a'].b }}",
    "a long step": "{{ 'abc'[::0] }}",
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_what_would_not_end_or_fill_the_memory_is_an_error_at_once(source: str) -> None:
    peak, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
    with pytest.raises(jinja2.TemplateError):
        compiled(source).render()
    assert time.thread_time() - begun < 2.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200_000  # KiB


@pytest.mark.parametrize("source", FAILING.values(), ids=FAILING)
def test_whatever_fails_while_rendering_is_an_error_of_the_template(source: str) -> None:
    with pytest.raises(jinja2.TemplateError):
        compiled(source).render()


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "not " * 20_000 + "1 }}",
        "{% for a in [1] %}" * 40 + "{% endfor %}" * 40,
    ],
    ids=["brackets", "words", "loops"],
)
def test_what_is_nested_too_deeply_cannot_be_compiled(source: str) -> None:
    with pytest.raises(jinja2.TemplateError):
        compiled(source).render()


@pytest.mark.parametrize(
    "source",
    [
        "one\n{{ product" + ".a" * 244 + " ~ '!' }}",
        "one\n{{ " + "1 + " * 244 + "1 }}",
        "one\n{{ name" + " | upper" * 244 + " }}",
        "one\n{% set a %}{{ product" + ".a" * 244 + " ~ '!' }}{% endset %}",
    ],
    ids=["attributes", "sums", "filters", "attributes in a block"],
)
def test_a_long_chain_is_refused_at_its_line_before_jinja_folds_it_for_seconds(source: str) -> None:
    begun = time.thread_time()
    with pytest.raises(jinja2.TemplateSyntaxError, match="nested too deeply") as caught:
        compiled(source)
    assert caught.value.lineno == 2
    assert time.thread_time() - begun < 0.5


@pytest.mark.parametrize(
    "source",
    [
        "one\n{{ " + "1" * 4301 + " }}",
        "one\n{{ 0x" + "f" * 4000 + " }}",
        "one\n{{ 0b" + "1" * 15_000 + " ~ 'x' }}",
        "one\n{% if product." + "0" * 4301 + " %}{% endif %}",
        "one\n{%" + "0" * 4301 + " endset %}",
        "one\n{{ " + "1" * (MAX_DIGITS + 1) + " }}",
    ],
    ids=["decimal", "hexadecimal", "binary", "an attribute", "a tag", "one too many"],
)
def test_a_number_that_python_would_not_read_or_write_is_refused_at_its_line(source: str) -> None:
    with pytest.raises(jinja2.TemplateSyntaxError, match="digits") as caught:
        compiled(source)
    assert caught.value.lineno == 2


def test_digits_in_text_are_no_number() -> None:
    digits = "1" * 4_301
    assert compiled(digits).render() == digits
    assert compiled("{{ '" + digits + "' | length }}{# " + digits + " #}").render() == "4301"
    assert compiled("{{ " + "1" * MAX_DIGITS + " }}").render() == "1" * MAX_DIGITS


def test_a_chain_within_the_limit_is_compiled() -> None:
    assert compiled("{{ name" + " | upper" * (MAX_DEPTH - 3) + " }}").render(name="Ana") == "ANA"
    with pytest.raises(jinja2.TemplateSyntaxError):
        compiled("{{ name" + " | upper" * (MAX_DEPTH - 2) + " }}")


def test_the_error_names_the_line() -> None:
    with pytest.raises(RenderError) as caught:
        compiled("one\ntwo\n{% for a in range(5) %}\n{{ 'x' * 1500000000 }}\n{% endfor %}").render()
    assert caught.value.lineno == 4


def test_what_copy_needs_is_far_within_the_limits() -> None:
    source = "{% for a in range(12) %}{{ loop.index }}/{{ loop.length }}{% if not loop.last %}, {% endif %}{% endfor %}"
    assert compiled(source).render().startswith("1/12, 2/12, 3/12")
    assert compiled("{% set a %}{{ 'ab' | upper }}!{% endset %}{{ a ~ a }}").render() == "AB!AB!"
    assert compiled("{{ '%s costs %.2f' | format('It', 3) }} {{ '-' * 20 }}").render() == "It costs 3.00 " + "-" * 20
    assert len(compiled("{% for a in range(400) %}" + "x" * 100 + "{% endfor %}").render()) == 40_000 < MAX_CHARS
    assert MAX_STEPS >= 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "{{ 'x' * 1500000000 }}",
        "{% for a in range(999) %}{% for b in range(999) %}{% endfor %}{% endfor %}",
    ],
)
def test_the_check_of_a_playbook_names_file_and_line_of_such_a_prompt(words: str, tmp_path: Path) -> None:
    folder = copy_of(SMART_DEVICES, tmp_path / "playbook")
    prompt = folder / "prompts" / "en" / "cart-abandonment.j2"
    lines = prompt.read_text().rstrip("\n").split("\n")
    prompt.write_text("\n".join([*lines, words]) + "\n")
    problems = [str(problem) for problem in examine(folder)[1]]
    assert any(
        problem.startswith(f"prompts/en/cart-abandonment.j2:{len(lines) + 1}: Jinja: ") for problem in problems
    ), problems
