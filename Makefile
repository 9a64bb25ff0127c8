# make run and make test build the pinned environment first, where it is not there yet.
PYTHON ?= python3
CORES ?= all
VENV := .venv
BENCHMARKS := .venv-benchmarks
AUDIT := .venv-audit
SMK := Snakefile workflow/Snakefile workflow/rules benchmarks/Snakefile docs/module/Snakefile docs/clusters/Snakefile
PIP := -m pip --disable-pip-version-check --quiet

.PHONY: run test lint format docs pins benchmarks audit clean

run: $(VENV)/installed
	$(VENV)/bin/snakemake --cores $(CORES) --workflow-profile workflow/profiles/default

test: $(VENV)/development
	$(VENV)/bin/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# The package is installed from this folder, so that a changed file needs no new installation.
$(VENV)/installed: envs/requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "umap-sweep needs Python 3.11 to 3.13; name one with PYTHON=, as in: make run PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python $(PIP) install --require-hashes -r envs/requirements.txt
	$(VENV)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/development: envs/development.txt $(VENV)/installed
	$(VENV)/bin/python $(PIP) install --require-hashes -r envs/development.txt
	touch $@

lint: $(VENV)/development node_modules/.package-lock.json
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/codespell
	$(VENV)/bin/snakefmt --check $(SMK)
	$(VENV)/bin/snakemake --lint
	npm run --silent lint

# eslint, which checks the scripts of the atlas.
node_modules/.package-lock.json: package.json package-lock.json .npmrc
	npm ci --silent
	touch $@

format: $(VENV)/development
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format
	$(VENV)/bin/snakefmt $(SMK)

docs: $(VENV)/development
	$(VENV)/bin/python docs/make.py

pins: $(VENV)/development
	$(VENV)/bin/python $(PIP) install uv==0.13.8
	PATH=$(VENV)/bin:$$PATH $(VENV)/bin/python envs/pin.py

benchmarks: $(BENCHMARKS)/installed
	PATH="$(CURDIR)/$(BENCHMARKS)/bin:$$PATH" snakemake --snakefile benchmarks/Snakefile --cores $(CORES)

$(BENCHMARKS)/installed: envs/benchmarks.txt pyproject.toml
	$(PYTHON) -m venv $(BENCHMARKS)
	$(BENCHMARKS)/bin/python $(PIP) install --require-hashes -r envs/benchmarks.txt
	$(BENCHMARKS)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

# Known weaknesses of the pinned packages, and their licences; SECURITY.md has a word on each finding.
audit: $(AUDIT)/installed node_modules/.package-lock.json
	$(AUDIT)/bin/pip-audit --requirement envs/requirements.txt --require-hashes --disable-pip
	npm audit
	$(AUDIT)/bin/pip-licenses --from=mixed --order=license

$(AUDIT)/installed: envs/audit.txt pyproject.toml
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python $(PIP) install --require-hashes -r envs/audit.txt
	$(AUDIT)/bin/python $(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) $(BENCHMARKS) $(AUDIT) node_modules .snakemake
