"""The steps for a new strategy in CONTRIBUTING.md are followed in a copy of the template, and the result is built."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BAKE, CHECKSUM, DIGITS, PERSON, QUESTIONS, TEMPLATE, Project, skip_without_jq
from tests.project.test_ci import script_with
from tools.engine import Engine

SLUG = "acme-sums"  # as in test_images.py, so that its cached layers can be used
NAME, LABEL = "plain", "copy a virtualenv, with a label"
STRATEGY = "{{cookiecutter.project_slug}}/_variants/strategy"
README_OF_LESSON = "# A lesson on the plain strategy\n"


@dataclass(frozen=True)
class ExtendedTemplate:
    """A copy of the template with one more strategy."""

    path: Path

    def git(self, *arguments: str) -> str:
        """Run git in the template, and return its output."""
        return subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str) -> None:
        """Write a file, and create its parent directories."""
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(text, "utf-8")

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.path / name).read_text("utf-8")


def add_files(template: ExtendedTemplate) -> None:
    """Add the Dockerfile of venv with an additional label, and a file that its build copies."""
    text = template.read(f"{STRATEGY}/venv/Dockerfile").replace('docker_build("venv")', f'docker_build("{NAME}")')
    text = text.replace("strategy/venv/", f"strategy/{NAME}/")
    for runtime in QUESTIONS["runtime"]:
        name = f"templates/strategy/{{}}/{runtime}.dockerfile"
        template.write(name.format(NAME), template.read(name.format("venv")))
    template.write(f"{STRATEGY}/{NAME}/Dockerfile", f"{text}LABEL strategy={NAME}\nCOPY {NAME}/note.txt /\n")
    template.write(f"{STRATEGY}/{NAME}/{NAME}/note.txt", f"A file of the {NAME} strategy.\n")
    template.write(f"templates/strategy/{NAME}/groups.toml", f'{NAME} = ["six>=1"]\n')


def add_choice(template: ExtendedTemplate) -> None:
    """Add the answer and its label before `all`."""
    questions = json.loads(template.read("cookiecutter.json"))
    questions["strategy"].insert(-1, NAME)
    questions["__prompts__"]["strategy"][NAME] = f"{NAME}: {LABEL}"
    template.write("cookiecutter.json", json.dumps(questions, indent=2))


def add_lesson(template: ExtendedTemplate) -> None:
    """Add a lesson."""
    template.write(f"{STRATEGY}/all/lessons/99-{NAME}/README.md", README_OF_LESSON)


def add_row(template: ExtendedTemplate) -> None:
    """Add a row after that of venv."""
    row = re.compile(r"^\| `venv` \|.*\n", re.MULTILINE)
    text, count = row.subn(lambda match: f"{match[0]}| `{NAME}` | {LABEL} | |\n", template.read("README.md"), count=1)
    assert count == 1
    template.write("README.md", text)


# The file that each step of CONTRIBUTING.md names, and a function that follows the step.
STEPS: dict[str, Callable[[ExtendedTemplate], None]] = {
    "_variants/strategy/<name>/Dockerfile": add_files,
    "cookiecutter.json": add_choice,
    "_variants/strategy/all/lessons/<number>-<name>/": add_lesson,
    "README.md": add_row,
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> ExtendedTemplate:
    """Return a committed copy of the current template, in which the steps were followed."""
    copy = ExtendedTemplate(tmp_path_factory.mktemp("extended") / "template")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=TEMPLATE, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (TEMPLATE / name).exists():
            (copy.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TEMPLATE / name, copy.path / name)
    copy.git("init", "--quiet")
    copy.git("add", "--all")
    copy.git(*PERSON, "commit", "--quiet", "--message=before")
    for step in STEPS.values():
        step(copy)
    return copy


@pytest.fixture(scope="module")
def bake_extended(template: ExtendedTemplate, cookies_session: Any) -> Callable[[str], Project]:
    """Return a function that generates a project with the given strategy from the copy."""

    @cache
    def bake(strategy: str) -> Project:
        answers = {"project_slug": SLUG, "strategy": strategy}
        with pytest.MonkeyPatch.context() as patch:
            # In this process, Python would find the extension of the original template first.
            patch.syspath_prepend(template.path)
            result = cookies_session.bake(template=str(template.path), extra_context=answers)
        assert result.exception is None, result.exception
        return Project(result.project_path, dict(result.context))

    return bake


def test_contributing_lists_exactly_these_steps() -> None:
    text = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8")
    section = re.search(r"^## Adding a strategy\n(.*?)\n\n[^ \d]", text, re.MULTILINE | re.DOTALL)
    assert section
    steps = re.split(r"^\d+\. ", section[1], flags=re.MULTILINE)[1:]
    assert len(steps) == len(STEPS)
    for where, step in zip(STEPS, steps, strict=True):
        assert f"`{where}`" in step


def test_steps_change_only_two_existing_files(template: ExtendedTemplate) -> None:
    assert template.git("diff", "--name-only").split() == ["README.md", "cookiecutter.json"]
    added = template.git("ls-files", "--others", "--exclude-standard").splitlines()
    assert {name.split("strategy/")[1] for name in added} == {
        f"all/lessons/99-{NAME}/README.md",
        f"{NAME}/Dockerfile",
        f"{NAME}/groups.toml",
        f"{NAME}/minimal.dockerfile",
        f"{NAME}/slim.dockerfile",
        f"{NAME}/{NAME}/note.txt",
    }


def test_new_strategy_generates_a_project(bake_extended: Callable[[str], Project]) -> None:
    project = bake_extended(NAME)
    assert f"LABEL strategy={NAME}" in project.read("Dockerfile")
    assert (project.path / NAME / "note.txt").is_file()
    assert f"!{NAME}\n" in project.read(".dockerignore")
    assert f'\n{NAME} = ["six>=1"]\n' in project.read("pyproject.toml")
    assert not (project.path / "lessons").exists()


def test_strategy_all_includes_new_strategy_and_lesson(bake_extended: Callable[[str], Project]) -> None:
    project = bake_extended("all")
    assert f"LABEL strategy={NAME}" in project.read(f"strategies/{NAME}/Dockerfile")
    assert project.read(f"lessons/99-{NAME}/README.md") == README_OF_LESSON
    assert f"| `{NAME}` | {LABEL} |\n" in project.read("README.md")
    assert f"docker build --file strategies/{NAME}/Dockerfile" in project.read(f"strategies/{NAME}/Dockerfile")


def test_pipeline_of_strategy_all_includes_new_strategy(
    bake_extended: Callable[[str], Project], engine: Engine, tmp_path: Path
) -> None:
    project = bake_extended("all")
    output = tmp_path / "output"
    environment = {"GITHUB_OUTPUT": str(output), "GITHUB_REPOSITORY": "acme/sums", "GITHUB_REF_NAME": "main"}
    skip_without_jq()
    project.run("bash", "-c", script_with(project, "suffixes=$("), env={**engine.environment, **environment})
    assert f'"-{NAME}"' in output.read_text("utf-8")


@pytest.mark.parametrize("strategy", [NAME, "all"])
def test_new_strategy_image_computes_the_checksum(
    bake_extended: Callable[[str], Project], engine: Engine, base_image: Callable[[str], str], strategy: str
) -> None:
    project = bake_extended(strategy)
    base_image(project.answers["python_version"])
    suffix = f"-{NAME}" if strategy == "all" else ""
    tag = f"test-add-{os.getpid()}:{strategy}"
    engine.docker(*BAKE, "--load", f"--set=*.tags={tag}", f"image{suffix}", cwd=project.path)
    try:
        label = engine.docker("inspect", "--format", "{{.Config.Labels.strategy}}", tag).stdout
        answer = engine.docker("run", "--rm", "--interactive", tag, SLUG, "crc32c", input=DIGITS).stdout
    finally:
        engine.docker("image", "rm", tag)
    assert (label, answer) == (f"{NAME}\n", f"{CHECKSUM}  -\n")


def test_template_tests_include_new_strategy(template: ExtendedTemplate, engine: Engine) -> None:
    chosen = [
        "tests/generation/test_generated_files.py",
        "tests/images/test_bake.py::test_targets_build_the_right_stages_and_dockerfiles",
        "tests/images/test_images.py::test_image_runs_as_numeric_non_root_uid",
    ]
    command = [sys.executable, "-m", "pytest", "--verbose", "-p", "no:cacheprovider", "-k", NAME, *chosen]
    tests = subprocess.run(
        command, cwd=template.path, env=engine.environment, capture_output=True, text=True, check=False
    )
    assert tests.returncode == 0, tests.stdout
    passed = re.findall(r"^\S+::test_(\w+)\S* PASSED", tests.stdout, re.MULTILINE)
    assert {
        "file_set_is_exact",
        "hadolint_and_shellcheck_pass",
        "targets_build_the_right_stages_and_dockerfiles",
        "image_runs_as_numeric_non_root_uid",
    } <= {*passed}


def test_readme_has_a_row_for_every_strategy() -> None:
    rows = re.findall(r"^\| `([a-z]+)` \|", (TEMPLATE / "README.md").read_text("utf-8"), re.MULTILINE)
    assert {*QUESTIONS["strategy"]} <= {*rows}
