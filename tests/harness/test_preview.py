"""What a model would be told now, and how that differs from what it was told last."""

import sys
from pathlib import Path
from subprocess import PIPE

import anyio
import pytest

from harness.prompting import standing
from harness.workspace import Workspace
from tests.fakes.broker import LocalBroker
from wire.agents import AgentsWho, AgentsWhoami
from wire.client import new_key
from wire.home import Home
from wire.jobs import JobsRegister, JobsRegistered, JobsShow, JobsShown


async def preview(home: Home, *words: str) -> tuple[int, str, str]:
    """Run the program; gives exit code, stdout and stderr."""
    command = [sys.executable, "-P", "-m", "harness.preview", *words, "--home", str(home.root)]
    with anyio.fail_after(30):
        done = await anyio.run_process(command, check=False, stdout=PIPE, stderr=PIPE)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture
def short_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose socket has room."""
    return Home(tmp_path_factory.mktemp("q"))


async def test_the_words_of_the_next_turn_are_shown_and_nothing_is_taken(short_home: Home, tmp_path: Path) -> None:
    """[P13] Issue 4.7: with the mail that waits, framed as it will be, and the role prompt as it is now."""
    role = tmp_path / "role.md"
    role.write_text("You like pumps.")
    async with LocalBroker(short_home) as fleet:
        await fleet.add("alice", "bob")
        sent = await fleet.send("bob", "Which pump leaks?")
        code, words, errors = await preview(short_home, "bob", "--role-prompt", str(role))
        assert (code, errors) == (0, "")
        assert words.startswith("You are bob, an agent of the fleet ")
        assert "The others: alice." in words
        assert "You like pumps." in words
        assert f'id="{sent.id}" from="operator"' in words
        assert "Which pump leaks?" in words
        code, words, _ = await preview(short_home, "bob", "--next")
        assert (code, words.startswith("You have 1 message.")) == (0, True)
        assert await fleet.state_of(sent.id) == "queued"


async def test_a_job_that_waits_is_shown_as_it_will_be_told(short_home: Home) -> None:
    """Issue 5: its id, and what is expected; nobody claims it by looking."""
    async with LocalBroker(short_home) as fleet:
        await fleet.add("bob")
        operator = await fleet.operator()
        made = await operator.call(JobsRegister(key=new_key(), prompt="count", to="bob"), JobsRegistered)
        _, words, errors = await preview(short_home, "bob")
        assert f'kind="operator" job="{made.job}">\ncount\n' in words, errors
        assert "Mail with `job` is a job: `publish_event`" in words
        shown = await operator.call(JobsShow(job=made.job), JobsShown)
        assert shown.job is not None
        assert (shown.job.state, shown.job.epoch) == ("pending", 0)


async def test_the_difference_to_what_was_told_last(short_home: Home, tmp_path: Path) -> None:
    """Issue 4.7: for whoever edits a role prompt, or wonders what a new version changed."""
    role = tmp_path / "role.md"
    role.write_text("You like pumps.")
    async with LocalBroker(short_home) as fleet:
        await fleet.add("bob")
        code, words, errors = await preview(short_home, "bob", "--diff")
        assert (code, words) == (1, "")
        assert "bob was not woken yet; `queenpost prompt show bob` shows what it would be told" in errors
        workspace = Workspace(short_home, "bob")
        workspace.make()
        (worker,) = await fleet.harness("bob")
        who = await worker.client.call(AgentsWhoami(), AgentsWho, as_="bob")
        workspace.prompt_file.write_text(standing(who, state=workspace.state, role_prompt="You like pumps."))
        assert (await preview(short_home, "bob", "--diff", "--role-prompt", str(role)))[:2] == (0, "")
        role.write_text("You like valves.")
        _, words, _ = await preview(short_home, "bob", "--diff", "--role-prompt", str(role))
        assert [line for line in words.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
            "-You like pumps.", "+You like valves."
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nobody",), "secrets/agents/nobody"),
        (("bob", "--role-prompt", "/no/such/file"), "the role prompt cannot be read"),
    ],
)
async def test_what_cannot_be_shown_is_said(short_home: Home, words: tuple[str, ...], said: str) -> None:
    """Bad input: exit code 1, one sentence, no traceback."""
    async with LocalBroker(short_home) as fleet:
        await fleet.add("bob")
        code, shown, errors = await preview(short_home, *words)
    assert (code, shown) == (1, "")
    assert said in errors
    assert "Traceback" not in errors
