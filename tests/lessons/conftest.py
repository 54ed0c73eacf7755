"""Fixtures of the tests that build lessons."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator

import pytest

from tests.conftest import Bake, Project
from tools.engine import cache_dir


@pytest.fixture(scope="session")
def project(bake_once: Bake, testrun_uid: str) -> Project:
    """Return a project that only the tests of the lessons use, because they write to it.

    Its requirements.txt is unique to this run. Otherwise the engine may have several cached results of one step, with
    different bytecode timestamps, and pick a different one each time, so that steps shown as CACHED would run. All
    processes of the run use the same one, so that they share the cached layers.
    """
    project = bake_once(project_name="Workbook", strategy="all", app="cli")
    with (project.path / "lessons/app/requirements.txt").open("a") as requirements:
        requirements.write(f"# {testrun_uid}\n")
    return project


@pytest.fixture
def lesson_lock(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold a lock, so that only one test at a time builds the images of a lesson: their names are fixed."""
    # The number of the lesson, or the name of its directory; 0 is the page errors.md.
    lesson = request.node.callspec.params["lesson"] if hasattr(request.node, "callspec") else "0"
    with (cache_dir() / f"lesson-{int(str(lesson)[:2])}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
