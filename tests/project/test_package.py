"""The package of a project: the contents of wheel and sdist, and the compilers that accept the source."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import APPS, QUESTIONS, TEMPLATE, TOOLS, Bake, Project, copy_project
from tests.project.test_ci import matrix_of
from tools.engine import Engine

UV_BUILD = (sys.executable, "-m", "uv", "build", "--build-constraint", "requirements/build.txt", "--require-hashes")
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wvla",
    "-Wconversion",
    "-Wsign-conversion",
    "-Werror",
]
LIMITED_API = "-DPy_LIMITED_API=0x030C0000"


def build_distribution(project: Project, *what: str) -> Path:
    """Build a wheel or an sdist, and return its path."""
    directory = project.path / "dist"
    result = project.run(*UV_BUILD, *what, "--out-dir", directory)
    assert result.returncode == 0, result.stderr
    (path,) = (path for path in directory.iterdir() if path.suffix in (".whl", ".gz"))
    return path


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("app", APPS)
def test_wheel_contains_modules_but_no_c_source(bake: Bake, app: str) -> None:
    project = bake(project_slug="acme", app=app)
    with zipfile.ZipFile(build_distribution(project, "--wheel")) as wheel:
        names = {name for name in wheel.namelist() if name.startswith("acme/")}
        extension = next(name for name in names if name.endswith(".so"))
        sources = {name.removeprefix("src/") for name in project.files if name.startswith("src/acme/")}
        assert names == sources - {"acme/_native.c"} | {extension}
        assert "acme-0.1.0.dist-info/licenses/LICENSE" in wheel.namelist()


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("app", APPS)
def test_sdist_contains_all_build_inputs(bake: Bake, app: str) -> None:
    project = bake(project_slug="acme", app=app)
    sdist = build_distribution(project, "--sdist")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(project.path / "unpacked", filter="data")
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py", "src/acme/_native.c"} <= names
    assert not {name for name in names if name.endswith((".so", ".pyc")) or name.startswith("tests")}
    unpacked = Project(project.path / "unpacked/acme-0.1.0", project.answers)
    build = unpacked.run(sys.executable, "-m", "uv", "build", "--wheel", "--out-dir", "dist")
    assert build.returncode == 0, build.stderr


@pytest.mark.parametrize("license_name", QUESTIONS["license"])
def test_classifiers_name_the_tested_pythons(bake_once: Bake, license_name: str) -> None:
    project = bake_once(ci="github", app="cli", license=license_name)
    classifiers = tomllib.loads(project.read("pyproject.toml"))["project"]["classifiers"]
    tested = {version for version, _ in matrix_of(project)}
    versions = {text.rpartition(" ")[2] for text in classifiers if re.search(r" :: Python :: 3\.\d+$", text)}
    assert versions == {version for version in tested if not version.endswith("t")}
    assert any(" :: Free Threading :: " in text for text in classifiers) == any(text.endswith("t") for text in tested)
    assert "Typing :: Typed" in classifiers
    assert ("Private :: Do Not Upload" in classifiers) == (license_name == "Proprietary")
    # PEP 639: the expression in `license` replaces these.
    assert not [text for text in classifiers if text.startswith("License ::")]


@pytest.mark.parametrize("app", APPS)
def test_pyroma_rates_ten_of_ten(bake: Bake, app: str) -> None:
    project = bake(app=app)
    # Only its author knows where the project is hosted.
    urls = '[project.urls]\nRepository = "https://example.com/repository"\n\n[project.scripts]'
    project.edit("pyproject.toml", "[project.scripts]", urls)
    result = project.run(TOOLS / "pyroma", ".")
    assert "\nFinal rating: 10/10\n" in result.stdout, result.stdout


@pytest.mark.parametrize("app", APPS)
def test_repo_review_finds_only_the_declined_checks(bake_once: Bake, app: str) -> None:
    # With another CI service, the checks for GitHub and pre-commit.ci would not apply.
    result = bake_once(app=app, ci="github").run(TOOLS / "repo-review", "--format=json", ".")
    failed = {name for name, check in json.loads(result.stdout)["checks"].items() if check["result"] is False}
    declined = set(re.findall(r"^\| `([A-Z]+\d+)` \|", (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE))
    assert failed == declined


@pytest.fixture(scope="module", params=APPS)
def installed_project(
    request: pytest.FixtureRequest, bake_once: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return a project with its virtualenv."""
    project = copy_project(bake_once(app=request.param), tmp_path_factory.mktemp("installed"))
    result = project.run("make", "dev")
    assert result.returncode == 0, result.stderr
    return project


