# Every command a developer or user needs; `make` alone lists them.
.DEFAULT_GOAL := help
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SHELL := /bin/bash
# set, it has each of our many processes compile again what it imports
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help:  ## List these commands
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# What Airflow's processes and dbt import is compiled once and here, by importing it: left alone, each process of a first
# start would compile it for itself; all that is installed takes a minute, and most of it nobody imports.
IMPORTED := airflow.cli.commands.standalone_command, airflow.api_fastapi.app, airflow.executors.local_executor, \
  airflow.jobs.scheduler_job_runner, airflow.jobs.triggerer_job_runner, airflow.sdk.execution_time.task_runner, \
  cosmos, dbt.cli.main, dbt.adapters.duckdb, dbt.task.build

.venv/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	AIRFLOW_HOME=$(CURDIR)/.venv/airflow AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR $(BIN)/python -W ignore -c "import $(IMPORTED)"
	touch $@

.PHONY: setup
setup: .venv/.installed  ## Build .venv with every pinned version and the `rekindle` command

.PHONY: demo
demo: setup  ## Run the whole main job on the embedded stack [EVENTS= LEADS= AS_OF= REACTIONS= KEY_ACTION= DAYS=]
	$(BIN)/rekindle demo \
	  $(if $(EVENTS),--events "$(EVENTS)") $(if $(LEADS),--leads "$(LEADS)") $(if $(AS_OF),--as-of "$(AS_OF)") \
	  $(if $(REACTIONS),--reactions "$(REACTIONS)") $(if $(DAYS),--days "$(DAYS)") \
	  $(foreach event,$(subst $(comma), ,$(KEY_ACTION)),--key-action "$(event)")

.PHONY: demo-down
demo-down:  ## Stop everything `make demo` started
	$(BIN)/rekindle demo --down

.PHONY: check
check: setup  ## Lint and type-check everything, change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target .check-sql .check-types
	$(BIN)/lint-imports
	$(BIN)/rekindle lint
	$(BIN)/python -m tests.dag_docs --check

# the two that take long, side by side: one is busy on one core only
.PHONY: .check-sql .check-types
.check-sql:
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar sql dbt_project
.check-types:
	$(BIN)/mypy

.PHONY: fix
fix: setup  ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --processes 2 sql dbt_project

.PHONY: test
test: check  ## Check, then run every test: the quick ones side by side, then the whole story end to end
	$(BIN)/pytest -n 3 --dist worksteal -m "not e2e and not celery"
	$(BIN)/pytest -m e2e tests/e2e

.PHONY: test-celery
test-celery: setup  ## Run one campaign on CeleryExecutor with two workers, PostgreSQL and Redis, without containers (2 minutes)
	$(BIN)/pytest -m celery tests/celery

.PHONY: bench-send
bench-send: setup  ## Print how fast one send task sends, and its memory [MILLION=1: a run of 1,000,000]
	$(BIN)/python tests/bench/bench_send.py $(if $(MILLION),--million)

.PHONY: bench-parse
bench-parse: setup  ## Print the CPU cost of parsing all DAG files
	$(BIN)/python tests/dags/bench_parse.py

.PHONY: bench-campaigns
bench-campaigns: setup  ## Measure linting and parsing 100 campaigns, and live each of the library through 60 days
	$(BIN)/python tests/bench/bench_campaigns.py $(if $(ONLY),--only "$(ONLY)")

.PHONY: bench-rate
bench-rate: setup  ## Prove that the governor holds its rates against a throttling sandbox [WINDOW=20 OUTAGE=5; the promise: 60, 30]
	$(BIN)/python tests/bench/bench_rate.py $(if $(WINDOW),--seconds $(WINDOW)) $(if $(OUTAGE),--outage $(OUTAGE))

.PHONY: fuzz-receiver
fuzz-receiver: setup  ## Throw many made-up requests at every door of the receiver [EXAMPLES=2000]
	REKINDLE_FUZZ_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/pytest -q -p no:cacheprovider tests/unit/receiver/test_fuzz.py
	REKINDLE_SCHEMATHESIS_EXAMPLES=$(or $(EXAMPLES),200) REKINDLE_SCHEMATHESIS_PHASES=examples,coverage,fuzzing,stateful \
		$(BIN)/pytest -q -p no:cacheprovider --timeout 3600 tests/contract/receiver/test_openapi.py

.PHONY: bench-receiver
bench-receiver: setup  ## Measure what one receiver takes in, kill -9 included (40 s)
	$(BIN)/python tests/bench/bench_receiver.py

.PHONY: bench-ingest
bench-ingest: setup  ## Measure loading a million landed events into DuckDB (2 minutes)
	$(BIN)/python tests/bench/bench_ingest.py

.PHONY: bench-score
bench-score: setup  ## Measure scoring 1,000,000 leads and 50,000,000 events, a day more, and twice the history [SHARE=0.1]
	$(BIN)/python tests/bench/bench_score.py $(if $(SHARE),--share $(SHARE))

.PHONY: docs
docs: setup  ## Generate docs/DAGs.md
	$(BIN)/python -m tests.dag_docs

.PHONY: lock
lock: setup  ## Compile requirements.in into requirements.txt
	$(BIN)/uv pip compile --quiet --python-version 3.11 requirements.in --output-file requirements.txt

comma := ,
