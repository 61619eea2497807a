"""Answers each message with its own text. For a first look, and for tests."""

from harness.scripted.agent import ScriptedAgent
from harness.scripted.frames import Letter


def run(agent: ScriptedAgent) -> None:
    """Answer all mail; a repeated turn sends nothing twice."""
    for letter in agent.all_mail():
        if _wants_an_answer(letter):
            agent.say(f"answering {letter.id} from {letter.sender}")
            agent.send(letter.sender, letter.body, in_reply_to=letter.id, key=f"echo:{letter.id}")
        else:
            agent.say(f"read {letter.id} from {letter.sender}")


def _wants_an_answer(letter: Letter) -> bool:
    """Say no to notices, and to a peer's answer: two echoes would never stop."""
    if letter.kind in {"system", "reminder", "external"}:
        return False
    return letter.kind == "operator" or letter.in_reply_to is None
