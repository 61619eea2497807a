"""A fleet under load: senders and receivers over real sockets, who write down what they were told."""

import random
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from tests.fakes.broker import Fleet
from tests.scenarios.fleet import Worker
from tests.torture.ledger import Ledger, Letter
from wire.client import new_instance
from wire.errors import Closed, Stale
from wire.turns import Turn

AGENTS = 12
SENDERS = 6
"""For each agent: 72 sends are in flight at any moment, and a request of every receiver."""
IN_FLIGHT = AGENTS * SENDERS

SETTINGS = """
[limits]
send_burst = 1_000_000
send_per_minute = 10_000_000
inbox_messages = 1_000_000
inbox_bytes = 1_000_000_000
disk_headroom_bytes = 0
storm_messages = 1_000_000
storm_per_day = 10_000_000
storm_depth = 1_000_000
""" + "".join(f"[agents.agent-{number}]\n" for number in range(AGENTS))


@dataclass
class Load:
    """Traffic that goes on through kills: every client finds its way back by itself."""

    fleet: Fleet
    rng: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    workers: list[Worker] = field(default_factory=list[Worker])
    asking: int = 0
    """Sends that were asked and not answered."""
    answers: int = 0
    _awaited: int = 0
    _reached: anyio.Event = field(default_factory=anyio.Event)
    _keys: int = 0
    _ending: bool = False

    async def attach(self) -> None:
        """Attach all agents, on one connection."""
        self.workers = await self.fleet.harness(*(f"agent-{number}" for number in range(AGENTS)))

    def begin(self, group: TaskGroup) -> None:
        """Start to send and to receive."""
        for worker in self.workers:
            for _ in range(SENDERS):
                group.start_soon(self._send_on, worker)
            group.start_soon(self._receive_on, worker)

    async def more_answers(self, number: int) -> None:
        """Return once so many more sends were accepted."""
        self._awaited = self.answers + number
        self._reached = anyio.Event()
        await self._reached.wait()

    def lose_harnesses(self, share: float) -> list[str]:
        """Let some receivers die with the broker: others take their places, their turns go back. Gives their names."""
        lost = [worker for worker in self.workers if self.rng.random() < share]
        for worker in lost:
            worker.instance = new_instance()
            worker.takes_over = True
        return [worker.name for worker in lost]

    def end(self) -> None:
        """Send nothing new; work off what is there."""
        self._ending = True

    # --- sending ------------------------------------------------------------------------------------

    async def _send_on(self, worker: Worker) -> None:
        while not self._ending:
            letter = self._letter(worker.name)
            self.ledger.letters[letter.sender, letter.key] = letter
            self.asking += 1
            letter.receipt = await worker.send(letter.to, letter.body, key=letter.key)
            self.asking -= 1
            self.answers += 1
            if self.answers >= self._awaited:
                self._reached.set()

    def _letter(self, sender: str) -> Letter:
        self._keys += 1
        dice = self.rng.random()
        others = [worker.name for worker in self.workers if worker.name != sender]
        to = "*" if dice < 0.02 else "operator" if dice < 0.04 else self.rng.choice(others)
        body = f"letter {self._keys} " + "x" * self.rng.randrange(200)
        return Letter(sender, f"key-{self._keys}", to, body)

    # --- receiving ----------------------------------------------------------------------------------

    async def _receive_on(self, worker: Worker) -> None:
        while True:
            try:
                turn = await worker.open(wait_s=0 if self._ending else 0.5)
                if turn is not None:
                    await self._work(worker, turn)
                elif self._ending:
                    return
            except (Stale, Closed):
                continue  # fenced, by the instance that this receiver is now

    async def _work(self, worker: Worker, turn: Turn) -> None:
        dice = 1.0 if self._ending else self.rng.random()
        if dice < 0.08:
            self.ledger.given_back += len(turn.mail)
            await worker.close(turn.id, "interrupted")
            return
        if dice < 0.16:
            some = [mail.id for mail in turn.mail if self.rng.random() < 0.5] or [turn.mail[0].id]
            self.ledger.given_back += len(some)
            await worker.give_back(turn.id, *some)
        elif dice < 0.3:
            await worker.take(turn.id, maximum=8)
        self.ledger.completing.add(turn.id)
        await worker.close(turn.id)
