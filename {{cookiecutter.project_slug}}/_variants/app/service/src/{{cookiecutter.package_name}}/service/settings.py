"""The base settings, read from environment variables. No error and no help text contains the value of a setting."""

import socket
from ipaddress import ip_network
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as JSONSettingError

from . import PREFIX

# The errors of pydantic whose messages name only what is allowed. All others may quote the value, which may be secret.
PUBLIC_ERRORS = {
    *("missing", "bool_parsing", "int_parsing", "int_from_float", "float_parsing", "literal_error", "enum"),
    *("greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"),
    *("string_too_short", "string_too_long", "string_pattern_mismatch", "too_short", "too_long", "url_scheme"),
}


class SettingsError(Exception):
    """Settings are missing or invalid. The message has one line for each variable, and none of the values."""


def networks(text: str) -> str:
    """Check addresses and networks, such as `10.0.0.1` or `10.0.0.0/8`, separated by commas.

    Raises:
        ValueError: one of them is neither.

    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        ip_network(part)
    return ",".join(parts)


class ServiceSettings(BaseSettings):
    """The settings of every service: each field is an environment variable, in upper case, after PREFIX."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    host: str = Field(
        default="*", min_length=1, description="address to listen on, or * for all IPv4 and IPv6 addresses"
    )
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        default="info", description="least severe event to log: debug, info, warning or error"
    )
    max_body_bytes: ByteSize = Field(
        default=ByteSize(10 << 30), ge=0, description="largest request body, for example 1000000, 500MB or 10GiB"
    )
    idle_seconds: float = Field(default=30, gt=0, description="longest pause of a client within a request body")
    keep_alive_seconds: int = Field(
        default=75, ge=1, description="longest wait for request headers; set it longer than a proxy keeps connections"
    )
    drain_seconds: float = Field(
        default=0, ge=0, description="after SIGTERM, time until your load balancer sends no more requests"
    )
    grace_seconds: int = Field(default=20, ge=0, description="time to finish requests, after drain_seconds")
    trusted_proxies: Annotated[str, AfterValidator(networks)] = Field(
        default="", description="addresses and networks, separated by commas, whose X-Forwarded-* headers are used"
    )

    def bind_host(self) -> str:
        """Return the host for asyncio, which takes an empty one as all IPv4 and IPv6 addresses."""
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
    except JSONSettingError as error:
        field = str(error).split('"')[1]
        problems = {variable(settings, (field,)): "must be valid JSON"}
    except ValidationError as error:
        problems = {variable(settings, found["loc"]): reason(settings, found) for found in error.errors()}
    # Raised out here, because the errors above contain the values of all settings, and a traceback would show them.
    raise SettingsError("\n".join(f"{name}: {text}" for name, text in problems.items()))


def variable(settings: type[ServiceSettings], location: tuple[int | str, ...]) -> str:
    """Return the environment variable of an error's location, which is empty for a validator of several settings."""
    field = str(location[0]) if location else "*"
    # An alias is the name of a variable itself.
    return f"{PREFIX}{field}".upper() if field in {*settings.model_fields, "*"} else field.upper()


def reason(settings: type[ServiceSettings], error: ErrorDetails) -> str:
    """Explain what would be right, without the value."""
    if error["type"] in PUBLIC_ERRORS:
        return error["msg"]
    field = settings.model_fields.get(str(error["loc"][0])) if error["loc"] else None
    return f"is invalid; expected: {field.description}" if field and field.description else "is invalid"


def describe(settings: type[ServiceSettings]) -> str:
    """List the variables, with their meanings and defaults."""
    lines = ["environment variables:"]
    for name, field in settings.model_fields.items():
        lines += [f"  {variable(settings, (name,))}", f"      {field.description or name} ({default(field)})"]
    return "\n".join(lines)


def default(field: FieldInfo) -> str:
    """Describe the default of a setting. Secrets, and URLs, which may contain a password, are not shown."""
    if field.is_required():
        return "required"
    value = field.default.human_readable() if isinstance(field.default, ByteSize) else field.default
    if value is None or value == "":
        return "default: none"
    shown = isinstance(value, int | float | str) and "://" not in str(value) and "Secret" not in str(field.annotation)
    return f"default: {value}" if shown else "optional"
