"""Malformed HTTP requests by the hundred, each with a name: wrong heads around a sound body, and the reverse.

A request is bytes with places for what only a running server knows: `{port}`, `{token}` and `{session}`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.mcp_tools.fleet import MODERN
from tests.torture.noise import Noise
from tests.torture.rpc_noise import dump, message, of_bytes, of_protocol, of_structure, of_values, spread

SOUND = dump(message("tools/list", {"_meta": MODERN}))


@dataclass(frozen=True)
class Where:
    """What a request needs to know of the server that it is sent to."""

    port: int
    token: str
    session: str

    def fill(self, noise: Noise) -> bytes:
        """Give the bytes to send."""
        filled = noise.data
        for name in ("port", "token", "session"):
            filled = filled.replace(b"{%s}" % name.encode(), str(getattr(self, name)).encode())
        return filled


@dataclass(frozen=True)
class Head:
    """The head of a request; sound as it stands."""

    method: str = "POST"
    path: str = "/mcp"
    version: str = "HTTP/1.1"
    host: str | None = "127.0.0.1:{port}"
    authorization: str | None = "Bearer {token}"
    content_type: str | None = "application/json"
    accept: str | None = "application/json, text/event-stream"
    more: tuple[str, ...] = ()

    def around(self, body: bytes, length: str | None = "{length}") -> bytes:
        """Give the bytes of a request, which ask for the connection to be closed behind the answer."""
        named = {
            "host": self.host, "authorization": self.authorization, "content-type": self.content_type,
            "accept": self.accept, "content-length": length and length.replace("{length}", str(len(body))),
        }  # fmt: skip
        lines = [f"{name}: {value}" for name, value in named.items() if value is not None]
        first = f"{self.method} {self.path} {self.version}"
        return "\r\n".join([first, *lines, *self.more, "connection: close", "", ""]).encode("latin-1") + body


MODERN_HEAD = Head(more=("mcp-protocol-version: 2026-07-28", "mcp-method: tools/list"))
IN_SESSION = Head(more=("mcp-session-id: {session}", "mcp-protocol-version: 2025-06-18"))

WRONG: dict[str, tuple[str | None, ...]] = {
    "method": (
        "GET", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "P OST", "", "POST\0", "PROPFIND",
        "X" * 5000,
    ),
    "path": (
        "/", "/mcp/", "//mcp", "/MCP", "/mcp/..", "/%6dcp", "/mcp%00", "/mcp?token={token}", "/mcp#x", "*", "mcp", "",
        "http://127.0.0.1:{port}/mcp", "http://evil.example/mcp", "/../../secrets/operator", "/" + "x" * 10_000,
    ),
    "version": ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1.1", "HTCPCP/1.0", "", "HTTP/1.1\0"),
    "host": (
        None, "", "localhost:{port}", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0{port}", "127.1:{port}", "0.0.0.0:{port}",
        "[::1]:{port}", "evil.example", "evil.example:{port}", "127.0.0.1:{port}.evil.example", "127.0.0.1:{port}@evil",
        "user@127.0.0.1:{port}", "127.0.0.1:{port}, evil.example", "127.0.0.1 :{port}", "x" * 10_000, "\xff\xfe",
        "a\0b",
    ),
    "authorization": (
        None, "", "Bearer", "Bearer ", "Bearer  ", "Bearer wrong", "bearer", "Basic {token}", "{token}",
        "Bearer {token}x",
        "Bearer {token},{token}", "Bearer\xa0{token}", "Bearer " + "x" * 50_000, "Bearer \xff", "Bearer a\0b",
        "Bearer null",
    ),
    "content_type": (
        None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json-rpc",
        "application/jsonx", "application/xml", "*/*", "json", "x" * 10_000, "\xff", "application/json\0",
    ),
    "accept": (None, "", "text/html", "application/xml", "text/event-stream", "application/json", "q",
    "x" * 10_000, "\xff"),
}  # fmt: skip
LENGTHS = (
    "-1", "+5", "0x10", "1e3", "five", "", " ", "5, 5", "5, 6", "999999999999999999999", "9" * 5000, "1.5",
    "\xb2", "1048577",
)  # fmt: skip
MORE: dict[str, tuple[str, ...]] = {
    "origin": (
        "", "null", "http://127.0.0.1:{port}", "http://localhost:{port}", "http://evil.example",
        "https://127.0.0.1:{port}",
        "file://", "chrome-extension://x", "http://127.0.0.1:{port}.evil.example", "\xff", "x" * 10_000,
    ),
    "mcp-session-id": (
        "", "unknown", "0" * 32, "{session}0", "{session}, {session}", "\xff", "../{session}", "x" * 50_000,
        "a b", "a\0b",
    ),
    "mcp-protocol-version": (
        "", "0", "1999-01-01", "2026-07-28", "2999-12-31", "2025-06-18, 2025-03-26", "draft", "\xff", "x" * 10_000,
    ),
    "mcp-method": ("", "tools/call", "TOOLS/LIST", "\xff", "x" * 10_000),
    "mcp-name": ("", "send", "\xff", "x" * 10_000),
    "last-event-id": ("", "0", "1", "\xff", "x" * 10_000),
    "transfer-encoding": ("gzip", "chunked, gzip", "identity", "chunked\0", "xchunked", "chunked, chunked"),
    "content-encoding": ("gzip", "br", "deflate", "unknown"),
    "expect": ("100-continue", "200-ok", "x" * 1000),
    "upgrade": ("websocket", "h2c", "TLS/1.0"),
    "x-forwarded-for": ("127.0.0.1", "x" * 10_000),
    "x-http-method-override": ("GET", "DELETE"),
}  # fmt: skip
"""Header fields that a sound request has not, or has otherwise."""


def of_heads() -> Iterator[Noise]:
    """Wrong method, path, version, host, token, content type: one at a time, around a sound body."""
    for head, era in ((MODERN_HEAD, "2026"), (IN_SESSION, "2025")):
        for field, values in WRONG.items():
            for value in values:
                data = replace(head, **{field: "" if value is None and field in {"method", "path"} else value})
                yield Noise(f"{era}: {field} is {_short(value)}", data.around(SOUND))
        for field, values in MORE.items():
            for value in values:
                wrong = replace(head, more=(*head.more, f"{field}: {value}"))
                yield Noise(f"{era}: {field} is {_short(value)}", wrong.around(SOUND))


def of_lengths() -> Iterator[Noise]:
    """A length that is none, or that is not the body's; more than one of it; chunks that are none."""
    for length in LENGTHS:
        yield Noise(f"content-length is {_short(length)}", MODERN_HEAD.around(SOUND, length))
    for name, field in {
        "two lengths": "content-length: 1", "length and chunks": "transfer-encoding: chunked",
        "two hosts": "host: evil",
        "two tokens": "authorization: Bearer x", "two types": "content-type: text/plain",
        "two sessions": "mcp-session-id: x",
        "a folded field": "x-a: 1\r\n 2", "a field without colon": "nothing", "a field without name": ": x",
        "a blank in a name": "a b: c", "a blank before the colon": "a : b", "a NUL in a field": "a: b\0c",
        "a name of no ASCII": "\xff: x", "a lone line feed": "a: b\nc: d", "a lone return": "a: b\rc: d",
    }.items():  # fmt: skip
        yield Noise(name, replace(MODERN_HEAD, more=(*MODERN_HEAD.more, field)).around(SOUND))
    chunked = replace(MODERN_HEAD, more=(*MODERN_HEAD.more, "transfer-encoding: chunked"))
    for name, chunks in {
        "no number": b"x\r\n", "a negative one": b"-1\r\n", "too large a one": b"f" * 40 + b"\r\n",
        "no end": b"5\r\nabcdefg\r\n",
        "an empty body": b"0\r\n\r\n", "a long extension": b"1;" + b"x" * 70_000 + b"\r\na\r\n0\r\n\r\n",
    }.items():  # fmt: skip
        yield Noise(f"chunks with {name}", chunked.around(chunks, None))


