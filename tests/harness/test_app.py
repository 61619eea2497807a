"""The harness process: its command line, its ready line, its exit codes, against a real broker."""

import json
import os
import signal
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from harness.__main__ import main, parse
from harness.app import HarnessSettings, run
from tests.fakes.broker import LocalBroker, short_home
from wire.home import Home


@pytest.fixture
async def broker() -> AsyncGenerator[LocalBroker]:
    """A broker inside of the test."""
    with short_home() as home:
        async with LocalBroker(home) as broker:
            yield broker


async def handled(broker: LocalBroker, message: str) -> None:
    """Wait until a message is handled."""
    while await broker.state_of(message) != "handled":  # noqa: ASYNC110  # nothing announces it to an operator
        await anyio.sleep(0.01)


async def run_into(codes: list[int], settings: HarnessSettings, say: Callable[[str], None]) -> None:
    """Run a harness and keep its exit code."""
    codes.append(await run(settings, say=say))


async def test_it_says_when_it_is_ready_and_ends_on_sigterm(broker: LocalBroker) -> None:
    """Ours: one line of JSON for whoever started it; exit code 0."""
    await broker.add("alice", "bob", backend="scripted", script="echo")
    said: list[str] = []
    codes: list[int] = []
    ready = anyio.Event()

    def say(line: str) -> None:
        said.append(line)
        ready.set()

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_into, codes, HarnessSettings(broker.home), say)
            await ready.wait()
            message = await broker.send("alice", "hello")
            await handled(broker, message.id)
            os.kill(os.getpid(), signal.SIGTERM)
        assert codes == [0]
        assert [(await broker.agent(name)).attached for name in ("alice", "bob")] == [False, False]
    line = json.loads(said[0])
    assert (line["event"], line["agents"], line["refused"]) == ("ready", ["alice", "bob"], {})
    assert line["mcp"].startswith("http://127.0.0.1:")
    assert line["mcp"].endswith("/mcp")


async def test_some_refused_is_ready_and_all_refused_is_an_error(broker: LocalBroker) -> None:
    """Ours: the ready line names them with the reason; with nobody left it ends with 1."""
    await broker.add("alice", backend="scripted", script="echo")
    said: list[str] = []
    codes: list[int] = []
    ready = anyio.Event()

    def say(line: str) -> None:
        said.append(line)
        ready.set()

    with anyio.fail_after(15):
        assert await run(HarnessSettings(broker.home, ("nosuch",)), say=say) == 1
        assert said == []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_into, codes, HarnessSettings(broker.home, ("alice", "nosuch")), say)
            await ready.wait()
            os.kill(os.getpid(), signal.SIGINT)
    line = json.loads(said[0])
    assert line["agents"] == ["alice"]
    assert "no agent 'nosuch'" in line["refused"]["nosuch"]
    assert codes == [0]


async def test_the_bearer_is_in_no_file(broker: LocalBroker, tmp_path: Path) -> None:
    """Ours: it is held in memory and masked where a program prints it."""
    script = tmp_path / "prints.py"
    script.write_text(
        "import os\ndef run(agent):\n    agent.say(os.environ['QUEENPOST_MCP_TOKEN'])\n"
        "    open('token-length', 'w').write(str(len(os.environ['QUEENPOST_MCP_TOKEN'])))\n"
    )
    await broker.add("alice", backend="scripted", script=str(script))
    ready = anyio.Event()
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(run, HarnessSettings(broker.home), say=lambda _: ready.set()))
            await ready.wait()
            message = await broker.send("alice", "what is your token?")
            await handled(broker, message.id)
            os.kill(os.getpid(), signal.SIGTERM)
    assert (broker.home.agent_state("alice") / "token-length").read_text() == "43"
    transcripts = list((broker.home.agent_harness("alice") / "transcripts").iterdir())
    assert [path.read_text() for path in transcripts] == ["[masked]\n"]


async def test_without_a_home_or_a_broker_it_says_what_to_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Ours: exit code 1."""
    assert await run(HarnessSettings(Home(tmp_path / "nowhere"))) == 1
    with short_home() as home:
        home.create()
        assert await run(HarnessSettings(home)) == 1
    reasons = [getattr(record, "fields", {}).get("reason", "") for record in caplog.records]
    assert "queenpost init" in reasons[0]
    assert "queenpost up" in reasons[1]


def test_the_command_line(tmp_path: Path) -> None:
    """Ours: names once each, home as told."""
    settings = parse(["alice", "bob", "alice", "--home", str(tmp_path), "--takeover"])
    assert settings.names == ("alice", "bob")
    assert settings.home.root == tmp_path
    assert settings.takeover
    assert not parse(["--home", str(tmp_path)]).takeover


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main(["--nosuch"])
    assert caught.value.code == 2
    assert "usage: queenpost harness" in capsys.readouterr().err


async def test_it_drains_on_sigusr1(broker: LocalBroker) -> None:
    """Issue 4.9: with nothing to wait for, it ends as on SIGTERM."""
    await broker.add("alice", backend="scripted", script="echo")
    codes: list[int] = []
    ready = anyio.Event()

    def say(_: str) -> None:
        ready.set()

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run_into, codes, HarnessSettings(broker.home), say)
            await ready.wait()
            os.kill(os.getpid(), signal.SIGUSR1)
        assert codes == [0]
        assert not (await broker.agent("alice")).attached
