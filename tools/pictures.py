"""Draw the contents of build stages and the copies between them: SVGs for a light and a dark page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from tools.charts import THEMES, Theme, format_rounded

BASE, RUNTIME, ARTIFACTS = "base image", "runtime-image", "artifacts"
# Units of the drawing: pixels in a README; a phone scales the drawing to less than half that size.
WIDTH, MARGIN, COLUMN = 840, 8, 290
LEFT, RIGHT = MARGIN, WIDTH - MARGIN - COLUMN
FONT, LINE, PAD = 19, 24, 10
HEAD, GAP = 70, 14
# The distance between the bends of neighbouring arrows, and the number of characters that fit on one line next to them.
BEND, WORDS = 20, 16
PER_MB = 0.65
# The minimum height of a box, so that its name fits.
MIN_HEIGHT = 30

Content = dict[str, Any]


@dataclass(frozen=True)
class Box:
    """Adjacent layers with the same name, merged into one box, and its position."""

    stage: str
    name: str
    bytes: int
    x: float
    top: float

    @property
    def height(self) -> float:
        """The height of the box: to scale, but high enough for its name."""
        return height_of(self.bytes)

    @property
    def middle(self) -> float:
        """The vertical middle of the box."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class Arrow:
    """A labelled arrow for what is copied or mounted from one box into another."""

    source: Box
    target: Box
    words: list[str]


def height_of(size: int) -> float:
    """Return the height for a size: to scale, but high enough for a name."""
    return max(MIN_HEIGHT, size / 1e6 * PER_MB)


def format_size(size: int) -> str:
    """Format a size in kB or MB."""
    return f"{format_rounded(size / 1e6)} MB" if size >= 1e5 else f"{format_rounded(size / 1e3)} kB"


