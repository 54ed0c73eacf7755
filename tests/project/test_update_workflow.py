"""The weekly update workflow on GitHub: its scripts are run on local repositories.

Steps that use actions are replaced: checkout by a git clone, artifacts by file copies. `gh` is replaced by a fake that
records its calls and keeps the pull request's state.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import yaml

from tests.conftest import Bake, Project
from tests.generation.updates import NEW, REMOVED, URL, Template, make_template
from tools.locks import uv

WORKFLOW = ".github/workflows/template-update.yml"
BRANCH = "template-update"
GH = f"""#!{sys.executable}
import json, os, pathlib, sys

calls = pathlib.Path(os.environ["GH_CALLS"])
with calls.open("a") as file:
    print(json.dumps(sys.argv[1:]), file=file)
opened = '"pr", "create"' in calls.read_text()
if sys.argv[1:3] == ["pr", "list"] and opened:
    state = sys.argv[sys.argv.index("--state") + 1]
    if state in ("all", os.environ.get("STATE", "open")):
        print(7)
"""
pytestmark = [
    pytest.mark.skipif(not shutil.which("jq"), reason="the workflow needs jq: install it"),
    pytest.mark.usefixtures("index"),
]


@pytest.fixture(scope="module")
def cruft_commands(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the version of cruft that the workflow installs, and return the directory of its commands."""
    project = bake_once(ci="github")
    runs = [step.get("run", "") for step in steps_of(project, "update")]
    (pinned,) = re.findall(r"^pipx install (cruft==\S+)$", "\n".join(runs), re.MULTILINE)
    venv = tmp_path_factory.mktemp("cruft") / "venv"
    uv("venv", "--quiet", venv)
    uv("pip", "install", "--quiet", "--python", venv / "bin/python", pinned)
    return venv / "bin"


def steps_of(project: Project, job: str) -> list[dict[str, Any]]:
    """Return the steps of one job."""
    steps: list[dict[str, Any]] = yaml.safe_load(project.read(WORKFLOW))["jobs"][job]["steps"]
    return steps


