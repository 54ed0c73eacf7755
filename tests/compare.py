"""Compare the strategies with other ways to build the same image: `python -m tests.compare [--rounds N] [--json FILE]`.

The project's own strategies/compare.py does the measuring. Here it gets a project with a requirement that has to be
compiled, the Dockerfiles of docs/peers beside those of the template, and two more things to measure. What is told of
it, docs/comparison.json, .md and .svg and the table of the workbook's last lesson, is written anew; `--render` only
redraws it from docs/comparison.json.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.charts import draw
from tests.demo import TEMPLATE, generate, say
from tests.engine import STAND_IN_LABEL, DockerError, Engine, EngineUnavailable, running_engine, second_engine
from tests.locks import compile_runtime

DOCS = TEMPLATE / "docs"
PEERS = DOCS / "peers"
STRATEGY = TEMPLATE / "{{cookiecutter.project_slug}}/_variants/strategy"
PYTHON = "3.14"
# It has no wheels, and a module that must be compiled.
COMPILED = "crcmod==1.7"
UV = "strategies/uv-multistage"
FILES = 100
BEGIN, END = "<!-- Made by `make compare` from comparison.json. -->", "<!-- The end of what is made. -->"
# The workbook's last lesson shows a few figures of ours and of what the article ends with.
LESSON = STRATEGY / "all/lessons/12-choosing/README.md"
LESSON_BEGIN = "<!-- Made from the template's docs/comparison.json. -->"
LESSON_PEERS = ("article-user", "article-venv", "single-stage")
LESSON_FIGURES = ("size", "cold", "edit_py", "add_requirement", "pushed", "start")


@contextmanager
def no_bytecode() -> Iterator[None]:
    """Leave no __pycache__ in the template: it would be generated, too."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    yield
    sys.dont_write_bytecode = before


sys.path.append(str(STRATEGY / "all/strategies"))
with no_bytecode():
    import compare

harness = compare

harness.FIGURES |= {
    "one_of_100_c": harness.Figure(f"rebuild after an edit of one .c of {FILES}", "s"),
    "one_of_100_c_ratio": harness.Figure("times the same edit of one .c of 1", ""),
    "shared_cache": harness.Figure("build on an empty machine, from a registry's cache", "s"),
    "shared_cache_ratio": harness.Figure("times its cold build", ""),
}
FURTHER = ("one_of_100_c", "one_of_100_c_ratio", "shared_cache", "shared_cache_ratio")

Summaries = dict[str, dict[str, dict[str, Any]]]


def against(name: str, peer: str) -> Callable[[Summaries], float]:
    """Return what tells the recommended strategy's figure as a part of a peer's."""
    return lambda told: 1 / float(told[peer][name]["ratio"]["median"])


def against_the_best(name: str) -> Callable[[Summaries], float]:
    """Return what tells the recommended strategy's figure as a part of that of the best peer."""
    return lambda told: 1 / min(float(told[peer][name]["ratio"]["median"]) for peer in peers())


def of_the_first(name: str) -> Callable[[Summaries], float]:
    """Return what tells a figure of the recommended strategy."""
    return lambda told: float(told[harness.FIRST][name]["median"])


def largest_of_the_others(told: Summaries) -> float:
    """Tell the size of the largest of the other strategies as a part of the recommended one's."""
    return max(float(told[way]["size"]["ratio"]["median"]) for way in ways() if way not in peers())


# What the template is to reach: the figure of venv, what it is compared with, at most, and what tells it.
GOALS: tuple[tuple[str, str, float, Callable[[Summaries], float]], ...] = (
    ("above the base image", "`article-venv`", 0.65, against("size", "article-venv")),
    ("above the base image, the largest strategy", "`venv`", 1.05, largest_of_the_others),
    ("rebuild after an edit of one .py", "`article-venv`", 0.35, against("edit_py", "article-venv")),
    ("rebuild after an edit of one .py", "`uv-multistage`", 0.6, against("edit_py", "uv-multistage")),
    ("rebuild after an edit of one .c of 100", "one .c of 1", 1.3, of_the_first("one_of_100_c_ratio")),
    ("rebuild with one more requirement", "`article-venv`", 0.35, against("add_requirement", "article-venv")),
    ("pushed after the edit of one .py", "40 kB", 1, lambda told: of_the_first("pushed")(told) / 40_000),
    ("pushed after the edit of one .py", "`article-venv`", 0.01, against("pushed", "article-venv")),
    ("cold build", "the fastest peer", 1.1, against_the_best("cold")),
    ("build on an empty machine, from a registry's cache", "its cold build", 0.1, of_the_first("shared_cache_ratio")),
    ("docker run to first answer", "the fastest peer", 1, against_the_best("start")),
)

