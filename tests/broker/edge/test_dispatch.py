"""From a frame to an answer: rights, ids that are not one's own, withdrawing, defects."""

import json
from typing import Any

import anyio
import pytest

from broker.edge import commands, errands
from broker.services.callers import Caller, Rules
from broker.store.tx import Tx
from tests.broker.edge.frames import error_of
from tests.broker.edge.rights import ARGUMENTS, EVERYBODY, INSTANCES, MAY
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import RawLine, until
from wire.errors import QueenpostError, Stale
from wire.fleet import Cancelled, RequestCancel
from wire.home import Home
from wire.inbox import (
    InboxAck,
    InboxAcked,
    InboxChanged,
    InboxDiscard,
    InboxExplain,
    InboxExplained,
    InboxRequeue,
    InboxSend,
)
from wire.model import Request, Result
from wire.ops import OPS
from wire.turns import (
    TurnsClose,
    TurnsClosed,
    TurnsGiveBack,
    TurnsGivenBack,
    TurnsOpen,
    TurnsOpened,
    TurnsRenew,
    TurnsRenewed,
    TurnsResume,
    TurnsTake,
    TurnsTaken,
)

pytestmark = pytest.mark.anyio

# ---- rights

NAMES = {
    "agent": "alice",
    "instance": "alice",
    "manager": "boss",
    "manager's instance": "boss",
}


async def line_of(fleet: LocalBroker, who: str) -> tuple[RawLine, str | None]:
    """Connect as somebody; gives the `as` of their requests too."""
    if who in {"operator", "harness"}:
        return await fleet.raw(fleet.home.secrets / who), None
    name = NAMES[who]
    if who not in INSTANCES:
        return await fleet.raw(fleet.home.agent_secret(name)), None
    line = await fleet.raw(fleet.home.harness_secret)
    attach = fleet.attach_request(name, f"instance-of-{name}").model_dump(exclude={"id", "as_"})
    assert (await line.ask({"id": 1, **attach}))["ok"]
    return line, name


def test_every_op_has_its_line_in_the_table_of_rights() -> None:
    """Ours: nobody adds an op without saying who may call it."""
    assert MAY.keys() == OPS.keys()


@pytest.mark.parametrize("who", sorted(EVERYBODY))
async def test_each_principal_may_call_exactly_what_the_table_says(home: Home, who: str) -> None:
    """[H01] DESIGN 4: role rights from one table; T3, T15: denied before anything is done."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        await fleet.add("boss", role="manager")
        line, as_ = await line_of(fleet, who)
        wrong: list[str] = []
        for op, allowed in sorted(MAY.items(), key=lambda row: row[0] == "agents.attach"):
            arguments = dict(ARGUMENTS.get(op, {}))
            if op == "agents.attach" and who in NAMES:
                arguments["agent"] = NAMES[who]
                arguments["instance"] = f"instance-of-{NAMES[who]}"
            key = {"key": f"key-{op}"} if OPS[op].mutates else {}
            answer = await line.ask({"id": 2, "op": op, "as": as_, **key, **arguments})
            denied = not answer["ok"] and answer["error"]["code"] == "denied"
            if answer.get("error", {}).get("code") == "internal" or denied != (who not in allowed):
                wrong.append(f"{op}: {answer}")
        assert not wrong


async def test_the_manager_cannot_do_what_is_the_operators(home: Home) -> None:
    """T15: a manager that was taken over can neither read credentials nor make agents."""
    async with LocalBroker(home) as fleet:
        await fleet.add("boss", role="manager")
        line = await fleet.raw(home.agent_secret("boss"))
        for op in ("agents.token", "agents.add", "agents.remove", "agents.show", "fleet.apply", "inbox.ack"):
            key = {"key": "k"} if OPS[op].mutates else {}
            answer = await line.ask({"id": 2, "op": op, **key, **ARGUMENTS.get(op, {})})
            assert error_of(answer) == (2, "denied")


# ---- ids that are not one's own


async def refusals(client: Any, request: Request, result: type[Result], as_: str | None, name: str) -> str:
    """Give the whole refusal of a request, with the id that it named left out."""
    with pytest.raises(QueenpostError) as refused:
        await client.call(request, result, as_=as_)
    error = refused.value
    return f"{error.code} {error.message} {error.details}".replace(repr(name), "ID")


async def test_a_foreign_turn_is_answered_like_an_unknown_one(home: Home) -> None:
    """DESIGN 4, T5: whoever guesses ids learns nothing from the answers."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        await fleet.send("bob")
        foreign = (await bob.opened()).id
        told: dict[str, set[str]] = {}
        for turn in (foreign, "t999", "t0", "m1", "t1 ", "t1\n", "\u0661", "t99999999999999999999"):
            calls: dict[str, tuple[Request, type[Result]]] = {
                "close": (TurnsClose(turn=turn, outcome="completed"), TurnsClosed),
                "give back": (TurnsGiveBack(turn=turn, ids=["m1"]), TurnsGivenBack),
                "resume": (TurnsResume(turn=turn), TurnsOpened),
            }
            for name, (request, result) in calls.items():
                told.setdefault(name, set()).add(await refusals(alice.client, request, result, "alice", turn))
        assert [len(answers) for answers in told.values()] == [1, 1, 1]
        assert await fleet.state_of("m1") == "in_turn"
        assert (await bob.close(foreign)).acked == ["m1"]


