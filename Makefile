# Everything runs in .venv, which is made on first use and brought up to date when pyproject.toml
# changes. Another Python has a folder of its own:
#     make test PYTHON=python3.13 VENV=.venv-3.13
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := -m pip install --quiet --disable-pip-version-check

.PHONY: help study test oldest slow oracle mutants bench lint types docs notebooks dist release clean

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

# One stamp per extra, so that `make study` does not wait for the documentation tools.
$(VENV)/.installed-%: pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -e '.[$*]'
	@touch $@

study: $(VENV)/.installed-study  ## Run the brain-tumor study on phantom data
	$(BIN)/python examples/brain_tumor_study.py

# A worker for each core, but two at most: each holds a network of every family, up to 4 GB.
test: $(VENV)/.installed-test  ## Run the tests, with branch coverage
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=worksteal \
		--cov --cov-report=term

# The lowest Python and the lowest versions that pyproject.toml declares.
FLOOR := python$(shell sed -n 's/^requires-python = ">=\(.*\)"$$/\1/p' pyproject.toml)

.venv-oldest/.installed: pyproject.toml .ci/oldest.py
	@test -x .venv-oldest/bin/python || $(FLOOR) -m venv .venv-oldest
	$(FLOOR) .ci/oldest.py > .venv-oldest/constraints.txt
	.venv-oldest/bin/python $(PIP) -c .venv-oldest/constraints.txt -e '.[test]'
	@touch $@

# What these versions warn of as deprecated is in one another, and nobody mends it. The source, the
# pages, the script of the page and the notebooks are the same with all versions; the study that is
# run with them is that of test_study.py.
SAME := tests/test_package.py tests/test_words.py tests/test_docs.py tests/test_mutants.py \
	tests/test_imports.py tests/test_names_in_examples.py tests/cli/test_manual.py \
	tests/report/test_browser.py tests/report/test_in_chromium.py \
	tests/examples/test_notebooks.py tests/examples/test_study_frozen.py \
	tests/examples/test_study_runs.py

oldest: .venv-oldest/.installed  ## Run the tests with the lowest versions that are declared
	.venv-oldest/bin/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=worksteal \
		-W ignore::DeprecationWarning $(addprefix --ignore=,$(SAME))

slow: $(VENV)/.installed-test  ## Run the slow tests
	$(BIN)/python -m pytest -m slow

# The other libraries have a folder of their own, so that the versions in $(VENV) stay as they are. It
# reads torch and all else from there, by a .pth file.
ORACLE := $(VENV)-oracle
PACKAGES := -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

$(ORACLE)/.installed: $(VENV)/.installed-test
	@test -x $(ORACLE)/bin/python || $(BIN)/python -m venv $(ORACLE)
	$(BIN)/python $(PACKAGES) > "$$($(ORACLE)/bin/python $(PACKAGES))/base.pth"
	$(ORACLE)/bin/python $(PIP) -e '.[oracle]'
	@touch $@

OF_OTHERS := tests/methods/test_oracles.py tests/methods/test_attention.py \
	tests/methods/test_coming_from.py \
	tests/metrics/test_oracles.py tests/metrics/test_arcc.py tests/networks/test_foreign_networks.py \
	tests/networks/test_named.py tests/networks/test_weights.py tests/cli/test_any_network.py \
	tests/training

oracle: $(ORACLE)/.installed  ## Compare with other libraries, and run with their networks
	$(ORACLE)/bin/python -m pytest --numprocesses=auto --maxprocesses=2 --dist=worksteal $(OF_OTHERS)

# A fault is caught if a test fails. The working tree is not changed.
mutants: $(VENV)/.installed-test  ## Apply faults to a copy of the source: tests must catch 95 %
	PYTHONPATH=tests $(BIN)/python -m mutants.run --jobs 2

bench: $(VENV)/.installed-study  ## Measure what evaluations and maps cost: start, time, memory, large tables
	$(BIN)/python benchmarks/start.py --runs 3
	$(BIN)/python benchmarks/evaluation.py --history benchmarks/history.csv
	$(BIN)/python benchmarks/targets.py
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/memory.py --network resnet18 --batch 16
	$(BIN)/python benchmarks/scale.py

lint: $(VENV)/.installed-dev  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev  ## Check types
	$(BIN)/mypy

# Its examples run with the tests.
docs: $(VENV)/.installed-dev  ## Build the documentation; every warning is an error
	$(BIN)/sphinx-build -n -T -W --keep-going -b html docs docs/_build/html

notebooks: $(VENV)/.installed-notebooks  ## Run the notebooks, and store their outputs
	$(BIN)/python .ci/notebooks.py

dist: $(VENV)/.installed-release  ## Build sdist and wheel; check metadata, contents and README
	$(BIN)/python .ci/release.py --dist

release: $(VENV)/.installed-release  ## The same, and try the wheel in a new environment
	$(BIN)/python .ci/release.py

clean:  ## Remove what was made
	rm -rf .venv .venv-* build dist docs/_build docs/generated docs/api/generated .pytest_cache .mypy_cache .ruff_cache .coverage
