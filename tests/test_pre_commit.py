"""A generated project passes its own pre-commit hooks as it is, and each hook catches what it is there for."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests import hook_repositories
from tests.conftest import QUESTIONS, TOOLS, Bake, Project
from tests.engine import cache_folder
from tests.test_questions import NASTY
from tests.updates import make_template

Hooks = Callable[..., CompletedProcess[str]]
LONGEST = "a-" * 31 + "a"
MISSPELT = "t" + "eh"  # in two parts, or codespell would mend this file
UNUSED_SECONDS = 7 * 24 * 3600  # how long the cache folder keeps the tools of another configuration
CHOICES = {question: answers for question, answers in QUESTIONS.items() if isinstance(answers, list)}


@pytest.fixture(scope="session")
def hooks(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Hooks:
    """Return the function that runs a project's hooks; what they install stays in the cache folder."""
    stand_ins = tmp_path_factory.mktemp("stand-ins")
    configuration = bake_once().read(".pre-commit-config.yaml")
    hook_repositories.make_stand_ins(stand_ins, configuration)
    store = cache_folder() / "pre-commit" / hook_repositories.digest(configuration)
    store.mkdir(parents=True, exist_ok=True)
    os.utime(store)
    for folder in store.parent.iterdir():
        if folder.stat().st_mtime < time.time() - UNUSED_SECONDS:
            shutil.rmtree(folder)
    environment = {
        **hook_repositories.redirection(stand_ins),
        "PRE_COMMIT_HOME": str(store),
        # mypy reads each requirement once, not once for each project.
        "MYPY_CACHE_DIR": str(tmp_path_factory.mktemp("mypy")),
    }

    def run(project: Project, *names: str) -> CompletedProcess[str]:
        for command in (["init"], ["add", "--all"]):
            assert project.run("git", *command).returncode == 0
        return project.run(TOOLS / "pre-commit", "run", "--all-files", "--color=never", *names, env=environment)

    return run


