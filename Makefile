# The only entry points, the same at the desk and in CI: demo test bench lint build clean.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
KERNELS = $(wildcard pythanos/_*.pyx pythanos/_*.pxd pythanos/_*.h)

.PHONY: demo test bench lint build clean

# A virtual environment with the package in place; the kernels are built beside their sources, by the next rule.
$(VENV)/.installed: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --upgrade pip "setuptools>=77" "cython>=3.2" "numpy>=2.0"
	PYTHANOS_EXT=none $(BIN)/pip install -q --no-build-isolation --config-settings editable_mode=compat -e .
	touch $@

$(VENV)/.kernels: $(VENV)/.installed $(KERNELS)
	$(BIN)/python setup.py -q build_ext --inplace
	$(BIN)/python -m compileall -q pythanos
	touch $@

$(VENV)/.tested: $(VENV)/.kernels
	PYTHANOS_EXT=none $(BIN)/pip install -q --no-build-isolation --config-settings editable_mode=compat -e ".[test,bench]"
	touch $@

# A bucket of made-up metrics on the local disk, and everything in one process on it.
# DEMO_DIR, DEMO_HTTP_PORT: where. DEMO_CHECK=1: ask three queries, compare the answers, end.
demo: $(VENV)/.kernels
	$(BIN)/pythanos demo $(if $(DEMO_DIR),--dir "$(DEMO_DIR)") $(if $(DEMO_HTTP_PORT),--http-port "$(DEMO_HTTP_PORT)") \
		$(if $(DEMO_CHECK),--check)

test: $(VENV)/.tested
	$(BIN)/python -m pytest

bench: $(VENV)/.tested
	$(BIN)/python -m bench

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layering.py tests/test_tidy.py

build: $(VENV)/.tested
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) build dist *.egg-info pythanos/_*.so pythanos/_*.c pythanos/_*.cpp
