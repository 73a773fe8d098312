# Every target sets up .venv by itself (PyPI only, no root). Another Python: make PYTHON=python3.12 hpl
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
EXTRAS ?= dev,mpi-wheel,plot
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install hpl test check lint bench gpu-test clean

help:  ## what each target does
	@echo "make TARGET [ARGS='...']"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else \
	  "flopbench needs Python 3.11 or newer, %s is %d.%d; name another: make PYTHON=python3.12" % (sys.executable, *v[:2]))'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $(READY)

install: ## set up .venv with flopbench in it, again if need be (after a new entry point, say)
	@rm -f $(READY)
	@$(MAKE) --no-print-directory $(READY)

hpl: $(READY) ## measure this machine's Rmax; more options: make hpl ARGS='--n 8000'
	@$(BIN)/flopbench hpl $(ARGS)

test: $(READY) ## all tests that need no GPU
	@$(BIN)/python -m pytest -q $(ARGS)

check: $(READY) ## the fast tests, under a minute
	@$(BIN)/python -m pytest -q -m "not slow and not mpi" $(ARGS)

lint: $(READY) ## ruff: style, imports, likely mistakes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

bench: $(READY) ## benchmarks of the kernels (pytest-benchmark); save with ARGS=--benchmark-autosave
	@$(BIN)/python -m pytest -q tests/bench --benchmark-only $(ARGS)

gpu-test: $(READY) ## what a GPU owner runs once: flopbench gpu-selftest
	@$(BIN)/flopbench gpu-selftest --json $(ARGS)

clean: ## remove .venv, caches and builds; records under results/ stay
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
