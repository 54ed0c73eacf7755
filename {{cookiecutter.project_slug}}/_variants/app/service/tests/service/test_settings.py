"""The settings of every service."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, AliasChoices, BaseModel, Field, PostgresDsn, SecretStr, model_validator

from {{ cookiecutter.package_name }} import service as package
from {{ cookiecutter.package_name }}.service import PREFIX, ServiceSettings, settings

from .conftest import COMMAND, SMALL_APP
from .process import environment

WRONG = {
    "PORT": ["http", "-1", "65536", ""],
    "HOST": [""],
    "LOG_LEVEL": ["loud"],
    "MAX_BODY_BYTES": ["-1", "much"],
    "BODY_MEMORY_BYTES": ["-1", "much"],
    "IDLE_SECONDS": ["0", "long"],
    "KEEP_ALIVE_SECONDS": ["0"],
    "DRAIN_SECONDS": ["-1", "long"],
    "GRACE_SECONDS": ["-1", "1.5"],
    "TRUSTED_PROXIES": ["*", "10.0.0.0/33", "proxy.example"],
    "ROOT_PATH": ["api", "/api/", "/<script>"],
    "DOCS": ["perhaps"],
    "METRICS": [""],
}


def test_description_lists_every_setting():
    text = settings.describe(ServiceSettings)
    for name in WRONG:
        assert f"{PREFIX}{name}\n" in text
    assert text.count(PREFIX) == len(WRONG)
    assert text.count("(default: ") + text.count("(optional)") == len(WRONG)


def test_startup_prints_one_line_per_invalid_value():
    variables = environment(port="http", log_level="loud")
    result = subprocess.run(COMMAND, env=variables, capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (2, b"")
    port, level = result.stderr.decode().splitlines()
    assert port.startswith(f"small-app: {PREFIX}PORT: Input should be a valid integer")
    assert level.startswith(f"small-app: {PREFIX}LOG_LEVEL: Input should be 'debug', 'info'")


def test_command_configures_settings_and_logs():
    script = f"""
