"""Publish an example of each strategy as a branch: `python -m tests.examples REMOTE`.

`example/venv` and its siblings hold what the template's last commit generates, and nothing else. A branch gets a commit
when that changes; the commit names the template's. All branches are pushed, or none.
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

TEMPLATE = Path(__file__).parent.parent
# The workflow's own token may not push a workflow: both pipelines are read in `_variants/ci`.
ANSWERS = {"ci": "none"}


def say(text: str) -> None:
    """Tell who waits what was done."""
    print(text, flush=True)


def strategies(template: Path) -> list[str]:
    """List the answers to the question of the strategy."""
    answers: list[str] = json.loads((template / "cookiecutter.json").read_text("utf-8"))["strategy"]
    return answers


def generate(template: Path, strategy: str, folder: Path) -> Path:
    """Generate the default project with a strategy, whatever the settings of who runs this."""
    answers = {**ANSWERS, "strategy": strategy}
    return Path(
        cookiecutter(str(template), no_input=True, extra_context=answers, output_dir=folder, default_config=True)
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return what it prints without its end of line."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@dataclass(frozen=True)
class Branches:
    """The branches of a remote, and an empty repository in which their commits are made."""

    repository: Path
    remote: str

    def newest(self, branch: str) -> str | None:
        """Fetch the newest commit of a branch, if there is the branch."""
        if not git(self.repository, "ls-remote", self.remote, f"refs/heads/{branch}"):
            return None
        git(self.repository, "fetch", "--quiet", "--depth=1", self.remote, f"refs/heads/{branch}")
        return git(self.repository, "rev-parse", "FETCH_HEAD")

    def tree(self, project: Path) -> str:
        """Store the files of a project, those too that its .gitignore names, and return their tree."""
        worktree = f"--work-tree={project}"
        git(self.repository, worktree, "add", "--all", "--force", str(project))
        return git(self.repository, "write-tree")

    def commit(self, branch: str, project: Path, message: str) -> str | None:
        """Make the commit that brings a branch up to date, and return it, if one is needed."""
        parent, tree = self.newest(branch), self.tree(project)
        if parent and git(self.repository, "rev-parse", f"{parent}^{{tree}}") == tree:
            return None
        parents = ["-p", parent] if parent else []
        return git(self.repository, "commit-tree", *parents, "-m", message, tree)

    def push(self, commits: dict[str, str]) -> None:
        """Push commits, by branch, without force."""
        refs = [f"{commit}:refs/heads/{branch}" for branch, commit in commits.items()]
        git(self.repository, "push", "--quiet", "--atomic", self.remote, *refs)


def message(template: Path, strategy: str) -> str:
    """Write what a commit says: which template has generated what."""
    version = git(template, "describe", "--tags", "--always")
    commit = git(template, "rev-parse", "HEAD")
    return f"Generate strategy={strategy} with {version}\n\nThe template's commit is {commit}."


def publish(template: Path, remote: str) -> dict[str, str]:
    """Bring all branches up to date, and return the new commit of each that changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        branches = Branches(folder / "repository", remote)
        git(folder, "init", "--quiet", "repository")
        # A clone has what is committed, and no file more.
        git(folder, "clone", "--quiet", str(template), "template")
        template = folder / "template"
        commits = {}
        for strategy in strategies(template):
            branch, project = f"example/{strategy}", generate(template, strategy, folder / strategy)
            if commit := branches.commit(branch, project, message(template, strategy)):
                commits[branch] = commit
        if commits:
            branches.push(commits)
        return commits


def main(arguments: list[str] | None = None) -> None:
    """Publish, and tell what is new."""
    parser = argparse.ArgumentParser(prog="examples", description="Publish an example of each strategy as a branch.")
    parser.add_argument("remote", metavar="REMOTE", help="a git remote: a URL, or a folder")
    commits = publish(TEMPLATE, parser.parse_args(arguments).remote)
    for branch, commit in commits.items():
        say(f"{branch} is now {commit}")
    if not commits:
        say("Nothing has changed.")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"examples: git {error.cmd[3]} failed, see above")
