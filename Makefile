# Each target makes what it needs from nothing: a Python >= 3.11 and this file are enough.
PYTHON ?= python3
BIN := .venv/bin
CORE := .venv-core/bin
PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: demo test browser lint docs bench clean

.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) -e .
	@touch $@

.venv/dev: .venv/core
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[dev]"
	@touch $@

.venv/train: .venv/core
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[train]"
	@touch $@

demo: .venv/train
	$(BIN)/evenmatch demo --out demo

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

# The browser tests skip, with the reason, where chromium is missing and cannot be installed.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && { apt-get install -qq -y chromium || { apt-get update -qq && apt-get install -qq -y chromium; }; } >/dev/null 2>&1; \
	} || echo "no chromium: browser tests will be skipped" >&2

test: .venv/dev browser
	$(BIN)/python -m pytest
	rm -rf .venv-core
	$(PYTHON) -m venv .venv-core
	$(CORE)/python -m pip install $(PIP_FLAGS) .
	$(CORE)/python tests/core_only.py

bench: .venv/dev
	$(BIN)/python benchmarks/audit.py

clean:
	rm -rf .venv .venv-core demo site
