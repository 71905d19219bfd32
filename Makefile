# `make help` lists what there is. Variables: PYTHON (interpreter of the environment), VENV (where it goes),
# ARGS (passed on: `make test ARGS="-k wsgi"`, `make run ARGS="--port 0"`, `make bench ARGS=--quick`).

SHELL := /bin/sh
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
EXAMPLE := docs/examples/django_project
VERSIONS := 3.11 3.12 3.13
ARGS ?=
STEPS ?= 2000
SEED ?=

# Processes start by the hundred in the tests: without bytecode each of them would compile the package again.
TESTED := env -u PYTHONDONTWRITEBYTECODE $(PY)
# Two workers for each of two cores: many tests wait for a deadline of what they test.
SUITE := pytest -n 4 --dist worksteal

# An interpreter counts if it runs (a pyenv shim may not), is new enough and can make environments.
USABLE := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYENV := $${PYENV_ROOT:-$$HOME/.pyenv}/versions
PYTHON ?= $(shell \
	for python in python3 python3.13 python3.12 python3.11 $(PYENV)/3.1[1-9]*/bin/python; do \
		if "$$python" -c '$(USABLE)' >/dev/null 2>&1; then command -v "$$python"; break; fi; \
	done)

# $(call debian,command:package ...) installs the packages whose command is missing, where that is allowed. Of command/command one
# is enough.
define debian
@missing=; \
for pair in $(1); do \
	found=; \
	for command in $$(echo "$${pair%%:*}" | tr / ' '); do \
		if command -v "$$command" >/dev/null 2>&1; then found=1; fi; \
	done; \
	if [ -z "$$found" ]; then missing="$$missing $${pair##*:}"; fi; \
done; \
if [ -n "$$missing" ]; then $(call apt_install,$$missing); fi
endef

define apt_install
if [ "$$(id -u)" = 0 ]; then sudo=; else sudo="sudo -n"; fi; \
if ! command -v apt-get >/dev/null 2>&1 || ! $$sudo true >/dev/null 2>&1; then \
	echo "make: missing:$(1). Install them first (Debian: apt-get install$(1))." >&2; exit 1; \
fi; \
echo "Installing the Debian packages$(1) …"; \
{ $$sudo apt-get -qq update || true; } && \
$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y$(1) >/dev/null
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: $(VENV)/.run-installed ## serve the example Django project with reload (makes the environment first)
	@cd $(EXAMPLE) && "$(abspath $(PY))" manage.py migrate --verbosity 0
	@cd $(EXAMPLE) && exec "$(abspath $(VENV))/bin/devserver" run $(ARGS)

.PHONY: test
test: debian-test $(VENV)/.dev-installed ## install all that the tests need, then run the whole suite
	$(TESTED) -m $(SUITE) $(ARGS)

.PHONY: test-whole
test-whole: debian-test $(VENV)/.dev-installed ## the e2e tests with whole loads in place of checkpoints
	DEVSERVER_CHECKPOINTS=0 $(TESTED) -m $(SUITE) tests/e2e $(ARGS)

DJANGO_TESTS := $(addprefix tests/,integrations/test_django.py integrations/test_runserver.py integrations/test_registries.py $(addprefix e2e/test_,django.py \
	django_checks.py like_runserver.py manage_py.py channels.py frameworks.py framework_errors.py reload_frameworks.py \
	checkpoint_databases.py hoisting_django.py))

.PHONY: test-oldest
test-oldest: ## the tests about Django with the oldest Django, 4.2, in an environment of their own (Python 3.11 or 3.12)
	@$(MAKE) debian-test .venv-oldest/.dev-installed VENV=.venv-oldest
	.venv-oldest/bin/python -m pip install --quiet 'django>=4.2,<4.3'
	env -u PYTHONDONTWRITEBYTECODE .venv-oldest/bin/python -m $(SUITE) $(DJANGO_TESTS) $(ARGS)

.PHONY: fuzz
fuzz: $(VENV)/.dev-installed ## random projects and edits against a fresh start: STEPS=20000, SEED=… repeats, ARGS="-- --no-checkpoints"
	$(TESTED) -m tests.differential.run --steps $(STEPS) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev-installed ## a thousand saves in a row: no growth in processes, descriptors or memory; ARGS="--saves 5000"
	$(TESTED) -m tests.e2e.soak $(ARGS)

.PHONY: coverage
coverage: debian-test $(VENV)/.dev-installed ## the suite with branch coverage of every process, least covered modules first
	$(PY) -m coverage erase
	$(TESTED) -m coverage run -m $(SUITE) $(ARGS); status=$$?; \
	$(PY) -m coverage combine --quiet && $(PY) -m coverage report && exit $$status

