"""A package index with a password: every strategy builds from it, and no output contains the password."""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import pytest

from tests.conftest import BAKE, STRATEGIES, Bake, Project, copy_project
from tests.images.test_reproducible import inspect
from tools.engine import Engine

NAME, PASSWORD = "ada", "correct-horse-battery"
PACKAGE = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "acme-private"
version = "1"
[tool.setuptools]
py-modules = ["acme_private"]
"""


class Handler(BaseHTTPRequestHandler):
    """Serves one wheel to clients that know the password."""

    wheel: Path

    def do_GET(self) -> None:
        """Respond to a request."""
        expected = base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] != f"Basic {expected}":
            self.respond(401, b"")
        elif self.path == "/simple/acme-private/":
            self.respond(200, f'<a href="/{self.wheel.name}">{self.wheel.name}</a>'.encode())
        elif self.path == f"/{self.wheel.name}":
            self.respond(200, self.wheel.read_bytes())
        else:
            self.respond(404, b"")

    def respond(self, status: int, body: bytes) -> None:
        """Send a response."""
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Basic")
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def secret_files(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start an index, and return the variables that name the files with its address and password."""
    directory = tmp_path_factory.mktemp("index")
    (directory / "pyproject.toml").write_text(PACKAGE)
    (directory / "acme_private.py").write_text('WORD = "private"\n')
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "."], cwd=directory, check=True)
    (Handler.wheel,) = (directory / "dist").glob("*.whl")
    # This address of the host is also reachable from the steps of a build.
    gateway = "{{range .IPAM.Config}}{{.Gateway}} {{end}}"
    host = engine.docker("network", "inspect", "bridge", "--format", gateway).stdout.split()[0]
    with ThreadingHTTPServer((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://{host}:{server.server_port}/simple"
        files = {
            "NETRC": f"machine {host} login {NAME} password {PASSWORD}\n",
            "PIP_CONFIG_FILE": f"[global]\nextra-index-url = {url}\ntrusted-host = {host}\n",
            "UV_CONFIG_FILE": f'[[index]]\nname = "private"\nurl = "{url}"\n',
        }
        for name, text in files.items():
            (directory / name).write_text(text)
        yield {name: str(directory / name) for name in files}
        server.shutdown()


@pytest.fixture(scope="module")
def project(
    bake_once: Bake, base_image: Any, secret_files: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    """Return a project whose program needs the private package; `make lock` has locked it."""
    baked = bake_once(project_slug="acme-sums", strategy="all", app="cli")
    base_image(baked.answers["python_version"])
    project = copy_project(baked, tmp_path_factory.mktemp("private"))
    project.edit("pyproject.toml", "dependencies = []", 'dependencies = ["acme-private"]')
    project.edit("src/acme_sums/cli.py", "import os\n", "import os\n\nimport acme_private  # noqa: F401\n")
    result = project.run("make", "lock", env={**os.environ, **secret_files})
    assert result.returncode == 0, result.stderr
    return project


@pytest.mark.slow
def test_make_installs_from_private_index(project: Project, secret_files: dict[str, str]) -> None:
    assert "acme-private==1" in project.read("requirements.txt")
    result = project.run("make", "test", "ARGS=tests/test_cli.py", env={**os.environ, **secret_files})
    assert result.returncode == 0, result.stderr


@dataclass
class Search:
    """Counts the files in which the password was looked for, and lists those that contain it."""

    files: int = 0
    found: tuple[str, ...] = ()

    def add(self, name: str, stream: IO[bytes]) -> None:
        """Search a file and, if it is an archive, its decompressed content and its members."""
        self.files += 1
        content = stream.read()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        elif content.startswith(b"x\x9c"):
            content = zlib.decompress(content)
        if PASSWORD.encode() in content or base64.b64encode(f"{NAME}:{PASSWORD}".encode()) in content:
            self.found += (name,)
        if content[257:262] == b"ustar":
            self.files += sum(member.isfile() for member in tarfile.TarFile(fileobj=BytesIO(content)))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_private_index_leaves_no_password(
    engine: Engine, project: Project, secret_files: dict[str, str], tmp_path: Path, strategy: str
) -> None:
    environment = {**engine.environment, **secret_files}
    options = (
        "--no-cache",
        f"--set=*.output=type=oci,dest={tmp_path}/image,tar=false",
        f"--set=*.cache-to=type=local,dest={tmp_path}/cache,mode=max",
        "--set=*.attest=type=provenance,mode=max",
    )
    result = engine.docker(*BAKE, *options, f"image-{strategy}", cwd=project.path, env=environment)
    (tmp_path / "log").write_text(result.stdout + result.stderr)
    shutil.copy(project.path / "requirements.txt", tmp_path)
    search = Search()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                search.add(path.name, stream)
    print(f"{strategy}: {search.files} files searched")
    assert search.files > 1000
    assert search.found == ()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unused_secrets_do_not_change_the_image(
    engine: Engine, bake_once: Bake, base_image: Any, secret_files: dict[str, str], strategy: str
) -> None:
    project = bake_once(project_slug="acme-sums", strategy=strategy, app="cli")
    base_image(project.answers["python_version"])
    identities = []
    for number, files in enumerate(({}, secret_files)):
        tag = f"test-{os.getpid()}-secrets:{number}"
        environment = {**engine.environment, **files, "SOURCE_DATE_EPOCH": "1700000000"}
        options = ("--load", "--no-cache", f"--set=*.tags={tag}", f"--set=*.args.BUILDKIT_CACHE_MOUNT_NS={number}")
        engine.docker(*BAKE, *options, cwd=project.path, env=environment)
        identities.append(inspect(engine, tag, "{{.Id}}"))
        engine.docker("image", "rm", tag, check=False)
    assert identities[0] == identities[1]
