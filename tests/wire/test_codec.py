"""Bytes to models and back: what a stranger may send, and what is said about it."""

import json
from collections.abc import Callable

import pydantic_core
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wire.codec import (
    BadFrame,
    Garbled,
    Reply,
    UnknownOp,
    decode_from_broker,
    decode_hello,
    decode_request,
    decode_result,
    encode_error,
    encode_request,
    encode_result,
    encode_stored_result,
)
from wire.errors import CODES, Internal, QueenpostError, from_wire
from wire.fleet import FleetPing, FleetPong, Push, Welcome
from wire.inbox import InboxSend, InboxSent
from wire.ops import OPS
from wire.turns import TurnsOpen, TurnsOpened


def request(**fields: object) -> bytes:
    """Write a send with other fields."""
    return json.dumps({"id": 3, "op": "inbox.send", "to": "bob", "body": "x", "key": "k", **fields}).encode()


def refused(line: bytes) -> BadFrame | UnknownOp:
    """Decode a request that is none and give the error."""
    with pytest.raises((BadFrame, UnknownOp)) as caught:
        decode_request(line)
    return caught.value


# ---- requests


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"17",
        b"{} {}",
        b'{"id":1,"op":"fleet.ping"} x',
        b"\x00\x01\x02\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"id":1,"op":"inbox.send","body":"\xff"}',
        b'{"id":1,"op":"inbox.send","body":"\\ud800"}',
        b'{"id":1,"op":"inbox.send","body":"raw\ttab"}',
        b'{"id":1,"op":"turns.open","wait_s":NaN}',
        b'{"id":1,"op":"turns.open","wait_s":Infinity}',
        b'{"id":1,"op":"turns.open","wait_s":-Infinity}',
        b'{"id":' + b"9" * 5000 + b',"op":"fleet.ping"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id":1,"op":"fleet.ping","x":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"{'id': 1}",
    ],
)
def test_what_is_no_json_object_is_refused(line: bytes) -> None:
    """DESIGN 4: parsed strictly: UTF-8, one object, no NaN, no lone surrogate, no bottomless nesting."""
    error = refused(line)
    assert isinstance(error, BadFrame)
    assert error.request_id is None
    assert len(error.message) < 400


@pytest.mark.parametrize("bad_id", [None, "1", 1.0, -1, 2**53 + 1, True, [1], {}])
def test_a_request_without_a_usable_id_is_refused(bad_id: object) -> None:
    """DESIGN 4: it could not be answered."""
    error = refused(request(id=bad_id))
    assert isinstance(error, BadFrame)
    assert error.request_id is None


@pytest.mark.parametrize("op", ["inbox.steal", "", None, 3, ["inbox.send"], {"a": 1}, "x" * 100_000])
def test_an_unknown_op_is_answered_not_dropped(op: object) -> None:
    """DESIGN 4: the answer carries the id of the request; a long name does not come back."""
    error = refused(request(op=op))
    assert isinstance(error, UnknownOp)
    assert error.request_id == 3
    assert error.code == "unknown"
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sender": "boss"}, "sender: "),
        ({"from": "boss"}, "from: "),
        ({"kind": "operator"}, "kind: "),
        ({"depth": 0}, "depth: "),
        ({"op ": "x"}, "op : "),
        ({"to": 3}, "to: "),
        ({"to": ""}, "to: "),
        ({"to": "x" * 65}, "to: "),
        ({"body": ""}, "body: "),
        ({"body": "x" * 1_000_001}, "body: "),
        ({"key": "with space"}, "key: "),
        ({"key": "k\n"}, "key: "),
        ({"key": "k" * 129}, "key: "),
        ({"as": "x" * 65}, "as: "),
        ({"in_reply_to": 9}, "in_reply_to: "),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], words: str) -> None:
    """[H01] [P12] DESIGN 5, Provenance: who sends and what kind it is are no fields of a request."""
    error = refused(request(**fields))
    assert isinstance(error, BadFrame)
    assert (error.request_id, error.code) == (3, "invalid")
    assert words in error.message


def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    """Ours: it may be large, or a secret that was put into the wrong field."""
    assert "hush-hush" not in refused(request(to=["hush-hush"], agent_token="hush-hush")).message


def test_of_a_field_that_comes_twice_the_last_counts() -> None:
    """Known gap: JSON allows it, and no decision is made on the first."""
    op, decoded = decode_request(b'{"id":1,"id":2,"op":"fleet.status","op":"fleet.ping"}')
    assert (op.name, decoded) == ("fleet.ping", FleetPing(id=2))


