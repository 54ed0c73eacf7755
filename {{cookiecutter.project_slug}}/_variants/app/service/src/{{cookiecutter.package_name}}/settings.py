"""Your settings."""

from .service import ServiceSettings


class Settings(ServiceSettings):
    """The settings of this service.

    Each field is an environment variable, for example:
    `greeting: str = Field(default="Hello", description="first word of each response")`
    """
