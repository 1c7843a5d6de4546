# Everything runs in a virtual environment of the project's own; PYTHON and VENV can be overridden.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Processes that share the tests; give more cores more of them.
WORKERS ?= 2

.PHONY: demo test test-fast lint bench faults api lock audit sbom install clean

demo: install
	$(BIN)/winninghand demo --out runs/demo

test: install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

test-fast: install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m "not slow"

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks

# What a release is measured by; give FAULTS="mutate --cases 1000" or the like for less.
faults: install
	$(BIN)/python -m benchmarks.faults $(FAULTS)

# The versions that are tested: write them down, look for known weaknesses of theirs, list them for others.
lock: install
	$(BIN)/python tools/packages.py lock requirements-tested.txt

audit: install
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --no-deps --disable-pip --requirement requirements-tested.txt

sbom: install
	mkdir -p dist
	$(BIN)/python tools/packages.py sbom dist/winninghand.cdx.json

api: install
	$(BIN)/python docs/make_api.py docs/api

install: $(INSTALLED)

# The constraints keep the CPU build of torch: an unpinned one brings gigabytes of CUDA libraries.
$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[development]'
	# Only its frost textures are read, so none of what it needs to be imported.
	$(BIN)/python -m pip install --quiet --no-deps imagecorruptions==1.1.2
	touch $@

clean:
	rm -rf $(VENV) dist build docs/api
