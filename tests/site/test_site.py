"""`make site`: the site builds without warnings, and the explorer shows the Dockerfiles of generated projects."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from itertools import cycle, product
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest

from tests.conftest import APPS, QUESTIONS, STRATEGIES, TEMPLATE, Bake
from tools.combinations import COMBINATIONS as COMMITTED
from tools.compare import LESSONS, harness
from tools.locks import uv
from tools.site.build import SITE, build, render
from tools.site.explorer import METRICS
from tools.site.markdown import REPOSITORY
from tools.site.slides import LARGEST, fits, font_size

RUNTIMES = QUESTIONS["runtime"]
COMBINATIONS = [*product(STRATEGIES, APPS, RUNTIMES)]
# Each strategy once, and each app and runtime at least once.
GENERATED = [(strategy, *rest) for strategy, rest in zip(STRATEGIES, cycle(product(APPS, RUNTIMES)), strict=False)]
MEASURED = json.loads(COMMITTED.read_text("utf-8"))["combinations"]
DETAILS = re.compile(r"^<details>.*?^</details>$", re.MULTILINE | re.DOTALL)
EXTERNAL = re.compile(r"(https?:)?//")
VOID = ("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr")


class Page(HTMLParser):
    """The links, assets, IDs, headings and preformatted blocks of an HTML page."""

    def __init__(self, text: str) -> None:
        """Parse a page."""
        super().__init__()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.ids: set[str] = set()
        self.headings: list[str] = []
        self.blocks: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Record what a tag refers to."""
        values = {name: value or "" for name, value in attributes}
        if tag not in VOID:
            self._open.append(tag)
        if tag == "a":
            self.links.append(values.get("href", ""))
        self.assets += [values[name] for name in ("src", "srcset", "data", "poster") if name in values]
        if tag == "link":
            self.assets.append(values["href"])
        self.ids.add(values.get("id", ""))
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
        if tag == "pre":
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        """Close a tag, and those in it that have no end."""
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Record text, unescaped."""
        if self._open and self._open[-1] in ("script", "style"):
            return
        self.text += data
        for kind, texts in (("h1", self.headings), ("h2", self.headings), ("h3", self.headings), ("pre", self.blocks)):
            if kind in self._open:
                texts[-1] += data


def broken_links(pages: dict[str, Page], files: set[str]) -> list[str]:
    """List the links and assets of pages that lead to no file or to no anchor of the site."""
    broken = []
    for name, page in pages.items():
        for target in (*page.links, *page.assets):
            if EXTERNAL.match(target) or target.startswith("data:"):
                continue
            path, _, anchor = urljoin(name, target).partition("#")
            path = unquote(path).partition("?")[0]
            if path not in files or (anchor and unquote(anchor) not in pages[path].ids):
                broken.append(f"{name}: {target}")
    return broken


def external_assets(pages: dict[str, Page], styles: dict[str, str]) -> list[str]:
    """List the images, scripts, styles and fonts that a browser would load from another host."""
    found = [f"{name}: {asset}" for name, page in pages.items() for asset in page.assets if EXTERNAL.match(asset)]
    for name, style in styles.items():
        targets = re.findall(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", style)
        found += [f"{name}: {target}" for target in targets]
    return found


@pytest.fixture(scope="module")
def sphinx(index: None, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    """Return sphinx-build in a virtualenv with the locked packages."""
    venv = tmp_path_factory.mktemp("site") / "venv"
    lock = SITE / "requirements.txt"
    uv("venv", "--quiet", "--python", sys.executable, venv)
    uv("pip", "install", "--quiet", "--python", venv, "--require-hashes", "--requirement", lock)
    return venv / "bin/sphinx-build"


@pytest.fixture(scope="module")
def html(sphinx: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the built site; a warning fails the build."""
    return build(tmp_path_factory.mktemp("site") / "build", sphinx)


@pytest.fixture(scope="module")
def pages(html: Path) -> dict[str, Page]:
    """Return all pages of the site."""
    return {path.relative_to(html).as_posix(): Page(path.read_text("utf-8")) for path in html.rglob("*.html")}


def test_links_and_anchors_exist(html: Path, pages: dict[str, Page]) -> None:
    files = {path.relative_to(html).as_posix() for path in html.rglob("*") if path.is_file()}
    assert broken_links(pages, files) == []


def test_links_to_repository_exist(pages: dict[str, Page]) -> None:
    links = {link.partition("#")[0] for page in pages.values() for link in page.links}
    own = [link for link in links if link.startswith(f"{REPOSITORY}/blob/main/")]
    assert f"{REPOSITORY}/blob/main/tools/compat.toml" in own
    assert [link for link in own if not (TEMPLATE / unquote(link).partition("/blob/main/")[2]).exists()] == []


def test_site_loads_no_external_assets(html: Path, pages: dict[str, Page]) -> None:
    styles = {path.name: path.read_text("utf-8") for path in html.rglob("*") if path.suffix in (".css", ".svg")}
    assert styles
    assert external_assets(pages, styles) == []


def test_broken_links_and_external_assets_are_detected() -> None:
    text = '<a href="b.html#x"></a><a href="c.html"></a><a href="https://d.org"></a><img src="//d.org/e.png"><p id="y">'
    pages = {"a.html": Page(text), "b.html": Page('<link href="https://d.org/f.css">')}
    assert broken_links(pages, {"a.html", "b.html"}) == ["a.html: b.html#x", "a.html: c.html"]
    styles = {"g.css": '@font-face {src: url("https://d.org/h.woff2")} i {background: url(data:image/png;base64,aa)}'}
    assert external_assets(pages, styles) == [
        "a.html: //d.org/e.png",
        "b.html: https://d.org/f.css",
        "g.css: https://d.org/h.woff2",
    ]


