# streampilot: every target sets itself up, into .venv, from the lock file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SEED ?= 1
BARS := brokers_per_core catch_up commits disk_per_sample drain failover ingest metadata moves promql recovery scale spot start store_absent unknown_users
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help setup demo demo-seeds test check clients client-tools share-groups eos interop interop-plans promql fuzz kill lose-everything powerloss upgrade chaos agent-faults bill-buckets plants bars s3-gateway bench profile screens docs lock clean

help: ## list the targets, a line each
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "streampilot needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) from requirements-dev.lock" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## install everything into .venv

demo: $(STAMP) ## a live cluster with planted problems, diagnosed and repaired (SEED=N)
	@$(BIN)/streampilot demo --seed $(SEED)

demo-seeds: $(STAMP) ## the demo over 20 seeds: findings must equal the plants, both ways
	@$(BIN)/python -m tests.demo_seeds

test: $(STAMP) ## all tests, with reduced forms of the heavy suites
	@$(BIN)/python -m pytest -n 4 --dist worksteal

check: $(STAMP) ## lint, types, import floors, docs in step, duplicate ids
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.docs_in_step

clients: $(STAMP) ## a grid of real clients and what they do, against three brokers (ARGS=; installs kcat by apt, Kafka's jars by Maven)
	@command -v kcat >/dev/null || { echo "installing kcat, a Debian package" >&2; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq kcat >/dev/null; }
	@$(BIN)/python -m tests.clients.prepare
	@$(BIN)/python -m tests.clients.matrix $(ARGS)

share-groups: $(STAMP) ## Java's share consumer against three brokers, one of them killed half way (ARGS=; from Maven; needs Java)
	@$(BIN)/python -m tests.clients.prepare
	@$(BIN)/python -m tests.clients.share $(ARGS)

client-tools: $(STAMP) ## Apache Kafka's command line tools against three brokers with ACLs (ARGS=; from Maven; needs Java)
	@$(BIN)/python -m tests.clients.prepare
	@$(BIN)/python -m tests.clients.tools $(ARGS)

fuzz: $(STAMP) ## bad frames and forged batches for every API and version of a real broker (SEED= FRAMES=10000 per API)
	@$(BIN)/python -m tests.fuzz.run --seed $(SEED) --frames $(or $(FRAMES),10000)

interop: $(STAMP) ## streampilot on a real Apache Kafka of three brokers: JMX exporter, SCRAM, TLS, ACLs (from Maven; needs Java)
	@$(BIN)/python -m tests.interop.run

interop-plans: $(STAMP) ## plans approved on a real Apache Kafka of three brokers: throttled moves, kills, rollback (from Maven; needs Java)
	@$(BIN)/python -m tests.interop.plans

eos: $(STAMP) ## exactly once: consume, transform, produce while brokers and clients are killed (MINUTES= SEED= CELL= CLIENT=java)
	@test "$(CLIENT)" != java || $(BIN)/python -m tests.clients.prepare
	@$(BIN)/python -m tests.eos.run --minutes $(or $(MINUTES),10) $(if $(CELL),--cell $(CELL)) $(if $(CLIENT),--client $(CLIENT)) $(if $(filter command line environment,$(origin SEED)),--seed $(SEED))

promql: $(STAMP) ## the PromQL compliance queries, here and in a real Prometheus 2.42 (installs it by apt; SEED=)
	@command -v prometheus >/dev/null || { echo "installing prometheus, a Debian package" >&2; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends prometheus >/dev/null; }
	@$(BIN)/python -m tests.promql.differential --seed $(SEED) $(ARGS)

kill: $(STAMP) ## kill -9 of a broker during production, twenty times
	@$(BIN)/python -m tests.faults.kill

lose-everything: $(STAMP) ## kill all brokers and delete their disks: bucket and database bring everything back
	@$(BIN)/python -m tests.faults.lose_everything

powerloss: $(STAMP) ## power cuts: what was not synced is dropped or torn (POINTS= SEED= PLANT= WAL=)
	@$(BIN)/python -m tests.powerloss.run --points $(or $(POINTS),200) --seed $(SEED) --plant $(or $(PLANT),none) --wal $(or $(WAL),disk)

upgrade: $(STAMP) ## a cluster of the previous release becomes this one under load, and one step back (needs the git history)
	@$(BIN)/python -m tests.upgrade.rolling

chaos: $(STAMP) ## three brokers under every fault, in four cells (ROUNDS= SECONDS_EACH= SEED= CELL=; a full disk needs root)
	@$(BIN)/python -m tests.chaos.run $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS_EACH),--seconds-each $(SECONDS_EACH)) $(if $(filter command line environment,$(origin SEED)),--seed $(SEED)) $(addprefix --cell ,$(CELL))

agent-faults: $(STAMP) ## the agent's promises, broken on purpose: kills, damaged files, a full disk (root), clocks, bombs (NAME=)
	@$(BIN)/python -m tests.faults.agent.run $(NAME)

bill-buckets: $(STAMP) ## a bill in Azurite and in fake-gcs-server, read as the agent reads it (from npm and Go's proxy; needs both)
	@$(BIN)/python -m tests.buckets.run

plants: $(STAMP) ## plant nine bugs in the broker: the chaos checker must find each
	@$(BIN)/python -m tests.chaos.plants

bars: $(STAMP) ## one promised figure, measured (BAR=moves ARGS=...; without BAR= the list)
	@test -n "$(BAR)" || { echo "give one: make bars BAR=moves; there are $(BARS)" >&2; exit 2; }
	@$(BIN)/python -m tests.bars.$(BAR) $(ARGS)

s3-gateway: ## build an S3 server for the bars that moto is too slow for (needs Go)
	@command -v go >/dev/null || { echo "install Go first: the gateway comes from its module proxy" >&2; exit 2; }
	@GOBIN=$(CURDIR)/.work/bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

bench: $(STAMP) ## speed beside Tansu and Apache Kafka (ARGS="--rounds 7 --loads raw"; see docs/benchmarks.md)
	@$(BIN)/python -m tests.bench $(ARGS)

profile: $(STAMP) ## where a broker's core goes, by function, for each raw load (ARGS="--batches 16 --write")
	@$(BIN)/python -m tests.bench.profile $(ARGS)

screens: $(STAMP) ## make the screenshots of the README from the live TUI
	@$(BIN)/python -m tests.screens

docs: $(STAMP) ## regenerate what is generated in docs/
	@$(BIN)/python -m tests.docs_in_step --write
	@$(BIN)/python -m tests.support_matrix

lock: $(STAMP) ## resolve the lock files again
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11 pyproject.toml --extra demo --extra postgres -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --python-version 3.11 pyproject.toml --extra demo --extra postgres --group dev -c requirements.lock -o requirements-dev.lock

clean: ## remove what the targets made
	rm -rf $(VENV) .work demo-report.json .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
