# Two commands are enough: `make run` starts the sandbox, `make test` passes the tests. Both set everything up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test lint format bench docs lock clean

run: $(VENV)/run.stamp
	@$(BIN)/mockserver serve $(ARGS)

test: $(VENV)/test.stamp $(VENV)/docs.stamp lint
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term $(ARGS)

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/test.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/test.stamp
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir site
	@echo "Open site/index.html. With search, and while you write: $(BIN)/python -m mkdocs serve"

lock: $(VENV)/test.stamp
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --group build --universal --python-version 3.11 --generate-hashes \
	    --quiet --upgrade --custom-compile-command "make lock" -o requirements/run.txt
	$(BIN)/uv pip compile pyproject.toml --group build --group test --universal --python-version 3.11 --generate-hashes \
	    --quiet --upgrade --custom-compile-command "make lock" -o requirements/test.txt
	$(BIN)/uv pip compile pyproject.toml --group build --group docs --constraints requirements/test.txt \
	    --universal --python-version 3.11 --generate-hashes \
	    --quiet --upgrade --custom-compile-command "make lock" -o requirements/docs.txt

clean:
	rm -rf $(VENV) dist build site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mockserver needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python requirements/run.txt pyproject.toml
	@echo "Setting up (once) ..."
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements/test.txt
	$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/docs.stamp: $(VENV)/run.stamp requirements/docs.txt
	$(PIP) install --require-hashes -r requirements/docs.txt
	@touch $@