async def test_a_foreign_message_is_answered_like_an_unknown_one(home: Home) -> None:
    """DESIGN 4, T5: only a party to a message is told of it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob", "carol")
        alice, bob, carol = await fleet.harness("alice", "bob", "carol")
        sent = await alice.send("bob")
        told: set[str] = set()
        for message in (sent.id, "m999", "m0", "t1", "m1\n", "nothing like an id"):
            request = InboxExplain(message=message)
            told.add(await refusals(carol.client, request, InboxExplained, "carol", message))
        assert len(told) == 1
        assert (await alice.explain(sent.id)).body == (await bob.explain(sent.id)).body


async def test_a_reply_to_a_foreign_message_reads_like_one_to_an_unknown(home: Home) -> None:
    """[H05] DESIGN 5.13: the send succeeds without the reference, with the same warning."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob", "carol")
        alice, carol = await fleet.harness("alice", "carol")
        sent = await alice.send("bob")
        warnings: set[str] = set()
        for message in (sent.id, "m999", "nothing like an id"):
            receipt = await carol.send("bob", in_reply_to=message)
            (warning,) = receipt.warnings
            warnings.add(warning.replace(repr(message), "ID"))
            assert (await fleet.explain(receipt.id)).in_reply_to is None
        assert len(warnings) == 1


async def test_operations_on_mail_refuse_ids_that_are_not_meant(home: Home) -> None:
    """DESIGN 4: mail that is not dead, or not the operator's own, is as unknown as mail that never was."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        operator = await fleet.operator()
        for number, message in enumerate((sent.id, "m999", "x")):
            calls: list[tuple[Request, type[Result]]] = [
                (InboxAck(key=f"a{number}", ids=[message]), InboxAcked),
                (InboxRequeue(key=f"b{number}", ids=[message]), InboxChanged),
                (InboxDiscard(key=f"c{number}", ids=[message]), InboxChanged),
            ]
            for request, result in calls:
                answer = await refusals(operator, request, result, None, message)
                assert answer.startswith("unknown ")
        assert await fleet.state_of(sent.id) == "queued"


# ---- epochs


async def test_after_a_takeover_whatever_the_former_instance_asks_is_stale(home: Home) -> None:
    """DESIGN 5.7 [P14]: fenced; nothing it says late changes anything."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        await fleet.send("bob", "first")
        former = await fleet.worker("bob")
        turn = await former.opened()
        present = await fleet.worker("bob", takeover=True)
        assert present.epoch == former.epoch + 1
        again = await present.opened()
        assert [(mail.id, mail.attempt) for mail in again.mail] == [("m1", 2)]
        for named in (turn.id, again.id):
            calls: list[tuple[Request, type[Result]]] = [
                (TurnsClose(turn=named, outcome="completed"), TurnsClosed),
                (TurnsRenew(turn=named), TurnsRenewed),
                (TurnsResume(turn=named), TurnsOpened),
                (TurnsTake(turn=named), TurnsTaken),
                (TurnsOpen(wait_s=0), TurnsOpened),
            ]
            for request, result in calls:
                with pytest.raises(Stale):
                    await former.client.call(request, result, as_="bob")
        assert (await former.give_back(turn.id, "m1")).ids == []
        with pytest.raises(Stale):
            await former.give_back(again.id, "m1")
        assert await fleet.state_of("m1") == "in_turn"
        assert (await present.close(again.id)).acked == ["m1"]


