# Two commands matter: `make run` opens the dashboard, `make test` proves the code. Both are safe to repeat.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev browser run test check bench

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
PY := $(VENV)/bin/python
export SHOPPER_ATLAS_HOME ?= $(CURDIR)/workspace
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# install(requirements file, stamp): pip runs only when the requirements, the constraints or the interpreter changed.
define install
	wanted=$$(cat requirements.txt constraints.txt $(1) <($(PY) -VV) | cksum); \
	if [ "$$(cat $(VENV)/$(2) 2>/dev/null)" = "$$wanted" ]; then exit 0; fi; \
	echo "Installing $(1) into $(VENV) (several minutes the first time)"; \
	$(PY) -m pip install --quiet --requirement $(1); \
	echo "$$wanted" > $(VENV)/$(2)
endef

# apt(packages, what for): install Debian packages when that is possible without asking; otherwise say what is missing.
define apt
	{ if ! command -v apt-get >/dev/null; then false; \
	elif [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	elif sudo -n true 2>/dev/null; then sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1) >/dev/null; \
	else false; fi; }
endef

help:
	@echo "make run    set up, load the samples into an empty home, open the dashboard on 127.0.0.1:$(PORT)"
	@echo "make test   set up, install the test tools and Chromium, run all checks"
	@echo "make setup  only make $(VENV);   make check  all checks;   make bench  time the whole chain"

setup:
	@if [ ! -x $(PY) ]; then \
	  command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not there; install Python 3.11, 3.12 or 3.13, or say: make PYTHON=/path/to/python3 setup" >&2; exit 2; }; \
	  $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	    { echo "$$($(PYTHON) -V) is $(PYTHON); Python 3.11, 3.12 or 3.13 is needed. Say: make PYTHON=/path/to/python3.11 setup" >&2; exit 2; }; \
	  $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || $(call apt,python3-venv) || \
	    { echo "$(PYTHON) cannot make environments; run: sudo apt-get install python3-venv" >&2; exit 2; }; \
	  rm -rf $(VENV); $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }; \
	fi
	@$(call install,requirements.txt,.installed)
	@if [ "$$(uname)" = Linux ]; then $(PY) -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || $(call apt,libgomp1) || \
	  { echo "LightGBM needs the library libgomp; run: sudo apt-get install libgomp1" >&2; exit 2; }; fi

setup-dev: setup
	@$(call install,requirements-dev.txt,.installed-dev)

browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || $(call apt,chromium) || \
	  { echo "Chromium is not there and cannot be installed by apt-get: the browser tests cannot run."; [ -z "$${REQUIRE_BROWSER:-}" ]; }

run: setup
	@$(PY) -m core samples --home "$$SHOPPER_ATLAS_HOME"
	@echo "Shopper Atlas: http://127.0.0.1:$(PORT)   (stop with Ctrl-C)"
	@exec $(PY) -m streamlit run app.py --server.address 127.0.0.1 --server.port $(PORT) --server.showEmailPrompt false

test: setup-dev browser
	@$(MAKE) --no-print-directory check

# Three processes for two cores: one often waits, for a browser, a job or the disk. A second thread of any would only spin, waiting.
check:
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 3 --dist loadgroup --no-loadscope-reorder

bench: setup
	$(PY) -m benchmarks.bench_chain
