"""Uvicorn's server and HTTP protocol, with overrides for a public service. Docstrings say what each prevents."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

import uvicorn
from httptools import HttpParserError, HttpParserUpgrade
from prometheus_client import Counter
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .connections import MAX_HEADER_BYTES, limit

log = logging.getLogger(__name__)

MALFORMED = Counter("http_malformed_requests", "Requests that could not be parsed.")


class Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits for connections and request headers."""

    def connection_made(self, transport: Any) -> None:
        """Prevent connections that stay open without a request, and more connections than the process can handle."""
        limit(transport, self.connections)
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, transport.close)
        self.unparsed_bytes = 0
        self.is_malformed = False

    def data_received(self, data: bytes) -> None:
        """Prevent endless headers, trailers and chunk extensions, because uvicorn limits neither time nor size."""
        self.unparsed_bytes += len(data)
        with suppress(HttpParserError, HttpParserUpgrade):
            self.parse(self.parser, data)
            if self.unparsed_bytes <= MAX_HEADER_BYTES:
                return
        self.report_malformed()
        cycle: Any = self.cycle  # None before the first request
        if cycle and not cycle.response_complete and not cycle.more_body:
            cycle.keep_alive = False  # close the connection after the response to the request that is complete
        elif cycle and not cycle.response_complete and (self.pipeline or cycle.response_started):
            self.transport.close()  # an error response would be taken for the response to an earlier request
        else:
            self.send_400_response("The request is malformed, or its headers are too large.")

    def report_malformed(self) -> None:
        """Prevent attacks that nobody notices: count and log the first malformed request of a connection."""
        if not self.is_malformed:
            self.is_malformed = True
            MALFORMED.inc()
            client = self.client[0] if self.client else None
            log.warning("malformed request", extra={"fields": {"client": client}})

    def parse(self, parser: Any, data: bytes) -> None:
        """Prevent the loss of the body after `Upgrade: h2c`, which Java's client sends (Kludex/uvicorn issue 2722)."""
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as error:
            if super()._should_upgrade():
                self.handle_websocket_upgrade()
                return
            lines = [b"%s: %s" % each for each in self.headers if each[0] != b"upgrade"] + [b"", data[error.args[0] :]]
            parser.feed_data(b"\r\n".join([b"%s %s HTTP/1.1" % (parser.get_method(), self.url), *lines]))

    def _should_upgrade(self) -> bool:
        return True  # so that super() skips the request until parse() upgrades it, or repeats it without the upgrade

    def on_headers_complete(self) -> None:
        """Stop the time and size limits for the headers."""
        self._unset_keepalive_if_required()
        self.unparsed_bytes = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Reset the count, because the limit does not apply to the body."""
        self.unparsed_bytes = 0
        super().on_body(body)


class Server(uvicorn.Server):
    """A server that reports not ready after SIGTERM, but accepts connections until load balancers have noticed."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Prevent an exit status other than 0: uvicorn raises the captured signals again at the end."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()
        self.config.app.begin_shutdown()  # type: ignore[union-attr]

    async def shutdown(self, sockets: Any = None) -> None:
        """Prevent refused connections while load balancers still connect, and lost requests on idle connections."""
        for _ in range(round(10 * self.config.app.settings.drain_seconds)):  # type: ignore[union-attr]
            await asyncio.sleep(0 if self.force_exit else 0.1)
        self.servers[0].close()
        await asyncio.sleep(0.2)
        await super().shutdown(sockets)
