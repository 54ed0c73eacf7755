"""Test the service against its OpenAPI document; `make contract` runs this test."""

import subprocess
import sys
from pathlib import Path

from .service.process import environment, run_service


def test_service_follows_its_openapi_document(tmp_path):
    """Schemathesis sends valid and invalid requests to each route, and checks the responses."""
    command = [sys.executable, "-m", "{{ cookiecutter.package_name }}", "serve"]
    with run_service(tmp_path, *command, docs=True) as service:
        document = f"http://{service.host}:{service.port}/openapi.json"
        schemathesis = Path(sys.executable).with_name("schemathesis")
        config = Path(__file__).with_name("schemathesis.toml")
        subprocess.run([schemathesis, "--config-file", config, "run", document], env=environment(), check=True)
