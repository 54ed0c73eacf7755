"""Write the pages of the site, and render them.

The pages are the Markdown files of this repository and of a generated project, with links that work on the site, and
those of the explorer. Sphinx, in the virtualenv .venv-site, renders them; any warning, such as a broken link, fails the
build.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools.combinations import COMBINATIONS
from tools.compare import DOCS, LESSONS
from tools.demo import TEMPLATE
from tools.site.explorer import draw_stages, explorer_index, explorer_page, generate_combinations
from tools.site.markdown import REPOSITORY, Source, rewrite_links, rewrite_pictures, toctree
from tools.site.slides import slides_page
from tools.stages import PICTURES, STAGES

SITE = DOCS / "site"
SPHINX = TEMPLATE / ".venv-site/bin/sphinx-build"
# The documents of a generated project that the site contains.
MANUAL = ("building", "operating", "deploying", "debugging")
# The end of the page on teaching; Sphinx copies the slides unchanged.
SLIDES = """
## Slides

<a href="../slides.html">The slides of all lessons</a> are one page. To create a PDF, print it.
"""


def repository_source() -> Source:
    """Return the pages of this repository."""
    documents = {f"docs/{path.name}": path.name for path in sorted(DOCS.glob("*.md"))}
    guides = {f"docs/guides/{path.name}": f"guides/{path.name}" for path in sorted((DOCS / "guides").glob("*.md"))}
    others = {name: name.lower() for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")}
    return Source(TEMPLATE, {"README.md": "index.md", **documents, **guides, **others}, f"{REPOSITORY}/blob/main")


def project_source(project: Path) -> Source:
    """Return the lessons of a generated project, and its documents that explain how to use it."""
    documents = [path.relative_to(project).as_posix() for path in sorted(project.glob("lessons/**/*.md"))]
    lessons = {name: name.replace("README", "index") for name in documents}
    manual = {f"docs/{name}.md": f"project/{name}.md" for name in MANUAL}
    return Source(project, lessons | manual, f"{REPOSITORY}/blob/example/all")


def contents_of_site(lessons: list[str]) -> str:
    """Return the tables of contents of the sidebar."""
    documents = ["questions.md", "updating.md", "comparison.md", "compatibility.md"]
    project = [f"project/{name}.md" for name in MANUAL]
    guides = sorted(f"guides/{path.name}" for path in (DOCS / "guides").glob("*.md"))
    rest = ["decisions.md", "contributing.md", "changelog.md", "security.md"]
    groups = {
        "Use the template": ["explorer/index.md", *documents],
        "Lessons": lessons,
        "Guides": [*guides, *project],
        "About the template": rest,
    }
    return "\n\n".join(toctree(pages, f":caption: {caption}") for caption, pages in groups.items()) + "\n"


def write(directory: Path, page: str, text: str) -> None:
    """Write a page."""
    (directory / page).parent.mkdir(parents=True, exist_ok=True)
    (directory / page).write_text(text, "utf-8")


def write_pages(directory: Path) -> None:
    """Write all pages, and what Sphinx needs to render them."""
    stages = json.loads(STAGES.read_text("utf-8"))
    report = json.loads(COMBINATIONS.read_text("utf-8"))
    shutil.copytree(SITE, directory, ignore=shutil.ignore_patterns("requirements*", "*.css", "__pycache__"))
    (directory / "_static").mkdir()
    for asset in (*PICTURES.glob("*.svg"), *DOCS.glob("*.svg"), *SITE.glob("*.css")):
        shutil.copy(asset, directory / "_static")
    with tempfile.TemporaryDirectory() as name:
        combinations, project = generate_combinations(Path(name))
        sources = [repository_source(), project_source(project)]
        pages = {(source.root / path).resolve(): page for source in sources for path, page in source.pages.items()}
        pages |= {path.resolve(): lesson_page(path) for path in LESSONS.glob("**/*.md")}
        for source in sources:
            for path, page in source.pages.items():
                text = rewrite_links((source.root / path).read_text("utf-8"), source, path, pages)
                write(directory, page, rewrite_pictures(text, page, stages["contents"]))
    lessons = [page for page in sources[1].pages.values() if page.startswith("lessons/")]
    # The introduction, the lessons, and the other pages of the workbook.
    lessons.sort(key=lambda page: (page != "lessons/index.md", -page.count("/"), page))
    with (directory / "index.md").open("a", encoding="utf-8") as file:
        file.write("\n" + contents_of_site(lessons))
    write(directory, "_extra/slides.html", slides_page(sorted(LESSONS.glob("[0-9][0-9]-*/README.md"))))
    with (directory / "lessons/TEACHING.md").open("a", encoding="utf-8") as file:
        file.write(SLIDES)
    write(directory, "explorer/index.md", explorer_index(combinations))
    for each in combinations.values():
        write(directory, f"explorer/{each.name}.md", explorer_page(each, combinations, report))
        draw_stages(each, directory / "_static", report)


def lesson_page(path: Path) -> str:
    """Return the page of a lesson, from its path in the template."""
    return f"lessons/{path.as_posix().partition('/lessons/')[2].replace('README', 'index')}"


def render(pages: Path, target: Path, sphinx: Path = SPHINX) -> None:
    """Render pages with Sphinx; warnings are errors.

    Raises:
        subprocess.CalledProcessError: if Sphinx reports a warning or an error.

    """
    options = ("--builder", "html", "--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env", "--quiet")
    subprocess.run([sphinx, *options, pages, target], check=True)


def build(directory: Path, sphinx: Path = SPHINX) -> Path:
    """Build the site anew, and return the directory with its HTML."""
    shutil.rmtree(directory, ignore_errors=True)
    write_pages(directory / "pages")
    render(directory / "pages", directory / "html", sphinx)
    return directory / "html"
