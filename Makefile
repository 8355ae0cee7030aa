PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo demo-datasetgan test lint clean

demo: $(VENV)/installed
	$(RUN) launch/study.py --jobs=2 --domain=demo --methods=source,adversarial,spl,supervised --seeds=0 --workdir=runs/demo

demo-datasetgan: $(VENV)/installed
	$(RUN) launch/study.py --jobs=2 --domain=figures --methods=supervised,factory,transfer,semi --seeds=0 --workdir=runs/demo-datasetgan

test: $(VENV)/installed-dev
	$(RUN) -m pytest

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/bin/python
	$(RUN) -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) runs
