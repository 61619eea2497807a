"""Malformed JSON-RPC by the hundred, each with a name: what a broken, hostile or newer MCP client might say.

Bytes without a newline, for any transport. What only HTTP can get wrong is in `tests.torture.http_noise`.
"""

import json
import random
from collections.abc import Iterator
from typing import Any, cast

from tests.mcp_tools.fleet import MODERN
from tests.torture.noise import WRONG_VALUES, Noise

SEED = 20261121
"""Of what is drawn; the name of each such noise says what it was drawn from, and a failed test prints it."""

REQUESTS: dict[str, dict[str, Any]] = {
    "initialize": {
        "protocolVersion": "2025-06-18",
        "capabilities": {"roots": {"listChanged": True}},
        "clientInfo": {"name": "t", "version": "0"},
    },
    "tools/list": {"cursor": "0", "_meta": MODERN},
    "tools/call": {"name": "send", "arguments": {"to": "nobody", "body": "x", "key": "k"}, "_meta": MODERN},
    "tools/call ": {"name": "recv_batch", "arguments": {"max": 1, "done": "m1"}, "_meta": MODERN},
    "notifications/cancelled": {"requestId": 5, "reason": "x"},
    "notifications/progress": {"progressToken": 5, "progress": 1, "total": 2, "message": "x"},
    "ping": {},
}
"""Well-formed parameters by method; a blank behind a method makes it another example of the same one."""

VERSIONS = ("", "0", "1999-01-01", "2025-06-18x", "2026-07-28", "2999-12-31", "DRAFT", "2025-06-18\0", "٢٠٢٥-٠٦-١٨")
METHODS = (
    "", "tools", "tools/", "tools/list/", "TOOLS/LIST", "tools/list\0", "rpc.discover", "__init__", "../tools/list",
    "logging/setLevel", "resources/list", "resources/read", "prompts/get", "completion/complete",
    "sampling/createMessage", "roots/list", "elicitation/create", "tasks/get", "notifications/unknown", "x" * 100_000,
)  # fmt: skip
IDS: dict[str, Any] = {
    "unknown": 10**6, "unknown text": "probe-999999", "null": None, "false": False, "half": 0.5, "negative": -1,
    "huge": 10**30, "empty": "", "long": "9" * 100_000, "a list": [1], "an object": {"id": 1}, "a NUL": "\0",
}  # fmt: skip


