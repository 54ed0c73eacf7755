"""Build the site: `python -m tools.site [--serve]`, with the explorer of all strategies.

The pages are the Markdown files of this repository and of a generated project, with links that work on the site. The
explorer has a page for each combination of strategy, app and runtime, made from a project generated with it. Sphinx, in
the virtualenv .venv-site, renders the pages; any warning, such as a broken link, fails the build.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from tools.compare import harness as harness
from tools.demo import SLUG, TEMPLATE
from tools.pictures import ARTIFACTS, BASE, RUNTIME, format_size, merge_adjacent
from tools.slides import slides_page
from tools.stages import LESSONS, PICTURES, STAGES, STRATEGIES, copies_of, stages_of

DOCS = TEMPLATE / "docs"
SITE = DOCS / "site"
BUILD = TEMPLATE / "build/site"
SPHINX = TEMPLATE / ".venv-site/bin/sphinx-build"
QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
# The workflow sets both variables.
REPOSITORY = "/".join(
    (os.environ.get("GITHUB_SERVER_URL", "https://github.com"), os.environ.get("GITHUB_REPOSITORY", "org/template"))
)
# The questions of the explorer, in the order of its addresses.
CHOICES = {"strategy": STRATEGIES, "app": QUESTIONS["app"], "runtime": QUESTIONS["runtime"]}
METRICS = ("size", "compressed", "start", "cold", "edit_py", "edit_c")
PICTURE = re.compile(r'<picture>\s*<source[^>]* srcset="([^"]+)">\s*<img alt="([^"]*)" src="([^"]+)">\s*</picture>')
# The end of the page on teaching; Sphinx copies the slides unchanged.
SLIDES = """
## Slides

<a href="../slides.html">The slides of all lessons</a> are one page. To create a PDF, print it.
"""
# A fence, and the rest of its block; or the target of a link.
LINK = re.compile(r"^( *)(`{3,}).*?^\1\2 *$|\]\(([^)\s]+)\)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A directory with Markdown files, the addresses of its pages, and the address of its other files."""

    root: Path
    pages: dict[str, str]
    files: str


@dataclass(frozen=True)
class Combination:
    """A choice of strategy, app and runtime, and the Dockerfile of the project generated with it."""

    answers: dict[str, str]
    dockerfile: str

    @property
    def name(self) -> str:
        """The name of the page."""
        return page_name(self.answers)


@dataclass(frozen=True)
class Step:
    """Instructions of a Dockerfile, and the comment above them."""

    comment: list[str]
    code: list[str]


def page_name(answers: dict[str, str]) -> str:
    """Return the name of the page of a combination, such as venv-service-slim."""
    return "-".join(answers[question] for question in CHOICES)


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
    names = ("building", "operating", "deploying", "debugging")
    manual = {f"docs/{name}.md": f"project/{name}.md" for name in names}
    return Source(project, lessons | manual, f"{REPOSITORY}/blob/example/all")


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
    return f'<div class="wide">\n{images}\n</div>\n{narrow_picture(content, description)}'


def narrow_picture(content: dict[str, Any], description: str) -> str:
    """Return the stages and their layers as a list that fits a narrow screen."""
    return "\n".join([f'<div class="narrow" role="img" aria-label="{description}">', *narrow_lines(content), "</div>"])


def narrow_lines(content: dict[str, Any]) -> Iterator[str]:
    """Return the HTML of each stage: its name, its size, and its layers, topmost first."""
    copied = {tuple(box): copy["to"] for copy in content["copies"] for box in copy["from"]}
    origins: dict[tuple[str, str], list[str]] = {}
    for copy in content["copies"]:
        origins.setdefault((copy["to"], copy["into"]), []).append(f"{copy['how']} {copy['source']}")
    for stage, layers in content["stages"].items():
        total = "exported" if stage == ARTIFACTS else format_size(sum(layer["bytes"] for layer in layers))
        yield f'<div class="stage"><b>{stage}</b><span>{total}</span></div>'
        for name, size in merge_adjacent(layers):
            target = copied.get((stage, name))
            note = f"copied to {target}" if target else "not copied"
            if name == BASE or stage in (RUNTIME, ARTIFACTS):
                note = ", ".join(dict.fromkeys(origins.get((stage, name), [])))
            look = "base" if name == BASE else "rest" if note == "not copied" else "copied"
            yield f'<div class="layer {look}"><span>{escape(name)}</span><span>{format_size(size)}</span>'
            yield f"<small>{escape(note)}</small></div>" if note else "</div>"


