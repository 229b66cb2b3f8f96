"""Writes a trained claim checker as the workers read it: ONNX in 8 bits, tokenizer and card."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from tokenizers import Tokenizer
from torch import Tensor, nn

from workers.adapters.claims.checker import CARD, FORMAT, MODEL, TOKENIZER, Card
from workers.training.claim_encoder import ClaimEncoder

_INPUTS, _OUTPUTS = ("ids", "kinds", "fact_pool", "sentence_pool"), ("labels", "evidence")


class _OneText(nn.Module):
    """The model without the mask: one text has no padding."""

    def __init__(self, model: ClaimEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, kinds: Tensor, fact_pool: Tensor, sentence_pool: Tensor) -> tuple[Tensor, Tensor]:
        """See ClaimEncoder."""
        labels, evidence = self.model(ids, kinds, torch.ones_like(ids, dtype=torch.bool), fact_pool, sentence_pool)
        return labels, evidence


def write(model: ClaimEncoder, tokenizer: Tokenizer, folder: Path, **about: Any) -> Card:
    """Writes the files into `folder` and returns their card. `about`: its other fields."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = folder / "checker.fp32.onnx"
    example = (
        torch.ones(1, 12, dtype=torch.int64),
        torch.zeros(1, 12, dtype=torch.int64),
        torch.full((1, 3, 12), 1 / 12),
        torch.full((1, 2, 12), 1 / 12),
    )
    axes = {"ids": {1: "T"}, "kinds": {1: "T"}, "fact_pool": {1: "F", 2: "T"}, "sentence_pool": {1: "S", 2: "T"}}
    torch.onnx.export(
        _OneText(model).eval(),
        example,
        str(whole),
        input_names=list(_INPUTS),
        output_names=list(_OUTPUTS),
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    quantize_dynamic(
        whole, folder / MODEL, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8
    )
    whole.unlink()
    onnx.checker.check_model(str(folder / MODEL))
    tokenizer.save(str(folder / TOKENIZER), pretty=False)
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL, TOKENIZER)}
    version = hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:12]
    card = Card(format=FORMAT, version=version, sha256=hashes, **about)
    write_card(card, folder)
    return card


def write_card(card: Card, folder: Path) -> None:
    """Writes the card of the files in `folder`."""
    (folder / CARD).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
