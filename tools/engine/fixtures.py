"""The engine as pytest fixtures. Enable them in a conftest with `pytest_plugins = ["tools.engine.fixtures"]`.

If a test fails because of a fault of the host that would fail most other tests too, the run stops with one sentence.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

import pytest

from . import NAME_RESOLUTION_ERROR, Engine, EngineUnavailable, cache_dir, engine_required, is_running, running_engine

RUNNING = pytest.StashKey[Engine]()
# A failed build has already removed its files when the disk space is checked.
MIN_FREE_BYTES = 10**9


def skip_or_fail(reason: EngineUnavailable) -> NoReturn:
    """Skip the test, or fail it if `REQUIRE_ENGINE=1` is set."""
    if engine_required():
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Yield the engine that all tests of this run share."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(running_engine())
        except EngineUnavailable as reason:
            skip_or_fail(reason)
        request.config.stash[RUNNING] = running
        yield running
        del request.config.stash[RUNNING]


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> Callable[[str], str]:
    """Return a function that returns the base image's tag for a Python version, or skips the test."""

    def tag(version: str) -> str:
        try:
            return engine.base_image(version)
        except EngineUnavailable as reason:
            skip_or_fail(reason)

    return tag


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the fault of the host to the report of a failed test, because only this process knows the engine."""
    report = yield
    if report.failed and call.excinfo:
        fault = _host_fault(item.config, str(call.excinfo.value))
        if fault:
            report.user_properties.append(("fault", fault))
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Stop the run after a final failure; an exit in a worker of pytest-xdist would not stop the others."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        for name, value in report.user_properties:
            if name == "fault":
                pytest.exit(str(value))


def _host_fault(config: pytest.Config, error: str) -> str | None:
    """Return a sentence about a fault that would fail most other tests too, or None."""
    engine = config.stash.get(RUNNING, None)
    responds = engine is not None and is_running(engine)
    directories = [Path(tempfile.gettempdir()), cache_dir()]
    if engine and responds:
        directories.append(Path(engine.docker("info", "--format", "{{.DockerRootDir}}", check=False).stdout.strip()))
    for directory in filter(Path.is_dir, directories):
        free = shutil.disk_usage(directory).free
        if free < MIN_FREE_BYTES:
            megabytes = free // 10**6
            return f"The disk is full: {directory} has {megabytes} MB left. CONTRIBUTING.md lists what the tests need."
    if engine and not responds:
        log = f": see {cache_dir()}/engine/dockerd.log" if engine.private else ""
        return f"The Docker engine no longer responds{log}."
    # The reruns of such a failure have failed as well.
    if re.search(NAME_RESOLUTION_ERROR, error):
        return "No name could be resolved, even after the reruns: check the network and its name server."
    return None
