"""Markdown for the site: links, pictures for each theme and for narrow screens, and blocks of code."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tools.pictures import ARTIFACTS, BASE, RUNTIME, format_size, merge_adjacent

# The workflow sets both variables.
REPOSITORY = "/".join(
    (os.environ.get("GITHUB_SERVER_URL", "https://github.com"), os.environ.get("GITHUB_REPOSITORY", "org/template"))
)
# A picture for dark pages, its description, and the picture for light pages.
PICTURE = re.compile(r'<picture>\s*<source[^>]* srcset="([^"]+)">\s*<img alt="([^"]*)" src="([^"]+)">\s*</picture>')
# A fence, and the rest of its block; or the target of a link.
LINK = re.compile(r"^( *)(`{3,}).*?^\1\2 *$|\]\(([^)\s]+)\)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A directory with Markdown files, the addresses of its pages, and the address of its other files."""

    root: Path
    pages: dict[str, str]
    files: str


def rewrite_links(text: str, source: Source, name: str, pages: dict[Path, str]) -> str:
    """Point each relative link to the page of its target, or to the target's address in the repository.

    Raises:
        FileNotFoundError: if the target does not exist.

    """

    def rewrite(match: re.Match[str]) -> str:
        target = match[3]
        if target is None or target.startswith(("#", "https://", "http://")):
            return match[0]
        path, hash_mark, anchor = target.partition("#")
        file = (source.root / name).parent.joinpath(unquote(path)).resolve(strict=True)
        if page := pages.get(file):
            return f"]({relative(page, source.pages[name])}{hash_mark}{anchor})"
        return f"]({source.files}/{quote(file.relative_to(source.root.resolve()).as_posix())}{hash_mark}{anchor})"

    return LINK.sub(rewrite, text)


def relative(target: str, page: str) -> str:
    """Return the relative path from a page to another file of the site."""
    return posixpath.relpath(target, posixpath.dirname(page))


def rewrite_pictures(text: str, page: str, contents: dict[str, Any]) -> str:
    """Replace pictures, so that they follow the theme of the site, and those of stages are readable on a phone."""

    def rewrite(match: re.Match[str]) -> str:
        name = posixpath.basename(match[3]).removesuffix("-light.svg")
        return picture(name, match[2], page, contents.get(name))

    return PICTURE.sub(rewrite, text)


def picture(name: str, description: str, page: str, content: Any) -> str:
    """Return a picture for each theme and, if it shows stages, one for narrow screens."""
    images = "\n".join(
        f'<img class="only-{theme}" alt="{description}" src="{relative(f"_static/{name}-{theme}.svg", page)}">'
        for theme in ("light", "dark")
    )
    if content is None:
        return f'<div class="chart">\n{images}\n</div>'
    return f'<div class="wide">\n{images}\n</div>\n<div class="narrow">\n{list_of_stages(content, description)}\n</div>'


def list_of_stages(content: dict[str, Any], description: str) -> str:
    """Return the stages and their layers as a list, which also fits a narrow screen."""
    return "\n".join([f'<div class="stages" role="img" aria-label="{description}">', *stage_lines(content), "</div>"])


def stage_lines(content: dict[str, Any]) -> Iterator[str]:
    """Return the HTML of each stage: its name, its size, and its layers, topmost first."""
    targets: dict[tuple[str, ...], dict[str, None]] = {}
    for copy in content["copies"]:
        for box in copy["from"]:
            targets.setdefault(tuple(box), {})[copy["to"]] = None
    origins: dict[tuple[str, str], list[str]] = {}
    for copy in content["copies"]:
        origins.setdefault((copy["to"], copy["into"]), []).append(f"{copy['how']} {copy['source']}")
    for stage, layers in content["stages"].items():
        total = "exported" if stage == ARTIFACTS else format_size(sum(layer["bytes"] for layer in layers))
        yield f'<div class="stage"><b>{stage}</b><span>{total}</span></div>'
        for name, size in merge_adjacent(layers):
            to = targets.get((stage, name))
            note = f"copied to {', '.join(to)}" if to else "not copied"
            if name == BASE or stage in (RUNTIME, ARTIFACTS):
                note = ", ".join(dict.fromkeys(origins.get((stage, name), [])))
            look = "base" if name == BASE else "rest" if note == "not copied" else "copied"
            yield f'<div class="layer {look}"><span>{escape(name)}</span><span>{format_size(size)}</span>'
            yield f"<small>{escape(note)}</small></div>" if note else "</div>"


def prose(lines: list[str]) -> str:
    """Return the HTML of a comment, whose words may contain any character; code is in backticks."""
    text = escape(" ".join(line.strip() for line in lines), quote=False)
    text = re.sub("`([^`]+)`", r'<code class="docutils literal">\1</code>', text)
    return f'<p class="why">{text}</p>'


def code_block(language: str, lines: list[str]) -> str:
    """Return a block of code."""
    return "\n".join([f"```{language}", *("\n".join(lines).strip("\n").splitlines()), "```"])


def toctree(pages: Iterable[str], *options: str) -> str:
    """Return a hidden table of contents, which Sphinx shows in the sidebar."""
    return code_block("{toctree}", [":hidden:", *options, "", *(page.removesuffix(".md") for page in pages)])
