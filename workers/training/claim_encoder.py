"""The claim checker as a PyTorch model: a small BERT-type encoder with two heads, and its batches."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from workers.adapters.claims.encoding import encode
from workers.training.base_encoder import BaseEncoder, Floats
from workers.training.claim_passes import IGNORED, Pass
from workers.training.claims_corpus import LABELS

_DROPOUT = 0.1


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """B passes of at most T tokens, F facts and S sentences, padded.

    `ids`, `kinds` (0 before the sentences, 1 in them): [B, T]; `mask`: [B, T], true for tokens; `fact_pool` [B, F, T] and
    `sentence_pool` [B, S, T]: each row averages the tokens of its span, or is zero; `labels` [B, S], IGNORED where there is no
    sentence; `evidence` [B, S, F], 1 where a sentence uses or violates a fact; `known` [B, S, F], 1 where both exist.
    """

    ids: Tensor
    kinds: Tensor
    mask: Tensor
    fact_pool: Tensor
    sentence_pool: Tensor
    labels: Tensor
    evidence: Tensor
    known: Tensor


def batch(tokenizer: Tokenizer, passes: Sequence[Pass]) -> Batch:
    """Encodes passes and pads them to the longest."""
    encoded = [encode(tokenizer, one.facts, one.sentences) for one in passes]
    length = max(len(one.ids) for one in encoded)
    facts = max(len(one.facts) for one in encoded)
    sentences = max(len(one.sentences) for one in encoded)
    shape = len(passes), length
    ids, kinds = np.ones(shape, np.int64), np.zeros(shape, np.int64)
    mask = np.zeros(shape, bool)
    fact_pool = np.zeros((len(passes), facts, length), np.float32)
    sentence_pool = np.zeros((len(passes), sentences, length), np.float32)
    labels = np.full((len(passes), sentences), IGNORED, np.int64)
    evidence = np.zeros((len(passes), sentences, facts), np.float32)
    known = np.zeros_like(evidence)
    for row, (one, source) in enumerate(zip(encoded, passes, strict=True)):
        ids[row, : len(one.ids)] = one.ids
        mask[row, : len(one.ids)] = True
        kinds[row, one.sentences[0][0] : len(one.ids)] = 1
        for index, (begin, end) in enumerate(one.facts):
            fact_pool[row, index, begin:end] = 1 / (end - begin)
        for index, (begin, end) in enumerate(one.sentences):
            sentence_pool[row, index, begin:end] = 1 / (end - begin)
            labels[row, index] = source.labels[index]
            evidence[row, index, [fact for fact in source.evidence[index] if fact < len(one.facts)]] = 1
            known[row, index, : len(one.facts)] = source.labels[index] != IGNORED
    arrays = (ids, kinds, mask, fact_pool, sentence_pool, labels, evidence, known)
    return Batch(**dict(zip(Batch.__struct_fields__, map(torch.from_numpy, arrays), strict=True)))


class ClaimEncoder(nn.Module):
    """Two outputs: `labels` [B, S, 4], in the order of claims_corpus.LABELS, and `evidence` [B, S, F], both as logits.

    The embeddings of words stay as they are, in 8 bits with a scale for each word: what was not seen in training keeps its
    meaning beside what was.
    """

    def __init__(self, base: BaseEncoder, words: Floats, layers: int) -> None:
        super().__init__()
        scale = np.abs(words).max(axis=1, keepdims=True) / 127 + 1e-12
        self.register_buffer("words", torch.from_numpy(np.round(words / scale).astype(np.int8)))
        self.register_buffer("scale", torch.from_numpy(scale.astype(np.float32)))
        hidden = base.hidden
        self.positions = nn.Parameter(_tensor(base, "emb.pos"))
        kind = _tensor(base, "emb.type")[0]
        self.kinds = nn.Parameter(torch.stack([kind, kind]))
        self.norm = _norm(base, "emb.ln")
        self.layers = nn.ModuleList(_Layer(base, f"l{index}") for index in range(layers))
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.judge = nn.Sequential(
            nn.Linear(4 * hidden, hidden), nn.GELU(), nn.Dropout(_DROPOUT), nn.Linear(hidden, len(LABELS))
        )

    def forward(
        self, ids: Tensor, kinds: Tensor, mask: Tensor, fact_pool: Tensor, sentence_pool: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Shapes as in Batch."""
        places = torch.arange(ids.shape[1])
        states = self.words[ids].float() * self.scale[ids] + self.positions[places] + self.kinds[kinds]
        states = functional.dropout(self.norm(states), _DROPOUT, self.training)
        away = torch.where(mask, 0.0, -1e4)[:, None, None, :]
        for layer in self.layers:
            states = layer(states, away)
        facts, sentences = fact_pool @ states, sentence_pool @ states
        evidence = self.query(sentences) @ self.key(facts).transpose(1, 2) * facts.shape[-1] ** -0.5
        exists = fact_pool.sum(2)[:, None, :] > 0
        used = torch.softmax(torch.where(exists, evidence, -1e4), 2) @ facts
        seen = torch.cat([sentences, used, sentences * used, (sentences - used).abs()], 2)
        return self.judge(seen), evidence


