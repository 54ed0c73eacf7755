"""Draw the stages of each strategy and the copies between them: `python -m tools.stages [--render]`.

The images are those of a generated project's strategies, and of the lessons whose pages show a picture. The contents of
their layers are written to docs/stages.json, and the drawings are written next to the lessons. `--render` only redraws
them from docs/stages.json.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.compare import LESSONS, harness, without_bytecode
from tools.demo import PYTHON, QUESTIONS, STRATEGIES, TEMPLATE, generate, log_command
from tools.engine import DockerError, Engine, EngineUnavailable, running_engine
from tools.pictures import ARTIFACTS, BASE, RUNTIME, draw

sys.path.append(str(LESSONS))
with without_bytecode():
    from lesson import Layer as Layer
    from lesson import layers

STAGES = TEMPLATE / "docs/stages.json"
PICTURES = LESSONS / "pictures"
# Instructions that create a layer; all others change only the image configuration.
LAYERED = ("RUN ", "COPY ", "ADD ", "WORKDIR ")
# The step that compiles the standard library only reads the project; another step copies the project into a layer.
BYTECODE = "python /imports.py"
# The steps that install system libraries, or copy those that Python needs, mount only a list of packages.
LIBRARIES = "dpkg-query"
MINIMAL = " /minimal.py "
# A script that one stage contains, and that another only runs.
CHECK = "/check.py"

Content = dict[str, Any]


def drawn_lessons() -> dict[str, Path]:
    """Map the lessons whose pages show a picture of their own to their directories."""
    directories = {path.name: path for path in sorted(LESSONS.glob("[0-9][0-9]-*"))}
    return {
        name: path
        for name, path in directories.items()
        if f"../pictures/{name}-light.svg" in (path / "README.md").read_text("utf-8")
    }


@dataclass(frozen=True)
class Stage:
    """A stage of a Dockerfile: its base, its instructions that create layers, and a description of its result."""

    parent: str
    steps: list[str]
    result: str


@dataclass(frozen=True, eq=False)
class Part:
    """A layer above the base image, with the stage and the instruction that created it."""

    stage: str
    step: str
    name: str
    layer: Layer


@dataclass(frozen=True)
class StageCopy:
    """A path that an instruction copies or mounts from another stage."""

    stage: str
    how: str
    source: str


def stages_of(dockerfile: str) -> dict[str, Stage]:
    """Parse the named stages. The text after the colon in the comment above a stage describes its result."""
    stages: dict[str, Stage] = {}
    steps: list[str] = []
    comment = ""
    uncommented = re.sub(r"^[ \t]+#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", "")
    for line in uncommented.splitlines():
        if start := re.match(r"FROM (\S+)(?: AS (\S+))?$", line):
            steps = []
            stages[start[2] or ""] = Stage(start[1], steps, comment.partition(": ")[2].rstrip("."))
        elif line.startswith(LAYERED):
            steps.append(" ".join(line.split()))
        if line:
            comment = line if line.startswith("# ") else ""
    defaults = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    for name, stage in stages.items():
        parent = defaults.get(stage.parent.strip("${}"), "")
        # A stage without steps, such as the one that BASE names, is only another name of an image.
        if parent in stages and stages[parent].steps:
            stages[name] = replace(stage, parent=parent)
    return stages


def lineage(stages: dict[str, Stage], name: str) -> list[str]:
    """Return a stage and the stages that it is based on, lowest first."""
    return [*lineage(stages, stages[name].parent), name] if name in stages else []


def copies_of(step: str, stages: Collection[str]) -> list[StageCopy]:
    """Return the paths that an instruction copies or mounts from other stages."""
    copies_nothing = any(words in step for words in (BYTECODE, LIBRARIES, MINIMAL, CHECK))
    flags = [] if copies_nothing else re.findall(r"(?<= )--\w+=\S+", step)
    found = []
    for flag in flags:
        options = dict(option.partition("=")[::2] for option in flag.removeprefix("--mount=").split(","))
        if stage := options.get("--from"):
            *sources, _ = (word for word in step.split()[1:] if word not in flags)
            found += [StageCopy(stage, "COPY", source) for source in sources]
        elif stage := options.get("from"):
            found.append(StageCopy(stage, f"{options['type']} mount", options.get("source", "/")))
    return [copy for copy in found if copy.stage in stages]


def name_of(step: str, *, project: bool) -> str:
    """Return a name for a layer, based on the files that its instruction reads and on its stage."""
    if "apt-get install" in step:
        return "compiler"
    if BYTECODE in step:
        return "bytecode"
    if MINIMAL in step:
        return "Python"
    if step.endswith(CHECK):
        return "check"
    if step.endswith(" /requirements/"):
        return "dependencies"
    if step.startswith("RUN python -m venv") and "install" not in step:
        return "pip"
    locks = re.findall(r"requirements([/-]\w+)?\.txt", step)
    if not locks or project:
        return "project"
    return "dependencies" if "" in locks else "build tools"


def parts_of(stages: dict[str, Stage], name: str, found: list[Layer]) -> list[Part]:
    """Pair the layers of a stage, above the base image, with the instructions that created them."""
    instructions = [
        (stage, step, name_of(step, project=stages[stage].parent in stages))
        for stage in lineage(stages, name)
        for step in stages[stage].steps
    ]
    return [Part(*origin, layer) for origin, layer in zip(instructions, found[-len(instructions) :], strict=True)]


def sources_of(copy: StageCopy, stages: dict[str, Stage], parts: list[Part]) -> list[Part]:
    """Return the layers that contain the copied files, lowest first."""
    below = copy.source.rstrip("/") + "/"
    seen: dict[str, Part] = {}
    for part in (part for part in parts if part.stage in lineage(stages, copy.stage)):
        hidden = part.layer.hidden_files(dict.fromkeys(seen, 0))
        seen = {path: owner for path, owner in seen.items() if path not in hidden}
        seen |= {path: part for path in part.layer.sizes if f"{path}/".startswith(below)}
    return [part for part in parts if part in seen.values()]


def needed_stages(stages: dict[str, Stage]) -> set[str]:
    """Return the outputs, and the stages from which they or these stages copy files."""
    needed = [name for name in (RUNTIME, ARTIFACTS) if name in stages]
    for name in needed:
        steps = (step for each in lineage(stages, name) for step in stages[each].steps)
        needed += {copy.stage for step in steps for copy in copies_of(step, stages)} - {*needed}
    return {*needed}


def read(stages: dict[str, Stage], build: Callable[[str], str], base: str) -> tuple[list[Part], int]:
    """Return the non-empty layers of all stages that the outputs need, and the size of the base image."""
    needed = needed_stages(stages)
    parents = {name for other in needed for name in lineage(stages, stages[other].parent)}
    tags = {name: build(name) for name in stages if name in needed - parents}
    found = layers([base, *tags.values()])
    parts = [part for name, tag in tags.items() for part in parts_of(stages, name, found[tag]) if part.layer.size]
    # Two stages may share a base stage.
    parts = list({(part.stage, part.step, part.layer.identity): part for part in parts}.values())
    return parts, sum(layer.size for layer in found[base])


def content(dockerfile: str, build: Callable[[str], str], base: str) -> Content:
    """Return the layers of a Dockerfile's stages and the copies between them, without empty layers.

    Args:
        dockerfile: the text of the Dockerfile.
        build: builds a stage and returns its tag.
        base: the tag of the base image.

    """
    stages = stages_of(dockerfile)
    parts, size = read(stages, build, base)
    # The final image contains the layers of the stages that it is based on.
    shown = dict.fromkeys(lineage(stages, RUNTIME), RUNTIME)
    layers_by_stage: dict[str, list[dict[str, Any]]] = {
        name: [{"name": BASE, "bytes": size}] if stages[name].parent == "${BASE}" else []
        for name in dict.fromkeys(shown.get(part.stage, part.stage) for part in parts)
    }
    copies: list[dict[str, Any]] = []
    copied: set[tuple[str, Part]] = set()
    labels = {part: part.name for part in parts}
    for part in parts:
        origins: dict[StageCopy, list[Part]] = {}
        for copy in copies_of(part.step, stages):
            if not (sources := sources_of(copy, stages, parts)):
                continue
            # Copying an unchanged layer a second time creates no layer.
            origins[copy] = [source for source in sources if (part.stage, source) not in copied] or sources
            copied |= {(part.stage, source) for source in sources}
        names = dict.fromkeys(labels[source] for sources in origins.values() for source in sources)
        # A list of names does not fit into a box.
        name = "packages" if len(names) > 1 else next(iter(names), part.name)
        if part.stage == ARTIFACTS and stages[ARTIFACTS].result:
            name = stages[ARTIFACTS].result
        labels[part] = name
        to = shown.get(part.stage, part.stage)
        layers_by_stage[to].append({"name": name, "bytes": part.layer.size})
        for copy, sources in origins.items():
            boxes = [list(box) for box in dict.fromkeys((source.stage, labels[source]) for source in sources)]
            copies.append({"how": copy.how, "source": copy.source, "from": boxes, "to": to, "into": name})
    return {"stages": layers_by_stage, "copies": copies}


def read_stages(engine: Engine, dockerfile: Path, context: Path, base: str) -> Content:
    """Build the stages of a Dockerfile, return their content, and remove their images."""
    # Include the process ID, because another run may share the engine.
    image = f"stages-{os.getpid()}"

    def build(stage: str) -> str:
        tag = f"{image}:{stage}"
        options = ("--target", stage, "--tag", tag, "--build-arg", f"BASE={base}", "--file", str(dockerfile))
        log_command("docker", "build", *options, str(context))
        engine.docker("build", *options, str(context))
        return tag

    try:
        return content(dockerfile.read_text("utf-8"), build, base)
    finally:
        tags = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", image).stdout.split()
        engine.docker("image", "rm", *tags, check=False)


def measure(engine: Engine, project: Path) -> dict[str, Any]:
    """Build every stage of the lessons and strategies, and return the report."""
    base = engine.base_image(PYTHON)
    dockerfiles = {name: (directory / "Dockerfile", LESSONS / "app") for name, directory in drawn_lessons().items()}
    dockerfiles |= {name: (project / "strategies" / name / "Dockerfile", project) for name in STRATEGIES}
    details = harness.collect_facts(harness.Engine(engine.environment), base)
    selected = {name: details[name] for name in ("date", "machine", "storage", "base", "versions")}
    contents = {name: read_stages(engine, file, context, base) for name, (file, context) in dockerfiles.items()}
    return {
        **selected,
        "architecture": architecture(engine),
        "substitute": engine.is_substitute(base),
        "contents": contents,
    }


def architecture(engine: Engine) -> str:
    """Return the architecture of the built images, which determines their sizes."""
    return engine.docker("version", "--format", "{{.Server.Arch}}").stdout.strip()


def title_of(name: str) -> str:
    """Return a strategy's description, from its label in cookiecutter.json, or the heading of a lesson."""
    if name in STRATEGIES:
        label: str = QUESTIONS["__prompts__"]["strategy"][name]
        return label.partition(": ")[2].removesuffix(" (recommended)")
    heading = (LESSONS / name / "README.md").read_text("utf-8").splitlines()[0]
    return heading.partition(". ")[2].replace("`", "")


def render(report: dict[str, Any], directory: Path) -> None:
    """Draw all pictures into a directory."""
    directory.mkdir(exist_ok=True)
    for name, content in report["contents"].items():
        draw(directory / name, name, title_of(name), report["base"], content)


def main(arguments: list[str] | None = None) -> None:
    """Measure the images, update docs/stages.json, and draw the pictures."""
    parser = argparse.ArgumentParser(prog="stages", description="Draw the stages of each strategy.")
    parser.add_argument("--render", action="store_true", help="build nothing; only redraw, from docs/stages.json")
    if not parser.parse_args(arguments).render:
        with tempfile.TemporaryDirectory() as directory, running_engine() as engine:
            # lesson.py finds the engine through the environment.
            os.environ.update(engine.environment)
            report = measure(engine, generate(Path(directory), "strategy=all", f"python_version={PYTHON}"))
        STAGES.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    render(json.loads(STAGES.read_text("utf-8")), PICTURES)


if __name__ == "__main__":
    try:
        main()
    except (harness.CompareError, DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"stages: {error}")
