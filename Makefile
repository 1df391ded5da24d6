# Two commands do everything: `make demo` and `make test`. Each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
JOBS ?= 6
ARGS ?=
# An environment of its own for the documentation's site: Sphinx and its theme are no one else's business.
VENV_DOCS ?= .venv-docs

# The AWS side: Python 3.13, as Lambda runs it, and Node for the CDK. Environments of its own, made by setup-aws.
# The first that runs: a python3.13 on the PATH may be a shim for a version that is not installed.
PY313 ?= $(shell for python in /usr/bin/python3.13 python3.13 python3; do \
  $$python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null && { echo $$python; break; }; done)
VENV_AWS ?= .venv-aws
VENV_EMULATOR ?= .venv-emulator
AWS_BIN := $(VENV_AWS)/bin
CDK := node_modules/.bin/cdk

.PHONY: help setup demo test check fix docs pictures wheel bench bench-cold mutants soak hostile browser shells lock clean
.PHONY: setup-aws synth check-aws test-cdk demo-aws test-aws contract mutants-aws parity record-live

help:  ## what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

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

# The demo needs less than the tests, so a newcomer does not wait for the rest; where .venv is set up, it takes that.
VENV_DEMO ?= $(if $(wildcard $(VENV)/.installed),$(VENV),.venv-demo)
demo: $(VENV_DEMO)/.installed  ## run the main job on this machine, without any account
	@$(VENV_DEMO)/bin/closeout demo $(ARGS)

.venv-demo/.installed: requirements/demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "closeout needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@test -x .venv-demo/bin/pip || $(PYTHON) -m venv .venv-demo \
	  || { echo "python3 cannot make a virtual environment here (on Debian: apt-get install python3-venv)"; exit 1; }
	@echo "installing into .venv-demo (some seconds, once)"
	@.venv-demo/bin/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes -r requirements/demo.txt
	@.venv-demo/bin/python -m pip --quiet --disable-pip-version-check --no-input install --no-build-isolation --no-deps --editable .
	@touch $@

TESTS := -q -n $(JOBS) --dist worksteal --ignore=tests/packaging --ignore=tests/aws
# Each worker imports everything and rewrites its assertions; with bytecode, only the first does.
test: export PYTHONDONTWRITEBYTECODE :=
test: setup  ## pass the tests (about three minutes); COVER=1 measures them too and fails under the floor in pyproject.toml
ifdef COVER
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest $(TESTS) $(ARGS)
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report
else
	@$(BIN)/python -m pytest $(TESTS) $(ARGS)
endif

check: setup docs  ## formatting, lint, types, layers, docs; builds the wheel and tries it
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/python -m pytest -q tests/architecture tests/packaging

docs: $(VENV_DOCS)/.installed  ## build the documentation's site, with search, in site/; a link that leads nowhere is an error
	@rm -rf site
	@$(VENV_DOCS)/bin/sphinx-build -q -W --keep-going -n -j auto -d $(VENV_DOCS)/doctrees -c docs . site $(ARGS)
	@echo "open site/index.html"

$(VENV_DOCS)/.installed: requirements/docs.txt
	@test -x $(VENV_DOCS)/bin/pip || $(PYTHON) -m venv $(VENV_DOCS)
	@$(VENV_DOCS)/bin/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes -r requirements/docs.txt
	@touch $@

pictures: setup  ## take the pictures of the pages in docs/ again (needs Chromium: make browser)
	@$(BIN)/python docs/pictures.py
	@$(BIN)/python docs/page_pictures.py

fix: setup  ## format the code and regenerate files
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python docs/generate.py
	@$(BIN)/python schema/generate.py

wheel: setup  ## build dist/closeout-*.whl
	@$(BIN)/python -m build --no-isolation --wheel

mutants: setup  ## sabotage one line at a time; a named test must notice each
	@$(BIN)/python -m tests.mutants.run $(ARGS)

soak: setup  ## the model of promise 1: 2,000 new histories in memory and 100 over SQLite (about four minutes; ARGS='--histories 20000')
	@$(BIN)/python -m tests.model $(ARGS)

hostile: setup  ## attack it for under four minutes: floods, faults, kills; one table of figures (ARGS=--long for more)
	@$(BIN)/python -m tests.hostile $(ARGS)

bench: setup  ## measure closeout and its peers (ARGS=--quick for two minutes)
	@$(BIN)/python -m bench $(ARGS)

bench-cold: setup-aws  ## how long GitHub waits for a receiver on AWS that has just been started
	@$(AWS_BIN)/python -m bench.cold $(ARGS)

setup-aws: $(VENV_AWS)/.installed $(VENV_EMULATOR)/.installed cdk/node_modules/.installed  ## what the AWS targets need: two environments, the CDK's command line

.python-aws:
	@$(PY313) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null \
	  || { echo "the AWS side needs Python 3.13, as Lambda runs it: make $(MAKECMDGOALS) PY313=/path/to/python3.13"; exit 1; }

$(VENV_AWS)/.installed: requirements/aws.txt pyproject.toml | .python-aws
	@test -x $(AWS_BIN)/pip || $(PY313) -m venv $(VENV_AWS) \
	  || { echo "$(PY313) cannot make a virtual environment here (on Debian: apt-get install python3-venv)"; exit 1; }
	@echo "installing into $(VENV_AWS) (about a minute, once)"
	@$(AWS_BIN)/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes -r requirements/aws.txt
	@$(AWS_BIN)/python -m pip --quiet --disable-pip-version-check --no-input install --no-build-isolation --no-deps --editable .
	@touch $@

