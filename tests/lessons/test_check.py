"""`make check` passes for the solution of an exercise, and fails for the Dockerfile that the exercise starts from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import QUESTIONS, Bake, Project
from tests.lessons.test_lessons import LESSON_NAMES, commands, remove_images
from tools.engine import Engine

# Each Dockerfile that an exercise starts from, or a typical wrong answer, and the start of the line that is printed.
UNSOLVED = {
    (1, "wrong.Dockerfile"): "failed  the container prints 'Hello, world': exec /hello: no such file or directory",
    (2, "wrong.Dockerfile"): "failed  the container prints 'Hello from C, world': exec: \"hello\": executable file not",
    (3, "Dockerfile"): "failed  hello runs as user 10001: ",
    (4, "Dockerfile"): "failed  the virtualenv is in /app: it printed '/opt/venv'",
    (
        4,
        "moved.Dockerfile",
    ): "failed  the container prints 'Hello from C, world': exec /app/bin/hello: no such file or ",
    (5, "Dockerfile"): "failed  the stage artifacts contains the wheels, and nothing else: ",
    (6, "Dockerfile"): "failed  hello runs with a read-only root file system: FileNotFoundError: [Errno 2] No usable ",
    (
        7,
        "Dockerfile",
    ): "failed  install.sh rejects another platform with one line, before it creates files: the bundle has",
    (9, "Dockerfile"): "failed  after a change to hello.c, no step runs again: compile-image: COPY . .",
    (10, "Dockerfile"): "failed  a directory can be created in the home directory: OSError: [Errno 30] Read-only file",
    (13, "Dockerfile"): "failed  the virtualenv is in /app: it printed '/opt/venv'",
    (14, "Dockerfile"): "failed  the time zone Europe/Paris can be read: zoneinfo._common.ZoneInfoNotFoundError: ",
    (15, "Dockerfile"): "failed  a build fails if the program prints something else: the build succeeded",
}
# Faults in a solution: the text to replace, its replacement, and the start of the line that is printed.
FAULTS = {
    "wheels are missing": (
        5,
        "COPY --from=compile-image /deps /\n",
        "",
        "failed  the stage artifacts contains the wheels, and nothing else: it contains no wheel of rich",
    ),
    "a wheel is in a layer": (
        5,
        'CMD ["hello"]',
        "COPY --from=compile-image /wheels /wheels\nCMD hello",
        "failed  no layer of the image contains a wheel: a layer contains /wheels/hello-1.0-cp3",
    ),
    "two layers change": (
        5,
        'CMD ["hello"]',
        "RUN --mount=type=bind,from=compile-image,source=/wheels,target=/wheels sha256sum /wheels/* >/sums\nCMD hello",
        "failed  a change to hello changes one layer: 2 layers changed",
    ),
    "a program is added": (
        6,
        "USER 10001",
        "RUN touch /usr/local/bin/pex\nUSER 10001",
        "failed  the image adds no other programs, such as gcc or pex: a layer contains /usr/local/bin/pex",
    ),
    "two layers of the program change": (
        9,
        'CMD ["hello"]',
        "COPY --from=compile-image /app/opt/venv /opt/copy\nCMD hello",
        "failed  a change to hello changes one layer: 2 layers changed",
    ),
    "the name of a user": (
        10,
        "USER 10001:10001",
        "USER nobody",
        "failed  the image has a numeric user other than 0: it is 'nobody'",
    ),
}
# Arguments of `make check`, and the start of the error message.
ERRORS = {
    "no number": ((), f"lesson: the lesson must be a number from 1 to {len(LESSON_NAMES)}, not ''. For example, run "),
    "no lesson": (
        ("N=99",),
        f"lesson: the lesson must be a number from 1 to {len(LESSON_NAMES)}, not '99'. For example",
    ),
    "no Dockerfile": (
        ("N=6", "DOCKERFILE=none"),
        "lesson: lesson 6 has no file 'none'. Its Dockerfiles are Dockerfile, solution.Dockerfile.",
    ),
    "no copy": (
        ("N=4",),
        "check: lessons/04-virtualenv/my.Dockerfile does not exist. "
        "Run `cp lessons/04-virtualenv/Dockerfile lessons/04-virtualenv/my.Dockerfile`, and edit the copy.",
    ),
    "no copy of the wrong Dockerfile": (
        ("N=1",),
        "check: lessons/01-hello-c/my.Dockerfile does not exist. "
        "Run `cp lessons/01-hello-c/wrong.Dockerfile lessons/01-hello-c/my.Dockerfile`, and edit the copy.",
    ),
    "a question": (
        ("N=8",),
        "check: the exercise of lesson 8 needs no Dockerfile. Compare your answer with the solution.",
    ),
}


def check(project: Project, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make check`."""
    environment = {**os.environ, "PYTHON": sys.executable, **variables}
    return project.run("make", "--silent", "check", *arguments, env=environment)


