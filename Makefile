# `make run` and `make test` do everything; the rest is for people who change the code.
# Every command is run as `python -m …`: scripts in .venv/bin break where the folder's name holds a space.
PYTHON ?= python3
VENV := .venv/bin/python
MANAGE := $(VENV) manage.py
# What the checks import the settings with; they open no session and decrypt nothing.
SETTINGS := SECRET_KEY=checks FIELD_ENCRYPTION_KEYS=Y2hlY2tzLW9ubHktY2hlY2tzLW9ubHktY2hlY2tzLW8=
COMPILE := $(VENV) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE)

.PHONY: help run test check format lock bench screenshots approve setup setup-dev

help:
	@echo "make run          run everything on this machine; PORT=8000 DATA_DIR=var"
	@echo "make test         run all tests; BROWSER=0 leaves out the browser, ARGS='-k name' chooses"
	@echo "make check        format, lint, types, import law, missing migrations"
	@echo "make format       put the code into the one format"
	@echo "make bench        measure against the targets"
	@echo "make screenshots  render the pages into pictures"
	@echo "make approve      take the pictures anew that the tests compare pages with"
	@echo "make lock         renew the pinned requirements; UPGRADE=--upgrade takes newer versions"

run: setup
	@exec $(VENV) manage.py serve

test: setup-dev
	@exec $(VENV) -m cirrusweb.supervisor.testing $(ARGS)

check: setup-dev
	$(VENV) -m ruff format --check .
	$(VENV) -m ruff check .
	$(SETTINGS) $(VENV) -m mypy
	$(VENV) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"
	$(SETTINGS) $(MANAGE) makemigrations --check --dry-run
	$(SETTINGS) $(MANAGE) check

format: setup-dev
	$(VENV) -m ruff check --fix .
	$(VENV) -m ruff format .

bench: setup-dev
	$(VENV) -m bench

screenshots: setup-dev
	$(VENV) -m tests.e2e.screenshots

approve: setup-dev
	APPROVE=1 $(VENV) -m cirrusweb.supervisor.testing -n 1 tests/e2e/test_pictures.py

lock: setup-dev
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) requirements/base.in -o requirements/base.txt
	$(COMPILE) requirements/dev.in -c requirements/base.txt -o requirements/dev.txt

setup:
	@$(PYTHON) bootstrap.py

setup-dev:
	@$(PYTHON) bootstrap.py --dev
