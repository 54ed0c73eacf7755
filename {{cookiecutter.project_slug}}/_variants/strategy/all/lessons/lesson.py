"""Build a lesson's image and show what its layers hold: `python lessons/lesson.py NUMBER`.

Each layer is shown with its size, the command that made it, and the folders in which its bytes are.
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
from pathlib import Path, PurePosixPath
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

HERE = Path(__file__).resolve().parent
SHOWN_FOLDERS = 3
DEPTH = 4
# What every instruction of a classic build is written down with, and RUN of BuildKit.
NOISE = ("/bin/sh -c #(nop) ", "RUN /bin/sh -c ", "# buildkit", "|0 ")


@dataclass(frozen=True)
class Layer:
    """One layer of an image.

    `command` is the instruction that made it, `sizes` the bytes of each file that it adds or replaces, by path, and
    `removed` the paths that it hides. `identity` is the digest of its content, the same wherever the layer is used.
    """

    command: str
    sizes: dict[str, int]
    removed: list[str]
    identity: str

    @property
    def size(self) -> int:
        """Bytes of all files, uncompressed, without what their names and dates take."""
        return sum(self.sizes.values())


def docker(*arguments: str) -> str:
    """Run docker, and return what it prints.

    Raises:
        subprocess.CalledProcessError: the command failed; what it said went to the terminal.

    """
    return subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def layers(image: str) -> list[Layer]:
    """Read an image's layers, the lowest first, as the engine saves them: an OCI layout in one archive."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "image.tar")
        docker("save", "--output", str(saved), image)
        with tarfile.open(saved) as archive:
            manifest = json.load(member(archive, "manifest.json"))[0]
            config = json.load(member(archive, manifest["Config"]))
            commands = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
            identities = config["rootfs"]["diff_ids"]
            parts = zip(manifest["Layers"], commands, identities, strict=True)
            return [read_layer(member(archive, name), command, identity) for name, command, identity in parts]


def member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open one file of an archive.

    Raises:
        KeyError: it is not there, or no file.

    """
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file


def read_layer(file: IO[bytes], command: str, identity: str) -> Layer:
    """List what a layer holds. A name with the prefix .wh. hides what lies below (OCI image specification, layers)."""
    sizes: dict[str, int] = {}
    removed: list[str] = []
    with tarfile.open(fileobj=file) as content:
        for entry in content:
            path = PurePosixPath("/", entry.name)
            if path.name.startswith(".wh."):
                removed.append(str(path.with_name(path.name.removeprefix(".wh."))))
            elif not entry.isdir():
                sizes[str(path)] = entry.size
    return Layer(plain(command), sizes, removed, identity)


def plain(command: str) -> str:
    """Write an instruction as the Dockerfile has it, in one line."""
    for noise in NOISE:
        command = command.replace(noise, "RUN " if noise.startswith("RUN") else "")
    return " ".join(command.split())


def folders(layer: Layer) -> list[tuple[str, int]]:
    """Tell the folders that have most of a layer's bytes, the largest first, no deeper than DEPTH."""
    found: Counter[str] = Counter()
    for path, size in layer.sizes.items():
        parents = PurePosixPath(path).parent.parts[: DEPTH + 1]
        found[str(PurePosixPath(*parents))] += size
    return found.most_common(SHOWN_FOLDERS)


def megabytes(size: int) -> str:
    """Write a size with the digits that matter: decimal units, as docker writes them."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def table(title: str, found: list[Layer], base: list[Layer]) -> Table:
    """Lay out the layers; those of the base image are one row."""
    rows = Table(title=title, title_justify="left", expand=True)
    rows.add_column("size", justify="right", no_wrap=True)
    rows.add_column("layer", ratio=3)
    rows.add_column("where its bytes are", ratio=2)
    rows.add_row(megabytes(sum(layer.size for layer in base)), Text("the base image"), "")
    for layer in found[len(base) :]:
        where = "\n".join(f"{megabytes(size):>8}  {folder}" for folder, size in folders(layer))
        hidden = f"\nhides {len(layer.removed)} of a layer below" if layer.removed else ""
        rows.add_row(megabytes(layer.size), Text(layer.command, overflow="fold"), Text(where + hidden, overflow="fold"))
        rows.add_section()
    return rows


def lesson(number: str) -> Path:
    """Find the folder of a lesson.

    Raises:
        SystemExit: there is none.

    """
    known = {int(folder.name[:2]): folder for folder in sorted(HERE.glob("[0-9][0-9]-*"))}
    if not number.isdigit() or int(number) not in known:
        raise SystemExit(f"lesson: there is no lesson {number!r}: give a number from {min(known)} to {max(known)}.")
    return known[int(number)]


def show(console: Console, folder: Path, stage: str) -> None:
    """Build one stage of a lesson, and show its layers above the base image's."""
    image = f"lesson-{int(folder.name[:2])}:{stage}"
    dockerfile = folder / "Dockerfile"
    subprocess.run(
        ["docker", "build", "--target", stage, "--tag", image, "--file", str(dockerfile), str(HERE / "app")], check=True
    )
    base = re.findall(r"^ARG BASE=(\S+)", dockerfile.read_text("utf-8"), re.MULTILINE)
    console.print(table(image, layers(image), layers(base[0]) if base else []))


def main() -> None:
    """Show every stage of a lesson, and tell where to read on."""
    folder = lesson(sys.argv[1] if len(sys.argv) > 1 else "")
    console = Console()
    text = (folder / "Dockerfile").read_text("utf-8")
    try:
        for stage in re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE):
            show(console, folder, stage)
    except subprocess.CalledProcessError as failed:
        raise SystemExit(f"lesson: {' '.join(failed.cmd[:3])} failed with status {failed.returncode}.") from None
    console.print(f"What this shows, what goes wrong, and an exercise: {folder.relative_to(HERE.parent)}/README.md")


if __name__ == "__main__":
    main()
