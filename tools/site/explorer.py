"""The explorer: a page for each combination of strategy, app and runtime, made from projects generated with it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tools.combinations import CHOICES
from tools.compare import describe_environment, generate_project, harness
from tools.demo import QUESTIONS, STRATEGIES
from tools.pictures import RUNTIME, draw
from tools.site.markdown import REPOSITORY, code_block, list_of_stages, picture, prose, toctree
from tools.stages import copies_of, stages_of, title_of

METRICS = ("size", "compressed", "start", "cold", "edit_py", "edit_c")


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


def generate_combinations(directory: Path) -> tuple[dict[str, Combination], Path]:
    """Generate projects with all strategies, and return each combination of answers, and the default project."""
    projects = {}
    for app, runtime in product(CHOICES["app"], CHOICES["runtime"]):
        place = directory / f"{app}-{runtime}"
        projects[app, runtime] = generate_project(place, f"app={app}", f"runtime={runtime}")
    combinations = {}
    for strategy, app, runtime in product(*CHOICES.values()):
        file = f"strategies/{strategy}/Dockerfile"
        dockerfile = (projects[app, runtime] / file).read_text("utf-8")
        answers = {"strategy": strategy, "app": app, "runtime": runtime}
        # A project with a single strategy has the same Dockerfile in its root, where docker finds it.
        combinations[page_name(answers)] = Combination(answers, dockerfile.replace(f" --file {file}", ""))
    return combinations, next(iter(projects.values()))


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


def explorer_page(combination: Combination, combinations: dict[str, Combination], report: dict[str, Any]) -> str:
    """Return the page of a combination, in Markdown."""
    answers = " ".join(f"{question}={answer}" for question, answer in combination.answers.items())
    title = ", ".join(combination.answers.values())
    stages = " · ".join(f"[{name}](#{name.replace(' ', '-')})" for name, _ in stage_steps(combination.dockerfile)[1:])
    parts = [
        f"# {title}",
        chooser(combination),
        code_block("console", [f"$ pipx run cookiecutter gh:{REPOSITORY.split('/', 3)[3]} {answers}"]),
        f"Stages: {stages}",
        *measurements_section(combination, report),
        *copies_section(combination, report),
        *stages_section(combination.dockerfile),
        *differences_section(combination, combinations),
        "## The complete Dockerfile",
        "<details>\n<summary>Show the Dockerfile</summary>",
        code_block("dockerfile", combination.dockerfile.splitlines()),
        "</details>",
    ]
    return "\n\n".join(parts) + "\n"


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


def measurements_section(combination: Combination, report: dict[str, Any]) -> Iterator[str]:
    """Show the size, startup and build times of a combination."""
    yield "## Size, startup and build times"
    first = page_name({**combination.answers, "strategy": harness.FIRST})
    metrics = report["combinations"][combination.name]["metrics"]
    rows = [
        f"| {harness.METRICS[name].title}, {harness.METRICS[name].unit} | {harness.value_cell(name, metrics[name])} | "
        f"{harness.ratio_cell(name, metrics[name])} |"
        for name in METRICS
    ]
    yield "\n".join([f"| | median (min to max) | relative to `{first}` |", "| --- | ---: | ---: |", *rows])
    if combination.answers["app"] == "cli":
        yield "A command without input has no response before its end, so `docker run` is timed until it exits."
    yield describe_environment(report)


def copies_section(combination: Combination, report: dict[str, Any]) -> Iterator[str]:
    """Show what is copied between stages, as a table and as a picture."""
    page = f"explorer/{combination.name}.md"
    yield "## Copies between stages"
    yield "Only these files are copied or mounted from one stage to another on the way to the final image."
    yield copies_table(combination.dockerfile)
    measured = report["combinations"][combination.name]
    if is_drawable(combination):
        yield picture(combination.name, f"Stages of {combination.name}, to scale", page, measured)
    else:
        yield list_of_stages(measured, f"Stages of {combination.name}")
    yield f"Sizes of the files on {report['architecture']}."


def is_drawable(combination: Combination) -> bool:
    """Return whether two columns can show all copies: a minimal image is copied from an intermediate stage."""
    return combination.answers["runtime"] == "slim"


def draw_stages(combination: Combination, directory: Path, report: dict[str, Any]) -> None:
    """Draw the stages of a combination into a directory, if possible."""
    if is_drawable(combination):
        name, title = combination.name, title_of(combination.answers["strategy"])
        draw(directory / name, name, title, report["base"], report["combinations"][name])


def copies_table(dockerfile: str) -> str:
    """Return a table of the copies between the stages that the final image needs."""
    stages = stages_of(dockerfile)
    needed, rows = [RUNTIME], []
    for name in needed:
        copies = [copy for step in stages[name].steps for copy in copies_of(step, stages)]
        needed += [other for other in (stages[name].parent, *(copy.stage for copy in copies)) if other in stages]
        rows += [f"| `{copy.stage}` | {copy.how} `{copy.source}` | `{name}` |" for copy in copies]
    return "\n".join(["| from | files | to |", "| --- | --- | --- |", *dict.fromkeys(rows)])


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


def stage_steps(dockerfile: str) -> list[tuple[str, list[Step]]]:
    """Group the steps of a Dockerfile by stage; those before the first stage have the name of no stage."""
    stages: list[tuple[str, list[Step]]] = [("", [])]
    for step in steps_of(dockerfile):
        if start := next((line for line in step.code if line.startswith("FROM ")), None):
            stages.append((start.partition(" AS ")[2] or "default target", []))
        stages[-1][1].append(step)
    return stages


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


def neighbours(answers: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Return the combinations that differ in one answer: the neighbouring strategies, the other app and runtime."""
    found = []
    for question, values in CHOICES.items():
        place = values.index(answers[question])
        others = [*values[max(place - 1, 0) : place], *values[place + 1 : place + 2]]
        found += [(question, {**answers, question: other}) for other in others]
    return found
