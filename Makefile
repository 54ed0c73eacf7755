# `make test` and `make demo` need a checkout, Python 3.11 or later and, for images, Docker or root on Debian.
PYTHON ?= python3

.PHONY: help test demo load bench sizes compare pictures lint lock clean

help:  ## tell what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

test: .venv/ready  ## run all tests; images are built and run by a Docker engine
	.venv/bin/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile -m "not alone"
	.venv/bin/python -m pytest -m alone

demo: .venv/ready  ## generate the default project, build its image, run it and ask it for a checksum
	.venv/bin/python -m tests.demo

load: .venv/ready  ## compare the service under load with a bare app, for three minutes
	.venv/bin/python -m tests.load

bench: .venv/ready  ## compare the speed of the generated C extension with google-crc32c
	.venv/bin/python -m tests.benchmark

sizes: .venv/ready  ## tell what the service adds to the image, by package
	.venv/bin/python -m tests.sizes

compare: .venv/ready  ## compare the strategies with other ways to build the same image, for half an hour
	.venv/bin/python -m tests.compare

pictures: .venv/ready  ## draw the stages of each strategy, to the scale of its image's layers
	.venv/bin/python -m tests.stages

lint: .venv/ready  ## run the pre-commit hooks on all files
	.venv/bin/pre-commit run --all-files

lock: .venv/ready  ## renew the lock files, the template's own and those it ships
	.venv/bin/python -m tests.locks

clean:  ## remove the virtualenv
	rm -rf .venv

.venv/ready: tests/requirements.txt
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --quiet --require-hashes --requirement tests/requirements.txt
	touch .venv/ready
