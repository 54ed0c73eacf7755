"""What a company adds: a base image, an index with a password and a certificate, and packages outside any index."""

from __future__ import annotations

import base64
import gzip
import os
import shutil
import ssl
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BAKE, QUESTIONS, STRATEGIES, Bake, Build, Image, Project, copy_project, host_address
from tests.images.test_images import assert_command_works, own_size
from tests.project.test_lock import build_wheel
from tools.engine import Engine

NAME, PASSWORD = "ada", "correct-horse-battery"
CREDENTIALS = base64.b64encode(f"{NAME}:{PASSWORD}".encode())
# Without the variables of the base image, because a substitute sets SSL_CERT_FILE.
BASE = """
FROM scratch
COPY --from={base} / /
WORKDIR /company
RUN openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout authority.key -out authority.crt \\
    && openssl req -x509 -CA authority.crt -CAkey authority.key -newkey rsa:2048 -nodes -days 2 -subj /CN=index \\
        -addext basicConstraints=CA:FALSE -addext subjectAltName=IP:{host} -keyout index.key -out index.crt \\
    && cp authority.crt /usr/local/share/ca-certificates && update-ca-certificates \\
    && cp /etc/ssl/certs/ca-certificates.crt .
RUN mkdir /opt/own && head -c 60000000 /dev/urandom >/opt/own/data
WORKDIR /
USER 1001
ENTRYPOINT ["python3"]
"""
MOUNT_POINTS = ("root/.netrc", "root/.config/pip/pip.conf", "root/.config/uv/uv.toml")
IMAGE = f"test-{os.getpid()}-private"
# Steps that docs/building.md quotes.
SOURCE = '[tool.uv.sources]\nname = { url = "https://example.com/name-1.0-py3-none-any.whl" }\n'
URL = "https://example.com/remote-1.0-py3-none-any.whl"
WHERE, IGNORED, COPY, COPY_ABOVE = '"libs/name/src"', "!libs", "COPY libs /src/libs", "COPY src /src/src"
PRINT_NAMES = "import acme_private, name, remote; print(acme_private.NAME, name.NAME, remote.NAME)"
NAMES = "acme_private name remote\n"


class Handler(BaseHTTPRequestHandler):
    """Serves one wheel to clients that know the password."""

    wheel: Path

    def do_GET(self) -> None:
        """Respond to a request."""
        if self.headers["Authorization"] != f"Basic {CREDENTIALS.decode()}":
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
def company_base(engine: Engine, base_image: Any) -> Iterator[tuple[str, str]]:
    """Return the host's address, and the tag of a base image that trusts a new certificate for it.

    The address is also reachable from the steps of a build. The base image also contains the private key.
    """
    host = host_address(engine)
    dockerfile = BASE.format(base=base_image(QUESTIONS["python_version"][0]), host=host)
    engine.docker("build", "--tag", f"{IMAGE}:base", "-", input=dockerfile)
    yield host, f"{IMAGE}:base"
    engine.docker("image", "rm", f"{IMAGE}:base", check=False)


