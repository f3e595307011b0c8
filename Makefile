# The verbs of the project. `make demo` and `make test` need nothing but Python 3.11 and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.PHONY: demo test check docs site bench clean

demo: $(STAMP)
	$(BIN)/crossbit demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q

# What is checked before the tests: form, types, and that everything generated is fresh.
check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python benchmarks/tables.py --check

# Rewrite everything in the documents that is generated.
docs: $(STAMP)
	$(BIN)/python benchmarks/tables.py --write
	$(BIN)/python -m crossbit.cli.document > docs/.cli.md && mv docs/.cli.md docs/cli.md

# The documents as a site, in site/; a warning is an error.
site: $(STAMP)
	$(BIN)/python -m mkdocs build --strict --quiet

# Measure what has no result yet (more than an hour from nothing), then rewrite the tables.
bench: $(STAMP)
	$(BIN)/python benchmarks/run_all.py
	$(BIN)/python benchmarks/tables.py --write

# Installed once; again only when the pins or the package's needs change. Nothing is fetched after that.
$(STAMP): pyproject.toml constraints.txt
	command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or say  make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e ".[train,export,hub,milvus,postgres,distributed,serve,client,dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV)
