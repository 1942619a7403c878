# Two commands are enough: `make run` starts the sandbox, `make test` passes the tests. Both set everything up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# A lock is complete: nothing is resolved at install time, so no later release can break an old checkout.
LOCKED := $(PIP) install --no-deps --require-hashes
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --quiet --custom-compile-command "make lock"

.PHONY: run compiled test coverage test-store lint format bench fuzz soak mutants docs lock clean

run: $(VENV)/run.stamp
	@$(BIN)/mockserver serve $(ARGS)

# Hundreds of tests start a server: where PYTHONDONTWRITEBYTECODE is set, each would compile the package again.
compiled: $(VENV)/run.stamp
	@$(BIN)/python -m compileall -q mockserver tests/support

# Without the variable, the modules of the tests, whose asserts pytest rewrites, are compiled once, and not in each worker.
test: $(VENV)/test.stamp $(VENV)/docs.stamp compiled lint
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

# Not a part of `make test`, which counting lines slows by half.
coverage: $(VENV)/test.stamp
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term $(ARGS)

# On a store of bytes: a value that cannot be encoded, or is changed in place, fails.
test-store: $(VENV)/test.stamp compiled
	$(BIN)/python -m pytest -n auto --dist loadfile --store encoding $(ARGS)

# The behaviour on stores that are shared; redis needs redis-server.
test-sqlite test-redis: test-%: $(VENV)/test.stamp compiled
	$(BIN)/python -m pytest -n auto --dist loadfile --store $* tests/engine tests/providers tests/sandbox tests/verify tests/web $(ARGS)

lint: $(VENV)/test.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/test.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/test.stamp
	$(BIN)/python -m bench $(ARGS)

# Not a part of `make test`: a million random requests, and 15 minutes of mixed traffic.
fuzz: $(VENV)/test.stamp
	$(BIN)/python tests/support/fuzzer.py --requests 1000000 $(ARGS)

soak: $(VENV)/test.stamp
	$(BIN)/python tests/support/soak.py $(ARGS)

# Not a part of `make test`: change the package in seeded places and see which changes no test notices.
mutants: $(VENV)/mutants.stamp
	$(BIN)/python -m bench.mutants $(ARGS)

docs: $(VENV)/docs.stamp
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/screenshots.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir site
	@echo "Open site/index.html. Search needs a server: $(BIN)/python -m http.server --directory site; while you write: $(BIN)/python -m mkdocs serve"

lock: $(VENV)/test.stamp
	$(PIP) install uv
	$(COMPILE) --upgrade pyproject.toml -o requirements/run.txt
	$(COMPILE) --upgrade pyproject.toml --extra sqs --extra redis --extra metrics --extra watch --extra overlay --extra proxy --extra verify --group test -c requirements/run.txt -o requirements/test.txt
	$(COMPILE) --upgrade pyproject.toml --extra redis --extra metrics -c requirements/test.txt -o requirements/image.txt
	$(COMPILE) --upgrade --group build -c requirements/test.txt -o requirements/build.txt
	$(COMPILE) --upgrade pyproject.toml --group docs -c requirements/test.txt -o requirements/docs.txt
	$(COMPILE) --upgrade pyproject.toml --group mutants -c requirements/test.txt -o requirements/mutants.txt

clean:
	rm -rf $(VENV) dist build site .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mockserver needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python requirements/run.txt requirements/build.txt pyproject.toml
	@echo "Setting up (once) ..."
	$(LOCKED) -r requirements/run.txt -r requirements/build.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	$(PIP) check
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements/test.txt
	$(LOCKED) -r requirements/test.txt
	$(PIP) check
	@touch $@

$(VENV)/docs.stamp: $(VENV)/run.stamp requirements/docs.txt
	$(LOCKED) -r requirements/docs.txt
	$(PIP) check
	@touch $@

$(VENV)/mutants.stamp: $(VENV)/test.stamp requirements/mutants.txt
	$(LOCKED) -r requirements/mutants.txt
	$(PIP) check
	@touch $@