class _Layer(nn.Module):
    """A layer of BERT: attention and a feed-forward net, each with its sum and norm behind it."""

    def __init__(self, base: BaseEncoder, name: str) -> None:
        super().__init__()
        self.heads = base.heads
        self.q, self.k, self.v = (_linear(base, f"{name}.{part}") for part in "qkv")
        self.attended = _linear(base, f"{name}.ao")
        self.attended_norm = _norm(base, f"{name}.aln")
        self.inner, self.outer = _linear(base, f"{name}.fi"), _linear(base, f"{name}.fo")
        self.outer_norm = _norm(base, f"{name}.oln")

    def forward(self, states: Tensor, away: Tensor) -> Tensor:
        rows, length, hidden = states.shape

        def split(part: Tensor) -> Tensor:
            return part.view(rows, length, self.heads, -1).transpose(1, 2)

        q, k, v = split(self.q(states)), split(self.k(states)), split(self.v(states))
        weights = torch.softmax(q @ k.transpose(2, 3) * (hidden // self.heads) ** -0.5 + away, 3)
        attended = (weights @ v).transpose(1, 2).reshape(rows, length, hidden)
        states = self.attended_norm(states + self._dropped(self.attended(attended)))
        inner = functional.gelu(self.inner(states))
        return self.outer_norm(states + self._dropped(self.outer(inner)))

    def _dropped(self, states: Tensor) -> Tensor:
        return functional.dropout(states, _DROPOUT, self.training)


def _tensor(base: BaseEncoder, name: str) -> Tensor:
    return torch.from_numpy(base.tensors[name].copy())


def _linear(base: BaseEncoder, name: str) -> nn.Linear:
    weight = _tensor(base, f"{name}.w")
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight = nn.Parameter(weight)
    linear.bias = nn.Parameter(_tensor(base, f"{name}.b"))
    return linear


def _norm(base: BaseEncoder, name: str) -> nn.LayerNorm:
    norm = nn.LayerNorm(base.hidden, eps=1e-12)
    norm.weight, norm.bias = nn.Parameter(_tensor(base, f"{name}.w")), nn.Parameter(_tensor(base, f"{name}.b"))
    return norm


def loss(labels: Tensor, evidence: Tensor, truth: Batch) -> Tensor:
    """Cross-entropy of the labels, and a third of that of the evidence."""
    of_labels = functional.cross_entropy(
        labels.flatten(0, 1).float(), truth.labels.flatten(), ignore_index=IGNORED, label_smoothing=0.05
    )
    each = functional.binary_cross_entropy_with_logits(evidence.float(), truth.evidence, reduction="none")
    of_evidence = (each * truth.known).sum() / truth.known.sum().clamp(min=1)
    return of_labels + of_evidence / 3
