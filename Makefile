# make run and make test build the pinned environment first, where it is not there yet.
PYTHON ?= python3
CORES ?= all
VENV := .venv
ENVIRONMENT := $(VENV)/installed
BENCHMARKS := .venv-benchmarks
SMK := Snakefile workflow/Snakefile workflow/rules benchmarks/Snakefile docs/module/Snakefile

.PHONY: run test lint format docs pins benchmarks clean

run: $(ENVIRONMENT)
	$(VENV)/bin/snakemake --cores $(CORES) --workflow-profile workflow/profiles/default

test: $(ENVIRONMENT)
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

$(ENVIRONMENT): envs/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "umap-sweep needs Python 3.11 to 3.13; name one with PYTHON=, as in: make run PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/requirements.txt
	touch $@

lint: $(ENVIRONMENT)
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/snakefmt --check $(SMK)
	$(VENV)/bin/snakemake --lint

format: $(ENVIRONMENT)
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format
	$(VENV)/bin/snakefmt $(SMK)

docs: $(ENVIRONMENT)
	$(VENV)/bin/python docs/configuration.py > docs/configuration.md

pins: $(ENVIRONMENT)
	$(VENV)/bin/python -m pip install --quiet uv==0.13.8
	PATH=$(VENV)/bin:$$PATH $(VENV)/bin/python envs/pin.py

benchmarks: $(BENCHMARKS)/installed
	PATH="$(CURDIR)/$(BENCHMARKS)/bin:$$PATH" snakemake --snakefile benchmarks/Snakefile --cores $(CORES)

$(BENCHMARKS)/installed: envs/benchmarks.txt
	$(PYTHON) -m venv $(BENCHMARKS)
	$(BENCHMARKS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/benchmarks.txt
	touch $@

clean:
	rm -rf $(VENV) $(BENCHMARKS) .snakemake
