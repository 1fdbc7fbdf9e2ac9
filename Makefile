# `make` lists what there is to make: the lines that end in ## and a description.
PYTHON ?= python3
PORT ?= 8000
HOST ?= 127.0.0.1
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
export PORT HOST

.DEFAULT_GOAL := help
# The suite's lanes; see `test`.
LANES := test-postgres test-portal test-integrations test-agent test-cases test-browser
.PHONY: help run setup setup-integrations check format lint types migrations imports one test-fast test $(LANES) bench fuzz gpu-check lock audit sbom clean

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

# The packages that the integrations are for, apart from everything else: 2.6 GB, with PyTorch.
.venv-integrations/ready: tests/integrations/requirements.txt agent/pyproject.toml agent/src/traceml_agent/version.py
	@test -x .venv-integrations/bin/python || $(PYTHON) -m venv .venv-integrations
	@echo "Installing the packages that the integrations are for …"
	@.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check -r tests/integrations/requirements.txt
	@.venv-integrations/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-integrations/codecarbon-3.2.8 codecarbon==3.2.8
	@touch $@

setup-integrations: .venv-integrations/ready  ## install the packages that the integrations are for, 2.6 GB, into .venv-integrations

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

one: .venv/ready-dev  ## one test, file or folder: T=tests/api/test_tokens.py, and K="revoked" to choose by name
	@test -n "$(T)" || { echo 'Say which: make one T=tests/api/test_tokens.py::test_an_expired_token_is_refused'; exit 2; }
	$(PYTEST) $(T) $(if $(K),-k "$(K)")

# Left out: what starts servers, browsers and trainings, and walks over everything there is.
SLOW := $(addprefix tests/,backup benchmarks browser cases demo fuzz integrations postgres serving whole ingest/test_stress.py) \
	$(addprefix tests/agent/,commands delivery watching test_fuzz.py test_package.py test_promises.py test_track.py) \
	$(addprefix tests/screens/test_,edges.py hostile_names.py links_find.py list_sizes.py query_strings.py) \
	$(addprefix tests/site/test_,admin_parameters.py admin_walk.py walk.py)
test-fast: .venv/ready-dev  ## the tests that take a fraction of a second each: a few minutes in all
	$(PYTEST) $(SLOW:%=--ignore=%)

# The suite in lanes, the longest first; so many run at once on two cores, as the agent's two mostly wait. One that ends
# makes room for the next, and what a lane says comes in one piece when it ends (where make is 4.0 or newer).
AT_ONCE ?= 3
test: check  ## the whole suite, as CI runs it; each lane also by itself: test-portal, test-agent, test-cases, …
	@$(MAKE) --no-print-directory --keep-going --jobs=$(AT_ONCE) $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) $(LANES)

BESIDE := tests/agent tests/browser tests/cases tests/integrations
test-portal: .venv/ready-dev
	$(PYTEST) $(BESIDE:%=--ignore=%)

test-agent test-cases test-browser test-integrations: test-%: .venv/ready-dev
	$(PYTEST) tests/$*

test-integrations: .venv-integrations/ready

# Without what makes its databases by itself, whatever DATABASE_URL says.
test-postgres: .venv/ready-dev
ifdef TEST_DATABASE_URL
	DATABASE_URL=$(TEST_DATABASE_URL) $(PYTEST) $(patsubst %,--ignore=%,$(BESIDE) tests/backup tests/postgres tests/serving)
else ifdef CI
	@echo "TEST_DATABASE_URL is not set, and in CI the suite must run on PostgreSQL too"; exit 1
else
	@echo "Left out: the suite on PostgreSQL (set TEST_DATABASE_URL=postgres://… to run it)."
endif

comma := ,
bench: .venv/ready-dev  ## the benchmarks, about an hour and a half; PARTS=process,calls for some
	$(BIN)/python -m tests.benchmarks --write $(subst $(comma), ,$(PARTS))

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
	rm -rf .venv .venv-integrations data build