def message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Make a well-formed request, or a notification."""
    name = method.strip()
    head: dict[str, Any] = {"jsonrpc": "2.0"} if name.startswith("notifications/") else {"jsonrpc": "2.0", "id": 1}
    return {**head, "method": name, "params": params}


def dump(value: object) -> bytes:
    """Write JSON as most clients do."""
    return json.dumps(value).encode()


def of_values() -> Iterator[Noise]:
    """Wrong types: each field of each request, whatever its depth, with a value that it cannot have, or without it."""
    for method, params in REQUESTS.items():
        whole = message(method, params)
        for path in _paths(whole):
            where = f"{method}: {'.'.join(path)}"
            yield Noise(f"{where} is missing", dump(_without(whole, path)))
            for wrong, value in WRONG_VALUES.items():
                yield Noise(f"{where} is {wrong}", dump(_with(whole, path, value)))


def _paths(value: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, inner in value.items():
        yield (key,)
        if isinstance(inner, dict):
            yield from ((key, *rest) for rest in _paths(cast("dict[str, Any]", inner)))


def _with(whole: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    key, *rest = path
    return {**whole, key: _with(whole[key], tuple(rest), value) if rest else value}


def _without(whole: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    key, *rest = path
    if rest:
        return {**whole, key: _without(whole[key], tuple(rest))}
    return {name: value for name, value in whole.items() if name != key}


def of_bytes() -> Iterator[Noise]:
    """Truncated JSON, invalid UTF-8, NUL: a well-formed request, cut, stained and turned; and bytes of no sense."""
    frame = dump(message("tools/call", REQUESTS["tools/call"]))
    for end in range(1, len(frame)):
        yield Noise(f"cut after {end} bytes", frame[:end])
    for place in range(0, len(frame), 3):
        for name, stain in (
            ("a NUL", b"\0"),
            ("no UTF-8", b"\xff"),
            ("half a character", b"\xe2\x82"),
            ("a brace", b"}"),
        ):
            yield Noise(f"{name} at byte {place}", frame[:place] + stain + frame[place + 1 :])
    for number in range(100):
        data = random.Random(SEED + number).randbytes(200)
        yield Noise(f"random bytes of seed {SEED + number}", data.translate(None, b"\r\n"))
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        yield Noise(f"in {encoding}", frame.decode().encode(encoding).replace(b"\n", b""))
    yield Noise("reversed", frame[::-1])


def of_structure() -> Iterator[Noise]:
    """Deep nesting, huge numbers, lone surrogates, duplicate keys, much of everything."""
    call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recv","arguments":{"done":%s}}}'
    for depth in (50, 127, 128, 200, 1000, 100_000):
        yield Noise(f"{depth} lists deep", (call % ("[" * depth + "]" * depth)).encode())
        yield Noise(f"{depth} objects deep", (call % ('{"x":' * depth + "1" + "}" * depth)).encode())
        yield Noise(f"{depth} lists left open", (call % ("[" * depth)).encode())
    for digits in (20, 400, 4299, 4300, 4301, 100_000):
        yield Noise(f"an id of {digits} digits", call.replace('"id":1', f'"id":{"9" * digits}').encode() % b'"m1"')
        yield Noise(f"a number of {digits} digits", (call % ("9" * digits)).encode())
        yield Noise(f"an exponent of {digits} digits", (call % f"1e{'9' * digits}").encode())
    for word in ("NaN", "Infinity", "-Infinity", "1e999", "nul", "True", "undefined", "0x10", "01", "1.", ".5", "+1"):
        yield Noise(f"the word {word}", (call % word).encode())
    for escape in (r"\ud800", r"\udc00", r"\ud800A", r"\u12", r"\x41", r"\u0000", r"\uD83D\uD83D", r"\udfff\ud800"):
        yield Noise(f"the escape {escape}", (call % f'"{escape}"').encode())
        yield Noise(f"the escape {escape} in the id", call.replace('"id":1', f'"id":"{escape}"').encode() % b'"m1"')
        yield Noise(f"the escape {escape} in the tool", call.replace('"recv"', f'"{escape}"').encode() % b'"m1"')
    for key in ("jsonrpc", "id", "method", "params"):
        yield Noise(f"{key} twice", (call % '"m1"').replace(f'"{key}":', f'"{key}":1,"{key}":').encode())
    yield Noise("one key ten thousand times", (call % '"m1"').replace('"id":1', ",".join(['"id":1'] * 10_000)).encode())
    yield Noise("a thousand arguments", (call % ("1," + ",".join(f'"a{n}":1' for n in range(1000)))).encode())
    yield Noise("an argument with a name of 500 KiB", (call % f'1,"{"x" * 500_000}":1').encode())
    yield Noise("a tool with a name of 500 KiB", call.replace('"recv"', f'"{"x" * 500_000}"').encode() % b'"m1"')
    yield Noise("nothing but blanks", b" " * 500_000)


def of_protocol() -> Iterator[Noise]:
    """Batch arrays, unknown versions and methods, answers to nothing, cancellations of nothing."""
    call = message("tools/list", REQUESTS["tools/list"])
    for name, batch in {
        "an empty batch": [], "a batch of one": [call], "a batch of a thousand": [call] * 1000,
        "a batch of nothing": [None, 1, "x"], "a batch of batches": [[call], [[call]]],
    }.items():  # fmt: skip
        yield Noise(name, dump(batch))
    for value in ("null", "true", "5", '"tools/list"', "{}", '{"jsonrpc":"2.0"}', '{"id":1}', '{"method":"ping"}'):
        yield Noise(f"only {value}", value.encode())
    for version in VERSIONS:
        hello = {**REQUESTS["initialize"], "protocolVersion": version}
        yield Noise(f"initialize with version {version!r}", dump(message("initialize", hello)))
        meta = {**MODERN, "io.modelcontextprotocol/protocolVersion": version}
        yield Noise(f"a list with version {version!r}", dump(message("tools/list", {"_meta": meta})))
    for method in METHODS:
        yield Noise(f"the method {method[:40]!r}", dump(message(method, {"_meta": MODERN})))
        yield Noise(f"a notification {method[:40]!r}", dump({"jsonrpc": "2.0", "method": method}))
    for name, value in IDS.items():
        yield Noise(f"cancelled: an id that is {name}", dump(message("notifications/cancelled", {"requestId": value})))
        progress = {"progressToken": value, "progress": 1}
        yield Noise(f"progress: a token that is {name}", dump(message("notifications/progress", progress)))
        yield Noise(f"an answer to an id that is {name}", dump({"jsonrpc": "2.0", "id": value, "result": {}}))
        error = {"code": -32000, "message": "x"}
        yield Noise(f"an error for an id that is {name}", dump({"jsonrpc": "2.0", "id": value, "error": error}))
    both = {**call, "result": {}, "error": {"code": 1, "message": "x"}}
    yield Noise("a request, answer and error at once", dump(both))
    yield Noise("two requests in one", dump(call) + dump(call))
    for wait in ("-1", "null", "[]", '"soon"', "1e999", "NaN", "-0.5", '"-1"', "{}"):
        text = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"recv","arguments":{"wait_seconds":%s}}}'
        yield Noise(f"a wait of {wait}", (text % wait).encode())


def spread(number: int, *families: Iterator[Noise]) -> list[Noise]:
    """Give so many, always the same ones: of each family an equal share, evenly thinned out, or all it has."""
    chosen: list[Noise] = []
    waiting = sorted((list(family) for family in families), key=len)
    for place, family in enumerate(waiting):
        share = min(len(family), (number - len(chosen)) // (len(waiting) - place))
        chosen += [family[at * len(family) // share] for at in range(share)]
    assert len(chosen) == number, f"only {len(chosen)} of {number}"
    return chosen


def rpc_noises(number: int) -> list[Noise]:
    """Give so many malformed messages of every family."""
    return spread(number, of_values(), of_bytes(), of_structure(), of_protocol())
