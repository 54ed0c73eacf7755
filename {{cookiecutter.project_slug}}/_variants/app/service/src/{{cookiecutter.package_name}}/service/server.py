"""The server: uvicorn with httptools, and the few overrides that a public service needs."""

import asyncio
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from . import logs
from .app import Service
from .settings import SettingsError

MAX_HEADER_BYTES = 1 << 16
# Time to read requests that have already arrived, before idle connections are closed.
SETTLE_SECONDS = 0.2


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits for request headers."""

    deadline: asyncio.TimerHandle | None = None
    unparsed = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Clients that never complete their headers would keep connections open: uvicorn's timer ends at one byte."""
        super().connection_made(transport)
        self.deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def on_response_complete(self) -> None:
        """The same for the next request."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self.deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The timer would keep the connection in memory."""
        super().connection_lost(exc)
        if self.deadline:
            self.deadline.cancel()

    def data_received(self, data: bytes) -> None:
        """Headers, trailers or chunk extensions without an end would fill the memory."""
        self.unparsed += len(data)
        super().data_received(data)
        if self.unparsed > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The request headers are too large.")

    def on_headers_complete(self) -> None:
        """Two body lengths could hide a second request from a proxy (request smuggling)."""
        self.unparsed = 0
        if self.deadline:
            self.deadline.cancel()
        names = {name for name, _ in self.headers}
        if b"transfer-encoding" in names and (b"content-length" in names or self.parser.get_http_version() == "1.0"):
            raise ValueError("Transfer-Encoding with Content-Length or HTTP/1.0")
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Only headers are limited here."""
        self.unparsed = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """A client would take a second response to one request as the response to its next one."""
        if self.cycle is None or not self.cycle.response_started:
            super().send_400_response(msg)
        self.transport.close()


class Server(uvicorn.Server):
    """A server that drains: after SIGTERM it is not ready, but accepts connections for a while."""

    drain_until = 0.0

    def __init__(self, config: uvicorn.Config, app: Service) -> None:
        super().__init__(config)
        self.app = app

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Uvicorn would raise the signal again after the shutdown, so that the exit status would not be 0."""
        self.app.is_ready = False
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
        self.drain_until = self.drain_until or time.monotonic() + self.app.settings.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        """A load balancer that has not yet noticed would send requests to a closed port."""
        return await super().on_tick(counter) and (self.force_exit or time.monotonic() >= self.drain_until)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Requests that have arrived on idle connections would be lost."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(SETTLE_SECONDS)
        await super().shutdown(sockets)


def run(app: Service, prog: str) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit status: 0, or 2 if a setting is invalid."""
    try:
        settings = app.settings
    except SettingsError as error:
        for line in str(error).splitlines():
            print(f"{prog}: {line}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level)
    config = uvicorn.Config(
        app,
        host=settings.bind_host(),
        port=settings.port,
        http=Protocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    Server(config, app).run()
    return 0
