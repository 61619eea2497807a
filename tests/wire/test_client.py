"""The client against a broker that is scripted, over a real unix socket."""

import random
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from tests.fakes.link import WELCOME, FakeBroker, Frame
from wire.agents import AgentsAttach, AgentsAttached
from wire.client import BrokerClient, OnLink, new_instance, new_key
from wire.codec import MAX_FRAME_BYTES
from wire.errors import Closed, Conflict, Denied, Internal, Invalid, QueenpostError, Unavailable
from wire.fleet import FleetPing, FleetPong, Push
from wire.inbox import InboxSend, InboxSent
from wire.link import Link, patience_s
from wire.model import Result
from wire.settings import AgentSettings
from wire.turns import TurnsOpen, TurnsOpened, TurnsTake, TurnsTaken

pytestmark = pytest.mark.anyio

PONG = FleetPong(server_time_ms=1)
TAKEN = TurnsTaken(turn="t1", mail=[], waiting=0)
ATTACHED = AgentsAttached(
    agent="alice",
    epoch=1,
    role="agent",
    attended=False,
    open_turn=None,
    paused=False,
    settings=AgentSettings(),
)
ATTACH = AgentsAttach(agent="alice", instance="instance-1")


class Eager(random.Random):
    """Dice that always fall so that nothing is waited for."""

    def uniform(self, a: float, b: float) -> float:
        return 0.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the broker of a test listens."""
    return tmp_path / "broker.sock"


def client_of(path: Path, *, reconnect: bool = True, on_link: OnLink | None = None) -> BrokerClient:
    """Make a client that does not wait between its attempts."""
    return BrokerClient(path, lambda: "a-token", "test", reconnect=reconnect, on_link=on_link, rng=Eager())


def sent(frame: Frame) -> InboxSent:
    """Answer a send."""
    return InboxSent(id="m1", to=frame["to"])


def always(answer: Result | QueenpostError) -> Callable[[Frame], Result | QueenpostError]:
    """Answer every request in the same way."""
    return lambda _: answer


# ---- getting in


async def test_the_client_is_entered_once_it_is_welcomed(path: Path) -> None:
    """[H01] DESIGN 4: hello with protocol, token and kind; the principal comes back."""
    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path) as client:
                assert client.welcome == WELCOME
        assert broker.hellos == [
            {"hello": "queenpost", "protocol": 1, "token": "a-token", "kind": "test"},
        ]


async def test_without_a_broker_the_token_is_not_even_read(path: Path) -> None:
    """DESIGN 2: a fleet that was never started has no token; the message is about the broker."""

    def no_token() -> str:
        raise AssertionError

    with pytest.raises(Unavailable, match="queenpost up"):
        async with BrokerClient(path, no_token, "test"):
            pass


async def test_a_wrong_token_is_denied(path: Path) -> None:
    """DESIGN 4: the refusal of the broker comes as it is, not in a group."""
    async with FakeBroker(path) as broker:
        broker.greeting = Denied("no principal has this token")
        with pytest.raises(Denied, match="no principal"), anyio.fail_after(15):
            async with client_of(path):
                pass


async def test_a_token_that_cannot_be_one_is_not_sent_and_not_shown(path: Path) -> None:
    """Ours: the wrong file was named; its content stays out of messages."""
    async with FakeBroker(path) as broker:
        with pytest.raises(Invalid, match="token") as caught, anyio.fail_after(15):
            async with BrokerClient(path, lambda: "hush" * 100, "test"):
                pass
        assert "hush" not in str(caught.value)
        assert broker.hellos == []


@pytest.mark.parametrize(
    ("greeting", "error", "words"),
    [
        (None, Unavailable, "before its welcome"),
        (b"SSH-2.0-OpenSSH_9.6\n", Invalid, "no queenpost broker"),
        (b"[]\n", Invalid, "no queenpost broker"),
        (WELCOME.model_copy(update={"protocol": 2}), Invalid, "upgrade this program"),
        (WELCOME.model_copy(update={"protocol": 0}), Invalid, "upgrade the broker"),
    ],
)
async def test_whoever_does_not_welcome_is_told_apart(
    path: Path, greeting: object, error: type[Exception], words: str
) -> None:
    """Ours: each says what to do about it."""
    async with FakeBroker(path) as broker:
        broker.greeting = greeting  # pyright: ignore[reportAttributeAccessIssue]  # pytest's tables are untyped
        with pytest.raises(error, match=words), anyio.fail_after(15):
            async with client_of(path):
                pass


async def test_an_error_of_the_block_comes_out_as_it_is(path: Path) -> None:
    """Ours: the task group inside is nobody's business."""
    async with FakeBroker(path) as broker:
        broker.answers["fleet.ping"] = always(Denied("not you"))
        with pytest.raises(Denied, match="not you"), anyio.fail_after(15):
            async with client_of(path) as client:
                await client.call(FleetPing(), FleetPong)


async def test_a_client_that_is_not_entered_refuses_calls(path: Path) -> None:
    """Ours: it would wait for a link that nobody makes."""
    with pytest.raises(Closed, match="not entered"):
        await client_of(path).call(FleetPing(), FleetPong)


