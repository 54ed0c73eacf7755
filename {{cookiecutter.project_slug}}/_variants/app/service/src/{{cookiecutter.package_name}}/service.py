"""The HTTP service."""

import asyncio
import binascii
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from pydantic import BaseModel, ConfigDict

from . import __version__, crc32c
from .middleware import Telemetry
from .problems import HANDLERS, documented, problem

SUMMED = Counter("crc32c_bytes", "Bytes of bodies summed.")
# The way to another thread and back costs as much as the sum of 64 KiB: more than that goes there, not too often.
INLINE_BYTES = 1 << 16
BATCH_BYTES = 1 << 18
HEXADECIMAL = re.compile("^[0-9A-Fa-f]{8}$")
GOOG_HASH = re.compile(r"crc32c=([^,\s]*)")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Start, and tidy up at the end. What every request needs, a pool of connections say, is opened here."""
    app.state.ready = True
    yield


app = FastAPI(title="CRC-32C checksums", version=__version__, lifespan=lifespan, exception_handlers=HANDLERS)
app.state.ready = False
app.add_middleware(Telemetry)


class Checksum(BaseModel):
    """The checksum of one request's body."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    crc32c: str
    """Eight hexadecimal digits."""
    bytes: int
    """The size of the body."""


class Status(BaseModel):
    """What a probe is told when all is well."""

    status: Literal["ok"] = "ok"


def expected_sums(request: Request) -> set[str]:
    """Collect the checksums that the client expects, each as eight hexadecimal digits.

    Raises:
        HTTPException: 422, one of them is no checksum.

    """
    sums = set()
    for expected in request.query_params.getlist("expected"):
        if not HEXADECIMAL.fullmatch(expected):
            raise HTTPException(422, "expected: eight hexadecimal digits are needed.")
        sums.add(expected.lower())
    for encoded in GOOG_HASH.findall(",".join(request.headers.getlist("x-goog-hash"))):
        try:
            value = binascii.a2b_base64(encoded, strict_mode=True)
        except ValueError:
            value = b""
        if len(value) != 4:
            raise HTTPException(422, "x-goog-hash: four bytes in base64 are needed after crc32c=.")
        sums.add(value.hex())
    return sums


async def crc32c_of(body: AsyncIterator[bytes]) -> tuple[int, int]:
    """Return checksum and size of a body, whatever its size in constant memory."""
    value = size = 0
    gathered = bytearray()
    async for piece in body:
        gathered += piece
        if len(gathered) > BATCH_BYTES:
            value = await asyncio.to_thread(crc32c, gathered, value)
            size += len(gathered)
            gathered.clear()
    size += len(gathered)
    if len(gathered) > INLINE_BYTES:
        value = await asyncio.to_thread(crc32c, gathered, value)
    else:
        value = crc32c(gathered, value)
    SUMMED.inc(size)
    return value, size


async def post_crc32c(request: Request) -> Response:
    """Return the CRC-32C of the body, and compare it with what is expected."""
    expected = expected_sums(request)
    value, size = await crc32c_of(request.stream())
    checksum = f"{value:08x}"
    if expected - {checksum}:
        return problem(422, "The body has another checksum.", expected=sorted(expected), crc32c=checksum, bytes=size)
    return JSONResponse({"crc32c": checksum, "bytes": size})


class Direct(APIRoute):
    """A route that hands the request to its function as it is, in half of FastAPI's time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        return self.endpoint


# What FastAPI cannot see for itself, then. The examples belong together.
CRC32C_REQUEST = {
    "requestBody": {
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": "123456789"}
        }
    },
    "parameters": [
        {
            "name": "expected",
            "in": "query",
            "description": "the checksum that the body should have, in hexadecimal",
            "schema": {"type": "string", "pattern": HEXADECIMAL.pattern, "examples": ["e3069283"]},
        },
        {
            "name": "x-goog-hash",
            "in": "header",
            "description": "the same in base64, as Google Cloud Storage has it",
            "schema": {"type": "string", "examples": ["crc32c=4waSgw=="]},
        },
    ],
}

app.router.add_api_route(
    "/crc32c",
    post_crc32c,
    methods=["POST"],
    response_model=Checksum,
    responses=documented(400, 408, 413, 422, 500, 503),
    openapi_extra=CRC32C_REQUEST,
    route_class_override=Direct,
)


@app.get("/healthz", responses=documented(500))
async def get_healthz() -> Status:
    """Tell that the process answers."""
    return Status()


@app.get("/readyz", response_model=Status, responses=documented(500, 503))
async def get_readyz(request: Request) -> Status | Response:
    """Tell whether requests should be sent here: not before the start has ended, and not after SIGTERM."""
    if request.app.state.ready:
        return Status()
    return problem(503, "The service is starting or stopping.")


@app.get("/metrics", response_class=PlainTextResponse, responses=documented(500))
async def get_metrics() -> Response:
    """Tell Prometheus what was counted."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