def test_a_whole_number_may_stand_for_seconds() -> None:
    """Ours: JSON has one kind of number; a client in another language writes 3 for 3.0."""
    _, decoded = decode_request(b'{"id":1,"op":"turns.open","wait_s":3}')
    assert decoded == TurnsOpen(id=1, wait_s=3.0)


@settings(deadline=None)
@given(st.text(min_size=1))
def test_any_text_is_carried_on_one_line_and_comes_back(body: str) -> None:
    """Ours: newlines, NUL and emoji included."""
    frame = encode_request(InboxSend(to="bob", body=body, key="k"), 1)
    assert frame.index(b"\n") == len(frame) - 1
    _, decoded = decode_request(frame)
    assert isinstance(decoded, InboxSend)
    assert decoded.body == body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "op", "ok", "result", "error", "code", "message", "details", "event", "protocol"])
            | st.text(max_size=4),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_nothing_that_comes_in_breaks_the_reader(line: bytes) -> None:
    """Ours: the broker answers, the client sorts; neither crashes."""
    _answered(decode_request, line)
    _answered(decode_hello, line)
    assert isinstance(decode_from_broker(line), Reply | Push | Welcome | Garbled)


def _answered(decode: Callable[[bytes], object], line: bytes) -> None:
    try:
        decode(line)
    except (BadFrame, UnknownOp) as exc:
        encode_error(exc.request_id, exc)


# ---- hello


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hello": "kitty"}, "hello"),
        ({"protocol": "1"}, "protocol"),
        ({"token": "x" * 257}, "token"),
        ({"token": None}, "token"),
        ({"kind": "x" * 33}, "kind"),
    ],
)
def test_what_is_no_hello_is_refused_without_its_token(fields: dict[str, object], words: str) -> None:
    """DESIGN 4: the first frame; the message names the field, never the token."""
    hello = {"hello": "queenpost", "protocol": 1, "token": "hush-hush", "kind": "cli", **fields}
    with pytest.raises(BadFrame, match=f"hello: {words}") as caught:
        decode_hello(json.dumps(hello).encode())
    assert "hush" not in caught.value.message


def test_a_hello_may_have_more_fields_than_this_broker_knows() -> None:
    """DESIGN 4: a newer client says hello to an older broker and is told its protocol."""
    line = b'{"hello":"queenpost","protocol":9,"token":"t","kind":"cli","compression":"zstd"}'
    assert decode_hello(line).protocol == 9


# ---- what comes from the broker


@pytest.mark.parametrize("code", CODES)
def test_an_error_comes_back_as_it_was_raised(code: str) -> None:
    """DESIGN 4: one tree on both sides."""
    raised = from_wire(code, "do this instead", {"retry_after_ms": 5})
    reply = decode_from_broker(encode_error(7, raised))
    assert isinstance(reply, Reply)
    assert (reply.id, type(reply.error)) == (7, type(raised))
    assert isinstance(reply.error, QueenpostError)
    assert (reply.error.message, reply.error.details) == ("do this instead", {"retry_after_ms": 5})


def test_a_code_of_a_newer_broker_is_internal() -> None:
    """DESIGN 4: a client outlives a newer broker; the message stays."""
    reply = decode_from_broker(b'{"id":1,"ok":false,"error":{"code":"moved","message":"go there"}}')
    assert isinstance(reply, Reply)
    assert isinstance(reply.error, Internal)
    assert reply.error.message == "go there"


def test_a_stored_answer_is_the_same_frame() -> None:
    """DESIGN 4: a replay gives the first result again, byte by byte."""
    sent = InboxSent(id="m1", to="bob")
    stored = pydantic_core.to_json(sent, exclude_none=True)
    assert encode_stored_result(5, stored) == encode_result(5, sent)


def test_what_has_no_value_is_left_out_and_comes_back_empty() -> None:
    """docs/protocol.md: fields without a value are left out."""
    assert encode_result(1, TurnsOpened(turn=None)) == b'{"id":1,"ok":true,"result":{}}\n'
    assert decode_result(OPS["turns.open"], {}) == TurnsOpened(turn=None)


def test_an_answer_of_a_newer_broker_is_read() -> None:
    """DESIGN 4: replies ignore unknown fields."""
    assert decode_result(OPS["fleet.ping"], {"server_time_ms": 1, "mood": "good"}) == FleetPong(server_time_ms=1)
