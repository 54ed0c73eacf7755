"""Limits, request ID, metrics and log line of every request."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client import Gauge, Histogram
from pydantic import ByteSize, TypeAdapter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .connections import UNREAD_BYTES
from .logs import request_id
from .problems import handle_exception, problem

if TYPE_CHECKING:
    from .app import Service

log = logging.getLogger(__name__)

# The histogram also counts requests.
SECONDS = Histogram("http_request_duration_seconds", "Time to the end of the response.", ["method", "route", "status"])
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests in progress.")

# Count any other method as "other", because a client can send any word, and each would become a time series.
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
MAX_LOGGED_PATH = 500
# Probes are requested every few seconds, so they are logged only if they fail, or at level debug.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# The least rate at which a body must arrive, as in Apache's mod_reqtimeout.
MIN_BYTES_PER_SECOND = 500
DISCONNECT: Message = {"type": "http.disconnect"}

F = TypeVar("F", bound=Callable[..., Any])


def max_body(size: str) -> Callable[[F], F]:
    """Return a decorator for a route that streams bodies and accepts up to this size, such as "10GiB"."""

    def decorate(route: F) -> F:
        route.max_body_bytes = TypeAdapter(ByteSize).validate_python(size)  # type: ignore[attr-defined]
        return route

    return decorate


class RequestLimits:
    """Reject a request body that is too large, or that arrives too slowly.

    The error response is sent from here, and the app gets a disconnect, because an exception might be
    turned into another response by the middleware in between.
    """

    def __init__(self, app: ASGIApp, service: Service[Any]) -> None:
        """Wrap an app; the limits are settings of the service."""
        self.app = app
        self.service = service
        self.reserved = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        length = headers.get("content-length", "0")
        encodings = [value.strip().lower() for value in headers.getlist("transfer-encoding")]
        if length == "0" and not encodings:
            await self.app(scope, receive, send)
            return
        body = RequestBody(scope, receive, send, self)
        body.length = None if encodings else int(length)
        body.waits_for_continue = headers.get("expect", "").lower() == "100-continue"
        try:
            if encodings and (encodings != ["chunked"] or scope["http_version"] != "1.1"):
                # A proxy that does not know the encoding might take the body for further requests.
                await body.reject(400, "The transfer encoding must be chunked, and the version HTTP/1.1.")
            else:
                await self.app(scope, body.receive, body.send)
        finally:
            self.reserved -= body.reserved
            await body.finish()


class RequestBody:
    """The body of one request, within its limits."""

    length: int | None = None
    max_bytes: int | None = None
    reserved = 0
    waited_seconds = 0.0
    waits_for_continue = False
    is_received = False
    is_rejected = False
    is_response_started = False
    delays_end = False
    is_end_delayed = False

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: RequestLimits) -> None:
        """Wrap the functions of the server."""
        self.scope = scope
        self.server_receive = receive
        self.server_send = send
        self.limits = limits
        self.settings = limits.service.settings
        self.size = 0

    async def admit(self) -> None:
        """Reserve memory for the body, now that the route is known, or reject the request."""
        default = self.settings.max_body_bytes
        limit: int = getattr(self.scope.get("endpoint"), "max_body_bytes", default)
        self.max_bytes = limit
        if (self.length or 0) > limit:
            await self.reject_size()
            return
        # A route with a limit of its own streams the body, so only its unread part is in memory.
        most = default if limit == default else min(default, UNREAD_BYTES)
        needed = most if self.length is None else min(self.length, most)
        if self.limits.reserved and self.limits.reserved + needed > self.settings.body_memory_bytes:
            await self.reject(503, "The service is reading too many request bodies.", {"retry-after": "1"})
            return
        self.limits.reserved += needed
        self.reserved = needed

    async def receive(self) -> Message:
        """Return the next chunk, or a disconnect if the body exceeds a limit."""
        if self.max_bytes is None:
            await self.admit()
        if self.is_rejected:
            return DISCONNECT
        if self.is_received:
            return await self.server_receive()
        self.waits_for_continue = False
        longest = self.settings.idle_seconds
        remaining = longest + self.size / MIN_BYTES_PER_SECOND - self.waited_seconds
        started = time.monotonic()
        try:
            async with asyncio.timeout(min(longest, remaining)):
                message = await self.server_receive()
        except TimeoutError:
            self.is_received = True  # do not wait for the rest
            await self.reject(408, "The request body arrived too slowly.")
            return DISCONNECT
        # Time that the route spends on a part does not count.
        self.waited_seconds += time.monotonic() - started
        self.size += len(message.get("body", b""))
        self.is_received = not message.get("more_body", False)
        if self.size > (self.max_bytes or 0):
            await self.reject_size()
            return DISCONNECT
        return message

    async def reject_size(self) -> None:
        """Respond that the body is too large."""
        await self.reject(413, f"The request body is larger than {self.max_bytes} bytes.")

    async def reject(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        """Send an error response, and discard what the app sends from now on."""
        if not self.is_response_started:
            response = problem(status, detail, {"connection": "close", **(headers or {})})
            await response(self.scope, self.server_receive, self.send)
        self.is_rejected = True

    async def send(self, message: Message) -> None:
        """Send a part of the response.

        If the client is still sending the body, closing the connection would reset it, and the client might
        lose the response. The end of such a response is delayed until the body has arrived.
        """
        if self.is_rejected:
            return
        if message["type"] == "http.response.start":
            self.is_response_started = True
            headers = MutableHeaders(scope=message)
            if not self.is_received:
                headers["connection"] = "close"
            self.delays_end = not (self.is_received or self.waits_for_continue) and "content-length" in headers
        elif self.delays_end and not message.get("more_body", False):
            self.is_end_delayed = True
            message = {**message, "more_body": True}
        await self.server_send(message)

    async def finish(self) -> None:
        """Discard the rest of the request body, with a timeout, then send the delayed end of the response."""
        if not self.is_end_delayed:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.idle_seconds):
                while not self.is_received:
                    self.is_received = not (await self.server_receive()).get("more_body", False)
        await self.server_send({"type": "http.response.body", "body": b""})


class RequestTelemetry:
    """Assign an ID to every request, measure and log the request, and send an error response if nothing else did."""

    def __init__(self, app: ASGIApp, service: Service[Any]) -> None:
        """Wrap the app of a service."""
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        identity = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        request_id.set(identity)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = identity
                # During shutdown, tell clients not to reuse this connection.
                if not self.service.is_ready:
                    headers["connection"] = "close"
            await send(message)

        IN_FLIGHT.inc()
        try:
            await self.app(scope, receive, send_with_id)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and is_stopped():
                log.warning("request not finished within the grace period")
                response = problem(503, "The service was stopped before it had finished this request.")
            else:
                log.error("unexpected error", exc_info=error)
                response = await handle_exception(Request(scope), error)
            # Starlette's outermost middleware has responded to an Exception, and raises it again. If a response is
            # incomplete, the server notices that and closes the connection.
            if not status:
                await response(scope, receive, send_with_id)
        finally:
            IN_FLIGHT.dec()
            log_request(scope, status, time.perf_counter() - started)


def is_stopped() -> bool:
    """Return whether the server cancelled this request; otherwise, the route cancelled something it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def log_request(scope: Scope, status: int, seconds: float) -> None:
    """Count and log one request."""
    method = scope["method"] if scope["method"] in METHODS else "other"
    route = scope["path"] if scope["path"] in PROBES else getattr(scope.get("route"), "path", "unmatched")
    SECONDS.labels(method, route, status).observe(seconds)
    level = logging.DEBUG if route in PROBES and status < 400 else logging.INFO
    if log.isEnabledFor(level):
        # Log the path as it was sent, in ASCII, and without the query, which may contain secrets.
        path = scope["raw_path"][:MAX_LOGGED_PATH].decode("latin-1")
        client = scope["client"][0] if scope["client"] else None
        fields = {"method": method, "path": path, "status": status, "seconds": round(seconds, 6), "client": client}
        log.log(level, "responded", extra={"fields": fields})
