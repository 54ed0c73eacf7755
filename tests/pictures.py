"""Draw what stages hold and what crosses between them: an SVG for a light page and one for a dark page."""

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
FONT, LINE, PAD = 19, 24, 10
HEAD, GAP = 70, 14
# How far the arrows bend down from each other, and how many letters of theirs fit into one line.
BEND, WORDS = 20, 16
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
    """Draw one arrow to each box that anything crosses to, from the topmost that it comes from."""
    found = {(box.stage, box.name): box for stage in boxes.values() for box in stage}
    words: dict[Box, list[str]] = {}
    sources: dict[Box, list[Box]] = {}
    for crossing in content["crossings"]:
        target = found[crossing["to"], crossing["into"]]
        sources.setdefault(target, []).extend(found[stage, name] for stage, name in crossing["from"])
        said = words.setdefault(target, [])
        said += [word for word in (crossing["how"], crossing["source"]) if word not in said]
    return [
        Arrow(min(sources[target], key=lambda box: box.top), target, words[target])
        for target in sorted(words, key=lambda box: box.top)
    ]


def text(x: float, baseline: float, words: str, **attributes: str) -> str:
    """Write words; an attribute's underscore is a hyphen."""
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x:g}" y="{baseline:.1f}"{more}>{escape(words)}</text>'


def drawn_box(box: Box, look: str, note: str, theme: Theme) -> Iterator[str]:
    """Draw a box with its name and its size, and with a note where there is room."""
    yield f'<rect x="{box.x:g}" y="{box.top:.1f}" width="{COLUMN}" height="{box.height:.1f}" {look}/>'
    has_room = note and box.height > 2 * LINE
    baseline = box.middle + FONT * 0.35 - (LINE / 2 if has_room else 0)
    yield text(box.x + PAD, baseline, box.name)
    yield text(box.x + COLUMN - PAD, baseline, amount(box.bytes), text_anchor="end")
    if has_room:
        yield text(box.x + PAD, baseline + LINE, note, fill=theme.quiet)


def drawn_stage(boxes: list[Box], staying: list[Box], base: str, theme: Theme) -> Iterator[str]:
    """Draw a stage: its name, what it has in all, and its boxes."""
    top, stage = boxes[0].top - 9, boxes[0].stage
    yield text(boxes[0].x, top, stage, font_weight="bold")
    if stage == ARTIFACTS or len(boxes) > 1:
        whole = "kept as well" if stage == ARTIFACTS else amount(sum(box.bytes for box in boxes))
        yield text(boxes[0].x + COLUMN - PAD, top, whole, text_anchor="end", fill=theme.quiet)
    for box in boxes:
        if box.name == BASE:
            yield from drawn_box(box, f'fill="{theme.peers}" fill-opacity="0.5" stroke="{theme.quiet}"', base, theme)
        elif box in staying:
            look = f'fill="url(#hatch)" stroke="{theme.quiet}" stroke-dasharray="5 4"'
            yield from drawn_box(box, look, "stays behind", theme)
        else:
            yield from drawn_box(box, f'fill="{theme.ours}" fill-opacity="0.25" stroke="{theme.ours}"', "", theme)


def drawn_arrows(arrows: list[Arrow], theme: Theme) -> Iterator[str]:
    """Draw the arrows, which bend down side by side; words are above, but those of the lowest of several below."""
    bends = len({arrow.target for arrow in arrows if arrow.target.stage == RUNTIME})
    left = LEFT + COLUMN
    for number, arrow in enumerate(reversed(arrows), 1):
        start, end = arrow.source.middle, arrow.target.middle
        bend = "" if start == end else f"H{left + BEND * number}V{end:.1f}"
        yield (
            f'<path d="M{left} {start:.1f}{bend}H{RIGHT - 3}" fill="none" stroke="{theme.ours}" stroke-width="2.5" '
            'marker-end="url(#head)"/>'
        )
        lines = [arrow.words[0], " ".join(arrow.words[1:])]
        if len(" ".join(lines)) <= WORDS:
            lines = [" ".join(lines)]
        below = bends > 1 and number == 1
        first = end + (FONT + 3 if below else -LINE * len(lines) + FONT - 3)
        for row, words in enumerate(lines):
            yield text(left + BEND * bends + PAD, first + LINE * row, words)


def described(content: Content) -> str:
    """Tell in a sentence for each stage and each crossing what the drawing shows."""
    stages = (
        f"{stage}: {', '.join(f'{name} {amount(size)}' for name, size in reversed(merged(held)))}."
        for stage, held in content["stages"].items()
    )
    crossings = (f"{each['how']} {each['source']} goes to {each['to']}." for each in content["crossings"])
    return " ".join([*stages, *crossings])


def summary(boxes: dict[str, list[Box]], staying: list[Box]) -> str:
    """Say in one line what the drawing is to tell."""
    building = sum(box.bytes for box in building_of(boxes))
    shipped, left = (sum(box.bytes for box in some) for some in (boxes[RUNTIME], staying))
    return f"{amount(building)} to build it, {amount(shipped)} in the image: {amount(left)} stay behind"


def building_of(boxes: dict[str, list[Box]]) -> list[Box]:
    """Return the boxes of the stages that build."""
    return [box for stage, some in boxes.items() if stage not in (RUNTIME, ARTIFACTS) for box in some]


def picture(theme: Theme, name: str, title: str, base: str, content: Content) -> str:
    """Draw the stages on a page of one theme."""
    boxes = placed(content)
    crossing = [origin for each in content["crossings"] for origin in each["from"]]
    staying = [box for box in building_of(boxes) if box.name != BASE and [box.stage, box.name] not in crossing]
    bottom = boxes[RUNTIME][-1].top + boxes[RUNTIME][-1].height
    height = round(bottom + 34)
    scale = f"Heights are to scale; what has less than {LEAST / PER_MB:.0f} MB is drawn as high as that."
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"',
        f'  role="img" aria-labelledby="title desc" font-family="system-ui, sans-serif" font-size="{FONT}"',
        f'  fill="{theme.text}" stroke-width="1.5">',
        f'<title id="title">{escape(name)}: {escape(title)}</title>',
        f'<desc id="desc">{escape(described(content))}</desc>',
        "<defs>",
        '<pattern id="hatch" width="12" height="12" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">',
        f'<path d="M0 0V12" stroke="{theme.peers}" stroke-width="3" stroke-opacity="0.5"/>',
        "</pattern>",
        '<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" markerHeight="11"',
        f'  markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="{theme.ours}"/></marker>',
        "</defs>",
        f'<text x="{LEFT}" y="26"><tspan font-size="24" font-weight="bold">{escape(name)}</tspan>'
        f'<tspan dx="10">{escape(title)}</tspan></text>',
        text(LEFT, 54, summary(boxes, staying), fill=theme.quiet),
        *(line for some in boxes.values() for line in drawn_stage(some, staying, base, theme)),
        *drawn_arrows(arrows_of(content, boxes), theme),
        text(LEFT, bottom + 26, scale, fill=theme.quiet),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


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
