"""The first lesson, in C: the image contains only the binary, and not the compiler."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import HARDENED, QUESTIONS, TOOLS, Project
from tests.lessons.test_lessons import LESSONS
from tools.engine import Engine
from tools.sizes import layer_sizes

LESSON = Project(LESSONS / "01-hello-c", {})
DOCKERFILES = ["Dockerfile", "static.Dockerfile"]
BaseImage = Callable[[str], str]


def build(engine: Engine, dockerfile: str, base: str) -> str:
    """Build one of the lesson's images on the given base image."""
    tag = f"test-hello:{Path(dockerfile).stem.lower()}"
    arguments = ("--build-arg", f"BASE={base}", "--file", str(LESSON.path / dockerfile), "--tag", tag)
    engine.docker("build", *arguments, str(LESSONS / "app"))
    return tag


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_hardened_container_prints_hello(engine: Engine, base_image: BaseImage, dockerfile: str) -> None:
    tag = build(engine, dockerfile, base_image(QUESTIONS["python_version"][0]))
    assert engine.docker("run", "--rm", "--network=none", *HARDENED, tag).stdout == "Hello, world\n"


def test_image_adds_less_than_a_megabyte_to_its_base(engine: Engine, base_image: BaseImage) -> None:
    base = base_image(QUESTIONS["python_version"][0])
    tag = build(engine, "Dockerfile", base)
    assert 0 < sum(layer_sizes(engine, tag)) - sum(layer_sizes(engine, base)) < 1_000_000


def test_static_image_contains_one_file(engine: Engine, base_image: BaseImage, tmp_path: Path) -> None:
    tag = build(engine, "static.Dockerfile", base_image(QUESTIONS["python_version"][0]))
    (size,) = layer_sizes(engine, tag)
    assert size < 1_000_000
    container = engine.docker("create", tag).stdout.strip()
    engine.docker("export", "--output", str(tmp_path / "image.tar"), container)
    engine.docker("rm", container)
    with tarfile.open(tmp_path / "image.tar") as archive:
        files = {member.name for member in archive if member.isfile() and member.size}
    assert files == {"hello"}


@pytest.mark.parametrize("dockerfile", DOCKERFILES)
def test_dockerfiles_pass_linters(engine: Engine, base_image: BaseImage, dockerfile: str) -> None:
    base = base_image(QUESTIONS["python_version"][0])
    hadolint = LESSON.run(TOOLS / "hadolint", dockerfile)
    assert (hadolint.returncode, hadolint.stdout) == (0, "")
    arguments = ("--check", "--build-arg", f"BASE={base}", "--file", dockerfile, "../app")
    check = engine.docker("build", *arguments, cwd=LESSON.path)
    assert "no warnings found" in (check.stdout + check.stderr)
