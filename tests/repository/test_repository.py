"""The template's repository: hooks, lock files, workflow, issue forms, and documents."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.conftest import QUESTIONS, TEMPLATE, TOOLS, Bake, Project
from tests.project.test_ci import SOURCES, WORKFLOW, actionlint, jobs_of, scripts_of
from tools.locks import APPS, compile_group, compile_runtime, compile_source, group_locks, sources

# This repository as a project, so that the functions that test generated pipelines can check its workflow.
REPOSITORY = Project(TEMPLATE, {"ci": "github"})
SCHEMAS = [
    (WORKFLOW, "vendor.github-workflows"),
    (WORKFLOW, "custom.github-workflows-require-timeout"),
    (".github/dependabot.yml", "vendor.dependabot"),
    (".github/ISSUE_TEMPLATE/bug.yml", "vendor.github-issue-forms"),
    (".github/ISSUE_TEMPLATE/idea.yml", "vendor.github-issue-forms"),
    (".github/ISSUE_TEMPLATE/config.yml", "vendor.github-issue-config"),
]


# Each fault: the hook that detects it, its output, and the text of a document.
FAULTS = [
    ("codespell", "README.md:3: t", "t" + "eh end"),  # split, so that codespell does not "fix" it here
    ("rumdl", "[MD013]", "word " * 25 + "end"),
    ("rumdl", "[MD051]", "[a page](page.md#missing)"),
    ("rumdl", "[MD056]", "| a | b |\n| - | - |\n| c |"),
    ("rumdl", "[MD057]", "[a page](missing.md)"),
]


@pytest.mark.usefixtures("index")
def test_pre_commit_hooks_pass() -> None:
    result = subprocess.run(
        [TOOLS / "pre-commit", "run", "--all-files", "--show-diff-on-failure", "--color=never"],
        cwd=TEMPLATE,
        env={**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(("hook", "finding", "text"), FAULTS)
def test_hook_detects_fault_in_document(tmp_path: Path, hook: str, finding: str, text: str) -> None:
    for name in (".pre-commit-config.yaml", "pyproject.toml"):
        shutil.copy(TEMPLATE / name, tmp_path)
    (tmp_path / "README.md").write_text(f"# Acme\n\n{text}\n", "utf-8")
    (tmp_path / "page.md").write_text("# Page\n", "utf-8")
    for command in (["git", "init"], ["git", "add", "."]):
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    result = Project(tmp_path, {}).run(TOOLS / "pre-commit", "run", "--all-files", "--color=never", hook)
    assert result.returncode == 1, result.stdout + result.stderr
    assert finding in result.stdout


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("source", sources(), ids=lambda path: path.relative_to(TEMPLATE).as_posix())
def test_lock_file_matches_its_source(source: Path, tmp_path: Path) -> None:
    for path in (source, source.with_suffix(".txt")):
        shutil.copy(path, tmp_path)
    compile_source(tmp_path / source.name)
    lock = source.with_suffix(".txt")
    assert pins(tmp_path / lock.name) == pins(lock)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("app", APPS)
def test_runtime_lock_matches_pyproject(bake: Bake, app: str) -> None:
    project = bake(app=app)
    before = pins(project.path / "requirements.txt")
    compile_runtime(project.path)
    assert pins(project.path / "requirements.txt") == before


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("group", group_locks())
def test_group_lock_matches_pyproject(bake: Bake, group: str) -> None:
    answers = {"app": "cli", "ci": "gitlab"} if group == "publish" else {}
    project = bake(strategy="all", **answers)
    lock = project.path / f"requirements/{group}.txt"
    before = pins(lock)
    compile_group(project.path, group)
    assert pins(lock) == before


@pytest.mark.parametrize("strategy", QUESTIONS["strategy"])
def test_each_group_has_a_lock_file(bake: Bake, strategy: str) -> None:
    project = bake(strategy=strategy)
    groups = tomllib.loads(project.read("pyproject.toml"))["dependency-groups"]
    assert {*groups} == {path.stem for path in (project.path / "requirements").iterdir()}


def test_group_locks_use_versions_of_runtime_lock(bake: Bake) -> None:
    project = bake(strategy="all")
    runtime = versions(project.path / "requirements.txt")
    assert runtime
    for path in (project.path / "requirements").iterdir():
        assert {item for item in versions(path).items() if item[0] in runtime} <= runtime.items(), path.name


def versions(lock: Path) -> dict[str, str]:
    """Return the version of each distribution in a lock file."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))


def pins(lock: Path) -> list[str]:
    """Return the lines of a lock file without hashes, because wheels may be added to a version at any time."""
    lines = lock.read_text("utf-8").splitlines()
    return [line.rstrip(" \\") for line in lines if "--hash=" not in line]