@pytest.fixture(scope="module")
def company(
    engine: Engine, company_base: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Start the index, and return the variables that name the base image and the files for the index."""
    host, base = company_base
    directory = tmp_path_factory.mktemp("index")
    Handler.wheel = build_wheel(directory / "private", "acme_private")
    for name in ("index.key", "index.crt", "ca-certificates.crt"):
        show = ("run", "--rm", "--user=0", "--entrypoint=cat", base, f"/company/{name}")
        (directory / name).write_text(engine.docker(*show).stdout)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "index.crt", directory / "index.key")
    with ThreadingHTTPServer((host, 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"https://{host}:{server.server_port}/simple"
        files = {
            "NETRC": f"machine {host} login {NAME} password {PASSWORD}\n",
            "PIP_CONFIG_FILE": f"[global]\nextra-index-url = {url}\n",
            "UV_CONFIG_FILE": f'index = [{{ url = "{url}" }}]\n',
        }
        for name, text in files.items():
            (directory / name).write_text(text)
        yield {"BASE": base, **{name: str(directory / name) for name in files}}
        server.shutdown()


@pytest.fixture(scope="module")
def host(company: dict[str, str]) -> dict[str, str]:
    """Return the environment of a host that trusts the company's certificate."""
    trusted = str(Path(company["NETRC"]).with_name("ca-certificates.crt"))
    return {**os.environ, **company, "SSL_CERT_FILE": trusted, "PIP_CERT": trusted}


@pytest.fixture(scope="module")
def wheel_url(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a wheel on a server that needs no password."""
    wheel = build_wheel(tmp_path_factory.mktemp("remote") / "remote", "remote")
    address = host_address(engine)
    handler = partial(SimpleHTTPRequestHandler, directory=str(wheel.parent))
    with ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}/{wheel.name}"
        server.shutdown()


def add_packages(project: Project, wheel_url: str) -> None:
    """Follow docs/building.md for a package of the same repository, and add the URL of a wheel."""
    page = project.read("docs/building.md")
    assert SOURCE in page
    assert all(f"`{step}`" in page for step in (WHERE, IGNORED, COPY, COPY_ABOVE))
    (project.path / "libs/name/src/name").mkdir(parents=True)
    (project.path / "libs/name/src/name/__init__.py").write_text('NAME = "name"\n')
    project.edit("pyproject.toml", 'where = ["src"]', f'where = ["src", {WHERE}]')
    with (project.path / "pyproject.toml").open("a") as file:
        file.write(SOURCE.replace("name", "remote").replace(URL, wheel_url))
    project.edit(".dockerignore", "!src\n", f"!src\n{IGNORED}\n")
    for strategy in STRATEGIES:
        project.edit(f"strategies/{strategy}/Dockerfile", f"{COPY_ABOVE}\n", f"{COPY_ABOVE}\n{COPY}\n")


@pytest.fixture(scope="module")
def project(bake_once: Bake, host: dict[str, str], wheel_url: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose program needs the packages; `make lock` has locked it."""
    baked = bake_once(project_slug="acme-sums", strategy="all", app="cli")
    project = copy_project(baked, tmp_path_factory.mktemp("private"))
    add_packages(project, wheel_url)
    project.edit("pyproject.toml", "dependencies = []", 'dependencies = ["acme-private", "remote"]')
    imports = "import os\n\nimport acme_private  # noqa: F401\nimport name  # noqa: F401\nimport remote  # noqa: F401\n"
    project.edit("src/acme_sums/cli.py", "import os\n", imports)
    result = project.run("make", "lock", env=host)
    assert result.returncode == 0, result.stderr
    return project


@pytest.fixture(scope="module")
def built_project(engine: Engine, project: Project, company: dict[str, str]) -> Iterator[Project]:
    """Return the project after `make image` has built all strategies."""
    environment = {**engine.environment, **company, "IMAGE": IMAGE, "TAG": ""}
    result = project.run("make", "image", env=environment)
    assert result.returncode == 0, result.stderr
    (project.path / "build.log").write_text(result.stdout + result.stderr)
    yield project
    engine.docker("image", "rm", *(f"{IMAGE}:{strategy}" for strategy in STRATEGIES), check=False)


@pytest.fixture
def image(engine: Engine, built_project: Project, company: dict[str, str], strategy: str) -> Image:
    """Return the image of a strategy, which is built on the company's base image."""
    return Image(engine, f"{IMAGE}:{strategy}", built_project, company["BASE"])


def test_make_test_installs_from_private_index(project: Project, host: dict[str, str]) -> None:
    assert "acme-private==1" in project.read("requirements.txt")
    result = project.run("make", "test", "ARGS=tests/test_cli.py", env=host)
    assert result.returncode == 0, result.stderr
    assert project.run(".venv/bin/python", "-c", PRINT_NAMES).stdout == NAMES


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_packages_are_installed(image: Image) -> None:
    assert image.run("python", "-c", PRINT_NAMES).stdout == NAMES


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_base_image_with_user_entry_point_and_files_in_opt_works(
    image: Image, bake_once: Bake, build: Build, strategy: str
) -> None:
    assert_command_works(image)
    usual = build(bake_once(project_slug="acme-sums", strategy=strategy, app="cli"))
    # The packages need some disk blocks, but less than the files in /opt.
    assert own_size(image) < own_size(usual) + 200_000
    date = ("run", "--rm", "--entrypoint=stat")
    dates = [image.engine.docker(*date, tag, "--format=%Y", "/opt/own/data").stdout for tag in (image.tag, image.base)]
    assert dates[0] == dates[1]


@dataclass
class PasswordSearch:
    """The number of files that were searched for the password, and the names of those that contain it."""

    files: int = 0
    found: list[str] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Search a file and, if it is a layer, the files in it."""
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
        self.files += 1
        if content[257:262] == b"ustar":
            with tarfile.open(fileobj=BytesIO(content)) as layer:
                members = [member.name for member in layer]
            self.files += len(members)
            # A secret's mount point must not stay in the layer either, because the layer would then depend on secrets.
            self.found += [name for name in members if name in MOUNT_POINTS]
        if PASSWORD.encode() in content or CREDENTIALS in content:
            self.found.append(path.name)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_build_stores_no_password(
    engine: Engine, built_project: Project, company: dict[str, str], tmp_path: Path, strategy: str
) -> None:
    options = (
        f"--set=*.output=type=oci,dest={tmp_path}/image,tar=false",
        f"--set=*.cache-to=type=local,dest={tmp_path}/cache,mode=max",
        "--set=*.attest=type=provenance,mode=max",
    )
    environment = {**engine.environment, **company, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    engine.docker(*BAKE, *options, f"image-{strategy}", cwd=built_project.path, env=environment)
    inspected = engine.docker("image", "inspect", f"{IMAGE}:{strategy}").stdout
    history = engine.docker("image", "history", "--no-trunc", f"{IMAGE}:{strategy}").stdout
    (tmp_path / "inspected").write_text(inspected + history)
    for name in ("build.log", "requirements.txt"):
        shutil.copy(built_project.path / name, tmp_path)
    search = PasswordSearch()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            search.add(path)
    print(f"{strategy}: {search.files} files")
    assert search.files > 1000
    assert search.found == []
