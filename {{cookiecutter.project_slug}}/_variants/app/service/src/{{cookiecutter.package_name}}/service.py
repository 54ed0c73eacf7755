"""The HTTP service."""

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from . import __version__, crc32c

app = FastAPI(title="CRC-32C checksums", version=__version__)


class Checksum(BaseModel):
    """The checksum of one request's body."""

    crc32c: str
    """Eight hexadecimal digits."""
    bytes: int
    """The size of the body."""


# FastAPI cannot see that the body is read as a stream: this documents it.
STREAMED_BODY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}


@app.post("/crc32c", openapi_extra={"requestBody": STREAMED_BODY})
async def post_crc32c(request: Request) -> Checksum:
    """Return the CRC-32C of the body, which may be of any size."""
    value = size = 0
    async for chunk in request.stream():
        value = crc32c(chunk, value)
        size += len(chunk)
    return Checksum(crc32c=f"{value:08x}", bytes=size)


@app.exception_handler(ClientDisconnect)
async def client_left(_request: Request, _error: Exception) -> Response:
    """Answer a client that left before its body was complete, instead of logging a traceback."""
    return Response(status_code=400)


@app.get("/healthz")
async def get_healthz() -> dict[str, str]:
    """Tell that the service answers."""
    return {"status": "ok"}
