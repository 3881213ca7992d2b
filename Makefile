# One door to everything a newcomer wants. Each target makes .venv first when it is missing.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help mutants demo test lint bench soak chaos chaos-long clean

PY := .venv/bin/python

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.ready ## replay School H's real day, then one case's whole life
	@.venv/bin/crisis demo

test: .venv/.ready ## run every test on two cores (ARGS="-k word" chooses)
	$(PY) -m pytest -n 2 --dist loadfile --ignore tests/test_machine.py --ignore tests/test_machine_city.py $(ARGS)
	$(PY) -m pytest -n 2 --dist loadfile tests/test_machine.py tests/test_machine_city.py $(ARGS)

lint: .venv/.ready ## ruff with every rule, mypy strict
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: .venv/.ready ## measure sweep, daemon, growth and peers, some 20 minutes (ARGS="--only sweep" chooses)
	$(PY) -m tests.bench $(ARGS)

mutants: .venv/.ready ## take each rule of each definition out and say what notices (goes on where it stopped; N=200 a sample)
	$(PY) -m tests.mutate

soak: .venv/.ready ## 1,000,000 random steps, every promise checked after each (hours)
	CRISIS_SOAK=1 $(PY) -m pytest -n 2 --dist loadfile -s tests/test_machine.py tests/test_machine_city.py $(ARGS)

chaos: .venv/.ready ## hundreds of simulated cities, a hundred real kills, broken disks and servers (minutes)
	$(PY) -m tests.chaos --seeds $(or $(CHAOS_SEEDS),100-299)
	CRISIS_CHAOS=$(or $(CHAOS_KILLS),100) $(PY) -m pytest -s tests/chaos $(ARGS)

chaos-long: .venv/.ready ## the night: new seeds for CHAOS_MINUTES (480), CHAOS_KILLS (1000) real kills on each database
	CRISIS_CHAOS=$(or $(CHAOS_KILLS),1000) $(PY) -m pytest -s tests/chaos $(ARGS)
	$(PY) -m tests.chaos --minutes $(or $(CHAOS_MINUTES),480)

clean: ## remove all that was made here, .venv too
	rm -rf .venv build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A python is tried by running it: a pyenv shim exists and still fails. `python -m venv` without ensurepip leaves half a
# venv behind, so a .venv counts only when its pip runs, and what is left of a failed one goes.
.venv/.ready: pyproject.toml
	@python=; \
	for candidate in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	    rm -rf .venv; \
	    echo "Setting up .venv (once, about a minute) ..."; \
	    if [ -n "$$python" ] && "$$python" -m venv .venv >/dev/null 2>&1; then :; \
	    elif rm -rf .venv; command -v uv >/dev/null 2>&1; then \
	        uv venv --quiet --seed --python "$$(command -v "$$python" || echo '>=3.11')" .venv || { \
            rm -rf .venv; echo "uv could not make .venv: see the lines above. A Python 3.11 with its venv module is enough." >&2; exit 1; }; \
	    elif [ -z "$$python" ]; then \
	        echo "crisis_engine needs Python 3.11 or newer and found none. Install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; \
	    else \
	        echo "$$python cannot make a virtual environment. Install its venv module (Debian: apt-get install python3-venv) or uv." >&2; exit 1; \
	    fi; \
	fi; \
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[bench]' || { \
	    echo "The packages could not be installed: see the lines above, then run make again." >&2; exit 1; }
	@touch $@
