"""Clients that put a service under load until they are refused or stopped, and count the responses.

Like a load balancer, they stop once their GET path responds with 503, after the requests in flight have finished.

This file needs only Python, because it runs alone in a container.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

BODY = bytes(range(256)) * 256
ROUNDS_UNTIL_BUSY = 5


def crc32c(data: bytes) -> str:
    """Return the checksum, bit by bit as it is defined."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return f"{value ^ 0xFFFFFFFF:08x}"


@dataclass
class Clients:
    """POST and GET clients; every second one uses a keep-alive connection."""

    host: str
    posts: int
    gets: int
    path: str
    expected: str = field(default_factory=lambda: crc32c(BODY))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    responses: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    last_200_on_path: float = 0

    async def run(self) -> None:
        """Run all clients, and print the result as the last line."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.stopping.set)
        self.host = socket.gethostbyname(self.host)
        requests = [("POST /crc32c", BODY)] * self.posts + [(f"GET {self.path}", b"")] * self.gets
        await asyncio.gather(*(self.send_requests(*request, keep=bool(n % 2)) for n, request in enumerate(requests)))
        names = ("accepted", "refused", "responses", "lost", "last_200_on_path")
        print(json.dumps({name: getattr(self, name) for name in names}))

    async def send_requests(self, target: str, body: bytes, *, keep: bool) -> None:
        """Send requests until stopped."""
        more = "" if keep else "connection: close\r\n"
        head = f"{target} HTTP/1.1\r\nhost: {self.host}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
        while not self.stopping.is_set():
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection(self.host, 8000), timeout=10)
            except OSError as error:
                # Any failure to connect counts as refused: no request was sent, so a client can retry elsewhere.
                self.refused[type(error).__name__] += 1
                return
            self.accepted += 1
            try:
                open_still = True
                while open_still and not self.stopping.is_set():
                    sent_at = time.time()
                    writer.write(head.encode() + body)
                    open_still = await self.read_response(target, sent_at, reader) and keep
            except (OSError, EOFError) as error:
                self.lost[f"{target}: {error!r}"] += 1
            finally:
                writer.transport.abort()

    async def read_response(self, target: str, sent_at: float, reader: asyncio.StreamReader) -> bool:
        """Read and count one response; return whether the connection stays open."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status = head.split()[1]
        length = next(line for line in head.splitlines() if line.startswith("content-length:"))
        body = await reader.readexactly(int(length.partition(":")[2]))
        if status == "200" and target.startswith("POST") and json.loads(body)["crc32c"] != self.expected:
            status = "wrong"
        if status == "200" and target.startswith("GET"):
            self.last_200_on_path = max(self.last_200_on_path, sent_at)
        if status == "503" and target.startswith("GET"):
            self.stopping.set()
        self.responses[f"{target} {status}"] += 1
        if self.responses.total() == ROUNDS_UNTIL_BUSY * (self.posts + self.gets):
            print("busy", flush=True)
        return "\r\nconnection: close\r\n" not in head


async def main(host: str, posts: str, gets: str, path: str) -> None:
    """Run the clients given on the command line."""
    await Clients(host, int(posts), int(gets), path).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
