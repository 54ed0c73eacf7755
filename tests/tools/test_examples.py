"""The example branches: each is complete, gets one commit per change, and is pushed together with the others."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.command import copy_template
from tests.conftest import QUESTIONS, TEMPLATE, Bake
from tests.generation.test_hooks import read_texts
from tools import examples
from tools.examples import ANSWERS, git, publish

FEW = ["user", "venv"]
USER = "{{cookiecutter.project_slug}}/_variants/strategy/user/Dockerfile"
NOTE = "{{cookiecutter.project_slug}}/note.so"  # ignored by the project's .gitignore


@pytest.fixture(autouse=True)
def _git_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configure a git identity that does not depend on the user's configuration."""
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\n  name = Ada\n  email = ada@example.com\n[init]\n  defaultBranch = main\n", "utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


def commit(template: Path) -> str:
    """Commit all files of a template, and return the commit."""
    git(template, "add", "--all")
    git(template, "commit", "--quiet", "--message=change")
    return git(template, "rev-parse", "HEAD")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """Return a tagged copy of the template with fewer strategies and an additional file."""
    copy = copy_template(tmp_path)
    questions = json.loads((copy / "cookiecutter.json").read_text("utf-8"))
    (copy / "cookiecutter.json").write_text(json.dumps({**questions, "strategy": FEW}), "utf-8")
    (copy / NOTE).write_text("a note\n", "utf-8")
    git(copy, "init", "--quiet")
    git(copy, "add", "--force", NOTE)
    commit(copy)
    git(copy, "tag", "v1.0.0")
    return copy


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """Return an empty repository to push to."""
    git(tmp_path, "init", "--quiet", "--bare", "remote.git")
    return tmp_path / "remote.git"


def list_heads(remote: Path) -> dict[str, str]:
    """Map each branch to its newest commit."""
    lines = git(remote, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return {name.removeprefix("refs/heads/"): commit for name, commit in map(str.split, lines)}


def read_branch(remote: Path, branch: str, directory: Path) -> dict[str, str]:
    """Map every file of a branch to its text."""
    archive = subprocess.run(["git", "archive", branch], cwd=remote, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return read_texts(directory)


def test_branches_contain_the_generated_projects(remote: Path, template: Path, bake: Bake, tmp_path: Path) -> None:
    git(template, "rm", "--quiet", NOTE)
    shutil.copy(TEMPLATE / "cookiecutter.json", template)
    first = commit(template)
    assert publish(template, str(remote)) == list_heads(remote)
    assert list_heads(remote).keys() == {f"example/{strategy}" for strategy in QUESTIONS["strategy"]}
    for strategy in QUESTIONS["strategy"]:
        project = bake(strategy=strategy, **ANSWERS)
        assert read_branch(remote, f"example/{strategy}", tmp_path / strategy) == read_texts(project.path)
        assert git(remote, "rev-list", "--count", f"example/{strategy}") == "1"
    subject, _, body = git(remote, "log", "-1", "--format=%B", "example/pex").partition("\n\n")
    assert subject == f"Generate strategy=pex with v1.0.0-1-g{first[:7]}"
    assert first in body


def test_unchanged_project_gets_no_commit(remote: Path, template: Path) -> None:
    publish(template, str(remote))
    before = list_heads(remote)
    # Uncommitted changes are not published.
    (template / USER).write_text("FROM scratch\n", "utf-8")
    (template / "README.md").write_text("A file of the template only.\n", "utf-8")
    git(template, "add", "README.md")
    git(template, "commit", "--quiet", "--message=readme")
    assert publish(template, str(remote)) == {}
    assert list_heads(remote) == before


def test_change_adds_one_commit_to_affected_branches(remote: Path, template: Path) -> None:
    publish(template, str(remote))
    before = list_heads(remote)
    (template / USER).write_text("FROM scratch\n", "utf-8")
    commit(template)
    after = publish(template, str(remote))
    assert after.keys() == {"example/user"}
    assert list_heads(remote) == before | after
    assert git(remote, "rev-parse", "example/user^") == before["example/user"]
    assert git(remote, "diff", "--name-only", "example/user^", "example/user") == "Dockerfile"


def test_file_removed_from_template_is_removed_from_branches(remote: Path, template: Path) -> None:
    publish(template, str(remote))
    git(template, "rm", "--quiet", NOTE)
    commit(template)
    lost = {
        branch: git(remote, "diff", "--name-status", f"{branch}^", branch) for branch in publish(template, str(remote))
    }
    assert lost == {f"example/{strategy}": "D\tnote.so" for strategy in FEW}


def test_no_branch_is_pushed_if_one_is_rejected(remote: Path) -> None:
    hook = remote / "hooks/update"
    hook.write_text('#!/bin/sh\n[ "$1" != refs/heads/example/user ]\n', "utf-8")
    hook.chmod(0o755)
    command = [sys.executable, "-m", "tools.examples", str(remote)]
    result = subprocess.run(command, cwd=TEMPLATE, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.endswith("examples: git push failed; see above\n")
    assert list_heads(remote) == {}


def test_command_lists_updated_branches(
    remote: Path, template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examples, "TEMPLATE", template)
    for expected in (None, "Nothing has changed.\n"):
        examples.main([str(remote)])
        news = "".join(f"{branch} is now {commit}\n" for branch, commit in list_heads(remote).items())
        assert capsys.readouterr().out.endswith(expected or news)
