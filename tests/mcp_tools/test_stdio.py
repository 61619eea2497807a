"""The tools over stdio: real processes, a real broker. What happens to mail when things end badly."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from subprocess import PIPE, run

import anyio
import pytest
from mcp import Client

from tests.mcp_tools.conftest import Era
from tests.mcp_tools.fleet import MODERN, Fleet, raw_client, running_broker, running_fleet
from tests.mcp_tools.reading import framed, text_of
from wire.agents import AgentsAttach, AgentsAttached
from wire.client import BrokerClient, new_instance
from wire.private_files import read_secret
from wire.turns import TurnsTake, TurnsTaken

TAKE = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "recv", "_meta": MODERN}}
OTHER: dict[Era, Era] = {"legacy": "auto", "auto": "legacy"}


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncGenerator[Fleet]:
    """A broker with alice and bob."""
    async with running_fleet(tmp_path) as fleet:
        yield fleet


async def test_two_clients_of_different_eras_exchange_mail(fleet: Fleet, era: Era) -> None:
    """Spec: the question goes over, the answer comes back, both are handled."""
    with anyio.fail_after(15):
        async with (
            Client(fleet.parameters("alice"), mode=era) as alice,
            Client(fleet.parameters("bob"), mode=OTHER[era]) as bob,
        ):
            sent = text_of(await alice.call_tool("send", {"to": "bob", "body": "how far are you?"}))
            assert sent == "m1 to bob: queued"
            (question,) = framed(text_of(await bob.call_tool("recv", {"wait_seconds": 10})))
            assert (question.attributes["from"], question.body) == ("alice", "how far are you?")
            arguments = {"to": "alice", "body": "half way", "in_reply_to": question.attributes["id"]}
            await bob.call_tool("send", arguments)
            (answer,) = framed(text_of(await alice.call_tool("recv", {"wait_seconds": 10})))
            assert (answer.attributes["in_reply_to"], answer.body) == ("m1", "half way")
            await alice.call_tool("recv", {"done": answer.attributes["id"]})
            assert await fleet.state("m1") == "handled"
            assert await fleet.state("m2") == "handled"


async def test_whoami_over_stdio(fleet: Fleet, era: Era) -> None:
    """Spec: identity comes from the token file."""
    with anyio.fail_after(15):
        async with Client(fleet.parameters("alice"), mode=era) as alice:
            text = text_of(await alice.call_tool("whoami", {}))
    assert text.startswith("You are alice, role agent")
    assert "bob: " in text


@pytest.mark.parametrize("end", ["SIGTERM", "SIGINT", "SIGKILL", "EOF"])
async def test_however_the_client_ends_its_mail_comes_back(fleet: Fleet, era: Era, end: str) -> None:
    """Spec: unhandled mail is ready again at once; 0 on a clean end. [H21]"""
    message = await fleet.send("alice", "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            assert framed(await alice.call("recv"))
            assert await fleet.state(message) == "in_turn"
            if end == "EOF":
                await alice.hang_up()
            else:
                alice.process.send_signal(getattr(signal, end))
            code = await alice.process.wait()
        assert code == (-signal.SIGKILL if end == "SIGKILL" else 0)
        await fleet.reaches(message, "queued")
        async with raw_client(fleet, "alice", era) as again:
            (one,) = framed(await again.call("recv", wait_seconds=10))
            assert (one.attributes["id"], one.attributes["attempt"]) == (message, "2")


@pytest.mark.parametrize("end", ["SIGTERM", "EOF"])
async def test_an_end_while_parked_is_clean(fleet: Fleet, era: Era, end: str) -> None:
    """Spec: within 2 s, here held by the deadline of the broker's own reply."""
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            await alice.start("recv", wait_seconds=120)
            await alice.settled()
            if end == "EOF":
                await alice.hang_up()
            else:
                alice.process.terminate()
            with anyio.fail_after(2):
                assert await alice.process.wait() == 0


async def test_a_cancelled_wait_takes_nothing(fleet: Fleet, era: Era) -> None:
    """Spec: the broker call is withdrawn, so the mail that comes then waits."""
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            parked = await alice.start("recv", wait_seconds=120)
            await alice.settled()
            await alice.cancel(parked)
            await alice.settled()
            message = await fleet.send("alice", "work")
            assert await fleet.state(message) == "queued"
            (one,) = framed(await alice.call("recv"))
            assert "attempt" not in one.attributes


