# Everything from a fresh clone, with Python 3.11 or newer and make:
#   make book [PROFILE=mini|book|paper]    make test    make browser    make lint    make bench    make published
PYTHON ?= python3
PROFILE ?= book

BIN := .venv/bin
READY := .venv/ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: book test browser lint bench published clean

book: $(READY)
	$(BIN)/nrp book --profile $(PROFILE)

test: $(READY)
	$(BIN)/python -m pytest tests -m "not browser" -n auto --dist loadfile

browser: $(READY)
	$(BIN)/python -m pytest tests -m browser

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy

# The libraries to compare with are only installed here.
bench: $(READY)
	$(BIN)/python -m pip install --quiet -r requirements-bench.lock
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/learning.py
	$(BIN)/python benchmarks/analysis.py

# Trains every member of every arm; what is interrupted goes on from where it was.
published: $(READY)
	$(BIN)/nrp publish --profile paper

# Results under runs/ may have taken hours: delete that folder by hand.
clean:
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache

# Made once, and again when the requirements change.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "PYTHON = $(PYTHON): must be Python 3.11 or newer" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@touch $@
