"""Build a lesson's image and show its layers: `python lessons/lesson.py NUMBER [DOCKERFILE]`.

Each layer is shown with its size, the size on the lesson's page, and the instruction that created it. The layers of the
last image are also shown with their largest directories, and with the size of the files that they hide.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import IO

HERE = Path(__file__).resolve().parent
SHOWN_DIRECTORIES = 3
DEPTH = 4
# Text that the engine adds to an instruction, and the prefix of files that mark a file of a lower layer as deleted.
NOISE = re.compile(r"(?<=RUN )/bin/sh -c |^/bin/sh -c #\(nop\) | # buildkit$")
HIDES = ".wh."
# A layer on a page: its size, the size in the column "page", and the instruction.
PAGE_ROW = re.compile(r"^ *(\d\S* [kM]?B) {2,}(?:\d\S* [kM]?B {2,})?(\S.*)$")


@dataclass(frozen=True)
class Layer:
    """One layer of an image.

    `command` is the instruction that created it, and `identity` is the digest of its content. `sizes` maps the path of
    each file that it adds or replaces to its bytes, and `removed` contains the paths that it removes.
    """

    command: str
    identity: str
    sizes: dict[str, int]
    removed: set[str]

    @property
    def size(self) -> int:
        """The bytes of all files, uncompressed and without metadata."""
        return sum(self.sizes.values())

    def hidden_files(self, below: dict[str, int]) -> dict[str, int]:
        """Return the files of lower layers that this layer replaces or removes."""
        hidden_paths = self.sizes.keys() | self.removed
        directories = tuple(f"{path}/" for path in self.removed)
        return {path: size for path, size in below.items() if path in hidden_paths or path.startswith(directories)}


def docker(*arguments: str) -> str:
    """Run docker, and return its output.

    Raises:
        SystemExit: if docker fails, after printing its output, or is not installed.

    """
    try:
        process = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("lesson: `docker` was not found. Install it: https://docs.docker.com/get-started/get-docker/.")
    if process.returncode != 0:
        sys.stderr.write(process.stdout + process.stderr)
        sys.exit(f"lesson: `docker {arguments[0]}` failed with status {process.returncode}.")
    return process.stdout


def layers(images: list[str]) -> dict[str, list[Layer]]:
    """Return the layers of images, lowest first. Save all images in one archive, so that a layer is saved once."""
    with tempfile.TemporaryDirectory() as directory:
        saved = Path(directory, "images.tar")
        docker("save", "--output", str(saved), *images)
        with tarfile.open(saved) as archive:
            content = cache(lambda name: read_layer(open_member(archive, name)))
            found: dict[str, list[Layer]] = {}
            for manifest in json.load(open_member(archive, "manifest.json")):
                config = json.load(open_member(archive, manifest["Config"]))
                steps = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
                parts = zip(
                    map(format_instruction, steps), config["rootfs"]["diff_ids"], manifest["Layers"], strict=True
                )
                read = [Layer(command, identity, *content(name)) for command, identity, name in parts]
                found.update(dict.fromkeys(manifest["RepoTags"], read))
    return found


def open_member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open one file of an archive.

    Raises:
        KeyError: if it does not exist or is not a file.

    """
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def read_layer(file: IO[bytes]) -> tuple[dict[str, int], set[str]]:
    """Return the sizes of the files in a layer, and the paths that it removes, whose names have the prefix HIDES."""
    sizes: dict[str, int] = {}
    removed: set[str] = set()
    with tarfile.open(fileobj=file) as content:
        for entry in content:
            path = PurePosixPath("/", entry.name)
            if path.name.startswith(HIDES):
                removed.add(str(path.with_name(path.name.removeprefix(HIDES))))
            elif not entry.isdir():
                sizes[str(path)] = entry.size
    return sizes, removed


def format_instruction(command: str) -> str:
    """Return an instruction as it is in the Dockerfile, on one line."""
    return " ".join(NOISE.sub("", command).split())


def largest_directories(layer: Layer) -> list[tuple[str, int]]:
    """Return the directories that contain most of a layer's bytes, largest first, down to DEPTH."""
    found: Counter[str] = Counter()
    for path, size in layer.sizes.items():
        parents = PurePosixPath(path).parent.parts[: DEPTH + 1]
        found[str(PurePosixPath(*parents))] += size
    return found.most_common(SHOWN_DIRECTORIES)


