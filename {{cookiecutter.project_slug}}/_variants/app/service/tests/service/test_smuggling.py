"""Requests whose length a proxy and this service might read differently (RFC 9112, section 11.2).

The body of each looks like another request, and a last request follows. The service must either reject the first and
close the connection, or read exactly the length that the RFC defines; otherwise, a client could hide a request.
"""

import re
from contextlib import ExitStack, suppress

import pytest

from .process import receive_all

HIDDEN = "GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n"
SIZE = len(HIDDEN)
BATCH = 100
CHUNKS = f"{SIZE:x}\r\n{HIDDEN}\r\n0\r\n\r\n"
LAST = "GET /last HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"
LENGTH = f"Content-Length: {SIZE}"
SPACES = (" ", "\t", "\v", "\f", "\0", "\r", "\n", "\r\n", "\r\n ", "\r\n\t", "\x85", "\xa0")

ENCODINGS = (
    *("", ",", "x", "0", "identity", "gzip", "xchunked", "chunkedx", "chunke", "chunked;", "chunked;q=1", "chunked="),
    *('"chunked"', "'chunked'", "[chunked]", "chunked\x01", "\x01chunked", "\xffchunked", "chunked\xff", "=chunked"),
    *("chunked chunked", "chun ked", "gzip chunked", "gzip;chunked", "chunked, gzip", "chunked,identity", "chunked, x"),
    *("chunked, chunked", "chunked,chunked", "chunked\x7f", "Chunked", "CHUNKED", "chunked ", " chunked", "chunked\t"),
    *("gzip, chunked", "identity, chunked", ",chunked", "chunked,", *(f"{space}chunked" for space in SPACES)),
)
LENGTHS = (
    *("", "+{}", "-{}", "{}.0", "{}e0", "0x{:x}", "{},", ",{}", "{};", "{} 0", "0 {}", "{}, 0", "0, {}", "{}, {}"),
    *('"{}"', "{}_", "1_0", "{}a", "a{}", "{}\0", "\0{}", "\v{}", "{}\f", "{}\xa0", "\xb2", "({})", "{}\x01", "0{}"),
    *("18446744073709551616", "1844674407370955165{}", "9" * 40, *(space + "{}" for space in SPACES)),
)
SIZES = (
    *("+{:x}", "-{:x}", "0x{:x}", "0X{:x}", "{:x}h", "x{:x}", "{:x}.0", "{:x}_", "{:x},", '"{:x}"', "{:x}=", "#{:x}"),
    *(" {:x}", "{:x} ", "\t{:x}", "{:x}\t", "\0{:x}", "{:x}\0", "\v{:x}", "{:x}\v", "{:x}\xa0", "{:x}\r", "{:x}\n"),
    *("10000000000000000{:x}", "f" * 17, "f" * 16, "-1", "", " ", ";", ";{:x}", "\n{:x}", "\r\n{:x}", "{:x}:", "{:x}/"),
    *("{:x};a", "{:x};a=b", '{:x};a="b"', "{:x};", "{:x};a\n0", '{:x};a="\n', "{:x};a\r0", "0{:x}", "{:x}\xff"),
)


def requests():
    """Return the headers and the body of each request: unusual lengths, alone and next to a valid one."""
    for value in ENCODINGS:
        yield f"Transfer-Encoding: {value}", CHUNKS
        yield f"{LENGTH}\r\nTransfer-Encoding: {value}", CHUNKS
        yield f"Transfer-Encoding: {value}\r\n{CHUNKED}", CHUNKS
    for text in LENGTHS:
        value = text.format(SIZE, SIZE)
        yield f"Content-Length: {value}", HIDDEN
        yield f"{LENGTH}\r\nContent-Length: {value}", HIDDEN
        yield f"Content-Length: {value}\r\n{CHUNKED}", CHUNKS
    for text in SIZES:
        yield CHUNKED, f"{text.format(SIZE)}\r\n{HIDDEN}\r\n0\r\n\r\n"
        yield CHUNKED, f"{SIZE:x}\r\n{HIDDEN}\r\n{text.format(0)}\r\n\r\n"
    for end in ("", "\r", "\n", "\n\r", " \r\n", "x\r\n"):
        yield CHUNKED, f"{SIZE:x}\r\n{HIDDEN}{end}0\r\n\r\n"
        yield CHUNKED, f"{SIZE:x}{end}{HIDDEN}\r\n0\r\n\r\n"
    for line, body in ((LENGTH, HIDDEN), (CHUNKED, CHUNKS)):
        name, _, value = line.partition(": ")
        for space in SPACES:
            yield f"{name}{space}: {value}", body
            yield f"{name}:{space}{value}", body
        for space in ("\v", "\f", "\0", "\r", "\n", "\r\n ", "\r\n\t"):
            yield f"X: y{space}{line}", body
            yield f"X: y{space}\r\n{line}", body
        for other in (f"{name} {value}", f": {value}", f'"{name}": {value}', f"\xff{name}: {value}"):
            yield other, body
        for host in ("Host: other", "Host:", "Host: a b", "Host : other"):
            yield f"{host}\r\n{line}", body
    for name in ("Transfer_Encoding", "TransferEncoding", "X-Transfer-Encoding", "Content_Length"):
        yield f"{LENGTH}\r\n{name}: chunked", HIDDEN


def request_lines():
    """Return request lines that a proxy might read differently."""
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1", "http/1.1", "HTTP/1.1 ", "HTTP/1.1\0"):
        yield f"POST /stream {version}\r\nConnection: keep-alive"
    for target in ("http://other/stream", "HTTP://other/stream", "//other/stream", "/stream /x", "/stream\0", "*", "x"):
        yield f"POST {target} HTTP/1.1"
    yield from (f"{space}POST /stream HTTP/1.1" for space in SPACES)
    yield from (f"POST{space}/stream{space}HTTP/1.1" for space in SPACES)


HEADERS = [(f"POST /stream HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n", body) for lines, body in requests()]
LINES = [
    (f"{request_line}\r\nHost: test\r\n{line}\r\n\r\n", body)
    for request_line in request_lines()
    for line, body in ((LENGTH, HIDDEN), (CHUNKED, CHUNKS))
]


def finds_hidden_request(response):
    """Return whether the service read a request other than the first and the last."""
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", response)]
    if statuses[:1] == [200]:
        return f'"bytes":{SIZE}}}'.encode() not in response or statuses[1:] not in ([], [404])
    return len(statuses) > 1


def exchange(service, requests):
    """Send each request on its own connection, all at once, and return the responses, or b"" after a reset."""
    responses = dict.fromkeys(requests, b"")
    with ExitStack() as stack:
        clients = {request: stack.enter_context(service.connect()) for request in responses}
        for request, client in clients.items():
            with suppress(ConnectionError):
                client.sendall(request)
        for request, client in clients.items():
            with suppress(ConnectionError):
                responses[request] = receive_all(client)
    return responses


@pytest.mark.parametrize("start", range(0, len(HEADERS + LINES), BATCH))
def test_hidden_requests_are_not_read(short_timeout_service, start):
    batch = [f"{headers}{body}{LAST}".encode("latin-1") for headers, body in (HEADERS + LINES)[start : start + BATCH]]
    responses = exchange(short_timeout_service, batch)
    assert [request for request, response in responses.items() if finds_hidden_request(response)] == []
    assert "/hidden" not in short_timeout_service.log.read_text()
