"""Publish an example project for each strategy as a branch: `python -m tools.examples REMOTE`.

Branches such as `example/venv` contain only the project that the template's last commit generates. A branch gets a
commit if the project has changed; the message names the template's commit. All branches are pushed, or none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cookiecutter.main import cookiecutter

from tools.demo import TEMPLATE, log

# Without a pipeline, because the workflow's token cannot push workflow files.
ANSWERS = {"ci": "none"}


def strategies(template: Path) -> list[str]:
    """List the answers to the strategy question."""
    answers: list[str] = json.loads((template / "cookiecutter.json").read_text("utf-8"))["strategy"]
    return answers


def generate(template: Path, strategy: str, directory: Path) -> Path:
    """Generate the default project with a strategy, ignoring the user's cookiecutter settings."""
    answers = {**ANSWERS, "strategy": strategy}
    return Path(
        cookiecutter(str(template), no_input=True, extra_context=answers, output_dir=directory, default_config=True)
    )


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory, and return its output without surrounding whitespace."""
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@dataclass(frozen=True)
class Branches:
    """The branches of a remote, and an empty local repository in which their commits are created."""

    repository: Path
    remote: str

    def fetch_newest(self, branch: str) -> str | None:
        """Fetch the newest commit of a branch, or return None if the branch does not exist."""
        if not git(self.repository, "ls-remote", self.remote, f"refs/heads/{branch}"):
            return None
        git(self.repository, "fetch", "--quiet", "--depth=1", self.remote, f"refs/heads/{branch}")
        return git(self.repository, "rev-parse", "FETCH_HEAD")

    def write_tree(self, project: Path) -> str:
        """Store all files of a project, including ignored ones, and return the ID of their git tree."""
        worktree = f"--work-tree={project}"
        git(self.repository, worktree, "add", "--all", "--force", str(project))
        return git(self.repository, "write-tree")

    def commit(self, branch: str, project: Path, message: str) -> str | None:
        """Create and return the commit that updates a branch, or return None if nothing has changed."""
        parent, tree = self.fetch_newest(branch), self.write_tree(project)
        if parent and git(self.repository, "rev-parse", f"{parent}^{{tree}}") == tree:
            return None
        parents = ["-p", parent] if parent else []
        return git(self.repository, "commit-tree", *parents, "-m", message, tree)

    def push(self, commits: dict[str, str]) -> None:
        """Push a commit to each branch, without force."""
        refs = [f"{commit}:refs/heads/{branch}" for branch, commit in commits.items()]
        git(self.repository, "push", "--quiet", "--atomic", self.remote, *refs)


def message(template: Path, strategy: str) -> str:
    """Return the commit message, which names the template's version and commit."""
    version = git(template, "describe", "--tags", "--always")
    commit = git(template, "rev-parse", "HEAD")
    return f"Generate strategy={strategy} with {version}\n\nThe template's commit is {commit}."


def publish(template: Path, remote: str) -> dict[str, str]:
    """Update all branches, and return the new commit of each branch that changed."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        branches = Branches(directory / "repository", remote)
        git(directory, "init", "--quiet", "repository")
        # Clone the template, so that uncommitted files are left out.
        git(directory, "clone", "--quiet", str(template), "template")
        template = directory / "template"
        commits = {}
        for strategy in strategies(template):
            branch, project = f"example/{strategy}", generate(template, strategy, directory / strategy)
            if commit := branches.commit(branch, project, message(template, strategy)):
                commits[branch] = commit
        if commits:
            branches.push(commits)
        return commits


def main(arguments: list[str] | None = None) -> None:
    """Publish the examples, and list the updated branches."""
    parser = argparse.ArgumentParser(prog="examples", description="Publish example projects as branches.")
    parser.add_argument("remote", metavar="REMOTE", help="a git remote: a URL or a directory")
    commits = publish(TEMPLATE, parser.parse_args(arguments).remote)
    for branch, commit in commits.items():
        log(f"{branch} is now {commit}")
    if not commits:
        log("Nothing has changed.")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"examples: git {error.cmd[3]} failed; see above")