# ---- withdrawing


async def test_a_withdrawn_open_leases_nothing_any_more(home: Home) -> None:
    """DESIGN 4: `request.cancel` before the commit ends the wait; the mail stays for the next open."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line, _ = await line_of_bob(fleet)
        await line.send(b'{"id":2,"op":"turns.open","as":"bob","wait_s":60}\n')
        answers = [await line.ask({"id": 3, "op": "request.cancel", "request": 2}), await line.frame()]
        by_id = {answer["id"]: answer["result"] for answer in answers}
        assert by_id == {2: {}, 3: {"cancelled": True}}
        await fleet.send("bob")
        assert (await fleet.agent("bob")).ready == 1
        opened = await line.ask({"id": 4, "op": "turns.open", "as": "bob", "wait_s": 0})
        assert [mail["attempt"] for mail in opened["result"]["turn"]["mail"]] == [1]


async def line_of_bob(fleet: LocalBroker) -> tuple[RawLine, int]:
    """Attach bob on a bare line; gives his epoch too."""
    line = await fleet.raw(fleet.home.harness_secret)
    attach = fleet.attach_request("bob", "instance-of-bob").model_dump(exclude={"id", "as_"})
    return line, (await line.ask({"id": 1, **attach}))["result"]["epoch"]


async def test_a_cancel_after_the_commit_changes_nothing_and_the_result_comes(home: Home) -> None:
    """DESIGN 4: cancel after commit has no effect and the result is still sent."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line, _ = await line_of_bob(fleet)
        await line.send(b'{"id":2,"op":"turns.open","as":"bob","wait_s":60}\n')
        await line.ask({"id": 3, "op": "fleet.ping"})
        await fleet.send("bob")
        opened = await line.frame()
        assert opened["id"] == 2
        assert (await line.ask({"id": 4, "op": "request.cancel", "request": 2}))["result"] == {"cancelled": False}
        assert await fleet.state_of(opened["result"]["turn"]["mail"][0]["id"]) == "in_turn"


async def test_a_cancel_that_crosses_a_lease_leaves_it_to_the_answer(home: Home) -> None:
    """DESIGN 4: both come; whoever withdrew a request looks at its answer, and gives the mail back or keeps it."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        line, _ = await line_of_bob(fleet)
        with fleet.writer_stopped():
            await line.send(b'{"id":2,"op":"turns.open","as":"bob","wait_s":60}\n')
            assert (await line.ask({"id": 3, "op": "request.cancel", "request": 2}))["ok"]
        opened = await line.frame()
        assert opened["id"] == 2
        turn = opened["result"]["turn"]
        assert [mail["id"] for mail in turn["mail"]] == [sent.id]
        back = {"id": 4, "op": "turns.give_back", "as": "bob", "turn": turn["id"], "ids": [sent.id]}
        assert (await line.ask(back))["result"]["ids"] == [sent.id]
        assert await fleet.state_of(sent.id) == "queued"


async def test_nobody_withdraws_the_request_of_another_connection(home: Home) -> None:
    """Ours: request ids belong to their connection."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line, _ = await line_of_bob(fleet)
        await line.send(b'{"id":2,"op":"turns.open","as":"bob","wait_s":60}\n')
        await line.ask({"id": 3, "op": "fleet.ping"})
        operator = await fleet.operator()
        answer = await operator.call(RequestCancel(request=2), Cancelled)
        assert answer.cancelled is False
        await fleet.send("bob")
        assert (await line.frame())["id"] == 2


