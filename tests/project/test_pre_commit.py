"""Generated projects pass their pre-commit hooks, and each hook detects the kind of fault it is meant to detect."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.conftest import QUESTIONS, TOOLS, Bake, Project, all_pairs
from tests.generation.updates import make_template
from tests.project import hook_repositories
from tests.questions.test_questions import NASTY
from tools.engine import cache_dir

Hooks = Callable[..., CompletedProcess[str]]
LONGEST = "a-" * 31 + "a"
MISSPELT = "t" + "eh"  # split, so that codespell does not "fix" it here
UNUSED_SECONDS = 7 * 24 * 3600  # how long the cache directory keeps the tools of another configuration
CHOICES = {question: answers for question, answers in QUESTIONS.items() if isinstance(answers, list)}


@pytest.fixture(scope="session")
def hooks(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory, index: None) -> Hooks:  # noqa: ARG001
    """Return a function that runs a project's hooks; the installed tools stay in the cache directory."""
    fakes = tmp_path_factory.mktemp("hook-repositories")
    configuration = hook_repositories.thaw(bake_once().read(".pre-commit-config.yaml"))
    (fakes / "config.yaml").write_text(configuration, "utf-8")
    hook_repositories.create_fake_repositories(fakes, configuration)
    store = cache_dir() / "pre-commit" / hook_repositories.digest(configuration)
    store.mkdir(parents=True, exist_ok=True)
    os.utime(store)
    for directory in store.parent.iterdir():
        # Another worker may remove it at the same time.
        with suppress(FileNotFoundError):
            if directory.stat().st_mtime < time.time() - UNUSED_SECONDS:
                shutil.rmtree(directory, ignore_errors=True)
    environment = {
        **hook_repositories.redirection(fakes),
        "PRE_COMMIT_HOME": str(store),
    }

    def run(project: Project, *names: str) -> CompletedProcess[str]:
        for command in (["init"], ["add", "--all"]):
            assert project.run("git", *command).returncode == 0
        options = ("--all-files", "--color=never", f"--config={fakes / 'config.yaml'}")
        return project.run(TOOLS / "pre-commit", "run", *options, *names, env=environment)

    return run


def assert_clean(hooks: Hooks, project: Project) -> None:
    """Check that all hooks pass and change no file."""
    generated = project.files
    result = hooks(project)
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(project.run("git", "ls-files").stdout.splitlines()) == generated
    assert project.run("git", "diff", "--exit-code").returncode == 0


@pytest.mark.parametrize("answers", list(all_pairs(CHOICES)), ids=lambda answers: "-".join(answers.values()))
def test_generated_project_passes_its_hooks(bake: Bake, hooks: Hooks, answers: dict[str, str]) -> None:
    assert_clean(hooks, bake(**answers))


@pytest.mark.parametrize("app", QUESTIONS["app"])
@pytest.mark.parametrize("slug", ["ab", MISSPELT, "build", LONGEST])
def test_hooks_pass_with_unusual_names(bake: Bake, hooks: Hooks, slug: str, app: str) -> None:
    assert_clean(hooks, bake(project_slug=slug, app=app, strategy="all"))


def test_hooks_pass_with_any_text(bake: Bake, hooks: Hooks) -> None:
    text = f"{NASTY}\nand a second line"
    assert_clean(hooks, bake(project_name=text, project_slug="nasty", description=text, author_name=text))


def test_hooks_pass_with_cruft_json(hooks: Hooks, tmp_path: Path) -> None:
    text = f"{NASTY}\nand a second line"
    project = make_template(tmp_path).create(tmp_path, project_name=text, description=text, author_name=text)
    assert ".cruft.json" in project.files
    shutil.rmtree(project.path / ".git")
    assert_clean(hooks, project)


Injection = Callable[[Project], None]


def append(name: str, text: str) -> Injection:
    """Return a function that appends text to a file, which need not exist."""

    def inject(project: Project) -> None:
        path = project.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(text)

    return inject


