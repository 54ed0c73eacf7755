"""A template with several versions in its own git repository, and projects that are updated from it with cruft."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.command import copy_template
from tests.conftest import TOOLS, Project

# The template's public URL; git is configured to use a local repository instead.
URL = "https://github.com/org/template"
PROJECT = "{{cookiecutter.project_slug}}"
VENV = "templates/strategy/venv/slim.dockerfile"
DEPENDABOT = f"{PROJECT}/_variants/ci/github/.github/dependabot.yml"
# For each version: (file, old text, new text).
EDITS = {
    "v2": [
        (VENV, "ENV PATH=/opt/venv/bin:$PATH", "ENV PATH=/opt/venv/bin:$PATH\n\n# The venv of version 2."),
        ("templates/metadata.dockerfile", "USER 10001:10001", "USER 10002:10002"),
        (DEPENDABOT, "interval: weekly", "interval: monthly"),
        (f"{PROJECT}/docs/CONTRIBUTING.md", "Before you submit a change", "Version 2: before you submit a change"),
        (f"{PROJECT}/docs/CHANGELOG.md", "# Changelog", "# The changelog"),
        (f"{PROJECT}/Makefile", "tests.leaks", "tests.memory"),
        # A filter that local_extensions.py of version 1 does not have.
        ("local_extensions.py", "for function in filters}", "for function in filters} | {'loud': str.upper}"),
        # A question that older projects never answered, and a changed default.
        ("cookiecutter.json", '  "license": [', '  "contact": "{{ cookiecutter.author_email }}",\n  "license": ['),
        ("cookiecutter.json", '["3.14", "3.15",', '["3.15", "3.14",'),
    ],
    "v3": [
        (
            f"{PROJECT}/docs/CONTRIBUTING.md",
            "Version 2: before you submit a change",
            "Version 3: before you submit a change",
        ),
        (f"{PROJECT}/_variants/ci/github/.github/workflows/ci.yml", "timeout-minutes: 15", "timeout-minutes: 16"),
    ],
    "v4": [
        (
            f"{PROJECT}/docs/CONTRIBUTING.md",
            "Version 3: before you submit a change",
            "Version 4: before you submit a change",
        )
    ],
    "v5": [
        (
            f"{PROJECT}/docs/CONTRIBUTING.md",
            "Version 4: before you submit a change",
            "Version 5: before you submit a change",
        )
    ],
}
NEW = "SECURITY.md"
REMOVED = ".gitattributes"
RENAMED = ("tests/leaks.py", "tests/memory.py")


@dataclass(frozen=True)
class Template:
    """A template's git repository; cruft treats its `main` as the newest version."""

    path: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return an environment in which git resolves the template's URL and has an identity for commits."""
        own = {"HOME": str(self.path.parent), "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
        return {**os.environ, **own}

    def redirect(self) -> None:
        """Write a git configuration that redirects the template's URL to this repository."""
        (self.path.parent / ".gitconfig").write_text(
            f"""
[url "{self.path}"]
    insteadOf = {URL}
[user]
    name = Ada
    email = ada@example.com
[init]
    defaultBranch = main
""",
            "utf-8",
        )

    def run(self, directory: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a directory, without input."""
        return subprocess.run(
            command,
            cwd=directory,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def git(self, directory: Path, *arguments: str) -> str:
        """Run git, check that it succeeds, and return its output."""
        result = self.run(directory, "git", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def commit(self, directory: Path, message: str = "a commit") -> None:
        """Commit all files."""
        self.git(directory, "add", "--all")
        self.git(directory, "commit", "--quiet", "--message", message)

    def release(self, version: str) -> None:
        """Make a version the newest one."""
        self.git(self.path, "reset", "--quiet", "--hard", version)

    def cruft(self, directory: Path, *arguments: str, status: int = 0) -> str:
        """Run cruft, check its exit status and that it prints no traceback, and return its output."""
        result = self.run(directory, "cruft", *arguments)
        assert "Traceback" not in result.stdout + result.stderr
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout

    def create(self, directory: Path, version: str = "v1", **answers: str) -> Project:
        """Generate a project from a version with cruft, and commit it."""
        directory.mkdir(exist_ok=True)
        all_answers = {"project_slug": "acme", **answers}
        options = ("--no-input", "--default-config", "--checkout", version)
        self.cruft(directory, "create", *options, "--extra-context", json.dumps(all_answers), URL)
        project = Project(directory / "acme", all_answers)
        self.git(project.path, "init", "--quiet")
        self.commit(project.path, "As generated")
        return project


def make_template(directory: Path) -> Template:
    """Create a repository of this template with the versions above; the first one is the unchanged template."""
    template = Template(copy_template(directory))
    template.redirect()
    template.git(template.path, "init", "--quiet")
    for version in ("v1", *EDITS):
        for name, old, new in EDITS.get(version, []):
            text = (template.path / name).read_text("utf-8")
            assert old in text, (name, old)
            (template.path / name).write_text(text.replace(old, new), "utf-8")
        if version == "v2":
            rename_and_remove(template.path / PROJECT)
        template.commit(template.path, version)
        template.git(template.path, "tag", "--no-sign", version)
    return template


def rename_and_remove(project: Path) -> None:
    """Add a file, remove a file, and rename a file."""
    text = "Write to {{ cookiecutter.contact }}, {{ cookiecutter.project_slug | loud }}.\n"
    (project / NEW).write_text(text, "utf-8")
    (project / REMOVED).unlink()
    (project / RENAMED[0]).rename(project / RENAMED[1])


def clone_template(versions: Template, directory: Path, version: str) -> Template:
    """Return a copy of the template for one test, with the given version as the newest."""
    template = Template(directory / "template")
    shutil.copytree(versions.path / ".git", template.path / ".git")
    template.redirect()
    template.release(version)
    return template
