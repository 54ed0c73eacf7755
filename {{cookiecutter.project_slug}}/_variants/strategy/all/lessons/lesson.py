"""Build a lesson's image and show what its layers hold: `python lessons/lesson.py NUMBER [DOCKERFILE]`.

Each layer is shown with its size and the instruction that made it; those of the image that runs also with the folders
in which their bytes are, and with what they hide.
"""

from __future__ import annotations

import json
import re
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

try:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError:
    sys.exit("lesson: rich is not installed: `make lesson N=4` brings it, and shows lesson 4.")

HERE = Path(__file__).resolve().parent
SHOWN_FOLDERS = 3
DEPTH = 4
# What the engine writes before and after an instruction, and the beginning of what hides a file of a layer below.
NOISE = re.compile(r"(?<=RUN )/bin/sh -c |^/bin/sh -c #\(nop\) | # buildkit$")
HIDES = ".wh."


@dataclass(frozen=True)
class Layer:
    """One layer of an image.

    `command` is the instruction that made it, `identity` the digest of its content, the same wherever it is used.
    `sizes` has the bytes of each file that it adds or replaces, by path, `removed` the paths that it hides.
    """

    command: str
    identity: str
    sizes: dict[str, int]
    removed: set[str]

    @property
    def size(self) -> int:
        """Bytes of all files, uncompressed, without what their names and dates take."""
        return sum(self.sizes.values())

    def hidden(self, below: dict[str, int]) -> dict[str, int]:
        """Tell the files below that nobody sees any more: this layer replaces or removes them."""
        gone = self.sizes.keys() | self.removed
        folders = tuple(f"{path}/" for path in self.removed)
        return {path: size for path, size in below.items() if path in gone or path.startswith(folders)}


def docker(*arguments: str) -> str:
    """Run docker, and return what it prints.

    Raises:
        SystemExit: it failed; what it said is printed, or there is none.

    """
    try:
        done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError:
        sys.exit("lesson: there is no command `docker`: see https://docs.docker.com/get-started/get-docker/.")
    if done.returncode != 0:
        sys.stderr.write(done.stdout + done.stderr)
        sys.exit(f"lesson: `docker {arguments[0]}` failed with status {done.returncode}.")
    return done.stdout


def layers(images: list[str]) -> dict[str, list[Layer]]:
    """Read the layers of images, the lowest first, as the engine saves them: all in one archive, and each once."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "images.tar")
        docker("save", "--output", str(saved), *images)
        with tarfile.open(saved) as archive:
            content = cache(lambda name: read_layer(member(archive, name)))
            found: dict[str, list[Layer]] = {}
            for manifest in json.load(member(archive, "manifest.json")):
                config = json.load(member(archive, manifest["Config"]))
                steps = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
                parts = zip(map(plain, steps), config["rootfs"]["diff_ids"], manifest["Layers"], strict=True)
                read = [Layer(command, identity, *content(name)) for command, identity, name in parts]
                found.update(dict.fromkeys(manifest["RepoTags"], read))
    return found


def member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open one file of an archive.

    Raises:
        KeyError: it is not there, or no file.

    """
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def read_layer(file: IO[bytes]) -> tuple[dict[str, int], set[str]]:
    """List the files of a layer, and what it hides: what bears the same name less HIDES (OCI image specification)."""
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


def plain(command: str) -> str:
    """Write an instruction as the Dockerfile has it, in one line."""
    return " ".join(NOISE.sub("", command).split())


def folders(layer: Layer) -> list[tuple[str, int]]:
    """Tell the folders that have most of a layer's bytes, the largest first, no deeper than DEPTH."""
    found: Counter[str] = Counter()
    for path, size in layer.sizes.items():
        parents = PurePosixPath(path).parent.parts[: DEPTH + 1]
        found[str(PurePosixPath(*parents))] += size
    return found.most_common(SHOWN_FOLDERS)


