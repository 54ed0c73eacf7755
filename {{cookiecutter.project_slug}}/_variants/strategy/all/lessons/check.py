"""Check whether a Dockerfile does what a lesson's exercise asks: `python lessons/check.py NUMBER [DOCKERFILE]`.

Builds my.Dockerfile of the lesson, or another of its Dockerfiles, and prints a line for each check, until one fails.
The exit status is then 1.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from build_steps import format_steps
from lesson import HERE, Layer, base_layers, docker, find_dockerfile, format_size, layers

APP = HERE / "app"
MINE = "my.Dockerfile"
# The Dockerfile that the exercise of a lesson changes, if it is not Dockerfile.
STARTS = {1: "wrong.Dockerfile", 2: "wrong.Dockerfile"}
GREETING = "Hello from C, world"
USE_TIME_ZONE = "import zoneinfo; print(zoneinfo.ZoneInfo('Europe/Paris'))"
USE_CERTIFICATES = "import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 0)"
USE_HOME = "import pathlib; (pathlib.Path.home() / '.cache').mkdir(); print('created')"
# Install the bundle after changing its record of the platform, and print how install.sh responds.
INSTALL_FOREIGN_BUNDLE = """
tar -xz
[ -e bundle/PLATFORM ] || { echo 'the bundle has no file PLATFORM'; exit; }
echo 'another platform' >bundle/PLATFORM
if sh bundle/install.sh /opt/venv >/tmp/output 2>&1; then echo 'it installed the bundle'; exit; fi
[ ! -e /opt/venv ] || { echo 'it created files, and failed afterwards'; exit; }
echo "it printed $(wc -l </tmp/output) line(s)"
"""


class CheckError(Exception):
    """The image does not do what the exercise asks; the message says what it does instead."""


@dataclass(frozen=True)
class Image:
    """An image that was built from a Dockerfile of a lesson."""

    dockerfile: Path
    name: str

    @property
    def start(self) -> str:
        """The text of the lesson's first Dockerfile, which names the base image."""
        return (self.dockerfile.parent / "Dockerfile").read_text("utf-8")

    def read_layers(self) -> list[Layer]:
        """Return the layers of the image. Name its tag, because `docker save` would also save the image `edited`."""
        tag = f"{self.name}:latest"
        return layers([tag])[tag]

    def build(self, *options: str, app: Path = APP) -> str:
        """Build the Dockerfile with other options, and return the log."""
        _, log = run("build", "--progress=plain", *options, "--file", str(self.dockerfile), str(app))
        return log

    def rebuild(self, file: str, comment: str) -> str:
        """Add a unique comment to a file in a copy of the app, build the image `edited`, and return the log."""
        with tempfile.TemporaryDirectory() as directory:
            app = shutil.copytree(APP, Path(directory, "app"))
            with (app / file).open("a", encoding="utf-8") as opened:
                opened.write(comment.replace("...", uuid.uuid4().hex) + "\n")
            return self.build("--tag", f"{self.name}:edited", app=app)


def run(*arguments: str, stdin: bytes = b"") -> tuple[str, str]:
    """Run docker, and return its output and its error messages.

    Raises:
        CheckError: if it fails, with the last line that it printed.

    """
    done = subprocess.run(["docker", *arguments], check=False, input=stdin, capture_output=True)
    output, errors = (text.decode("utf-8", "replace").strip() for text in (done.stdout, done.stderr))
    if done.returncode != 0:
        lines = [line for line in f"{output}\n{errors}".splitlines() if line and not line.startswith("Run 'docker")]
        last = lines[-1].strip() if lines else f"status {done.returncode}"
        raise CheckError(re.sub("^docker: Error response from daemon: (.*: )?exec: ", "exec: ", last))
    return output, errors


Check = Callable[[Image], None]


def prints(expected: str, *command: str, options: tuple[str, ...] = ()) -> Check:
    """Return a check that a container prints one line."""

    def check(image: Image) -> None:
        output, _ = run("run", "--rm", "--network=none", *options, image.name, *command)
        if output != expected:
            raise CheckError(f"it printed '{output.splitlines()[-1] if output else ''}'")

    return check