# The emulator by itself, without closeout: what a function finds there must have come with its bundle.
$(VENV_EMULATOR)/.installed: requirements/emulator.txt | .python-aws
	@test -x $(VENV_EMULATOR)/bin/pip || $(PY313) -m venv $(VENV_EMULATOR)
	@$(VENV_EMULATOR)/bin/python -m pip --quiet --disable-pip-version-check --no-input install --require-hashes -r requirements/emulator.txt
	@touch $@

cdk/node_modules/.installed: cdk/package-lock.json
	@command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' \
	  || { echo "the CDK needs Node 20 or newer with npm on the PATH"; exit 1; }
	@cd cdk && npm ci --silent --no-audit --no-fund --ignore-scripts
	@touch $@

.PHONY: .python-aws

synth: setup-aws  ## write the stack's template into cdk/cdk.out (no credentials, no Docker)
	@cd cdk && $(CDK) synth --quiet $(ARGS)

# The types of cdk/ are checked here and not in `check`: aws-cdk-lib is in this environment only. Ruff over cdk/ is in `check`.
check-aws: setup-aws  ## types of cdk/, the template synthesized and under cdk-nag and cfn-lint
	@$(AWS_BIN)/python -m mypy --config-file cdk/mypy.ini
	@$(MAKE) --no-print-directory synth
	@$(AWS_BIN)/cfn-lint cdk/cdk.out/closed-pr-event-stack.template.json

test-cdk: setup-aws  ## the tests of the stack and of its bundles
	@$(AWS_BIN)/python -m pytest -q -c cdk/pytest.ini -n 2 --dist loadfile cdk/tests $(ARGS)

demo-aws: setup-aws  ## deploy the stack to an emulated account on this machine, and close pull request #17
	@$(AWS_BIN)/python -m tests.aws.demo

test-aws: test-cdk  ## the stack's tests and those of the deployed stack, parity with `closeout serve` among them (about fifteen minutes)
	@CLOSEOUT_TEST_AWS=1 $(AWS_BIN)/python -m pytest -q -p no:cacheprovider -n 2 --dist loadfile tests/aws $(ARGS)

CONTRACTS_CDK := cdk/tests/test_registry.py
contract: setup-aws  ## what AWS's own models say: requests, errors, schemas, metering, histories (about two minutes; part of test-aws)
	@CLOSEOUT_TEST_AWS=1 $(AWS_BIN)/python -m pytest -q -p no:cacheprovider tests/aws/contracts $(ARGS)
	@$(AWS_BIN)/python -m pytest -q -c cdk/pytest.ini $(CONTRACTS_CDK) $(ARGS)

mutants-aws: setup-aws  ## sabotage the stack and what the contracts are about; a named test must notice each
	@$(AWS_BIN)/python -m tests.mutants.aws $(ARGS)

parity: setup-aws  ## the same deliveries to `closeout serve` and to two stacks in one account: equal answers, statuses, runs
	@CLOSEOUT_TEST_AWS=1 $(AWS_BIN)/python -m pytest -q -p no:cacheprovider tests/aws/test_parity.py $(ARGS)

record-live: setup-aws  ## ask a real AWS account what is still open: PROFILE=… REGION=… (docs/how-to/record-a-real-account.md)
	@$(AWS_BIN)/python -m tests.live --profile "$(PROFILE)" --region "$(REGION)" $(ARGS)

browser:  ## install the Chromium that the page tests open (Debian's package without windows)
	@if command -v chromium-headless-shell >/dev/null; then chromium-headless-shell --version; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && export DEBIAN_FRONTEND=noninteractive && \
	  { apt-get install -qq -y --no-install-recommends chromium-headless-shell >/dev/null \
	    || apt-get install -qq -y --no-install-recommends chromium >/dev/null; }; \
	elif command -v chromium >/dev/null; then chromium --version; \
	else echo "install Chromium so that 'chromium' is on the PATH (on Debian, as root: apt-get install chromium-headless-shell)"; exit 1; fi

shells:  ## install zsh, fish and man, which the tests of completion and man pages start (Debian's packages)
	@if command -v zsh >/dev/null && command -v fish >/dev/null && command -v man >/dev/null; then echo "zsh, fish and man are installed"; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends zsh fish man-db >/dev/null; \
	else echo "install zsh, fish and man (on Debian, as root: apt-get install zsh fish man-db)"; exit 1; fi

lock:  ## write requirements/*.txt again from *.in (needs uv)
	@for name in runtime dev bench docs; do uv pip compile --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet requirements/$$name.in -o requirements/$$name.txt; done
	@uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet \
	  -c requirements/dev.txt requirements/demo.in -o requirements/demo.txt
	@for name in aws worker guard notify; do uv pip compile --universal --python-version 3.13 --generate-hashes \
	  --no-emit-index-url --no-header --quiet -c requirements/dev.txt requirements/$$name.in -o requirements/$$name.txt; done
	@uv pip compile --universal --python-version 3.13 --generate-hashes \
	  --no-emit-index-url --no-header --quiet requirements/emulator.in -o requirements/emulator.txt

clean:  ## remove what the targets above made
	rm -rf $(VENV) .venv-demo .venv-bench bench/node_modules bench/lambda/node_modules dist build .coverage* .demo
	rm -rf $(VENV_DOCS) site $(VENV_AWS) $(VENV_EMULATOR) cdk/node_modules cdk/cdk.out cdk/.bundles
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
