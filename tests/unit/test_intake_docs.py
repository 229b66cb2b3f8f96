"""What docs/intake.md shows is taken, and says what the text around it claims."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.intake import record
from workers.core.intake.canonical.event_names import SYNONYMS
from workers.core.intake.canonical.rejections import REASONS
from workers.core.intake.mapping import Intake

PAGE = Path("docs/intake.md").read_text()
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
CONSENT = re.findall(r"```json\n(.*?)```", PAGE.split("## Consent")[1], re.DOTALL)


def events(example: str) -> list[dict[str, Any]]:
    mapped = Intake().map_record(record(example.encode()), datetime(2025, 1, 6, tzinfo=UTC))
    assert mapped.rejects == []
    return [json.loads(event.value) for event in mapped.events]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_becomes_events(example: str) -> None:
    assert events(example)


@pytest.mark.parametrize("example", [example for example in CONSENT if "denied" in example])
def test_a_no_in_each_format_is_a_consent_updated_of_ana(example: str) -> None:
    (no,) = [event for event in events(example) if event["userId"] == "ana"]
    assert (no["event"], no["userId"], no["timestamp"]) == ("Consent Updated", "ana", "2025-01-05T09:00:00Z")
    assert (no["properties"]["channel"], no["properties"]["status"]) == ("email", "denied")


def test_each_format_has_its_example_of_a_no() -> None:
    assert sum("denied" in example for example in CONSENT) == 5
    assert sum("categoryPreferences" in example for example in CONSENT) == 1


def test_the_opt_out_and_the_consent_state_of_mparticle_refuse_what_the_page_says() -> None:
    (example,) = [example for example in CONSENT if "consent_state" in example]
    state, opt_out = events(example)
    assert state["context"]["consent"]["categoryPreferences"] == {"marketing": False, "ccpa_data_sale": False}
    assert (opt_out["event"], opt_out["properties"]["status"]) == ("Consent Updated", "withdrawn")
    assert {one["timestamp"] for one in (state, opt_out)} == {"2025-01-05T09:00:00Z"}


def test_all_reasons_are_listed_and_no_other() -> None:
    listed = set(re.findall(r"^\| `([a-z_]+)` \| ", PAGE.split("## Refused")[1], re.MULTILINE))
    assert listed == REASONS


def test_the_names_that_are_listed_are_understood() -> None:
    assert {name for name in SYNONYMS if f"`{name}`" in PAGE} >= {"Viewed Product", "Placed Order", "Started Checkout"}
