"""The base settings, read from the environment. No error and no help text contains the value of a setting."""

import os
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AliasChoices, AliasPath, BeforeValidator, ByteSize, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, SecretsSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError
from pydantic_settings.sources import PydanticBaseEnvSettingsSource
from pydantic_settings.sources import PydanticBaseSettingsSource as Source

from . import PREFIX, logs

# Docker, Compose and Podman mount secrets here, one file each.
SECRETS = Path("/run/secrets")

# The pydantic errors whose messages show only allowed values. All others may quote the value, which may be secret.
PUBLIC_ERRORS = {
    *("bool_parsing", "int_parsing", "int_from_float", "float_parsing", "literal_error", "enum"),
    *("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"),
    *("string_too_short", "string_too_long", "string_pattern_mismatch", "too_short", "too_long", "url_scheme"),
}


class SettingsError(Exception):
    """Settings are missing or invalid. The message has one line for each variable, and none of the values."""


def networks(text: str) -> str:
    """Check addresses and networks, such as `10.0.0.1` or `10.0.0.0/8`, separated by commas.

    Raises:
        ValueError: if a part is neither an address nor a network.

    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        ip_network(part)
    return ",".join(parts)


class JSONOrText(PydanticBaseEnvSettingsSource):
    """Leave text that is not JSON to pydantic's validation, which reports all errors together."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return the decoded value, or the text."""
        with suppress(ValueError):
            return super().decode_complex_value(field_name, field, value)
        return value


class Variables(JSONOrText, EnvSettingsSource):
    """Environment variables."""


class Files(JSONOrText, SecretsSettingsSource):
    """Files with the names of the variables."""


class ServiceSettings(BaseSettings):
    """The settings of every service. The variable of each field is its name in upper case, after PREFIX."""

    # pydantic warns about a directory that does not exist.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, secrets_dir=SECRETS if SECRETS.is_dir() else None)

    host: str = Field(
        default="*", min_length=1, description="address to listen on, or * for all IPv4 and IPv6 addresses"
    )
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        default="info", description="lowest severity to log: debug, info, warning or error"
    )
    max_body_bytes: ByteSize = Field(
        default=ByteSize(1 << 20), ge=0, description="largest request body, for example 1000000, 500MB or 10GiB"
    )
    body_memory_bytes: ByteSize = Field(
        default=ByteSize(32 << 20), ge=0, description="memory for request bodies; the response is 503 if it is used up"
    )
    idle_seconds: float = Field(default=30, gt=0, description="longest wait for the next part of a request body")
    keep_alive_seconds: int = Field(
        default=75, ge=1, description="longest wait for request headers; must exceed the idle timeout of a proxy"
    )
    drain_seconds: float = Field(
        default=0, ge=0, description="how long to accept connections after SIGTERM, until load balancers have noticed"
    )
    grace_seconds: int = Field(default=20, ge=0, description="time to finish requests in flight, after DRAIN_SECONDS")
    trusted_proxies: Annotated[str, AfterValidator(networks)] = Field(
        default="",
        description="addresses and networks, separated by commas, whose X-Forwarded-For and X-Forwarded-Proto are used",
    )
    root_path: str = Field(
        default="", pattern=r"^(/[\w.~-]+)*$", description="prefix that a proxy removes from the path, for example /api"
    )
    docs: bool = Field(default=False, description="whether to serve /docs, /redoc and /openapi.json")
    metrics: bool = Field(default=True, description="whether /metrics returns the metrics of this process")

    @classmethod
    def settings_customise_sources(  # type: ignore[override]
        cls, settings_cls: type[BaseSettings], init_settings: Source, dotenv_settings: Source, **_: Source
    ) -> tuple[Source, ...]:
        """Return the sources of settings, in order of precedence."""
        return init_settings, Variables(settings_cls), dotenv_settings, Files(settings_cls)

    def bind_host(self) -> str:
        """Return the host for asyncio, where an empty string means all IPv4 and IPv6 addresses."""
        if self.host != "*":
            return self.host
        return "" if has_ipv6() else "0.0.0.0"


