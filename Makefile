# Everything on a machine that has Python 3.11 or newer, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# more than cores, because tests wait for processes and for disks too
WORKERS ?= 3
# also where Python is told not to: every process that a test starts would compile every module anew
test interop proof: export PYTHONDONTWRITEBYTECODE :=
AUDIT := $(VENV)/audit
RELEASE := $(VENV)/release
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test interop check lint audit proof bench eval format constraints revision descriptions pictures bundle dist sbom clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

# the pip that a Python brings may be too old to know dependency groups
$(VENV)/.dev: $(VENV)/.run
	$(PIP) install -c constraints.txt pip
	$(PIP) install -c constraints.txt -e '.[alerts,otel]' --group dev
	@touch $@

$(VENV)/.audit: $(VENV)/.dev
	$(BIN)/python -m venv --without-pip $(AUDIT)
	$(PIP) --python $(AUDIT) install -c constraints.txt --group audit
	@touch $@

$(VENV)/.release: $(VENV)/.dev
	$(BIN)/python -m venv --without-pip $(RELEASE)
	$(PIP) --python $(RELEASE) install -c constraints.txt --group release
	@touch $@

demo: $(VENV)/.run ## Close the loop on this machine, with stand-ins and no account
	$(BIN)/koji-amplitude demo

test: $(VENV)/.dev ## Run the tests (those on PostgreSQL where its programs are installed)
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m 'not proof and not interop'

interop: $(VENV)/.dev ## Run other people's validators, clients and conformance suites over every surface (fetches Node)
	$(BIN)/pytest -q -n $(WORKERS) --dist worksteal -m 'interop and not proof'

check: lint audit ## Lint, format, types, spelling, declared imports, secrets, known vulnerabilities

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(BIN)/deptry tests tools --exclude '\.venv' --ignore DEP002,DEP004
	$(BIN)/python -m tools.secret_scan

# Pins of other systems count too, so their conditions are cut off. Whoever has no way to OSV passes.
audit: $(VENV)/.audit
	@sed 's/ *;.*//' constraints.txt >$(AUDIT)/pins.txt
	@said=$$($(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --desc off --progress-spinner off --timeout 5 \
	  --cache-dir $(AUDIT)/cache -s osv -r $(AUDIT)/pins.txt 2>&1) \
	  && echo "pip-audit: nothing known against what constraints.txt pins" \
	  || case "$$said" in \
	    *"Found "[0-9]*" known "*) echo "$$said"; exit 1;; \
	    *requests.exceptions.*|*ServiceError*|*"Could not connect"*) echo "pip-audit: skipped: OSV does not answer";; \
	    *) echo "$$said"; exit 1;; \
	  esac

proof: $(VENV)/.dev ## Run the long proofs: crashes, outages, real leases
	$(BIN)/pytest -q -m proof

bench: $(VENV)/.dev ## Measure, as ratios against a ceiling of the same run
	$(BIN)/python -m tests.bench

eval: $(VENV)/.dev ## Give 30 tasks to an assistant (a model, with ANTHROPIC_API_KEY; else a scripted reader)
	$(BIN)/python -m tests.eval

format: $(VENV)/.dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

# does not need the pins that it makes anew, which may no longer fit
constraints: $(BIN)/python ## Pin anew, for every system; newest versions with UPGRADE=--upgrade
	$(PIP) install uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	  $(UPGRADE) --all-extras --group dev --group audit --group release -o constraints.txt pyproject.toml

revision: $(VENV)/.dev ## Write the next revision of the schema: make revision m="what changes"
	$(BIN)/python -m tools.revision "$(m)"
	$(BIN)/ruff check --fix-only --quiet connector/ledger/db/revisions
	$(BIN)/ruff format --quiet connector/ledger/db/revisions

descriptions: $(VENV)/.dev ## Write manifest.json and server.json anew
	$(BIN)/koji-amplitude export manifest > manifest.json
	$(BIN)/koji-amplitude export server-json > server.json

pictures: $(VENV)/.dev ## Draw the pictures of the README and of docs/console.md anew, from runs of the demo
	$(BIN)/python -m tools.pictures
	$(BIN)/python -m tools.console_pictures

bundle: descriptions ## Pack dist/koji-amplitude.mcpb for Claude Desktop (needs Node, which brings npx)
	npx --yes @anthropic-ai/mcpb@2.1.2 pack . dist/koji-amplitude.mcpb

dist: $(VENV)/.release ## Build dist/*.tar.gz and dist/*.whl, the same bytes for the same commit, and check them
	rm -f dist/*.tar.gz dist/*.whl
	$(BIN)/uv build --quiet --build-constraints constraints.txt
	$(RELEASE)/bin/twine check --strict dist/*.tar.gz dist/*.whl
	$(RELEASE)/bin/check-wheel-contents dist/*.whl
	$(RELEASE)/bin/pyroma --min 8 dist/*.tar.gz

# of what the wheel and the pins install, and nothing else
sbom: dist ## List every component of the wheel and its dependencies in dist/koji-amplitude.cdx.json
	$(BIN)/python -m venv --clear --without-pip $(VENV)/sbom
	$(PIP) --python $(VENV)/sbom install -c constraints.txt dist/*.whl
	$(RELEASE)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/koji-amplitude.cdx.json $(VENV)/sbom

clean: ## Remove the environment and what tools left
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
