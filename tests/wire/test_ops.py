"""The op table holds together, and every op may be repeated."""

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, ValidationError

from wire.model import Mutation, Request, Result
from wire.ops import OPS, Op
from wire.turns import MAX_WAIT_S

EVERY_OP = pytest.mark.parametrize("op", OPS.values(), ids=list(OPS))

READS = {
    "agents.explain", "agents.list", "agents.show", "agents.stats", "agents.token", "agents.wake_test",
    "agents.whoami", "asks.explain", "asks.list", "asks.wait", "fleet.ping", "fleet.probe", "fleet.stats",
    "fleet.status", "inbox.dead", "inbox.explain", "inbox.held", "inbox.list", "inbox.peek", "inbox.search",
    "inbox.thread", "jobs.list", "jobs.probe", "jobs.recorded", "jobs.sessions", "jobs.show", "jobs.transport",
    "jobs.watch", "notes.begin", "reminders.explain", "reminders.list", "reminders.stats",
}  # fmt: skip
IDEMPOTENT = {
    "agents.attach", "agents.detach", "agents.lend", "agents.report", "jobs.carry", "request.cancel", "turns.close",
    "turns.give_back", "turns.open", "turns.renew", "turns.resume", "turns.settle", "turns.take",
}  # fmt: skip
"""By instance, epoch and turn id (DESIGN 4); an event by its own number."""


@EVERY_OP
def test_an_op_is_called_what_its_request_says(op: Op) -> None:
    """DESIGN 4: `noun.verb`; the request knows its name."""
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", op.name)
    assert OPS[op.name] is op
    assert op.request.model_fields["op"].default == op.name
    assert get_args(op.request.model_fields["op"].annotation) == (op.name,)


@EVERY_OP
def test_an_op_takes_a_request_and_gives_a_result(op: Op) -> None:
    """DESIGN 4: requests are strict, results are open."""
    assert issubclass(op.request, Request)
    assert issubclass(op.result, Result)
    assert op.request.model_config.get("extra") == "forbid"
    assert op.result.model_config.get("extra") == "ignore"
    assert op.request.model_config.get("frozen")
    assert op.request.model_config.get("strict")


def test_a_request_belongs_to_one_op() -> None:
    """Ours: the client finds the op by the type of the request."""
    assert len({op.request for op in OPS.values()}) == len(OPS)


@EVERY_OP
def test_somebody_may_call_it(op: Op) -> None:
    """DESIGN 4: the table says which roles may; what is for an attached instance is for agents, never for a harness.

    The operator may claim a job too, for a program outside the fleet: nobody is attached for that.
    """
    assert op.rights
    if op.attached:
        assert op.rights == {"agent"} | ({"operator"} if op.name == "jobs.claim" else set[str]())


def test_every_op_may_be_repeated() -> None:
    """DESIGN 4: it carries a key, reads only, or is idempotent by instance, epoch and turn id.

    The client repeats whatever was in flight when its link was lost. A new op takes its place here knowingly.
    """
    keyed = {op.name for op in OPS.values() if op.mutates}
    assert keyed == {op.name for op in OPS.values() if issubclass(op.request, Mutation)}
    assert keyed | READS | IDEMPOTENT == set(OPS)
    assert not keyed & (READS | IDEMPOTENT)


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.parks], ids=lambda op: op.name)
def test_an_op_that_parks_says_for_how_long(op: Op) -> None:
    """[H02] DESIGN 5.2: at most 180 s; the client's deadline is built on `wait_s`."""
    others = {"asks.wait": {"ask": "a1"}, "jobs.watch": {"job": "j-a"}}.get(op.name, {})
    op.request.model_validate({**others, "wait_s": MAX_WAIT_S})
    for wait_s in (-0.1, MAX_WAIT_S + 0.1, float("nan"), float("inf")):
        with pytest.raises(ValidationError, match="wait_s"):
            op.request.model_validate({**others, "wait_s": wait_s})


def test_no_op_waits_that_is_not_said_to_park() -> None:
    """Ours: only those are withdrawn when their caller has gone."""
    waiting = {name for name, op in OPS.items() if "wait_s" in op.request.model_fields}
    assert waiting == {name for name, op in OPS.items() if op.parks}


@EVERY_OP
def test_what_a_result_may_lack_has_a_default(op: Op) -> None:
    """docs/protocol.md: fields without a value are left out; a result without them has to be readable."""
    bare = [
        f"{model.__name__}.{name}"
        for model in _models(op.result)
        for name, field in model.model_fields.items()
        if field.is_required() and type(None) in get_args(field.annotation)
    ]
    assert not bare


@EVERY_OP
def test_no_request_says_who_sends_it(op: Op) -> None:
    """[H01] [P12] DESIGN 5, Provenance: sender, kind and depth are stamped by the broker.

    The `kind` of an ask is no provenance: question or permission, and only a harness may raise the latter.
    """
    stamped = {"sender", "from", "depth", "principal"} | ({"kind"} if op.name != "asks.ask" else set[str]())
    assert not stamped & set(op.request.model_fields)


def _models(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield root
    for field in root.model_fields.values():
        for part in _parts(field.annotation):
            yield from _models(part)


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)
