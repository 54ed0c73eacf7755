"""The list of outdated pins: complete, and compared with real git repositories and a package index."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import git
from tests.conftest import TEMPLATE
from tests.project import hook_repositories
from tools.outdated import find_pins

SHA = "0" * 40
HOOK = "repos:\n  - repo: https://github.com/acme/hook\n    rev: {}\n"
ACTION = f"steps:\n  - uses: acme/action/sub@{SHA} # {{}}\n"
TOOL = "steps:\n  - run: pipx install acme-tool=={}\n"
IMAGE = f"steps:\n  - uses: docker://acme/action:{{}}@sha256:{SHA}\n"
FROZEN = f"repos:\n  - repo: https://github.com/acme/hook\n    rev: {SHA}  # frozen: {{}}\n"


def test_all_pins_of_the_template_are_found() -> None:
    pins = find_pins(TEMPLATE)
    generated = {pin.name for pin in pins if pin.file.startswith("{{")}
    assert hook_repositories.FAKES.keys() | {"actions/checkout", "docker/bake-action", "cruft"} <= generated
    assert {"anchore/grype", "pypa/cibuildwheel"} <= generated
    for file in {pin.file for pin in pins}:
        text = (TEMPLATE / file).read_text("utf-8")
        used = re.findall(r"uses: +(?:docker://)?([\w.-]+/[\w.-]+)|repo: https://github\.com/(\S+)", text)
        assert {"".join(names) for names in used} <= {pin.name for pin in pins if pin.file == file}, file


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Provide two repositories and a package index, in which the newest version is 1.10.0."""
    for name in ("hook", "action"):
        repository = tmp_path / "github/acme" / name
        repository.mkdir(parents=True)
        git(repository, "init", "--quiet")
        git(repository, "commit", "--quiet", "--allow-empty", "--message=first")
        for version in ("v1.9.0", "v1.10.0", "v2", "v2.0.0rc1"):
            git(repository, "tag", version)
    index = tmp_path / "index/acme-tool"
    index.mkdir(parents=True)
    files = (f"acme_tool-{version}-py3-none-any.whl" for version in ("1.9.0", "1.10.0", "2.0.0rc1"))
    index.joinpath("index.html").write_text("".join(f'<a href="{name}">{name}</a>' for name in files), "utf-8")
    environment = hook_repositories.redirection(tmp_path / "github")
    return {**environment, "PIP_INDEX_URL": index.parent.as_uri(), "PIP_CONFIG_FILE": os.devnull}


def outdated(directory: Path, files: dict[str, str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command in a repository with these files."""
    repository = directory / "repository"
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    command = [sys.executable, "-m", "tools.outdated"]
    environment = {**environment, "PYTHONPATH": str(TEMPLATE)}
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)


CASES = {
    "hook": (".pre-commit-config.yaml", HOOK, "acme/hook v1.9.0, newest: v1.10.0", "v"),
    "action": ("generated/.github/workflows/ci.yml", ACTION, "acme/action v1.9.0, newest: v1.10.0", "v"),
    "tool": (".github/workflows/update.yml", TOOL, "acme-tool 1.9.0, newest: 1.10.0", ""),
    "frozen hook": (".pre-commit-config.yaml", FROZEN, "acme/hook v1.9.0, newest: v1.10.0", "v"),
    "image": (".github/workflows/ci.yml", IMAGE, "acme/action v1.9.0, newest: v1.10.0", "v"),
}


@pytest.mark.parametrize("case", CASES)
def test_old_version_is_listed(tmp_path: Path, environment: dict[str, str], case: str) -> None:
    file, text, line, prefix = CASES[case]
    old = outdated(tmp_path, {file: text.format(f"{prefix}1.9.0")}, environment)
    assert (old.returncode, old.stdout, old.stderr) == (1, f"{file}: {line}\n", "")
    new = outdated(tmp_path, {file: text.format(f"{prefix}1.10.0")}, environment)
    assert (new.returncode, new.stdout, new.stderr) == (0, "", "")


@pytest.mark.parametrize("text", [HOOK.replace("hook", "missing"), TOOL.replace("acme-tool", "acme-missing")])
def test_unknown_name_is_an_error(tmp_path: Path, environment: dict[str, str], text: str) -> None:
    result = outdated(tmp_path, {"hooks.yml": text.format("v1.9.0" if "repo" in text else "1.9.0")}, environment)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("outdated: ")
    assert "missing" in result.stderr
    assert result.stderr.count("\n") == 1
