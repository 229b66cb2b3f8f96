"""Measures how often the target group of a text can be inferred from the text alone.

The classifier is multinomial naive Bayes over words (Latin) and pairs of characters (Chinese), with add-one smoothing
(Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, chapter 13). The words that name a group are
masked, and texts of one cell (the same campaign, product and channel) are never in both the training and the test set.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from math import log

import msgspec

from schemas.learning import Estimate
from workers.core.experimentation.intervals import wilson

_FOLDS = 10
_WORDS = re.compile(r"[a-z']+")
_HAN = re.compile(r"[\u3400-\u9fff]+")


class Labelled(msgspec.Struct, frozen=True):
    """A text, the group for which it was written, and its cell: texts of one cell differ in their group only."""

    text: str
    group: str
    cell: str


class Recovery(msgspec.Struct, frozen=True):
    """`share`: the fraction of `texts` assigned to their own group, with its 95 % interval; `chance`: the fraction that
    always guessing the most frequent group would reach.
    """

    texts: int
    share: Estimate
    chance: float


def recover(texts: Sequence[Labelled], masked: Iterable[str]) -> Recovery | None:
    """Returns how well the group can be inferred; None = the texts have fewer than two groups, or all are of one cell.

    `masked`: the words that reveal a group by name; they are removed from every text, ignoring case.
    """
    groups = Counter(text.group for text in texts)
    folds = [_fold(text.cell) for text in texts]
    if len(groups) < 2 or len(set(folds)) < 2:
        return None
    mask = re.compile(
        "|".join(sorted(map(re.escape, filter(None, masked)), key=len, reverse=True)) or r"(?!)", re.IGNORECASE
    )
    features = [_features(mask.sub(" ", text.text)) for text in texts]
    hits = 0
    for fold in sorted(set(folds)):
        training = [index for index, other in enumerate(folds) if other != fold]
        classifier = _Classifier([(texts[index].group, features[index]) for index in training])
        held_out = [index for index, other in enumerate(folds) if other == fold]
        hits += sum(classifier.predict(features[index]) == texts[index].group for index in held_out)
    return Recovery(len(texts), wilson(hits, len(texts)), max(groups.values()) / len(texts))


class _Classifier:
    """Naive Bayes trained on the given texts."""

    def __init__(self, texts: Sequence[tuple[str, Counter[str]]]) -> None:
        self._prior = Counter(group for group, _ in texts)
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        for group, features in texts:
            self._counts[group].update(features)
        self._vocabulary = len({feature for counts in self._counts.values() for feature in counts})
        self._totals = {group: sum(counts.values()) for group, counts in self._counts.items()}

    def predict(self, features: Counter[str]) -> str:
        """Returns the most probable group; ties go to the first by name."""
        return max(sorted(self._prior), key=lambda group: self._score(group, features))

    def _score(self, group: str, features: Counter[str]) -> float:
        counts, total = self._counts[group], self._totals[group] + self._vocabulary + 1
        likelihood = sum(times * log((counts[feature] + 1) / total) for feature, times in features.items())
        return log(self._prior[group]) + likelihood


def _features(text: str) -> Counter[str]:
    folded = text.casefold()
    pairs = (run[i : i + 2] for run in _HAN.findall(folded) for i in range(len(run) - 1))
    return Counter([*_WORDS.findall(folded), *pairs])


def _fold(cell: str) -> int:
    return blake2b(cell.encode(), digest_size=2).digest()[0] % _FOLDS
