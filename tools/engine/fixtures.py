"""The engine as pytest fixtures. Enable them in a conftest with `pytest_plugins = ["tools.engine.fixtures"]`."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import pytest

from . import Engine, EngineUnavailable, engine_required, running_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def skip_or_fail(reason: EngineUnavailable) -> NoReturn:
    """Skip the test, or fail it if `REQUIRE_ENGINE=1` is set."""
    if engine_required():
        pytest.fail(str(reason), pytrace=False)
    pytest.skip(str(reason))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Yield the engine that all tests of this run share."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(running_engine())
        except EngineUnavailable as reason:
            skip_or_fail(reason)
        yield running


@pytest.fixture(scope="session")
def base_image(engine: Engine) -> Callable[[str], str]:
    """Return a function that returns the base image's tag for a Python version, or skips the test."""

    def tag(version: str) -> str:
        try:
            return engine.base_image(version)
        except EngineUnavailable as reason:
            skip_or_fail(reason)

    return tag
