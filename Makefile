# Everything that a newcomer needs. `make help` lists it.
# Needs Python 3.11+, make and git; everything else is installed into .venv and .testbed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.made-for-pyproject
DEMO_ARGS ?=
PYTEST_ARGS ?=

.PHONY: help demo test lowest soak prepare lint format docs bench lock clean venv
.DEFAULT_GOAL := help

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP)  ## run the daemon on stand-ins; needs no AWS, Airflow or Docker (DEMO_ARGS="--for 90s")
	$(BIN)/ecr-refresher demo $(DEMO_ARGS)

# Three runs of pytest. First, in parallel, the tests that don't change the machine. Then the simulation, without
# coverage, because coverage triples its time. Then the tests that need 10.99.0.1:443, /etc/hosts and a bridge: in two
# lanes, each with its own network and mount namespaces; in one process if the machine can't make namespaces.
# All three run even if one fails; then make fails.
SPREAD := -n auto --dist worksteal
LANES   = $(shell if unshare --net --mount true 2>/dev/null; then echo "--dist loadgroup --tx 2*popen//python=tests/testbed/lane"; else echo "-n 0"; fi)
test: $(STAMP) prepare  ## run all tests, with real services where this machine can run them; measures branch coverage
	@rm -f .coverage .coverage.*
	@first=0; second=0; third=0; \
	$(BIN)/python -m pytest tests --ignore tests/integration --ignore tests/simulation $(SPREAD) --cov --cov-report= $(PYTEST_ARGS) || first=$$?; \
	$(BIN)/python -m pytest tests/simulation $(SPREAD) $(PYTEST_ARGS) || second=$$?; \
	$(BIN)/python -m pytest tests/integration $(LANES) --cov --cov-append --cov-report=term $(PYTEST_ARGS) || third=$$?; \
	echo "make test ended with $$first (side by side), $$second (simulation), $$third (real parts)"; \
	test $$first -eq 0 && test $$second -eq 0 && test $$third -eq 0

lowest: $(STAMP)  ## run the unit tests with the lowest versions that pyproject.toml allows
	@$(BIN)/python -m tests.testbed.lowest $(PYTEST_ARGS)

# Every seed, round, mutation and renewal, without a time limit; prints its figures.
SOAK ?= 10
MANY_CLIENTS := tests/integration/test_airflow_fleet.py::test_a_fleet_writes_each_renewal_few_times_and_every_client_is_ready
soak: export ECR_REFRESHER_SOAK := $(SOAK)
soak: $(STAMP)  ## run the long tests, an hour or more: SOAK times the simulated years, 1,000 races for a file, 12,000 renewals, 500 rounds beside a cleanup, 200 images to look up, 200 clients of an Airflow, all mutations
	@first=0; second=0; third=0; \
	$(BIN)/python -m pytest tests/simulation $(SPREAD) $(PYTEST_ARGS) || first=$$?; \
	$(BIN)/python -m pytest tests/faults -n 0 -rP $(PYTEST_ARGS) || second=$$?; \
	ECR_REFRESHER_RACE_ROUNDS=500 ECR_REFRESHER_CANDIDATES=200 $(BIN)/python -m pytest tests/integration/test_cleanup.py $(MANY_CLIENTS) -n 0 -rP $(PYTEST_ARGS) || third=$$?; \
	echo "make soak ended with $$first (simulation), $$second (faults), $$third (real parts)"; \
	test $$first -eq 0 && test $$second -eq 0 && test $$third -eq 0

prepare: $(STAMP)  ## install the real services for the tests: Airflow and wheels by pip, engine and registry by apt, Debian by debootstrap
	@$(BIN)/python -m tests.testbed.prepare

lint: $(STAMP)  ## run ruff, mypy --strict and zizmor (for .github), and check that all files agree on the version
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/python -m tests.release

format: $(STAMP)  ## format the code with ruff
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)  ## generate docs/settings.md and the chart's schema from the settings' schema; write the repository's address
	$(BIN)/python -m tests.docs.settings_page
	$(BIN)/python -m tests.deploy.chart_made
	$(BIN)/python -m tests.release --write

bench: $(STAMP) prepare  ## measure and write the tables of docs/benchmarks.md, beside today's alternatives; needs an idle machine
	$(BIN)/python -m bench --write

# The newest versions that pyproject.toml allows, for every platform and Python from 3.11 on.
LOCK := $(BIN)/python -m uv pip compile --quiet --universal --upgrade --generate-hashes --python-version 3.11 --custom-compile-command "make lock"
lock: $(STAMP)  ## update the image's packages: deploy/image/*.lock
	$(LOCK) --extra kubernetes --output-file deploy/image/requirements.lock pyproject.toml
	$(LOCK) --output-file deploy/image/tools.lock deploy/image/tools.in

clean:  ## remove everything that make has created
	rm -rf $(VENV) .testbed .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis

venv: $(STAMP)  ## create the virtual environment, with the project installed as editable

# Rebuilt when pyproject.toml changes. Uses uv if it can be installed, because it is faster; else pip.
# pip supports dependency groups since 25.1, so an older one is upgraded.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5.15'; then \
		echo "installing with uv"; \
		$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --editable '.[kubernetes]' --group dev; \
	else \
		echo "uv can't be installed here: installing with pip"; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
		$(BIN)/python -m pip install --quiet --editable '.[kubernetes]' --group dev; \
	fi
	@touch $@
