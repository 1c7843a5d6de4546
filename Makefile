# Everything runs in a virtual environment of the project's own; PYTHON and VENV can be overridden.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TOOLS := $(VENV)-tools/bin
RELEASE := $(VENV)-release
NETWORKS := $(VENV)-networks
ROBUSTBENCH := $(VENV)-robustbench

# Processes that share the tests; give more cores more of them.
WORKERS ?= 2

.PHONY: demo test test-fast test-large test-networks test-robustbench test-ray lint docs bench faults report-pictures lock audit sbom release release-dry-run install clean

demo: install
	$(BIN)/winninghand demo --out runs/demo

test: install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

test-fast: install
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal -m "not slow"

# What takes minutes: a made-up ImageNet, streamed to two processes.
test-large: install
	$(BIN)/pytest -m large

# With timm, torchvision and transformers, in an environment of its own: 6 GB.
test-networks: $(NETWORKS)/.installed
	$(NETWORKS)/bin/pytest -rs tests/networks tests/compression/test_foreign_networks.py \
		tests/cli/test_whole_road.py

# Each corruption entry of RobustBench for CIFAR, of its own class, in an environment of its own: 6 GB, and 3 GB
# of memory. The networks of torchvision's names, too.
test-robustbench: $(ROBUSTBENCH)/.installed
	$(ROBUSTBENCH)/bin/pytest -rs tests/cards/test_every_robustbench_entry.py tests/cards/test_import_robustbench.py \
		tests/networks/test_torchvision_weights.py

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

# Wheel and source distribution, checked and tried on each Python that is at hand (PYTHONS="PATH PATH" for others), a
# tag, and notes: all in dist/. Nothing is published.
release: $(RELEASE)/.installed
	$(RELEASE)/bin/python -m release --python $(PYTHONS)

# The same, without a tag, and in spite of what stands against a release.
release-dry-run: $(RELEASE)/.installed
	$(RELEASE)/bin/python -m release --dry-run --python $(PYTHONS)

$(RELEASE)/.installed:
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet build cffconvert pyyaml twine
	touch $@

# The documents' pictures of a report; RESULTS is the folder of a study, or a page. It needs Chromium.
RESULTS ?= studies/cifar10-cpu
PICTURES ?= docs/report
report-pictures: install
	$(BIN)/python docs/make_report_pictures.py $(RESULTS) $(PICTURES)

# The site, in site/. The cells of its notebooks call the command of this environment.
docs: install
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/sphinx-build -W --keep-going -b html docs site

install: $(INSTALLED)

# The constraints keep the CPU build of torch: an unpinned one brings gigabytes of CUDA libraries.
$(INSTALLED): pyproject.toml constraints.txt
	# It fetches PyTorch and much beside it, without a word: some minutes.
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

# Of RobustBench only the classes of networks are imported, so none of what attacks and downloads need; nor the
# old timm that it asks for. Its package has a folder of tests that would hide the project's.
$(ROBUSTBENCH)/.installed: pyproject.toml constraints-networks.txt
	test -x $(ROBUSTBENCH)/bin/python || $(PYTHON) -m venv $(ROBUSTBENCH)
	$(ROBUSTBENCH)/bin/python -m pip install --quiet --constraint constraints-networks.txt torch torchvision
	$(ROBUSTBENCH)/bin/python -m pip install --quiet --constraint constraints-networks.txt \
		--editable '.[development,timm,torchvision]'
	$(ROBUSTBENCH)/bin/python -m pip install --quiet --no-deps robustbench==1.1.1 geotorch==0.4.0 torchdiffeq==0.2.5
	rm -r "$$($(ROBUSTBENCH)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/tests"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-networks $(VENV)-robustbench $(VENV)-tools $(RELEASE) dist build docs/api docs/_build jupyter_execute site
