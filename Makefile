# Set-up, checks, tests and the demo. Needs Python 3.10-3.12 (with venv) and make; no compiler, ffmpeg, OpenGL or GPU.
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.10; do \
	$$p -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
# Versions of everything as they were last tested, for one Python; LOCKED=1 installs them, else the newest that fit.
LOCK = .ci/lock-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt
CONSTRAINTS := $(or $(and $(LOCKED),$(wildcard $(LOCK))),constraints.txt)
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint $(CONSTRAINTS)

.PHONY: help setup test lint pytest format docs demo lock audit clean

help:
	@echo "make setup   create $(VENV) and install everything (once)"
	@echo "make demo    make a small talking avatar from the embedded subject, into demo/"
	@echo "make test    lint and all tests"
	@echo "make lint    ruff, import contracts, pyright"
	@echo "make format  rewrite the sources in house style"
	@echo "make docs    the documentation as a site, into build/site"
	@echo "make lock    write down the versions that are installed, for CI; after a test of the newest"
	@echo "make audit   ask for known weaknesses in those versions, where the database can be reached"
	@echo "make clean   remove $(VENV) and caches"

setup: $(STAMP)

# MediaPipe comes last and by itself: its own requirements name the OpenCV build that needs libGL, and jax, unused here.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "No Python 3.10, 3.11 or 3.12 found; install one or call: make PYTHON=/path/to/python"; exit 2; }
	@echo "setup: creating $(VENV) with $$($(PYTHON) --version), $(CONSTRAINTS) (a few minutes, about 2 GB)"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing; on Debian: apt install python3-venv"; exit 2; }
	@$(PIP) --editable '.[dev]'
	@$(PIP) --no-deps mediapipe
	@touch $@
	@echo "setup: done"

test: lint pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/pyright

pytest: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup
	$(BIN)/python scripts/reference.py
	$(BIN)/mkdocs build --strict --quiet
	@echo "docs: open build/site/index.html"

demo: setup
	$(BIN)/ua3dtalk demo --out demo

lock: setup
	$(BIN)/python scripts/lock.py

audit: setup
	@$(BIN)/python scripts/audit.py $(LOCK)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