.PHONY: test-all
test-all: export DEVSERVER_SITES := all
test-all: export DEVSERVER_SEARCH := 1
test-all: ## the suite under Python 3.11, 3.12 and 3.13, the e2e tests once more without checkpoints; Django's with the oldest one
	@failed=; \
	for version in $(VERSIONS); do \
		python=; \
		for candidate in python$$version $(PYENV)/$$version.*/bin/python; do \
			if "$$candidate" -c '$(USABLE)' >/dev/null 2>&1; then python=$$candidate; fi; \
		done; \
		echo "== Python $$version"; \
		if [ -z "$$python" ]; then \
			echo "make: no python$$version on PATH or under pyenv." >&2; failed="$$failed $$version"; \
		else \
			$(MAKE) --keep-going test test-whole VENV=.venv-$$version PYTHON="$$python" || failed="$$failed $$version"; \
			if [ $$version = 3.11 ]; then $(MAKE) test-oldest PYTHON="$$python" || failed="$$failed $$version (Django 4.2)"; fi; \
		fi; \
	done; \
	if [ -n "$$failed" ]; then echo "make: failed under Python$$failed." >&2; exit 1; fi

.PHONY: check
check: lint types ## lint, types, and whether the generated docs are up to date
	@$(PY) -m devserver.options | diff -u docs/options.md - || \
		{ echo "make: docs/options.md is out of date; run make docs" >&2; exit 1; }

.PHONY: lint
lint: $(VENV)/.dev-installed ## ruff (rules and format) and the layers of the design
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(VENV)/bin/lint-imports

.PHONY: types
types: $(VENV)/.dev-installed ## mypy, strict
	$(PY) -m mypy

.PHONY: docs
docs: $(VENV)/.dev-installed ## write docs/options.md from the definitions of the options
	$(PY) -m devserver.options > $(VENV)/options.md
	mv $(VENV)/options.md docs/options.md

.PHONY: screenshots
screenshots: debian-test $(VENV)/.dev-installed ## the pictures of error pages in docs/images/, from real pages in a real browser
	$(TESTED) -m tests.e2e.screenshots

.PHONY: probe
probe: $(VENV)/.dev-installed ## ten real projects: how far the chain of checkpoints gets, and what ends it (installs them first)
	$(PY) -m tests.realworld.probe $(ARGS)

.PHONY: curve
curve: $(VENV)/.dev-installed ## save → answer in oscar, pretix and Wagtail, over the position of the file in the load
	$(PY) -m tests.realworld.curve $(ARGS)

.PHONY: soak-large
soak-large: $(VENV)/.dev-installed ## five hundred saves over ten files of pretix, with all that hoisting does behind the server
	$(PY) -m tests.realworld.soak $(ARGS)

.PHONY: bench
bench: debian-bench $(VENV)/.dev-installed ## run the benchmarks beside other servers, write docs/benchmarks.md
	$(PY) -m tests.benchmarks.run $(ARGS)

.PHONY: install
install: $(VENV)/.dev-installed ## make the environment with all development tools, run nothing

.PHONY: clean
clean: ## remove environments, caches and build results
	rm -rf .venv .venv-* tests/benchmarks/env tests/realworld/.projects build dist htmlcov .coverage .coverage.*
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find devserver tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# Debian packages that the suite and the benchmarks use. The shell is Chromium without what draws windows: the same pages for half
# the work.
BROWSER := chromium-headless-shell/chromium/chromium-browser/google-chrome:chromium-headless-shell
.PHONY: debian-test debian-bench
debian-test:
	$(call debian,git:git tmux:tmux pg_ctlcluster:postgresql redis-server:redis-server $(BROWSER))
debian-bench:
	$(call debian,wrk:wrk $(BROWSER))

# A stamp is younger than pyproject.toml once its packages are installed. Dependency groups came with pip 25.1.
$(VENV)/.dev-installed: pyproject.toml $(PY)
	$(PY) -m pip install --quiet 'pip>=25.1'
	$(PY) -m pip install --quiet --editable . --group dev
	@touch $@

$(VENV)/.run-installed: pyproject.toml $(EXAMPLE)/requirements.txt $(PY)
	$(PY) -m pip install --quiet --editable . --requirement $(EXAMPLE)/requirements.txt
	@touch $@

$(PY):
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: no Python 3.11 or newer with venv found; name one: make PYTHON=/path/to/python3" >&2; exit 1; \
	fi
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null || { $(call apt_install, python3-venv); }
	"$(PYTHON)" -m venv --clear $(VENV)
