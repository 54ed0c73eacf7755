# `make test` and `make demo` need a checkout, Python 3.11 or later and, for images, Docker or root on Debian.
PYTHON ?= python3
PARALLEL = .venv/bin/python -m pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder

.PHONY: help quick test weekly attack demo engine load watch bench sizes compare compat pictures site lint lock outdated \
	clean

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

quick: .venv/ready  ## run the tests that need neither a Docker engine nor a package index
	.venv/bin/python -m pytest --numprocesses=4 --dist=loadfile -m "not engine and not index and not serial and not weekly"

test: .venv/ready  ## run the tests, with a Docker engine for the image tests
	$(PARALLEL) -m "not serial and not weekly"
	.venv/bin/python -m pytest -m "serial and not weekly"

weekly: .venv/ready  ## repeat the measurements in the documents, and run the tests with the remaining combinations
	$(PARALLEL) -m "weekly and not serial"
	.venv/bin/python -m pytest -m "weekly and serial"

attack: .venv/ready  ## repeat the attacks of docs/security.md for longer; ARGS="-k name" selects some
	ATTACK=1 .venv/bin/python -m pytest -m attack $(ARGS)

demo: .venv/ready  ## generate the default project, build its image, and run a smoke test
	.venv/bin/python -m tools.demo

engine: .venv/ready  ## open a shell in which `docker` works: with your engine or, as root on Debian, a private one
	.venv/bin/python -m tools.engine bash

load: .venv/ready  ## compare the service under load with a bare app (takes three minutes)
	.venv/bin/python -m tools.load

watch: .venv/ready  ## measure how quickly `docker compose watch` applies a change (takes two minutes)
	.venv/bin/python -m tools.watch

bench: .venv/ready  ## compare the speed of the generated C extension with that of google-crc32c
	.venv/bin/python -m tools.benchmark

sizes: .venv/ready  ## report the size that the service adds to the image, by package
	.venv/bin/python -m tools.sizes

compare: .venv/ready  ## compare the strategies with other build methods (takes about three hours)
	.venv/bin/python -m tools.compare
	.venv/bin/python -m tools.growth
	.venv/bin/python -m tools.combinations
	.venv/bin/python -m tools.caches

compat: .venv/ready  ## build projects with published dependencies (takes half an hour)
	.venv/bin/python -m tools.compat

pictures: .venv/ready  ## measure the stages of each strategy, and draw them to scale
	.venv/bin/python -m tools.stages

site: .venv/ready .venv-site/ready  ## build the site, with the explorer of all strategies, and serve it
	.venv/bin/python -m tools.site --serve

lint: .venv/ready  ## run the pre-commit hooks on all files
	.venv/bin/pre-commit run --all-files

lock: .venv/ready  ## update all lock files: the template's own and the generated project's
	.venv/bin/python -m tools.locks

outdated: .venv/ready  ## list the pinned hooks, actions and tools that have a newer version
	.venv/bin/python -m tools.outdated

clean:  ## remove the virtualenvs and the site
	rm -rf .venv .venv-site build

.venv/ready: tests/requirements.txt
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --quiet --require-hashes --requirement tests/requirements.txt
	touch .venv/ready

.venv-site/ready: docs/site/requirements.txt
	$(PYTHON) -m venv --clear .venv-site
	.venv-site/bin/pip install --quiet --require-hashes --requirement docs/site/requirements.txt
	touch .venv-site/ready
