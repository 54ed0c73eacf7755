"""The weekly workflow on GitHub: its own scripts, run here on repositories of this machine.

Replaced are the steps that are actions (a clone is a clone, and the artifact is a file that is copied), and
`gh`, which is where the network begins: the stand-in writes down its calls, and remembers the pull request.
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
from tests.updates import NEW, REMOVED, URL, Template, make_template

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
pytestmark = pytest.mark.skipif(not shutil.which("jq"), reason="GitHub's machines have jq: install it")


@pytest.fixture(scope="module")
def installed(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the version of cruft that the workflow installs, and return the directory of its commands."""
    project = bake_once(ci="github")
    runs = [step.get("run", "") for step in steps_of(project, "update")]
    (pinned,) = re.findall(r"^pipx install (cruft==\S+)$", "\n".join(runs), re.MULTILINE)
    venv = tmp_path_factory.mktemp("cruft") / "venv"
    subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", venv], check=True)
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(venv / "bin/python"), pinned]
    subprocess.run(command, check=True)
    return venv / "bin"


def steps_of(project: Project, job: str) -> list[dict[str, Any]]:
    """Read the steps of one job."""
    steps: list[dict[str, Any]] = yaml.safe_load(project.read(WORKFLOW))["jobs"][job]["steps"]
    return steps


