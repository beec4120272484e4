# Everything needs only Python >= 3.11 and, the first time, a package index.
#
#   make demo    from nothing to a fitted, scored and compared model of real people
#   make test    everything that has to pass: style, import contracts, types, all tests
#   make check   the same without the slow tests, for while you work
#
# Installations leave a stamp in .venv and are repeated only when what they depend on changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Two processes that each use one core are faster than one that fights over both.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test check lint imports types fast slow clean

demo: $(VENV)/installed
	$(BIN)/humansoft demo

test: check slow

check: lint imports types fast

lint: $(VENV)/tested
	$(BIN)/ruff check .

imports: $(VENV)/tested
	$(BIN)/lint-imports

types: $(VENV)/tested
	$(BIN)/mypy

fast: $(VENV)/tested
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu"

# The fast tests have checked shapes.
slow: $(VENV)/tested
	JAXTYPING_DISABLE=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "slow and not gpu" tests

$(VENV)/created:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "pip>=25.1"
	touch $@

# Editable: the command and the tests see every later change of the source without another installation.
$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(PIP) install -c constraints.txt --group test
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
