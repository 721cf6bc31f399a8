# Two commands do everything from a bare Debian or Ubuntu machine with Python 3.11+:
#   make demo    set up, then run playbooks/two-rank.yaml
#   make test    set up, then run every test, those on a real Docker engine included
# `make help` lists the others.

VENV := .venv
BIN := $(VENV)/bin
PLAYBOOK ?= playbooks/two-rank.yaml
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 600

.PHONY: help setup engine busybox browser screenshots demo test lint unit contract e2e reliability bench benchprobe benchreport fuzz diagnosis docs site clean

help: ## list the targets
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.orchestrate ## make the virtual environment and install orchestrate

engine: ## get a Docker engine going
	@docker/setup.sh

busybox: # tests and benchmarks make a small image of it
	@docker/busybox.sh

browser: # tests of the report and screenshots open it in a real browser
	@docker/chromium.sh

demo: $(VENV)/.orchestrate ## run the two-rank playbook; without Docker, on the embedded engine
	@if docker/setup.sh; then \
	    $(BIN)/orchestrate apply --engine docker $(PLAYBOOK); \
	else \
	    echo "demo: no Docker can be had here: running on the embedded engine, without isolation"; \
	    $(MAKE) --no-print-directory $(VENV)/.train && \
	    $(BIN)/orchestrate apply --engine local $(PLAYBOOK); \
	fi

test: $(VENV)/.dev $(VENV)/.train engine busybox browser lint ## run every check and every test
	@PYTEST=$(BIN)/pytest tests/run.sh $(PYTEST_ARGS)

lint: $(VENV)/.dev ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## tests of pure code, no engine needed
	@$(BIN)/pytest tests/unit $(PYTEST_ARGS)

contract: $(VENV)/.dev engine busybox ## what every engine must pass
	@$(BIN)/pytest tests/contract $(PYTEST_ARGS)

e2e: $(VENV)/.dev $(VENV)/.train engine busybox ## real engines, real trainer
	@$(BIN)/pytest tests/e2e $(PYTEST_ARGS)

bench: $(VENV)/.dev engine busybox ## compare with a shell script and Compose; writes docs/performance.md
	@$(BIN)/python -m benchmarks --out docs/performance.md $(BENCH_ARGS)

benchprobe: $(VENV)/.dev $(VENV)/.train ## what the probe costs a training step; writes docs/probe.md
	@$(BIN)/python -m benchmarks.probe --out docs/probe.md

screenshots: $(VENV)/.dev browser engine ## make the pictures of docs/images
	@$(BIN)/python -m tests.screenshots --out docs/images

benchreport: $(VENV)/.dev browser ## what a large report weighs, and how long it takes to open; writes docs/report.md
	@$(BIN)/python -m benchmarks.report --out docs/report.md

fuzz: $(VENV)/.dev ## look for bytes that break the playbook's reader, for FUZZ_SECONDS
	@$(BIN)/python -m tests.fuzz.fuzz $(FUZZ_SECONDS)

reliability: $(VENV)/.dev engine busybox ## kill it at every step, run it again; writes docs/reliability.md
	@$(BIN)/python -m tests.reliability --out docs/reliability.md $(PYTEST_ARGS)

diagnosis: $(VENV)/.dev engine ## make every failing run and see that it is named; writes docs/diagnosis.md
	@$(BIN)/python -m tests.diagnosis --out docs/diagnosis.md

site: $(VENV)/.dev ## build the docs as a site into docs/_site, offline; warnings are errors
	@$(BIN)/python -m sphinx --fail-on-warning --quiet --builder html docs docs/_site
	@echo "site: docs/_site/index.html"

docs: $(VENV)/.orchestrate ## regenerate what docs/ has from the models
	@$(BIN)/python -m orchestrator.playbook.schema docs/
	@$(BIN)/python -m orchestrator.report.result docs/
	@$(BIN)/python -m orchestrator.doctor.document docs/

clean: ## remove what the other targets made here; Docker images stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis docs/_site docs/cli.md

$(VENV)/bin/python:
	@docker/venv.sh $(VENV)

$(VENV)/.orchestrate: pyproject.toml $(VENV)/bin/python
	@echo "setup: installing orchestrate into $(VENV)"
	@$(BIN)/python -m pip install --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.orchestrate
	@echo "setup: installing the test tools into $(VENV)"
	@$(BIN)/python -m pip install --disable-pip-version-check --only-binary atheris --editable '.[dev,fuzz]'
	@touch $@

$(VENV)/.train: pyproject.toml $(VENV)/.orchestrate
	@echo "setup: installing PyTorch into $(VENV)"
	@$(BIN)/python -m pip install --disable-pip-version-check --editable '.[train]'
	@touch $@
