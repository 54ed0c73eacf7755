"""Generated files: the exact set for every answer, and files that ordinary tools accept."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest

from tests.conftest import APPS, QUESTIONS, STRATEGIES, STRATEGY_DIR, TOOLS, Bake, Project

COMMON = {
    ".devcontainer/devcontainer.json",
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    "LICENSE",
    "Makefile",
    "README.md",
    "deploy/docker-bake.hcl",
    "docs/CHANGELOG.md",
    "docs/building.md",
    "docs/CONTRIBUTING.md",
    "docs/debugging.md",
    "pyproject.toml",
    "requirements.txt",
    "requirements/build-constraints.txt",
    "requirements/build.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
    "setup.py",
    "src/.clang-format",
    "src/acme/__init__.py",
    "src/acme/__main__.py",
    "src/acme/_native.c",
    "src/acme/_native.pyi",
    "src/acme/cli.py",
    "src/acme/py.typed",
    "tests/__init__.py",
    "tests/leaks.py",
    "tests/test_cli.py",
    "tests/test_native.py",
}
KUBERNETES = {
    "deploy/kubernetes/base/deployment.yaml",
    "deploy/kubernetes/base/horizontalpodautoscaler.yaml",
    "deploy/kubernetes/base/kustomization.yaml",
    "deploy/kubernetes/base/networkpolicy.yaml",
    "deploy/kubernetes/base/poddisruptionbudget.yaml",
    "deploy/kubernetes/base/pods.yaml",
    "deploy/kubernetes/base/service.yaml",
    "deploy/kubernetes/overlays/production/kustomization.yaml",
    "deploy/kubernetes/overlays/production/namespace.yaml",
    "deploy/kubernetes/overlays/production/networkpolicy.yaml",
    "deploy/kubernetes/overlays/production/servicemonitor.yaml",
}
BY_APP: dict[str, set[str]] = {
    "service": {
        *("src/acme/api.py", "src/acme/settings.py"),
        *(
            f"src/acme/service/{name}.py"
            for name in ("__init__", "app", "command", "connections", "healthcheck", "logs")
        ),
        *(f"src/acme/service/{name}.py" for name in ("middleware", "problems", "server", "settings")),
        "deploy/compose.dev.yaml",
        "deploy/compose.yaml",
        *KUBERNETES,
        *("docs/deploying.md", "docs/operating.md"),
        *(
            "requirements/contract.txt",
            "tests/contract.py",
            "tests/schemathesis.toml",
            "tests/settings.env",
            "tests/test_api.py",
        ),
        *(f"tests/service/{name}.py" for name in ("__init__", "conftest", "process", "small_app")),
        *(f"tests/service/test_{name}.py" for name in ("app", "logs", "middleware", "problems")),
        *(f"tests/service/test_{name}.py" for name in ("server", "settings", "smuggling")),
    },
    "cli": set(),
}
BY_STRATEGY = {
    name: {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    for name, directory in ((name, STRATEGY_DIR / name) for name in QUESTIONS["strategy"])
}
BY_STRATEGY["all"] |= {f"strategies/{name}/Dockerfile" for name in STRATEGIES}
BY_STRATEGY["all"] |= {name for strategy in STRATEGIES for name in BY_STRATEGY[strategy] - {"Dockerfile"}}
BY_CI: dict[str, set[str]] = {
    "github": {
        ".github/dependabot.yml",
        *(f".github/workflows/{name}.yml" for name in ("ci", "template-update")),
    },
    "gitlab": {".gitlab-ci.yml", "renovate.json"},
    "none": set(),
}
BY_RUNTIME = {"slim": set[str](), "minimal": {"deploy/minimal.py"}}
# Only for command-line tools with a free licence.
PUBLISHED_BY_CI = {
    "github": {".github/workflows/publish.yml"},
    "gitlab": {".gitlab/publish.yml", "requirements/publish.txt"},
    "none": set(),
}
EMPTY_ON_PURPOSE = {"src/acme/py.typed", "tests/__init__.py", "tests/service/__init__.py"}

ALL_ANSWERS = [
    {question: answer} for question, answers in QUESTIONS.items() if isinstance(answers, list) for answer in answers
]
every_answer = pytest.mark.parametrize("answers", ALL_ANSWERS, ids=lambda answers: "-".join(*answers.items()))


# Every strategy with every app, and alternately with each runtime.
COMBINATIONS = [
    (strategy, app, QUESTIONS["runtime"][(i + j) % 2])
    for i, strategy in enumerate(QUESTIONS["strategy"])
    for j, app in enumerate(APPS)
]


@pytest.fixture(scope="module", params=COMBINATIONS, ids="-".join)
def project(request: pytest.FixtureRequest, bake_once: Bake) -> Project:
    """Return a project that the tests only read."""
    strategy, app, runtime = request.param
    return bake_once(project_slug="acme", strategy=strategy, app=app, runtime=runtime)


def test_file_set_is_exact(project: Project) -> None:
    strategy, app, runtime = (project.answers[question] for question in ("strategy", "app", "runtime"))
    published = PUBLISHED_BY_CI["github"] if app == "cli" else set()
    expected = COMMON.union(BY_APP[app], BY_STRATEGY[strategy], BY_RUNTIME[runtime], BY_CI["github"], published)
    assert project.files == expected


@every_answer
def test_file_set_is_exact_for_each_answer(bake: Bake, answers: dict[str, str]) -> None:
    project = bake(project_slug="acme", **answers)
    variants = [(BY_APP, "app"), (BY_STRATEGY, "strategy"), (BY_RUNTIME, "runtime"), (BY_CI, "ci")]
    published = PUBLISHED_BY_CI[project.answers["ci"]] if project.answers["app"] == "cli" else set()
    expected = COMMON.union(published, *(files[project.answers[question]] for files, question in variants))
    assert project.files == expected


@pytest.mark.parametrize("ci", QUESTIONS["ci"])
def test_file_set_is_exact_for_each_ci_of_a_cli(bake: Bake, ci: str) -> None:
    free = bake(project_slug="acme", app="cli", ci=ci).files
    assert free == COMMON.union(BY_APP["cli"], BY_STRATEGY["venv"], BY_CI[ci], PUBLISHED_BY_CI[ci])
    assert bake(project_slug="acme", app="cli", ci=ci, license="Proprietary").files == free - PUBLISHED_BY_CI[ci]


def test_files_are_rendered_and_not_empty(project: Project) -> None:
    for name in project.files - EMPTY_ON_PURPOSE:
        text = project.read(name)
        assert text.strip(), name
        assert "cookiecutter" not in text, name
        # Ignore GitHub's own expressions, ${{ ... }}.
        assert not re.search(r"(?<!\$)\{\{|\{%|\{#", text), name
        assert text.endswith("\n"), name
        assert name.endswith((".py", "LICENSE")) or "\n\n\n" not in text, name


def test_configuration_and_modules_parse(project: Project) -> None:
    metadata = tomllib.loads(project.read("pyproject.toml"))["project"]
    assert metadata["name"] == project.slug
    assert metadata["scripts"] == {project.slug: f"{project.package}.cli:main"}
    for name in project.files:
        if name.endswith(".py"):
            compile(project.read(name), name, "exec")


def test_hadolint_and_shellcheck_pass(project: Project) -> None:
    dockerfiles = [name for name in project.files if name.endswith("Dockerfile")]
    assert dockerfiles
    hadolint = project.run(TOOLS / "hadolint", *dockerfiles)
    assert (hadolint.returncode, hadolint.stdout + hadolint.stderr) == (0, "")
    if scripts := [name for name in project.files if name.endswith(".sh")]:
        shellcheck = project.run(TOOLS / "shellcheck", *scripts)
        assert (shellcheck.returncode, shellcheck.stdout) == (0, "")
    for name in dockerfiles:
        assert "# syntax=" not in project.read(name)


def test_import_fails_without_c_extension(bake: Bake) -> None:
    project = bake()
    result = project.run(sys.executable, "-c", f"import {project.package}", env={"PYTHONPATH": "src"})
    assert result.returncode == 1
    assert "No module named" in result.stderr
    assert "_native" in result.stderr
