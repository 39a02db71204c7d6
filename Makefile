# Everything runs in .venv, which is made on first use and remade when pyproject.toml changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help study test slow bench lint types docs clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

# One stamp per extra, so that `make study` does not wait for the documentation tools.
.venv/.installed-%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

study: .venv/.installed-study  ## Run the brain-tumor study on phantom data
	$(BIN)/python examples/brain_tumor_study.py

# A worker for each core, but two at most: each holds a network of every family, up to 4 GB.
test: .venv/.installed-test  ## Run the tests, with branch coverage
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=worksteal \
		--cov --cov-report=term

slow: .venv/.installed-test  ## Run the slow tests
	$(BIN)/python -m pytest -m slow

bench: .venv/.installed-study  ## Measure what evaluations and maps cost: time, then memory
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/memory.py

lint: .venv/.installed-dev  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed-dev  ## Check types
	$(BIN)/mypy

docs: .venv/.installed-dev  ## Build the documentation; every warning is an error, every example runs
	$(BIN)/sphinx-build -n -T -W --keep-going -b html docs docs/_build/html
	$(BIN)/sphinx-build -n -T -W --keep-going -b doctest docs docs/_build/doctest

clean:  ## Remove what was made
	rm -rf .venv docs/_build docs/api/generated .pytest_cache .mypy_cache .ruff_cache .coverage
