# make study    a first study, from a fresh clone to the best trial
# make test     what is checked at every change: ruff, mypy, contracts and the tests, in minutes
# make test-slow    longer tests: kills at every moment, thousands of random configurations
# make test-postgres    studies on a PostgreSQL server that the tests start
# make test-browser     the report and the dashboard in Chromium, which must be installed
# PYTHON=python3.12 names another interpreter, VENV=DIR another place for the environment.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TESTABLE := $(VENV)/.installed-test
WITH_POSTGRES := $(VENV)/.installed-postgres
WITH_BROWSER := $(VENV)/.installed-browser
SLOW := slow and not gpu and not postgres and not browser

.DEFAULT_GOAL := help
.PHONY: help study test test-slow test-postgres test-browser lint clean

help:
	@echo "make study   create the quickstart study, run its 20 trials, say how to browse it"
	@echo "make test    ruff, mypy, import contracts and the tests"
	@echo "make test-slow   the tests that take long, in twenty minutes"
	@echo "make test-postgres   studies on a PostgreSQL server, whose programs must be installed"
	@echo "make test-browser   the report and the dashboard in Chromium, which must be installed"
	@echo "make lint    ruff, mypy and import contracts alone"
	@echo "make clean   remove the environment and the caches of tools; studies stay"

study: $(INSTALLED)
	$(BIN)/optdet study create
	$(BIN)/optdet study run quickstart --trials 20
	@echo "browse: $(BIN)/optdet dashboard"

test: lint
	$(BIN)/pytest

test-slow: $(TESTABLE)
	$(BIN)/pytest -m "$(SLOW)" --dist worksteal

# Without the slow ones, which stop the server at every kind of write in two more ways.
test-postgres: $(WITH_POSTGRES)
	$(BIN)/pytest -m "postgres and not slow"

test-browser: $(WITH_BROWSER)
	$(BIN)/pytest -m browser

lint: $(TESTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "error: $(PYTHON) is missing or older than 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# Installed again only when what is required may have changed.
$(INSTALLED): setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing optdet into $(VENV): torch makes this a long download the first time"
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(TESTABLE): setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing optdet[test] into $(VENV): torch makes this a long download the first time"
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	@touch $@ $(INSTALLED)

$(WITH_POSTGRES): $(TESTABLE)
	$(BIN)/python -m pip install --quiet --editable ".[test,postgres]"
	@touch $@

$(WITH_BROWSER): $(TESTABLE)
	$(BIN)/python -m pip install --quiet --editable ".[test,browser]"
	@touch $@
