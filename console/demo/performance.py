"""One run of the demo with everything around it: the fleet is started, watched, and stopped whatever happens.

What the audience gets to see goes through `say`; what came out of it is a `Play`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio

from console.cli.failing import innermost
from console.demo.accident import Accident
from console.demo.play import play, take_account
from console.demo.stage import Stage
from console.demo.telling import Telling
from console.demo.verdict import Play
from console.log_files import Follower, Record
from console.supervisor.app import UpSettings, start
from console.supervisor.signals import stop_on_signals
from wire.client import BrokerClient
from wire.errors import QueenpostError
from wire.inbox import InboxExplain, InboxExplained
from wire.jobs import MAX_SHOWN, JobsShow, JobsShown
from wire.private_files import read_secret

READY_S = 60.0
LOOK_EVERY_S = 0.05

Say = Callable[[str], None]


@dataclass(slots=True)
class Performance:
    """See `run`."""

    stage: Stage
    say: Say
    outcome: Play = field(default_factory=Play)
    interrupted: bool = False
    """Somebody pressed Ctrl-C, or ended us."""
    _telling: Telling = field(default_factory=lambda: Telling(datetime.now(UTC)))

    async def run(self) -> None:
        """Play, and stop all that was started. What goes wrong is noted in the outcome."""
        began = anyio.current_time()
        stop = anyio.Event()
        try:
            async with anyio.create_task_group() as signals:
                await signals.start(stop_on_signals, stop)
                await self._with_fleet(stop)
                signals.cancel_scope.cancel()
        except* (QueenpostError, TimeoutError) as group:
            self.outcome.failure = str(innermost(group)) or f"the fleet was not ready within {READY_S:.0f} s"
        self.outcome.seconds = anyio.current_time() - began

    async def _with_fleet(self, stop: anyio.Event) -> None:
        async with anyio.create_task_group() as fleet:
            with anyio.fail_after(READY_S):
                ready = await start(fleet, UpSettings(self.stage.home), stop)
            if ready is not None and ready.harness is None:
                self.outcome.failure = "the harness could not be started; `queenpost logs` of this home says why"
            elif ready is not None:
                self.say(self._telling.ready(ready.harness or {}, datetime.now(UTC)))
                await self._until_interrupted(stop)
            self.interrupted = stop.is_set()
            stop.set()

    async def _until_interrupted(self, stop: anyio.Event) -> None:
        async with anyio.create_task_group() as acting:

            async def cancel() -> None:
                await stop.wait()
                acting.cancel_scope.cancel()

            acting.start_soon(cancel)
            await self._perform()
            acting.cancel_scope.cancel()

    async def _perform(self) -> None:
        home = self.stage.home
        async with BrokerClient(home.socket, lambda: read_secret(home.operator_secret), "demo") as client:
            follower = Follower(home.logs, ["broker"], from_start=True)
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._watch, client, follower)
                limit_s = self.stage.cast.bounds.seconds
                with anyio.move_on_after(limit_s) as limit:
                    await play(self.stage, client, self.outcome, self._on_kill)
                if limit.cancelled_caught:
                    self.outcome.failure = f"it was not done within {limit_s:.0f} s"
                await take_account(client, self.outcome)
                watching.cancel_scope.cancel()
            await self._tell(client, follower)
            follower.close()

    async def _watch(self, client: BrokerClient, follower: Follower) -> None:
        while True:
            await self._tell(client, follower)
            await anyio.sleep(LOOK_EVERY_S)

    async def _tell(self, client: BrokerClient, follower: Follower) -> None:
        for record in follower.new():
            if line := self._telling.line(record, await _body(client, record)):
                self.say(line)

    def _on_kill(self, accident: Accident) -> None:
        self.say(self._telling.killing(accident, datetime.now(UTC)))


async def _body(client: BrokerClient, record: Record) -> str:
    """Look up what a message or an event of a job says; the log has only that there was one."""
    match record.get("event"):
        case "message_accepted":
            return (await client.call(InboxExplain(message=record["message"]), InboxExplained)).body
        case "job_event_recorded":
            shown = await client.call(JobsShow(job=record["job"], limit=MAX_SHOWN), JobsShown)
            number = (record["epoch"], record["seq"])
            return next((event.detail for event in shown.events if (event.epoch, event.seq) == number), "")
        case _:
            return ""
