# Each command sets up what it needs: `make test` works on a fresh clone.

PYTHON ?= python3
VENV = .venv/bin/python
# This file is newer than pyproject.toml if the requirements are installed.
READY = .venv/.ready

help:  ## list the commands
	@awk -F ':.*##' '/^[a-z-]+:.*##/ { printf "make %-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY)  ## create .venv with the plugin, Poetry and the tools

demo: $(READY)  ## build an example, edit it, and show what each edit rebuilds (the first run takes a few minutes)
	@$(VENV) scripts/demo.py

bench: $(READY)  ## compare with handwritten Dockerfiles, and write docs/bench.* (two hours; Debian, as root)
	@$(VENV) scripts/bench.py --output docs/bench --readme README.md --command "make bench"

test: $(READY)  ## run all tests, with a private container engine if there is no other
	@$(VENV) -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

test-unit: $(READY)  ## run the tests that need no engine and no network
	@$(VENV) -m pytest tests/unit

test-bounds: $(READY)  ## export all kinds of projects with the lowest and the newest dependencies (or with POETRY=git+https://...)
	@$(VENV) scripts/bounds.py $(if $(POETRY),--poetry '$(POETRY)')

docs: $(READY)  ## build the documentation site into site/
	@$(VENV) scripts/docs_site.py

picture: $(READY)  ## record a build on a terminal, and write docs/terminal.svg
	@$(VENV) scripts/terminal_picture.py

lint: $(READY)  ## check format, style, types, imports and words
	@$(VENV) -m ruff format --check
	@$(VENV) -m ruff check
	@$(VENV) -m mypy
	@.venv/bin/lint-imports
	@$(VENV) scripts/words.py

faults: $(READY)  ## run the tests of faults, and write docs/reliability.* (half an hour; Debian, as root)
	@$(VENV) scripts/reliability.py

golden: $(READY)  ## regenerate the expected files in tests/golden, the reference pages and the JSON schema
	@$(VENV) -m pytest tests/golden --regenerate

layer-keys: $(READY)  ## record what decides whether a dependency layer is rebuilt (at each minor release)
	@$(VENV) -m pytest --quiet tests/golden/test_layer_keys.py --record-keys

release-check: $(READY)  ## build the sdist and the wheel, and try them in each Poetry (OPTIONS: see scripts/release_check.py)
	@$(VENV) scripts/release_check.py $(OPTIONS)

pins: $(READY)  ## refresh the pins of what a build installs besides the lock file, and of CI actions
	@$(VENV) scripts/pins.py

clean:  ## stop private engines, and remove .venv and caches (except the engine's downloads)
	@$(PYTHON) scripts/engine.py down --all
	rm -rf site .venv .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -prune -exec rm -rf {} +

# Debian has the module venv in a separate package. A broken .venv (without its Python, or incomplete)
# is created again. Dependency groups need pip 25.1.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { test "$$(id -u)" = 0 && apt-get -qq update \
	     && apt-get -qq install --yes python3-venv >/dev/null; } 2>/dev/null \
	|| { echo "$(PYTHON) with venv not found. Run: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	|| { echo "Python 3.10 or newer is required. Run: make PYTHON=/path/to/python setup" >&2; exit 1; }
	@echo "Installing the plugin, Poetry and the tools into .venv (about a minute)" >&2
	@$(VENV) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@$(VENV) -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(VENV) -m pip install -qq --disable-pip-version-check --editable . --group dev
	@touch $@

.PHONY: help setup demo bench faults test test-unit test-bounds docs picture lint golden layer-keys release-check pins clean
