# Everything runs in a virtual environment of the project's own; PYTHON and VENV can be overridden.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# Processes that share the tests; give more cores more of them.
WORKERS ?= 2

.PHONY: demo test test-fast lint bench api install clean

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
