# make setup   create .venv with everything
# make demo    draw a catalogue, then do the whole job on it into demo/
# make test    every test, and every example in the docs
# make check   lint, format, types, import rules
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	rm -rf demo
	OMP_WAIT_POLICY=passive $(BIN)/onesheet demo --out demo

test: setup
	OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n 2 --doctest-modules src tests

check: setup
	scripts/check

clean:
	rm -rf .venv demo build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