def has_ipv6() -> bool:
    """Return whether this host has any IPv6 address; the kernel's support may be switched off."""
    try:
        with socket.create_server(("::", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S]) -> S:
    """Read the environment.

    Raises:
        SettingsError: a variable is missing or invalid.

    """
    try:
        return settings()
    except SourceError as error:
        problems = {variable(settings, str(error).split('"')[1]): f"could not be read{cause(error)}"}
    except ValidationError as error:
        found = error.errors()
        problems = {variable(settings, *each["loc"][:1]): reason(settings, each) for each in found}
    # Raise outside of `except`. A traceback would also show the errors above, which contain the values of all settings.
    raise SettingsError("\n".join(f"{name}: {text}" for name, text in problems.items()))


def configure(settings: type[S], prog: str) -> S:
    """Read the settings, and configure the logs, for another command. Exit with status 2 if a setting is invalid."""
    try:
        loaded = load(settings)
    except SettingsError as error:
        print_error(error, prog)
        sys.exit(2)
    logs.configure(loaded.log_level)
    return loaded


def print_error(error: SettingsError, prog: str) -> None:
    """Print a line for each variable."""
    for line in str(error).splitlines():
        print(f"{prog}: {line}", file=sys.stderr)


def cause(error: SourceError) -> str:
    """Return why a file could not be opened, or nothing, because other causes may quote its content."""
    found = error.__cause__
    return f": {found.strerror} (as user {os.geteuid()})" if isinstance(found, OSError) else ""


def aliases(field: FieldInfo) -> list[str]:
    """Return the names of the variables that a field is read from instead of its own."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias] if alias else []
    return [str(choice.path[0] if isinstance(choice, AliasPath) else choice) for choice in choices]


def variable(settings: type[ServiceSettings], name: int | str = "*") -> str:
    """Return the variable of a field or alias, or PREFIX* for an error that concerns several settings."""
    prefix = settings.model_config.get("env_prefix", "")
    for field_name, field in settings.model_fields.items():
        names = aliases(field)
        if name in (field_name, *names):
            return " or ".join(each.upper() for each in names or [prefix + field_name])
    return f"{prefix}*"


def reason(settings: type[ServiceSettings], error: Mapping[str, Any]) -> str:
    """Explain what is expected, without the value."""
    kind, location = error["type"], error["loc"]
    if kind == "int_parsing" and str(error["input"]).startswith("tcp://"):
        return "is the address of a Kubernetes Service: set enableServiceLinks to false, or rename the Service"
    if kind in PUBLIC_ERRORS:
        return str(error["msg"])
    # At this level, a wrong type means that the text could not be decoded.
    problem = "must be JSON" if kind.endswith("_type") and len(location) == 1 else "is invalid"
    problem = (
        f"is required, as a variable or a file in {SECRETS}" if kind == "missing" and len(location) == 1 else problem
    )
    field = settings.model_fields.get(str(location[0])) if location else None
    return f"{problem}; expected: {field.description}" if field and field.description else problem


def describe(settings: type[ServiceSettings]) -> str:
    """List the variables, with their meanings and defaults."""
    lines = [f"environment variables, or files with these names in {SECRETS}:"]
    for name, field in settings.model_fields.items():
        lines += [f"  {variable(settings, name)}", f"      {field.description or name} ({default(field)})"]
    return "\n".join(lines)


def default(field: FieldInfo) -> str:
    """Describe the default of a setting. Secrets, and URLs, which may contain a password, are not shown."""
    if field.is_required():
        return "required"
    value = field.default.human_readable() if isinstance(field.default, ByteSize) else field.default
    if isinstance(value, bool):
        return f"default: {str(value).lower()}"
    shown = isinstance(value, int | float | str) and "://" not in str(value) and "Secret" not in str(field.annotation)
    return f"default: {value}" if shown and value != "" else "optional"