def format_size(size: int) -> str:
    """Format a size in decimal units, as docker does."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def visible_files(found: list[Layer]) -> dict[str, int]:
    """Return the files that are visible in a container with these layers."""
    files: dict[str, int] = {}
    for layer in found:
        hidden = layer.hidden_files(files)
        files = {path: size for path, size in files.items() if path not in hidden} | layer.sizes
    return files


def describe_layer(layer: Layer, hidden: dict[str, int]) -> list[str]:
    """List a layer's largest directories, and the size of the files that it hides."""
    lines = [f"{format_size(size):>10}  {directory}" for directory, size in largest_directories(layer)]
    if hidden:
        files = "1 file" if len(hidden) == 1 else f"{len(hidden)} files"
        lines.append(f"{'hides':>10}  {files} of the layers below: {format_size(sum(hidden.values()))}")
    return lines


def page_rows(page: str, command: str) -> dict[str, list[tuple[str, str]]]:
    """Map the images that a page shows as the output of a command to their layers: the instruction and its size."""
    rows: dict[str, list[tuple[str, str]]] = {}
    _, _, output = page.partition(f"\n$ {command}\n")
    for line in re.split(r"^(?:\$ |```)", output, maxsplit=1, flags=re.MULTILINE)[0].splitlines():
        if re.match(r"lesson-\S+$", line):
            rows[line] = []
        elif rows and (row := PAGE_ROW.match(line)):
            rows[list(rows)[-1]].append((row[2], row[1]))
    return rows


def format_table(found: list[Layer], base: set[str], expected: list[tuple[str, str]], *, details: bool) -> list[str]:
    """List the layers, with one row for the base image and, if known, the sizes on the page."""
    width = shutil.get_terminal_size().columns
    shared = list(takewhile(lambda layer: layer.identity in base, found))
    rows: list[tuple[str, str, list[str]]] = []
    if shared:
        rows.append((format_size(sum(layer.size for layer in shared)), "the base image", []))
    for number, layer in enumerate(found[len(shared) :], start=len(shared)):
        lines = describe_layer(layer, layer.hidden_files(visible_files(found[:number]))) if details else []
        rows.append((format_size(layer.size), layer.command, lines))
    rows.append((format_size(sum(layer.size for layer in found)), "total", []))
    lines = [f"{'size':>8}  {'page':>8}  layer" if expected else f"{'size':>8}  layer"]
    for size, label, more in rows:
        sizes = [size]
        if expected:
            sizes.append(next((shown for start, shown in expected if label.startswith(start.rstrip(".…"))), ""))
        columns = "".join(f"{each:>8}  " for each in sizes)
        lines += [columns + label, *(" " * len(columns) + text for text in more)]
    return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]


def base_layers(dockerfile: str) -> set[str]:
    """Return the identities of the base image's layers; pull the image if it is missing."""
    (base,) = re.findall(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    if not docker("image", "ls", "--quiet", base):
        docker("pull", "--quiet", base)
    return set(json.loads(docker("image", "inspect", base))[0]["RootFS"]["Layers"])


def find_dockerfile(number: str, name: str = "Dockerfile") -> Path:
    """Return the path of a lesson's Dockerfile.

    Raises:
        SystemExit: if there is none.

    """
    lessons = {int(directory.name[:2]): directory for directory in sorted(HERE.glob("[0-9][0-9]-*"))}
    if not re.fullmatch("[0-9]+", number) or int(number) not in lessons:
        numbers = f"a number from {min(lessons)} to {max(lessons)}"
        sys.exit(f"lesson: the lesson must be {numbers}, not '{number}'. For example, run `make lesson N=4`.")
    directory = lessons[int(number)]
    names = sorted(path.name for path in directory.glob("*Dockerfile"))
    if name not in names:
        sys.exit(f"lesson: lesson {int(number)} has no file '{name}'. Its Dockerfiles are {', '.join(names)}.")
    return directory / name


def main(number: str = "", *names: str) -> None:
    """Build and show every stage of a lesson."""
    path = find_dockerfile(number, *names[:1])
    text = path.read_text("utf-8")
    name = "-".join(["lesson", str(int(number)), *path.name.split(".")[:-1]])
    stages = re.findall(r"^FROM .* AS (\S+)", text, re.MULTILINE)
    images = [f"{name}:{stage}" for stage in stages]
    for stage, image in zip(stages, images, strict=True):
        print(f"building {image}", file=sys.stderr, flush=True)
        docker("build", "--target", stage, "--tag", image, "--file", str(path), str(HERE / "app"))
    base = base_layers(text)
    found = layers(images)
    page = path.with_name("README.md")
    command = f"make lesson N={int(number)}" + "".join(f" DOCKERFILE={name}" for name in names[:1])
    expected = page_rows(page.read_text("utf-8"), command)
    for image in images:
        lines = format_table(found[image], base, expected.get(image, []), details=image == images[-1])
        print(image, *lines, "", sep="\n")
    print(f"Explained in {page.relative_to(HERE.parent).as_posix()}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