def merge_adjacent(layers: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Merge adjacent layers with the same name, topmost first."""
    groups = groupby(reversed(layers), key=lambda layer: str(layer["name"]))
    return [(name, sum(layer["bytes"] for layer in group)) for name, group in groups]


def stack(stage: str, layers: list[dict[str, Any]], x: float, top: float) -> list[Box]:
    """Return a stage's layers as a column of boxes, topmost first."""
    boxes: list[Box] = []
    for name, size in merge_adjacent(layers):
        boxes.append(Box(stage, name, size, x, boxes[-1].top + boxes[-1].height if boxes else top))
    return boxes


def place_stages(content: Content) -> dict[str, list[Box]]:
    """Place the stages: build stages on the left, the last one on top; their outputs on the right."""
    stages: dict[str, list[dict[str, Any]]] = content["stages"]
    boxes: dict[str, list[Box]] = {}
    top = float(HEAD)
    for name in reversed([name for name in stages if name not in (RUNTIME, ARTIFACTS)]):
        boxes[name] = stack(name, stages[name], LEFT, top + MIN_HEIGHT)
        top = boxes[name][-1].top + boxes[name][-1].height + GAP
    height = sum(height_of(size) for _, size in merge_adjacent(stages[RUNTIME]))
    boxes[RUNTIME] = stack(RUNTIME, stages[RUNTIME], RIGHT, top - GAP - height)
    if ARTIFACTS in stages:
        first = next(iter(boxes.values()))[0]
        boxes[ARTIFACTS] = stack(ARTIFACTS, stages[ARTIFACTS], RIGHT, first.top)
    return boxes


def arrows_of(content: Content, boxes: dict[str, list[Box]]) -> list[Arrow]:
    """Return one arrow per target box, starting at the topmost of its source boxes."""
    found = {(box.stage, box.name): box for stage in boxes.values() for box in stage}
    words: dict[Box, list[str]] = {}
    sources: dict[Box, list[Box]] = {}
    for copy in content["copies"]:
        target = found[copy["to"], copy["into"]]
        sources.setdefault(target, []).extend(found[stage, name] for stage, name in copy["from"])
        label = words.setdefault(target, [])
        label += [word for word in (copy["how"], copy["source"]) if word not in label]
    return [
        Arrow(min(sources[target], key=lambda box: box.top), target, words[target])
        for target in sorted(words, key=lambda box: box.top)
    ]


def text(x: float, baseline: float, words: str, **attributes: str) -> str:
    """Return a text element; underscores in attribute names become hyphens."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:g}" y="{baseline:.1f}"{more}>{escape(words)}</text>'


def draw_box(box: Box, look: str, note: str, theme: Theme) -> Iterator[str]:
    """Draw a box with its name, its size and, if it fits, a note."""
    yield f'<rect x="{box.x:g}" y="{box.top:.1f}" width="{COLUMN}" height="{box.height:.1f}" {look}/>'
    note_fits = note and box.height > 2 * LINE
    baseline = box.middle + FONT * 0.35 - (LINE / 2 if note_fits else 0)
    yield text(box.x + PAD, baseline, box.name)
    yield text(box.x + COLUMN - PAD, baseline, format_size(box.bytes), text_anchor="end")
    if note_fits:
        yield text(box.x + PAD, baseline + LINE, note, fill=theme.muted)


def draw_stage(boxes: list[Box], not_copied: list[Box], base: str, theme: Theme) -> Iterator[str]:
    """Draw a stage: its name, its total size and its boxes."""
    top, stage = boxes[0].top - 9, boxes[0].stage
    # A smaller font, because the longest name and its size share a line.
    yield text(boxes[0].x, top, stage, font_size="17", font_weight="bold")
    if stage == ARTIFACTS or len(boxes) > 1:
        whole = "exported" if stage == ARTIFACTS else format_size(sum(box.bytes for box in boxes))
        yield text(boxes[0].x + COLUMN - PAD, top, whole, text_anchor="end", fill=theme.muted)
    for box in boxes:
        if box.name == BASE:
            yield from draw_box(box, f'fill="{theme.neutral}" fill-opacity="0.5" stroke="{theme.muted}"', base, theme)
        elif box in not_copied:
            look = f'fill="url(#hatch)" stroke="{theme.muted}" stroke-dasharray="5 4"'
            yield from draw_box(box, look, "not copied", theme)
        else:
            yield from draw_box(box, f'fill="{theme.accent}" fill-opacity="0.25" stroke="{theme.accent}"', "", theme)


def draw_arrows(arrows: list[Arrow], theme: Theme) -> Iterator[str]:
    """Draw the arrows with their labels above them, except for the lowest of several, which has its label below."""
    bends = len({arrow.target for arrow in arrows if arrow.target.stage == RUNTIME})
    left = LEFT + COLUMN
    for number, arrow in enumerate(reversed(arrows), 1):
        start, end = arrow.source.middle, arrow.target.middle
        bend = "" if start == end else f"H{left + BEND * number}V{end:.1f}"
        yield (
            f'<path d="M{left} {start:.1f}{bend}H{RIGHT - 3}" fill="none" stroke="{theme.accent}" stroke-width="2.5" '
            'marker-end="url(#head)"/>'
        )
        lines = [arrow.words[0], " ".join(arrow.words[1:])]
        if len(" ".join(lines)) <= WORDS:
            lines = [" ".join(lines)]
        below = bends > 1 and number == 1
        first = end + (FONT + 3 if below else -LINE * len(lines) + FONT - 3)
        for row, words in enumerate(lines):
            yield text(left + BEND * bends + PAD, first + LINE * row, words)


def describe(content: Content) -> str:
    """Return a description of the drawing with a sentence for each stage and each copy between stages."""
    stages = (
        f"{stage}: {', '.join(f'{name} {format_size(size)}' for name, size in reversed(merge_adjacent(layers)))}."
        for stage, layers in content["stages"].items()
    )
    copies = (f"{each['how']} {each['source']} to {each['to']}." for each in content["copies"])
    return " ".join([*stages, *copies])


def summary(boxes: dict[str, list[Box]], not_copied: list[Box]) -> str:
    """Return a one-line summary of the sizes."""
    building = sum(box.bytes for box in build_stage_boxes(boxes))
    shipped, rest = (sum(box.bytes for box in some) for some in (boxes[RUNTIME], not_copied))
    return (
        f"{format_size(building)} in build stages, {format_size(shipped)} in the image; {format_size(rest)} not copied"
    )


def build_stage_boxes(boxes: dict[str, list[Box]]) -> list[Box]:
    """Return the boxes of the build stages."""
    return [box for stage, some in boxes.items() if stage not in (RUNTIME, ARTIFACTS) for box in some]


def picture(theme: Theme, name: str, title: str, base: str, content: Content) -> str:
    """Return the SVG for one theme."""
    boxes = place_stages(content)
    copied = [origin for each in content["copies"] for origin in each["from"]]
    not_copied = [box for box in build_stage_boxes(boxes) if box.name != BASE and [box.stage, box.name] not in copied]
    bottom = boxes[RUNTIME][-1].top + boxes[RUNTIME][-1].height
    height = round(bottom + 34)
    scale = f"Heights are to scale; the minimum height corresponds to {MIN_HEIGHT / PER_MB:.0f} MB."
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"',
        f'  role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="{FONT}"',
        f'  fill="{theme.text}" stroke-width="1.5">',
        f'<title id="title">{escape(name)}: {escape(title)}</title>',
        f'<desc id="desc">{escape(describe(content))}</desc>',
        "<defs>",
        '<pattern id="hatch" width="12" height="12" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
        f'<path d="M0 0V12" stroke="{theme.neutral}" stroke-width="3" stroke-opacity="0.5"/>',
        "</pattern>",
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11"',
        f'  markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="{theme.accent}"/></marker>',
        "</defs>",
        f'<text x="{LEFT}" y="26"><tspan font-size="24" font-weight="bold">{escape(name)}</tspan>'
        f'<tspan dx="10">{escape(title)}</tspan></text>',
        text(LEFT, 54, summary(boxes, not_copied), fill=theme.muted),
        *(line for some in boxes.values() for line in draw_stage(some, not_copied, base, theme)),
        *draw_arrows(arrows_of(content, boxes), theme),
        text(LEFT, bottom + 26, scale, fill=theme.muted),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def draw(path: Path, name: str, title: str, base: str, content: Content) -> None:
    """Draw the stages of a Dockerfile for each theme.

    Args:
        path: the target path without the theme and `.svg`.
        name: the heading of the drawing.
        title: a short description, next to the heading.
        base: the base image.
        content: the layers of the stages, and the copies between them.

    """
    for theme in THEMES:
        Path(f"{path}-{theme.name}.svg").write_text(picture(theme, name, title, base, content), "utf-8")