def written(size: int) -> str:
    """Write a size with the digits that matter, in decimal units, as docker does."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def visible(found: list[Layer]) -> dict[str, int]:
    """Tell the files that a container sees, when it has these layers."""
    seen: dict[str, int] = {}
    for layer in found:
        hidden = layer.hidden(seen)
        seen = {path: size for path, size in seen.items() if path not in hidden} | layer.sizes
    return seen


def details(layer: Layer, hidden: dict[str, int]) -> list[str]:
    """Tell where a layer's bytes are, and how many of those below it hides."""
    lines = [f"{written(size):>10}  {folder}" for folder, size in folders(layer)]
    if hidden:
        files = "1 file" if len(hidden) == 1 else f"{len(hidden)} files"
        lines.append(f"{'hides':>10}  {files} of layers below, {written(sum(hidden.values()))} that stay")
    return lines


def table(found: list[Layer], base: set[str], *, width: int, in_short: bool) -> Table:
    """Lay out the layers; those of the base image are one row. In short, each of the others is one, too."""
    rows = Table(box=None, pad_edge=False, header_style="bold")
    rows.add_column("size", justify="right", no_wrap=True)
    rows.add_column("layer")
    shared = list(takewhile(lambda layer: layer.identity in base, found))
    if shared:
        rows.add_row(written(sum(layer.size for layer in shared)), "the base image")
    for number, layer in enumerate(found[len(shared) :], start=len(shared)):
        command = Text(layer.command)
        if in_short:
            command.truncate(width - len("127.4 MB  "), overflow="ellipsis")
        rows.add_row(written(layer.size), command)
        for line in [] if in_short else details(layer, layer.hidden(visible(found[:number]))):
            rows.add_row("", Text(line, style="dim"))
    rows.add_row(written(sum(layer.size for layer in found)), Text("in all", style="bold"))
    return rows


def base_layers(dockerfile: str) -> set[str]:
    """Return the identities of the base image's layers, which is pulled where it is missing."""
    (base,) = re.findall(r"^ARG BASE=(\S+)", dockerfile, re.MULTILINE)
    if not docker("image", "ls", "--quiet", base):
        docker("pull", "--quiet", base)
    return set(json.loads(docker("image", "inspect", base))[0]["RootFS"]["Layers"])


def chosen(number: str, name: str = "Dockerfile") -> Path:
    """Find a lesson's Dockerfile.

    Raises:
        SystemExit: there is none.

    """
    known = {int(folder.name[:2]): folder for folder in sorted(HERE.glob("[0-9][0-9]-*"))}
    if not re.fullmatch("[0-9]+", number) or int(number) not in known:
        sys.exit(f"lesson: say which, from {min(known)} to {max(known)}: `make lesson N=4` shows lesson 4.")
    folder = known[int(number)]
    names = sorted(path.name for path in folder.glob("*Dockerfile"))
    if name not in names:
        sys.exit(f"lesson: lesson {int(number)} has no {name}; it has {', '.join(names)}.")
    return folder / name


def main(number: str = "", *names: str) -> None:
    """Show every stage of a lesson, and tell where to read on."""
    path = chosen(number, *names[:1])
    text = path.read_text("utf-8")
    name = "-".join(["lesson", str(int(number)), *path.name.split(".")[:-1]])
    stages = re.findall(r"^FROM .* AS (\S+)", text, re.MULTILINE)
    images = [f"{name}:{stage}" for stage in stages]
    console = Console(highlight=False)
    with console.status("") as status:
        for stage, image in zip(stages, images, strict=True):
            status.update(f"building {image}")
            docker("build", "--target", stage, "--tag", image, "--file", str(path), str(HERE / "app"))
        status.update("reading the layers")
        base = base_layers(text)
        found = layers(images)
    for image in images:
        console.print(f"[bold]{image}[/bold]")
        console.print(table(found[image], base, width=console.width, in_short=image != images[-1]), "")
    console.print(f"What this shows: {path.parent.relative_to(HERE.parent).as_posix()}/README.md")


if __name__ == "__main__":
    main(*sys.argv[1:])