def generate(directory: Path, answers: dict[str, str]) -> Path:
    """Generate a project, without the output of the hooks."""
    command = [sys.executable, "-m", "cookiecutter", "--default-config", "--no-input", "--output-dir", str(directory)]
    arguments = [str(TEMPLATE), *(f"{question}={answer}" for question, answer in answers.items())]
    subprocess.run([*command, *arguments], check=True, stdout=subprocess.DEVNULL)
    return directory / SLUG


def generate_combinations(directory: Path) -> tuple[dict[str, Combination], Path]:
    """Generate projects with all strategies, and return each combination of answers, and the default project."""
    projects = {}
    for app, runtime in product(CHOICES["app"], CHOICES["runtime"]):
        answers = {"strategy": "all", "app": app, "runtime": runtime}
        projects[app, runtime] = generate(directory / page_name(answers), answers)
    combinations = {}
    for strategy, app, runtime in product(*CHOICES.values()):
        file = f"strategies/{strategy}/Dockerfile"
        dockerfile = (projects[app, runtime] / file).read_text("utf-8")
        answers = {"strategy": strategy, "app": app, "runtime": runtime}
        # A project with a single strategy has the same Dockerfile in its root, where docker finds it.
        combinations[page_name(answers)] = Combination(answers, dockerfile.replace(f" --file {file}", ""))
    return combinations, next(iter(projects.values()))


def steps_of(dockerfile: str) -> list[Step]:
    """Split a Dockerfile into instructions with the comments above them; each stage starts a new step."""
    steps = [Step([], [])]
    end = ""
    for line in dockerfile.splitlines():
        is_comment = not end and line.startswith("#") and not line.startswith("# hadolint")
        is_start = is_comment or (not end and line.startswith("FROM "))
        if (steps[-1].code and is_start) or (steps[-1].comment and not line and not steps[-1].code):
            steps.append(Step([], []))
        if is_comment:
            steps[-1].comment.append(line.removeprefix("#").removeprefix(" "))
        elif line or steps[-1].code:
            steps[-1].code.append(line)
        if line == end:
            end = ""
        elif heredoc := re.search(r"<<'?(\w+)'?", line):
            end = heredoc[1]
    return steps


def stage_steps(dockerfile: str) -> list[tuple[str, list[Step]]]:
    """Group the steps of a Dockerfile by stage; those before the first stage have the name of no stage."""
    stages: list[tuple[str, list[Step]]] = [("", [])]
    for step in steps_of(dockerfile):
        if start := next((line for line in step.code if line.startswith("FROM ")), None):
            stages.append((start.partition(" AS ")[2] or "default target", []))
        stages[-1][1].append(step)
    return stages


def prose(lines: list[str]) -> str:
    """Return the HTML of a comment, whose words may contain any character; code is in backticks."""
    text = escape(" ".join(line.strip() for line in lines), quote=False)
    text = re.sub("`([^`]+)`", r'<code class="docutils literal">\1</code>', text)
    return f'<p class="why">{text}</p>'


def code_block(language: str, lines: list[str]) -> str:
    """Return a block of code."""
    return "\n".join([f"```{language}", *("\n".join(lines).strip("\n").splitlines()), "```"])


def stages_section(dockerfile: str) -> Iterator[str]:
    """Explain each stage: its comments as text, above their instructions."""
    (_, first), *stages = stage_steps(dockerfile)
    yield "## Stages\n\nThe comments of the Dockerfile are shown as text above the instructions that they explain."
    header, *rest = first
    yield code_block("text", header.comment)
    yield from explain([Step([], header.code), *rest])
    for name, steps in stages:
        yield f"### {name}"
        yield from explain(steps)


def explain(steps: list[Step]) -> Iterator[str]:
    """Return the comment and the instructions of each step."""
    for step in steps:
        if step.comment:
            yield prose(step.comment)
        if any(step.code):
            yield code_block("dockerfile", step.code)


def copies_table(dockerfile: str) -> str:
    """Return a table of the copies between the stages that the final image needs."""
    default = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    resolved = re.sub(
        r"^(FROM )\$\{(\w+)\}", lambda match: match[1] + default[match[2]], dockerfile, flags=re.MULTILINE
    )
    stages = stages_of(resolved)
    needed, rows = [RUNTIME], []
    for name in needed:
        copies = [copy for step in stages[name].steps for copy in copies_of(step, stages)]
        needed += [other for other in (stages[name].parent, *(copy.stage for copy in copies)) if other in stages]
        rows += [f"| `{copy.stage}` | {copy.how} `{copy.source}` | `{name}` |" for copy in copies]
    return "\n".join(["| from | files | to |", "| --- | --- | --- |", *dict.fromkeys(rows)])