def replace(name: str, old: str, new: str) -> Injection:
    """Return a function that replaces text in a file."""
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
# Each fault: the hook, its output, and a function that injects the fault.
FAULTS: dict[str, tuple[str, str, Injection]] = {
    "conflict left by a merge": (
        "check-merge-conflict",
        "README.md:",
        append("README.md", "<<<<<<< ours\na\n=======\nb\n>>>>>>> theirs\n"),
    ),
    "file without a last line feed": ("end-of-file-fixer", "Fixing Makefile", append("Makefile", "# end")),
    "whitespace at the end of a line": ("trailing-whitespace", "Fixing Dockerfile", append("Dockerfile", "# end \n")),
    "unused import": ("ruff-check", "1 fixed", append("src/acme/new.py", '"""New."""\n\nimport os\n')),
    "imports out of order": (
        "ruff-check",
        "1 fixed",
        replace("tests/test_cli.py", "import os\nimport shutil", "import shutil\nimport os"),
    ),
    "function without a docstring": ("ruff-check", "D103", append("src/acme/cli.py", "\n\ndef new() -> None: ...\n")),
    "misformatted Python": ("ruff-format", "1 file reformatted", append("src/acme/cli.py", "\n\nx = [1,2]\n")),
    "misformatted C": (
        "clang-format",
        "files were modified",
        replace("src/acme/_native.c", "static int\nnative_exec", "static int native_exec"),
    ),
    "misformatted C++": ("clang-format", "files were modified", append("src/acme/new.cpp", "int  value;\n")),
    "image without a fixed version": (
        "hadolint",
        "DL3007",
        replace("Dockerfile", "FROM ${BASE} AS runtime-image", "FROM python:latest AS runtime-image"),
    ),
    "ADD of a file": ("hadolint", "DL3020", append("Dockerfile", "ADD README.md /\n")),
    "unquoted variable": (
        "shellcheck",
        "SC2086",
        replace("bundle/install.sh", 'rm "$target/.incomplete"', "rm $target/.incomplete"),
    ),
    "invalid pyproject": ("validate-pyproject", "`project.name`", replace("pyproject.toml", '"acme"\n', '"a b"\n')),
    "wrong workflow": ("check-github-workflows", "'never' is not", append(".github/workflows/new.yml", NEVER)),
    "wrong pipeline": ("check-gitlab-ci", "test.script", append(".gitlab-ci.yml", "test: {script: 1}\n")),
    "injection into a workflow": ("zizmor", "template-injection", append(".github/workflows/new.yml", INJECTION)),
    "misspelling": ("codespell", "README.md:", append("README.md", f"This is {MISSPELT} end.\n")),
    "link to a missing file": ("rumdl", "[MD057]", append("README.md", "\nSee [this](docs/missing.md).\n")),
    "link to a missing heading": ("rumdl", "[MD051]", append("README.md", "\nSee [this](docs/building.md#missing).\n")),
    "table row without a cell": ("rumdl", "[MD056]", append("README.md", "\n| a | b |\n| - | - |\n| c |\n")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_hook_detects_injected_fault(bake: Bake, hooks: Hooks, fault: str) -> None:
    hook, finding, inject = FAULTS[fault]
    project = bake(project_slug="acme", app="service", strategy="platter")
    inject(project)
    result = hooks(project, hook)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"- hook id: {hook}\n" in result.stdout
    assert finding in result.stdout


def test_every_hook_has_an_injected_fault(bake: Bake) -> None:
    ids = re.findall(r"- id: (\S+)", bake().read(".pre-commit-config.yaml"))
    assert set(ids) == {hook for hook, _, _ in FAULTS.values()}


def test_every_hook_is_pinned(bake: Bake) -> None:
    configuration = bake().read(".pre-commit-config.yaml")
    assert configuration.count("repo: ") == len(hook_repositories.PINS.findall(configuration))
    assert dict(hook_repositories.PINS.findall(configuration)).keys() == hook_repositories.FAKES.keys()
