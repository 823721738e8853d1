# make run    install what running needs into .venv, then train a star task graph on the embedded task set
# make test   install what the tests need too, then ruff and the tests on every core, of which the slowest are named
# make lint   as test, then ruff, mypy (a minute the first time), bandit, and whether all dependencies fit
# make audit  asks the network for known faults of the versions in constraints.txt
# make torture   as test; kill, starve and damage runs, several minutes; writes benchmarks/results/reliability.md
# make fuzz   as test; read 100,000 files that were changed at random; writes benchmarks/results/fuzz.md
# make clean  remove .venv, runs and caches

PYTHON ?= $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null || echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
# -qq: errors only
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check install --constraint constraints.txt

# The products inside the recurrences are small: on a busy machine a second thread costs far more than it brings.
export OMP_NUM_THREADS ?= 1

.PHONY: run test lint audit torture fuzz clean

run: $(INSTALLED)
	$(BIN)/python -m graphmtl.run --arch star --overwrite

test: $(INSTALLED_TEST)
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n auto --dist worksteal --durations=25

lint: $(INSTALLED_TEST)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive graphmtl benchmarks examples
	$(BIN)/python -m pip --disable-pip-version-check check
	@echo "Not asked here, since it needs the network: known faults of the dependencies (make audit)."

# Its own tool, which reads constraints.txt alone, so that nothing of it stands there. --strict: what cannot be looked up
# is named, not passed over.
audit: $(INSTALLED)
	$(VENV)/audit/bin/pip-audit --version >/dev/null 2>&1 || { \
	    $(BIN)/python -m venv $(VENV)/audit && $(VENV)/audit/bin/python -m pip -qq install 'pip-audit>=2.10'; }
	$(VENV)/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

torture: $(INSTALLED_TEST)
	$(BIN)/python -m benchmarks.torture --rounds 70 --results benchmarks/results/reliability.md

fuzz: $(INSTALLED_TEST)
	$(BIN)/python -m benchmarks.fuzz --inputs 100000 --results benchmarks/results/fuzz.md

# torch goes first and by its exact version: a later release would bring gigabytes of GPU libraries.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "graphmtl needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." \
	         "Name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "'$(PYTHON)' could not make a virtual environment (on Debian: apt install python3-venv)." >&2; exit 1; }
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@$(PIP) torch==2.13.0
	@$(PIP) --editable .
	@touch $@

$(INSTALLED_TEST): $(INSTALLED)
	@echo "Installing what the tests need (a few minutes the first time) ..."
	@$(PIP) --editable '.[test]'
	@touch $@

clean:
	rm -rf $(VENV) runs build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
