"""Draw what the stages of a Dockerfile hold and what crosses between them: an SVG for a light page and one for a dark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.charts import THEMES, Theme, rounded

BASE, RUNTIME, ARTIFACTS = "base image", "runtime-image", "artifacts"
# In units of the drawing, which are pixels where it is as wide as a README; a phone shows less than half of them.
WIDTH, MARGIN, COLUMN = 840, 8, 290
LEFT, RIGHT = MARGIN, WIDTH - MARGIN - COLUMN
FONT, LINE = 19, 24
HEAD, GAP = 80, 14
PER_MB = 0.65
# As high as a name needs.
LEAST = 30

Content = dict[str, Any]


@dataclass(frozen=True)
class Box:
    """Layers of one name that lie on each other, and where they are drawn."""

    stage: str
    name: str
    bytes: int
    x: float
    top: float

    @property
    def height(self) -> float:
        """How high it is drawn: to scale, if its name fits."""
        return height_of(self.bytes)

    @property
    def middle(self) -> float:
        """Half way down."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class Arrow:
    """What crosses from one box to another, in words."""

    source: Box
    target: Box
    words: list[str]


def height_of(size: int) -> float:
    """Scale a size, to no less than a name needs."""
    return max(LEAST, size / 1e6 * PER_MB)


def amount(size: int) -> str:
    """Write a size with two digits, or all before the point."""
    return f"{rounded(size / 1e6)} MB" if size >= 1e5 else f"{rounded(size / 1e3)} kB"