def measured_content(answers: dict[str, str], contents: dict[str, Any]) -> Any:
    """Return the measured stages of a combination, or None; `make pictures` builds the default app and runtime."""
    is_default = all(answers[question] == CHOICES[question][0] for question in ("app", "runtime"))
    return contents.get(answers["strategy"]) if is_default else None


def copies_section(combination: Combination, report: dict[str, Any]) -> Iterator[str]:
    """Show what is copied between stages, with a picture if the stages were measured."""
    page = f"explorer/{combination.name}.md"
    yield "## Copies between stages"
    yield "Only these files are copied or mounted from one stage to another on the way to the final image."
    yield copies_table(combination.dockerfile)
    if content := measured_content(combination.answers, report["contents"]):
        strategy = combination.answers["strategy"]
        yield picture(strategy, f"Stages of the {strategy} strategy, to scale", page, content)
        yield f"Sizes on {report['architecture']}, measured {report['date'][:10]}."
    else:
        default = page_name({**combination.answers, **{name: CHOICES[name][0] for name in ("app", "runtime")}})
        yield (
            "The layers of this combination were not measured. "
            f"[{default}]({default}.md#copies-between-stages) has a picture of its stages, to scale."
        )


def method_of(answers: dict[str, str]) -> str | None:
    """Return the name of a combination in the comparison, which measures only services."""
    if answers["app"] != "service":
        return None
    return answers["strategy"] if answers["runtime"] == "slim" else f"{answers['strategy']}-{answers['runtime']}"


def measurements_section(
    combination: Combination, combinations: dict[str, Combination], report: dict[str, Any]
) -> Iterator[str]:
    """Show the size, startup and build times of a combination, or that it was not measured."""
    yield "## Size, startup and build times"
    methods = {name: method_of(other.answers) for name, other in combinations.items()}
    if (method := methods[combination.name]) not in report["methods"]:
        measured = (f"[{name}]({name}.md)" for name, other in methods.items() if other in report["methods"])
        yield (
            "This combination was not measured. [The comparison](../comparison.md) measures a service, with these "
            f"combinations: {', '.join(measured)}."
        )
        return
    summaries = report["methods"][method]
    yield (
        f"From [the comparison](../comparison.md) of {report['date'][:10]}: median (min to max) of {report['rounds']} "
        f"rounds, and the ratio to `{harness.FIRST}` in the same round."
    )
    rows = [
        f"| {metric.title}, {metric.unit} | {harness.value_cell(name, summaries[name])} | "
        f"{harness.ratio_cell(name, summaries[name])} |"
        for name in METRICS
        if name in summaries
        for metric in [harness.METRICS[name]]
    ]
    yield "\n".join([f"| | measured | relative to {harness.FIRST} |", "| --- | ---: | ---: |", *rows])


