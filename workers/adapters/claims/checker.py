"""Runs the trained claim checker with onnxruntime, on one thread. No PyTorch is needed."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from workers.adapters.claims.encoding import Encoded, encode
from workers.core.errors import Misconfigured
from workers.core.guardrails.grounding.claim_judge import Judgement, Stated

#: Of the files' layout and the order of inputs and outputs; a file of another version is not used.
FORMAT = 1
SHIPPED = Path(__file__).parent / "model"
MODEL, TOKENIZER, CARD = "checker.onnx", "tokenizer.json", "card.json"
_STATED: tuple[Stated, ...] = get_args(Stated)
_REMEMBERED = 4096
Floats = npt.NDArray[np.float32]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What the checker is. `sha256`: file → hash; `metrics`, `trained_on` and `limits` are for people.

    `weights`: of a logistic model over the checker's own log odds (`checker`), a constant (`bias`), and each of claim_judge.HINTS
    that holds.
    """

    format: int
    version: str
    sha256: dict[str, str]
    weights: dict[str, float]
    licence: str
    trained_on: dict[str, Any]
    metrics: dict[str, Any]
    limits: list[str]


class ClaimChecker:
    """The checker in memory (a ClaimJudge). Equal questions are answered from the last 4,096 answers."""

    def __init__(self, folder: Path = SHIPPED) -> None:
        """Raises Misconfigured if a file is missing, damaged or of another version."""
        self.card = read_card(folder)
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(folder / MODEL), options, providers=["CPUExecutionProvider"])
        self._answers: OrderedDict[tuple[tuple[str, ...], tuple[str, ...]], list[Judgement]] = OrderedDict()

    def judge(self, facts: Sequence[str], sentences: Sequence[str]) -> list[Judgement]:
        """See ClaimJudge."""
        question = tuple(facts), tuple(sentences)
        if (known := self._answers.get(question)) is not None:
            self._answers.move_to_end(question)
            return known
        answer = self._ask(*question)
        self._answers[question] = answer
        if len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return answer

    def calibrated(self, false: float, hints: Collection[str]) -> float:
        """See ClaimJudge."""
        weights = self.card.weights
        bounded = min(max(false, 1e-6), 1 - 1e-6)
        odds = weights["bias"] + weights["checker"] * math.log(bounded / (1 - bounded))
        odds += sum(weights.get(name, 0.0) for name in hints)
        return 1 / (1 + math.exp(-odds))

    def _ask(self, facts: tuple[str, ...], sentences: tuple[str, ...]) -> list[Judgement]:
        encoded = encode(self._tokenizer, facts, sentences)
        if not encoded.sentences:
            return []
        labels, evidence = self._session.run(None, inputs(encoded))
        shares = _softmax(labels[0])
        answer = []
        for index, sentence in enumerate(sentences[: len(encoded.sentences)]):
            nearest = int(evidence[0, index].argmax()) if encoded.facts else 0
            answer.append(
                Judgement(
                    sentence=sentence,
                    false=float(shares[index, 2:].sum()),
                    states=_STATED[int(shares[index].argmax())],
                    fact=facts[nearest] if facts else "",
                )
            )
        return answer


def inputs(encoded: Encoded) -> dict[str, npt.NDArray[Any]]:
    """Returns the model's inputs for one text: `ids` and `kinds` [1, T], `fact_pool` [1, F, T], `sentence_pool` [1, S, T]."""
    length = len(encoded.ids)
    kinds = np.zeros((1, length), np.int64)
    kinds[0, encoded.sentences[0][0] :] = 1
    return {
        "ids": np.array([encoded.ids], np.int64),
        "kinds": kinds,
        "fact_pool": _pool(encoded.facts, length),
        "sentence_pool": _pool(encoded.sentences, length),
    }


def _pool(spans: list[tuple[int, int]], length: int) -> Floats:
    """Returns one row a span that averages its tokens."""
    pool = np.zeros((1, len(spans), length), np.float32)
    for index, (begin, end) in enumerate(spans):
        pool[0, index, begin:end] = 1 / (end - begin)
    return pool


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def read_card(folder: Path) -> Card:
    """Returns the card, after its files were held against it. Raises Misconfigured naming the first that does not fit."""
    try:
        card = msgspec.json.decode((folder / CARD).read_bytes(), type=Card)
        found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL, TOKENIZER)}
    except (OSError, msgspec.DecodeError) as error:
        raise Misconfigured(
            f"The claim checker in {folder} cannot be read: {error}.", "attune train checker"
        ) from error
    if card.format != FORMAT:
        raise Misconfigured(f"The claim checker in {folder} has format {card.format}.", f"this version reads {FORMAT}")
    for name, expected in card.sha256.items():
        if found.get(name) != expected:
            raise Misconfigured(f"{folder / name} is not the file of its card.", "install it again: it is damaged")
    return card
