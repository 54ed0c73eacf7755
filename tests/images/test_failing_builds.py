"""Builds that must fail, so that no broken image is published."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.conftest import STRATEGIES, Bake, Build, copy_project, weekly_after
from tools.compare import COMPILED
from tools.engine import DockerError
from tools.locks import compile_runtime


# The first strategy installs with uv, the others with pip.
@pytest.mark.parametrize("strategy", weekly_after(2, STRATEGIES))
def test_unloadable_dependency_fails_the_build(bake_once: Bake, build: Build, tmp_path: Any, strategy: str) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy=strategy, app="cli"))
    project = copy_project(image.project, tmp_path)
    # COMPILED has no wheel, and its extension module is linked with a library that runtime-image does not contain.
    project.edit("pyproject.toml", "dependencies = [", f'dependencies = ["{COMPILED}",')
    compile_runtime(project.path)
    library = "USER 0\nRUN echo 'int f(void) { return 1; }' | gcc -shared -xc - -o /usr/lib/libmissing.so\n"
    project.edit("Dockerfile", "# Put ccache before", f"{library}# Put ccache before")
    project.edit("Dockerfile", "LDFLAGS=-Wl,--strip-all", "LDFLAGS='-Wl,--no-as-needed -lmissing'")
    # Another project of this name may have compiled it without the library.
    project.edit("Dockerfile", "id=acme-sums-", f"id={time.time_ns()}-")
    with pytest.raises(DockerError, match=r"libmissing\.so: cannot open shared object file"):
        image.engine.docker("build", str(project.path))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_broken_extension_fails_the_build(bake_once: Bake, build: Build, tmp_path: Any, strategy: str) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy=strategy, app="cli"))
    project = copy_project(image.project, tmp_path)
    # The extension compiles and links; only loading it shows that a function is undefined.
    project.edit(
        "src/acme_sums/_native.c",
        "static int\nnative_exec(PyObject *module)\n{",
        (
            "extern void not_defined_anywhere(void);\n"
            "static int\nnative_exec(PyObject *module)\n{\n    not_defined_anywhere();"
        ),
    )
    with pytest.raises(DockerError, match="undefined symbol: not_defined_anywhere"):
        image.engine.docker("build", "--tag", f"{image.tag}-broken", str(project.path))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_wrong_hash_fails_the_build(bake_once: Bake, build: Build, tmp_path: Any, strategy: str) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy=strategy, app="service"))
    project = copy_project(image.project, tmp_path)
    lock = project.read("requirements.txt")
    (project.path / "requirements.txt").write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock), "utf-8")
    with pytest.raises(DockerError, match=r"(?i)hash"):
        image.engine.docker("build", str(project.path))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unlocked_dependency_fails_the_build(bake_once: Bake, build: Build, tmp_path: Any, strategy: str) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy=strategy, app="cli"))
    project = copy_project(image.project, tmp_path)
    project.edit("pyproject.toml", "dependencies = []", 'dependencies = ["six"]')
    project.edit("src/acme_sums/cli.py", "import os\n", "import os\n\nimport six  # noqa: F401\n")
    with pytest.raises(DockerError, match="six"):
        image.engine.docker("build", str(project.path))
