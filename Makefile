# Each target makes what it needs from nothing: a Python >= 3.11 and this file are enough.
PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13
BIN := .venv/bin
CORE := .venv-core/bin
PIP_FLAGS := --quiet --disable-pip-version-check

.PHONY: demo test test-all browser lint docs bench study study-quick study-turned clean

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

# The built wheel and the whole suite on every Python that is supported and at hand.
test-all: .venv/dev
	rm -rf dist && $(BIN)/python -m build --quiet --outdir dist .
	@for python in $(PYTHONS); do \
	  $$python -c "" 2>/dev/null || { echo "$$python is not at hand: left out" >&2; continue; }; \
	  echo "== $$python"; rm -rf .venv-all; $$python -m venv .venv-all \
	  && .venv-all/bin/python -m pip install $(PIP_FLAGS) "$$(ls dist/*.whl)[dev]" \
	  && .venv-all/bin/evenmatch demo --no-train --out .venv-all/demo \
	  && .venv-all/bin/python -m pytest || exit 1; \
	done
	rm -rf .venv-all

# Does TCM lower OPIS? All of it takes about two hours on two cores and may be killed and started again; the quick one is a
# row of the table in some minutes. EVENMATCH_DATA names the folder of Omniglot and CLINC150; without it, glyphs alone.
STUDY := runs/study-tcm

study: .venv/train
	$(BIN)/python studies/tcm/run.py --out $(STUDY)
	$(BIN)/python studies/tcm/tables.py --folder $(STUDY)

# Omniglot with training and test alphabets exchanged; needs EVENMATCH_DATA.
study-turned: export EVENMATCH_STUDY := studies/tcm/turned.yaml
study-turned: .venv/train
	$(BIN)/python studies/tcm/run.py --stages select judge --out $(STUDY)-turned
	$(BIN)/python studies/tcm/tables.py --folder $(STUDY)-turned

study-quick: .venv/train
	$(BIN)/python studies/tcm/run.py --quick --out $(STUDY)-quick
	$(BIN)/python studies/tcm/tables.py --folder $(STUDY)-quick

bench: .venv/dev
	$(BIN)/python benchmarks/audit.py

clean:
	rm -rf .venv .venv-core .venv-all demo site dist
