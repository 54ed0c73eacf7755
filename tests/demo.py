"""From a bare checkout to an answer: generate the default project, build it, run it, ask it for a checksum.

Without a Docker engine the same is done natively, in a virtualenv.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from tests.engine import DockerError, Engine, EngineUnavailable, running_engine

TEMPLATE = Path(__file__).parent.parent
SLUG = "checksum-service"
BODY = b"123456789"


def say(text: str) -> None:
    """Tell the person who waits what happens now."""
    print(text, flush=True)


def show(*command: str) -> None:
    """Print a command as one would type it."""
    say(f"\n$ {shlex.join(command)}")


def ask(url: str) -> str:
    """Post the body, as soon as the service answers.

    Raises:
        OSError: it does not answer within 30 seconds.

    """
    show("curl", "--data-binary", BODY.decode(), url)
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=BODY), timeout=10) as response:
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def generate(folder: Path, *answers: str) -> Path:
    """Generate the default project in a folder, but for some `QUESTION=ANSWER`."""
    show("cookiecutter", "--no-input", str(TEMPLATE), *answers)
    command = [sys.executable, "-m", "cookiecutter", "--default-config", "--no-input", "--output-dir", str(folder)]
    subprocess.run([*command, str(TEMPLATE), *answers], check=True)
    return folder / SLUG


def build(engine: Engine, project: Path, tag: str) -> None:
    """Build a project's image, on any base that is at hand; docker tells on stderr how far it is."""
    say(f"Base image: {engine.base_image('3.14')}")
    show("docker", "build", "--tag", tag, ".")
    subprocess.run(["docker", "build", "--tag", tag, "."], cwd=project, env=engine.environment, check=True)


def in_a_container(engine: Engine, project: Path) -> None:
    """Build the image, run it locked down, and ask it."""
    build(engine, project, SLUG)
    options = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--publish=127.0.0.1::8000")
    show("docker", "run", "--detach", *options, SLUG)
    container = engine.docker("run", "--detach", *options, SLUG).stdout.strip()
    try:
        port = engine.docker("port", container, "8000/tcp").stdout.split(":")[-1].strip()
        say(ask(f"http://127.0.0.1:{port}/crc32c"))
        show("docker", "history", SLUG)
        say(engine.docker("history", SLUG).stdout)
        show("docker", "stop", container[:12])
        engine.docker("stop", container)
    finally:
        engine.docker("rm", "--force", container, check=False)


def natively(project: Path) -> None:
    """Install into a virtualenv, run the command, and ask it."""
    venv = project / ".venv"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin/pip"), "install", "--quiet", "--require-hashes", "--requirement", "requirements.txt"],
        [str(venv / "bin/pip"), "install", "--quiet", "--no-deps", "."],
    ):
        show(*command)
        subprocess.run(command, cwd=project, check=True)
    settings = ("CHECKSUM_SERVICE_HOST=127.0.0.1", f"CHECKSUM_SERVICE_PORT={port}")
    serve = ["env", *settings, str(venv / "bin" / SLUG), "serve"]
    show(*serve)
    service = subprocess.Popen(serve)
    try:
        say(ask(f"http://127.0.0.1:{port}/crc32c"))
    finally:
        service.terminate()
        service.wait(timeout=30)


def main() -> int:
    """Run the demo; the exit status is 0 when an answer was shown."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        project = generate(Path(folder))
        say("Looking for a Docker engine; a private one is started where there is none ...")
        try:
            engine = stack.enter_context(running_engine())
        except EngineUnavailable as reason:
            say(f"{reason} Without an engine, in a virtualenv:")
            natively(project)
        else:
            in_a_container(engine, project)
    say("\nThat was all. Now generate your own: cookiecutter gh:org/template")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"demo: {error}")