@pytest.mark.parametrize("lesson", LESSON_NAMES)
def test_page_checks_its_solution(project: Project, lesson: str) -> None:
    """The commands of the page, and what they print, are tested with the page."""
    number = int(lesson[:2])
    lines = [command.line for command in commands(project.read(f"lessons/{lesson}/README.md"))]
    checked = any(line.startswith(f"make check N={number} DOCKERFILE=") for line in lines)
    assert checked == (number in {lesson for lesson, _ in UNSOLVED})
    assert checked != ("needs no Dockerfile" in check(project, f"N={number}").stderr)


@pytest.mark.parametrize("case", ERRORS)
def test_error_is_one_line(project: Project, case: str) -> None:
    arguments, message = ERRORS[case]
    result = check(project, *arguments, PATH=os.environ["PATH"])
    assert result.returncode != 0
    assert result.stdout == ""
    assert result.stderr.startswith(message)
    assert [line for line in result.stderr.splitlines()[1:] if not line.startswith("make: ")] == []
    assert "Traceback" not in result.stderr


def test_missing_docker_is_reported(project: Project) -> None:
    command = (sys.executable, "lessons/check.py", "6", "solution.Dockerfile")
    result = project.run(*command, env={"PATH": "/nowhere"})
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("lesson: `docker` was not found. Install it: https://")


def test_copies_are_ignored_by_git(project: Project) -> None:
    assert "\n/lessons/*/my.Dockerfile*\n" in project.read(".gitignore")


@pytest.mark.usefixtures("lesson_lock")
@pytest.mark.parametrize(("lesson", "dockerfile"), UNSOLVED)
def test_unsolved_exercise_fails(
    engine: Engine, base_image: Callable[[str], str], project: Project, lesson: int, dockerfile: str
) -> None:
    base_image(QUESTIONS["python_version"][0])
    try:
        result = check(project, f"N={lesson}", f"DOCKERFILE={dockerfile}", **engine.environment)
    finally:
        remove_images(engine, lesson)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1].startswith(UNSOLVED[lesson, dockerfile]), result.stdout + result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.weekly
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_a_solution_is_detected(
    engine: Engine, base_image: Callable[[str], str], bake: Bake, fault: str
) -> None:
    base_image(QUESTIONS["python_version"][0])
    lesson, correct, wrong, message = FAULTS[fault]
    project = bake(strategy="all", app="cli")
    (directory,) = project.path.glob(f"lessons/{lesson:02}-*")
    solution = (directory / "solution.Dockerfile").read_text("utf-8")
    assert solution.count(correct) == 1
    (directory / "my.Dockerfile").write_text(solution.replace(correct, wrong), "utf-8")
    try:
        result = check(project, f"N={lesson}", **engine.environment)
    finally:
        engine.docker("image", "rm", "--force", f"lesson-{lesson}-my", f"lesson-{lesson}-my:edited", check=False)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1].startswith(message), result.stdout + result.stderr


def test_failed_build_prints_the_error(engine: Engine, base_image: Callable[[str], str], project: Project) -> None:
    base_image(QUESTIONS["python_version"][0])
    mine = project.path / "lessons/01-hello-c/my.Dockerfile"
    mine.write_text("FROM scratch\nCOPY none /\n")
    try:
        result = check(project, "N=1", **engine.environment)
    finally:
        mine.unlink()
    assert result.returncode != 0
    assert '"/none": not found' in result.stderr
    assert "\nlesson: `docker build` failed with status 1.\n" in result.stderr
