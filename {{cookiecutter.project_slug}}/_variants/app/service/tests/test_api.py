"""The routes of your API."""

import sys

import pytest

from {{ cookiecutter.package_name }} import crc32c

from .service.process import run_service

DIGITS = b"123456789"
LARGE = bytes(range(250)) * 20_000


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    command = [sys.executable, "-m", "{{ cookiecutter.package_name }}", "serve"]
    with run_service(tmp_path_factory.mktemp("service"), *command, docs=True) as service:
        yield service


def test_text_returns_checksum(service):
    response = service.post_json("/checksums", {"text": DIGITS.decode()})
    assert (response.status, response.json()) == (200, {"crc32c": "e3069283", "bytes": 9})


@pytest.mark.parametrize("body", [{}, {"text": 9}, {"text": ""}, {"text": "\ud800"}, "123456789"])
def test_invalid_text_is_rejected(service, body):
    response = service.post_json("/checksums", body)
    assert (response.status, response.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", "00000000"), (DIGITS, "e3069283"), (LARGE, f"{crc32c(LARGE):08x}")],
    ids=["empty", "small", "large"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_body_returns_checksum(service, body, expected, chunked):
    response = service.request("POST", "/crc32c", iter([body[:4], body[4:]]) if chunked else body)
    assert (response.status, response.json()) == (200, {"crc32c": expected, "bytes": len(body)})


def test_openapi_document_describes_bodies(service):
    paths = service.request("GET", "/openapi.json").json()["paths"]
    assert paths.keys() >= {"/checksums", "/crc32c"}
    assert "application/octet-stream" in paths["/crc32c"]["post"]["requestBody"]["content"]
    assert "application/json" in paths["/checksums"]["post"]["requestBody"]["content"]
