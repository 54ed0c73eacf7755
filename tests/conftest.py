"""Shared fixtures: generated projects, the Docker engine, and images that are built only once."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tools.engine import NAME_RESOLUTION_ERROR, Engine

pytest_plugins = ["tools.engine.fixtures"]
# The tests in this directory belong to a generated project.
collect_ignore = ["project/edit_distance"]

# Reset what `make test` and shells pass on: variables that change make's output, an ignored Ctrl-C, and
# PYTHONDONTWRITEBYTECODE, with which each start of a generated service would compile its dependencies again.
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)
# If the name server or the package index does not respond, try again soon and often, as in a substitute base image.
os.environ |= {
    "RES_OPTIONS": "timeout:1 attempts:5",
    "PIP_DEFAULT_TIMEOUT": "30",
    "UV_HTTP_TIMEOUT": "30",
    "UV_HTTP_RETRIES": "5",
}
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TEMPLATE = Path(__file__).parent.parent
TOOLS = Path(sys.executable).parent
QUESTIONS: dict[str, Any] = {
    name: default
    for name, default in json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8")).items()
    if not name.startswith("_")
}
STRATEGIES = [name for name in QUESTIONS["strategy"] if name != "all"]
STRATEGY_DIR = TEMPLATE / "{{cookiecutter.project_slug}}/_variants/strategy"
# Strategies that can also export artifacts.
WITH_ARTIFACTS = [
    name for name in STRATEGIES if " AS artifacts\n" in (STRATEGY_DIR / name / "Dockerfile").read_text("utf-8")
]
APPS = QUESTIONS["app"]
# The sample's checksum of nine digits.
DIGITS = "123456789"
CHECKSUM = "e3069283"
BAKE = ("buildx", "bake", "--file", "deploy/docker-bake.hcl")
# Hardened as in a cluster; the UID has no passwd entry in any image.
HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=12345:0")


@dataclass(frozen=True)
class Project:
    """A generated project: its path and its answers."""

    path: Path
    answers: dict[str, str]

    @property
    def slug(self) -> str:
        """The short name: directory, distribution, command and image."""
        return self.answers["project_slug"]

    @property
    def package(self) -> str:
        """The import name."""
        return self.answers["package_name"]

    @property
    def files(self) -> set[str]:
        """Every file, as a POSIX path relative to the project."""
        return {path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()}

    def read(self, name: str) -> str:
        """Return the text of one file."""
        return (self.path / name).read_text("utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text in a file, which must contain it."""
        text = self.read(name)
        assert old in text
        (self.path / name).write_text(text.replace(old, new), "utf-8")

    def run(self, *command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in the project, and capture its output; do not raise if it fails."""
        return subprocess.run(command, cwd=self.path, capture_output=True, text=True, check=False, **options)


def all_pairs(questions: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """Generate pairwise combinations of answers."""

    def pairs(row: dict[str, str]) -> set[tuple[tuple[str, str], ...]]:
        return set(itertools.combinations(row.items(), 2))

    rows = [dict(zip(questions, row, strict=True)) for row in itertools.product(*questions.values())]
    missing = set().union(*map(pairs, rows))
    while missing:
        row = max(rows, key=lambda row: len(missing & pairs(row)))
        missing -= pairs(row)
        yield row


Bake = Callable[..., Project]


def baker(cookies: Any, rendered_hooks: Path) -> Bake:
    """Return a function that generates projects with pytest-cookies, and rejects unknown questions."""

    def bake(**answers: str) -> Project:
        assert answers.keys() <= QUESTIONS.keys(), f"no such question: {answers.keys() - QUESTIONS.keys()}"
        with pytest.MonkeyPatch.context() as patch:
            # Otherwise cookiecutter leaves rendered hooks in the system's temporary directory.
            patch.setattr(tempfile, "tempdir", str(rendered_hooks))
            result = cookies.bake(extra_context=answers)
        if result.exception is not None:
            raise result.exception
        return Project(result.project_path, dict(result.context))

    return bake


@pytest.fixture(scope="session")
def rendered_hooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for cookiecutter's rendered hooks, deleted with pytest's other temporary files."""
    return tmp_path_factory.mktemp("hooks")


@pytest.fixture
def bake(cookies: Any, rendered_hooks: Path) -> Bake:
    """Return a function that generates projects, which are deleted after the test."""
    return baker(cookies, rendered_hooks)


@pytest.fixture(scope="session")
def bake_once(cookies_session: Any, rendered_hooks: Path) -> Bake:
    """Return a function that generates projects for the whole session, once for each set of answers."""
    return cache(baker(cookies_session, rendered_hooks))


def weekly_after(count: int, combinations: Iterable[Any]) -> list[Any]:
    """Return parameters of which `make test` uses the first ones, and `make weekly` the others."""
    return [
        pytest.param(each, marks=pytest.mark.weekly if number >= count else ())
        for number, each in enumerate(combinations)
    ]


def attempts(normally: int, attack: int) -> int:
    """Return how often a test repeats an attack: the second number for `make attack`."""
    return attack if os.environ.get("ATTACK") else normally


def skip_without_jq() -> None:
    """Skip a test whose commands need jq, if it is not installed."""
    if not shutil.which("jq"):
        pytest.skip("the commands need jq: install it")


def wait_until(condition: Callable[[], object], description: str = "the condition was not met in time") -> None:
    """Wait up to a minute until a condition is true."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, description
        time.sleep(0.1)


COMMIT_TIME = 1_700_000_000
# A git identity, so that the tests do not depend on the user's git configuration.
PERSON = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")


def copy_project(project: Project, directory: Path) -> Project:
    """Return a copy of a project that a test may change."""
    return Project(shutil.copytree(project.path, directory / project.slug, symlinks=True), project.answers)


def commit_project(project: Project, directory: Path) -> Project:
    """Return a copy of a project, committed at a fixed time."""
    copy = copy_project(project, directory)
    times = {f"GIT_{who}_DATE": f"{COMMIT_TIME} +0000" for who in ("AUTHOR", "COMMITTER")}
    for command in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "first")):
        result = copy.run("git", *PERSON, *command, env={**os.environ, **times})
        assert result.returncode == 0, result.stderr
    return copy


@dataclass(frozen=True)
class Image:
    """An image built from a project."""

    engine: Engine
    tag: str
    project: Project
    base: str

    def config(self) -> dict[str, Any]:
        """Return the image configuration."""
        config: dict[str, Any] = json.loads(
            self.engine.docker("inspect", "--format", "{{json .Config}}", self.tag).stdout
        )
        return config

    def run(self, *command: str, options: tuple[str, ...] = (), **kwargs: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in a hardened container."""
        fixed = ("run", "--rm", "--interactive", "--network=none", *HARDENED)
        return self.engine.docker(*fixed, *options, self.tag, *command, **kwargs)

    def shell(self, script: str) -> str:
        """Run a shell script as root, and return its output."""
        return self.engine.docker("run", "--rm", "--user=0", "--network=none", self.tag, "sh", "-euc", script).stdout


def host_address(engine: Engine) -> str:
    """Return an address of the host that the steps of a build can also reach."""
    gateway = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    return engine.docker("network", "inspect", "bridge", "--format", gateway).stdout.split()[0]


@contextmanager
def container(engine: Engine, tag: str, *options: str, command: tuple[str, ...] = ()) -> Iterator[str]:
    """Start a container, yield its ID, and remove it at the end."""
    name = engine.docker("run", "--detach", *options, tag, *command).stdout.strip()
    try:
        yield name
    finally:
        engine.docker("rm", "--force", "--volumes", name, check=False)


Build = Callable[[Project], Image]


@pytest.fixture(scope="session")
def build(engine: Engine, base_image: Callable[[str], str]) -> Iterator[Build]:
    """Return a function that builds a project's image, once for each project."""
    # Include the process ID, because other test runs may share the engine.
    mine = f"test-{os.getpid()}"

    @cache
    def build_once(path: Path, tag: str, version: str) -> str:
        base = base_image(version)
        engine.docker("build", "--tag", tag, str(path))
        return base

    def build(project: Project) -> Image:
        version, *others = (project.answers[name] for name in ("python_version", "strategy", "app", "runtime"))
        tag = f"{mine}-{project.slug}:{'-'.join(others)}-{version}"
        return Image(engine, tag, project, build_once(project.path, tag, version))

    yield build
    if engine.private:
        return  # It removes all images together when it stops.
    tags = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{mine}-*").stdout.split()
    if tags:
        engine.docker("image", "rm", *tags, check=False)


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fail with one sentence if no package can be downloaded; otherwise, each test would fail with a long log."""
    target = tmp_path_factory.mktemp("index")
    command = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(target), "setuptools")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        # pip's last line does not name the cause if the name server is unavailable.
        cause = re.search(NAME_RESOLUTION_ERROR, result.stderr)
        reason = cause[0] if cause else result.stderr.strip().splitlines()[-1]
        pytest.fail(f"This test needs a package index, but pip could not download setuptools: {reason}", pytrace=False)


def npm_install(directory: Path, *packages: str) -> None:
    """Install npm packages into a directory. Skip the test if npm is not installed."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip(f"{' and '.join(packages)} need node and npm: install them")
    command = ["npm", "install", "--loglevel=error", "--ignore-scripts", "--prefix", str(directory), *packages]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


class FailureReporter:
    """Print each failure and each rerun at once, because a run that is stopped prints no summary."""

    def __init__(self, terminal: Any) -> None:
        """Print to pytest's terminal reporter."""
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the test's ID, and the last lines of the error message."""
        if report.outcome in ("failed", "rerun"):
            lines = report.longreprtext.splitlines()
            message = [line for line in lines if line.startswith("E ")] or lines
            self._terminal.write_line("\n".join([f"\n{report.outcome}: {report.nodeid}", *message[-5:]]))


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Report failures at once, except in the workers of pytest-xdist, which have no terminal."""
    if terminal := config.pluginmanager.get_plugin("terminalreporter"):
        config.pluginmanager.register(FailureReporter(terminal))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use the Docker engine or a package index, and run the files with image tests first.

    `make quick` excludes the marked tests. A file with image tests can take minutes; if it were last, the other workers
    would wait.
    """
    for item in items:
        for fixture in {"engine", "index"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(fixture)
    with_engine = {item.path for item in items if item.get_closest_marker("engine")}
    items.sort(key=lambda item: item.path not in with_engine)
