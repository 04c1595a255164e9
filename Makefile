# Everything a developer or a newcomer runs. `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
WORKERS ?= 2

PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help setup app test test-all lint format browser bench freeze clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv and install the app and its tools into it

# The virtual environment is reused when it exists; the stamp makes an unchanged
# installation cost nothing.
$(STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
	  command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not on the path; install Python 3.11 or newer, or name one: make setup PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Attention Atlas needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make setup PYTHON=python3.12" >&2; exit 1; }; \
	  $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "$(PYTHON) could not make a virtual environment; on Debian and Ubuntu install the package python3-venv" >&2; exit 1; }; \
	fi
	@echo "Installing into $(VENV): about 7 GB and some minutes the first time, most of it torch with its CUDA libraries."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]' -c constraints.txt
	@touch $@

app: setup ## start the app and print its address (ARGS="--port 8600 --data DIR")
	$(BIN)/attention-atlas app $(ARGS)

test: setup browser lint ## lint, types, unit, page and browser tests
	$(PYTEST) -m "not slow" $(ARGS)

test-all: setup browser lint ## the same with the slow tests
	$(PYTEST) $(ARGS)

lint: setup ## ruff (rules and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup ## let ruff put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The browser tests drive Debian's Chromium; nothing is downloaded by Playwright.
browser:
	@if ! command -v chromium >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; \
	  else \
	    echo "The browser tests need 'chromium' on the path. On Debian: sudo apt-get install chromium fonts-dejavu-core" >&2; exit 1; \
	  fi; \
	fi

bench: setup ## run the benchmarks one after the other
	@set -e; for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python $$file $(ARGS); done

freeze: setup ## write the installed versions into constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,slides]'
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	  $(BIN)/python -m pip freeze --all --exclude pip --exclude wheel --exclude-editable; } > $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt && touch $(STAMP)

clean: ## remove .venv, caches and build folders (never your data)
	rm -rf $(VENV) build dist ./*.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
