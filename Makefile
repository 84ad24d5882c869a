# make demo        a study on real digits, from nothing to a report
# make test        the quick tests: about 10 minutes on two cores
# make test-slow   the other tests
# make check       what CI runs: these tests, ruff, mypy
# make test-long   tests for a release: simulations, hundreds of variants, what no run writes
.DEFAULT_GOAL := help
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1 \
	&& { echo $$p; break; }; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

.PHONY: help setup demo test test-slow test-long check check-style clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "ablate needs Python 3.11, 3.12 or 3.13; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 2; }
	@echo "setting up .venv with $(PYTHON) (torch is large: 5 GB, a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1' --constraint constraints.txt
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

demo: setup
	@$(BIN)/ablate run studies/digits.toml
	@$(BIN)/ablate report digits
	@echo
	@echo "Look at reports/digits/report.html in a browser. Then:"
	@echo "  . .venv/bin/activate"
	@echo "  ablate components                                  what a study can name"
	@echo "  ablate new study mine                              a study of your own to start from"
	@echo "  ablate run studies/cifar100_phases.toml --pilot    five phases on CIFAR-100, tried out in minutes"

test: setup
	@$(PYTEST) -m "not slow and not long"
	@echo
	@echo "The quick tests passed. Next: make demo, or README.md on how to write a study."

test-slow: setup
	@$(PYTEST) --dist=loadgroup -m "slow and not long"

test-long: setup
	@$(PYTEST) -m long

check: test test-slow check-style

check-style: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build dist
