# descentlab: everything from a clean clone, with Python 3.11+, make and a package registry.
#
#   make explore      set up the core and write explore.html: formula, derivative, descent, verdict, survey
#                     make explore FORMULA='x^4 - 2x^2 + y^2' DOMAIN='x=-2:2 y=-2:2' START='0.5,1' OUTPUT=my.html
#   make course       open the course's notebooks in Jupyter, in a copy to work in (DIR=descentlab-course)
#   make test         set up everything and run the tests (SLOW=1: the slow ones too)
#   make lint         ruff and mypy
#   make docs         build the site into build/docs/index.html, every notebook and example run
#   make pictures     draw the README's pictures anew
#   make bench        descents, start-up, surveys and proofs, side by side with other ways (WRITE=1: into benchmarks/RESULTS.md;
#                     ONLY=surveys: that part)
#   make fuzz         throw random and hostile text at the formula reader (SECONDS=60)
#   make lock         write requirements.lock anew from pyproject.toml
#   make clean        remove what the above made, the environment included

PYTHON ?= python3
BIN := .venv/bin
SECONDS := 60
WORKERS ?= 2

# Text for the program goes through the environment, untouched: $(value ...) keeps make from reading a $ in a
# formula, and the shell below only ever sees "$$FORMULA", never the text itself.
ifeq ($(origin FORMULA),undefined)
FORMULA = cos(2*pi*x) + x**2
DOMAIN ?= x=-2:2
START ?= 0
endif
OUTPUT ?= explore.html
DIR ?= descentlab-course
override FORMULA := $(value FORMULA)
override DOMAIN := $(value DOMAIN)
override START := $(value START)
export FORMULA DOMAIN START OUTPUT

.PHONY: explore course test lint docs pictures bench fuzz lock clean

explore: .venv/core.stamp
	@set -f; set --; \
	for side in $$DOMAIN; do set -- "$$@" "--domain=$$side"; done; \
	for start in $$START; do set -- "$$@" "--start=$$start"; done; \
	exec $(BIN)/descentlab explore "$$@" "--output=$$OUTPUT" -- "$$FORMULA"

# Jupyter does not start for root unless told to; in a container there often is nobody else.
ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)

course: .venv/course.stamp
	@test -d "$(DIR)" || $(BIN)/descentlab course "$(DIR)"
	exec $(BIN)/jupyter lab $(ROOT) --notebook-dir "$(DIR)" --LabApp.default_url=/lab/tree/01-derivatives.ipynb

test: .venv/full.stamp
	$(BIN)/python -m pytest -n $(WORKERS) $(if $(SLOW),--slow)

lint: .venv/full.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/full.stamp
	$(BIN)/python -m sphinx -q -j auto -W --keep-going -b html docs build/docs
	@echo "The site is build/docs/index.html"

pictures: .venv/full.stamp
	$(BIN)/python docs/readme_pictures.py

bench: .venv/bench.stamp
	$(BIN)/python -m benchmarks $(if $(WRITE),--write) $(if $(ONLY),--only $(ONLY))

fuzz: .venv/full.stamp
	$(BIN)/python tests/fuzz/formula_atheris.py -max_total_time=$(SECONDS)

# Four stamps, one environment. A larger install satisfies the smaller ones too, so it leaves their stamps as well;
# a core install over a full one upgrades the core and leaves the rest, and the older full stamp then asks for the rest.
INSTALL = PIP_CONSTRAINT=requirements.lock $(BIN)/python -m pip install --quiet --disable-pip-version-check

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "descentlab needs Python 3.11 or newer.")'
	$(PYTHON) -m venv .venv

.venv/core.stamp: pyproject.toml requirements.lock | .venv/bin/python
	@echo "Setting up the core in .venv (about a minute, once) ..."
	@$(INSTALL) --editable .
	@touch $@

.venv/course.stamp: pyproject.toml requirements.lock | .venv/bin/python
	@echo "Setting up the course in .venv (a few minutes, once) ..."
	@$(INSTALL) --editable '.[course]'
	@touch .venv/core.stamp $@

.venv/full.stamp: pyproject.toml requirements.lock | .venv/bin/python
	@echo "Setting up everything in .venv (a few minutes, once) ..."
	@$(INSTALL) --editable '.[torch,dev]'
	@touch .venv/core.stamp .venv/course.stamp $@

.venv/bench.stamp: pyproject.toml requirements.lock | .venv/bin/python
	@echo "Setting up everything, and what surveys are compared with, in .venv (a few minutes, once) ..."
	@$(INSTALL) --editable '.[torch,bench,dev]'
	@touch .venv/core.stamp .venv/course.stamp .venv/full.stamp $@

# The one pin that is chosen by hand is torch's; all others are what the registry has that day.
lock:
	rm -rf build/lock && $(PYTHON) -m venv build/lock
	grep '^torch==' requirements.lock > build/torch.txt
	PIP_CONSTRAINT=build/torch.txt build/lock/bin/python -m pip install --quiet '.[torch,bench,dev]' hatchling editables
	$(PYTHON) -c 'print(open("requirements.lock").read().split("\n\n")[0] + "\n")' > build/lock.txt
	build/lock/bin/python -m pip freeze --all --exclude pip --exclude descentlab | sed 's/+cpu$$//' >> build/lock.txt
	mv build/lock.txt requirements.lock

clean:
	rm -rf .venv build dist explore.html .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/build
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
