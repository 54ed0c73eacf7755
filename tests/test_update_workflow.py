"""The weekly workflow on GitHub: its own scripts, run here on repositories of this machine.

Replaced are the steps that are actions (a clone is a clone, and the artifact is a file that is copied), and
`gh`, which is where the network begins: the stand-in writes down its calls, and remembers the pull request.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Bake, Project
from tests.updates import NEW, REMOVED, Template, cloned, make_template

WORKFLOW = ".github/workflows/template-update.yml"
BRANCH = "template-update"
GH = f"""#!{sys.executable}
import json, os, pathlib, sys

calls = pathlib.Path(os.environ["GH_CALLS"])
with calls.open("a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
opened = '"pr", "create"' in calls.read_text()
if sys.argv[1:3] == ["pr", "list"] and opened:
    asked = sys.argv[sys.argv.index("--state") + 1]
    if asked in ("all", os.environ.get("STATE", "open")):
        print(7)
"""
pytestmark = pytest.mark.skipif(not shutil.which("jq"), reason="GitHub's machines have jq: install it to run the script")


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Make the template's versions once."""
    return make_template(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="module")
def installed(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install cruft as the workflow does, from its lock, and return the folder of its commands."""
    project = bake_once(ci="github")
    (install,) = (step["run"] for step in steps_of(project, "update") if "pip install" in step.get("run", ""))
    venv = tmp_path_factory.mktemp("cruft") / "venv"
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", venv], check=True)
    command = [sys.executable, "-m", "uv", *install.split(), "--quiet", "--python", str(venv / "bin/python")]
    subprocess.run(command, cwd=project.path, check=True)
    return venv / "bin"


def steps_of(project: Project, job: str) -> list[dict[str, Any]]:
    """Read the steps of one job."""
    steps: list[dict[str, Any]] = yaml.safe_load(project.read(WORKFLOW))["jobs"][job]["steps"]
    return steps


@dataclass(frozen=True)
class Repository:
    """A project on GitHub: a bare repository, from which each job makes its own clone."""

    template: Template
    folder: Path
    project: Project
    commands: Path

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.folder / "origin.git"

    @property
    def calls(self) -> list[list[str]]:
        """What `gh` was called with, but the questions it was asked."""
        path = self.folder / "calls"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if call[:2] not in (["pr", "list"], ["auth", "setup-git"])]

    def git(self, *arguments: str) -> str:
        """Run git in the bare repository."""
        return self.template.git(self.origin, *arguments)

    def has_branch(self) -> bool:
        """Tell whether the update's branch was pushed."""
        return BRANCH in self.git("branch", "--format", "%(refname:short)").split()

    def push(self, message: str = "a commit") -> None:
        """Commit what a person did to the project, and push it."""
        self.template.commit(self.project.path, message)
        self.template.git(self.project.path, "push", "--quiet", str(self.origin), "main")

    def job(self, name: str, runner: Path, *clone: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the last script of a job, as GitHub does, in a clone of its own."""
        runner.mkdir(exist_ok=True)
        checkout = runner / "checkout"
        self.template.git(self.folder, "clone", "--quiet", *clone, self.origin.as_uri(), str(checkout))
        script = [step["run"] for step in steps_of(self.project, name) if "run" in step][-1]
        (runner / "script").write_text(script, "utf-8")
        given = {
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_REF_NAME": "main",
            "GITHUB_REPOSITORY": "acme/acme",
            "GH_CALLS": str(self.folder / "calls"),
            "PATH": f"{self.folder}:{self.commands}:{self.template.environment['PATH']}",
            "RUNNER_TEMP": str(runner),
        }
        return self.template.run(checkout, "bash", "-e", str(runner / "script"), **{**given, **environment})

    def update(self, own_token: bool = True, status: int = 0, state: str = "open") -> str:  # noqa: FBT001, FBT002
        """Run the workflow, and return what it prints."""
        first, second = self.folder / "first", self.folder / "second"
        for runner in (first, second):
            shutil.rmtree(runner, ignore_errors=True)
        result = self.job("update", first, "--depth=1")
        assert "Traceback" not in result.stdout + result.stderr
        assert result.returncode == 0, result.stdout + result.stderr
        printed = result.stdout
        if (first / "output").exists():
            assert (first / "output").read_text("utf-8") == "found=true\n"
            second.mkdir()
            shutil.copy(first / "update.bundle", second)
            may_write = {"MAY_WRITE_WORKFLOWS": json.dumps(own_token), "STATE": state}
            result = self.job("pull-request", second, **may_write)
            assert result.returncode == status, result.stdout + result.stderr
            printed += result.stdout
        return printed


@pytest.fixture
def repository(versions: Template, installed: Path, tmp_path: Path) -> Repository:
    """Give a project of the first version, on GitHub, and a template whose newest is the second."""
    template = cloned(versions, tmp_path, "v2")
    repository = Repository(template, tmp_path, template.create(tmp_path / "work"), installed)
    template.git(tmp_path, "init", "--quiet", "--bare", str(repository.origin))
    template.git(repository.project.path, "push", "--quiet", str(repository.origin), "main")
    (tmp_path / "gh").write_text(GH, "utf-8")
    (tmp_path / "gh").chmod(0o755)
    return repository


def changed(repository: Repository, start: str = "main", end: str = BRANCH) -> set[str]:
    """List the files that differ between two branches."""
    return set(repository.git("diff", "--no-renames", "--name-only", start, end).splitlines())


def test_a_new_version_becomes_one_pull_request_and_is_renewed(repository: Repository, tmp_path: Path) -> None:
    repository.update()
    expected = repository.template.create(tmp_path / "fresh", "v2", python_version="3.14")
    repository.template.git(expected.path, "fetch", "--quiet", str(repository.origin), BRANCH)
    # cruft notes which version it was given by name.
    assert repository.template.git(expected.path, "diff", "--name-only", "main", "FETCH_HEAD") == ".cruft.json"
    assert {NEW, REMOVED, "Dockerfile", ".cruft.json"} <= changed(repository)
    (call,) = repository.calls
    body = call.pop()
    assert call == ["pr", "create", "--base", "main", "--head", BRANCH, "--title", "Update from the template", "--body"]
    assert "https://github.com/org/template" in body
    assert "conflict" not in body
    assert repository.git("log", "--format=%an <%ae>", f"main..{BRANCH}").startswith("github-actions[bot] <")

    first = repository.git("rev-parse", BRANCH)
    assert "::notice::The pull request for this update is there" in repository.update()
    assert (repository.git("rev-parse", BRANCH), len(repository.calls)) == (first, 1)

    repository.template.release("v3")
    repository.update()
    assert ".github/workflows/ci.yml" in changed(repository)
    assert repository.git("rev-list", "--count", f"main..{BRANCH}") == "1"
    renewed = repository.calls[1]
    assert renewed[:5] == ["api", "--silent", "--method", "PATCH", "repos/acme/acme/pulls/7"]
    assert len(repository.calls) == 2


def test_nothing_happens_without_news(repository: Repository) -> None:
    repository.template.release("v1")
    assert "::notice::The template has nothing new" in repository.update()
    # Another version, of which nothing gets into a project.
    (repository.template.path / "README.md").write_text("A template.", "utf-8")
    repository.template.commit(repository.template.path)
    assert "::notice::The template has nothing new" in repository.update()
    (repository.project.path / ".cruft.json").unlink()
    repository.push()
    assert "::notice::There is no .cruft.json" in repository.update()
    assert not repository.has_branch()
    assert repository.calls == []


def test_the_pull_request_names_every_conflict(repository: Repository) -> None:
    project = repository.project
    # Nothing in the history is what the template made of the file in version 2.
    repository.template.cruft(project.path, "update", "--skip-apply-ask")
    project.edit("CONTRIBUTING.md", "Version 2: a change is ready", "Mine: a change is ready")
    repository.push()
    repository.template.release("v3")
    repository.update()
    conflict = ["<<<<<<< ours", "=======", ">>>>>>> theirs"]
    lines = repository.git("show", f"{BRANCH}:CONTRIBUTING.md").splitlines()
    assert [line for line in lines if line[:7] in {mark[:7] for mark in conflict}] == conflict
    (call,) = repository.calls
    assert call[-3] == "Update from the template, with conflicts"
    assert call[-1].splitlines()[-1] == "    CONTRIBUTING.md"


def test_the_pull_request_names_what_did_not_fit_and_what_was_kept(repository: Repository) -> None:
    project = repository.project
    project.edit(REMOVED, "root = true", "root = false")
    project.edit("CONTRIBUTING.md", "A change is ready", "A patch is ready")
    repository.push()
    repository.update()
    (call,) = repository.calls
    assert [line for line in call[-1].splitlines() if line.startswith("    ")] == [
        "    .editorconfig",
        "    CONTRIBUTING.md.rej",
    ]
    assert "CONTRIBUTING.md.rej" in changed(repository)
    assert REMOVED not in changed(repository)


def test_a_commit_of_somebody_s_on_the_branch_is_never_overwritten(repository: Repository, tmp_path: Path) -> None:
    repository.update()
    mended = tmp_path / "mended"
    repository.template.git(tmp_path, "clone", "--quiet", "--branch", BRANCH, str(repository.origin), str(mended))
    (mended / "Dockerfile").write_text("FROM scratch", "utf-8")
    repository.template.commit(mended)
    repository.template.git(mended, "push", "--quiet", "origin", BRANCH)
    tip = repository.git("rev-parse", BRANCH)
    repository.template.release("v3")
    assert "::notice::Somebody works on the branch" in repository.update()
    assert repository.git("rev-parse", BRANCH) == tip
    assert len(repository.calls) == 1


def test_a_closed_pull_request_comes_back_only_with_something_new(repository: Repository) -> None:
    repository.update()
    assert "was closed" in repository.update(state="closed")
    assert len(repository.calls) == 1
    repository.template.release("v3")
    repository.update(state="closed")
    assert [call[:2] for call in repository.calls] == [["pr", "create"]] * 2


def test_a_workflow_s_change_is_pushed_only_with_a_token_that_may(repository: Repository) -> None:
    repository.template.release("v3")
    assert "::error::The update changes a workflow" in repository.update(own_token=False, status=1)
    assert not repository.has_branch()
    assert repository.calls == []
    repository.update(own_token=True)
    assert ".github/workflows/ci.yml" in changed(repository)