@dataclass(frozen=True)
class Repository:
    """A project on GitHub: a bare repository, from which each job makes its own clone."""

    template: Template
    commands: Path

    @property
    def folder(self) -> Path:
        """Where everything is."""
        return self.template.path.parent

    @property
    def origin(self) -> Path:
        """The bare repository."""
        return self.folder / "origin.git"

    @property
    def project(self) -> Project:
        """The clone of a person."""
        return Project(self.folder / "acme", {"project_slug": "acme"})

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

    def push(self) -> None:
        """Commit what a person did to the project, and push it."""
        self.template.commit(self.project.path)
        self.template.git(self.project.path, "push", "--quiet", str(self.origin), "main")

    def job(self, name: str, runner: Path, *clone: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the last script of a job, as GitHub does, in a clone of its own."""
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

    def find(self) -> tuple[Path, str]:
        """Run the job that looks for news; return the bundle it leaves, if any, and what it prints."""
        runner = Path(mkdtemp(dir=self.folder))
        result = self.job("update", runner, "--depth=1")
        assert "Traceback" not in result.stdout
        assert result.returncode == 0, result.stdout + result.stderr
        output = (runner / "output").read_text("utf-8") if (runner / "output").exists() else ""
        assert (output == "found=true\n") == (runner / "update.bundle").exists(), output
        return runner / "update.bundle", result.stdout

    def propose(self, bundle: Path, *, token: bool = True, state: str = "open", status: int = 0) -> str:
        """Run the job that opens or renews the pull request, which is open or closed; return what it prints."""
        runner = Path(mkdtemp(dir=self.folder))
        shutil.copy(bundle, runner / "update.bundle")
        result = self.job("pull-request", runner, MAY_WRITE_WORKFLOWS=json.dumps(token), STATE=state)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, installed: Path) -> Repository:
    """Make a project of the first version, on GitHub."""
    folder = tmp_path_factory.mktemp("made")
    repository = Repository(make_template(folder), installed)
    repository.template.create(folder)
    repository.template.git(folder, "clone", "--quiet", "--bare", str(repository.project.path), str(repository.origin))
    (folder / "gh").write_text(GH, "utf-8")
    (folder / "gh").chmod(0o755)
    return repository


@pytest.fixture(scope="module")
def bundles(made: Repository) -> dict[str, Path]:
    """Let the workflow find two newer versions, each from the first."""
    found = {}
    for version in ("v2", "v3"):
        made.template.release(version)
        found[version], _ = made.find()
    return found


@pytest.fixture
def repository(made: Repository, tmp_path: Path) -> Repository:
    """Give a test that project for itself, and a template whose newest version is the second."""
    for name in ("template", "acme", "origin.git"):
        shutil.copytree(made.folder / name, tmp_path / name)
    shutil.copy(made.folder / "gh", tmp_path)
    repository = Repository(Template(tmp_path / "template"), made.commands)
    repository.template.redirect()
    repository.template.release("v2")
    return repository


def changed(repository: Repository, start: str = "main", end: str = BRANCH) -> set[str]:
    """List the files that differ between two branches."""
    return set(repository.git("diff", "--no-renames", "--name-only", start, end).splitlines())


def test_a_new_version_becomes_one_pull_request_and_is_renewed(
    repository: Repository, bundles: dict[str, Path], tmp_path: Path
) -> None:
    repository.propose(bundles["v2"])
    expected = repository.template.create(tmp_path / "fresh", "v2", python_version="3.14")
    repository.template.git(expected.path, "fetch", "--quiet", str(repository.origin), BRANCH)
    # cruft notes which version it was given by name.
    assert repository.template.git(expected.path, "diff", "--name-only", "main", "FETCH_HEAD") == ".cruft.json"
    assert {NEW, REMOVED, "Dockerfile", ".cruft.json"} <= changed(repository)
    (call,) = repository.calls
    body = call.pop()
    assert call == ["pr", "create", "--base", "main", "--head", BRANCH, "--title", "Update from the template", "--body"]
    assert URL in body
    assert "conflict" not in body
    assert repository.git("log", "--format=%an", f"main..{BRANCH}") == "github-actions[bot]"

    first = repository.git("rev-parse", BRANCH)
    assert "::notice::The pull request for this update is there" in repository.propose(bundles["v2"])
    assert (repository.git("rev-parse", BRANCH), len(repository.calls)) == (first, 1)

    repository.propose(bundles["v3"])
    assert ".github/workflows/ci.yml" in changed(repository)
    assert repository.git("rev-list", "--count", f"main..{BRANCH}") == "1"
    _, renewed = repository.calls
    assert renewed[:5] == ["api", "--silent", "--method", "PATCH", "repos/acme/acme/pulls/7"]


def test_nothing_happens_without_news(repository: Repository) -> None:
    repository.template.release("v1")
    # Another version, of which nothing gets into a project.
    (repository.template.path / "README.md").write_text("A template.", "utf-8")
    repository.template.commit(repository.template.path)
    bundle, printed = repository.find()
    assert "::notice::The template has nothing new" in printed
    assert not bundle.exists()


def test_nothing_happens_without_a_note_of_cruft_s(repository: Repository) -> None:
    (repository.project.path / ".cruft.json").unlink()
    repository.push()
    bundle, printed = repository.find()
    assert "::notice::There is no .cruft.json" in printed
    assert not bundle.exists()


@pytest.mark.parametrize("fault", ["out of reach", "broken in its newest version"])
def test_a_template_that_cannot_be_used_fails_the_job(repository: Repository, fault: str) -> None:
    if fault == "out of reach":
        repository.template.path.rename(repository.folder / "gone")
    else:
        (repository.template.path / "cookiecutter.json").write_text("{", "utf-8")
        repository.template.commit(repository.template.path)
    runner = Path(mkdtemp(dir=repository.folder))
    assert repository.job("update", runner).returncode != 0
    assert not (runner / "update.bundle").exists()


def test_the_pull_request_names_every_conflict(repository: Repository) -> None:
    project = repository.project
    # Nothing in the history is what the template made of the file in version 2.
    repository.template.cruft(project.path, "update", "--skip-apply-ask")
    project.edit("docs/CONTRIBUTING.md", "Version 2: a change is ready", "Mine: a change is ready")
    repository.push()
    repository.template.release("v3")
    repository.propose(repository.find()[0])
    conflict = ["<<<<<<< ours", "=======", ">>>>>>> theirs"]
    lines = repository.git("show", f"{BRANCH}:docs/CONTRIBUTING.md").splitlines()
    assert [line for line in lines if line[:7] in {mark[:7] for mark in conflict}] == conflict
    (call,) = repository.calls
    assert call[-3] == "Update from the template, with conflicts"
    assert call[-1].splitlines()[-1] == "    docs/CONTRIBUTING.md"


def test_the_pull_request_names_what_did_not_fit_and_what_was_kept(repository: Repository) -> None:
    project = repository.project
    project.edit(REMOVED, "*.pex binary", "*.pex -text")
    project.edit("docs/CONTRIBUTING.md", "A change is ready", "A patch is ready")
    repository.push()
    repository.propose(repository.find()[0])
    (call,) = repository.calls
    named = [line.strip() for line in call[-1].splitlines() if line.startswith("    ")]
    assert named == [REMOVED, "docs/CONTRIBUTING.md.rej"]
    assert "docs/CONTRIBUTING.md.rej" in changed(repository)
    assert REMOVED not in changed(repository)


def test_a_commit_of_somebody_s_on_the_branch_is_never_overwritten(
    repository: Repository, bundles: dict[str, Path]
) -> None:
    repository.propose(bundles["v2"])
    mended = repository.folder / "mended"
    repository.template.git(mended.parent, "clone", "--quiet", "--branch", BRANCH, str(repository.origin), str(mended))
    (mended / "Dockerfile").write_text("FROM scratch", "utf-8")
    repository.template.commit(mended)
    repository.template.git(mended, "push", "--quiet", "origin", BRANCH)
    tip = repository.git("rev-parse", BRANCH)
    assert "::notice::Somebody works on the branch" in repository.propose(bundles["v3"])
    assert repository.git("rev-parse", BRANCH) == tip
    assert len(repository.calls) == 1


def test_a_closed_pull_request_comes_back_only_with_something_new(
    repository: Repository, bundles: dict[str, Path]
) -> None:
    repository.propose(bundles["v2"])
    assert "was closed" in repository.propose(bundles["v2"], state="closed")
    assert len(repository.calls) == 1
    repository.propose(bundles["v3"], state="closed")
    assert [call[:2] for call in repository.calls] == [["pr", "create"]] * 2


def test_a_workflow_s_change_is_pushed_only_with_a_token_that_may(
    repository: Repository, bundles: dict[str, Path]
) -> None:
    assert "::error::The update changes a workflow" in repository.propose(bundles["v3"], token=False, status=1)
    assert not repository.has_branch()
    assert repository.calls == []
    repository.propose(bundles["v3"])
    assert ".github/workflows/ci.yml" in changed(repository)
