# Two commands do everything: `make demo` and `make test`. Each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
JOBS ?= 4
ARGS ?=

.PHONY: help setup demo test cover check fix wheel bench mutants browser lock clean

help:  ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 10

setup: $(VENV)/.installed  ## create .venv with everything pinned by hash

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "closeout needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
	  || { echo "python3 cannot make a virtual environment here (on Debian: apt-get install python3-venv)"; exit 1; }
	@echo "installing into $(VENV) (about half a minute, once)"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

demo: setup  ## run the main job on this machine, without any account
	@$(BIN)/closeout demo $(ARGS)

test: setup  ## pass the tests (under 5 minutes)
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal --ignore=tests/packaging $(ARGS)

cover: setup  ## the same tests, measured: fails under the floor set in pyproject.toml
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q -n $(JOBS) --dist worksteal --ignore=tests/packaging $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report

check: setup  ## formatting, lint, types, layers, docs; builds the wheel and tries it
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/python -m pytest -q tests/architecture tests/packaging

fix: setup  ## format the code and make the generated files anew
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python docs/generate.py
	@$(BIN)/python schema/generate.py

wheel: setup  ## build dist/closeout-*.whl
	@$(BIN)/python -m build --no-isolation --wheel

mutants: setup  ## sabotage one line at a time; a named test must notice each
	@$(BIN)/python -m tests.mutants.run $(ARGS)

bench: setup  ## measure closeout beside its peers (ARGS=--quick for two minutes)
	@$(BIN)/python -m bench $(ARGS)

browser:  ## install the Chromium that the page tests open (Debian's package)
	@if command -v chromium >/dev/null; then chromium --version; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else echo "install Chromium so that 'chromium' is on the PATH (on Debian, as root: apt-get install chromium)"; exit 1; fi

lock:  ## write requirements/*.txt anew from *.in (needs uv)
	@for name in runtime dev bench; do uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet requirements/$$name.in -o requirements/$$name.txt; done

clean:  ## remove what the targets above made
	rm -rf $(VENV) .venv-bench bench/node_modules dist build .coverage* .demo
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
