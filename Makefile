# Everything runs in a virtual environment of the project's own; PYTHON and VENV can be overridden.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)-tools/bin
NETWORKS := $(VENV)-networks

# Processes that share the tests; give more cores more of them.
WORKERS ?= 2

.PHONY: demo test test-fast test-networks test-ray lint bench faults api report-pictures lock audit sbom install clean

demo: install
	$(BIN)/winninghand demo --out runs/demo

test: install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

test-fast: install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m "not slow"

# With timm, torchvision and transformers, in an environment of its own: 6 GB.
test-networks: $(NETWORKS)/.installed
	$(NETWORKS)/bin/pytest -rs tests/networks tests/compression/test_foreign_networks.py \
		tests/cli/test_whole_road.py

# With Ray, which it installs: a cluster on this machine, whose nodes and driver are killed. Minutes.
test-ray: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]'
	$(BIN)/pytest -rs tests/studies/test_ray.py

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: install
	$(BIN)/python -m benchmarks

# What a release is measured by; give FAULTS="mutate --cases 1000" or the like for less.
faults: install
	$(BIN)/python -m benchmarks.faults $(FAULTS)

# The versions that are tested, without the build they are of (+cpu).
lock: install
	{ echo "# The versions that all tests were last run with: $$($(BIN)/python -c 'import platform as p; \
	print("Python", p.python_version(), "on", p.system(), p.machine())'). Written by make lock."; \
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > requirements-tested.txt

# What is listed with a reason for being skipped was not checked: the service of advisories does not know it.
audit: $(TOOLS)
	$(TOOLS)/pip-audit --no-deps --disable-pip --progress-spinner off --requirement requirements-tested.txt

sbom: install $(TOOLS)
	mkdir -p dist
	$(TOOLS)/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --short-PURLs \
		--output-reproducible --output-file dist/winninghand.cdx.json $(BIN)/python

# Apart from the project's own packages, whose versions they would change.
$(TOOLS):
	$(PYTHON) -m venv $(VENV)-tools
	$(TOOLS)/python -m pip install --quiet cyclonedx-bom pip-audit

# The documents' pictures of a report; RESULTS is the folder of a study. It needs Chromium.
RESULTS ?= studies/cifar10-cpu
PICTURES ?= docs/report
report-pictures: install
	$(BIN)/python docs/make_report_pictures.py $(RESULTS) $(PICTURES)

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

# The build of torch that the others need: torchvision does not import beside the CPU build of 2.13.
$(NETWORKS)/.installed: pyproject.toml constraints-networks.txt
	test -x $(NETWORKS)/bin/python || $(PYTHON) -m venv $(NETWORKS)
	$(NETWORKS)/bin/python -m pip install --quiet --constraint constraints-networks.txt torch torchvision
	$(NETWORKS)/bin/python -m pip install --quiet --constraint constraints-networks.txt \
		--editable '.[development,timm,torchvision,transformers]'
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-networks $(VENV)-tools dist build docs/api
