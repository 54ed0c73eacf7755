"""The steps under "Make it yours" in a generated README, with another extension: two C sources, a header, a route."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import APPS, Bake, Project, copy_project, weekly_after
from tests.project.test_pre_commit import Hooks, hooks
from tools.engine import Engine

__all__ = ["hooks"]

FILES = Path(__file__).parent / "edit_distance"
NEW = {"src/acme/distance.c", "src/acme/distance.h"}


def files_to_replace(readme: str) -> set[str]:
    """Return the files in the left column of the README's table."""
    rows = re.findall(r"^\| `(src/acme/|tests/)`: (.+?) \|", readme, re.M)
    return {directory + name for directory, names in rows for name in re.findall(r"`(\w+\.\w+)`", names)}


def copy_files(project: Project) -> set[str]:
    """Copy the files of the edit distance into a project, and return their names."""
    copied_files = set()
    for directory in (FILES / "common", FILES / project.answers["app"]):
        shutil.copytree(directory, project.path, dirs_exist_ok=True)
        copied_files |= {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}
    return copied_files


@pytest.fixture(scope="module", params=APPS)
def project(request: pytest.FixtureRequest, bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project in which the sample is replaced."""
    project = copy_project(bake_once(project_slug="acme", app=request.param), tmp_path_factory.mktemp("yours"))
    replaced = copy_files(project) - NEW
    # These files contain no sample code.
    empty = {"src/acme/settings.py", "tests/schemathesis.toml", "tests/settings.env"}
    assert replaced | empty >= files_to_replace(project.read("README.md"))
    assert len(replaced) <= 8
    return project


def run(project: Project, *command: str | Path, **environment: str) -> str:
    result = project.run(*command, env={**os.environ, "PYTEST_ADDOPTS": "-p no:cacheprovider", **environment})
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


def test_skeleton_does_not_mention_the_sample(project: Project) -> None:
    texts = [name for name in project.files if not name.startswith((".venv", "requirements", "build"))]
    sample = [name for name in texts if not name.endswith((".so", ".pyc")) and "crc32c" in project.read(name).lower()]
    assert sample == []


# `make coverage` also runs the tests.
@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("target", weekly_after(4, ["types", "asan", "leaks", "coverage", "test"]))
def test_make_target_passes(project: Project, target: str) -> None:
    run(project, "make", target)


CREDENTIALS = """
from typing import Annotated

from fastapi import Header, HTTPException


@app.get("/protected")
def get_protected(authorization: Annotated[str, Header()] = "") -> str:
    if authorization != f"Bearer {app.settings.api_token.get_secret_value()}":
        raise HTTPException(401, "The token is wrong.")
    return "welcome"


# A field whose type is not text.
class Numbers(BaseModel):
    whole: int = Field(ge=0, le=255)
    ratio: float = 1
    enabled: bool = False


@app.post("/numbers")
def create_numbers(numbers: Numbers) -> Numbers:
    return numbers
"""


@pytest.fixture(scope="module")
def protected_project(bake_once: Bake, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a service with a required secret setting, a route that needs it, and a route with numbers."""
    project = copy_project(bake_once(project_slug="acme", app="service"), tmp_path_factory.mktemp("protected"))
    project.edit("src/acme/settings.py", "from .service", "from pydantic import SecretStr\n\nfrom .service")
    project.edit("src/acme/settings.py", '    """\n', '    """\n\n    api_token: SecretStr\n')
    with (project.path / "src/acme/api.py").open("a", encoding="utf-8") as file:
        file.write(CREDENTIALS)
    with (project.path / "tests/settings.env").open("a", encoding="utf-8") as file:
        file.write("ACME_API_TOKEN=only-for-tests\n")
    return project


@pytest.mark.usefixtures("index")
def test_required_setting_passes_tests_and_type_check(protected_project: Project) -> None:
    run(protected_project, "make", "types")
    run(protected_project, "make", "test", "ARGS=tests/test_api.py -k checksum")


@pytest.mark.usefixtures("index")
def test_contract_fails_until_it_has_the_credentials(protected_project: Project) -> None:
    result = protected_project.run("make", "contract")
    assert "1 operation returned only 401/403 responses" in result.stdout
    assert result.returncode != 0
    headers = 'headers = { Authorization = "Bearer ${ACME_API_TOKEN}" }'
    protected_project.edit("tests/schemathesis.toml", f"# {headers}", headers)
    run(protected_project, "make", "contract")


def test_smoke_test_passes_with_a_required_setting(protected_project: Project, engine: Engine, base_image: Any) -> None:
    base_image(protected_project.answers["python_version"])
    environment = dict(engine.environment)
    engine.docker("build", "--tag", "acme-protected", str(protected_project.path))
    run(protected_project, "make", "smoke", "IMAGE=acme-protected", **environment)
    protected_project.edit("tests/settings.env", "ACME_API_TOKEN=", "# ACME_API_TOKEN=")
    result = protected_project.run("make", "smoke", "IMAGE=acme-protected", env={**os.environ, **environment})
    protected_project.edit("tests/settings.env", "# ACME_API_TOKEN=", "ACME_API_TOKEN=")
    engine.docker("image", "rm", "acme-protected")
    assert result.returncode != 0
    assert "ACME_API_TOKEN: is required, as a variable or a file in /run/secrets" in result.stdout + result.stderr


def test_lint_passes(project: Project, hooks: Hooks, tmp_path: Path) -> None:
    clean = Project(
        shutil.copytree(project.path, tmp_path / "acme", ignore=shutil.ignore_patterns(".venv", "build")),
        project.answers,
    )
    result = hooks(clean)
    assert result.returncode == 0, result.stdout


def test_image_and_test_image_are_built(project: Project, engine: Engine, base_image: Any) -> None:
    base_image(project.answers["python_version"])
    environment = dict(engine.environment)
    run(project, "make", "image", **environment)
    run(project, "make", "test-image", **environment)
    printed = engine.docker("run", "--rm", "acme", "acme", "distance", "kitten", "sitting").stdout
    engine.docker("image", "rm", "acme")
    assert printed == "3\n"


# Steps of the README's rows for a header outside `src`, as it quotes them.
INCLUDE_DIRS, IGNORED, COPY, COPY_ABOVE = (
    'include_dirs=["include"]',
    "!include",
    "COPY include /src/include",
    "COPY src /src/src",
)
# Steps of docs/building.md for a version in a file.
VERSION_FILE = 'version = { file = "VERSION" }'
VERSION = "__version__ = version(__name__)"
IMPORT_VERSION = "from importlib.metadata import version"
HEADER = """
#ifdef __cplusplus
extern "C"
#endif
unsigned offset(void);
"""
SOURCE = """
#include "offset.h"
unsigned offset(void) { return 1u; }
"""
USE = """
from importlib.resources import files

import acme


def test_additions_are_used() -> None:
    assert acme.__version__ == "1.2.3"
    assert acme.crc32c(b"123456789") == int((files("acme") / "tables/check.txt").read_text(), 16)
"""


def apply_addition_steps(project: Project) -> None:
    """Follow the README's rows for a header outside `src` and for C++, read the version from a file, and add data."""
    readme, building = project.read("README.md"), project.read("docs/building.md")
    assert all(f"`{step}`" in readme for step in (INCLUDE_DIRS, IGNORED, COPY, COPY_ABOVE, "depends", "g++"))
    assert all(f"`{step}`" in building for step in (VERSION_FILE, VERSION, IMPORT_VERSION))
    for name, text in {
        "include/offset.h": HEADER,
        "src/acme/deep/er/offset.cpp": SOURCE,
        "src/acme/tables/check.txt": "e3069284\n",
        "VERSION": "1.2.3\n",
        "tests/test_data.py": USE,
    }.items():
        (project.path / name).parent.mkdir(parents=True, exist_ok=True)
        (project.path / name).write_text(text, "utf-8")
    project.edit("src/acme/_native.c", "#include <Python.h>\n", '#include <Python.h>\n#include "offset.h"\n')
    project.edit("src/acme/_native.c", "return ~crc;", "return ~crc + offset();")
    project.edit("setup.py", "    depends=[", f'    {INCLUDE_DIRS},\n    depends=["include/offset.h"] + [')
    project.edit("pyproject.toml", 'version = { attr = "acme.__version__" }', VERSION_FILE)
    project.edit("src/acme/__init__.py", '__version__ = "0.1.0"', VERSION)
    project.edit("src/acme/__init__.py", "from ._native", f"{IMPORT_VERSION}\n\nfrom ._native")
    project.edit(".dockerignore", "!src\n", f"!src\n{IGNORED}\n")
    dockerfiles = [name for name in project.files if name.endswith("Dockerfile") and COPY_ABOVE in project.read(name)]
    assert dockerfiles
    for name in dockerfiles:
        project.edit(name, f"{COPY_ABOVE}\n", f"{COPY_ABOVE}\n{COPY}\n")
        project.edit(name, " gcc ", " gcc g++ ")


@pytest.mark.usefixtures("index")
def test_additions_are_in_sdist_and_wheel(bake: Bake) -> None:
    project = bake(project_slug="acme", app="cli")
    apply_addition_steps(project)
    run(project, "make", "test", PYTEST_ADDOPTS="-p no:cacheprovider -k test_additions")
    # This builds the wheel from the sdist.
    run(project, ".venv/bin/uv", "build", "--quiet", "--no-build-isolation")
    (wheel,) = (project.path / "dist").glob("*.whl")
    run(project, ".venv/bin/uv", "pip", "install", "--quiet", "--no-deps", "--target=installed", wheel)
    shutil.rmtree(project.path / "src")
    run(project, ".venv/bin/python", "-m", "pytest", "tests/test_data.py", PYTHONPATH="installed")


def test_additions_are_in_the_image_of_each_strategy(bake: Bake, engine: Engine, base_image: Any) -> None:
    project = bake(project_slug="acme", app="cli", strategy="all")
    base_image(project.answers["python_version"])
    apply_addition_steps(project)
    run(project, "make", "test-image", "ARGS=-k test_additions", **engine.environment)
