# Needs python3 (3.11 or later) and make. Everything is installed into .venv/, in tiers, each from
# a lock with hashes; a stamp file per tier makes a second run cost nothing.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
UV := $(BIN)/uv
TRAIN := .venv/train/bin/python
TORCH := torch==2.13.0

# What the caller's shell has activated is not what runs here.
unexport PYTHONPATH
unexport PYTHONHOME
unexport VIRTUAL_ENV
export PIP_USER := 0

# uv does not read pip's configuration: where that names a mirror, uv is sent there too.
FROM_PIPS_INDEX = index=$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null)}; \
  [ -z "$$index" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}";
INSTALL = $(FROM_PIPS_INDEX) $(UV) pip install --quiet --no-deps --compile-bytecode --python $(BIN)/python
LOCKED = $(INSTALL) --require-hashes

# An environment that was moved, whose Python is gone, or whose Python is not the PYTHON asked for,
# is made anew.
VERSION := -c 'import sys; print(sys.version_info[:2])'
PROBE := [ "$$(cat .venv/.place)" = "$$(pwd -P)" ] && was=$$($(BIN)/python $(VERSION))
ifneq ($(origin PYTHON),file)
PROBE += && [ "$$was" = "$$("$(PYTHON)" $(VERSION))" ]
endif
STALE := $(shell { $(PROBE); } 2>/dev/null || echo stale)

.NOTPARALLEL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.PHONY: help
help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target what; do \
	  printf '  make %-12s %s\n' "$$target" "$$what"; done

.PHONY: run
run: .venv/.modeldeck  ## set everything up, then open the deck (ARGS="ls" for a command)
	@$(BIN)/modeldeck $(ARGS)

.PHONY: test
test: .venv/.test  ## set everything up, then run the tests (ARGS="-k chat" for some)
	$(BIN)/pytest -n logical --maxprocesses 4 $(ARGS)

.PHONY: check
check: check-format check-lint check-mypy check-pyright check-imports  ## what can be said without running it

.PHONY: check-format check-lint check-mypy check-pyright check-imports
check-format: .venv/.check
	$(BIN)/ruff format --check --quiet .
check-lint: .venv/.check
	$(BIN)/ruff check --quiet .
check-mypy: .venv/.check
	$(BIN)/mypy --no-error-summary
check-pyright: .venv/.check
	$(BIN)/pyright
check-imports: .venv/.check
	$(BIN)/lint-imports --no-logo

.PHONY: format
format: .venv/.check  ## let ruff rewrite what it can
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format .

.PHONY: bench
bench: .venv/.test  ## measure, against the targets (ARGS=--write to keep the table)
	$(BIN)/pytest -m bench tests/benchmarks $(ARGS)

.PHONY: engines
engines: .venv/.engines  ## build the optional engines, once, and run their tests
	$(BIN)/pytest -m engines tests/engines/installed $(ARGS)

.PHONY: fuzz
fuzz: .venv/.fuzz  ## fuzz every reader of outside bytes for ten minutes (ARGS="gguf --seconds 60")
	PYTHONPATH=.pkg $(BIN)/python -m tests.fuzz.run $(ARGS)

.PHONY: chaos
chaos: .venv/.test  ## break the engine, the disk, the clock and the terminal on purpose, at length
	$(BIN)/pytest -n logical --maxprocesses 2 -m chaos tests/real/chaos tests/engines/pulls $(ARGS)

.PHONY: docs
docs: .venv/.modeldeck  ## write docs/keys.md from the actions of the deck
	$(BIN)/modeldeck keys --markdown > docs/keys.md

.PHONY: accuracy
accuracy: .venv/.test  ## write docs/accuracy.md: what is predicted beside what was published
	PYTHONPATH=.pkg $(BIN)/python -m tests.accuracy.report docs/accuracy.md

.PHONY: sweep
sweep: .venv/.test  ## compute buffers of all architectures beside llama.cpp's; ARGS: a library, names
	PYTHONPATH=.pkg $(BIN)/python -m tests.support.compute_sweep $(ARGS)

.PHONY: pictures
pictures: .venv/.test  ## draw the README's pictures as SVG into build/pictures
	PYTHONPATH=.pkg $(BIN)/python -m tests.support.pictures build/pictures

.PHONY: demo-model
demo-model: .venv/.train  ## train the packaged demo model again (needs torch, 20 minutes)
	$(BIN)/modeldeck keys --json > .venv/train/help.json
	PYTHONPATH=.pkg $(TRAIN) -m modeldeck.engines.demo.train --help-text .venv/train/help.json \
	  --out engines/demo --questions tests/engines/demo/questions.toml $(ARGS)

EXPORT = $(UV) export --quiet --project .venv/lock --frozen --format requirements.txt \
  --no-header --no-annotate --no-emit-project --no-default-groups
.PHONY: lock
lock: .venv/.setup  ## pin the newest versions that pyproject.toml allows
	rm -rf .venv/lock && mkdir .venv/lock && cp pyproject.toml .venv/lock/
	$(FROM_PIPS_INDEX) $(UV) lock --quiet --project .venv/lock --python $(BIN)/python
	$(EXPORT) > requirements/base.txt
	for tier in setup test check engines fuzz train; do \
	  $(EXPORT) --only-group $$tier > requirements/$$tier.txt || exit 1; done
	rm -rf .venv/lock

.PHONY: clean
clean:  ## remove what make and the tools have made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find engines tui themes tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: stale
.venv/.place: $(STALE)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'modeldeck needs Python 3.11 or later, and "$(PYTHON)" is not that.' >&2; \
	  echo 'Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 1; }
	@rm -rf .venv
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; \
	  echo 'Python could not make .venv. On Debian and Ubuntu: apt install python3-venv' >&2; exit 1; }
	@pwd -P > $@

.venv/.setup: requirements/setup.txt .venv/.place
	@echo 'Setting up .venv …'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

.venv/.base: requirements/base.txt .venv/.setup
	@$(LOCKED) -r $<
	@touch $@

.venv/.modeldeck: pyproject.toml .venv/.base
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv/.test: requirements/test.txt .venv/.modeldeck
	@$(LOCKED) -r $<
	@touch $@

.venv/.check: requirements/check.txt .venv/.test
	@$(LOCKED) -r $<
	@touch $@

.venv/.engines: requirements/engines.txt tests/support/build_engines.py .venv/.test
	@$(FROM_PIPS_INDEX) PYTHONPATH=.pkg $(BIN)/python -m tests.support.build_engines
	@touch $@

.venv/.fuzz: requirements/fuzz.txt .venv/.test
	@$(LOCKED) -r $<
	@touch $@

.venv/.train: requirements/train.txt .venv/.modeldeck
	@$(UV) venv --quiet --clear --python $(BIN)/python .venv/train
	@$(FROM_PIPS_INDEX) $(UV) pip install --quiet --no-deps --require-hashes --python $(TRAIN) \
	  -r requirements/base.txt -r $<
	$(BIN)/python -m pip --python $(TRAIN) install --quiet --disable-pip-version-check $(TORCH)
	@touch $@