def test_editorconfig_keeps_tabs_in_makefiles() -> None:
    sections = ConfigParser()
    sections.read_string(f"[global]\n{(TEMPLATE / '.editorconfig').read_text('utf-8')}")
    assert sections["Makefile"]["indent_style"] == "tab"


def test_paths_are_valid_on_windows() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TEMPLATE, check=True, capture_output=True, text=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        assert not re.search(r'[<>:"|?*\\]|[. ]($|/)', name), name
        assert not re.search(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", name, re.IGNORECASE), name


@pytest.mark.parametrize(("name", "schema"), SCHEMAS)
def test_github_files_match_published_schemas(name: str, schema: str) -> None:
    check = REPOSITORY.run(TOOLS / "check-jsonschema", "--builtin-schema", schema, name)
    assert check.returncode == 0, check.stdout


def test_every_github_file_has_a_schema() -> None:
    found = {path.relative_to(TEMPLATE).as_posix() for path in (TEMPLATE / ".github").rglob("*") if path.is_file()}
    assert found == {name for name, _ in SCHEMAS}


def test_workflow_passes_zizmor() -> None:
    zizmor = REPOSITORY.run(TOOLS / "zizmor", "--offline", "--no-progress", "--color=never", ".github")
    assert "No findings to report" in zizmor.stdout, zizmor.stdout


@pytest.mark.usefixtures("index")
def test_workflow_passes_actionlint(tmp_path: Path) -> None:
    lint = actionlint(REPOSITORY.read(WORKFLOW), tmp_path)
    assert lint.returncode == 0, lint.stdout


def test_workflow_scripts_pass_shellcheck() -> None:
    scripts = scripts_of(REPOSITORY)
    assert any(len(script.splitlines()) > 1 for script in scripts.values())
    for name, script in scripts.items():
        assert "${{" not in script, "an expression in a script allows command injection"
        check = REPOSITORY.run(TOOLS / "shellcheck", "--shell=bash", "-", input=f"{script}\n")
        assert check.returncode == 0, f"{name}: {check.stdout}"


def test_workflow_uses_the_actions_of_generated_workflows() -> None:
    shipped, own = (
        set(re.findall(r"uses: *(.*)", text))
        for text in ((SOURCES / "github" / WORKFLOW).read_text("utf-8"), REPOSITORY.read(WORKFLOW))
    )
    # Only the template publishes a site.
    pages = {action for action in own if re.match(r"actions/(upload|deploy)-pages\b.*@[0-9a-f]{40} # v[\d.]+$", action)}
    assert len(pages) == 2
    assert own - pages
    assert own - pages <= shipped


def test_only_publishing_jobs_have_write_permission() -> None:
    jobs = jobs_of(REPOSITORY)
    assert re.search(r"^permissions: \{\}$", REPOSITORY.read(WORKFLOW), re.MULTILINE)
    writing = {name: job for name, job in jobs.items() if "write" in job["permissions"].values()}
    permissions = {"contents": "write"}
    assert {name: job["permissions"] for name, job in writing.items()} == {
        "examples": permissions,
        "release": permissions,
        "pages": {"pages": "write", "id-token": "write"},
    }
    every_push = [name for name, job in jobs.items() if name not in writing and "schedule" not in job.get("if", "")]
    for job in writing.values():
        assert job["needs"] == every_push
        assert job["if"].startswith("github.event_name == 'push' && ")
    checkouts = [step for job in jobs.values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    # The job that publishes the site only reads the artifact of the job that builds it.
    assert len(checkouts) == len(jobs.keys() - {"pages"})
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_workflow_runs_the_documented_commands() -> None:
    steps = [(step.get("run"), step.get("env")) for job in jobs_of(REPOSITORY).values() for step in job["steps"]]
    for target in ("test", "weekly"):
        assert (f"make {target}", {"REQUIRE_ENGINE": "1"}) in steps
    scripts = "\n".join(script for script, _ in steps if script)
    contributing = (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8")
    for command in ("tools.examples", "tools.release", "tools.site"):
        assert re.search(rf"-m {command}\b", scripts)
        assert re.search(rf"-m {command}\b", contributing)


def test_workflow_tests_every_supported_python() -> None:
    (matrix,) = (job["strategy"]["matrix"] for job in jobs_of(REPOSITORY).values() if "strategy" in job)
    # Python 3.15 is only used in images, because PyYAML, which the tests need, has no wheel for it yet.
    assert {*matrix["python"]} == {*QUESTIONS["python_version"]} - {"3.15"}


def test_pictures_in_html_exist() -> None:
    for document in sorted([*TEMPLATE.glob("*.md"), *(TEMPLATE / "docs").glob("*.md")]):
        for target in re.findall(r'src(?:set)?="([^"]+)"', document.read_text("utf-8")):
            assert (document.parent / unquote(target)).exists(), f"{document.name}: {target}"
