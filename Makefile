# Each of these sets everything up by itself, in .venv.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.DEFAULT_GOAL := help
.PHONY: help demo test slow lint docs package bench faults

help:  ## what can be made
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 8

demo: $(READY)  ## compare the methods on a noisy photograph: demo/compare.png and a table
	@mkdir -p demo
	@$(BIN)/python -c "from pathlib import Path; from skimage import data; import imageio.v3 as io; io.imwrite(Path('demo/photo.png'), data.camera())"
	@$(BIN)/difffilter compare demo/photo.png --sigma 25/255 -o demo/compare.png --overwrite

test: $(READY)  ## run all tests that take seconds
	$(BIN)/python -m pytest -n auto --dist worksteal

slow: $(READY)  ## run the tests that take minutes
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow --ignore=tests/test_docs.py --ignore=tests/test_package.py

lint: $(READY)  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)  ## build the documentation, and run its code: docs/_build/html/index.html
	$(BIN)/python -m sphinx -M html docs docs/_build --fail-on-warning --keep-going --quiet
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow tests/test_docs.py

package: $(READY)  ## build the wheel and the sdist, and try each in a clean environment
	$(BIN)/python -m pytest -m slow tests/test_package.py

bench: $(READY)  ## measure speed against other libraries
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[peers]'
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/solutions.py

faults: $(READY)  ## provoke faults and hostile input by the thousand: docs/reliability.md
	$(BIN)/python benchmarks/reliability.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,ddpm]'
	@touch $@
