# The daily commands. A clean clone needs make and a Python of 3.11 or newer, nothing else.
# PYTHON=... chooses the interpreter of a new .venv; ARGS=... is handed to serve, test, quick and proof.

VENV := .venv
BIN := $(VENV)/bin
E2E := tests/e2e
SDK := .venv-sdk
ARGS ?=
# Tests wait for processes more than they compute: three at a time, file by file, in the order
# of tests/conftest.py. They start Python a thousand times, so bytecode is kept. What they kill
# are processes, never the machine: where memory has room their files lie there, since half of
# a test's time is otherwise spent on waiting for a disk. `make proof` and `make bench` wait.
MEMORY := $(shell [ "$$(df -Pk /dev/shm 2>/dev/null | awk 'END { print $$4 + 0 }')" -gt 4000000 ] \
	&& echo TMPDIR=/dev/shm)
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(MEMORY) $(BIN)/python -m pytest \
	-n 3 --dist loadfile --no-loadscope-reorder
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock"
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup serve test quick check lint format types imports drift bench fuzz lock mutate npm proof sdk

help:
	@echo "make setup    the virtual environment, from hash-locked requirements"
	@echo "make serve    the server and its page, on http://127.0.0.1:4747 unless ARGS says else"
	@echo "make test     every test; what a missing tool prevents is skipped by name"
	@echo "make quick    the tests that are not marked slow"
	@echo "make check    format, lint, types, import contracts, generated schemas"
	@echo "make bench    every benchmark in benchmarks/, and docs/performance.md out of their results"
	@echo "make fuzz     requests out of the OpenAPI document, by schemathesis, against a real server"
	@echo "make proof    kills, drains and a bad network under load, and a checker of what all saw;"
	@echo "              ARGS=\"--minutes 20 --seed 7\" or ARGS=\"--kills 200\""
	@echo "make mutate   mutants of the lifecycle and the session against their own tests"
	@echo "make sdk      clients of providers that the tests drive in an environment of their own"
	@echo "make lock     write the lock files again from pyproject.toml and $(E2E)/package.json"

setup: $(VENV)/.dev

serve: $(VENV)/.run
	$(BIN)/safelight serve $(ARGS)

test: $(VENV)/.dev npm sdk
	$(PYTEST) $(ARGS)

quick: $(VENV)/.dev npm sdk
	$(PYTEST) -m "not slow" $(ARGS)

check: lint format types imports drift

lint: $(VENV)/.dev
	$(BIN)/ruff check

format: $(VENV)/.dev
	$(BIN)/ruff format --check --output-format concise

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo

drift: $(VENV)/.dev
	$(BIN)/safelight schema --check

bench: $(VENV)/.dev
	@failed=; for file in benchmarks/bench_*.py; do \
		name=$$(basename "$$file" .py); echo "== $$name"; \
		$(BIN)/python -m "benchmarks.$$name" || failed="$$failed $$name"; \
	done; \
	$(BIN)/python -m benchmarks.report; \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

fuzz: $(VENV)/.run
	.ci/fuzz

proof: $(VENV)/.dev
	$(BIN)/python -m tests.proof $(ARGS)

mutate: $(VENV)/.dev
	$(BIN)/python -m tests.mutation.run

lock: $(VENV)/.dev
	$(UV_COMPILE) --upgrade --group build -o requirements/run.lock pyproject.toml
	$(UV_COMPILE) --upgrade --extra s3 --extra openai --extra anthropic --extra gemini --group build --group dev -c requirements/run.lock \
		-o requirements/dev.lock pyproject.toml
	$(UV_COMPILE) --upgrade -o requirements/fuzz.lock requirements/fuzz.in
	$(UV_COMPILE) --upgrade --prerelease allow -o requirements/sdk.lock requirements/sdk.in
	cd $(E2E) && rm -f package-lock.json && npm install --package-lock-only

# What the server needs. Whatever is already right is left alone by pip.
$(VENV)/.run: requirements/run.lock pyproject.toml
	@$(BIN)/python -c "import pip" 2>/dev/null || { \
		python=$$(PYTHON="$(PYTHON)" .ci/find-python) && echo "new $(VENV) with $$python" && $$python -m venv $(VENV); }
	$(PIP) install --require-hashes -r requirements/run.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

# What the tests and checks need besides.
$(VENV)/.dev: $(VENV)/.run requirements/dev.lock
	$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@

# The npm packages of the tests, where there is an npm; without them those tests skip by name.
npm:
	@if ! command -v npm >/dev/null 2>&1; then \
		echo "There is no npm here: tests that need Node packages are skipped by name."; \
	elif [ ! $(E2E)/node_modules/.package-lock.json -nt $(E2E)/package-lock.json ]; then \
		(cd $(E2E) && npm ci --no-progress) || { rm -rf $(E2E)/node_modules; \
		echo "npm ci failed: tests that need Node packages are skipped by name."; }; \
	fi

# A provider's next client, which cannot stand beside its present one; without an index the
# tests that drive it are skipped by name.
sdk:
	@if [ ! requirements/sdk.lock -ot $(SDK)/.done ]; then \
		{ $(BIN)/python -m venv $(SDK) && $(SDK)/bin/pip --disable-pip-version-check --quiet \
			install --require-hashes -r requirements/sdk.lock && touch $(SDK)/.done; } || \
		{ rm -rf $(SDK); echo "$(SDK) cannot be made: tests that need it are skipped by name."; }; \
	fi
