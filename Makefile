# Each target sets up what it needs; a second call does not install again.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SNAKE  := .venv-workflow/bin/snakemake
PRESET ?= cpu
# On a GPU any Python will do that has what is needed: the one that is named, else .venv's, else python3.
MEASURE = $(if $(filter file,$(origin PYTHON)),$(or $(wildcard $(BIN)/python),$(PYTHON)),$(PYTHON))
# A process per core, one thread each: several processes of several threads would wait for each other.
THREADS ?= 1
SPREAD := OMP_NUM_THREADS=$(THREADS) $(BIN)/python -m pytest -n auto

.DEFAULT_GOAL := help
.PHONY: help setup vendor book pdf test test-fast check bench gpu record slurm lint clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## a virtual environment in .venv with everything, pinned (about 2 minutes, once)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another one: make PYTHON=python3.12 setup"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[book,test,pdf,check]"
	@touch $@
	@echo "ready: source $(BIN)/activate"

vendor: $(READY)  ## math and widgets from npm into book/_assets/vendor, so that the pages need no network
	@$(BIN)/python book/_ext/vendor.py

book: $(READY)  ## the report as HTML, chapters executed; ends with the path of its first page
	@$(BIN)/python book/_ext/vendor.py --if-possible
	$(BIN)/jupyter-book build . $(BOOKFLAGS)
	@echo "open: $$PWD/_build/html/book/intro.html"

pdf: $(READY)  ## the report as PDF, printed by Chromium
	@$(BIN)/python book/_ext/pdf.py --find-browser
	@$(BIN)/python book/_ext/vendor.py --if-possible
	$(BIN)/jupyter-book build . --builder singlehtml $(BOOKFLAGS)
	@$(BIN)/python book/_ext/pdf.py

test: $(READY)  ## all tests but those in a browser
	$(SPREAD) $(TESTFLAGS)

test-fast: $(READY)  ## tests that take no time (about 2 minutes), without chapters, builds and trainings
	$(SPREAD) -m "not slow and not gpu and not browser" $(TESTFLAGS)

check: pdf book  ## what was built, in a real browser: links, console, network, accessibility, PDF
	@command -v npm >/dev/null || { echo "npm is needed for axe-core and html-validate: install Node.js 20 or newer"; exit 1; }
	npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --loglevel error
	$(SPREAD) tests/browser

bench: $(READY)  ## the selective scan against its peers, interleaved (under 10 minutes, BENCHFLAGS=--quick 3); RECORD=1 keeps the result
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python -m lib.experiments.ssm_scan $(if $(RECORD),--record) $(BENCHFLAGS)

gpu:  ## what everything costs on a GPU, in under 10 minutes, resumable; sets up nothing: PYTHON=... names one with torch
	@$(MEASURE) -m lib.experiments gpu $(GPUFLAGS)

record: $(READY) $(SNAKE)  ## all records, job by job, resumable: PRESET=cpu or gpu (hours), or smoke (minutes, replaces none)
	$(SNAKE) -s workflow/Snakefile --cores all --resources machine=1 --rerun-incomplete --config preset=$(PRESET) python="$(BIN)/python" $(SNAKEFLAGS)

slurm: $(READY) $(SNAKE)  ## the workflow on a Slurm of one node, a job killed and taken up again; needs root and Slurm
	$(BIN)/python -m pytest tests/cluster

$(SNAKE): workflow/constraints.txt
	$(PYTHON) -m venv .venv-workflow
	.venv-workflow/bin/python -m pip install --quiet --disable-pip-version-check -r workflow/constraints.txt
	@touch $@

lint: $(READY)  ## style and format, nothing is changed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove the built book and every cache; the environment stays
	rm -rf _build .pytest_cache .ruff_cache *.egg-info
	find . -path "./$(VENV)" -prune -o -name __pycache__ -type d -exec rm -rf {} +
