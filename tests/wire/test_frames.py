"""How every frame looks on the wire. A difference is a decision: is an older peer still understood?

`python -m tests.wire.test_frames` writes the files anew.
"""

import sys
from pathlib import Path
from typing import Any, cast

import pydantic_core
import pytest

from tests.wire.examples import HELLO, OPS_BY_EXAMPLE, PUSH, REFUSAL, WELCOME
from wire.codec import (
    Reply,
    decode_from_broker,
    decode_hello,
    decode_request,
    encode,
    encode_error,
    encode_request,
    encode_result,
)
from wire.model import Request, Result
from wire.ops import OPS, Op

MAPS = {
    "asks", "attempts", "data", "delegate", "deliveries", "env", "events", "facts", "jobs", "messages", "outcomes",
    "received", "refused", "states", "tools", "turns",
}  # fmt: skip
"""Fields whose keys are data, not names of fields, where their value is an object."""

GOLDEN = Path(__file__).parents[1] / "golden" / "wire"

LINK = {
    "hello": encode(HELLO),
    "welcome": encode(WELCOME),
    "push": encode(PUSH),
    "refusal": encode_error(7, REFUSAL),
    "refusal_before_welcome": encode_error(None, REFUSAL),
}


def op_of(request: Request) -> Op:
    """Find the row of the table for an example."""
    return next(op for op in OPS.values() if op.request is type(request))


def frames(request: Request, result: Result) -> dict[str, bytes]:
    """Give the two frames of an example; the agent is named where one can be."""
    as_ = "alice" if "agent" in op_of(request).rights else None
    return {"request": encode_request(request, 7, as_), "reply": encode_result(7, result)}


def golden(name: str) -> dict[str, Any]:
    """Read the frames that were agreed."""
    return pydantic_core.from_json((GOLDEN / f"{name}.json").read_bytes())


def parsed(wire: dict[str, bytes]) -> dict[str, Any]:
    """Read frames as JSON; each is one line."""
    assert all(frame.count(b"\n") == 1 and frame.endswith(b"\n") for frame in wire.values())
    return {name: pydantic_core.from_json(frame) for name, frame in wire.items()}


EXAMPLES = pytest.mark.parametrize(
    ("request_", "result"), OPS_BY_EXAMPLE, ids=[op_of(r).name for r, _ in OPS_BY_EXAMPLE]
)


@EXAMPLES
def test_the_frames_of_an_op_are_as_agreed(request_: Request, result: Result) -> None:
    """DESIGN 4: outbound frames are pinned."""
    assert parsed(frames(request_, result)) == golden(op_of(request_).name)


@EXAMPLES
def test_a_request_arrives_as_it_was_sent(request_: Request, result: Result) -> None:
    """DESIGN 4: nothing is lost or changed by the wire."""
    wire = frames(request_, result)
    op, arrived = decode_request(wire["request"])
    assert op is op_of(request_)
    assert arrived.model_copy(update={"id": 0, "as_": None}) == request_
    reply = decode_from_broker(wire["reply"])
    assert isinstance(reply, Reply)
    assert op.result.model_validate(reply.result) == result


@EXAMPLES
def test_an_answer_from_a_newer_broker_is_understood(request_: Request, result: Result) -> None:
    """DESIGN 4: replies ignore unknown fields, at any depth, so that peers upgrade one after the other."""
    newer = _with_more(pydantic_core.from_json(pydantic_core.to_json(result)))
    assert op_of(request_).result.model_validate(newer) == result


def _with_more(value: object) -> object:
    if isinstance(value, list):
        return [_with_more(inner) for inner in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    more = {key: _map(inner) if key in MAPS else _with_more(inner) for key, inner in fields.items()}
    return {**more, "brand_new": [1]}


def _map(value: object) -> object:
    return cast("object", value) if isinstance(value, dict) else _with_more(value)


def test_every_op_has_an_example() -> None:
    """Ours: and none has two."""
    assert sorted(op_of(request).name for request, _ in OPS_BY_EXAMPLE) == sorted(OPS)


def test_every_example_shows_every_field() -> None:
    """Ours: a field that no example sets is not pinned."""
    bare = [
        f"{type(model).__name__}.{name}"
        for pair in OPS_BY_EXAMPLE
        for model in pair
        for name in type(model).model_fields
        if name not in {"id", "as_", "op", *model.model_fields_set}
    ]
    assert not bare


def test_the_frames_around_ops_are_as_agreed() -> None:
    """DESIGN 4: hello, welcome, pushes, refusals."""
    assert parsed(LINK) == golden("link")
    assert decode_hello(LINK["hello"]) == HELLO
    assert decode_from_broker(LINK["welcome"]) == WELCOME
    assert decode_from_broker(LINK["push"]) == PUSH


def test_no_frame_is_agreed_on_that_nobody_sends() -> None:
    """Ours: an op that is gone takes its file along."""
    assert {path.stem for path in GOLDEN.glob("*.json")} == {"link", *OPS}


def main() -> None:
    """Write what is sent now as what is agreed."""
    wire = {op_of(request).name: frames(request, result) for request, result in OPS_BY_EXAMPLE}
    for name, lines in {"link": LINK, **wire}.items():
        text = pydantic_core.to_json(parsed(lines), indent=2)
        (GOLDEN / f"{name}.json").write_bytes(text + b"\n")
    sys.stderr.write(f"wrote {len(wire) + 1} files; look at the difference before you commit it\n")


if __name__ == "__main__":
    main()