# ---- calls


async def test_a_call_gives_the_typed_result(path: Path) -> None:
    """DESIGN 4: request, reply."""
    async with FakeBroker(path) as broker:
        broker.answers["inbox.send"] = sent
        with anyio.fail_after(15):
            async with client_of(path) as client:
                result = await client.call(InboxSend(to="bob", body="hi", key="k1"), InboxSent, as_="alice")
        assert result.to == "bob"
        frame = await broker.next()
        assert frame == {"id": 1, "as": "alice", "op": "inbox.send", "to": "bob", "body": "hi", "key": "k1"}


async def test_silence_ends_in_unavailable_and_the_call_is_withdrawn(path: Path) -> None:
    """Ours: a deadline on every call; a retry with the same key is safe."""
    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path) as client:
                with pytest.raises(Unavailable, match=r"did not answer fleet\.ping"):
                    await client.call(FleetPing(), FleetPong, timeout_s=0.01)
                ping = await broker.next()
                assert (await broker.next("request.cancel"))["request"] == ping["id"]


@pytest.mark.parametrize(("request_", "seconds"), [(TurnsOpen(wait_s=180), 190), (TurnsTake(), 10), (FleetPing(), 10)])
def test_a_call_that_parks_is_given_its_wait_on_top(
    request_: TurnsOpen | TurnsTake | FleetPing, seconds: float
) -> None:
    """[H02] Ours: its deadline is its wait and a margin."""
    assert patience_s(request_, 10) == seconds


async def test_a_late_answer_reaches_the_one_who_gave_up(path: Path) -> None:
    """DESIGN 5.3: mail that was leased for a caller who is gone can be given back at once."""
    late: list[TurnsTaken] = []
    came = anyio.Event()

    def keep(taken: TurnsTaken) -> None:
        late.append(taken)
        came.set()

    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path) as client:
                with anyio.move_on_after(0.01):
                    await client.call(TurnsTake(wait_s=60), TurnsTaken, on_late=keep)
                take = await broker.next("turns.take")
                await broker.next("request.cancel")
                await broker.reply(take, TAKEN)
                await came.wait()
    assert late == [TAKEN]


async def test_what_cannot_be_understood_is_passed_over(path: Path) -> None:
    """DESIGN 4: a client outlives a newer broker."""
    async with FakeBroker(path) as broker:
        broker.answers["fleet.ping"] = always(PONG)
        with anyio.fail_after(15):
            async with client_of(path) as client:
                await broker.send(b'{"event":"brand_new","data":{}}\nnonsense\n{"id":[],"ok":true,"result":{}}\n')
                assert await client.call(FleetPing(), FleetPong) == PONG


async def test_leaving_ends_what_is_in_flight(path: Path) -> None:
    """Ours: structured; nobody waits for a client that was left."""
    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks, client_of(path) as client:
                tasks.start_soon(_closed, client)
                await broker.next("turns.open")


async def _closed(client: BrokerClient) -> None:
    with pytest.raises(Closed, match="was left"):
        await client.call(TurnsOpen(), TurnsOpened)


# ---- a lost link


async def test_a_call_in_flight_is_repeated_with_its_key(path: Path) -> None:
    """DESIGN 4: retries are safe; the caller does not notice that the link was lost."""
    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(_send, client)
                first = await broker.next()
                broker.answers["inbox.send"] = sent
                await broker.drop()
                second = await broker.next()
                assert {**first, "id": 0} == {**second, "id": 0}
        assert len(broker.hellos) == 2


async def _send(client: BrokerClient) -> None:
    sent = await client.call(InboxSend(to="bob", body="once", key="k1"), InboxSent)
    assert sent.id == "m1"


async def test_a_parked_call_parks_for_what_is_left(path: Path) -> None:
    """[H02] Ours: a lost link does not make a recv wait longer than it was asked to."""
    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.call, TurnsTake(wait_s=60), TurnsTaken)
                first = await broker.next()
                broker.answers["turns.take"] = always(TAKEN)
                await broker.drop()
                second = await broker.next()
                assert first["wait_s"] == 60
                assert 0 < second["wait_s"] < 60


async def test_a_new_link_is_announced_before_anything_else_is_sent(path: Path) -> None:
    """DESIGN 4: a lost connection ends the right to `as`; attach comes first on the next one."""
    links: list[bool] = []

    async def attach(link: Link | None) -> None:
        links.append(link is not None)
        if link is not None:
            await link.call(ATTACH, AgentsAttached)

    async with FakeBroker(path) as broker:
        broker.answers["agents.attach"] = always(ATTACHED)
        with anyio.fail_after(15):
            async with client_of(path, on_link=attach) as client, anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(client.call, TurnsTake(max=number + 1), TurnsTaken)
                for _ in range(3):
                    await broker.next("turns.take")
                broker.answers["turns.take"] = always(TAKEN)
                await broker.drop()
        frames = broker.seen()
    assert [frame["op"] for frame in frames] == ["agents.attach"] + ["turns.take"] * 3
    assert links == [True, False, True]


