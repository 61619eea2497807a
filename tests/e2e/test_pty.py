"""The real Claude Code at its terminal, driven by its screen: alone, and in a fleet with broker and harness."""

from pathlib import Path

import anyio
import pytest

from mcp_tools import http
from mcp_tools.bearers import Bearers
from tests.e2e.programs import need
from tests.e2e.pty_cases import ARGS, RUN, TABLE, Door, furnish, play
from tests.e2e.surroundings import surround
from tests.fakes.models.brains import Drain, Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Heard, Reply
from tests.harness.backends.pty.table import EXPECTED
from tests.scenarios.programs import Fleet, fleet_in
from wire.asks import AsksAnswer, AsksAnswered, AsksList, AsksListed
from wire.client import new_key

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

PATIENCE_S = 120


@pytest.mark.parametrize("name", EXPECTED)
async def test_each_screen_of_a_turn_is_read_as_it_should_be(name: str, home: Path) -> None:
    """[P08] A version that shows it otherwise is found here; `python -m tests.e2e.pty_cases` records it."""
    program, expected, bearers, stop = need("claude"), EXPECTED[name], Bearers(), anyio.Event()
    async with ModelServer() as models, anyio.create_task_group() as group:
        port: int = await group.start(http.serve, http.build_app(bearers), stop)
        talk = models.open("alice", Script())
        ended = (await play(name, program, talk, home, Door(f"http://127.0.0.1:{port}{http.PATH}", bearers))).ended
        assert ended.outcome == expected.outcome
        assert expected.words in ended.reason
        stop.set()


async def alice(fleet: Fleet, home: Path, url: dict[str, str]) -> None:
    """Register an agent whose program is a Claude Code that was started for the first time in its folder."""
    workdir = home / "work"
    workdir.mkdir()
    furnish(url, workdir)
    command = list(need("claude").command)
    await fleet.add("alice", backend="pty", command=command, args=list(ARGS), env=url, workdir=str(workdir), pty=TABLE)


def result(heard: Heard) -> Reply:
    """Write to the operator what the command gave, and whether it did."""
    text = " ".join(one.text for one in heard.results)
    return Reply.calling("send", to="operator", body=f"it gave {text}")


async def test_mail_is_handled_and_a_question_on_the_screen_is_an_ask(home: Path) -> None:
    """[P02] [P06] [H38] Trust is answered by rule, a command by the operator; one program, two turns."""
    async with ModelServer() as models, fleet_in(home) as fleet:
        talk = models.open("alice", Script(RUN, result, Reply("Done."), then=Drain()))
        await alice(fleet, home, surround("claude", home / "alice", talk))
        harness = await fleet.start_harness()
        assert await harness.becomes_ready(), harness.said.read_text()
        with anyio.fail_after(PATIENCE_S):
            first = await fleet.send("alice", "calculate")
            await fleet.until(lambda: fleet.agent("alice"), lambda agent: agent.state == "waiting_permission")
            (ask,) = (await fleet.operator.call(AsksList(agent="alice"), AsksListed)).asks
            assert ask.question.splitlines()[:2] == ["May I use Bash?", "python3 -c 'print(6*7)'"]
            pid = (await fleet.running("alice"))["pid"]
            await fleet.operator.call(AsksAnswer(key=new_key(), ask=ask.id, answer="allow"), AsksAnswered)
            assert (await fleet.handled(first)).attempt == 1
            second = await fleet.send("alice", "and again\x1b[201~\rnot a key")
            assert (await fleet.running("alice"))["pid"] == pid
            assert (await fleet.handled(second)).attempt == 1
            bodies = [item.body for item in await fleet.mailbox()]
        assert any(body.startswith("it gave 42") for body in bodies)
        assert any("not a key" in body for body in bodies)
        assert await harness.stop() == 0
