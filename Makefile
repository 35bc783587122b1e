# Everything on a machine that has Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test check proof bench format constraints descriptions bundle clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(VENV)/.run ## Close the loop on this machine, with stand-ins and no account
	$(BIN)/koji-amplitude demo

test: $(VENV)/.dev ## Run the tests (those on PostgreSQL where its programs are installed)
	$(BIN)/pytest -q -m 'not proof'

check: $(VENV)/.dev ## Lint, format, types, secrets, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.secret_scan
	$(BIN)/python -m tools.audit

proof: $(VENV)/.dev ## Run the long proofs: crashes, outages, real leases
	$(BIN)/pytest -q -m proof

bench: $(VENV)/.dev ## Measure, as ratios against a ceiling of the same run
	$(BIN)/python -m tests.bench

format: $(VENV)/.dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

constraints: $(VENV)/.dev ## Pin what is installed now
	$(BIN)/pip freeze --exclude-editable --exclude koji-amplitude > constraints.txt

descriptions: $(VENV)/.dev ## Write manifest.json and server.json anew
	$(BIN)/koji-amplitude export manifest > manifest.json
	$(BIN)/koji-amplitude export server-json > server.json

bundle: descriptions ## Pack dist/koji-amplitude.mcpb for Claude Desktop (needs Node, which brings npx)
	npx --yes @anthropic-ai/mcpb@2.1.2 pack . dist/koji-amplitude.mcpb

clean: ## Remove the environment and what tools left
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