def all_pairs(questions: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """Give sets of answers in which each answer meets each answer to every other question."""

    def pairs(row: dict[str, str]) -> set[tuple[tuple[str, str], ...]]:
        return set(itertools.combinations(row.items(), 2))

    rows = [dict(zip(questions, row, strict=True)) for row in itertools.product(*questions.values())]
    missing = set().union(*map(pairs, rows))
    while missing:
        row = max(rows, key=lambda row: len(missing & pairs(row)))
        missing -= pairs(row)
        yield row


def assert_clean(hooks: Hooks, project: Project) -> None:
    """Run all hooks: none may fail, or change a file."""
    generated = project.files
    result = hooks(project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(project.run("git", "ls-files").stdout.splitlines()) == generated
    assert project.run("git", "diff", "--exit-code").returncode == 0


@pytest.mark.parametrize("answers", list(all_pairs(CHOICES)), ids=lambda answers: "-".join(answers.values()))
def test_a_fresh_project_passes_its_own_hooks(bake: Bake, hooks: Hooks, answers: dict[str, str]) -> None:
    assert_clean(hooks, bake(**answers))


@pytest.mark.parametrize("app", QUESTIONS["app"])
@pytest.mark.parametrize("slug", ["ab", MISSPELT, "build", LONGEST])
def test_a_name_of_any_length_and_place_in_the_alphabet_passes(bake: Bake, hooks: Hooks, slug: str, app: str) -> None:
    assert_clean(hooks, bake(project_slug=slug, app=app, strategy="all"))


def test_any_text_passes(bake: Bake, hooks: Hooks) -> None:
    text = f"{NASTY}\nand a second line"
    assert_clean(hooks, bake(project_name=text, project_slug="nasty", description=text, author_name=text))


def test_what_cruft_writes_down_passes(hooks: Hooks, tmp_path: Path) -> None:
    text = f"{NASTY}\nand a second line"
    project = make_template(tmp_path).create(tmp_path, project_name=text, description=text, author_name=text)
    assert ".cruft.json" in project.files
    shutil.rmtree(project.path / ".git")
    assert_clean(hooks, project)


Plant = Callable[[Project], None]


def added(name: str, text: str) -> Plant:
    """Plant a text at the end of a file, which may be new."""

    def plant(project: Project) -> None:
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)

    return plant


def replaced(name: str, old: str, new: str) -> Plant:
    """Plant a text instead of another."""
    return lambda project: project.edit(name, old, new)


WORKFLOW = """
on: {trigger}
permissions: {{}}
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - run: echo {text}
"""
NEVER = WORKFLOW.format(trigger="never", text="hello")
INJECTION = WORKFLOW.format(trigger="issues", text="${{ github.event.issue.title }}")
# fault: (hook, what it says, how to plant the fault)
FAULTS: dict[str, tuple[str, str, Plant]] = {
    "unused import": ("ruff-check", "1 fixed", added("src/acme/new.py", '"""New."""\n\nimport os\n')),
    "imports out of order": (
        "ruff-check",
        "1 fixed",
        replaced("tests/test_crc32c.py", "import array\nimport inspect", "import inspect\nimport array"),
    ),
    "function without a docstring": ("ruff-check", "D103", added("src/acme/cli.py", "\n\ndef new() -> None: ...\n")),
    "misformatted Python": ("ruff-format", "1 file reformatted", added("src/acme/cli.py", "\n\nx = [1,2]\n")),
    "wrong type": ("mypy", "[return-value]", replaced("src/acme/cli.py", "return 130", 'return "130"')),
    "wrong type of the compiled module": (
        "mypy",
        "[arg-type]",
        replaced("src/acme/checksums.py", "crc32c(buffer[:size], value)", "crc32c(buffer[:size], str(value))"),
    ),
    "wrong use of a requirement": ("mypy", "[call-arg]", replaced("src/acme/service/app.py", "port=", "ports=")),
    "function without types": ("mypy", "[no-untyped-def]", added("src/acme/new.py", "def f(x):\n    return x\n")),
    "misformatted C": (
        "clang-format",
        "files were modified",
        replaced("src/acme/_native.c", "static int\nnative_exec", "static int native_exec"),
    ),
    "image without a fixed version": (
        "hadolint",
        "DL3007",
        replaced("Dockerfile", "FROM ${BASE} AS runtime-image", "FROM python:latest AS runtime-image"),
    ),
    "ADD of a file": ("hadolint", "DL3020", added("Dockerfile", "ADD README.md /\n")),
    "unquoted variable": (
        "shellcheck",
        "SC2086",
        replaced("bundle/install.sh", 'rm "$target/.incomplete"', "rm $target/.incomplete"),
    ),
    "invalid pyproject": ("validate-pyproject", "`project.name`", replaced("pyproject.toml", '"acme"\n', '"a b"\n')),
    "wrong workflow": ("check-github-workflows", "'never' is not", added(".github/workflows/new.yml", NEVER)),
    "wrong pipeline": ("check-gitlab-ci", "test.script", added(".gitlab-ci.yml", "test: {script: 1}\n")),
    "injection into a workflow": ("zizmor", "template-injection", added(".github/workflows/new.yml", INJECTION)),
    "misspelling": ("codespell", "README.md:", added("README.md", f"This is {MISSPELT} end.\n")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(bake: Bake, hooks: Hooks, fault: str) -> None:
    hook, finding, plant = FAULTS[fault]
    project = bake(project_slug="acme", app="service", strategy="platter")
    plant(project)
    result = hooks(project, hook)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"- hook id: {hook}\n" in result.stdout
    assert finding in result.stdout


def test_every_hook_has_a_planted_fault(bake: Bake) -> None:
    ids = re.findall(r"- id: (\S+)", bake().read(".pre-commit-config.yaml"))
    assert set(ids) == {hook for hook, _, _ in FAULTS.values()}


def test_every_hook_is_pinned(bake: Bake) -> None:
    configuration = bake().read(".pre-commit-config.yaml")
    assert configuration.count("repo: ") == len(hook_repositories.PINS.findall(configuration))
    assert dict(hook_repositories.PINS.findall(configuration)).keys() == hook_repositories.STANDS.keys()