import logging
from {package.__name__} import ServiceSettings, configure
logging.getLogger("worker").info(configure(ServiceSettings, "worker").port)
"""
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, env=environment(port=9), capture_output=True, check=True, timeout=60)
    assert json.loads(result.stderr)["message"] == "9"
    result = subprocess.run(command, env=environment(port="http"), capture_output=True, check=False, timeout=60)
    assert result.returncode == 2
    assert result.stderr.decode().startswith(f"worker: {PREFIX}PORT: Input should be a valid integer")


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_invalid_value_is_reported(monkeypatch, name, value):
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(settings.SettingsError, match=f"^{PREFIX}{name}: .+$"):
        settings.load(ServiceSettings)


def test_all_invalid_values_are_reported(monkeypatch):
    for name, values in WRONG.items():
        monkeypatch.setenv(f"{PREFIX}{name}", values[0])
    with pytest.raises(settings.SettingsError) as error:
        settings.load(ServiceSettings)
    assert len(str(error.value).splitlines()) == len(WRONG)


def test_service_link_of_kubernetes_is_explained(monkeypatch):
    monkeypatch.setenv(f"{PREFIX}PORT", "tcp://10.0.0.1:80")
    with pytest.raises(settings.SettingsError, match=f"^{PREFIX}PORT: .* enableServiceLinks .* rename the Service$"):
        settings.load(ServiceSettings)


class Account(BaseModel):
    """A setting with nested fields."""

    name: str
    token: SecretStr = Field(min_length=30)


class SecretSettings(ServiceSettings):
    """Settings that a project may add."""

    api_token: SecretStr = Field(min_length=30, description="token of the API, at least 30 characters")
    database_url: PostgresDsn = Field(description="URL of the database")
    codes: list[int] = Field(description="JSON list of numbers")
    other_token: SecretStr = "hunter-in-the-source"
    other_url: PostgresDsn = "postgresql://app:hunter-in-the-source@localhost/app"
    checked: Annotated[str, AfterValidator(int)] = Field(default="1", description="number of the account")
    renamed: int = Field(default=1, validation_alias="PLAIN_NAME")
    either: int = Field(default=1, validation_alias=AliasChoices("NEW_NAME", "OLD_NAME"), description="a number")
    account: Account | None = Field(default=None, description="JSON object with name and token")
    replicas: list[PostgresDsn] = Field(default=[], description="JSON list of URLs")

    @model_validator(mode="after")
    def validate_together(self):
        if self.port == 1:
            raise ValueError(f"{self.api_token.get_secret_value()} does not fit")
        return self


VALID = {
    f"{PREFIX}API_TOKEN": "hunter-" + "x" * 30,
    f"{PREFIX}DATABASE_URL": "postgresql://app:hunter-2@localhost/app",
    f"{PREFIX}CODES": "[1, 2]",
}


@pytest.fixture
def secrets(monkeypatch):
    """Set all secret settings to valid values."""
    for name, value in VALID.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (f"{PREFIX}API_TOKEN", None, "is required, as a variable or a file in /run/secrets; expected: token"),
        (f"{PREFIX}API_TOKEN", "hunter-2", "Value should have at least 30 items"),
        (f"{PREFIX}DATABASE_URL", "mysql://app:hunter-2@localhost/app", "URL scheme should be 'postgres'"),
        (f"{PREFIX}DATABASE_URL", "hunter-2", "is invalid; expected: URL of the database"),
        (f"{PREFIX}CODES", '["hunter-2"]', "Input should be a valid integer"),
        (f"{PREFIX}CODES", "hunter-2", "must be JSON; expected: JSON list of numbers"),
        (f"{PREFIX}CHECKED", "hunter-2", "is invalid; expected: number of the account"),
        (f"{PREFIX}MAX_BODY_BYTES", "10hunter-2", "is invalid; expected: largest request body"),
        (f"{PREFIX}TRUSTED_PROXIES", "hunter-2", "is invalid; expected: addresses and networks"),
        ("PLAIN_NAME", "hunter-2", "Input should be a valid integer"),
        ("OLD_NAME", "hunter-2", "Input should be a valid integer"),
        (f"{PREFIX}ACCOUNT", "hunter-2", "must be JSON; expected: JSON object with name and token"),
        (f"{PREFIX}ACCOUNT", '{"name": "hunter-2"}', "is invalid; expected: JSON object with name and token"),
        (f"{PREFIX}ACCOUNT", '{"name": "a", "token": "hunter-2"}', "Value should have at least 30 items"),
        (f"{PREFIX}REPLICAS", '["http://app:hunter-2@localhost"]', "URL scheme should be 'postgres'"),
        (f"{PREFIX}REPLICAS", '["hunter-2"]', "is invalid; expected: JSON list of URLs"),
        (f"{PREFIX}PORT", "1", None),
    ],
)
@pytest.mark.usefixtures("secrets")
def test_errors_contain_no_value(monkeypatch, name, value, message):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(settings.SettingsError) as error:
        settings.load(SecretSettings)
    (line,) = str(error.value).splitlines()
    names = "NEW_NAME or OLD_NAME" if name == "OLD_NAME" else name
    assert line.startswith(f"{PREFIX}*: is invalid" if message is None else f"{names}: {message}")
    assert "hunter" not in "".join(traceback.format_exception(error.value))


@pytest.mark.usefixtures("secrets")
def test_broken_json_does_not_hide_other_errors(monkeypatch):
    for name in ("CODES", "ACCOUNT", "PORT", "DATABASE_URL"):
        monkeypatch.setenv(f"{PREFIX}{name}", "hunter-2")
    monkeypatch.delenv(f"{PREFIX}API_TOKEN")
    with pytest.raises(settings.SettingsError) as error:
        settings.load(SecretSettings)
    names = {line.split(":")[0].removeprefix(PREFIX) for line in str(error.value).splitlines()}
    assert names == {"CODES", "ACCOUNT", "PORT", "DATABASE_URL", "API_TOKEN"}


@pytest.mark.usefixtures("secrets")
def test_settings_are_read_from_files(monkeypatch, tmp_path):
    class FileSettings(SecretSettings, secrets_dir=tmp_path):
        pass

    for name, value in VALID.items():
        monkeypatch.delenv(name)
        (tmp_path / name).write_text(f"{value}\n")
    loaded = settings.load(FileSettings)
    assert loaded.api_token.get_secret_value() == VALID[f"{PREFIX}API_TOKEN"]
    assert loaded.codes == [1, 2]
    monkeypatch.setenv(f"{PREFIX}CODES", "[3]")
    assert settings.load(FileSettings).codes == [3]


@pytest.mark.usefixtures("secrets")
def test_binary_secret_file_is_reported(monkeypatch, tmp_path):
    class FileSettings(SecretSettings, secrets_dir=tmp_path):
        pass

    monkeypatch.delenv(f"{PREFIX}API_TOKEN")
    (tmp_path / f"{PREFIX}API_TOKEN").write_bytes(b"hunter-2\xff")
    with pytest.raises(settings.SettingsError, match=f"^{PREFIX}API_TOKEN: could not be read$") as error:
        settings.load(FileSettings)
    assert "hunter" not in "".join(traceback.format_exception(error.value))


@pytest.mark.usefixtures("secrets")
def test_unreadable_file_is_reported(monkeypatch):
    monkeypatch.delenv(f"{PREFIX}API_TOKEN")
    with tempfile.TemporaryDirectory() as directory:

        class FileSettings(SecretSettings, secrets_dir=directory):
            pass

        Path(directory).chmod(0o755)
        token = Path(directory, f"{PREFIX}API_TOKEN")
        token.write_text("hunter-2")
        token.chmod(0)
        user = os.geteuid()
        os.seteuid(user or 12345)  # root can read every file
        try:
            with pytest.raises(settings.SettingsError, match=r"could not be read: Permission denied \(as user \d+\)$"):
                settings.load(FileSettings)
        finally:
            os.seteuid(user)


@pytest.mark.usefixtures("secrets")
def test_valid_secrets_are_loaded():
    assert settings.load(SecretSettings).api_token.get_secret_value() == VALID[f"{PREFIX}API_TOKEN"]


def test_description_contains_neither_secrets_nor_internals():
    text = settings.describe(SecretSettings)
    assert f"{PREFIX}API_TOKEN\n      token of the API, at least 30 characters (required)" in text
    assert "other_token (optional)" in text
    assert "other_url (optional)" in text
    assert "\n  PLAIN_NAME\n" in text
    assert "\n  NEW_NAME or OLD_NAME\n      a number (default: 1)" in text
    assert "hunter" not in text
    assert "Undefined" not in text


def test_human_friendly_values_are_accepted(start_service):
    service = start_service(log_level="DEBUG", max_body_bytes="1KiB")
    assert service.request("POST", "/stream", bytes(1024)).status == 200
    assert service.request("POST", "/stream", bytes(1025)).status == 413
    service.request("GET", "/healthz", headers={"x-request-id": "probe"})
    assert service.events("probe")[0]["level"] == "debug"


def logged_client(service):
    service.request("POST", "/stream", b"", {"x-forwarded-for": "9.9.9.9", "x-request-id": "forwarded"})
    return service.events("forwarded")[0]["client"]


def test_untrusted_proxy_is_ignored(service):
    assert logged_client(service) == "127.0.0.1"


@pytest.mark.parametrize(("trusted", "client"), [("10.0.0.1", "127.0.0.1"), (" ::1, 127.0.0.0/8 ,", "9.9.9.9")])
def test_only_trusted_proxies_are_used(start_service, trusted, client):
    assert logged_client(start_service(trusted_proxies=trusted)) == client


def health(directory=None, **variables):
    command = [sys.executable, "-P", "-m", f"{package.__name__}.healthcheck"]
    return subprocess.run(command, env=environment() | variables, cwd=directory, check=False).returncode


NEEDS_IPV6 = pytest.mark.skipif(not settings.has_ipv6(), reason="this host has no IPv6 address")


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", pytest.param("::", marks=NEEDS_IPV6), "*"])
def test_health_check_connects_where_the_service_listens(start_service, host):
    port = start_service(host=host).port
    variables = {f"{PREFIX}HOST": host, f"{PREFIX}PORT": str(port)}
    assert health(**variables) == 0
    assert health(**variables | {f"{PREFIX}PORT": "1"}) == 1


def test_health_check_ignores_the_case_of_names(service, tmp_path):
    (tmp_path / "socket.py").write_text("raise SystemExit(9)")
    assert health(tmp_path, **{f"{PREFIX}port".lower(): str(service.port)}) == 0


@NEEDS_IPV6
def test_service_listens_on_all_addresses_by_default(start_service):
    port = start_service(host="*").port
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, port), timeout=5).close()
    assert ServiceSettings.model_fields["host"].default == "*"


def test_import_does_not_read_settings():
    """Settings are read when the app starts, so that tools can import it."""
    script = f"import sys; sys.path.insert(0, {str(SMALL_APP.parent)!r}); import small_app"
    variables = environment(port="http")
    assert subprocess.run([sys.executable, "-c", script], env=variables, check=False).returncode == 0


def test_health_check_needs_no_web_framework():
    script = f"import sys, {package.__name__}.healthcheck; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
