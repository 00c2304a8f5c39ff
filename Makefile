# make setup   environment in .venv, kernels compiled
# make demo    the main job on data that ships; prints where the report is
# make check   lint, types, layers, fast tests
# make test    everything a change must pass
# make bench, make simulations   speed beside the peers; bias and coverage (slow, not part of make test)
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
OUT ?= results
# One thread for BLAS: sums come out in one order, so tables are the same byte for byte.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1

.PHONY: setup demo check test lint docs bench simulations clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "constraints.txt is for Python 3.11, found " + sys.version.split()[0] + "; run: make PYTHON=/path/to/python3.11 ...")'
	test -x build/uv/bin/uv || { $(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	test -x $(BIN)/python || build/uv/bin/uv venv --quiet --python $(PYTHON) $(VENV)
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$${PIP_FIND_LINKS:-}}" build/uv/bin/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e ".[all,dev]"
	$(BIN)/python -m dxa_causal._core.jit
	touch $@

demo: setup
	$(BIN)/dxa-causal run analyses/01_first_light/study.toml --out $(OUT)/first_light

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/python -m pytest -q -n 2 -m "not slow"

test: lint docs
	$(BIN)/python -m pytest -q -n 2

docs: setup
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

bench: setup
	for part in survival survival_two evaluation learners imputation mendelian_randomisation clumping coloc texture; do $(BIN)/python -m tests.benchmarks.$$part || exit 1; done

simulations: setup
	$(BIN)/python -m tests.simulations.known_effect
	for part in survival interval_censoring parametric multi_state illness_death evaluation calibration imputation selection mendelian_randomisation multivariable_mr loci overlap densitometry; do \
		$(BIN)/python -m tests.simulations.$$part || exit 1; done

clean:
	rm -rf build $(VENV) $(OUT) docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
