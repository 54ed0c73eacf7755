"""Requests whose length a proxy and this service might read differently (RFC 9112, section 11.2).

The body of each looks like another request, and a last request follows. The service must either reject the first and
close the connection, or read exactly the length that the RFC defines; otherwise, a client could hide a request.
"""

import re
from contextlib import suppress

import pytest

from .process import receive_all

HIDDEN = "GET /hidden HTTP/1.1\r\nHost: test\r\n\r\n"
SIZE = len(HIDDEN)
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
    """Return the headers and the body of each request; `LENGTH` or `CHUNKED` says what the RFC reads, if anything."""
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


def starts():
    """Return request lines that a proxy might read differently."""
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1", "http/1.1", "HTTP/1.1 ", "HTTP/1.1\0"):
        yield f"POST /stream {version}\r\nConnection: keep-alive"
    for target in ("http://other/stream", "HTTP://other/stream", "//other/stream", "/stream /x", "/stream\0", "*", "x"):
        yield f"POST {target} HTTP/1.1"
    yield from (f"{space}POST /stream HTTP/1.1" for space in SPACES)
    yield from (f"POST{space}/stream{space}HTTP/1.1" for space in SPACES)


HEADERS = [(f"POST /stream HTTP/1.1\r\nHost: test\r\n{lines}\r\n\r\n", body) for lines, body in requests()]
LINES = [
    (f"{start}\r\nHost: test\r\n{line}\r\n\r\n", body)
    for start in starts()
    for line, body in ((LENGTH, HIDDEN), (CHUNKED, CHUNKS))
]


@pytest.mark.parametrize(("headers", "body"), HEADERS + LINES, ids=range(len(HEADERS + LINES)))
def test_body_hides_no_request(short_timeout_service, headers, body):
    response = b""
    with short_timeout_service.connect() as client, suppress(ConnectionError):
        client.sendall(f"{headers}{body}{LAST}".encode("latin-1"))
        response = receive_all(client)
    statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", response)]
    if statuses[:1] == [200]:
        assert f'"bytes":{SIZE}}}'.encode() in response
        assert statuses[1:] in ([], [404])
    else:
        assert len(statuses) <= 1
    assert "/hidden" not in short_timeout_service.log.read_text()
