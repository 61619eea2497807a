"""The tools over stdio: real processes, a real broker. What happens to mail when things end badly."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import PIPE, run

import anyio
import pytest
from mcp import Client

from tests.mcp_tools.conftest import Era
from tests.mcp_tools.fleet import MODERN, Fleet, RawClient, raw_client, running_broker, running_fleet
from tests.mcp_tools.reading import framed, text_of
from wire.agents import AgentsAdd, AgentsAdded, AgentsAttach, AgentsAttached, AgentsChanged, AgentsRemove
from wire.client import BrokerClient, new_instance, new_key
from wire.private_files import read_secret
from wire.settings import AgentSettings

TAKE = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "recv", "_meta": MODERN}}
OTHER: dict[Era, Era] = {"legacy": "auto", "auto": "legacy"}


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One broker for all of these tests; each has agents of its own."""
    async with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
async def own_fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker of one's own, to be killed."""
    async with running_fleet(tmp_path) as fleet:
        yield fleet


@pytest.fixture
async def alice(fleet: Fleet) -> str:
    """The name of an agent."""
    return await fleet.add("alice")


@pytest.fixture
async def bob(fleet: Fleet) -> str:
    """The name of another one."""
    return await fleet.add("bob")


async def test_two_clients_of_different_eras_exchange_mail(fleet: Fleet, alice: str, bob: str, era: Era) -> None:
    """Spec: through `queenpost mcp`; the question goes over, the answer comes back, both are handled."""
    with anyio.fail_after(15):
        async with (
            Client(fleet.parameters(alice), mode=era) as asker,
            Client(fleet.parameters(bob), mode=OTHER[era]) as answerer,
        ):
            sent = text_of(await asker.call_tool("send", {"to": bob, "body": "how far are you?"}))
            question, _, rest = sent.partition(" ")
            assert rest == f"to {bob}: queued"
            (asked,) = framed(text_of(await answerer.call_tool("recv", {"wait_seconds": 10})))
            assert (asked.attributes["from"], asked.body) == (alice, "how far are you?")
            arguments = {"to": alice, "body": "half way", "in_reply_to": question}
            await answerer.call_tool("send", arguments)
            (answer,) = framed(text_of(await asker.call_tool("recv", {"wait_seconds": 10})))
            assert (answer.attributes["in_reply_to"], answer.body) == (question, "half way")
            await asker.call_tool("recv", {"done": answer.attributes["id"]})
            assert await fleet.state(question) == "handled"
            assert await fleet.state(answer.attributes["id"]) == "handled"


