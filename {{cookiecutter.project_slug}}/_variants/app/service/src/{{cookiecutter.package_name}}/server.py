"""The server: uvicorn, with an orderly end and answers for clients that do not speak HTTP."""

import asyncio
import signal
import socket
import sys
from contextlib import suppress
from types import FrameType

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import logs
from .middleware import Limits
from .problems import problem
from .service import app
from .settings import Settings

# Long enough to read the requests that arrived before connections without one are closed.
SETTLE_SECONDS = 0.2


class Connection(h11.Connection):
    """What is sent and received on one connection. Unlike h11, it takes no body with two kinds of length."""

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return what has been received next.

        Raises:
            h11.RemoteProtocolError: it is no HTTP, or a proxy in front may have read the end of its body elsewhere.

        """
        event = super().next_event()
        if type(event) is h11.Request:
            names = {name for name, _ in event.headers}
            if b"transfer-encoding" in names and (b"content-length" in names or event.http_version == b"1.0"):
                raise h11.RemoteProtocolError("Transfer-Encoding with Content-Length or HTTP/1.0")
        return event


class Protocol(H11Protocol):
    """HTTP/1.1. The whole head of a request has to come in time, and what is no HTTP gets a problem document."""

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self.conn = Connection(h11.SERVER)
        self.bound_head()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        super().data_received(data)
        self.bound_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self.deadline:
            self.deadline.cancel()

    def bound_head(self) -> None:
        """Close the connection unless the head is complete in time: uvicorn's own clock stops at its first byte.

        The rest of a body that was answered early has that time, too.
        """
        waits = self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE
        if waits and self.deadline is None:
            self.deadline = self.loop.call_later(self.timeout_keep_alive, self.transport.close)
        elif not waits and self.deadline:
            self.deadline.cancel()
            self.deadline = None

    def send_400_response(self, msg: str) -> None:
        """Answer what h11 could not read, unless an answer is already on its way."""
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            error = sys.exception()
            status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
            answer = problem(status, f"{msg} {error}", {"connection": "close"})
            head = h11.Response(status_code=status, headers=answer.raw_headers)
            for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """A server that loses no request that it has accepted, and exits with status 0 when it is told to stop."""

    def handle_exit(self, sig: int, _frame: FrameType | None) -> None:
        """Stop at SIGTERM or SIGINT; a second SIGINT waits for nothing. Unlike uvicorn, do not die of it in the end."""
        app.state.ready = False
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and finish what has arrived."""
        await self.accept_the_last()
        await asyncio.sleep(SETTLE_SECONDS)
        await super().shutdown(sockets)

    async def accept_the_last(self) -> None:
        """Stop listening. For their clients, connections that wait to be accepted are open: closing resets them."""
        listeners = [listener.dup() for server in self.servers for listener in server.sockets]
        for server in self.servers:
            server.close()
        waiting = []
        for listener in listeners:
            # Until none is left; nothing is awaited in between, so that a flood of them comes to an end.
            with listener, suppress(OSError):
                while True:
                    waiting.append(listener.accept()[0])
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.connect_accepted_socket(self.protocol, connection) for connection in waiting))

    def protocol(self) -> asyncio.Protocol:
        """Make what reads a connection, as uvicorn does for those that asyncio accepts."""
        return Protocol(self.config, self.server_state, self.lifespan.state)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    logs.configure(settings.log_level)
    app.add_middleware(Limits, settings.max_body_bytes, settings.idle_seconds)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    Server(config).run()