def adds_no_file(pattern: str) -> Check:
    """Return a check that no layer above the base image contains a file whose path matches."""

    def check(image: Image) -> None:
        base = base_layers(image.start)
        paths = {path for layer in image.read_layers() if layer.identity not in base for path in layer.sizes}
        for path in sorted(path for path in paths if re.search(pattern, path)):
            raise CheckError(f"a layer contains {path}")

    return check


def is_smaller_than(megabytes: int) -> Check:
    """Return a check of the size of all layers, including those of the base image."""

    def check(image: Image) -> None:
        size = sum(layer.size for layer in image.read_layers())
        if size >= megabytes * 1e6:
            raise CheckError(f"it has {format_size(size)}")

    return check


def has_numeric_user(image: Image) -> None:
    """Check that the image's user is a number other than 0."""
    user = json.loads(docker("image", "inspect", image.name))[0]["Config"].get("User", "")
    if not re.match("[1-9][0-9]*(:|$)", user):
        raise CheckError(f"it is '{user}'" if user else "there is no USER instruction")


def exports_wheels(image: Image) -> None:
    """Check that the stage artifacts contains the wheels of hello and rich, and only wheels."""
    with tempfile.TemporaryDirectory() as directory:
        image.build("--target=artifacts", "--output", directory)
        names = sorted(path.relative_to(directory).as_posix() for path in Path(directory).rglob("*"))
    for name in names:
        if not re.fullmatch(r"[^/]+\.whl", name):
            raise CheckError(f"it contains {name}")
    for package in ("hello", "rich"):
        if not any(name.startswith(f"{package}-") for name in names):
            raise CheckError(f"it contains no wheel of {package}")


def rejects_foreign_bundle(image: Image) -> None:
    """Check that install.sh rejects a bundle that was built for another platform."""
    (base,) = re.findall(r"^ARG BASE=(\S+)", image.start, re.MULTILINE)
    with tempfile.TemporaryDirectory() as directory:
        image.build("--target=artifacts", "--output", directory)
        bundle = Path(directory, "hello.tar.gz")
        if not bundle.exists():
            raise CheckError("the stage artifacts contains no hello.tar.gz")
        shell = ("--network=none", base, "sh", "-euc", INSTALL_FOREIGN_BUNDLE)
        response, _ = run("run", "--rm", "--interactive", *shell, stdin=bundle.read_bytes())
    if response != "it printed 1 line(s)":
        raise CheckError(response)


def ignores_hello_c(image: Image) -> None:
    """Check that all steps are cached after a change to hello.c."""
    for step in format_steps(image.rebuild("hello.c", "/* ... */")):
        if not step.startswith("CACHED"):
            raise CheckError(step.removeprefix("run").strip())


def fails_if_output_changes(image: Image) -> None:
    """Check that the image cannot be built from a program that prints something else."""
    try:
        image.rebuild("src/hello/__main__.py", "def main(): print('...')")
    except CheckError:
        return
    raise CheckError("the build succeeded")


def changes_one_layer(image: Image) -> None:
    """Check that one layer differs after a change to the program."""
    image.rebuild("src/hello/__main__.py", "# ...")
    images = json.loads(docker("image", "inspect", image.name, f"{image.name}:edited"))
    before, after = (set(each["RootFS"]["Layers"]) for each in images)
    if len(after - before) != 1:
        raise CheckError(f"{len(after - before)} layers changed")


