"""What happens around every request: its limits, id, metrics, and line in the log."""

import asyncio
import logging
import re
import secrets
import time

from prometheus_client import Gauge, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import request_id
from .problems import problem

log = logging.getLogger(__name__)

# Its count is that of the requests.
SECONDS = Histogram("http_request_duration_seconds", "From head to answer.", ["method", "route", "status"])
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests that are being answered.")

# A client may send any word as a method: each would be a time series of its own.
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
LONGEST_PATH = 500
# Machines ask for these every few seconds: they are logged when they go wrong, or at level debug.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})


class Limits:
    """Refuse a body that is too large, or that stops coming.

    Args:
        app: what reads the body.
        max_body_bytes: size of the largest body, in bytes.
        idle_seconds: the longest wait for its next piece.

    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, idle_seconds: float) -> None:
        """Wrap an application."""
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = int(Headers(scope=scope).get("content-length", "0"))
        size = 0
        more = True

        async def limited_receive() -> Message:
            nonlocal size, more
            if not more:
                return await receive()
            # Before anything is read: a client that sends `Expect: 100-continue` need not send it then.
            self.check(announced)
            try:
                async with asyncio.timeout(self.idle_seconds):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body stopped coming.", {"connection": "close"}) from None
            size += len(message.get("body", b""))
            self.check(size)
            more = message.get("more_body", False)
            return message

        await self.app(scope, limited_receive, send)

    def check(self, size: int) -> None:
        """Compare a body's size, in bytes, with the limit.

        Raises:
            HTTPException: 413, it is larger.

        """
        # The connection stays open: closed with data on its way in, it would be reset, and the answer lost.
        if size > self.max_body_bytes:
            raise HTTPException(413, f"The body is larger than {self.max_body_bytes} bytes.")


class Telemetry:
    """Give every request an id, count and time it, log it, and answer for whatever went wrong inside."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        request_id.set(identity)
        status = 0

        async def identified_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identity
                # While the service stops, no client shall send a further request on this connection.
                if not scope["app"].state.ready:
                    headers["connection"] = "close"
            await send(message)

        IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, identified_send)
        except (Exception, asyncio.CancelledError) as error:
            # Too late for an answer: uvicorn logs the error, and closes the connection.
            if status:
                raise
            await failure(error)(scope, receive, identified_send)
        finally:
            IN_FLIGHT.dec()
            record(scope, status, time.perf_counter() - began)


def failure(error: BaseException) -> Response:
    """Answer for an error that nothing inside has answered for; the log gets its traceback, the client does not."""
    if isinstance(error, asyncio.CancelledError):
        log.warning("not done within the grace time")
        return problem(503, "The service was stopped before it was done with this request.")
    log.error("unexpected error", exc_info=error)
    return problem(500, "The service failed. Its log says more under this request's id.")


def record(scope: Scope, status: int, seconds: float) -> None:
    """Count one answered request, and log it."""
    method = scope["method"] if scope["method"] in METHODS else "other"
    route = getattr(scope.get("route"), "path", "unmatched")
    SECONDS.labels(method, route, status).observe(seconds)
    level = logging.DEBUG if route in PROBES and status < 400 else logging.INFO
    if log.isEnabledFor(level):
        # As it was sent, in ASCII, and without the query, which may hold secrets.
        path = scope["raw_path"][:LONGEST_PATH].decode("ascii")
        client = scope["client"][0] if scope["client"] else None
        what = {"method": method, "path": path, "status": status, "seconds": round(seconds, 6), "client": client}
        log.log(level, "answered", extra={"fields": what})
