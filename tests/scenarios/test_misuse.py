"""Programs that misbehave, one beside the other in one harness: a clear state and reason, and no mail lost.

What a single backend does about each of them is in `tests/contracts` and `tests/harness/backends`.
"""

import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from harness.transcript import CAP_BYTES
from tests.scenarios.programs import Fleet, fleet_in, is_gone
from tests.scenarios.truth import Store
from wire.agents import AgentsChanged, AgentsRestart
from wire.client import new_key

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

PATIENT = 30


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Fleet]:
    """One harness for all; agents that come later are hosted too."""
    async with fleet_in(tmp_path_factory.mktemp("fleet")) as fleet:
        assert await (await fleet.start_harness()).becomes_ready()
        yield fleet


async def add(fleet: Fleet, name: str, code: str, **settings: object) -> Path:
    """Have a piece of Python play the model; `state` is its folder. Gives the file."""
    path = fleet.home.root.parent / f"{name}.py"
    path.write_text(wrapped(fleet, name, code))
    await fleet.add(name, backend="command", command=[sys.executable, "-I", "-S", str(path)], **settings)
    return path


def wrapped(fleet: Fleet, name: str, code: str) -> str:
    """Give the code what it may use."""
    state = str(fleet.home.agent_state(name))
    head = f"import os, pathlib, subprocess, sys, time\nstate = pathlib.Path({state!r})\nprompt = sys.stdin.read()\n"
    return head + code + "\n"


async def test_garbage_on_its_stdout_is_a_transcript_and_no_verdict(fleet: Fleet) -> None:
    """Issue 4, Bad input: bytes that are no text, and an end that counts."""
    await add(fleet, "garbage", "sys.stdout.buffer.write(os.urandom(100_000) + b'\\x1b]0;owned\\x07')")
    with anyio.fail_after(PATIENT):
        message = await fleet.send("garbage", "hello")
        assert (await fleet.handled(message)).attempt == 1
    assert Store(fleet.home.database).wrong([message]) == []


async def test_a_flood_is_bounded_and_the_turn_is_finished(fleet: Fleet) -> None:
    """Issue 4, Bad input: the file stays small, the mail is handled."""
    await add(fleet, "flood", "for _ in range(300): sys.stdout.buffer.write(b'x' * 100_000)")
    with anyio.fail_after(PATIENT):
        assert (await fleet.handled(await fleet.send("flood", "hello"))).attempt == 1
    (file,) = fleet.home.agent_transcripts("flood").glob("*.log")
    assert CAP_BYTES // 2 < file.stat().st_size < CAP_BYTES + 10_000


async def test_who_dies_at_once_is_shown_with_its_last_words_and_goes_on_when_mended(fleet: Fleet) -> None:
    """Issue 4, Bad input: the mail is not at fault; `agent restart` ends the rest behind a mend."""
    path = await add(fleet, "dies", "sys.exit('no such model, ask Ann')")
    with anyio.fail_after(PATIENT):
        message = await fleet.send("dies", "hello")
        await fleet.until(lambda: fleet.agent("dies"), lambda agent: "no such model, ask Ann" in agent.reason)
        story = await fleet.delivery(message)
        assert (story.state, story.failures) == ("queued", 0)
        path.write_text(wrapped(fleet, "dies", "print('well then')"))
        await fleet.operator.call(AgentsRestart(key=new_key(), agent="dies"), AgentsChanged)
        assert (await fleet.handled(message)).failures == 0


async def test_who_never_ends_is_ended_and_its_mail_comes_again(fleet: Fleet) -> None:
    """Issue 4, Bad input: counted, as it had begun; the next attempt is told of the first."""
    code = """
print(prompt, flush=True)
first = not (state / 'first').exists()
(state / 'first').touch()
while first: time.sleep(1)"""
    await add(fleet, "endless", code, silence_s=4)  # longer than a busy machine needs to start it
    with anyio.fail_after(PATIENT):
        message = await fleet.send("endless", "hello")
        story = await fleet.handled(message)
    assert (story.attempt, story.failures) == (2, 1)
    assert "(redelivered, attempt 2" in await fleet.transcripts("endless")
    ended = [record["outcome"] for record in fleet.logged("harness", "turn_ended") if record["mail"] == [message]]
    assert ended == ["hung", "completed"]


async def test_children_that_a_finished_program_left_behind_are_ended(fleet: Fleet) -> None:
    """Issue 4, Bad input: they would work for a turn that is over."""
    code = """
child = subprocess.Popen(['sleep', '600'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
(state / 'child').write_text(str(child.pid))"""
    await add(fleet, "parent", code)
    with anyio.fail_after(PATIENT):
        await fleet.handled(await fleet.send("parent", "hello"))
        child = int((fleet.home.agent_state("parent") / "child").read_text())
        assert is_gone(child)
        assert not Path(f"/proc/{child}/fd").exists() or not list(Path(f"/proc/{child}/fd").iterdir())


async def test_a_role_prompt_that_is_missing_is_said_and_waited_for(fleet: Fleet) -> None:
    """Issue 4, Bad input: nothing is run without it, the mail is not at fault, and a mend needs no restart."""
    role = fleet.home.root.parent / "role.md"
    await add(fleet, "roleless", "print(prompt)", prompt=str(role))
    with anyio.fail_after(PATIENT):
        message = await fleet.send("roleless", "hello")
        agent = await fleet.until(lambda: fleet.agent("roleless"), lambda agent: agent.state == "parked")
        assert "the role prompt cannot be read" in agent.reason
        assert str(role) in agent.reason
        role.write_text("You look after the pumps.")
        assert (await fleet.handled(message)).failures == 0
    assert "You look after the pumps." in await fleet.transcripts("roleless")


WRONG = """
from harness.scripted.mcp_client import ToolError
def run(agent):
    for arguments in ({"body": "x"}, {"to": "operator", "text": "x"}, {"to": "nobody", "body": "x"}):
        try:
            agent._tools.call("send", arguments)
        except ToolError as error:
            agent.say(str(error))
    agent.send("operator", "now I know how")
"""


async def test_a_model_that_uses_a_tool_wrongly_is_told_how(fleet: Fleet) -> None:
    """Issue 4, Bad input: the answer is a sentence with what is wrong, nothing is sent, the turn goes on."""
    path = fleet.home.root.parent / "wrong.py"
    path.write_text(WRONG)
    await fleet.add("wrong", backend="scripted", script=str(path))
    with anyio.fail_after(PATIENT):
        await fleet.handled(await fleet.send("wrong", "hello"))
    said = await fleet.transcripts("wrong")
    assert "'to' is missing; send takes to, body, in_reply_to, key" in said
    assert "'body' is missing" in said
    assert "no agent 'nobody'" in said
    assert [item.body for item in await fleet.mailbox() if item.sender == "wrong"] == ["now I know how"]
