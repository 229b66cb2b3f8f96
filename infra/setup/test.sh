#!/usr/bin/env bash
# Every test. In CI a missing system package is installed, or fails; elsewhere what is skipped is named at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash infra/setup/system-packages.sh # first: the set-up itself needs them
make --no-print-directory .venv/.dev
if command -v java >/dev/null && command -v mvn >/dev/null; then
  make --no-print-directory kafka-jars
fi # else the tests that need Kafka are skipped by name (tests/conftest.py); in CI it was installed above, or failed
if [ "${CI:-}" = "true" ] || [ "${ATTUNE_TEST_ALL:-}" = "1" ] || [ "${ATTUNE_SKIP_VLLM:-0}" != "1" ]; then
  make --no-print-directory setup-vllm
fi
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
if [ $# -gt 0 ]; then
  exec .venv/bin/pytest -ra "$@"
fi
.venv/bin/pytest -ra -n 2 tests/unit tests/properties tests/field tests/fuzz tests/simulation
# These have servers of their own and mostly wait for them; a file's tests share theirs. The order is that of tests/conftest.py.
.venv/bin/pytest -ra --durations=40 -n 4 --dist loadfile --no-loadscope-reorder tests/contract tests/e2e tests/faults tests/functional tests/integration
exec .venv/bin/python -m tests.faults.table