async def test_a_cancellation_that_crosses_the_answer_gives_the_mail_back(fleet: Fleet, era: Era) -> None:
    """Spec: written, but cancelled; the client drops the answer."""
    message = await fleet.send("alice", "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            number = await alice.start("recv")
            await alice.answer(number)
            assert await fleet.state(message) == "in_turn"
            await alice.cancel(number)
            await fleet.reaches(message, "queued")


async def test_the_next_waiting_recv_acks(fleet: Fleet, era: Era) -> None:
    """Spec (DESIGN 5.4): stdio only, as the earlier result was written completely."""
    first = await fleet.send("alice", "one")
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            await alice.call("recv")
            await alice.call("recv")
            assert await fleet.state(first) == "in_turn"
            parked = await alice.start("recv", wait_seconds=120)
            await fleet.reaches(first, "handled")
            second = await fleet.send("alice", "two")
            (one,) = framed(await alice.answer(parked))
            assert one.attributes["id"] == second
        await fleet.reaches(second, "queued")
        assert await fleet.state(first) == "handled"


async def test_an_answer_acks_its_question(fleet: Fleet, era: Era) -> None:
    """Spec (DESIGN 5.4)."""
    first = await fleet.send("alice", "one")
    second = await fleet.send("alice", "two")
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            await alice.call("recv_batch")
            await alice.call("send", to="operator", body="done with two", in_reply_to=second)
            assert await fleet.state(second) == "handled"
            assert await fleet.state(first) == "in_turn"


async def test_a_second_taker_gets_a_conflict(fleet: Fleet, era: Era) -> None:
    """Spec (DESIGN 5.4): it may still send and look around."""
    message = await fleet.send("alice", "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as first, raw_client(fleet, "alice", era) as second:
            assert framed(await first.call("recv"))
            text = await second.call("recv")
            assert text.startswith("conflict: ")
            assert "alice" in text
            assert (await second.call("send", to="bob", body="hi")).endswith("to bob: queued")
            assert (await second.call("whoami")).startswith("You are alice")
            assert await fleet.state(message) == "in_turn"


async def test_where_a_harness_holds_the_agent_recv_is_a_peek(fleet: Fleet, era: Era) -> None:
    """Spec (DESIGN 5.4)."""
    message = await fleet.send("alice", "work")
    harness_token = read_secret(fleet.home.harness_secret)
    agent_token = read_secret(fleet.home.agent_secret("alice"))
    request = AgentsAttach(agent="alice", instance=new_instance(), agent_token=agent_token)
    with anyio.fail_after(15):
        async with (
            BrokerClient(fleet.home.socket, lambda: harness_token, "harness") as harness,
            raw_client(fleet, "alice", era) as alice,
        ):
            await harness.call(request, AgentsAttached)
            text = await alice.call("recv", wait_seconds=10)
            assert "(peek: shown, not taken" in text
            assert [one.attributes["id"] for one in framed(text)] == [message]
            assert await fleet.state(message) == "queued"


async def test_a_broker_that_restarts_does_not_end_the_session(fleet: Fleet, era: Era) -> None:
    """Spec: the client reconnects, and what it held is still its own or comes again. [H01]"""
    message = await fleet.send("alice", "work")
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            assert framed(await alice.call("recv"))
            fleet.broker.kill()
            await fleet.broker.wait()
            async with running_broker(fleet.home):
                assert (await alice.call("send", to="bob", body="still here")).endswith("to bob: queued")
                parked = await alice.start("recv", wait_seconds=120)
                await fleet.reaches(message, "handled")
                await alice.cancel(parked)


async def test_a_parked_recv_survives_a_restart_of_the_broker(fleet: Fleet, era: Era) -> None:
    """Spec."""
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            parked = await alice.start("recv", wait_seconds=120)
            await alice.settled()
            fleet.broker.kill()
            await fleet.broker.wait()
            async with running_broker(fleet.home):
                await fleet.send("alice", "after all")
                (one,) = framed(await alice.answer(parked))
                assert one.body == "after all"


async def test_garbage_on_the_input_ends_nothing(fleet: Fleet, era: Era) -> None:
    """Ours."""
    with anyio.fail_after(15):
        async with raw_client(fleet, "alice", era) as alice:
            assert alice.process.stdin is not None
            await alice.process.stdin.send(b'not json\n\xff\xfe\n[]\n{"jsonrpc":"2.0"}\n')
            assert await alice.call("recv") == "(empty)"


async def test_a_result_that_nobody_reads_gives_its_mail_back(fleet: Fleet) -> None:
    """Spec: it could not be written, and the client is as good as gone."""
    message = await fleet.send("alice", "work")
    read_end, write_end = os.pipe()
    with anyio.fail_after(15):
        async with await anyio.open_process(
            fleet.command("alice"), stdin=PIPE, stdout=write_end, stderr=None
        ) as process:
            os.close(write_end)
            os.close(read_end)
            assert process.stdin is not None
            await process.stdin.send(json.dumps(TAKE).encode() + b"\n")
            assert await process.wait() == 0
        await fleet.reaches(message, "queued")
        (delivery,) = (await fleet.story(message)).deliveries
        assert delivery.attempt == 1


async def test_a_client_that_does_not_read_holds_up_no_exit(fleet: Fleet) -> None:
    """Ours: the pipe is full, and mail in it and behind it goes back."""
    mail = [await fleet.send("alice", "x" * 20_000) for _ in range(8)]
    read_end, write_end = os.pipe()
    with anyio.fail_after(15):
        async with await anyio.open_process(
            fleet.command("alice"), stdin=PIPE, stdout=write_end, stderr=None
        ) as process:
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


async def test_mail_is_taken_in_no_turn_by_name(fleet: Fleet) -> None:
    """Ours: another connection under the agent's token, which did not attach, may not take."""
    token = read_secret(fleet.home.agent_secret("alice"))
    with anyio.fail_after(15):
        async with BrokerClient(fleet.home.socket, lambda: token, "test") as client:
            with pytest.raises(Exception, match=r"agents\.attach"):
                await client.call(TurnsTake(), TurnsTaken)