@pytest.mark.usefixtures("index")
def test_basedpyright_finds_nothing(installed_project: Project) -> None:
    settings = {"include": ["src", "setup.py"], "typeCheckingMode": "standard", "venvPath": ".", "venv": ".venv"}
    (installed_project.path / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    result = installed_project.run(TOOLS / "basedpyright")
    assert result.returncode == 0, result.stdout
    assert "0 errors, 0 warnings" in result.stdout


@pytest.mark.usefixtures("index")
def test_deptry_finds_nothing(installed_project: Project) -> None:
    result = installed_project.run(TOOLS / "deptry", "src")
    assert result.returncode == 0, result.stderr


def test_deprecated_package_attribute_is_not_used(bake_once: Bake) -> None:
    for app in APPS:
        project = bake_once(app=app, strategy="all")
        assert [name for name in project.files if "__package__" in project.read(name)] == []


def test_setup_py_is_short(bake: Bake) -> None:
    assert len(bake().read("setup.py").splitlines()) <= 30


@pytest.mark.usefixtures("index")
def test_missing_compiler_fails_the_build(bake: Bake) -> None:
    project = bake(app="cli")
    result = project.run(*UV_BUILD, "--wheel", env={**os.environ, "CC": "no-such-compiler"})
    assert result.returncode != 0
    assert "no-such-compiler" in result.stderr
    assert not list(project.path.glob("dist/*.whl"))


def test_local_gcc_does_not_warn(bake: Bake) -> None:
    project = bake()
    include = subprocess.run(
        [sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('include'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    result = project.run("gcc", *WARNINGS, f"-I{include}", "-fsyntax-only", f"src/{project.package}/_native.c")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.fixture(scope="module")
def compilers(engine: Engine, base_image: Callable[[str], str]) -> str:
    """Return the tag of an image with gcc and clang."""
    dockerfile = (
        f"FROM {base_image(QUESTIONS['python_version'][0])}\n"
        "RUN apt-get update && apt-get install -y --no-install-recommends clang gcc libc6-dev\n"
    )
    engine.docker("build", "--tag", "test-compilers", "-", input=dockerfile)
    return "test-compilers"


@pytest.fixture(scope="module")
def headers(engine: Engine, base_image: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the C headers of each Python version from its base image into a directory."""
    directory = tmp_path_factory.mktemp("headers")
    for version in QUESTIONS["python_version"]:
        (directory / version).mkdir()
        copy = "find /usr/include /usr/local/include -path '*/python*' -type f | tar -cf - -T - "
        archive = subprocess.run(
            ["docker", "run", "--rm", "--network=none", base_image(version), "sh", "-c", copy],
            env=engine.environment,
            check=True,
            capture_output=True,
        ).stdout
        subprocess.run(["tar", "-xf", "-", "-C", directory / version], input=archive, check=True)
    directory.chmod(0o755)
    return directory


# Python 3.12's limited API requires Python 3.12.
APIS = [(version, "full") for version in QUESTIONS["python_version"]]
APIS += [(version, "limited") for version in QUESTIONS["python_version"] if version != "3.11"]


@pytest.mark.parametrize(("version", "api"), APIS, ids=["-".join(pair) for pair in APIS])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compilers_do_not_warn(
    bake_once: Bake, engine: Engine, compilers: str, headers: Path, compiler: str, version: str, api: str
) -> None:
    source = bake_once().path / "src/checksum_service"
    mounts = (f"--volume={source}:/source:ro", f"--volume={headers / version}:/headers:ro")
    includes = [
        f"-I/headers/{place}"
        for place in (f"usr/local/include/python{version}", f"usr/include/python{version}", "usr/include")
    ]
    define = [LIMITED_API] if api == "limited" else []
    command = [compiler, "-O2", *WARNINGS, *define, *includes, "-c", "/source/_native.c", "-o", "/dev/null"]
    assert engine.docker("run", "--rm", "--network=none", *mounts, compilers, *command).stderr == ""
