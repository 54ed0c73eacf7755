"""`make pictures`: what is drawn of the stages is what the images hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import STRATEGIES, Bake, Build
from tests.engine import Engine
from tests.pictures import ARTIFACTS, BASE, RUNTIME
from tests.stages import (
    HELLO,
    PICTURES,
    STAGES,
    architecture,
    content,
    crossings_of,
    first_lesson,
    render,
    size_of,
    stages_of,
)

COMMITTED = json.loads(STAGES.read_text("utf-8"))
DRAWN = sorted(PICTURES.iterdir())
SVG = "{http://www.w3.org/2000/svg}"
# Debian and the requirements change now and then, and the base image may be the official one or a stand-in.
CLOSE, CLOSE_TO_THE_BASE = 0.05, 0.2


@pytest.fixture(scope="module")
def fresh(bake_once: Bake, build: Build) -> Iterator[tuple[Engine, dict[str, Any]]]:
    """Look into the stages of the recommended strategy, whose image other tests build, too."""
    image = build(bake_once(project_slug="acme-sums", strategy="venv", app="service"))
    repository = f"test-{os.getpid()}-stages"

    def stage(name: str) -> str:
        image.engine.docker("build", "--target", name, "--tag", f"{repository}:{name}", str(image.project.path))
        return f"{repository}:{name}"

    with pytest.MonkeyPatch.context() as patch:
        # lesson.py finds the engine as a person's shell does.
        for name, value in image.engine.environment.items():
            patch.setenv(name, value)
        yield image.engine, content(image.project.read("Dockerfile"), stage, size_of(image.base))
    tags = image.engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.split()
    image.engine.docker("image", "rm", *tags)


@pytest.mark.slow
def test_the_committed_layers_and_crossings_are_those_of_the_images(fresh: Any) -> None:
    _, now = fresh
    before = COMMITTED["contents"]["venv"]
    assert now["crossings"] == before["crossings"]
    assert list(now["stages"]) == list(before["stages"])
    for stage, held in now["stages"].items():
        assert [layer["name"] for layer in held] == [layer["name"] for layer in before["stages"][stage]], stage


@pytest.mark.slow
def test_the_committed_sizes_are_nearly_those_of_the_images(fresh: Any) -> None:
    engine, now = fresh
    if architecture(engine) != COMMITTED["architecture"]:
        pytest.skip("sizes are those of another processor")
    for stage, held in now["stages"].items():
        for layer, before in zip(held, COMMITTED["contents"]["venv"]["stages"][stage], strict=True):
            close = CLOSE_TO_THE_BASE if layer["name"] == BASE else CLOSE
            assert layer["bytes"] == pytest.approx(before["bytes"], rel=close, abs=1e4), (stage, layer)


def crossing(dockerfile: str) -> list[tuple[str, str, str]]:
    """Read what crosses to where out of a Dockerfile alone."""
    stages = stages_of(dockerfile)
    return [
        (taken.how, taken.source, end)
        for end in (RUNTIME, ARTIFACTS)
        if end in stages
        for step in stages[end].steps
        for taken in crossings_of(step, stages)
    ]


def test_every_strategy_is_drawn_and_what_its_dockerfile_lets_cross(bake_once: Bake) -> None:
    project = bake_once(strategy="all")
    dockerfiles = {name: project.read(f"strategies/{name}/Dockerfile") for name in STRATEGIES}
    dockerfiles[HELLO] = first_lesson()[0].read_text("utf-8")
    told = {
        name: [(each["how"], each["source"], each["to"]) for each in content["crossings"]]
        for name, content in COMMITTED["contents"].items()
    }
    assert told == {name: crossing(text) for name, text in dockerfiles.items()}


def test_a_crossing_is_read_out_of_either_kind_of_instruction() -> None:
    dockerfile = (
        "FROM scratch AS one\nFROM one AS two\n# two is: not this.\n\n# three is what stays: the rest.\n"
        "FROM ${BASE} AS three\n# COPY --from=one /no /\n"
        "COPY --chmod=0644 --from=one /a \\\n    # not here\n    /b /c/\n"
        "RUN --mount=type=bind,source=x,target=/x --mount=type=bind,from=two,source=/w,target=/v pip install /v\n"
        "COPY --from=elsewhere /no /\nCOPY . .\nUSER 1\n\nFROM three\n"
    )
    assert crossing(dockerfile.replace("three", RUNTIME)) == [
        ("COPY", "/a", RUNTIME),
        ("COPY", "/b", RUNTIME),
        ("bind mount", "/w", RUNTIME),
    ]
    stages = stages_of(dockerfile)
    assert (stages["two"].parent, stages["three"].leaves, len(stages["three"].steps)) == ("one", "the rest", 4)


def test_the_committed_pictures_show_the_committed_layers(tmp_path: Path) -> None:
    render(COMMITTED, tmp_path)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == {
        path.name: path.read_text("utf-8") for path in DRAWN
    }


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)
def test_a_picture_is_small_told_in_words_and_nowhere_cut_off(path: Path) -> None:
    assert path.stat().st_size < 15_000
    assert not re.search(r"\{\{|\{%|\{#| $", path.read_text("utf-8"), re.MULTILINE)
    picture = ElementTree.parse(path).getroot()
    title, description = (picture.findtext(f"{SVG}{name}") or "" for name in ("title", "desc"))
    held = COMMITTED["contents"][path.stem.rpartition("-")[0]]
    assert title.startswith(path.stem.rpartition("-")[0])
    assert all(f"{stage}: " in description for stage in held["stages"])
    width, height = (float(picture.attrib[side]) for side in ("width", "height"))
    for box in picture.iter(f"{SVG}rect"):
        assert float(box.attrib["x"]) + float(box.attrib["width"]) <= width
        assert float(box.attrib["y"]) + float(box.attrib["height"]) <= height


def test_layers_are_drawn_to_scale(tmp_path: Path) -> None:
    render(COMMITTED, tmp_path)
    for name, held in COMMITTED["contents"].items():
        (base,) = {layer["bytes"] for layer in held["stages"][RUNTIME] if layer["name"] == BASE}
        (compiler,) = {layer["bytes"] for layer in held["stages"]["compile-image"] if layer["name"] == "compiler"}
        boxes = list(ElementTree.parse(tmp_path / f"{name}-light.svg").iter(f"{SVG}rect"))
        heights = sorted(float(box.attrib["height"]) for box in boxes)
        assert heights[-1] / heights[-2] == pytest.approx(compiler / base, rel=0.01)
        assert heights[-2] == heights[-3]