def merged(held: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Put the layers of one name together, the topmost first."""
    groups = groupby(reversed(held), key=lambda layer: str(layer["name"]))
    return [(name, sum(layer["bytes"] for layer in group)) for name, group in groups]


def stack(stage: str, held: list[dict[str, Any]], x: float, top: float) -> list[Box]:
    """Place a stage's layers below each other, as they lie on each other."""
    boxes: list[Box] = []
    for name, size in merged(held):
        boxes.append(Box(stage, name, size, x, boxes[-1].top + boxes[-1].height if boxes else top))
    return boxes


def placed(content: Content) -> dict[str, list[Box]]:
    """Place the stages: those that build on the left, the last one on top, what they lead to on the right."""
    stages: dict[str, list[dict[str, Any]]] = content["stages"]
    boxes: dict[str, list[Box]] = {}
    top = float(HEAD)
    for name in reversed([name for name in stages if name not in (RUNTIME, ARTIFACTS)]):
        boxes[name] = stack(name, stages[name], LEFT, top + LEAST)
        top = boxes[name][-1].top + boxes[name][-1].height + GAP
    height = sum(height_of(size) for _, size in merged(stages[RUNTIME]))
    boxes[RUNTIME] = stack(RUNTIME, stages[RUNTIME], RIGHT, top - GAP - height)
    if ARTIFACTS in stages:
        first = next(iter(boxes.values()))[0]
        boxes[ARTIFACTS] = stack(ARTIFACTS, stages[ARTIFACTS], RIGHT, first.top)
    return boxes


def arrows_of(content: Content, boxes: dict[str, list[Box]]) -> list[Arrow]:
    """Draw one arrow between two boxes, whatever crosses there; the artifacts are reached by one."""
    found = {(box.stage, box.name): box for stage in boxes.values() for box in stage}
    arrows: dict[tuple[str, str], Arrow] = {}
    for crossing in content["crossings"]:
        source, target = found[crossing["from"], crossing["of"]], found[crossing["to"], crossing["into"]]
        before = arrows.get((crossing["to"], crossing["into"]))
        words = [*before.words, crossing["source"]] if before else [crossing["how"], crossing["source"]]
        arrows[crossing["to"], crossing["into"]] = Arrow(source, target, words)
    return sorted(arrows.values(), key=lambda arrow: arrow.target.top)


def text(x: float, y: float, words: str, **attributes: str) -> str:
    """Write words; an attribute's underscore is a hyphen."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:g}" y="{y:.1f}"{more}>{escape(words)}</text>'


def drawn_box(box: Box, look: str, theme: Theme, notes: list[str]) -> Iterator[str]:
    """Draw a box with its name and its size, and notes below them where there is room."""
    yield f'<rect x="{box.x:g}" y="{box.top:.1f}" width="{COLUMN}" height="{box.height:.1f}" {look}/>'
    notes = notes if box.height > LINE * (1 + len(notes)) else []
    baseline = box.middle - LINE / 2 * len(notes) + FONT * 0.35
    yield text(box.x + 10, baseline, box.name)
    yield text(box.x + COLUMN - 10, baseline, amount(box.bytes), text_anchor="end")
    for number, note in enumerate(notes, 1):
        yield text(box.x + 10, baseline + LINE * number, note, fill=theme.quiet)


def drawn_arrow(arrow: Arrow, bend: float, *, below: bool, words_at: float) -> Iterator[str]:
    """Draw an arrow that leaves to the right, goes down at a bend, and has its words at its end."""
    down = f"H{bend:g}V{arrow.target.middle:.1f}" if arrow.target.middle != arrow.source.middle else ""
    yield (
        f'<path d="M{LEFT + COLUMN} {arrow.source.middle:.1f}{down}H{RIGHT - 3}" class="arrow" marker-end="url(#head)"/>'
    )
    lines = [arrow.words[0], " ".join(arrow.words[1:])]
    first = arrow.target.middle + (FONT + 3 if below else -LINE * len(lines) + FONT - 4)
    for number, words in enumerate(lines):
        yield text(words_at, first + LINE * number, words)


def told(content: Content) -> str:
    """Tell in one sentence for each stage and each crossing what the drawing shows."""
    stages = (
        f"{stage}: {', '.join(f'{name} {amount(size)}' for name, size in reversed(merged(held)))}."
        for stage, held in content["stages"].items()
    )
    crossings = (f"{each['how']} {each['source']} goes to {each['to']}." for each in content["crossings"])
    return " ".join([*stages, *crossings])


def picture(theme: Theme, name: str, title: str, base: str, content: Content) -> str:
    """Draw the stages on a page of one theme."""
    boxes = placed(content)
    arrows = arrows_of(content, boxes)
    crossing = {(each["from"], each["of"]) for each in content["crossings"]}
    building = [box for stage, stack in boxes.items() if stage not in (RUNTIME, ARTIFACTS) for box in stack]
    staying = [box for box in building if box.name != BASE and (box.stage, box.name) not in crossing]
    total = sum(box.bytes for box in building)
    shipped = sum(box.bytes for box in boxes[RUNTIME])
    left = sum(box.bytes for box in staying)
    bottom = boxes[RUNTIME][-1].top + boxes[RUNTIME][-1].height
    height = bottom + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-labelledby="title desc" '
        f'font-family="system-ui, sans-serif" font-size="{FONT}" fill="{theme.text}">',
        f'<title id="title">{escape(name)}: {escape(title)}</title>',
        f'<desc id="desc">{escape(told(content))}</desc>',
        "<defs>",
        '<pattern id="hatch" width="12" height="12" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
        f'<path d="M0 0V12" stroke="{theme.peers}" stroke-width="3" stroke-opacity="0.5"/></pattern>',
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="{theme.ours}"/></marker>',
        f"<style>.arrow{{fill:none;stroke:{theme.ours};stroke-width:2.5}}</style>",
        "</defs>",
        f'<text x="{LEFT}" y="26"><tspan font-size="24" font-weight="bold">{escape(name)}</tspan>'
        f'<tspan dx="10">{escape(title)}</tspan></text>',
        text(
            LEFT,
            54,
            f"{amount(total)} to build it, {amount(shipped)} in the image: {amount(left)} stay behind",
            fill=theme.quiet,
        ),
    ]
    for stage, stack in boxes.items():
        parts.append(text(stack[0].x, stack[0].top - 9, stage, font_weight="bold"))
        note = "kept as well" if stage == ARTIFACTS else amount(sum(box.bytes for box in stack))
        if stage == ARTIFACTS or len(stack) > 1:
            parts.append(text(stack[0].x + COLUMN - 10, stack[0].top - 9, note, text_anchor="end", fill=theme.quiet))
        for box in stack:
            look = f'fill="{theme.ours}" fill-opacity="0.25" stroke="{theme.ours}" stroke-width="1.5"'
            notes: list[str] = []
            if box.name == BASE:
                look = f'fill="{theme.peers}" fill-opacity="0.55" stroke="{theme.quiet}" stroke-width="1.5"'
                notes = [base]
            elif box in staying:
                look = f'fill="url(#hatch)" stroke="{theme.quiet}" stroke-width="1.5" stroke-dasharray="5 4"'
                notes = ["stays behind"]
            parts += drawn_box(box, look, theme, notes)
    runtime = [arrow for arrow in arrows if arrow.target.stage == RUNTIME]
    for arrow in arrows:
        bend = LEFT + COLUMN + 20 * (len(runtime) - (runtime.index(arrow) if arrow in runtime else 0))
        last = len(runtime) > 1 and arrow == runtime[-1]
        parts += drawn_arrow(arrow, bend, below=last, words_at=LEFT + COLUMN + 20 * len(runtime) + 14)
    scale = f"Heights are to scale; what has less than {LEAST / PER_MB:.0f} MB is drawn as high as that."
    parts += [text(LEFT, bottom + 26, scale, fill=theme.quiet), "</svg>"]
    return "\n".join(parts) + "\n"


def draw(path: Path, name: str, title: str, base: str, content: Content) -> None:
    """Draw the stages of a Dockerfile for either page.

    Args:
        path: where the drawings go, without the theme and `.svg`.
        name: what it is called.
        title: what it does.
        base: the base image.
        content: what its stages hold, and what crosses between them.

    """
    for theme in THEMES:
        Path(f"{path}-{theme.name}.svg").write_text(picture(theme, name, title, base, content), "utf-8")