def of_sizes() -> Iterator[Noise]:
    """Giant heads and giant bodies."""
    for size in (10_000, 65_000, 70_000, 1_000_000):
        wrong = replace(MODERN_HEAD, more=(*MODERN_HEAD.more, "x-long: " + "x" * size))
        yield Noise(f"a field of {size} bytes", wrong.around(SOUND))
        yield Noise(f"a method of {size} bytes", replace(MODERN_HEAD, method="X" * size).around(SOUND))
        yield Noise(f"a first line of {size} bytes that never ends", b"POST /" + b"x" * size)
    for count in (100, 1000, 10_000):
        wrong = replace(MODERN_HEAD, more=(*MODERN_HEAD.more, *(f"x-{n}: x" for n in range(count))))
        yield Noise(f"{count} fields", wrong.around(SOUND))
    for size in (1024 * 1024 + 1, 2 * 1024 * 1024):
        yield Noise(f"a body of {size} bytes", MODERN_HEAD.around(b" " * size))
        yield Noise(f"a body of {size} bytes in a session", IN_SESSION.around(b"[" * size))


def of_other_protocols() -> Iterator[Noise]:
    """What lands on a port by mistake, and requests that end in the middle."""
    sound = MODERN_HEAD.around(SOUND)
    for name, data in {
        "a TLS client": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "an SSH client": b"SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "our link": b'{"hello":"queenpost","protocol":1}\n',
        "nothing": b"",
        "blank lines": b"\r\n" * 1000, "NULs": b"\0" * 5000, "a line feed": b"\n", "SOCKS": b"\x05\x01\x00",
        "two requests, the second broken": sound.replace(b"connection: close\r\n", b"") + b"POST\r\n\r\n",
    }.items():  # fmt: skip
        yield Noise(name, data)
    for end in range(1, len(sound), 5):
        yield Noise(f"cut after {end} bytes", sound[:end])


def of_bodies() -> Iterator[Noise]:
    """A sound head around each malformed message; the method that it names is told beside it where there is one."""
    for family in (of_values, of_bytes, of_structure, of_protocol):
        for place, noise in enumerate(family()):
            if place % 2:
                yield Noise(f"2025: {noise.name}", IN_SESSION.around(noise.data))
            else:
                yield Noise(f"2026: {noise.name}", _routed(noise.data).around(noise.data))


def _routed(body: bytes) -> Head:
    try:
        said = json.loads(body)
        fields = [f"mcp-method: {said['method'].encode().decode('latin-1')[:200]}"]
        if isinstance(said["params"].get("name"), str):
            fields.append(f"mcp-name: {said['params']['name'].encode().decode('latin-1')[:200]}")
        more = ("mcp-protocol-version: 2026-07-28", *fields)
        return Head(more=tuple(field.translate({0: None, 10: None, 13: None}) for field in more))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return MODERN_HEAD


def _short(value: str | None) -> str:
    return "missing" if value is None else repr(value) if len(value) < 60 else f"{len(value)} × {value[-1]!r}"


def http_noises(number: int) -> list[Noise]:
    """Give so many malformed requests of every family."""
    return spread(number, of_heads(), of_lengths(), of_sizes(), of_other_protocols(), of_bodies())
