# `make help` lists what there is. Everything installs itself into .venv first; nothing is needed but Python >= 3.11.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=4000000000 # as nrsed run sets them
PROFILE ?= mini
SET    ?=
CORES  ?=
EXECUTOR ?=
DEVICES ?=
ONLY ?=

# What was given reaches the command letter by letter, whatever a shell or make would make of it. In SET, a word with =
# begins another setting.
unexport PROFILE SET CORES EXECUTOR DEVICES ONLY
quoted   = '$(subst ','\'',$(value $(1)))'
option   = $(if $(value $(2)),--$(1) $(call quoted,$(2)))
GIVEN    = $(subst ','\'',$(value SET))
SETTINGS = $(if $(GIVEN),--set '$(strip $(firstword $(GIVEN)) $(foreach w,$(wordlist 2,$(words $(GIVEN)),$(GIVEN)),$(if \
           $(findstring =,$(w)),' --set ')$(w)))')
OPTIONS  = $(call option,cores,CORES) $(call option,executor,EXECUTOR) $(call option,devices,DEVICES) $(SETTINGS)
# Modules, not the scripts in $(BIN): these begin with the path of this folder, which may have a space.
NRSED    = $(BIN)/python -m nrsed_lib.run.cli

.DEFAULT_GOAL := help
.PHONY: help reproduce open studies paper test lab bench lock lint clean

help:        ## what each target does
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

reproduce: $(READY) ## the paper on soundscapes made here, in minutes (notebooks 01 to 08, profile mini)
	@$(NRSED) run --profile mini $(OPTIONS)

open: $(READY) ## the same on real recordings, downloaded (or from NRSED_MIRROR); e.g. make open SET=seed=3
	@$(NRSED) run --profile open $(OPTIONS)

studies: $(READY) ## the separation studies (notebooks 09 to 12); on recordings: make studies PROFILE=open
	@$(NRSED) run --studies --profile $(call quoted,PROFILE) $(OPTIONS)

paper: $(READY) ## check all that the paper's own scale needs, print the plan, and run it if nothing is missing
	@$(NRSED) plan --profile paper $(SETTINGS)
	@$(NRSED) run --profile paper $(OPTIONS)

test: $(READY) ## install and run every test, notebooks included
	@$(BIN)/python -m ruff check nrsed_lib tests tools
	@$(BIN)/python -m ruff format --check nrsed_lib tests tools
	@$(BIN)/python -m mypy
	@$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --durations 30

lab: $(READY) ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab notebooks

bench: $(READY) ## measure our ways beside the published ones, and the paper's sizes; e.g. make bench ONLY=ways
	@$(KEEP_MEMORY) $(BIN)/python -m tools.bench $(foreach k,$(subst ','\'',$(value ONLY)),--only '$(k)')

lock: $(VENV)/bin/uv ## renew requirements.lock after an edit of pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras \
		--no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	@$(PYTHON) .ci/environment.py

lint: $(READY) ## format and check
	@$(BIN)/python -m ruff format nrsed_lib tests tools
	@$(BIN)/python -m ruff check --fix nrsed_lib tests tools
	@$(BIN)/python -m mypy

clean:       ## remove what runs left (tables, figures and answers stay)
	rm -rf results/runs/*/work results/runs/*/report

$(VENV)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nrsed needs Python 3.11 or newer, not " + sys.version.split()[0] + "; name one: make PYTHON=python3.11")'
	@echo "installing into $(VENV) (PyTorch is large: a minute or more)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.8

$(READY): requirements.lock pyproject.toml | $(VENV)/bin/uv
	@$(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