# A real module in small: it takes the compiler as long as such a file does.
C_FILE = """
#include <Python.h>

static unsigned long table_{number}[256];

static void
fill_{number}(unsigned long polynomial)
{{
    for (unsigned i = 0; i < 256; i++) {{
        unsigned long value = i;
        for (int bit = 0; bit < 8; bit++) {{
            value = value & 1 ? (value >> 1) ^ polynomial : value >> 1;
        }}
        table_{number}[i] = value;
    }}
}}

PyObject *
sum_{number}_{token}(PyObject *self, PyObject *arguments)
{{
    Py_buffer data;
    unsigned long value = {number};
    (void)self;
    if (!PyArg_ParseTuple(arguments, "y*", &data)) {{
        return NULL;
    }}
    fill_{number}(0x82F63B78UL + {number});
    for (Py_ssize_t i = 0; i < data.len; i++) {{
        value = table_{number}[(value ^ ((unsigned char *)data.buf)[i]) & 0xFF] ^ (value >> 8);
    }}
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(value);
}}
"""


def uv_lock(folder: Path) -> None:
    """Write uv.lock beside a pyproject.toml."""
    subprocess.run([sys.executable, "-m", "uv", "lock", "--quiet"], cwd=folder, check=True)


def add_uv_files(project: Path) -> None:
    """Write down for uv what the project reads from other files: its version, its requirements and their pins."""
    text = (project / "pyproject.toml").read_text("utf-8")
    (version,) = re.findall(
        r'^__version__ = "(.+)"$', (next((project / "src").glob("*/__init__.py"))).read_text(), re.M
    )
    pins = re.findall(r"^([^\s#-]\S*)", (project / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    text = text.replace('dynamic = ["version"]', f"version = {json.dumps(version)}")
    for table in ("dependency-groups", "tool.setuptools.dynamic"):
        text = re.sub(rf"^\[{re.escape(table)}\]\n.*?(?=^\[tool)", "", text, flags=re.MULTILINE | re.DOTALL)
    (project / UV / "pyproject.toml").write_text(
        f"{text}\n[tool.uv]\nconstraint-dependencies = {json.dumps(pins)}\n", "utf-8"
    )
    uv_lock(project / UV)


def sample(engine: Engine, folder: Path) -> harness.Project:
    """Generate the project that is built every way."""
    say(f"Base image: {engine.base_image(PYTHON)}")
    path = generate(folder, "app=service", "strategy=all", f"python_version={PYTHON}")
    pyproject = path / "pyproject.toml"
    text = pyproject.read_text("utf-8")
    pyproject.write_text(text.replace("dependencies = [", f'dependencies = ["{COMPILED}", ', 1), "utf-8")
    compile_runtime(path)
    shutil.copytree(PEERS, path / "strategies", dirs_exist_ok=True)
    add_uv_files(path)
    return harness.Project.at(path)


def add_requirement(project: harness.Project, token: str) -> None:
    """Add a requirement, for uv, too."""
    harness.add_requirement(project, token)
    pyproject = project.path / UV / "pyproject.toml"
    text = pyproject.read_text("utf-8").replace("dependencies = [", f'dependencies = ["{harness.REQUIREMENT}", ', 1)
    pyproject.write_text(f"{text}# {token}\n", "utf-8")
    uv_lock(pyproject.parent)


def with_many_files(project: harness.Project, token: str) -> None:
    """Give the project's extension more C files, each with code of its own."""
    folder = project.path / "src" / project.package
    names = [f"more_{number}" for number in range(FILES - 1)]
    for number, name in enumerate(names):
        (folder / f"{name}.c").write_text(C_FILE.format(number=number, token=token), "utf-8")
    setup = project.path / "setup.py"
    text = setup.read_text("utf-8")
    (first,) = re.findall(r"sources=\[(.+)\]", text)
    sources = ", ".join([first, *(f'"src/{project.package}/{name}.c"' for name in names)])
    setup.write_text(text.replace(f"sources=[{first}]", f"sources=[{sources}]"), "utf-8")


def edit_one_of_many(project: harness.Project, token: str) -> None:
    """Change what one of many C files compiles to."""
    with_many_files(project, token)
    harness.edit_c(project, token)


def many_files(turn: harness.Turn) -> None:
    """Compare the edit of one C file of many with the same edit of a single one, in the recommended strategy."""
    if turn.way == harness.FIRST:
        turn.build("many_c", with_many_files)
        took = turn.build("one_of_many_c", edit_one_of_many)
        turn.tell(one_of_100_c=took, one_of_100_c_ratio=took / turn.figures["edit_c"])


def emptied(engine: harness.Engine) -> None:
    """Remove all images but bases, and the build cache, of an engine that is ours alone."""
    listed = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").stdout.splitlines()
    if built := [line.split()[1] for line in listed if not line.startswith("python:")]:
        engine.docker("image", "rm", "--force", *built)
    engine.docker("builder", "prune", "--all", "--force")


def shared_cache(second: harness.Engine) -> harness.Step:
    """Make a step that builds on an empty machine, with the cache that another one has left in a registry."""

    def step(turn: harness.Turn) -> None:
        cache = f"type=registry,ref={turn.tag('cache')}"
        turn.build("cold", harness.edit_nothing, f"--cache-to={cache},mode=max")
        emptied(second)
        elsewhere = harness.Turn(second, turn.registry, turn.project, turn.way, turn.add_requirement, turn.token)
        took = elsewhere.build("shared_cache", harness.edit_nothing, f"--cache-from={cache}")
        turn.tell(shared_cache=took, shared_cache_ratio=took / turn.figures["cold"])

    return step


def further_steps(engine: Engine, stack: ExitStack) -> list[harness.Step]:
    """List what the template measures besides; without a second engine, nothing is told of a second machine."""
    try:
        second = stack.enter_context(second_engine(engine, engine.base_image(PYTHON)))
    except EngineUnavailable as reason:
        say(f"No figures of a second machine: {reason}")
        return [many_files]
    return [many_files, shared_cache(harness.Engine(second.environment))]


def peers() -> list[str]:
    """List the ways that are not our own."""
    return sorted(path.parent.name for path in PEERS.glob("*/Dockerfile"))


def ways() -> list[str]:
    """List all ways, the first and the other strategies before the peers."""
    strategies = sorted(path.parent.name for path in STRATEGY.glob("*/Dockerfile"))
    strategies.sort(key=lambda way: way != harness.FIRST)
    return [*strategies, *peers()]


def measured(chosen: Sequence[str], rounds: int) -> dict[str, Any]:
    """Measure, and report."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        running = stack.enter_context(running_engine())
        project = sample(running, Path(folder))
        base = project.base(chosen[0])
        label = running.docker("inspect", "--format", f'{{{{index .Config.Labels "{STAND_IN_LABEL}"}}}}', base).stdout
        engine = harness.Engine(running.environment)
        told = harness.facts(engine, base) | {"stand_in": bool(label.strip()), "rounds": rounds}
        extra = further_steps(running, stack)
        results = harness.measure(engine, project, chosen, rounds, add_requirement, extra)
    return {**told, "ways": harness.summarise(results)}


def told(report: dict[str, Any]) -> str:
    """Say in a few lines where, when and with what it was measured, and how often."""
    machine, versions = report["machine"], dict(report["versions"])
    base = "a stand-in made from packages of CPython and Debian" if report["stand_in"] else "the official one"
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{report['date'][:10]}, {report['rounds']} rounds, on {machine['cpus']} CPUs ({machine['cpu']}) with "
        f"{machine['memory'] / 2**30:.0f} GB;\nthe load before was {report['load'][0]}. Linux {machine['kernel']}, "
        f"{named}.\nThe base image {report['base']} is {base}."
    )


def goals(summaries: Summaries) -> str:
    """Lay out what the template is to reach, and what it reached."""
    lines = ["| `venv` | times what | at most | measured |", "| --- | --- | ---: | ---: |"]
    for title, other, limit, value in GOALS:
        reached = harness.three_digits(value(summaries))
        lines.append(f"| {title} | {other} | {limit:g} | {reached if float(reached) <= limit else f'**{reached}**'} |")
    return "\n".join(lines)


def made_text(report: dict[str, Any]) -> str:
    """Write what stands between the marks in the document."""
    summaries = report["ways"]
    further = [name for name in FURTHER if any(name in figures for figures in summaries.values())]
    parts = [told(report)]
    if set(ways()) <= summaries.keys():
        parts += ["What this template is to reach; **bold** is what it misses:", goals(summaries)]
    parts.append(harness.tables(summaries))
    if further:
        parts += ["Further figures, median (min to max):", harness.table(summaries, further, harness.figure_cell)]
    return "\n\n".join(parts)


def lesson_text(report: dict[str, Any]) -> str:
    """Write what stands between the marks in the lesson."""
    chosen = [way for way in report["ways"] if way not in peers() or way in LESSON_PEERS]
    return harness.table({way: report["ways"][way] for way in chosen}, LESSON_FIGURES, harness.ratio_cell)


def between(document: str, begin: str, text: str) -> str:
    """Replace what stands between the marks."""
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}\n\n{text}\n\n{END}{after}"


def render(report: dict[str, Any], document: Path, charts: Path, lesson: Path) -> None:
    """Write the figures into the document and the lesson, and draw the charts into a folder."""
    document.write_text(between(document.read_text("utf-8"), BEGIN, made_text(report)), "utf-8")
    lesson.write_text(between(lesson.read_text("utf-8"), LESSON_BEGIN, lesson_text(report)), "utf-8")
    for name in ("size", "cold", "edit_py", "pushed"):
        figures = {way: figures[name] for way, figures in report["ways"].items()}
        draw(charts / f"comparison-{name.replace('_', '-')}", harness.FIGURES[name], figures, peers())


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="compare", description="Compare ways to build one image.")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each way has its turn (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, and not into docs/")
    parser.add_argument("--render", action="store_true", help="measure nothing: redraw docs/ from its comparison.json")
    parser.add_argument("ways", nargs="*", metavar="WAY", help=", ".join(ways()))
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Measure, tell, and write."""
    options = parse(arguments)
    committed = DOCS / "comparison.json"
    if options.render:
        report = json.loads(committed.read_text("utf-8"))
    else:
        report = measured(options.ways or ways(), options.rounds)
        say(f"\n{made_text(report)}")
        (options.json or committed).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if not options.json:
        render(report, DOCS / "comparison.md", DOCS, LESSON)


if __name__ == "__main__":
    try:
        main()
    except (harness.CompareError, DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"compare: {error}")
