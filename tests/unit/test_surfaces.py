"""Product descriptions and ads: what the playbook says of them, and the command that writes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import product as product_of
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas.messages import MessageRequest, MessageText
from tests.support.llm import FakeLlm
from tests.support.playbooks import NOW, REES46, SMART_DEVICES, copy_of, models, playbook
from tests.support.pool import chat
from workers.adapters.playbook.loader import examine
from workers.commands.content.copywriting import copy
from workers.core.generation import copy_surfaces, prompts
from workers.core.generation.templates import template_text
from workers.core.guardrails.check import NAMES, check
from workers.core.playbook.playbook import Playbook

GROUPS = ("young", "sports", "business")
DESCRIPTION = "templates/en/copy-description.yaml"


def asked(kind: str, product: str, group: str, spoken: str, known: Playbook | None = None) -> MessageRequest:
    known = known or playbook()
    return copy_surfaces.request(
        known,
        known.surfaces[kind],
        product_id=product,
        group=group,
        language=spoken,
        number=0,
        requested_at=NOW,
        deadline_at=NOW,
    )


@pytest.mark.parametrize(("kind", "spoken"), list(product_of(("description", "ad"), ("zh", "en"))))
def test_every_product_and_group_has_hand_written_copy_that_passes(kind: str, spoken: str) -> None:
    view = copy_surfaces.for_copy(playbook())
    said = set()
    for product, group in product_of(playbook().products, GROUPS):
        request = asked(kind, product, group, spoken)
        text, version = template_text(view, request.prompt, spoken, group, kind, request.product)
        verdicts = check(text, request, view, models())
        assert [verdict for verdict in verdicts if not verdict.passed] == [], (product, group, text)
        assert version == view.templates[request.prompt, spoken, group, kind].version
        assert bool(text.title) == (kind == "ad")
        assert request.product.name in (text.body if kind == "description" else text.title)
        said.add(text)
    assert len(said) == len(playbook().products) * len(GROUPS)


@pytest.mark.parametrize(("kind", "spoken"), list(product_of(("description", "ad"), ("zh", "en"))))
def test_a_prompt_holds_group_product_and_facts_and_asks_for_the_fields(kind: str, spoken: str) -> None:
    view = copy_surfaces.for_copy(playbook())
    request = asked(kind, "wireless-earphones", "business", spoken)
    last = prompts.render(view, request)[-1]
    group = next(known for known in playbook().audiences.target_groups if known.id == "business")
    for expected in (group.name[spoken], group.angle[spoken], request.product.name):
        assert expected in last.content
    assert any(fact in last.content for fact in request.product.facts)
    schema = prompts.schema_for(view.channels[kind], spoken)
    assert schema["required"] == (["title", "body"] if kind == "ad" else ["body"])


def test_copy_is_brand_neutral() -> None:
    band = msgspec.structs.replace(playbook().products["smart-band"], brand="Acme")
    known = msgspec.structs.replace(playbook(), products={"smart-band": band})
    request = asked("ad", "smart-band", "young", "en", known)
    text = MessageText(title="Smart Band, your style", body="Sleep tracking by Acme, in a style that is all you.")
    failed = [verdict.name for verdict in check(text, request, copy_surfaces.for_copy(known)) if not verdict.passed]
    assert failed == ["names"]


def test_a_surface_sets_how_many_emoji_its_copy_may_have() -> None:
    surface = msgspec.structs.replace(playbook().surfaces["ad"], max_emoji=1)
    known = msgspec.structs.replace(playbook(), surfaces={"ad": surface})
    text = MessageText(title="Smart Band, your style 🏃", body="Sleep tracking, in a style that is all you ✨.")
    request = asked("ad", "smart-band", "young", "en", known)
    for view, failed in ((copy_surfaces.for_copy(known), ["emoji"]), (copy_surfaces.for_copy(playbook()), [])):
        assert [verdict.name for verdict in check(text, request, view) if not verdict.passed] == failed


def test_campaigns_and_copy_do_not_see_each_other() -> None:
    view = copy_surfaces.for_copy(playbook())
    assert not view.prompts.keys() & playbook().prompts.keys()
    assert not view.templates.keys() & playbook().templates.keys()
    assert set(view.channels) == {"description", "ad"}
    assert view.campaigns == {}


def test_a_playbook_without_copy_is_right() -> None:
    assert playbook(REES46).surfaces == {}


def replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return spoil


def remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


MISTAKES: dict[str, tuple[Callable[[Path], None], str]] = {
    "unknown field": (
        replace("copy.yaml", "    prompt: copy-ad", "    promt: copy-ad"),
        "copy.yaml:14: surfaces[1].promt: this field is not known (did you mean `prompt`?)",
    ),
    "twice": (
        replace("copy.yaml", "- id: ad", "- id: description"),
        "copy.yaml:12: surfaces[1].id: id `description` appears twice",
    ),
    "a channel": (
        replace("copy.yaml", "- id: ad", "- id: push"),
        "copy.yaml:12: surfaces[1].id: `push` is a channel; allowed: another id",
    ),
    "no body": (
        replace("copy.yaml", "      body:\n        zh: {min_chars: 40", "      title:\n        zh: {min_chars: 40"),
        "surfaces[0].fields: `body` is missing",
    ),
    "limits": (
        replace("copy.yaml", "min_chars: 40, max", "min_chars: 400, max"),
        "copy.yaml:9: surfaces[0].fields.body.zh: the limits are out of order",
    ),
    "no name": (
        replace("copy.yaml", "{zh: 广告, en: Ad}", "{zh: 广告}"),
        "copy.yaml:13: surfaces[1].name: en is missing",
    ),
    "a campaign's prompt": (
        replace("copy.yaml", "prompt: copy-ad", "prompt: cross-sell"),
        "copy.yaml:14: surfaces[1].prompt: `cross-sell` is the prompt of campaign `cross-sell`",
    ),
    "no prompt": (
        remove("prompts/en/copy-ad.j2"),
        "prompts/en/copy-ad.j2:1: the file is missing; surface `ad` needs it",
    ),
    "no templates": (remove(DESCRIPTION), f"{DESCRIPTION}:1: the file is missing; surface `description` needs it"),
    "no group": (
        replace(DESCRIPTION, "  sports:", "  sport:"),
        "description.sports: is missing; surface `description` needs it",
    ),
    "generic": (
        replace(DESCRIPTION, "  young:", "  generic:"),
        f"{DESCRIPTION}:4: description.generic: target group `generic` is not known",
    ),
    "unknown surface": (
        replace(DESCRIPTION, "description:\n", "descriptoin:\n"),
        "descriptoin: surface `descriptoin` is not known (did you mean `description`?)",
    ),
    "unknown template field": (
        replace(DESCRIPTION, "    body:", "    text:"),
        "description.young.text: field `text` is not known",
    ),
    "a claim": (
        replace(DESCRIPTION, "Trendy in its own way", "Waterproof"),
        f'{DESCRIPTION}:4: description.young: breaks the guardrail claims: "waterproof"',
    ),
    "undefined": (
        replace("prompts/en/copy-ad.j2", "{{ group.angle }}", "{{ group.angel }}"),
        "`group.angel` is not defined",
    ),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "a claim" else name for name in MISTAKES]
)
def test_a_mistake_is_shown_with_file_and_line(name: str, tmp_path: Path) -> None:
    folder = copy_of(SMART_DEVICES, tmp_path / "smart-devices")
    spoil, expected = MISTAKES[name]
    spoil(folder)
    found, problems = examine(folder)
    assert found is None
    assert any(expected in str(problem) for problem in problems), "\n".join(map(str, problems))


def test_a_broken_copy_file_does_not_make_its_templates_mistakes(tmp_path: Path) -> None:
    folder = copy_of(SMART_DEVICES, tmp_path / "smart-devices")
    replace("copy.yaml", "surfaces:", "surface:")(folder)
    assert {problem.file for problem in examine(folder)[1]} == {"copy.yaml"}


# -- the command -------------------------------------------------------------------------------------------------------

GOOD = {"title": "Smart Band, made to move", "body": "Workout recording and heart-rate monitoring for every session."}
BAD = {"title": "Smart Band, made to move", "body": "Workout recording, now 50% off for every session."}


@pytest.fixture(autouse=True)
def _checked(checked_playbooks: Path, tmp_path: Path) -> None:
    shutil.copytree(checked_playbooks, tmp_path / "checked")


def run(tmp_path: Path, *arguments: str, llm: str = "off", **environment: str) -> Result:
    chosen = ["--kind", "ad", "--product", "smart-band", "--group", "sports", "--lang", "en", "--llm", llm]
    names = {"ATTUNE_DATA_DIR": str(tmp_path), "ATTUNE_LLM_MODEL": "fake-1", **environment}
    return CliRunner(env=names).invoke(copy, [*chosen, *arguments])


def test_a_text_of_the_llm_that_passes_is_printed_with_its_model_tokens_and_verdicts(tmp_path: Path) -> None:
    with FakeLlm() as llm:
        llm.reply_with(200, chat(GOOD), {"Content-Type": "application/json"})
        result = run(tmp_path, llm=llm.base_url)
        shown = run(tmp_path, "--json", llm=llm.base_url)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"title: {GOOD['title']}",
        f"body: {GOOD['body']}",
        "  by llm (fake-1, 1 call(s), 100 + 20 tokens)",
        f"  guardrails: all {len(NAMES)} passed",
    ]
    [found] = json.loads(shown.stdout)
    assert (found["kind"], found["text"], found["generated_by"]) == ("ad", GOOD, "llm")
    assert [verdict["passed"] for verdict in found["verdicts"]] == [True] * len(NAMES)
    assert found["usage"]["input_tokens"] == 100
    assert found["playbook_version"] == playbook().version


def test_when_the_text_of_the_llm_does_not_pass_the_hand_written_one_stands_in_and_says_why(tmp_path: Path) -> None:
    with FakeLlm() as llm:
        llm.reply_with(200, chat(BAD), {"Content-Type": "application/json"})
        result = run(tmp_path, llm=llm.base_url)
    assert result.exit_code == 0, result.output
    assert "50%" not in result.stdout
    assert "by template (fake-1, 2 call(s), 200 + 40 tokens); the LLM's text was not used: guardrail" in result.stdout
    assert f"all {len(NAMES)} passed" in result.stdout


def test_texts_that_are_nearly_the_same_are_printed_once(tmp_path: Path) -> None:
    with FakeLlm() as llm:
        llm.reply_with(200, chat(GOOD), {"Content-Type": "application/json"})
        result = run(tmp_path, "--count", "3", llm=llm.base_url)
        calls = llm.requests[-3:]
    assert result.stdout.count("by llm") == 1
    assert "3 requested, 3 passed, 1 distinct" in result.stderr
    assert len({call["seed"] for call in calls}) == 3
    assert {call["temperature"] for call in calls} == {0.7}


def test_without_an_llm_every_product_group_and_language_still_has_copy(tmp_path: Path) -> None:
    result = run(tmp_path, "--product", "ear-tips", "--lang", "zh", "--kind", "description")
    assert result.exit_code == 0, result.output
    assert "耳机耳塞套" in result.stdout
    assert "by template; the LLM's text was not used: off" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--kind", "poem"), "no kind of copy poem. Hint: one of: description, ad"),
        (("--group", "generic"), "no target group generic. Hint: one of: sports, business, young"),
    ],
)
def test_what_the_playbook_does_not_have_is_refused_with_what_it_has(
    arguments: tuple[str, str], said: str, tmp_path: Path
) -> None:
    result = run(tmp_path, *arguments)
    assert result.exit_code == 78
    assert said in result.stderr


def test_a_playbook_without_copy_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, ATTUNE_PLAYBOOK=str(REES46))
    assert (result.exit_code, "(there is none)" in result.stderr) == (78, True)
