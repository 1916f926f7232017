# `make demo` and `make test` do everything on a fresh machine, the environment included, and do the set-up once.
# Another interpreter: make test PYTHON=/path/to/python3.12. Real data for tests and checks: export INTERESTLAB_DATA=/folder.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
VENV := .venv
PY := $(VENV)/bin/python
CODE := datamodules lightning_modules experiments
WORKERS ?= 2
ROWS ?=
COMPOSES := tests/house/test_every_yaml.py
CHECKS := demo beauty movielens accuracy axis resume sweep tune ddp explain laws errors ci

# Workers share the cores: one thread each, or they spin against each other.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-slow first lint types format imports bench clean $(addprefix check-,$(CHECKS))

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
	@echo "check-NAME      makes the numbers of docs/ anew; NAME: $(CHECKS)"

demo: $(VENV)/.demo ## a table of seven recommenders on simulated data (minutes)
	$(PY) -m experiments.demo

test: first lint types imports ## everything that continuous integration runs
	$(ONE_THREAD) $(PY) -m pytest -n $(WORKERS) --dist loadfile -m "not slow" --ignore=$(COMPOSES) tests

test-all: first ## the tests that take minutes too
	$(ONE_THREAD) $(PY) -m pytest -n $(WORKERS) --dist loadfile tests

test-slow: first ## only the tests that take minutes
	$(ONE_THREAD) $(PY) -m pytest -n $(WORKERS) --dist loadfile -m slow tests

# What fails cheaply fails first: every file compiles, every test is found, every YAML composes.
first: $(VENV)/.test
	$(PY) -m compileall -q $(CODE) tests benchmarks
	$(ONE_THREAD) $(PY) -m pytest -q --collect-only tests > $(VENV)/collected.txt || { cat $(VENV)/collected.txt; exit 1; }
	@tail -n 1 $(VENV)/collected.txt
	$(ONE_THREAD) $(PY) -m pytest -q $(COMPOSES)

lint: $(VENV)/.test ## ruff: rules and layout
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV)/.test ## let ruff lay the code out
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(VENV)/.test ## mypy
	$(PY) -m mypy

imports: $(VENV)/.test ## the import contracts of pyproject.toml
	$(VENV)/bin/lint-imports --no-logo

bench: $(VENV)/.test ## how much faster than ordinary code: make bench ROWS="ml100k_full share_mind"
	$(PY) -m benchmarks.bench $(ROWS)

$(addprefix check-,$(CHECKS)): check-%: $(VENV)/.test
	$(PY) -m benchmarks.check_$*

$(PY):
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found; install one, or name it: make test PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install --quiet -c constraints.txt -e ".[demo]"
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(PY)
	$(PY) -m pip install --quiet -c constraints.txt -e ".[test]"
	@touch $@ $(VENV)/.demo

clean: ## remove the environment and the caches (runs and data stay)
	rm -rf $(VENV) *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find $(CODE) tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
