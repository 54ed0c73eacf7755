"""The routes."""

import sys

import pytest

from .service.process import run_service


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with run_service(tmp_path_factory.mktemp("service"), sys.executable, "-m", "acme", "serve") as service:
        yield service


def test_distance_is_returned(service):
    response = service.post_json("/distances", {"a": "kitten", "b": "sitting"})
    assert (response.status, response.json()) == (200, {"distance": 3})


def test_missing_text_is_rejected(service):
    assert service.post_json("/distances", {"a": "kitten"}).status == 422
