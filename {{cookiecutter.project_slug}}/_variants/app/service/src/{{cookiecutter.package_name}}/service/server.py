"""Uvicorn's server and HTTP protocol, with the overrides that a public service needs. Each says what it prevents."""

import asyncio
import signal
import time
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 1 << 16


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits for request headers."""

    unparsed_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Prevent connections that stay open for ever without a request."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, transport.close)

    def data_received(self, data: bytes) -> None:
        """Prevent headers, trailers and chunk extensions without an end: uvicorn limits neither time nor size."""
        self.unparsed_bytes += len(data)
        try:
            self.parse(memoryview(data))
        except httptools.HttpParserError:
            self.send_400_response("The request is malformed.")
        if self.unparsed_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The request headers are too large.")

    def parse(self, data: memoryview) -> None:
        """Prevent the loss of the body after `Upgrade: h2c`, Java's default (github.com/Kludex/uvicorn/issues/2722)."""
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                lines = [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
                lines = [b"%s %s HTTP/1.1" % (self.parser.get_method(), self.url), *lines, b"", b""]
                self.parser.feed_data(b"\r\n".join(lines))

    def on_headers_complete(self) -> None:
        """Prevent request smuggling: a proxy might use the other length, or none in HTTP/1.0. Reject tunnels."""
        self.unparsed_bytes = 0
        self._unset_keepalive_if_required()
        names = {name for name, _ in self.headers}
        ambiguous = b"content-length" in names or self.parser.get_http_version() == "1.0"
        if (b"transfer-encoding" in names and ambiguous) or self.parser.get_method() == b"CONNECT":
            raise ValueError("The request has an ambiguous length, or is for a proxy.")
        if b"upgrade" not in names or not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count only what is not the body."""
        self.unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Wait for the body of a request whose upgrade is ignored."""
        if not self.parser.should_upgrade():
            super().on_message_complete()


class Server(uvicorn.Server):
    """A server that is not ready after SIGTERM, but accepts connections until load balancers have noticed."""

    def handle_exit(self, sig: int, _frame: Any) -> None:
        """Prevent an exit status other than 0: uvicorn raises the signal again at the end."""
        app: Any = self.config.app
        app.is_ready = False
        self.force_exit |= self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Prevent refused connections while load balancers send more, and the loss of requests on idle connections."""
        app: Any = self.config.app
        app.is_ready = False
        drained = time.monotonic() + app.settings.drain_seconds
        while not self.force_exit and time.monotonic() < drained:
            await asyncio.sleep(0.1)
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.2)
        await super().shutdown(sockets)
