"""The workbook: the commands of each page are run in a generated project, and print what the page shows.

In a ```console block, lines that start with `$ ` are commands. The lines after a command must match its whole output.
`...` matches any text within a line; on a line of its own it matches any number of lines. A size, such as `1.5 MB`,
matches similar sizes. If no output is shown, any output is accepted. The last command of a ```console error block must
fail; all other commands must succeed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import QUESTIONS, STRATEGY_DIR, Bake, Project
from tools.engine import Engine

LESSONS = STRATEGY_DIR / "all/lessons"
LESSON_NAMES = sorted(directory.name for directory in LESSONS.glob("[0-9][0-9]-*"))
# Pages besides the lessons.
PAGES = ["README.md", "TEACHING.md", "article.md", "errors.md"]
every_lesson = pytest.mark.parametrize("lesson", LESSON_NAMES)

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)|(?:src|srcset)=\"([^\"]+)\"")
# A size, and the factor by which it may differ, because the base image and the architecture do.
SIZE = re.compile(r" *\b(\d+(?:\.\d+)?) ?([kM]?B)\b")
UNITS = {"B": 1.0, "kB": 1e3, "MB": 1e6}
SIMILAR = 1.33
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
KINDS = {"dockerfile", "console", "console error", "c", "python", "hcl", "toml"}
SECTIONS = ["Look", "What goes wrong", "Exercise", "In this project"]
# The layer that all lessons share, so that the compiler is installed only once.
COMPILER = """\
# hadolint ignore=DL3008
RUN apt-get update \\
    && apt-get install --yes --no-install-recommends gcc libc6-dev \\
    && rm -rf /var/lib/apt/lists/*
"""


@dataclass(frozen=True)
class Command:
    """A command of a page, its expected output, and whether it must fail."""

    line: str
    shown: list[str]
    fails: bool = False


def blocks(page: str) -> list[tuple[str, str]]:
    """List a page's code blocks: the word after the fence, and the text."""
    return BLOCK.findall(page)


def commands(page: str) -> Iterator[Command]:
    """Parse a page's commands; a backslash at the end continues a command on the next line."""
    for kind, text in blocks(page):
        if not kind.startswith("console"):
            continue
        before, *parts = re.split(r"^\$ ", text, flags=re.MULTILINE)
        assert parts, f"a block without a command:\n{text}"
        assert not before, f"output before the first command:\n{before}"
        for number, part in enumerate(parts, start=1):
            match = re.fullmatch(r"((?:.*\\\n)*.*\n)((?s:.*))", part)
            assert match
            fails = kind == "console error" and number == len(parts)
            yield Command(match[1].strip(), match[2].rstrip().splitlines(), fails)


def sizes(line: str) -> list[float]:
    """Return the sizes in a line, in bytes."""
    return [float(number) * UNITS[unit] for number, unit in SIZE.findall(line)]


def line_matches(shown: str, printed: str) -> bool:
    """Return whether a line of output matches the expected one, with similar sizes."""
    texts = SIZE.split(shown.rstrip())[::3]
    pattern = SIZE.pattern.join(".*".join(map(re.escape, text.split("..."))) for text in texts)
    match = re.fullmatch(pattern, printed)
    if not match:
        return False
    values = match.groups()
    found = [float(number) * UNITS[unit] for number, unit in zip(values[::2], values[1::2], strict=True)]
    return all(max(pair) <= SIMILAR * min(pair) for pair in zip(sizes(shown), found, strict=True))


def first_mismatch(shown: list[str], printed: list[str]) -> str | None:
    """Return the first expected line that the real output does not match, or None."""
    # Possible numbers of output lines matched so far.
    reached = {0}
    for line in shown:
        if line.strip() == "...":
            reached = set(range(min(reached), len(printed) + 1))
        else:
            reached = {count + 1 for count in reached if count < len(printed) and line_matches(line, printed[count])}
        if not reached:
            return line
    return None if len(printed) in reached else "(the end)"


def run_page(page: str, project: Project, environment: dict[str, str]) -> None:
    """Run all commands of a page in order."""
    for command in commands(page):
        run(project, command, environment)


def run(project: Project, command: Command, environment: dict[str, str]) -> None:
    """Run a command, and compare its output and status with the page."""
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{command.line}"],
        cwd=project.path,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
    )
    # Debian's Python, which a substitute base image may contain, names the directory differently.
    output = ANSI.sub("", done.stdout).replace("dist-packages", "site-packages")
    printed = [line.rstrip() for line in output.rstrip().splitlines()]
    transcript = f"$ {command.line}\n{done.stdout}"
    assert (done.returncode != 0) == command.fails, f"ended with status {done.returncode}:\n{transcript}"
    mismatch = first_mismatch(command.shown, printed) if command.shown else None
    assert mismatch is None, f"expected here, but not printed: {mismatch}\n{transcript}"


def dockerfiles(directory: Path) -> dict[str, str]:
    """Map the Dockerfiles of a lesson to their texts."""
    return {path.name: path.read_text("utf-8") for path in sorted(directory.glob("*Dockerfile"))}


def is_built(lesson: str, name: str, page: str) -> bool:
    """Return whether a command of the page builds a Dockerfile, with `docker build`, `make lesson` or `make check`."""
    path = f"lessons/{lesson}/{name}"
    argument = f" DOCKERFILE={name}" if name != "Dockerfile" else ""
    made = {f"make {target} N={int(lesson[:2])}{argument}" for target in ("lesson", "check")}
    lines = [command.line for command in commands(page)]
    return not made.isdisjoint(lines) or any("docker build" in line and path in line.split() for line in lines)


def broken_links(page: Path) -> list[str]:
    """List the links of a page whose target does not exist."""
    targets = ["".join(found) for found in LINK.findall(page.read_text("utf-8"))]
    local = [target for target in targets if "://" not in target]
    return [target for target in local if not (page.parent / target).exists()]


# Each fault: a page, and the expected error message.
FAULTS = {
    "a line that is not printed": ("```console\n$ echo one\ntwo\n```\n", "expected here, but not printed: two"),
    "a line that is not shown": (
        "```console\n$ printf '1\\n2\\n'\n1\n```\n",
        "expected here, but not printed: (the end)",
    ),
    "lines in another order": (
        "```console\n$ printf '1\\n2\\n'\n...\n2\n1\n```\n",
        "expected here, but not printed: 1",
    ),
    "a command that fails": ("```console\n$ false\n```\n", "ended with status 1"),
    "an early command that fails": ("```console error\n$ false\n$ false\n```\n", "ended with status 1"),
    "a missing error": ("```console error\n$ true\n```\n", "ended with status 0"),
    "a size that is not similar": ("```console\n$ echo 1.5 MB x\n1 MB x\n```\n", "but not printed: 1 MB x"),
    "a size of another unit": ("```console\n$ echo 1.0 kB\n1.0 MB\n```\n", "but not printed: 1.0 MB"),
    "output without a command": ("```console\none\n```\n", "a block without a command"),
    "output before a command": ("```console\none\n$ true\n```\n", "output before the first command:"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_runner_detects_mismatch_between_page_and_output(tmp_path: Path, fault: str) -> None:
    page, message = FAULTS[fault]
    with pytest.raises(AssertionError, match=re.escape(message)):
        run_page(page, Project(tmp_path, {}), dict(os.environ))


def test_size_matches_similar_sizes(tmp_path: Path) -> None:
    page = (
        "```console\n$ echo ' 1.0 MB   999 kB 10MB x'\n  998 kB  1.1 MB 9MB x\n"
        "$ echo 2 B ... of 3 B\n2 B ... 3 B\n```\n"
    )
    run_page(page, Project(tmp_path, {}), dict(os.environ))


def test_ellipsis_matches_any_output(tmp_path: Path) -> None:
    page = "```console\n$ seq 1 \\\n    20\n1\n...\n1...5\n...\n20\n$ echo any\n```\n"
    run_page(page, Project(tmp_path, {}), dict(os.environ))


def remove_images(engine: Engine, number: int) -> None:
    """Remove the images of one lesson."""
    filters = [f"--filter=reference=lesson-{number}{rest}" for rest in ("", "-*")]
    tags = engine.docker("image", "ls", *filters, "--format", "{{.Repository}}:{{.Tag}}").stdout.split()
    if tags:
        engine.docker("image", "rm", "--force", *tags, check=False)


@pytest.mark.usefixtures("lesson_lock")
@every_lesson
def test_commands_print_documented_output(
    engine: Engine, base_image: Callable[[str], str], project: Project, lesson: str
) -> None:
    base_image(QUESTIONS["python_version"][0])
    # Fixed, because the output depends on the width of the terminal.
    terminal = {"COLUMNS": "100", "LC_ALL": "C.UTF-8", "BUILDKIT_PROGRESS": "plain"}
    environment = {**engine.environment, **terminal, "PYTHON": sys.executable}
    try:
        run_page(project.read(f"lessons/{lesson}/README.md"), project, environment)
    finally:
        remove_images(engine, int(lesson[:2]))


@pytest.mark.usefixtures("lesson_lock")
def test_commands_of_error_index_print_documented_errors(
    engine: Engine, base_image: Callable[[str], str], project: Project
) -> None:
    base_image(QUESTIONS["python_version"][0])
    run_page(project.read("lessons/errors.md"), project, {**engine.environment, "LC_ALL": "C.UTF-8"})
    engine.docker("image", "rm", "lesson-errors")


def test_each_listed_error_is_provoked_by_a_command(project: Project) -> None:
    """The message is in the expected output of a command, on the page or in each lesson that it links to."""
    _, *entries = re.split(r"^### `(.*)`$", project.read("lessons/errors.md"), flags=re.MULTILINE)
    for message, text in zip(entries[::2], entries[1::2], strict=True):
        linked = re.findall(r"\]\((\d\d-[^)]*)\)", text)
        pages = [text] if "```console error" in text else [project.read(f"lessons/{link}") for link in linked]
        assert pages, message
        for page in pages:
            assert any(message_matches(message, line) for each in commands(page) for line in each.shown), message


def message_matches(message: str, line: str) -> bool:
    """Return whether an expected line contains a message, apart from the names of files."""
    words = [re.escape(word) for word in re.sub(r"/\S+|'\S+'", "\0", message).split("\0")]
    return re.search(r"\S*".join(words), line.strip(".")) is not None


@every_lesson
def test_dockerfile_excerpts_match_files(project: Project, lesson: str) -> None:
    directories = [project.path / "lessons" / lesson, *(project.path / "strategies").iterdir()]
    texts = [text for directory in directories if directory.is_dir() for text in dockerfiles(directory).values()]
    shown = [text for kind, text in blocks(project.read(f"lessons/{lesson}/README.md")) if kind == "dockerfile"]
    assert (LESSONS / lesson / "Dockerfile").read_text("utf-8") in shown
    assert [block for block in shown if not any(block in text for text in texts)] == []


@every_lesson
def test_page_builds_every_dockerfile_of_the_lesson(project: Project, lesson: str) -> None:
    page = project.read(f"lessons/{lesson}/README.md")
    found = dockerfiles(project.path / "lessons" / lesson)
    assert "Dockerfile" in found
    assert [name for name in found if not is_built(lesson, name, page)] == []


@every_lesson
def test_dockerfiles_share_the_compiler_layer(lesson: str) -> None:
    for name, text in dockerfiles(LESSONS / lesson).items():
        assert "\nARG BASE=python:3.14-slim\n" in f"\n{text}", name
        assert COMPILER in text or "apt-get" not in text, name


@every_lesson
def test_dockerfiles_pass_docker_build_check(engine: Engine, base_image: Callable[[str], str], lesson: str) -> None:
    base_image(QUESTIONS["python_version"][0])
    for name in dockerfiles(LESSONS / lesson):
        check = engine.docker("build", "--check", "--file", str(LESSONS / lesson / name), str(LESSONS / "app"))
        assert "no warnings found" in check.stdout + check.stderr, name


@every_lesson
def test_pages_have_the_same_sections(lesson: str) -> None:
    page = (LESSONS / lesson / "README.md").read_text("utf-8")
    text = BLOCK.sub("", page)
    assert page.startswith(f"# {int(lesson[:2])}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert {kind for kind, _ in blocks(page)} <= KINDS
    assert "<details>" in text.partition("## Exercise")[2]
    following = [directory for directory in LESSON_NAMES if directory > lesson][:1]
    assert all(f"](../{directory}/README.md)" in text for directory in following)


@pytest.mark.parametrize("page", [*(f"{lesson}/README.md" for lesson in LESSON_NAMES), *PAGES])
def test_links_lead_to_existing_files(project: Project, page: str) -> None:
    assert broken_links(project.path / "lessons" / page) == []


def test_table_of_contents_lists_all_lessons() -> None:
    contents = (LESSONS / "README.md").read_text("utf-8")
    assert re.findall(r"\]\(([0-9][^)]*)/README\.md\)", contents) == LESSON_NAMES


# Arguments of lesson.py, and the start of the error message.
UNKNOWN_LESSONS = {
    "no number": ((), "lesson: the lesson must be a number from 1 to "),
    "no lesson": (("99",), "lesson: the lesson must be a number from 1 to "),
    "no Dockerfile": (
        ("1", "none"),
        "lesson: lesson 1 has no file 'none'. Its Dockerfiles are Dockerfile, static.Dockerfile, ",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN_LESSONS)
def test_unknown_lesson_gives_one_line_error(project: Project, case: str) -> None:
    arguments, message = UNKNOWN_LESSONS[case]
    result = project.run(sys.executable, "lessons/lesson.py", *arguments)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


def doctor(project: Project, **variables: str) -> tuple[int, list[str]]:
    """Run `make doctor` with other environment variables; return its status and the lines that it prints."""
    environment = {**os.environ, "PYTHON": sys.executable, **variables}
    result = project.run("make", "--silent", "doctor", env=environment)
    assert "Traceback" not in result.stderr
    return result.returncode, result.stdout.splitlines()


def test_doctor_accepts_the_engine_of_the_tests(
    engine: Engine, base_image: Callable[[str], str], project: Project
) -> None:
    base_image(QUESTIONS["python_version"][0])
    status, lines = doctor(project, **engine.environment)
    assert status == 0, lines
    names = ["system", "Python", "Docker engine", "buildx", "image store", "base image"]
    assert [re.split("[ :]{2,}|: ", line)[1] for line in lines] == names
    assert {line.split()[0] for line in lines} == {"ok"}


def test_doctor_names_an_engine_that_does_not_respond(engine: Engine, project: Project) -> None:
    status, lines = doctor(project, **{**engine.environment, "DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert status != 0
    assert re.match(r"failed   Docker engine: Cannot connect to the Docker daemon at unix:///nowhere", lines[-1])


def test_doctor_says_where_to_get_docker(project: Project, tmp_path: Path) -> None:
    for name in ("make", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    status, lines = doctor(project, PATH=str(tmp_path))
    assert status != 0
    assert lines[-1].startswith("failed   Docker engine: not found; install it: https://")


def test_failed_lesson_build_prints_the_error(engine: Engine, base_image: Callable[[str], str], bake: Bake) -> None:
    base_image(QUESTIONS["python_version"][0])
    project = bake(strategy="all", app="cli")
    project.edit("lessons/app/hello.c", "puts", "puttts")
    result = project.run(sys.executable, "lessons/lesson.py", "1", env=engine.environment)
    assert result.returncode == 1
    assert "implicit declaration of function" in result.stderr
    assert result.stderr.endswith("\nlesson: `docker build` failed with status 1.\n")


def test_lessons_exist_only_with_strategy_all(project: Project, bake: Bake) -> None:
    assert (
        "lessons/lesson.py 4 wrong.Dockerfile"
        in project.run("make", "--dry-run", "lesson", "N=4", "DOCKERFILE=wrong.Dockerfile").stdout
    )
    other = bake()
    assert "lesson" not in other.read("Makefile") + other.read("README.md") + other.read("docs/CONTRIBUTING.md")
    assert not (other.path / "lessons").exists()
