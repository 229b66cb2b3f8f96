"""Trains the claim checker, and measures it on trades that it was not trained on."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import torch
from tokenizers import Tokenizer

from workers.training import base_encoder, vocabulary
from workers.training.calibration import auc
from workers.training.claim_encoder import ClaimEncoder, batch, loss
from workers.training.claim_passes import SUPPORTED, Pass, composed_passes, true_passes
from workers.training.claims_corpus import Example, read, trades

log = logging.getLogger(__name__)


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """`left_out`: trades that are only measured on. `layers`: of the base's 12, counted from the first. `seed`: of everything."""

    left_out: list[str]
    layers: int = 6
    epochs: int = 7
    batch_size: int = 16
    learning_rate: float = 1.5e-4
    seed: int = 7


def train(recipe: Recipe, folder: Path, weights: Path | None = None) -> tuple[ClaimEncoder, Tokenizer]:
    """Trains, or goes on from the checkpoint in `folder`, which is written after each epoch.

    Returns the model, ready to be asked, and its tokenizer.
    """
    base = base_encoder.read(weights or base_encoder.find())
    tokenizer, words = vocabulary.cut(base)
    torch.manual_seed(recipe.seed)
    model = ClaimEncoder(base, words, recipe.layers)
    examples = [example for trade in trades() if trade not in recipe.left_out for example in read(trade)]
    per_epoch = len(composed_passes(examples, random.Random(recipe.seed))) // recipe.batch_size + 1
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=int(1.1 * per_epoch * recipe.epochs) + 10, pct_start=0.1
    )
    checkpoint = folder / "checkpoint.pt"
    done = _resume(checkpoint, recipe, model, optimiser, schedule)
    held_out = [example for trade in recipe.left_out for example in read(trade)]
    for epoch in range(done, recipe.epochs):
        began_s = time.monotonic()
        passes = composed_passes(examples, random.Random(recipe.seed * 1000 + epoch))
        lost = _one_epoch(model, tokenizer, passes, recipe, optimiser, schedule)
        _save(checkpoint, recipe, epoch + 1, model, optimiser, schedule)
        told = f", AUC {auc(*score(model, tokenizer, held_out)):.3f}" if held_out else ""
        log.info("epoch %d: loss %.3f, %.0f s%s", epoch + 1, lost, time.monotonic() - began_s, told)
    return model.eval(), tokenizer


def _one_epoch(
    model: ClaimEncoder,
    tokenizer: Tokenizer,
    passes: list[Pass],
    recipe: Recipe,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """Returns the mean loss of a batch. Passes of like length are in one batch, so that little is padded."""
    model.train()
    by_length = sorted(passes, key=lambda one: sum(map(len, (*one.facts, *one.sentences))))
    batches = [by_length[i : i + recipe.batch_size] for i in range(0, len(by_length), recipe.batch_size)]
    random.Random(len(passes)).shuffle(batches)
    total = 0.0
    for one in batches:
        truth = batch(tokenizer, one)
        with torch.autocast("cpu", torch.bfloat16):
            labels, evidence = model(truth.ids, truth.kinds, truth.mask, truth.fact_pool, truth.sentence_pool)
        lost = loss(labels, evidence, truth)
        optimiser.zero_grad()
        lost.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += lost.item()
    return total / len(batches)


def score(model: ClaimEncoder, tokenizer: Tokenizer, examples: Sequence[Example]) -> tuple[list[float], list[float]]:
    """Returns the probabilities of being false (of the false sentences, of the others), asked with all facts."""
    model.eval()
    false: list[float] = []
    others: list[float] = []
    passes = true_passes(examples)
    for start in range(0, len(passes), 32):
        part = passes[start : start + 32]
        asked = batch(tokenizer, part)
        with torch.inference_mode():
            labels, _ = model(asked.ids, asked.kinds, asked.mask, asked.fact_pool, asked.sentence_pool)
        shares = torch.softmax(labels, 2)[:, :, SUPPORTED + 1 :].sum(2)
        for row, one in enumerate(part):
            for index, label in enumerate(one.labels):
                (false if label > SUPPORTED else others).append(float(shares[row, index]))
    return false, others


def _resume(
    checkpoint: Path,
    recipe: Recipe,
    model: ClaimEncoder,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Returns the number of epochs that are done. A checkpoint of another recipe is left alone, and written over later."""
    if not checkpoint.exists():
        return 0
    saved = torch.load(checkpoint, weights_only=True)
    if saved["recipe"] != msgspec.json.encode(recipe).decode():
        return 0
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    torch.set_rng_state(saved["random"])
    return int(saved["epochs"])


def _save(
    checkpoint: Path,
    recipe: Recipe,
    epochs: int,
    model: ClaimEncoder,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    """Writes beside the old checkpoint and renames: one that was interrupted leaves the old one whole."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    saved = {
        "recipe": msgspec.json.encode(recipe).decode(),
        "epochs": epochs,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "schedule": schedule.state_dict(),
        "random": torch.get_rng_state(),
    }
    partial = checkpoint.with_suffix(".partial")
    torch.save(saved, partial)
    partial.replace(checkpoint)