async def test_identity_comes_from_the_token_file(fleet: Fleet, alice: str, bob: str) -> None:
    """Spec."""
    with anyio.fail_after(15):
        async with raw_client(fleet, alice) as client:
            text = await client.call("whoami")
    assert text.startswith(f"You are {alice}, role agent")
    assert f"{bob}: " in text


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SIGKILL", "EOF"])
async def test_however_the_client_ends_its_mail_comes_back(fleet: Fleet, alice: str, era: Era, end: str) -> None:
    """Spec: unhandled mail is ready again at once; 0 on a clean end. [H21]"""
    message = await fleet.send(alice, "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client:
            assert framed(await client.call("recv"))
            assert await fleet.state(message) == "in_turn"
            await end_by(client, end)
            code = await client.process.wait()
        assert code == (-signal.SIGKILL if end == "SIGKILL" else 0)
        await fleet.reaches(message, "queued")


async def end_by(client: RawClient, end: str) -> None:
    """End an MCP server in one of the ways there are."""
    if end == "EOF":
        await client.hang_up()
    else:
        client.process.send_signal(getattr(signal, end))


async def test_mail_that_came_back_is_marked(fleet: Fleet, alice: str) -> None:
    """Spec: attempt, and a banner above it. [H21] [P14]"""
    message = await fleet.send(alice, "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice) as client:
            assert framed(await client.call("recv"))
        async with raw_client(fleet, alice) as again:
            text = await again.call("recv", wait_seconds=10)
    (one,) = framed(text)
    assert (one.attributes["id"], one.attributes["attempt"]) == (message, "2")
    assert text.startswith("(redelivered, attempt 2")


@pytest.mark.parametrize("end", ["SIGTERM", "EOF"])
async def test_an_end_while_parked_is_clean(fleet: Fleet, alice: str, era: Era, end: str) -> None:
    """Spec: 0, within 2 s."""
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client:
            await client.start("recv", wait_seconds=120)
            await client.settled()
            await end_by(client, end)
            with anyio.fail_after(2):
                assert await client.process.wait() == 0


async def test_a_cancelled_wait_takes_nothing(fleet: Fleet, alice: str, era: Era) -> None:
    """Spec: the broker call is withdrawn, so the mail that comes then waits."""
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client:
            parked = await client.start("recv", wait_seconds=120)
            await client.settled()
            await client.cancel(parked)
            await client.settled()
            message = await fleet.send(alice, "work")
            assert await fleet.state(message) == "queued"
            (one,) = framed(await client.call("recv"))
            assert "attempt" not in one.attributes


async def test_a_cancellation_that_crosses_the_answer_gives_the_mail_back(fleet: Fleet, alice: str, era: Era) -> None:
    """Spec: written, but cancelled; the client drops the answer."""
    message = await fleet.send(alice, "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client:
            number = await client.start("recv")
            await client.answer(number)
            assert await fleet.state(message) == "in_turn"
            await client.cancel(number)
            await fleet.reaches(message, "queued")


async def test_the_next_waiting_recv_acks(fleet: Fleet, alice: str, era: Era) -> None:
    """Spec (DESIGN 5.4): on stdio, where the earlier result was written completely."""
    first = await fleet.send(alice, "one")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client:
            await client.call("recv")
            await client.call("recv")
            assert await fleet.state(first) == "in_turn"
            parked = await client.start("recv", wait_seconds=120)
            await fleet.reaches(first, "handled")
            second = await fleet.send(alice, "two")
            (one,) = framed(await client.answer(parked))
            assert one.attributes["id"] == second
        await fleet.reaches(second, "queued")
        assert await fleet.state(first) == "handled"


async def test_an_answer_acks_its_question(fleet: Fleet, alice: str) -> None:
    """Spec (DESIGN 5.4)."""
    first, second = await fleet.send(alice, "one"), await fleet.send(alice, "two")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice) as client:
            await client.call("recv_batch")
            await client.call("send", to="operator", body="done with two", in_reply_to=second)
            assert await fleet.state(second) == "handled"
            assert await fleet.state(first) == "in_turn"


@pytest.mark.parametrize("tool", ["recv", "recv_batch"])
async def test_done_acks_all_up_to_that_message(fleet: Fleet, alice: str, era: Era, tool: str) -> None:
    """Spec (DESIGN 5.4): all handed over up to it, nothing behind it; and a second time it changes nothing."""
    mail = [await fleet.send(alice, str(number)) for number in range(3)]
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client:
            await client.call("recv_batch")
            assert await client.call(tool, done=mail[1]) == "(empty)"
            assert [await fleet.state(message) for message in mail] == ["handled", "handled", "in_turn"]
            assert await client.call(tool, done=mail[1]) == "(empty)"
            assert await fleet.state(mail[2]) == "in_turn"
        await fleet.reaches(mail[2], "queued")


async def test_an_answer_to_an_ask_acks_the_mail_that_put_it(fleet: Fleet, alice: str, bob: str, era: Era) -> None:
    """[H08] Spec (DESIGN 5.4): as a send with in_reply_to does for a letter."""
    other = await fleet.send(alice, "first")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, era) as client, raw_client(fleet, bob) as asker:
            await asker.call("ask", question="which branch?", to=alice)
            letter, question = framed(await client.call("recv_batch"))
            await client.call("answer", id=question.attributes["ask"], answer="main")
            assert await fleet.state(question.attributes["id"]) == "handled"
            assert letter.attributes["id"] == other
            assert await fleet.state(other) == "in_turn"


async def test_the_manager_pauses_an_agent_until_it_is_resumed(fleet: Fleet, alice: str, era: Era) -> None:
    """DESIGN 10: through the broker's own ops, with its words for the state; mail collects meanwhile."""
    with anyio.fail_after(15):
        async with managed(fleet) as boss, raw_client(fleet, boss, era) as manager, raw_client(fleet, alice) as agent:
            assert (await manager.call("pause_agent", name=alice)).startswith(f"{alice}: paused, no mail")
            assert (await manager.call("pause_agent", name=alice)).endswith(f"({alice} was paused already)")
            await manager.call("send", to=alice, body="later")
            assert f"{alice}: paused, 1 ready" in await manager.call("list_agents")
            assert await agent.call("recv") == "(empty)"
            parked = await agent.start("recv", wait_seconds=120)
            assert "paused" not in await manager.call("resume_agent", name=alice)
            (one,) = framed(await agent.answer(parked))
            assert one.body == "later"
            assert f"{alice}: working, 1 leased" in await manager.call("list_agents")
            assert (await manager.call("pause_agent", name="nobody")).startswith("unknown: no agent 'nobody'")


@asynccontextmanager
async def managed(fleet: Fleet) -> AsyncGenerator[str]:
    """Give the fleet a manager for a while: there can be one only."""
    request = AgentsAdd(key=new_key(), agent="manager", settings=AgentSettings(role="manager"))
    await fleet.operator.call(request, AgentsAdded)
    try:
        yield "manager"
    finally:
        await fleet.operator.call(AgentsRemove(key=new_key(), agent="manager"), AgentsChanged)


async def test_a_second_taker_gets_a_conflict(fleet: Fleet, alice: str, bob: str) -> None:
    """Spec (DESIGN 5.4): it may still send and look around."""
    message = await fleet.send(alice, "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, alice) as first, raw_client(fleet, alice, "legacy") as second:
            assert framed(await first.call("recv"))
            text = await second.call("recv")
            assert text.startswith("conflict: ")
            assert alice in text
            assert (await second.call("send", to=bob, body="hi")).endswith(f"to {bob}: queued")
            assert (await second.call("whoami")).startswith(f"You are {alice}")
            assert await fleet.state(message) == "in_turn"


async def test_where_a_harness_holds_the_agent_recv_is_a_peek(fleet: Fleet, alice: str) -> None:
    """Spec (DESIGN 5.4)."""
    message = await fleet.send(alice, "work")
    harness_token = read_secret(fleet.home.harness_secret)
    agent_token = read_secret(fleet.home.agent_secret(alice))
    request = AgentsAttach(agent=alice, instance=new_instance(), agent_token=agent_token)
    with anyio.fail_after(15):
        async with (
            BrokerClient(fleet.home.socket, lambda: harness_token, "harness") as harness,
            raw_client(fleet, alice) as client,
        ):
            await harness.call(request, AgentsAttached)
            text = await client.call("recv", wait_seconds=10)
            assert "(peek: shown, not taken" in text
            assert [one.attributes["id"] for one in framed(text)] == [message]
            assert await fleet.state(message) == "queued"


async def test_a_broker_that_restarts_does_not_end_the_session(own_fleet: Fleet) -> None:
    """Spec: the client reconnects, and what it held is still its own. [H01]"""
    alice, bob = await own_fleet.add("alice"), await own_fleet.add("bob")
    message = await own_fleet.send(alice, "work")
    with anyio.fail_after(15):
        async with raw_client(own_fleet, alice) as client:
            assert framed(await client.call("recv"))
            own_fleet.broker.kill()
            await own_fleet.broker.wait()
            async with running_broker(own_fleet.home):
                assert (await client.call("send", to=bob, body="here")).endswith(f"to {bob}: queued")
                parked = await client.start("recv", wait_seconds=120)
                await own_fleet.reaches(message, "handled")
                await client.cancel(parked)


async def test_a_parked_recv_survives_a_restart_of_the_broker(own_fleet: Fleet) -> None:
    """Spec: it parks on, on the next link."""
    alice = await own_fleet.add("alice")
    with anyio.fail_after(15):
        async with raw_client(own_fleet, alice) as client:
            parked = await client.start("recv", wait_seconds=120)
            await client.settled()
            own_fleet.broker.kill()
            await own_fleet.broker.wait()
            async with running_broker(own_fleet.home):
                await own_fleet.send(alice, "after all")
                (one,) = framed(await client.answer(parked))
                assert one.body == "after all"


async def test_garbage_on_the_input_ends_nothing(fleet: Fleet, alice: str) -> None:
    """Ours."""
    with anyio.fail_after(15):
        async with raw_client(fleet, alice, "legacy") as client:
            assert client.process.stdin is not None
            await client.process.stdin.send(b'not json\n\xff\xfe\n[]\n{"jsonrpc":"2.0"}\n')
            assert await client.call("recv") == "(empty)"


async def test_a_result_that_nobody_reads_gives_its_mail_back(fleet: Fleet, alice: str) -> None:
    """Spec: it could not be written, and the client is as good as gone."""
    message = await fleet.send(alice, "work")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with anyio.fail_after(15):
        async with await anyio.open_process(fleet.command(alice), stdin=PIPE, stdout=write_end, stderr=None) as process:
            os.close(write_end)
            assert process.stdin is not None
            await process.stdin.send(json.dumps(TAKE).encode() + b"\n")
            assert await process.wait() == 0
        await fleet.reaches(message, "queued")
        (delivery,) = (await fleet.story(message)).deliveries
        assert delivery.attempt == 1


async def test_a_client_that_does_not_read_holds_up_no_exit(fleet: Fleet, alice: str) -> None:
    """Ours: the pipe is full; the mail in it and the mail behind it go back."""
    mail = [await fleet.send(alice, "x" * 20_000) for _ in range(8)]
    read_end, write_end = os.pipe()
    with anyio.fail_after(15):
        async with await anyio.open_process(fleet.command(alice), stdin=PIPE, stdout=write_end, stderr=None) as process:
            os.close(write_end)
            assert process.stdin is not None
            for number in range(len(mail)):
                await process.stdin.send(json.dumps({**TAKE, "id": number}).encode() + b"\n")
            await fleet.reaches(mail[-1], "in_turn")
            process.terminate()
            with anyio.fail_after(4):
                assert await process.wait() == 0
        os.close(read_end)
        for message in mail:
            await fleet.reaches(message, "queued")


def test_without_a_broker_it_says_how_to_start_one(tmp_path: Path) -> None:
    """Spec: exit 1, one sentence on stderr, nothing on stdout."""
    command = [sys.executable, "-P", "-m", "mcp_tools", "--agent", "alice", "--home", str(tmp_path / "h")]
    ended = run(command, stdin=PIPE, capture_output=True, check=False, timeout=15)
    assert ended.returncode == 1
    assert ended.stdout == b""
    assert ended.stderr.count(b"\n") == 1
    assert b"start it with `queenpost up`" in ended.stderr


async def test_an_agent_that_is_not_in_the_fleet_is_refused(fleet: Fleet) -> None:
    """Ours: names the file that is missing."""
    with anyio.fail_after(15):
        process = await anyio.run_process(fleet.command("carol"), check=False)
    assert process.returncode == 1
    assert b"carol" in process.stderr
    assert process.stderr.count(b"\n") == 1
