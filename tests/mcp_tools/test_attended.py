"""The desk of a plain client, against a broker that answers by script over a real socket."""

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from mcp_tools import attended
from mcp_tools.attended import AttendedDesk, attend
from mcp_tools.desk import Received
from mcp_tools.presence import SILENT_MS, Presence
from mcp_tools.session_note import SessionNote
from tests.fakes.desk import letter
from tests.fakes.link import FakeBroker
from wire.agents import AgentsAttached, AgentsChanged, AgentsWho, AgentsWhoami
from wire.clock import FakeClock
from wire.errors import Conflict, Denied, Stale
from wire.fleet import Cancelled, Push
from wire.inbox import InboxPeeked, Mail
from wire.settings import AgentSettings
from wire.turns import Turn, TurnsGivenBack, TurnsOpened, TurnsRenewed, TurnsTaken

WHO = AgentsWho(name="alice", role="agent", fleet="demo", manager=None, roster=[], waiting=0, open_turn=None)


def attached(open_turn: str | None = None) -> AgentsAttached:
    """Answer an attach."""
    return AgentsAttached(
        agent="alice",
        epoch=1,
        role="agent",
        attended=True,
        open_turn=open_turn,
        paused=False,
        settings=AgentSettings(),
    )


def taken(*mail: Mail, turn: str | None = "t1", exhausted: bool = False) -> TurnsTaken:
    """Answer a take."""
    return TurnsTaken(turn=turn if mail else None, mail=list(mail), waiting=0, exhausted=exhausted)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncGenerator[FakeBroker]:
    """A broker that lets alice in and gives her no mail."""
    async with FakeBroker(tmp_path / "s") as broker:
        broker.answers |= {
            "agents.whoami": lambda _: WHO,
            "agents.attach": lambda _: attached(),
            "agents.detach": lambda _: AgentsChanged(agent="alice", changed=True),
            "turns.take": lambda _: taken(),
            "turns.give_back": lambda frame: TurnsGivenBack(ids=frame["ids"]),
            "turns.renew": lambda _: TurnsRenewed(lease_ms=60_000),
            "request.cancel": lambda _: Cancelled(cancelled=True),
        }
        yield broker


@asynccontextmanager
async def alice(broker: FakeBroker) -> AsyncGenerator[AttendedDesk]:
    """Be alice, for at most ten seconds."""
    with anyio.fail_after(10):
        async with attend(broker.path, "alice", lambda: "t" * 32) as desk:
            yield desk


async def look(desk: AttendedDesk, *, wait_s: float = 0.0, done: str | None = None) -> Received:
    """Take one message."""
    return await desk.recv(maximum=1, wait_s=wait_s, done=done)


async def all_answered(desk: AttendedDesk) -> None:
    """Let every answer come in that is on its way: they come in order."""
    await desk.call(AgentsWhoami(), AgentsWho)


def hands_over(broker: FakeBroker, *mail: Mail) -> None:
    """Let each take bring the next of these, then nothing."""
    rest: Iterator[Mail] = iter(mail)
    broker.answers["turns.take"] = lambda _: taken(*[one for one in [next(rest, None)] if one])


def of(broker: FakeBroker, op: str) -> list[dict[str, Any]]:
    """Give the requests of one kind so far."""
    return [frame for frame in broker.seen() if frame["op"] == op]


async def test_the_first_taking_recv_attaches_and_opens_no_turn_by_name(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4)."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        received = await look(desk)
        assert (received.turn, received.peek, [mail.id for mail in received.mail]) == ("t1", False, ["m1"])
        await look(desk)
        ops = [frame["op"] for frame in broker.seen()]
    assert ops == ["agents.whoami", "agents.attach", "turns.take", "turns.take"]


async def test_a_recv_that_is_withdrawn_while_its_job_is_claimed_gives_its_mail_back(broker: FakeBroker) -> None:
    """[P01] Ours: nobody has seen it, so it must not stay with this session."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1, about={"job": "j-a"}))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, desk)
            await broker.next("jobs.claim")  # nobody answers it
            tasks.cancel_scope.cancel()
        assert (await broker.next("turns.give_back"))["ids"] == ["m1"]


async def test_whoami_and_send_need_no_attachment(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4): only taking does."""
    async with alice(broker):
        pass
    assert [frame["op"] for frame in broker.seen()] == ["agents.whoami"]


async def test_the_next_waiting_recv_acks_what_was_written(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4)."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1), letter(2))
        await desk.written(await look(desk))
        await desk.written(await look(desk))
        await look(desk, wait_s=5)
        await look(desk, wait_s=5)
        dones = [frame.get("done") for frame in of(broker, "turns.take")]
    assert dones == [None, None, "m2", None]


