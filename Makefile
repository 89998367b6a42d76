# make demo   install, distil a network trained on real data, and say where the report lies
# make test   install, lint, type-check, hold the architecture, test
# make bench NAME=munge   run one benchmark and print its table

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2

.PHONY: demo test bench clean

demo: $(VENV)/.installed
	$(BIN)/limbeck distill --data concrete --train --out runs/demo --seed 0

test: $(VENV)/.installed-dev
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy src
	$(BIN)/lint-imports
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(ARGS)

bench: $(VENV)/.installed-dev
	@test -n "$(NAME)" || { echo "say which: make bench NAME=..., one of:"; ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py$$//' | grep -v __init__; exit 2; }
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.$(NAME) $(ARGS)

# torch comes first and by its exact version, so that no other requirement can bring another build of it
$(VENV)/.torch: constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is required, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $$(grep -i '^torch==' constraints.txt)
	touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet --constraint constraints.txt --editable '.[fast,onnx,optimal,skops,dev]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache
