"""The service's settings, read from the environment."""

from ipaddress import ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = f"{__package__.upper()}_"


class SettingsError(Exception):
    """The environment holds a value that cannot be. The message has one line for each."""


def networks(text: str) -> str:
    """Check addresses and networks, such as `10.0.0.1` or `10.0.0.0/8`, separated by commas.

    Raises:
        ValueError: one of them is neither.

    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    for part in parts:
        ip_network(part)
    return ",".join(parts)


class Settings(BaseSettings):
    """What an operator can choose: each field is an environment variable, in capitals, after PREFIX."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    host: str = Field(
        default="0.0.0.0", min_length=1, description="address to listen on, 0.0.0.0 for every IPv4 address"
    )
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = Field(
        default="info", description="least severe event to log: debug, info, warning or error"
    )
    max_body_bytes: ByteSize = Field(
        default=ByteSize(10 << 30), ge=0, description="largest body that is accepted, written as 500MB or 10GiB, too"
    )
    idle_seconds: float = Field(default=30, gt=0, description="how long a client may pause in the middle of a body")
    keep_alive_seconds: int = Field(
        default=75, ge=1, description="how long a connection may wait for a request; longer than a proxy keeps it"
    )
    grace_seconds: int = Field(default=20, ge=0, description="how long requests in flight may take after SIGTERM")
    trusted_proxies: Annotated[str, AfterValidator(networks)] = Field(
        default="", description="addresses and networks, separated by commas, whose X-Forwarded-* headers are believed"
    )


def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable holds what it cannot.

    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{PREFIX}{str(e['loc'][0]).upper()}={e['input']}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join(lines)) from None


def describe() -> str:
    """List the variables, with what they mean and their defaults."""
    lines = ["environment variables:"]
    for name, field in Settings.model_fields.items():
        default = field.default.human_readable() if isinstance(field.default, ByteSize) else field.default or "none"
        lines += [f"  {PREFIX}{name.upper()}", f"      {field.description} (default: {default})"]
    return "\n".join(lines)