@pytest.mark.parametrize("target", ["missing.md", "#missing"])
def test_broken_link_fails_build(sphinx: Path, tmp_path: Path, target: str) -> None:
    shutil.copytree(SITE, tmp_path / "pages")
    (tmp_path / "pages/_static").mkdir()
    (tmp_path / "pages/index.md").write_text(f"# Page\n\n[a link]({target})\n", "utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        render(tmp_path / "pages", tmp_path / "html", sphinx)


def test_every_document_has_a_page(pages: dict[str, Page]) -> None:
    documents = [*(TEMPLATE / "docs").glob("*.md"), *(TEMPLATE / "docs/guides").glob("*.md")]
    addresses = {path.relative_to(TEMPLATE / "docs").with_suffix(".html").as_posix() for path in documents}
    addresses |= {f"lessons/{path.parent.name}/index.html" for path in LESSONS.glob("*/README.md")}
    explorer = {f"explorer/{'-'.join(combination)}.html" for combination in COMBINATIONS}
    assert {"index.html", "explorer/index.html", *addresses, *explorer} <= pages.keys()
    assert {name for name in pages if re.match(r"explorer/\w+-", name)} == explorer


def test_slides_show_every_code_block_but_no_solution(pages: dict[str, Page]) -> None:
    slides = pages["slides.html"]
    lessons = [path.read_text("utf-8") for path in sorted(LESSONS.glob("[0-9][0-9]-*/README.md"))]
    titles = [lesson.splitlines()[0].removeprefix("# ").replace("`", "") for lesson in lessons]
    assert set(titles) <= set(slides.headings)
    fence = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    hidden = [block for lesson in lessons for block in fence.findall("".join(DETAILS.findall(lesson)))]
    texts = [DETAILS.sub("", lesson.partition("## In this project")[0]) for lesson in lessons]
    shown = [block for text in texts for block in fence.findall(text)]
    assert len(hidden) > len(lessons)
    assert sorted(slides.blocks) == sorted(shown)


@pytest.mark.parametrize("text", ["x" * 90, "one line\n" * 12, "word " * 300, "| a | b |\n" * 9])
def test_largest_font_that_fits_is_used(text: str) -> None:
    size = font_size(text)
    assert fits(text, size)
    assert size == LARGEST or not fits(text, size + 1)


@pytest.mark.parametrize(("strategy", "app", "runtime"), GENERATED)
def test_explorer_shows_generated_dockerfile(
    pages: dict[str, Page], bake_once: Bake, strategy: str, app: str, runtime: str
) -> None:
    project = bake_once(strategy=strategy, app=app, runtime=runtime)
    page = pages[f"explorer/{strategy}-{app}-{runtime}.html"]
    assert page.blocks[-1].splitlines() == project.read("Dockerfile").splitlines()


@pytest.mark.parametrize(("strategy", "app", "runtime"), COMBINATIONS)
def test_explorer_explains_every_stage(pages: dict[str, Page], strategy: str, app: str, runtime: str) -> None:
    page = pages[f"explorer/{strategy}-{app}-{runtime}.html"]
    dockerfile = page.blocks[-1]
    headings = [heading.removesuffix("\u00b6") for heading in page.headings]
    stages = re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE)
    assert len(stages) >= 5
    assert [heading for heading in headings if heading in stages] == stages
    # Every instruction is in the block of a step, and every comment above one is text.
    shown = {line for block in page.blocks[:-1] for line in block.splitlines()}
    text = " ".join(page.text.split())
    for comment, code in re.findall(r"((?:^#(?! hadolint).*\n)*)(^(?:[A-Z]+ |# hadolint).*)", dockerfile, re.MULTILINE):
        assert code in shown
        words = " ".join(line.lstrip("# ") for line in comment.splitlines()).replace("`", "")
        assert " ".join(words.split()) in text


@pytest.mark.parametrize(("strategy", "app", "runtime"), COMBINATIONS)
def test_explorer_shows_measurements_and_stages(
    html: Path, pages: dict[str, Page], strategy: str, app: str, runtime: str
) -> None:
    name = f"{strategy}-{app}-{runtime}"
    text = pages[f"explorer/{name}.html"].text
    for metric in METRICS:
        assert harness.value_cell(metric, MEASURED[name]["metrics"][metric]) in text
    layers = {layer["name"] for stage in MEASURED[name]["stages"].values() for layer in stage}
    assert len(layers) > 5
    assert all(layer in text for layer in layers)
    pictures = {asset for asset in pages[f"explorer/{name}.html"].assets if asset.endswith(f"/{name}-light.svg")}
    assert len(pictures) == (runtime == "slim")
    for picture in pictures:
        drawing = (html / "explorer" / picture).read_text("utf-8")
        assert all(f">{layer}<" in drawing for layer in layers)


def test_explorer_shows_differences_from_neighbours(pages: dict[str, Page]) -> None:
    pair = pages["explorer/venv-cli-slim.html"].blocks[-1], pages["explorer/user-cli-slim.html"].blocks[-1]
    venv, user = (set(dockerfile.splitlines()) for dockerfile in pair)
    (shown,) = [block for block in pages["explorer/user-cli-slim.html"].blocks if block.startswith("--- venv-cli-slim")]
    changed = {line for line in shown.splitlines()[2:] if line[:1] in ("-", "+")}
    assert {f"-{line}" for line in venv - user} | {f"+{line}" for line in user - venv} <= changed