async def test_a_link_that_is_lost_while_it_is_announced_is_made_again(path: Path) -> None:
    """Ours: an attach that meets a dying broker is tried again on the next link."""
    async with FakeBroker(path) as broker:

        async def attach(link: Link | None) -> None:
            if link is not None and len(broker.hellos) == 2:
                await broker.drop()
            if link is not None:
                await link.call(ATTACH, AgentsAttached)

        broker.answers["agents.attach"] = always(ATTACHED)
        broker.answers["fleet.ping"] = always(PONG)
        with anyio.fail_after(15):
            async with client_of(path, on_link=attach) as client:
                await broker.drop()
                assert await client.call(FleetPing(), FleetPong) == PONG
        assert len(broker.hellos) == 3


async def test_an_announcement_that_fails_for_good_ends_the_client(path: Path) -> None:
    """Ours: whoever cannot attach any more must not go on as if it had."""

    async def attach(link: Link | None) -> None:
        if link is not None:
            await link.call(ATTACH, AgentsAttached)

    async def live(broker: FakeBroker) -> None:
        async with client_of(path, on_link=attach):
            broker.answers["agents.attach"] = always(Conflict("another instance holds alice"))
            await broker.drop()
            await anyio.sleep_forever()

    async with FakeBroker(path) as broker:
        broker.answers["agents.attach"] = always(ATTACHED)
        with pytest.raises(Conflict, match="another instance"), anyio.fail_after(15):
            await live(broker)


async def test_a_token_that_became_void_ends_the_client(path: Path) -> None:
    """Ours: nothing connects against a wall; the block ends with the refusal."""

    async def live(broker: FakeBroker) -> None:
        async with client_of(path):
            broker.greeting = Denied("alice was removed")
            await broker.drop()
            await anyio.sleep_forever()

    async with FakeBroker(path) as broker:
        with pytest.raises(Denied, match="removed"), anyio.fail_after(15):
            await live(broker)


@pytest.mark.parametrize("passing", [None, Unavailable("starting"), Internal("see the log")])
async def test_a_broker_that_is_not_well_is_tried_again(path: Path, passing: QueenpostError | None) -> None:
    """DESIGN 4: reconnect with full jitter until it is back."""
    async with FakeBroker(path) as broker:
        broker.answers["fleet.ping"] = always(PONG)
        with anyio.fail_after(15):
            async with client_of(path) as client:
                broker.greeting = passing
                await broker.drop()
                while len(broker.hellos) < 4:
                    await anyio.lowlevel.checkpoint()
                broker.greeting = WELCOME
                assert await client.call(FleetPing(), FleetPong) == PONG


async def test_a_call_waits_for_a_broker_that_is_gone_until_its_deadline(path: Path) -> None:
    """DESIGN 4: until its deadline, then `unavailable`."""
    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path) as client:
                await broker.stop()
                with pytest.raises(Unavailable, match="did not answer"):
                    await client.call(FleetPing(), FleetPong, timeout_s=0.05)


async def test_without_reconnect_a_lost_link_is_the_end(path: Path) -> None:
    """Ours: a command that lost its broker says so at once."""
    told: list[bool] = []

    async def note(link: Link | None) -> None:
        told.append(link is not None)

    async with FakeBroker(path) as broker:
        with anyio.fail_after(15):
            async with client_of(path, reconnect=False, on_link=note) as client:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_lost, client)
                    await broker.next("turns.open")
                    await broker.drop()
                await _lost(client)
        assert len(broker.hellos) == 1
    assert told == [True, False]


async def _lost(client: BrokerClient) -> None:
    with pytest.raises(Unavailable, match="was lost"):
        await client.call(TurnsOpen(), TurnsOpened)


async def test_a_frame_over_the_bound_costs_the_link_and_no_more(path: Path) -> None:
    """DESIGN 4: frames are bounded in both directions."""
    async with FakeBroker(path) as broker:
        broker.answers["fleet.ping"] = always(PONG)
        with anyio.fail_after(15):
            async with client_of(path) as client:
                await broker.send(b"x" * (MAX_FRAME_BYTES + 1))
                while len(broker.hellos) < 2:
                    await anyio.lowlevel.checkpoint()
                assert await client.call(FleetPing(), FleetPong) == PONG


# ---- pushes


async def test_pushes_arrive_and_a_new_link_brings_a_gap(path: Path) -> None:
    """DESIGN 4: whatever was said while the link was down was missed."""
    mail = Push(event="mail_waiting", agent="alice")
    async with FakeBroker(path) as broker:
        client = client_of(path)
        with client.pushes() as pushes, anyio.fail_after(15):
            async with client:
                await broker.push(mail)
                assert await pushes.receive() == mail
                await broker.drop()
                assert (await pushes.receive()).event == "gap"
                await broker.push(mail)
                assert await pushes.receive() == mail
            assert [push async for push in pushes] == []


def test_keys_and_instances_are_of_the_form_that_the_wire_wants() -> None:
    """DESIGN 4 and 5.7: made by the client, each once."""
    assert InboxSend(to="a", body="b", key=new_key()).key != new_key()
    assert AgentsAttach(agent="alice", instance=new_instance()).instance != new_instance()