def neighbours(answers: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Return the combinations that differ in one answer: the neighbouring strategies, the other app and runtime."""
    found = []
    for question, values in CHOICES.items():
        place = values.index(answers[question])
        others = [*values[max(place - 1, 0) : place], *values[place + 1 : place + 2]]
        found += [(question, {**answers, question: other}) for other in others]
    return found


def differences_section(combination: Combination, combinations: dict[str, Combination]) -> Iterator[str]:
    """Show how the Dockerfile differs from those of its neighbours, line by line."""
    yield "## Differences"
    yield "Lines with `-` are only in the other Dockerfile, and lines with `+` only in this one."
    for question, answers in neighbours(combination.answers):
        other = combinations[page_name(answers)]
        lines = difflib.unified_diff(
            other.dockerfile.splitlines(),
            combination.dockerfile.splitlines(),
            other.name,
            combination.name,
            n=2,
            lineterm="",
        )
        yield f"### From {question}={answers[question]}\n\nCompared with [{other.name}]({other.name}.md):"
        yield f"<details{' open' if question == 'strategy' else ''}>\n<summary>Changed lines</summary>"
        yield code_block("diff", list(lines))
        yield "</details>"


def chooser(combination: Combination) -> str:
    """Return links to the pages of the other answers, one line for each question."""
    lines = []
    for question, values in CHOICES.items():
        links = (
            f"**{value}**"
            if value == combination.answers[question]
            else f"[{value}]({page_name({**combination.answers, question: value})}.md)"
            for value in values
        )
        lines.append(f"| [{question}](../questions.md#{question}) | {' · '.join(links)} |")
    return "\n".join(["| choose | |", "| --- | --- |", *lines])


def explorer_page(
    combination: Combination, combinations: dict[str, Combination], measured: dict[str, Any], report: dict[str, Any]
) -> str:
    """Return the page of a combination, in Markdown."""
    answers = " ".join(f"{question}={answer}" for question, answer in combination.answers.items())
    title = ", ".join(combination.answers.values())
    stages = " · ".join(f"[{name}](#{name.replace(' ', '-')})" for name, _ in stage_steps(combination.dockerfile)[1:])
    parts = [
        f"# {title}",
        chooser(combination),
        code_block("console", [f"$ pipx run cookiecutter gh:{REPOSITORY.split('/', 3)[3]} {answers}"]),
        f"Stages: {stages}",
        *measurements_section(combination, combinations, report),
        *copies_section(combination, measured),
        *stages_section(combination.dockerfile),
        *differences_section(combination, combinations),
        "## The complete Dockerfile",
        "<details>\n<summary>Show the Dockerfile</summary>",
        code_block("dockerfile", combination.dockerfile.splitlines()),
        "</details>",
    ]
    return "\n\n".join(parts) + "\n"


def explorer_index(combinations: dict[str, Combination]) -> str:
    """Return the page that links all combinations."""
    labels = QUESTIONS["__prompts__"]["strategy"]
    rows = [
        f"| {labels[strategy]} | {' | '.join(links_to(strategy, app) for app in CHOICES['app'])} |"
        for strategy in STRATEGIES
    ]
    parts = [
        "# Explorer",
        "Choose a build strategy, an app and a runtime, to see the generated Dockerfile: an explanation of each stage, "
        "files copied between stages, the differences from its neighbours, and its measured size and build times.",
        "\n".join([f"| strategy | {' | '.join(CHOICES['app'])} |", f"| --- |{' --- |' * len(CHOICES['app'])}", *rows]),
        "The pages are made from projects generated with the same version of the template as this site.",
        toctree(combinations),
    ]
    return "\n\n".join(parts) + "\n"


def links_to(strategy: str, app: str) -> str:
    """Return links to the pages of a strategy and an app, one line for each runtime."""
    answers = {"strategy": strategy, "app": app}
    names = {runtime: page_name({**answers, "runtime": runtime}) for runtime in CHOICES["runtime"]}
    return "<br>".join(f"[{runtime}]({name}.md)" for runtime, name in names.items())


def toctree(pages: Iterable[str], *options: str) -> str:
    """Return a hidden table of contents, which Sphinx shows in the sidebar."""
    return code_block("{toctree}", [":hidden:", *options, "", *(page.removesuffix(".md") for page in pages)])


def contents_of_site(lessons: list[str]) -> str:
    """Return the tables of contents of the sidebar."""
    documents = ["questions.md", "updating.md", "comparison.md", "compatibility.md"]
    project = [f"project/{name}.md" for name in ("building", "operating", "deploying", "debugging")]
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
    report = json.loads((DOCS / "comparison.json").read_text("utf-8"))
    shutil.copytree(SITE, directory, ignore=shutil.ignore_patterns("requirements*", "*.css", "__pycache__"))
    (directory / "_static").mkdir()
    for asset in (*PICTURES.glob("*.svg"), *DOCS.glob("*.svg"), *SITE.glob("*.css")):
        shutil.copy(asset, directory / "_static")
    with tempfile.TemporaryDirectory() as name:
        combinations, project = generate_combinations(Path(name))
        sources = [repository_source(), project_source(project)]
        pages = {(source.root / path).resolve(): page for source in sources for path, page in source.pages.items()}
        lesson_paths = [*TEMPLATE.glob("*/_variants/strategy/all/lessons/**/*.md")]
        pages |= {path.resolve(): lesson_page(path) for path in lesson_paths}
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
        write(directory, f"explorer/{each.name}.md", explorer_page(each, combinations, stages, report))


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


def serve(html: Path) -> None:
    """Serve the site on this host until it is interrupted."""
    handler: Callable[..., SimpleHTTPRequestHandler] = partial(SimpleHTTPRequestHandler, directory=str(html))
    with ThreadingHTTPServer(("127.0.0.1", 8000), handler) as server:
        print("Serving the site on http://127.0.0.1:8000/; press Ctrl-C to stop.", flush=True)
        server.serve_forever()


def main(arguments: list[str] | None = None) -> None:
    """Build the site in build/site/html, and serve it if requested."""
    parser = argparse.ArgumentParser(prog="site", description="Build the site in build/site/html.")
    parser.add_argument("--serve", action="store_true", help="serve it on http://127.0.0.1:8000/")
    options = parser.parse_args(arguments)
    html = build(BUILD)
    if options.serve:
        serve(html)


if __name__ == "__main__":
    try:
        main()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"site: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