async def test_a_recv_without_wait_acks_nothing(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4)."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        await desk.written(await look(desk))
        await look(desk)
        assert [frame.get("done") for frame in of(broker, "turns.take")] == [None, None]


async def test_mail_whose_result_was_not_written_is_not_acked(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4)."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        await look(desk)
        await look(desk, wait_s=5)
        assert [frame.get("done") for frame in of(broker, "turns.take")] == [None, None]


async def test_mail_that_went_back_is_not_acked(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4): its result was written, then its call was cancelled."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        received = await look(desk)
        await desk.written(received)
        await desk.give_back(received)
        await look(desk, wait_s=5)
        frames = broker.seen()
    assert [frame.get("done") for frame in frames if frame["op"] == "turns.take"] == [None, None]
    (back,) = [frame for frame in frames if frame["op"] == "turns.give_back"]
    assert (back["turn"], back["ids"]) == ("t1", ["m1"])


async def test_done_says_exactly_what_is_handled(broker: FakeBroker) -> None:
    """Spec: it wins over what waiting would say."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1), letter(2))
        await desk.written(await look(desk))
        await desk.written(await look(desk))
        await look(desk, wait_s=5, done="m1")
        await look(desk, wait_s=5)
        assert [frame.get("done") for frame in of(broker, "turns.take")] == [None, None, "m1", "m2"]


async def test_a_call_made_before_the_mail_was_written_proves_nothing(broker: FakeBroker) -> None:
    """Ours: two calls sent together; the second one cannot mean the first one's answer."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        first = await look(desk)
        del broker.answers["turns.take"]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: look(desk, wait_s=60))
            await broker.next("turns.take")
            parked = await broker.next("turns.take")
            await desk.written(first)
            await broker.reply(parked, taken())
            assert parked.get("done") is None


async def test_where_a_harness_holds_the_agent_recv_only_looks(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4): read-only, and marked."""
    async with alice(broker) as desk:
        broker.answers["agents.attach"] = lambda _: Conflict("a harness works for alice", holder="harness")
        broker.answers["inbox.peek"] = lambda _: InboxPeeked(mail=[letter(1)], waiting=4)
        received = await look(desk)
        assert (received.peek, received.turn, received.waiting, received.note) == (
            True,
            None,
            3,
            attended.HOSTED,
        )
        assert not of(broker, "turns.take")


async def test_a_peek_can_wait_for_mail(broker: FakeBroker) -> None:
    """Spec: waiting for `mail_waiting` needs only the token."""
    looks = iter([InboxPeeked(mail=[], waiting=0), InboxPeeked(mail=[letter(1)], waiting=1)])
    async with alice(broker) as desk:
        broker.answers["agents.attach"] = lambda _: Conflict("a harness works for alice", holder="harness")
        broker.answers["inbox.peek"] = lambda _: next(looks)
        received: list[Received] = []

        async def wait() -> None:
            received.append(await look(desk, wait_s=60))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await broker.next("inbox.peek")
            await broker.push(Push(event="mail_waiting", agent="alice"))
        assert [mail.id for mail in received[0].mail] == ["m1"]


async def test_a_second_taker_gets_the_conflict(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.4): it says who has the agent and what to do."""
    async with alice(broker) as desk:
        conflict = Conflict("an attended session works for alice at this moment", holder="attended")
        broker.answers["agents.attach"] = lambda _: conflict
        with pytest.raises(Conflict, match="another session takes the mail of alice; end it first"):
            await look(desk)


async def test_a_taker_that_may_come_back_is_waited_for_by_the_caller(broker: FakeBroker) -> None:
    """Ours: the broker knows for how long."""
    async with alice(broker) as desk:
        conflict = Conflict("it lost its connection and may come back for 42 s", connected=False)
        broker.answers["agents.attach"] = lambda _: conflict
        with pytest.raises(Conflict, match="may come back for 42 s"):
            await look(desk)


async def test_a_turn_that_takes_no_more_says_what_to_do(broker: FakeBroker) -> None:
    """Ours: mail that has to be alone is finished before the next."""
    async with alice(broker) as desk:
        broker.answers["turns.take"] = lambda _: taken(exhausted=True)
        assert (await look(desk)).note == attended.FIRST_FINISH


async def test_a_cancelled_recv_is_withdrawn_and_late_mail_goes_back(broker: FakeBroker) -> None:
    """Spec: the answer was on its way already."""
    async with alice(broker) as desk:
        parked: dict[str, Any] = {}
        await look(desk)
        del broker.answers["turns.take"]
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: look(desk, wait_s=60))
            await broker.next("turns.take")
            parked.update(await broker.next("turns.take"))
            group.cancel_scope.cancel()
        withdrawn = await broker.next("request.cancel")
        assert withdrawn["request"] == parked["id"]
        await broker.reply(parked, taken(letter(1)))
        back = await broker.next("turns.give_back")
        assert (back["turn"], back["ids"]) == ("t1", ["m1"])


