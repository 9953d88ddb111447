# Two commands do everything on a fresh machine with Python 3.11 and make: `make demo` and `make test`.
# Each does its own set-up; `make help` lists the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
URL ?=
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test check format docs media clean bench

help:  ## List the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: .make/runtime  ## Fetch, verify and explain a small film from fixtures/ (or URL=https://…)
	@$(BIN)/python tools/demo $(URL)

test: .make/development  ## Run all tests
	@tools/system-packages chromium mpv ffmpeg nginx curl strace iptables ip=iproute2 tc=iproute2 faketime \
		mkfs.exfat=exfatprogs mount.exfat-fuse=exfat-fuse mkfs.ext4=e2fsprogs
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(PYTEST_ARGS)

check: .make/development  ## Lint, format, types, architecture, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/write_cli_docs --check
	$(BIN)/python tools/draw_states --check

format: .make/development  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .make/development  ## Write the generated pages again
	$(BIN)/python tools/write_cli_docs
	$(BIN)/python tools/draw_states

media: .make/development  ## Make the fixture streams again (needs ffmpeg with x264, x265, aac, ac3 and flac)
	$(BIN)/python tools/make_media fixtures/media

bench: .make/development  ## Measure hlsdl beside other programs (BENCH_ARGS="--case large …"); about half an hour
	$(BIN)/python tools/bench $(BENCH_ARGS)

clean:  ## Remove what the commands above made
	rm -rf $(VENV) .make build dist demo-output hlsdl/player/web/vendor .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

.make/runtime: pyproject.toml hatch_build.py | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[ffmpeg]'
	@mkdir -p .make && touch $@

.make/development: pyproject.toml hatch_build.py | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[all,dev]'
	@mkdir -p .make && touch .make/runtime $@
