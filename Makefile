# `make` lists what there is to make: the lines that end in ## and a description.
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
BIN := .venv/bin
export PORT HOST

.DEFAULT_GOAL := help
.PHONY: help run setup check format lint types migrations imports one test-fast test bench fuzz gpu-check lock audit sbom clean

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup  ## set up, measure a small training, serve the portal on 127.0.0.1:8000
	@exec $(BIN)/python -m traceml_site.demo

setup: .venv/ready  ## install what the portal needs into .venv

.venv/ready: requirements.lock agent/pyproject.toml agent/src/traceml_agent/version.py agent/examples/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TraceML needs Python 3.11 or newer: PYTHON=python3.12 make …")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what the portal and the example need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e ./agent
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r agent/examples/requirements.txt
	@touch $@

.venv/ready-dev: .venv/ready requirements-dev.txt
	@echo "Installing what the tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

check: lint types migrations imports  ## all checks that take less than a minute: style, types, migrations, imports

format: .venv/ready-dev  ## bring the code into its format, and repair what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/ready-dev
	$(BIN)/mypy traceml_site runs hardware agent/src

# A database in memory, so that a checkout without one gets none.
migrations: .venv/ready-dev
	DATABASE_URL=sqlite://:memory: DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run

imports: .venv/ready-dev
	$(PYTEST) tests/site/test_imports.py

# The portal's suite on SQLite with the browser tests; beside it the agent's, which mostly waits for processes, and then
# the portal's on PostgreSQL where TEST_DATABASE_URL names a server.
AGENTS := tests/agent tests/cases
OTHERS := $(foreach folder,$(AGENTS),--ignore=$(folder))
# These make databases of both kinds by themselves, so the pass on PostgreSQL leaves them out.
ONCE := --ignore=tests/backup
PYTEST := $(BIN)/python -m pytest -q
ifdef TEST_DATABASE_URL
ON_POSTGRES := DATABASE_URL=$(TEST_DATABASE_URL) $(PYTEST) -m "not browser" $(OTHERS) $(ONCE)
else ifdef CI
ON_POSTGRES := ! echo "make test: TEST_DATABASE_URL is not set, and in CI the suite must run on PostgreSQL too"
else
ON_POSTGRES := echo "Left out: the suite on PostgreSQL (set TEST_DATABASE_URL=postgres://… to run it)."
endif
test: check  ## the whole suite, as CI runs it
	@log=$$(mktemp); { $(PYTEST) $(AGENTS); agents=$$?; $(ON_POSTGRES) && exit $$agents; } >$$log 2>&1 & beside=$$!; \
	$(PYTEST) $(OTHERS); portal=$$?; \
	wait $$beside; beside=$$?; cat $$log; rm $$log; exit $$((portal + beside))

bench: .venv/ready-dev  ## the benchmarks, about an hour; PARTS="process calls" for some
	$(BIN)/python -m tests.benchmarks --write $(PARTS)

# As many generated requests, half to pages and half to the API, others each time; on PostgreSQL by DATABASE_URL.
REQUESTS ?= 10000
fuzz: .venv/ready-dev  ## generated requests to pages and API; REQUESTS=10000 for how many
	REQUESTS=$(REQUESTS) $(BIN)/python -m pytest -q tests/fuzz

# What requirements.txt needs in all, each with its hashes: after a change of it, and to take updates of the rest.
lock: .venv/ready-dev  ## write requirements.lock anew from requirements.txt
	$(BIN)/uv pip compile --quiet requirements.txt --no-emit-package traceml-agent --universal --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --python-version 3.11 --output-file requirements.lock

# Known weaknesses of what is locked, where the index tells of them; and a bill of materials in build/.
audit: .venv/ready-dev  ## known weaknesses of the locked dependencies
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --disable-pip --require-hashes -r requirements.lock

sbom: .venv/ready-dev  ## a bill of materials in build/
	mkdir -p build
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements.lock --output-reproducible \
		--output-format JSON --output-file build/sbom.json

# Four minutes on a machine with an NVIDIA GPU, by whichever Python has torch; installs and downloads nothing.
gpu-check:  ## compare the energy counter of this machine's NVIDIA GPU with its power readings
	@PYTHONPATH=agent/src:. $(PYTHON) -m tests.benchmarks.gpu_check $(WRITE)

clean:  ## delete .venv, data and build
	rm -rf .venv data build
