"""Reproducible builds: two builds at different times and paths give the same digest, also without cached layers."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import BAKE, STRATEGIES, WITH_ARTIFACTS, Bake, Project, copy_project
from tools.compare import COMPILED
from tools.engine import Engine
from tools.locks import compile_runtime

COMMIT_TIMES = "1760000000", "1770000000"


@pytest.fixture(scope="module")
def checkouts(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Project]:
    """Return two copies of one project; the second has different paths, permissions and timestamps."""
    baked = bake_once(project_slug="acme-sums", strategy="all", app="service")
    one = copy_project(baked, tmp_path_factory.mktemp("one"))
    one.edit("pyproject.toml", "dependencies = [", f'dependencies = ["{COMPILED}",')
    compile_runtime(one.path)
    two = Project(shutil.copytree(one.path, tmp_path_factory.mktemp("two") / "elsewhere"), baked.answers)
    subprocess.run(["chmod", "-R", "g+w,o-r", str(two.path)], check=True)
    subprocess.run(["find", str(two.path), "-exec", "touch", "-d", "2001-02-03", "{}", "+"], check=True)
    return one, two


def bake_target(engine: Engine, project: Project, target: str, tag: str, *options: str, epoch: str) -> None:
    """Build a target as the project's Makefile does, with a commit's date and separate cache mounts."""
    repository, _, name = tag.partition(":")
    environment = {**engine.environment, "IMAGE": repository, "TAG": name, "SOURCE_DATE_EPOCH": epoch}
    own = f"--set=*.args.BUILDKIT_CACHE_MOUNT_NS={project.path.name}-{os.getpid()}"
    engine.docker(*BAKE, own, *options, target, cwd=project.path, env=environment)


def inspect(engine: Engine, tag: str, what: str) -> str:
    """Return the formatted output of `docker image inspect`."""
    return engine.docker("image", "inspect", "--format", what, tag).stdout.strip()


@pytest.fixture(scope="module")
def tags(engine: Engine, base_image: Any, checkouts: tuple[Project, Project]) -> Iterator[list[str]]:
    """Yield the names of three images, without the suffix for each strategy; the images are removed at the end."""
    base_image(checkouts[0].answers["python_version"])
    repository = f"test-{os.getpid()}-reproducible"
    yield [f"{repository}:{name}" for name in ("one", "two", "later")]
    listed = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.split()
    engine.docker("image", "rm", *listed, check=False)


@pytest.fixture(scope="module")
def two_builds(engine: Engine, checkouts: tuple[Project, Project], tags: list[str]) -> list[str]:
    """Build all strategies in both checkouts, the second time without cache, and return the names of the images."""
    for project, tag, options in zip(checkouts, tags, ([], ["--no-cache"]), strict=False):
        bake_target(engine, project, "image", tag, "--load", *options, epoch=COMMIT_TIMES[0])
        # This build uses the layers of the previous one, because the engine prefers its newest cached results.
        bake_target(engine, project, "artifacts", tag, epoch=COMMIT_TIMES[0])
    return tags[:2]


@pytest.fixture(scope="module")
def later_build(
    engine: Engine,
    checkouts: tuple[Project, Project],
    two_builds: list[str],  # noqa: ARG001
    tags: list[str],
) -> str:
    """Build all strategies again, as after a commit that changes no file of the images."""
    bake_target(engine, checkouts[0], "image", tags[2], "--load", epoch=COMMIT_TIMES[1])
    return tags[2]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_builds_give_the_same_digest(engine: Engine, two_builds: list[str], strategy: str) -> None:
    one, two = (inspect(engine, f"{tag}-{strategy}", "{{.Id}}") for tag in two_builds)
    assert one == two


@pytest.mark.usefixtures("two_builds")
@pytest.mark.parametrize("strategy", WITH_ARTIFACTS)
def test_two_builds_give_the_same_artifacts(checkouts: tuple[Project, Project], strategy: str) -> None:
    one, two = (
        {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (project.path / "dist" / strategy).iterdir()
        }
        for project in checkouts
    )
    assert any(name.startswith("acme") for name in one)
    assert one == two


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_commit_without_changes_pushes_no_layer(
    engine: Engine, two_builds: list[str], later_build: str, strategy: str
) -> None:
    one, later = f"{two_builds[0]}-{strategy}", f"{later_build}-{strategy}"
    assert inspect(engine, later, "{{.Id}}") != inspect(engine, one, "{{.Id}}")
    assert inspect(engine, later, "{{.RootFS.Layers}}") == inspect(engine, one, "{{.RootFS.Layers}}")
    assert inspect(engine, later, "{{.Created}}") == "2026-02-02T02:40:00Z"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_dependency_without_wheel_uses_the_locked_backend(
    engine: Engine, checkouts: tuple[Project, Project], two_builds: list[str], strategy: str
) -> None:
    (version,) = re.findall(r"^setuptools==(\S+)", checkouts[0].read("requirements/build.txt"), re.M)
    script = "find / -xdev -path '*/crcmod-1.7.dist-info/WHEEL' -exec cat {} +"
    image = f"{two_builds[0]}-{strategy}"
    wheel = engine.docker("run", "--rm", "--network=none", "--user=0", image, "sh", "-c", script).stdout
    assert f"Generator: setuptools ({version})" in wheel


@pytest.mark.parametrize(
    ("strategy", "command"),
    [
        ("wheels", "pip wheel --no-deps --wheel-dir /tmp/built --no-binary idna"),
        ("venv", "uv pip install --target /tmp/built"),
    ],
)
def test_dependency_without_wheel_may_use_another_backend(
    engine: Engine, checkouts: tuple[Project, Project], tags: list[str], strategy: str, command: str
) -> None:
    own = ("--target=requirements-image", f"--file=strategies/{strategy}/Dockerfile", f"--tag={tags[0]}")
    engine.docker("build", *own, ".", cwd=checkouts[0].path)
    # idna is built with flit, which requirements/build.txt does not lock.
    engine.docker("run", "--rm", "--env=UV_NO_BINARY_PACKAGE=idna", tags[0], *command.split(), "idna==3.20")
