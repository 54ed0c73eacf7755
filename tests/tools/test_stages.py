"""`make pictures`: the stage diagrams match the built images."""

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
from tools.engine import Engine
from tools.pictures import ARTIFACTS, BASE, FONT, RUNTIME
from tools.stages import (
    PICTURES,
    STAGES,
    Layer,
    Part,
    Stage,
    StageCopy,
    architecture,
    content,
    copies_of,
    drawn_lessons,
    lineage,
    render,
    sources_of,
    stages_of,
)

COMMITTED = json.loads(STAGES.read_text("utf-8"))
DRAWN = sorted(PICTURES.iterdir())
SVG = "{http://www.w3.org/2000/svg}"
RECT = f"{SVG}rect"
# The mean width of a character in a wide font, relative to the size of the font.
LETTER, BOLD_LETTER = 0.6, 0.65
# Debian packages and dependencies change over time, and the base image may be official or a substitute.
TOLERANCE, BASE_TOLERANCE = 0.05, 0.2


@pytest.fixture(scope="module")
def stage_layers(bake_once: Bake, build: Build) -> Iterator[tuple[Engine, dict[str, Any]]]:
    """Return the contents of the stages of venv, whose image other tests also build."""
    image = build(bake_once(project_slug="acme-sums", strategy="venv", app="service"))
    repository = f"test-{os.getpid()}-stages"

    def stage(name: str) -> str:
        image.engine.docker("build", "--target", name, "--tag", f"{repository}:{name}", str(image.project.path))
        return f"{repository}:{name}"

    try:
        with pytest.MonkeyPatch.context() as patch:
            # lesson.py finds the engine through the environment, as it does in a user's shell.
            for name, value in image.engine.environment.items():
                patch.setenv(name, value)
            yield image.engine, content(image.project.read("Dockerfile"), stage, image.base)
    finally:
        tags = image.engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", repository).stdout.split()
        image.engine.docker("image", "rm", *tags, check=False)


def test_committed_layers_and_copies_match_images(stage_layers: Any) -> None:
    _, now = stage_layers
    before = COMMITTED["contents"]["venv"]
    assert now["copies"] == before["copies"]
    assert list(now["stages"]) == list(before["stages"])
    for stage, layers in now["stages"].items():
        assert [layer["name"] for layer in layers] == [layer["name"] for layer in before["stages"][stage]], stage


def test_committed_sizes_are_within_tolerance_of_images(stage_layers: Any) -> None:
    engine, now = stage_layers
    if architecture(engine) != COMMITTED["architecture"]:
        pytest.skip("the committed sizes are for another architecture")
    for stage, layers in now["stages"].items():
        for layer, before in zip(layers, COMMITTED["contents"]["venv"]["stages"][stage], strict=True):
            tolerance = BASE_TOLERANCE if layer["name"] == BASE else TOLERANCE
            assert layer["bytes"] == pytest.approx(before["bytes"], rel=tolerance, abs=1e4), (stage, layer)


def final_copies(dockerfile: str) -> list[tuple[str, str, str]]:
    """List what a Dockerfile copies or mounts into runtime-image and artifacts."""
    stages = stages_of(dockerfile)
    return [
        (copy.how, copy.source, end)
        for end in stages
        if end in (RUNTIME, ARTIFACTS)
        for each in lineage(stages, end)
        for step in stages[each].steps
        for copy in copies_of(step, stages)
    ]


def test_diagrams_cover_every_strategy_lesson_and_copy(bake_once: Bake) -> None:
    project = bake_once(strategy="all")
    dockerfiles = {name: project.read(f"strategies/{name}/Dockerfile") for name in STRATEGIES}
    lessons = {name: (path / "Dockerfile").read_text("utf-8") for name, path in drawn_lessons().items()}
    assert len(lessons) > 3
    shown = {
        name: [(each["how"], each["source"], each["to"]) for each in content["copies"]]
        for name, content in COMMITTED["contents"].items()
    }
    assert shown == {name: final_copies(text) for name, text in (lessons | dockerfiles).items()}


