"""A script of 200 operations against a store on disk, the same every time, that tells what it was answered.

`python -P -m tests.torture.script FOLDER` prints a JSON line before and after each operation. Whatever becomes of the
process: what a line says was accepted has to be in the file.
"""

import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker.services import asks, reminders
from broker.services.callers import Caller
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from wire.asks import AsksAnswer, AsksAsk
from wire.errors import QueenpostError
from wire.reminders import RemindersAdd
from wire.settings import Limits

OPERATIONS = 200
NAMES = ("ann", "ben", "cleo")
LIMITS = Limits(send_burst=1_000_000, inbox_messages=1_000_000, inbox_bytes=2**30, disk_headroom_bytes=0)

Told = dict[str, Any]


class Script:
    """One run. What comes next depends on its number and on what the office answered so far."""

    def __init__(self, office: FakeOffice) -> None:
        self.office = office
        self.callers: dict[str, Caller] = {}
        self.asked: list[str] = []

    def begin(self) -> None:
        """Make the fleet."""
        for name in NAMES:
            self.office.add(name)
            self.callers[name] = self.office.harness(name)

    def operation(self, number: int) -> tuple[str, Callable[[], Told]]:
        """Choose what operation `number` is, and how to do it."""
        dice = random.Random(number)
        name = dice.choice(NAMES)
        acts: list[tuple[str, Callable[[str, int, random.Random], Told]]] = [
            ("send", self._send),
            ("send", self._send),
            ("work", self._work),
            ("work", self._work),
            ("ask", self._ask),
            ("answer", self._answer),
            ("remind", self._remind),
            ("due", self._due),
        ]
        word, act = acts[dice.randrange(len(acts))]
        return word, lambda: act(name, number, dice)

    def _send(self, name: str, number: int, dice: random.Random) -> Told:
        to = dice.choice([*(other for other in NAMES if other != name), "operator", "*"])
        body = f"letter {number} " + "x" * dice.randrange(1500)
        sent = self.office.send(self.callers[name], to, body, key=f"op-{number}")
        return {"message": sent.id, "key": f"op-{number}", "sender": name, "body": len(body)}

    def _work(self, name: str, number: int, dice: random.Random) -> Told:
        caller = self.callers[name]
        opened = self.office.open(caller)
        if opened is None or opened.turn is None:
            return {}
        outcome = dice.choice(("completed", "completed", "completed", "crashed"))
        closed = self.office.close(caller, opened.turn.id, outcome)
        return {"turn": closed.id, "outcome": outcome, "acked": closed.acked, "agent": name}

    def _ask(self, name: str, number: int, dice: random.Random) -> Told:
        to = dice.choice([*(other for other in NAMES if other != name), "operator"])
        request = AsksAsk(key=f"op-{number}", to=to, question=f"question {number}?")
        asked = self.office.do(lambda tx: asks.ask(tx, self.callers[name], request, self.office.rules))
        self.asked.append(asked.id)
        return {"ask": asked.id, "question": request.question}

    def _answer(self, name: str, number: int, dice: random.Random) -> Told:
        if not self.asked:
            return {}
        request = AsksAnswer(key=f"op-{number}", ask=self.asked.pop(0), answer=f"answer {number}")
        self.office.do(lambda tx: asks.answer(tx, OPERATOR_CALLER, request, self.office.rules))
        return {"answered": request.ask, "answer": request.answer}

    def _remind(self, name: str, number: int, dice: random.Random) -> Told:
        request = RemindersAdd(key=f"op-{number}", message=f"reminder {number}", delay_s=float(dice.randrange(60)))
        added = self.office.do(lambda tx: reminders.add(tx, self.callers[name], request, self.office.rules))
        return {"reminder": added.id, "text": request.message}

    def _due(self, name: str, number: int, dice: random.Random) -> Told:
        self.office.pass_time(dice.randrange(30))
        return {}


def tell(line: Told) -> None:
    """Write one line and nothing less."""
    os.write(1, json.dumps(line).encode() + b"\n")


def main(folder: Path) -> None:
    """Run the script from its beginning; ends early where the store says that it is broken."""
    folder.mkdir(mode=0o700, exist_ok=True)
    with FakeOffice(folder, limits=LIMITS) as office:
        script = Script(office)
        script.begin()
        tell({"began": True})
        for number in range(OPERATIONS):
            word, act = script.operation(number)
            tell({"n": number, "asked": word})
            try:
                tell({"n": number, "told": act()})
            except QueenpostError as exc:
                tell({"n": number, "refused": exc.code})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
