"""`make pictures`: what is drawn of the stages is what the images hold."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.conftest import STRATEGIES, Bake, Build
from tests.engine import Engine
from tests.pictures import ARTIFACTS, BASE, FONT, RUNTIME
from tests.stages import (
    HELLO,
    HELLO_DOCKERFILE,
    PICTURES,
    STAGES,
    Crossing,
    Layer,
    Part,
    Stage,
    architecture,
    content,
    crossings_of,
    render,
    sources_of,
    stages_of,
)

COMMITTED = json.loads(STAGES.read_text("utf-8"))
DRAWN = sorted(PICTURES.iterdir())
SVG = "{http://www.w3.org/2000/svg}"
RECT = f"{SVG}rect"
# The mean width of a letter in a wide font.
LETTER = 0.6 * FONT
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

    try:
        with pytest.MonkeyPatch.context() as patch:
            # lesson.py finds the engine as a person's shell does.
            for name, value in image.engine.environment.items():
                patch.setenv(name, value)
            yield image.engine, content(image.project.read("Dockerfile"), stage, image.base)
    finally:
        tags = image.engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.split()
        image.engine.docker("image", "rm", *tags, check=False)


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
        for end in stages
        if end in (RUNTIME, ARTIFACTS)
        for step in stages[end].steps
        for taken in crossings_of(step, stages)
    ]


def test_every_strategy_is_drawn_and_what_its_dockerfile_lets_cross(bake_once: Bake) -> None:
    project = bake_once(strategy="all")
    dockerfiles = {name: project.read(f"strategies/{name}/Dockerfile") for name in STRATEGIES}
    dockerfiles[HELLO] = HELLO_DOCKERFILE.read_text("utf-8")
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


def test_what_crosses_is_in_the_layers_that_still_show_it() -> None:
    stages = {"one": Stage("${BASE}", [], ""), "two": Stage("one", [], "")}
    lower = Part("one", "", "requirements", Layer("", "1", {"/opt/venv/a": 1, "/opt/venv/b": 1, "/c": 1}, set()))
    upper = Part("two", "", "project", Layer("", "2", {"/opt/venv/b": 2}, {"/opt/venv/a"}))

    def found(stage: str, source: str) -> list[Part]:
        return sources_of(Crossing(stage, "COPY", source), stages, [lower, upper])

    assert found("one", "/opt/") == [lower]
    assert found("two", "/opt/venv/b") == [upper]
    assert found("two", "/opt") == [upper]
    assert found("two", "/") == [lower, upper]
    assert found("two", "/opt/venv/a") == found("two", "/op") == []


def test_the_committed_pictures_show_the_committed_layers(tmp_path: Path) -> None:
    render(COMMITTED, tmp_path)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == {
        path.name: path.read_text("utf-8") for path in DRAWN
    }


every_picture = pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)


@every_picture
def test_a_picture_is_small_and_told_in_words(path: Path) -> None:
    name = path.stem.rpartition("-")[0]
    assert path.stat().st_size < 15_000
    assert not re.search(r"\{\{|\{%|\{#| $", path.read_text("utf-8"), re.MULTILINE)
    picture = ElementTree.parse(path).getroot()
    title, description = (picture.findtext(f"{SVG}{element}") or "" for element in ("title", "desc"))
    assert title.startswith(f"{name}: ")
    content = COMMITTED["contents"][name]
    assert all(f"{stage}: " in description for stage in content["stages"])
    assert all(f"{each['how']} {each['source']} to {each['to']}." in description for each in content["crossings"])


def span(element: ElementTree.Element) -> tuple[float, float, float]:
    """Tell where words begin and end in a wide font, and their baseline."""
    x, y = float(element.attrib["x"]), float(element.attrib["y"])
    width = len("".join(element.itertext())) * LETTER
    return (x - width, x, y) if element.get("text-anchor") == "end" else (x, x + width, y)


@every_picture
def test_nothing_in_a_picture_overlaps_or_is_cut_off(path: Path) -> None:
    picture = ElementTree.parse(path).getroot()
    width, height = (float(picture.attrib[side]) for side in ("width", "height"))
    boxes = [{side: float(box.attrib[side]) for side in ("x", "y", "width", "height")} for box in picture.iter(RECT)]
    assert all(box["x"] + box["width"] <= width and box["y"] + box["height"] <= height for box in boxes)
    words = [span(element) for element in picture.iter(f"{SVG}text")]
    assert all(begin >= 0 and end <= width and FONT <= y < height for begin, end, y in words)
    for (begin, end, y), (other_begin, other_end, other_y) in combinations(words, 2):
        assert abs(y - other_y) >= FONT or end <= other_begin or other_end <= begin, (y, other_y)


def test_layers_are_drawn_to_scale(tmp_path: Path) -> None:
    render(COMMITTED, tmp_path)
    for name, held in COMMITTED["contents"].items():
        (base,) = {layer["bytes"] for layer in held["stages"][RUNTIME] if layer["name"] == BASE}
        (compiler,) = {
            layer["bytes"] for layers in held["stages"].values() for layer in layers if layer["name"] == "compiler"
        }
        boxes = list(ElementTree.parse(tmp_path / f"{name}-light.svg").iter(RECT))
        heights = sorted(float(box.attrib["height"]) for box in boxes)
        assert heights[-1] / heights[-2] == pytest.approx(compiler / base, rel=0.01)
        assert heights[-2] == heights[-3]