async def test_leaving_detaches(broker: FakeBroker) -> None:
    """Spec: which closes the turn as interrupted."""
    async with alice(broker) as desk:
        await look(desk)
    (frame,) = of(broker, "agents.detach")
    assert frame["agent"] == "alice"


async def test_leaving_does_not_wait_for_a_silent_broker(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: the end of the connection gives the mail back too."""
    monkeypatch.setattr(attended, "LEAVE_S", 0.01)
    async with alice(broker) as desk:
        await look(desk)
        del broker.answers["agents.detach"]


async def test_a_lost_link_is_made_again_by_the_same_instance(broker: FakeBroker) -> None:
    """Spec (DESIGN 5.7): epoch and turn live on, and so does what the next waiting recv acks."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        await desk.written(await look(desk))
        before = await broker.next("agents.attach")
        broker.answers["agents.attach"] = lambda _: attached("t1")
        turn = Turn(id="t1", mail=[letter(1)], waiting=0)
        broker.answers["turns.resume"] = lambda _: TurnsOpened(turn=turn)
        await broker.drop()
        after = await broker.next("agents.attach")
        assert after["instance"] == before["instance"]
        assert (await broker.next("turns.resume"))["turn"] == "t1"
        await look(desk, wait_s=5)
        assert (await broker.next("turns.take"))["done"] == "m1"


async def test_mail_whose_answer_was_lost_with_the_link_goes_back(broker: FakeBroker) -> None:
    """Ours: leased, never shown; the next ack would have settled it."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        await desk.written(await look(desk))
        broker.answers["agents.attach"] = lambda _: attached("t1")
        turn = Turn(id="t1", mail=[letter(number) for number in range(1, 71)], waiting=0)
        broker.answers["turns.resume"] = lambda _: TurnsOpened(turn=turn)
        await broker.drop()
        ids = (await broker.next("turns.give_back"))["ids"] + (await broker.next("turns.give_back"))["ids"]
        assert ids == [f"m{number}" for number in range(2, 71)]
        await look(desk, wait_s=5)
        assert (await broker.next("turns.take"))["done"] == "m1"


async def test_mail_of_a_turn_that_did_not_survive_is_not_acked(broker: FakeBroker) -> None:
    """Spec: on a unix socket the end of the connection gave it back."""
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        await desk.written(await look(desk))
        await broker.next("turns.take")
        await broker.drop()
        await broker.next("agents.attach")
        await all_answered(desk)
        await look(desk, wait_s=5)
        assert "done" not in await broker.next("turns.take")


async def test_an_agent_that_somebody_else_took_meanwhile_is_a_conflict(broker: FakeBroker) -> None:
    """Ours: found out by the next recv, not by an end of the session."""
    async with alice(broker) as desk:
        await look(desk)
        await broker.next("agents.attach")
        broker.answers["agents.attach"] = lambda _: Conflict("an attended session works for alice; end it first")
        broker.answers["turns.take"] = lambda _: Denied("call agents.attach first")
        await broker.drop()
        with pytest.raises(Conflict):
            await look(desk)


async def test_a_stale_attachment_is_renewed_once(broker: FakeBroker) -> None:
    """Ours: after a long sleep of the machine the broker may have forgotten us."""
    answers = iter([Stale("another instance works for alice now"), taken(letter(1), turn="t9")])
    async with alice(broker) as desk:
        broker.answers["turns.take"] = lambda _: next(answers)
        assert (await look(desk)).turn == "t9"
        assert [frame["op"] for frame in broker.seen()][1:] == [
            "agents.attach",
            "turns.take",
            "agents.attach",
            "turns.take",
        ]


async def test_the_open_turn_is_renewed_until_it_has_ended(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec (DESIGN 5.4): while the stdio client lives."""
    monkeypatch.setattr(attended, "RENEW_EVERY_S", 0.01)
    async with alice(broker) as desk:
        hands_over(broker, letter(1))
        await desk.written(await look(desk))
        for _ in range(2):
            assert (await broker.next("turns.renew"))["turn"] == "t1"
        broker.answers["turns.renew"] = lambda _: Stale("turn t1 is not open any more")
        await broker.next("turns.renew")
        await all_answered(desk)
        broker.seen()
        await look(desk, wait_s=5)
        assert "done" not in await broker.next("turns.take")


# --- over HTTP ------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> FakeClock:
    """Time, moved by hand."""
    return FakeClock()


@pytest.fixture
async def over_http(
    broker: FakeBroker, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[AttendedDesk]:
    """Be alice over HTTP, looked after a hundred times a second."""
    monkeypatch.setattr(attended, "RENEW_EVERY_S", 0.01)
    presence = Presence(clock, tmp_path / "touched")
    with anyio.fail_after(10):
        async with attend(broker.path, "alice", lambda: "t" * 32, presence=presence) as desk:
            yield desk


async def test_over_http_waiting_acks_nothing(broker: FakeBroker, over_http: AttendedDesk) -> None:
    """Spec (DESIGN 5.4): on stdio only; done=ID works everywhere."""
    hands_over(broker, letter(1), letter(2))
    await over_http.written(await look(over_http))
    await look(over_http, wait_s=5)
    await look(over_http, wait_s=5, done="m1")
    assert [frame.get("done") for frame in of(broker, "turns.take")] == [None, None, "m1"]


async def test_a_client_that_is_silent_for_half_an_hour_is_given_up(
    broker: FakeBroker, over_http: AttendedDesk, clock: FakeClock
) -> None:
    """Spec (DESIGN 5.4): renewed until then; detaching gives the mail back, and the next recv attaches anew."""
    hands_over(broker, letter(1))
    await over_http.written(await look(over_http))
    clock.advance(SILENT_MS - 1)
    await broker.next("turns.renew")
    await broker.next("turns.renew")
    clock.advance(1)
    assert (await broker.next("agents.detach"))["agent"] == "alice"
    await look(over_http)
    assert await broker.next("agents.attach")


@pytest.mark.parametrize("sign", ["a tool call", "a hook"])
async def test_every_sign_of_life_starts_the_half_hour_anew(
    broker: FakeBroker, over_http: AttendedDesk, clock: FakeClock, tmp_path: Path, sign: str
) -> None:
    """Spec (DESIGN 5.4): tool calls and hooks."""
    hands_over(broker, letter(1))
    await look(over_http)
    clock.advance(SILENT_MS - 1)
    if sign == "a hook":
        (tmp_path / "touched").touch()
        await broker.next("turns.renew")
        await broker.next("turns.renew")
    else:
        await all_answered(over_http)
    clock.advance(SILENT_MS - 1)
    broker.seen()
    await broker.next("turns.renew")
    await broker.next("turns.renew")
    assert not of(broker, "agents.detach")


async def test_a_client_that_waits_for_mail_is_not_silent(
    broker: FakeBroker, over_http: AttendedDesk, clock: FakeClock
) -> None:
    """Ours: its request is open; the half hour begins when it ends."""
    hands_over(broker, letter(1))
    await look(over_http)
    del broker.answers["turns.take"]
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: look(over_http, wait_s=180))
        await broker.next("turns.take")
        parked = await broker.next("turns.take")
        clock.advance(2 * SILENT_MS)
        await broker.next("turns.renew")
        await broker.next("turns.renew")
        await broker.reply(parked, taken())
    clock.advance(SILENT_MS)
    assert await broker.next("agents.detach")


async def test_an_agent_is_given_up_once_the_broker_is_there_to_hear_it(
    broker: FakeBroker, over_http: AttendedDesk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: tried again until it was heard."""
    monkeypatch.setattr(attended, "LEAVE_S", 0.01)
    hands_over(broker, letter(1))
    await look(over_http)
    del broker.answers["agents.detach"]
    clock.advance(SILENT_MS)
    await broker.next("agents.detach")
    broker.answers["agents.detach"] = lambda _: AgentsChanged(agent="alice", changed=True)
    await broker.next("agents.detach")
    await look(over_http)
    assert await broker.next("agents.attach")


# --- the note for hooks -----------------------------------------------------------------------------------


async def test_whose_client_has_the_mail_is_noted_while_it_has_it(broker: FakeBroker, tmp_path: Path) -> None:
    """Ours: hooks of another window of the same client leave its mail alone."""
    path = tmp_path / "session-alice"
    async with attend(broker.path, "alice", lambda: "t" * 32, note=SessionNote(path)) as desk:
        assert not path.exists()
        await look(desk)
        assert path.read_text().split() == [str(os.getpid()), str(os.getppid())]
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_the_note_of_another_one_is_not_removed(broker: FakeBroker, tmp_path: Path) -> None:
    """Ours: it got the agent meanwhile."""
    path = tmp_path / "session-alice"
    async with attend(broker.path, "alice", lambda: "t" * 32, note=SessionNote(path)) as desk:
        await look(desk)
        path.write_text("1 2\n")
    assert path.read_text() == "1 2\n"