async def test_a_take_can_be_withdrawn_while_it_still_settles_what_came_before(home: Home) -> None:
    """DESIGN 5.4: `done` is committed before the wait begins; a cancel in between ends the wait all the same."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        session = await fleet.session("bob")
        await fleet.send("bob", "first")
        taken = await session.take()
        ours = fleet.end_of("bob")
        async with anyio.create_task_group() as group:
            with fleet.writer_stopped():
                group.start_soon(lambda: session.take(wait_s=60, done=taken.mail[0].id))
                await until(lambda: bool(ours.in_flight))
                group.cancel_scope.cancel()
        await until(lambda: not ours.in_flight)
        assert await fleet.state_of("m1") == "handled"
        await fleet.send("bob", "second")
        assert await fleet.state_of("m2") == "queued"


# ---- defects

SECRET = "what only the log may say"


def broken(*_: Any) -> Any:
    """Fail as a defect of ours would."""
    raise RuntimeError(SECRET)


async def test_a_defect_is_internal_with_an_id_to_find_it_by(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """DESIGN 4 Errors: detail is for the log only, under a correlation id; no stack trace reaches a peer."""
    monkeypatch.setitem(commands.WRITES, "inbox.ack", broken)
    monkeypatch.setitem(errands.ERRANDS, "agents.list", broken)
    park = commands.PARKS["turns.take"]
    monkeypatch.setitem(commands.PARKS, "turns.take", commands.Park(lambda *_, **__: broken(), park.nothing, False))
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        operator = await fleet.raw(home.operator_secret)
        instance, _ = await line_of(fleet, "instance")
        asked = [
            (operator, {"id": 2, "op": "inbox.ack", "key": "k", "all": True}),
            (operator, {"id": 2, "op": "agents.list"}),
            (instance, {"id": 2, "op": "turns.take", "as": "alice", "wait_s": 30}),
        ]
        for line, frame in asked:
            answer = await line.ask(frame)
            assert error_of(answer) == (2, "internal")
            said = json.dumps(answer)
            assert SECRET not in said
            assert "Traceback" not in said
            assert "RuntimeError" not in said
            assert correlation_ids(caplog)[-1] in said
        assert SECRET in caplog.text
        assert (await operator.ask({"id": 3, "op": "fleet.ping"}))["ok"]


async def test_a_result_that_cannot_be_written_is_answered_all_the_same(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: a request never stays without an answer, and its place in flight is free again."""

    def unwritable(*_: object) -> Result:
        return InboxAcked.model_construct(ids=["\ud800"])

    monkeypatch.setitem(commands.WRITES, "inbox.ack", unwritable)
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        for number in range(3):
            answer = await line.ask({"id": 2, "op": "inbox.ack", "key": f"k{number}", "all": True})
            assert error_of(answer) == (2, "internal")


def correlation_ids(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the ids under which the log tells more, oldest first."""
    fields = [getattr(record, "fields", {}) for record in caplog.records]
    return [said["correlation_id"] for said in fields if "correlation_id" in said]


async def test_a_defect_spoils_no_other_request_of_its_batch(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 6: each command has a savepoint of its own; a failed one takes nobody with it."""
    real = commands.WRITES["inbox.send"]

    def sometimes(tx: Tx, caller: Caller, request: InboxSend, rules: Rules) -> Result:
        sent = real(tx, caller, request, rules)
        return broken() if request.body == "bad" else sent

    monkeypatch.setitem(commands.WRITES, "inbox.send", sometimes)
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.operator_secret)
        frame = '{"id":%d,"op":"inbox.send","key":"k%d","to":"bob","body":"%s"}\n'
        bodies = ["good", "bad"] * 20
        await line.send("".join(frame % (n, n, body) for n, body in enumerate(bodies)).encode())
        answers = {answer["id"]: answer for answer in [await line.frame() for _ in bodies]}
        assert [answers[n]["ok"] for n in range(40)] == [True, False] * 20
        assert (await fleet.status()).account.accepted == 20