@dataclass(frozen=True)
class Repository:
    """A project on GitHub: a bare repository that each job clones."""

    template: Template
    commands: Path

    @property
    def directory(self) -> Path:
        """The directory that contains the template, the repository and the clones."""
        return self.template.path.parent

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.directory / "origin.git"

    @property
    def project(self) -> Project:
        """A user's clone."""
        return Project(self.directory / "acme", {"project_slug": "acme"})

    @property
    def calls(self) -> list[list[str]]:
        """The recorded `gh` calls, without read-only queries."""
        path = self.directory / "calls"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [call for call in map(json.loads, lines) if call[:2] not in (["pr", "list"], ["auth", "setup-git"])]

    def git(self, *arguments: str) -> str:
        """Run git in the bare repository."""
        return self.template.git(self.origin, *arguments)

    def has_branch(self) -> bool:
        """Return whether the branch with the update was pushed."""
        return BRANCH in self.git("branch", "--format", "%(refname:short)").split()

    def push(self) -> None:
        """Commit and push a user's changes to the project."""
        self.template.commit(self.project.path)
        self.template.git(self.project.path, "push", "--quiet", str(self.origin), "main")

    def job(self, name: str, runner: Path, *clone: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the last script of a job as GitHub does, in a new clone."""
        checkout = runner / "checkout"
        self.template.git(self.directory, "clone", "--quiet", *clone, self.origin.as_uri(), str(checkout))
        script = [step["run"] for step in steps_of(self.project, name) if "run" in step][-1]
        (runner / "script").write_text(script, "utf-8")
        variables = {
            "GITHUB_OUTPUT": str(runner / "output"),
            "GITHUB_REF_NAME": "main",
            "GITHUB_REPOSITORY": "acme/acme",
            "GH_CALLS": str(self.directory / "calls"),
            "PATH": f"{self.directory}:{self.commands}:{self.template.environment['PATH']}",
            "RUNNER_TEMP": str(runner),
        }
        return self.template.run(checkout, "bash", "-e", str(runner / "script"), **{**variables, **environment})

    def run_update_job(self) -> tuple[Path, str]:
        """Run the job that looks for changes; return its bundle, which exists only if there are any, and its output."""
        runner = Path(mkdtemp(dir=self.directory))
        result = self.job("update", runner, "--depth=1")
        assert "Traceback" not in result.stdout
        assert result.returncode == 0, result.stdout + result.stderr
        output = (runner / "output").read_text("utf-8") if (runner / "output").exists() else ""
        assert (output == "found=true\n") == (runner / "update.bundle").exists(), output
        return runner / "update.bundle", result.stdout

    def run_pull_request_job(self, bundle: Path, *, token: bool = True, state: str = "open", status: int = 0) -> str:
        """Run the job that opens or updates the pull request, and return its output."""
        runner = Path(mkdtemp(dir=self.directory))
        shutil.copy(bundle, runner / "update.bundle")
        result = self.job("pull-request", runner, MAY_WRITE_WORKFLOWS=json.dumps(token), STATE=state)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def initial_repository(tmp_path_factory: pytest.TempPathFactory, cruft_commands: Path) -> Repository:
    """Return a repository with a project of the first template version."""
    directory = tmp_path_factory.mktemp("repository")
    repository = Repository(make_template(directory), cruft_commands)
    repository.template.create(directory)
    repository.template.git(
        directory, "clone", "--quiet", "--bare", str(repository.project.path), str(repository.origin)
    )
    (directory / "gh").write_text(GH, "utf-8")
    (directory / "gh").chmod(0o755)
    return repository


@pytest.fixture(scope="module")
def bundles(initial_repository: Repository) -> dict[str, Path]:
    """Return the bundles that the workflow creates for two newer versions, each updating from the first."""
    found = {}
    for version in ("v2", "v3"):
        initial_repository.template.release(version)
        found[version], _ = initial_repository.run_update_job()
    return found


@pytest.fixture
def repository(initial_repository: Repository, tmp_path: Path) -> Repository:
    """Return a copy of the initial repository, and of a template whose newest version is the second."""
    for name in ("template", "acme", "origin.git"):
        shutil.copytree(initial_repository.directory / name, tmp_path / name)
    shutil.copy(initial_repository.directory / "gh", tmp_path)
    repository = Repository(Template(tmp_path / "template"), initial_repository.commands)
    repository.template.redirect()
    repository.template.release("v2")
    return repository


def changed_files(repository: Repository) -> set[str]:
    """List the files that the update changes."""
    return set(repository.git("diff", "--no-renames", "--name-only", "main", BRANCH).splitlines())


def test_new_version_opens_one_pull_request_and_updates_it(
    repository: Repository, bundles: dict[str, Path], tmp_path: Path
) -> None:
    repository.run_pull_request_job(bundles["v2"])
    expected = repository.template.create(tmp_path / "fresh", "v2", python_version="3.14")
    repository.template.git(expected.path, "fetch", "--quiet", str(repository.origin), BRANCH)
    # Only .cruft.json differs, because cruft records the version that was passed by name.
    assert repository.template.git(expected.path, "diff", "--name-only", "main", "FETCH_HEAD") == ".cruft.json"
    assert {NEW, REMOVED, "Dockerfile", ".cruft.json"} <= changed_files(repository)
    (call,) = repository.calls
    body = call.pop()
    assert call == ["pr", "create", "--base", "main", "--head", BRANCH, "--title", "Update from the template", "--body"]
    assert URL in body
    assert "conflict" not in body
    assert repository.git("log", "--format=%an", f"main..{BRANCH}") == "github-actions[bot]"

    first = repository.git("rev-parse", BRANCH)
    assert "::notice::The pull request for this update already exists" in repository.run_pull_request_job(bundles["v2"])
    assert (repository.git("rev-parse", BRANCH), len(repository.calls)) == (first, 1)

    repository.run_pull_request_job(bundles["v3"])
    assert ".github/workflows/ci.yml" in changed_files(repository)
    assert repository.git("rev-list", "--count", f"main..{BRANCH}") == "1"
    _, renewed = repository.calls
    assert renewed[:5] == ["api", "--silent", "--method", "PATCH", "repos/acme/acme/pulls/7"]


def test_no_pull_request_without_changes_to_generated_files(repository: Repository) -> None:
    repository.template.release("v1")
    # A new version that does not change any generated file.
    (repository.template.path / "README.md").write_text("A template.", "utf-8")
    repository.template.commit(repository.template.path)
    bundle, printed = repository.run_update_job()
    assert "::notice::The template has no changes for this project." in printed
    assert not bundle.exists()


def test_no_pull_request_without_cruft_json(repository: Repository) -> None:
    (repository.project.path / ".cruft.json").unlink()
    repository.push()
    bundle, printed = repository.run_update_job()
    assert "::notice::There is no .cruft.json" in printed
    assert not bundle.exists()


@pytest.mark.parametrize("fault", ["unreachable", "broken in its newest version"])
def test_unusable_template_fails_the_job(repository: Repository, fault: str) -> None:
    if fault == "unreachable":
        repository.template.path.rename(repository.directory / "gone")
    else:
        (repository.template.path / "cookiecutter.json").write_text("{", "utf-8")
        repository.template.commit(repository.template.path)
    runner = Path(mkdtemp(dir=repository.directory))
    assert repository.job("update", runner).returncode != 0
    assert not (runner / "update.bundle").exists()


def test_pull_request_lists_every_conflict(repository: Repository) -> None:
    project = repository.project
    # No commit in the history contains the file as generated by version 2.
    repository.template.cruft(project.path, "update", "--skip-apply-ask")
    project.edit("docs/CONTRIBUTING.md", "Version 2: before you submit a change", "Mine: before you submit a change")
    repository.push()
    repository.template.release("v3")
    repository.run_pull_request_job(repository.run_update_job()[0])
    conflict = ["<<<<<<< ours", "=======", ">>>>>>> theirs"]
    lines = repository.git("show", f"{BRANCH}:docs/CONTRIBUTING.md").splitlines()
    assert [line for line in lines if line[:7] in {mark[:7] for mark in conflict}] == conflict
    (call,) = repository.calls
    assert call[-3] == "Update from the template, with conflicts"
    assert call[-1].splitlines()[-1] == "    docs/CONTRIBUTING.md"


def test_pull_request_lists_rejected_hunks_and_kept_files(repository: Repository) -> None:
    project = repository.project
    project.edit(REMOVED, "requirements/*.txt linguist-generated", "requirements/*.txt -diff")
    project.edit("docs/CONTRIBUTING.md", "Before you submit a change", "Before you submit a patch")
    repository.push()
    repository.run_pull_request_job(repository.run_update_job()[0])
    (call,) = repository.calls
    listed = [line.strip() for line in call[-1].splitlines() if line.startswith("    ")]
    assert listed == [REMOVED, "docs/CONTRIBUTING.md.rej"]
    assert "docs/CONTRIBUTING.md.rej" in changed_files(repository)
    assert REMOVED not in changed_files(repository)


def test_user_commit_on_update_branch_is_not_overwritten(repository: Repository, bundles: dict[str, Path]) -> None:
    repository.run_pull_request_job(bundles["v2"])
    mended = repository.directory / "mended"
    repository.template.git(mended.parent, "clone", "--quiet", "--branch", BRANCH, str(repository.origin), str(mended))
    (mended / "Dockerfile").write_text("FROM scratch", "utf-8")
    repository.template.commit(mended)
    repository.template.git(mended, "push", "--quiet", "origin", BRANCH)
    tip = repository.git("rev-parse", BRANCH)
    assert "::notice::Someone has committed to the branch" in repository.run_pull_request_job(bundles["v3"])
    assert repository.git("rev-parse", BRANCH) == tip
    assert len(repository.calls) == 1


def test_closed_pull_request_is_reopened_only_for_new_changes(repository: Repository, bundles: dict[str, Path]) -> None:
    repository.run_pull_request_job(bundles["v2"])
    assert "was closed" in repository.run_pull_request_job(bundles["v2"], state="closed")
    assert len(repository.calls) == 1
    repository.run_pull_request_job(bundles["v3"], state="closed")
    assert [call[:2] for call in repository.calls] == [["pr", "create"]] * 2


def test_workflow_change_is_pushed_only_with_permitted_token(repository: Repository, bundles: dict[str, Path]) -> None:
    assert "::error::The update changes a workflow" in repository.run_pull_request_job(
        bundles["v3"], token=False, status=1
    )
    assert not repository.has_branch()
    assert repository.calls == []
    repository.run_pull_request_job(bundles["v3"])
    assert ".github/workflows/ci.yml" in changed_files(repository)
