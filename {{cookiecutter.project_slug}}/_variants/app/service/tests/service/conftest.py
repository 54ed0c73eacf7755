"""Services that run the small app."""

import contextlib
import sys
from pathlib import Path

import pytest

from .process import run_service

SMALL_APP = Path(__file__).with_name("small_app.py")
PATH = f"import sys; sys.path.insert(0, {str(SMALL_APP.parent)!r})\n"
RUN = """
from {{ cookiecutter.package_name }} import service
sys.exit(service.run("small_app:app", "small-app"))
"""
COMMAND = [sys.executable, "-c", PATH + RUN]


def pytest_collection_modifyitems(items):
    """Run tests that need a service last, so that no service is left running if a crash in C ends pytest."""
    items.sort(key=lambda item: any("service" in name for name in item.fixturenames))


def extended_command(code):
    """Return the command that runs the small app after some code that changes it."""
    run = "sys.exit(service.run('__main__:app', 'small-app'))"
    return [sys.executable, "-c", f"{PATH}from small_app import app, service\n{code}\n{run}"]


@pytest.fixture
def start_service(tmp_path):
    """Return a function that starts a service: `start_service(grace_seconds=1)`."""
    with contextlib.ExitStack() as stack:
        yield lambda *command, **settings: stack.enter_context(run_service(tmp_path, *(command or COMMAND), **settings))


@pytest.fixture(scope="session")
def service(tmp_path_factory):
    """Start a service that tests share, with a body limit of 6 MB."""
    with run_service(tmp_path_factory.mktemp("service"), *COMMAND, max_body_bytes="6MB") as service:
        yield service


@pytest.fixture(scope="session")
def failing_service(tmp_path_factory):
    """Start a service for tests whose requests fail, because other tests assert that the log has no traceback."""
    with run_service(tmp_path_factory.mktemp("service"), *COMMAND) as service:
        yield service


@pytest.fixture(scope="session")
def documented_service(tmp_path_factory):
    """Start a service that serves its OpenAPI document."""
    with run_service(tmp_path_factory.mktemp("service"), *COMMAND, docs=True) as service:
        yield service


@pytest.fixture(scope="session")
def short_timeout_service(tmp_path_factory):
    """Start a service with short timeouts."""
    timeouts = {"idle_seconds": 0.5, "keep_alive_seconds": 1}
    with run_service(tmp_path_factory.mktemp("service"), *COMMAND, **timeouts) as service:
        yield service