def test_copies_and_bind_mounts_are_parsed() -> None:
    dockerfile = (
        "FROM scratch AS one\nFROM one AS two\n# two is: not this.\n\n# three is what stays: the rest.\n"
        "FROM ${BASE} AS three\n# COPY --from=one /no /\n"
        "COPY --chmod=0644 --from=one /a \\\n    # not here\n    /b /c/\n"
        "RUN --mount=type=bind,source=x,target=/x --mount=type=bind,from=two,source=/w,target=/v pip install /v\n"
        "COPY --from=elsewhere /no /\nCOPY . .\nUSER 1\n\nFROM three\n"
    )
    assert final_copies(dockerfile.replace("three", RUNTIME)) == [
        ("COPY", "/a", RUNTIME),
        ("COPY", "/b", RUNTIME),
        ("bind mount", "/w", RUNTIME),
    ]
    stages = stages_of(dockerfile)
    assert (stages["two"].parent, stages["three"].result, len(stages["three"].steps)) == ("one", "the rest", 4)


def test_copied_files_are_attributed_to_visible_layers() -> None:
    stages = {"one": Stage("${BASE}", [], ""), "two": Stage("one", [], "")}
    lower = Part("one", "", "dependencies", Layer("", "1", {"/opt/venv/a": 1, "/opt/venv/b": 1, "/c": 1}, set()))
    upper = Part("two", "", "project", Layer("", "2", {"/opt/venv/b": 2}, {"/opt/venv/a"}))

    def found(stage: str, source: str) -> list[Part]:
        return sources_of(StageCopy(stage, "COPY", source), stages, [lower, upper])

    assert found("one", "/opt/") == [lower]
    assert found("two", "/opt/venv/b") == [upper]
    assert found("two", "/opt") == [upper]
    assert found("two", "/") == [lower, upper]
    assert found("two", "/opt/venv/a") == found("two", "/op") == []


def test_committed_pictures_match_committed_layers(tmp_path: Path) -> None:
    render(COMMITTED, tmp_path)
    assert {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()} == {
        path.name: path.read_text("utf-8") for path in DRAWN
    }


every_picture = pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.stem)


@every_picture
def test_picture_is_small_and_has_a_description(path: Path) -> None:
    name = path.stem.rpartition("-")[0]
    assert path.stat().st_size < 15_000
    assert not re.search(r"\{\{|\{%|\{#| $", path.read_text("utf-8"), re.MULTILINE)
    picture = ElementTree.parse(path).getroot()
    title, description = (picture.findtext(f"{SVG}{element}") or "" for element in ("title", "desc"))
    assert title.startswith(f"{name}: ")
    content = COMMITTED["contents"][name]
    assert all(f"{stage}: " in description for stage in content["stages"])
    assert all(f"{each['how']} {each['source']} to {each['to']}." in description for each in content["copies"])


def span(element: ElementTree.Element) -> tuple[float, float, float]:
    """Return the start, end and baseline of a text element, estimated for a wide font."""
    x, y = float(element.attrib["x"]), float(element.attrib["y"])
    letter = BOLD_LETTER if element.get("font-weight") == "bold" else LETTER
    width = len("".join(element.itertext())) * letter * float(element.get("font-size", FONT))
    return (x - width, x, y) if element.get("text-anchor") == "end" else (x, x + width, y)


def check_layout(path: Path) -> None:
    """Check that the texts of a drawing do not overlap, and that nothing leaves it."""
    picture = ElementTree.parse(path).getroot()
    width, height = (float(picture.attrib[side]) for side in ("width", "height"))
    boxes = [{side: float(box.attrib[side]) for side in ("x", "y", "width", "height")} for box in picture.iter(RECT)]
    assert all(box["x"] + box["width"] <= width and box["y"] + box["height"] <= height for box in boxes)
    words = [span(element) for element in picture.iter(f"{SVG}text")]
    assert all(begin >= 0 and end <= width and FONT <= y < height for begin, end, y in words)
    for (begin, end, y), (other_begin, other_end, other_y) in combinations(words, 2):
        assert abs(y - other_y) >= FONT or end <= other_begin or other_end <= begin, (y, other_y)


@every_picture
def test_picture_texts_do_not_overlap_or_leave_the_drawing(path: Path) -> None:
    check_layout(path)


def test_layers_are_drawn_to_scale(tmp_path: Path) -> None:
    render(COMMITTED, tmp_path)
    for name, committed in COMMITTED["contents"].items():
        (base,) = {layer["bytes"] for layer in committed["stages"][RUNTIME] if layer["name"] == BASE}
        (compiler,) = {
            layer["bytes"] for layers in committed["stages"].values() for layer in layers if layer["name"] == "compiler"
        }
        boxes = list(ElementTree.parse(tmp_path / f"{name}-light.svg").iter(RECT))
        heights = sorted(float(box.attrib["height"]) for box in boxes)
        assert heights[-1] / heights[-2] == pytest.approx(compiler / base, rel=0.01)
        assert heights[-2] == heights[-3]
