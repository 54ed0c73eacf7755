"""The settings of the service."""

import socket
import subprocess
import sys
import traceback
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field, PostgresDsn, SecretStr, model_validator

from {{ cookiecutter.package_name }} import settings
from {{ cookiecutter.package_name }}.settings import Settings, SettingsError, describe, load

from .conftest import PREFIX, environment, free_port
from .test_command import NAME, PACKAGE, run

WRONG = {
    "PORT": ["http", "-1", "65536", ""],
    "HOST": [""],
    "LOG_LEVEL": ["loud"],
    "MAX_BODY_BYTES": ["-1", "much"],
    "IDLE_SECONDS": ["0", "long"],
    "KEEP_ALIVE_SECONDS": ["0"],
    "GRACE_SECONDS": ["-1", "1.5"],
    "TRUSTED_PROXIES": ["*", "10.0.0.0/33", "proxy.example"],
}


def test_the_help_lists_every_setting():
    text = run("serve", "--help").stdout.decode()
    for name in WRONG:
        assert f"{PREFIX}{name}\n" in text
    assert text.count(PREFIX) == len(WRONG)
    assert text.count("(default: ") == len(WRONG)


def test_a_wrong_value_ends_the_start_with_one_line_that_names_it():
    result = run("serve", env=environment(port="http"))
    assert (result.returncode, result.stdout) == (2, b"")
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith(f"{NAME}: {PREFIX}PORT: Input should be a valid integer")


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_every_wrong_value_is_found(monkeypatch, name, value):
    monkeypatch.setenv(f"{PREFIX}{name}", value)
    with pytest.raises(SettingsError, match=f"^{PREFIX}{name}: .+$"):
        load()


def test_each_of_several_wrong_values_has_its_line(monkeypatch):
    for name, values in WRONG.items():
        monkeypatch.setenv(f"{PREFIX}{name}", values[0])
    with pytest.raises(SettingsError) as error:
        load()
    assert len(str(error.value).splitlines()) == len(WRONG)


class SecretSettings(Settings):
    """Settings that a project may add."""

    api_token: SecretStr = Field(min_length=30, description="token of the API, at least 30 characters")
    database_url: PostgresDsn = Field(description="URL of the database")
    codes: list[int] = Field(description="JSON list of numbers")
    other_token: SecretStr = "hunter-in-the-source"
    other_url: PostgresDsn = "postgresql://app:hunter-in-the-source@localhost/app"
    checked: Annotated[str, AfterValidator(int)] = Field(default="1", description="number of the account")
    renamed: int = Field(default=1, validation_alias="PLAIN_NAME")

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
    """Add secret settings to the service, all of them valid."""
    monkeypatch.setattr(settings, "Settings", SecretSettings)
    for name, value in VALID.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (f"{PREFIX}API_TOKEN", None, "Field required"),
        (f"{PREFIX}API_TOKEN", "hunter-2", "Value should have at least 30 items"),
        (f"{PREFIX}DATABASE_URL", "mysql://app:hunter-2@localhost/app", "URL scheme should be 'postgres'"),
        (f"{PREFIX}DATABASE_URL", "hunter-2", "is invalid; expected: URL of the database"),
        (f"{PREFIX}CODES", '["hunter-2"]', "Input should be a valid integer"),
        (f"{PREFIX}CODES", "hunter-2", "must be valid JSON"),
        (f"{PREFIX}CHECKED", "hunter-2", "is invalid; expected: number of the account"),
        (f"{PREFIX}MAX_BODY_BYTES", "10hunter-2", "is invalid; expected: largest body that is accepted"),
        (f"{PREFIX}TRUSTED_PROXIES", "hunter-2", "is invalid; expected: addresses and networks"),
        ("PLAIN_NAME", "hunter-2", "Input should be a valid integer"),
        (f"{PREFIX}PORT", "1", None),
    ],
)
@pytest.mark.usefixtures("secrets")
def test_no_error_contains_the_value_of_a_setting(monkeypatch, name, value, message):
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        load()
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{PREFIX}*: is invalid" if message is None else f"{name}: {message}")
    assert "hunter" not in "".join(traceback.format_exception(error.value))


@pytest.mark.usefixtures("secrets")
def test_valid_secrets_are_loaded():
    assert load().api_token.get_secret_value() == VALID[f"{PREFIX}API_TOKEN"]


@pytest.mark.usefixtures("secrets")
def test_the_help_contains_neither_secret_defaults_nor_internals():
    text = describe()
    assert f"{PREFIX}API_TOKEN\n      token of the API, at least 30 characters (required)" in text
    assert "other_token (optional)" in text
    assert "other_url (optional)" in text
    assert "hunter" not in text
    assert "Undefined" not in text


def test_a_port_that_is_taken_ends_the_start(service):
    result = run("serve", env=environment(host=service.host, port=service.port))
    assert result.returncode != 0
    assert b"address already in use" in result.stderr
    assert b"Traceback" not in result.stderr


def test_values_are_taken_as_people_write_them(start):
    service = start(log_level="DEBUG", max_body_bytes="1KiB")
    assert service.ask("POST", "/crc32c", bytes(1024)).status == 200
    assert service.ask("POST", "/crc32c", bytes(1025)).status == 413
    service.ask("GET", "/healthz", headers={"x-request-id": "probe"})
    assert service.events("probe")[0]["level"] == "debug"


def client_in_the_log(service):
    service.ask("POST", "/crc32c", b"", {"x-forwarded-for": "9.9.9.9", "x-request-id": "forwarded"})
    return service.events("forwarded")[0]["client"]


def test_no_proxy_is_believed_unless_it_is_trusted(service):
    assert client_in_the_log(service) == "127.0.0.1"


@pytest.mark.parametrize(("trusted", "client"), [("10.0.0.1", "127.0.0.1"), (" ::1, 127.0.0.0/8 ,", "9.9.9.9")])
def test_only_a_trusted_proxy_is_believed(start, trusted, client):
    assert client_in_the_log(start(trusted_proxies=trusted)) == client


def health(**settings):
    command = [sys.executable, "-m", f"{PACKAGE}.healthcheck"]
    return subprocess.run(command, env=environment(**settings), check=False).returncode


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


IPV6 = pytest.param("::", marks=pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6"))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", IPV6])
def test_the_health_check_asks_where_the_settings_say(start, host):
    port = start(host=host).port
    assert health(host=host, port=port) == 0
    assert health(host=host, port=free_port()) == 1


def test_the_command_line_needs_no_web_framework():
    script = f"import sys, {PACKAGE}.cli; sys.exit('fastapi' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
