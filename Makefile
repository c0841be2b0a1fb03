# Accrue: `make` lists what there is.
PYTHON ?= python3
UV     := .tools/bin/uv
BIN    := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run wallet test check bench format lock clean

help:  ## what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/base  ## set up, migrate, load the demo world, serve web and worker (PORT, DATABASE_URL, DATA_DIR)
	@exec $(BIN)/python manage.py run

wallet: .venv/base  ## the wallet as a service of its own (PORT, WALLET_DATABASE_URL)
	@exec $(BIN)/python manage.py run --settings=config.wallet_settings

test: .venv/dev  ## the whole suite on a real PostgreSQL, in a real browser where there is one
	@$(BIN)/python -m pytest

check: .venv/dev  ## format, lint, types, architecture, migrations, OpenAPI schema
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@PYTHONPATH=usage_client/src $(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null
	@$(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null --settings=config.wallet_settings

bench: .venv/bench  ## ratios to hand-written SQL on the same data in the same run
	@$(BIN)/python -m benchmarks

format: .venv/dev  ## put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock: $(UV)  ## pin every dependency with its hashes
	$(UV) pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
		pyproject.toml -o requirements/base.txt
	$(UV) pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
		pyproject.toml --group dev -c requirements/base.txt -o requirements/dev.txt
	$(UV) pip compile -q --universal --generate-hashes --python-version 3.11 --no-header \
		pyproject.toml --group dev --group bench -c requirements/dev.txt -o requirements/bench.txt

clean:  ## forget the environment (the data in .data/ stays)
	rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# --target works where Debian's python3 refuses a plain `pip install`, and needs no venv module.
$(UV):
	@$(PYTHON) -m pip install -q --disable-pip-version-check --root-user-action=ignore \
		--no-warn-script-location --target .tools "uv>=0.13,<0.14"

.venv/bin/python: | $(UV)
	@$(UV) venv -q --allow-existing --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv

.venv/%: requirements/%.txt | .venv/bin/python
	@$(UV) pip install -q --python .venv/bin/python --require-hashes -r $<
	@touch $@
