"""The HTTP API."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field

from . import __version__, crc32c, service
from .settings import Settings

# Handing work to a thread costs as much as checksumming 64 KiB, so only larger chunks go to a thread.
THREAD_BYTES = 1 << 16


@asynccontextmanager
async def lifespan(_app: FastAPI, _settings: Settings) -> AsyncGenerator[None]:
    """Open resources that requests share, such as a connection pool, before `yield`, and close them after it."""
    yield


app = service.create_app(
    Settings,
    title="Checksums",
    description="CRC-32C checksums of text and of binary data.",
    version=__version__,
    # Not `email`, because FastAPI needs another package to validate it.
    contact={
        "url": {{ ("mailto:" ~ cookiecutter.author_email) | literal }},
    },
    license_info={
        "name": "{{ cookiecutter.license }}",
        "identifier": "{{ cookiecutter.license | replace('Proprietary', 'LicenseRef-Proprietary') }}",
    },
    openapi_tags=[{"name": "checksums", "description": "Checksums of a text, or of a stream."}],
    lifespan=lifespan,
)


class Text(BaseModel):
    """Text to checksum."""

    # Without a constraint, pydantic would accept surrogates, which JSON can contain, and encode() would fail.
    text: str = Field(min_length=1, examples=["123456789"])


class Checksum(BaseModel):
    """The checksum of some bytes."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    crc32c: str
    """CRC-32C, eight hexadecimal digits."""
    bytes: int
    """The number of bytes."""


@app.post("/checksums", tags=["checksums"])
async def create_checksum(text: Text) -> Checksum:
    """Return the CRC-32C of a text in UTF-8."""
    data = text.text.encode()
    return Checksum(crc32c=f"{crc32c(data):08x}", bytes=len(data))


# Describe the body here. With a parameter for it, FastAPI would read the whole body into memory.
STREAM = {"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}


@app.post("/crc32c", tags=["checksums"], openapi_extra=STREAM)
@service.max_body("10GiB")
async def post_crc32c(request: Request) -> Checksum:
    """Return the CRC-32C of the body, which may be larger than the available memory."""
    value = size = 0
    async for chunk in request.stream():
        # Use a thread for a large chunk, so that the event loop can process other requests meanwhile.
        large = len(chunk) > THREAD_BYTES
        value = await asyncio.to_thread(crc32c, chunk, value) if large else crc32c(chunk, value)
        size += len(chunk)
    return Checksum(crc32c=f"{value:08x}", bytes=size)
