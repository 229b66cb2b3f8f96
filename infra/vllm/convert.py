"""Converts a GGUF file to the safetensors folder that vLLM loads. Runs in vLLM's environment, not in Attune's.

`python -m infra.vllm.convert FILE.gguf FOLDER` writes FOLDER completely or not at all.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Converts the file named on the command line."""
    if len(sys.argv) != 3:
        sys.stderr.write("usage: python -m infra.vllm.convert FILE.gguf FOLDER\n")
        return 2
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
    return 0


def convert(gguf: Path, target: Path) -> None:
    """Dequantises `gguf` to bfloat16 and writes weights, configuration and tokenizer to `target`.

    Of several concurrent conversions, the first to finish is kept; the others leave nothing behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        _write(gguf, draft)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(gguf: Path, folder: Path) -> None:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Installed in vLLM's environment only, so mypy, which runs in Attune's, cannot resolve them.
    import torch  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415
    import transformers  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415

    source = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    quantization = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=quantization, dtype=torch.bfloat16
    )
    model.save_pretrained(folder)
    transformers.AutoTokenizer.from_pretrained(**source).save_pretrained(folder)


if __name__ == "__main__":
    sys.exit(main())
