# make run: set up, then the whole job on the bundled recordings, offline (examples/cliptune.yaml).
# make test: set up, then lint, types and tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OUT ?= out/example
# A dataset that an earlier version has left here is replaced; in a folder that someone named, nothing is.
REPLACE = $(if $(filter out/example,$(OUT)),--prepare.overwrite)

.PHONY: run test coverage sweeps test-clients test-dataflow test-airflow test-cluster bench bench-peers fuzz bombs kills mutants setup lint format types docs schemas lock clean

run: $(READY)
	@$(BIN)/python -m cliptune run examples/cliptune.yaml --output $(OUT) $(REPLACE) >/dev/null

# The coverage, the whole and the files below 95 %, costs almost nothing from Python 3.12 on, and as much again before:
# there, `make coverage` asks for it.
COVERAGE ?= $(shell $(PYTHON) -c 'import sys; print("--cov --cov-report=" if sys.version_info >= (3, 12) else "")')
test: $(READY) lint types
	$(BIN)/python -m pytest -m "not sweep and not cluster" --numprocesses=auto --maxprocesses=2 --dist=worksteal $(COVERAGE)
ifneq ($(strip $(COVERAGE)),)
	@$(BIN)/coverage report --skip-covered --sort=cover | awk '$$NF + 0 < 95 || /^TOTAL/'
endif

coverage:
	@$(MAKE) test COVERAGE="--cov --cov-report="

# Kills at every step, changes at every moment, every value at every place: what takes minutes, and runs in CI.
sweeps: $(READY)
	$(BIN)/python -m pytest -m sweep --numprocesses=auto --maxprocesses=2 --dist=worksteal

# The tests that talk through Google's clients, with the oldest that setup.py allows and the newest there are, each set in
# an environment of its own below .clients: CONTRIBUTING.md.
test-clients: $(READY)
	@$(BIN)/python -m tests.clients $(CLIENTS)

# Launches on a fake of the Dataflow service that executes what is staged, in environments of its own below .dataflow.
test-dataflow: $(READY)
	@$(BIN)/python -m tests.dataflow.environments
	$(BIN)/python -m pytest tests/dataflow --dataflow --timeout=900 --override-ini=faulthandler_timeout=1200

# The DAG of examples/airflow in a real Airflow, in an environment of its own below .airflow, and below Airflow's services.
test-airflow: $(READY)
	@$(BIN)/python -m tests.airflow.environments
	@$(BIN)/python -m tests.dataflow.environments
	$(BIN)/python -m pytest tests/airflow --airflow --timeout=900 --override-ini=faulthandler_timeout=1200

# A Flink cluster, fetched into .cluster by Maven; its processes are killed while they work: docs/flink.md, CONTRIBUTING.md.
test-cluster: $(READY)
	@$(BIN)/python -m tests.cluster

# What prepare costs beside bare library calls and other tools: docs/performance.md. SIZE=small is a part of it, in minutes.
SIZE ?= full
ROUNDS ?= 5
bench: $(READY)
	@$(BIN)/python -m benchmarks.performance $(SIZE) $(ROUNDS)

# The other tools, each in an environment of its own below .bench.
bench-peers: $(READY)
	@$(BIN)/python -m benchmarks.peers.environments

# Files, rows and tasks files, damaged at random; `make test` tries a thousand. SEED=… tries the same ones again.
SEED ?= $(shell date +%s)
MUTANTS ?= 100000
fuzz: $(READY)
	$(BIN)/python -m pytest tests/fuzz --fuzz=$(MUTANTS) --seed=$(SEED) --numprocesses=2 --dist=worksteal -q -rP

# The real command over manifests and recordings that would take all memory or time, with its peak; `make test` tries the
# quick ones.
bombs: $(READY)
	$(BIN)/python -m pytest tests/beam_pipeline/test_bombs.py tests/beam_pipeline/test_audio_bombs.py --bombs --timeout=3600 -q -rP

# Real commands, killed at random moments and run to their end, in a folder and in a bucket; `make test` kills a few.
KILLS ?= 300
kills: $(READY)
	@$(BIN)/python -m tests.kills $(KILLS) $(SEED)

# Changes the code that keeps the promises, bit by bit, and looks whether a test notices: docs/mutants.md.
mutants: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[mutants]'
	rm -rf mutants
	$(BIN)/mutmut run --max-children 2
	@$(BIN)/python -m tests.mutants

setup: $(READY)

# The lock decides every version; the project itself is installed without asking an index again.
$(READY): setup.py requirements.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Cliptune needs Python 3.11 or newer; set PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format:
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types:
	$(BIN)/mypy

# What the docs list of the code: a test compares.
docs: schemas
	$(BIN)/python -m cliptune.tables .

schemas: $(READY)
	$(BIN)/python -m cliptune.schemas docs/schemas

# Resolves setup.py's ranges afresh and writes down what came out. Two packages differ: Beam asks for another
# google-apitools from Python 3.13 on, and pocketsphinx has wheels of another version for 3.12.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet '.[test]'
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude cliptune \
	  | sed '/^google-apitools==/d; /^pocketsphinx==/d' > requirements.lock
	printf '%s\n' 'google-apitools==0.5.31; python_version < "3.13"' \
	  'google-apitools==0.5.35; python_version >= "3.13"' \
	  'pocketsphinx==5.1.1; python_version != "3.12" and python_version < "3.14"' \
	  'pocketsphinx==5.0.4; python_version == "3.12" and platform_machine != "aarch64"' >> requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) out build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .clients .dataflow .cluster .airflow