# The checks of each lesson, by what they expect.
RUNS = {f"the container prints '{GREETING}'": prints(GREETING)}
READ_ONLY = ("--read-only", "--cap-drop=ALL")
RUNS_READ_ONLY = {"hello runs with a read-only root file system": prints(GREETING, options=READ_ONLY)}
USER = {"the image has a numeric user other than 0": has_numeric_user}
IN_APP = {"the virtualenv is in /app": prints("/app", "python", "-c", "import sys; print(sys.prefix)")}
SHOW_PATH = "grep /app /app/bin/hello || true"
WRITES = (*READ_ONLY, "--tmpfs=/tmp", "--user=12345:0")
CHECKS: dict[int, dict[str, Check]] = {
    1: {
        "the container prints 'Hello, world'": prints("Hello, world"),
        "the image, with its base image, is smaller than 1 MB": is_smaller_than(1),
    },
    2: {
        **RUNS,
        "the command `hello Ada` prints 'Hello from C, Ada'": prints("Hello from C, Ada", "hello", "Ada"),
        "the image adds no program to its base image except hello": adds_no_file("/bin/(?!hello$)"),
    },
    3: {
        **RUNS,
        "hello runs as user 10001": prints(GREETING, options=("--user=10001",)),
        "hello does not depend on the home directory": prints(GREETING, options=("--user=10001", "--env=HOME=/none")),
        **USER,
    },
    4: {
        **RUNS,
        "the command `python -m hello` prints the same": prints(GREETING, "python", "-m", "hello"),
        **IN_APP,
        "/opt/venv does not exist": prints("", "sh", "-c", "[ ! -e /opt/venv ] || echo /opt/venv exists"),
    },
    5: {
        **RUNS,
        "the stage artifacts contains the wheels, and nothing else": exports_wheels,
        "no layer of the image contains a wheel": adds_no_file(r"\.whl$"),
        "a change to hello changes one layer": changes_one_layer,
    },
    6: {
        **RUNS_READ_ONLY,
        **USER,
        "the image adds no other programs, such as gcc or pex": adds_no_file("/bin/(gcc|pex3?)$"),
    },
    7: {**RUNS, "install.sh rejects another platform with one line, before it creates files": rejects_foreign_bundle},
    9: {
        **RUNS,
        "after a change to hello.c, no step runs again": ignores_hello_c,
        "a change to hello changes one layer": changes_one_layer,
    },
    10: {
        **RUNS_READ_ONLY,
        **USER,
        "a directory can be created in the home directory": prints("created", "python", "-c", USE_HOME, options=WRITES),
    },
    13: {**RUNS, **IN_APP, "the script /app/bin/hello does not contain its path": prints("", "sh", "-c", SHOW_PATH)},
    14: {
        **RUNS,
        "the time zone Europe/Paris can be read": prints("Europe/Paris", "python", "-c", USE_TIME_ZONE),
        "CA certificates can be read": prints("True", "python", "-c", USE_CERTIFICATES),
        "the image, with its base image, is smaller than 100 MB": is_smaller_than(100),
    },
    15: {
        **RUNS,
        "no layer of the image contains the tests": adds_no_file("^/tests/"),
        "a build fails if the program prints something else": fails_if_output_changes,
    },
}


def find_image(number: str, name: str = MINE) -> Image:
    """Return the image to build; exit with a sentence if there is none."""
    lesson = find_dockerfile(number).parent
    if int(number) not in CHECKS:
        sys.exit(
            f"check: the exercise of lesson {int(number)} needs no Dockerfile. Compare your answer with the solution."
        )
    if name == MINE and not (lesson / MINE).exists():
        path = lesson.relative_to(HERE.parent).as_posix()
        start = STARTS.get(int(number), "Dockerfile")
        sys.exit(f"check: {path}/{MINE} does not exist. Run `cp {path}/{start} {path}/{MINE}`, and edit the copy.")
    return Image(find_dockerfile(number, name), "-".join(["lesson", str(int(number)), *name.split(".")[:-1]]))


def main(number: str = "", *names: str) -> int:
    """Build the image, print the result of each check, and return the exit status."""
    image = find_image(number, *names[:1])
    print(f"building {image.name}", file=sys.stderr, flush=True)
    docker("build", "--tag", image.name, "--file", str(image.dockerfile), str(APP))
    for title, check in CHECKS[int(number)].items():
        try:
            check(image)
        except CheckError as failure:
            print(f"failed  {title}: {failure}")
            return 1
        print(f"ok      {title}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
