# Tasks of a checkout. They use the virtual environment that CONTRIBUTING.md sets up.
PYTHON ?= .venv/bin/python
LOWEST ?= .venv-lowest
TESTS ?=

.PHONY: test test-all lint types zoo docs lowest

test:  # the tests that are not slow
	$(PYTHON) -m pytest $(TESTS)

test-all:  # all tests
	$(PYTHON) -m pytest --slow $(TESTS)

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .

types:
	$(PYTHON) -m mypy

zoo:  # checks that every generated file is up to date
	$(PYTHON) -m zoo.build --check

docs:  # the documentation site in docs/_build/html, with its notebooks, and the examples of docstrings
	$(PYTHON) -m sphinx -W --keep-going -q -j 2 docs docs/_build/html
	$(PYTHON) -m pytest tests/test_site.py
	$(PYTHON) -m pytest --doctest-modules keras_unrolled

lowest:  # the tests with the lowest versions that pyproject.toml allows
	python3 -m venv $(LOWEST)
	$(LOWEST)/bin/pip install --quiet uv
	$(LOWEST)/bin/uv pip install --python $(LOWEST)/bin/python --resolution lowest-direct -e ".[test]"
	$(LOWEST)/bin/python -m pytest $(TESTS)
