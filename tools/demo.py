"""Demo: generate the default project, build and run it, and request a checksum.

Without a Docker engine, install and run the project in a virtualenv instead.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from tools.engine import DockerError, Engine, EngineUnavailable, running_engine

TEMPLATE = Path(__file__).parent.parent
QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
STRATEGIES = [name for name in QUESTIONS["strategy"] if name != "all"]
PYTHON = QUESTIONS["python_version"][0]
SLUG = "checksum-service"
BODY = b"123456789"


def log(text: str) -> None:
    """Print a progress message."""
    print(text, flush=True)


def log_command(*command: str) -> None:
    """Print a command as a user would type it."""
    log(f"\n$ {shlex.join(command)}")


def post_body(url: str) -> str:
    """Post the body as soon as the service is ready, and return the response.

    Raises:
        OSError: if there is no response within 30 seconds.

    """
    log_command("curl", "--data-binary", BODY.decode(), url)
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data=BODY), timeout=10) as response:
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def generate(directory: Path, *answers: str) -> Path:
    """Generate the default project in a directory, changed by answers such as `strategy=pex`."""
    log_command("cookiecutter", "--no-input", str(TEMPLATE), *answers)
    command = [sys.executable, "-m", "cookiecutter", "--default-config", "--no-input", "--output-dir", str(directory)]
    subprocess.run([*command, str(TEMPLATE), *answers], check=True)
    return directory / SLUG


def build(engine: Engine, project: Path, tag: str) -> None:
    """Build a project's image on any available base image; docker prints progress on stderr."""
    log(f"Base image: {engine.base_image(PYTHON)}")
    log_command("docker", "build", "--tag", tag, ".")
    subprocess.run(["docker", "build", "--tag", tag, "."], cwd=project, env=engine.environment, check=True)


def run_in_container(engine: Engine, project: Path) -> None:
    """Build the image, run it in a hardened container, and request a checksum."""
    build(engine, project, SLUG)
    options = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--publish=127.0.0.1::8000")
    log_command("docker", "run", "--detach", *options, SLUG)
    container = engine.docker("run", "--detach", *options, SLUG).stdout.strip()
    try:
        port = engine.docker("port", container, "8000/tcp").stdout.split(":")[-1].strip()
        log(post_body(f"http://127.0.0.1:{port}/crc32c"))
        log_command("docker", "history", SLUG)
        log(engine.docker("history", SLUG).stdout)
        log_command("docker", "stop", container[:12])
        engine.docker("stop", container)
    finally:
        engine.docker("rm", "--force", container, check=False)


def run_in_virtualenv(project: Path) -> None:
    """Install the project into a virtualenv, start the service, and request a checksum."""
    venv = project / ".venv"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for command in (
        [sys.executable, "-m", "venv", str(venv)],
        [str(venv / "bin/pip"), "install", "--quiet", "--require-hashes", "--requirement", "requirements.txt"],
        [str(venv / "bin/pip"), "install", "--quiet", "--no-deps", "."],
    ):
        log_command(*command)
        subprocess.run(command, cwd=project, check=True)
    settings = ("CHECKSUM_SERVICE_HOST=127.0.0.1", f"CHECKSUM_SERVICE_PORT={port}")
    serve = ["env", *settings, str(venv / "bin" / SLUG), "serve"]
    log_command(*serve)
    service = subprocess.Popen(serve)
    try:
        log(post_body(f"http://127.0.0.1:{port}/crc32c"))
    finally:
        service.terminate()
        service.wait(timeout=30)


def main() -> int:
    """Run the demo, and return exit status 0."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        project = generate(Path(directory))
        log("Looking for a Docker engine; if there is none, a private one is started ...")
        try:
            engine = stack.enter_context(running_engine())
        except EngineUnavailable as reason:
            log(f"{reason} Running in a virtualenv instead:")
            run_in_virtualenv(project)
        else:
            run_in_container(engine, project)
    log("\nDone. Now generate your own project: cookiecutter gh:org/template")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (DockerError, EngineUnavailable, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"demo: {error}")
