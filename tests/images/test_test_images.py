"""The test-image target: it runs the generated tests on every strategy and Python version."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.conftest import APPS, CHECKSUM, DIGITS, QUESTIONS, STRATEGIES, Bake, Build, Image, copy_project, weekly_after
from tests.images.test_images import layers
from tools.engine import DockerError

VERSIONS = QUESTIONS["python_version"]
SERVICE, CLI = APPS
SLIM, MINIMAL = QUESTIONS["runtime"]
# Each strategy and each Python version once, alternately with each runtime. Only the first combination is a service,
# because its tests take a minute or more.
FIRST = [
    (
        STRATEGIES[number % len(STRATEGIES)],
        VERSIONS[number % len(VERSIONS)],
        CLI if number else SERVICE,
        MINIMAL if number % 2 else SLIM,
    )
    for number in range(max(len(STRATEGIES), len(VERSIONS)))
]
# The same with the other app and the other runtime.
OTHER = {SERVICE: CLI, CLI: SERVICE, SLIM: MINIMAL, MINIMAL: SLIM}
OTHERS = [(strategy, version, OTHER[app], OTHER[runtime]) for strategy, version, app, runtime in FIRST]


@pytest.mark.parametrize("combination", weekly_after(len(FIRST), FIRST + OTHERS), ids="-".join)
def test_generated_tests_pass_in_test_image(bake_once: Bake, build: Build, combination: tuple[str, ...]) -> None:
    strategy, version, app, runtime = combination
    answers = {"strategy": strategy, "python_version": version, "app": app, "runtime": runtime}
    image = build(bake_once(project_slug="acme-sums", **answers))
    assert image.run("python", "--version").stdout.startswith(f"Python {version}.")
    assert image.run("acme-sums", "crc32c", input=DIGITS).stdout == f"{CHECKSUM}  -\n"
    log = image.engine.docker("build", "--progress=plain", "--target=test-image", str(image.project.path)).stderr
    assert re.search(r"RUN .*python.* -m.* pytest", log.replace('", "', " "))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_failing_test_fails_only_the_test_image(bake_once: Bake, build: Build, tmp_path: Any, strategy: str) -> None:
    image = build(bake_once(project_slug="acme-sums", strategy=strategy, app="cli"))
    project = copy_project(image.project, tmp_path)
    project.edit("tests/test_native.py", "0xE3069283", "0xE3069284")
    with pytest.raises(DockerError, match="test_known_values"):
        image.engine.docker("build", "--target=test-image", str(project.path))
    tag = f"{image.tag}-tests"
    image.engine.docker("build", "--tag", tag, str(project.path))
    assert layers(Image(image.engine, tag, project, image.base)) == layers(image)
