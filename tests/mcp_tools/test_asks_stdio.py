"""Asks between real sessions over stdio: put by one, listed until it is answered, read by the other."""

from pathlib import Path

import anyio
from mcp import Client

from tests.mcp_tools.conftest import Era
from tests.mcp_tools.fleet import running_fleet
from tests.mcp_tools.reading import framed, text_of


async def test_an_ask_goes_over_is_listed_again_and_comes_back_answered(tmp_path: Path, era: Era) -> None:
    """[H08] [H09] DESIGN 5.4: the answer acks the question's mail where it is still with the session."""
    async with running_fleet(tmp_path) as fleet:
        alice, bob = await fleet.add("alice"), await fleet.add("bob")
        with anyio.fail_after(30):
            async with (
                Client(fleet.parameters(alice), mode=era) as asker,
                Client(fleet.parameters(bob), mode=era) as answerer,
            ):
                question = {"question": "Which pump?", "to": bob, "options": ["left", "right"]}
                assert text_of(await asker.call_tool("ask", question)).startswith(f"a1 to {bob}: open until ")
                first = text_of(await answerer.call_tool("recv", {"wait_seconds": 10}))
                (mail,) = framed(first)
                assert (mail.attributes["ask"], mail.attributes["from"]) == ("a1", alice)
                assert mail.body == "Which pump?\n(answer with one of: left | right)"
                assert "You were asked before" not in first

                await fleet.send(bob, "something else")
                again = text_of(await answerer.call_tool("recv", {"wait_seconds": 10}))
                assert "You were asked before and have not answered yet" in again
                assert f"a1 from {alice}, until " in again
                assert f"a1 from {alice}, " in text_of(await answerer.call_tool("list_my_asks", {}))

                told = text_of(await answerer.call_tool("answer", {"id": "a1", "answer": "LEFT"}))
                assert told == f"a1 is answered; {alice} gets it as m3"
                (answer,) = framed(text_of(await asker.call_tool("recv", {"wait_seconds": 10})))
                assert (answer.body, answer.attributes["answer_to"], answer.attributes["in_reply_to"]) == (
                    "left", "a1", "m1"
                )  # fmt: skip
                assert text_of(await asker.call_tool("list_my_asks", {})) == "You asked: nothing that is open"
                late = await answerer.call_tool("answer", {"id": "a1", "answer": "right"})
                assert late.is_error
                assert text_of(late).startswith(f"closed: a1 was already answered by {bob}")
                assert text_of(await answerer.call_tool("cancel_ask", {"id": "a1"})).startswith("unknown: no ask 'a1'")
