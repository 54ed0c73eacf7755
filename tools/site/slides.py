"""Slides of the workbook: one HTML page, which a browser shows or prints, made from the lessons.

A slide contains a code block, a picture or the end of a section, with the text above it. Solutions and hints are left
out.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from tools.site.markdown import PICTURE

# A code block, a picture, or anything else up to an empty line.
PART = re.compile(r"^```.*?^```$|^<picture>.*?^</picture>$|(?:^(?!```|<picture>)[^\n]+\n)+", re.MULTILINE | re.DOTALL)
LEFT_OUT = re.compile(r"^<details>.*?^</details>\n|^<!--.*?-->\n|^## In this project\n.*", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")
# The largest and the smallest font, and the space for the text on a slide of 1280 by 720, in pixels.
LARGEST, SMALLEST = 26, 15
WIDTH, HEIGHT = 1130, 570
# The width of a character, and the height of a line, relative to the size of the font.
CHARACTER, LINE = 0.6, 1.35
STYLE = """
@page { size: 1280px 720px; margin: 0; }
* { box-sizing: border-box; }
body { margin: 0; background: #ddd; color: #1f2328; font-family: system-ui, sans-serif; }
section { width: 1280px; height: 720px; margin: 0 auto 16px; padding: 36px 56px; overflow: hidden; background: #fff;
  break-after: page; display: flex; flex-direction: column; }
section > div { margin: auto 0; }
h1 { font-size: 56px; } h2 { font-size: 24px; margin: 0; color: #59636e; font-weight: normal; }
p, li, td, th { line-height: 1.35; margin: 0.4em 0; }
.long pre { columns: 2; font-size: 14px; }
pre { margin: 0.4em 0; padding: 0.6em; background: #f6f8fa; line-height: 1.3; white-space: pre-wrap; }
table { border-collapse: collapse; }
td, th { border-bottom: 1px solid #d1d9e0; padding: 0.2em 0.6em; text-align: left; }
img { display: block; max-width: 100%; max-height: 600px; margin: auto; }
@media print { body { background: none; } section { margin: 0; } }
"""


def split(section: str) -> Iterator[str]:
    """Split a section into slides: each ends with a code block or a picture, or when it is full."""
    slide: list[str] = []
    for part in PART.findall(section):
        if slide and not fits("\n\n".join([*slide, part]), SMALLEST):
            yield "\n\n".join(slide)
            slide = []
        slide.append(part.strip())
        if part.startswith(("```", "<picture>")):
            yield "\n\n".join(slide)
            slide = []
    if slide:
        yield "\n\n".join(slide)


def slides_of(page: str) -> Iterator[tuple[str, str]]:
    """Return the slides of a lesson: the title of the section, and Markdown. The first is the title of the lesson."""
    title, _, text = LEFT_OUT.sub("", page).partition("\n")
    introduction, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    yield "", title
    name = title.removeprefix("# ")
    for slide in split(introduction):
        yield name, slide
    for section in sections:
        heading, _, content = section.partition("\n")
        for slide in split(content):
            yield f"{name}: {heading}", slide


def fits(text: str, size: int) -> bool:
    """Return whether a text fits on a slide in a font; the cells of a table have additional space."""
    columns = int(WIDTH / (CHARACTER * size))
    lines = sum(1 + max(len(line) - 1, 0) // columns for line in text.splitlines()) + text.count("\n|") / 2
    return lines * LINE * size <= HEIGHT


def font_size(text: str) -> int:
    """Return the size of the largest font in which a slide's text fits, in pixels."""
    return next((size for size in range(LARGEST, SMALLEST, -1) if fits(text, size)), SMALLEST)


def render_slide(heading: str, text: str, markdown: MarkdownIt) -> str:
    """Return the HTML of a slide. Links become text, and pictures are those of the site for light pages."""
    text = PICTURE.sub(
        lambda match: f'<img alt="{match[2]}" src="_static/{posixpath.basename(match[3])}">', LINK.sub(r"\1", text)
    )
    text = re.sub(r"^```.*$", lambda fence: fence[0].partition(" ")[0], text, flags=re.MULTILINE)
    above = f"<h2>{escape(heading.replace('`', ''))}</h2>\n" if heading else ""
    look = "" if fits(text, SMALLEST) else ' class="long"'
    content = f'<div style="font-size: {font_size(text)}px">\n{markdown.render(text)}</div>'
    return f"<section{look}>\n{above}{content}\n</section>"


def slides_page(lessons: list[Path]) -> str:
    """Return the page with the slides of all lessons."""
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    slides = [slide for path in lessons for slide in slides_of(path.read_text("utf-8"))]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Slides of the workbook</title>',
            f"<style>{STYLE}</style>\n</head>\n<body>",
            *(render_slide(heading, text, markdown) for heading, text in slides),
            "</body>\n</html>\n",
        ]
    )
