"""Two real Claude Codes talk to each other, to the operator, and over a death."""

from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import CLAUDE, bash
from tests.e2e.real_fleet import PATIENCE_S, gone, real_fleet
from tests.fakes.models.mail import Letter, read_mail
from tests.fakes.models.talk import Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(180)]

LAST = 10
ASKS_AT, DIES_AT = 4, 6
"""Of the messages that alice gets: with which one she needs a permission, and with which one she is killed."""
COMMAND = "python3 -c 'print(\"permitted\")'"


class Counting:
    """Answers each number with the next one; keeps nothing that the history does not hold."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.letters: list[Letter] = []
        self.killed = anyio.Event()
        self.dying = anyio.Event()

    def __call__(self, heard: Heard) -> Reply:
        """Do what the news asks for."""
        letters = read_mail(heard.news).letters
        self.letters += letters
        if any(result.tool.name == "Bash" for result in heard.results):
            assert "permitted" in heard.result("Bash")
            return self.write(ASKS_AT)
        if not letters:
            return Reply("That was that.")
        return self.answer(letters[-1])

    def answer(self, letter: Letter) -> Reply:
        """Answer a letter."""
        if letter.kind == "operator":
            return self.write(0)
        number = int(letter.body)
        if self.peer == "bob" and number == ASKS_AT:
            return bash(COMMAND)
        if self.peer == "bob" and number == DIES_AT and letter.attempt == 1:
            self.dying.set()
            return Reply("Now").once(self.killed)
        return self.write(number)

    def write(self, number: int) -> Reply:
        """Send the next number, or tell the operator that it was the last."""
        if number == LAST:
            return Reply.calling("send", to="operator", body="We have counted to ten.")
        return Reply.calling("send", to=self.peer, body=str(number + 1))


async def test_ten_messages_a_permission_and_a_death(home: Path) -> None:
    """[P02] [H38] [H21] [P06] Each number is handled, none is said twice, and the operator hears of the end."""
    alice, bob = Counting("bob"), Counting("alice")
    async with real_fleet(home, CLAUDE) as fleet:
        talk = await fleet.add("alice", alice)
        await fleet.add("bob", bob)
        await fleet.host()
        await fleet.fleet.send("alice", "count to ten with bob")

        ask = await fleet.asked("alice")
        assert COMMAND in ask.question
        await fleet.becomes("bob", lambda agent: agent.state == "idle")
        await fleet.answer(ask, "allow")

        with anyio.fail_after(PATIENCE_S):
            await alice.dying.wait()
        await gone(await fleet.kill("alice"))
        await fleet.operator_has("We have counted to ten.")
        for name in ("alice", "bob"):
            await fleet.becomes(name, lambda agent: agent.state == "idle" and not agent.ready + agent.leased)

        account = await fleet.fleet.account()
        assert (account.lost, account.dead) == (0, 0)
        assert [letter.body for letter in bob.letters] == ["1", "3", "5", "7", "9"]
        heard = [(letter.body, letter.attempt) for letter in alice.letters if letter.kind == "peer"]
        assert heard == [("2", 1), ("4", 1), ("6", 1), ("6", 2), ("8", 1), ("10", 1)]
        again = next(one for one in talk.heard if "(redelivered, attempt 2" in one.prompt)
        assert again.answers > 0, "her session was resumed"
        assert fleet.starts() == 3
