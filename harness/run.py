"""The third step of the loop: one program over one turn; transcript, lease and silence are watched.

It closes nothing: what the ending means for the mail is the broker's decision, when the loop closes the turn.
"""

from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio

from harness.announcing import Announcer
from harness.backends.protocol import (
    Backend,
    Began,
    Ended,
    Event,
    Output,
    Permission,
    Permit,
    Permitted,
    RunningTurn,
    ToolUse,
    TurnRequest,
    deny,
)
from harness.backends.tasks import task_group
from harness.checkpoints import Checkpoint, go_on
from harness.lease import Lease
from harness.prompting import finish_now
from harness.silence import INTERRUPTED_AT, KILLED_AT, TOLD_AT, Silence, Step
from harness.tally import Tally
from harness.transcript import Transcript
from harness.turn_file import noted
from harness.workspace import Workspace
from wire.logs import get_logger
from wire.turns import Outcome, Turn, Usage

REASON_CHARACTERS = 1500

Admission = Callable[[], AbstractAsyncContextManager[None]]
"""Entered before the program is started: it may take a while, or raise that it must not be."""

AtTool = Callable[[str], Coroutine[Any, Any, None]]
"""Told of each tool that the model uses, by its name."""

AtSilence = Callable[[float], Coroutine[Any, Any, None]]
"""Told that nothing came for so many seconds."""

log = get_logger("turn")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn's program came to its end."""

    outcome: Outcome
    reason: str = ""
    begun: bool = False
    """The model had begun to answer."""
    usage: Usage | None = None
    unseen: tuple[str, ...] = ()
    """Put into the turn but never seen by the model: carried into the next one."""
    lost: bool = False
    """The turn is not ours any more: there is nothing to close."""
    last_words: str = ""
    until_ms: int | None = None
    """When what stood in the way is over, by the program's word."""
    output_bytes: int = 0
    seconds: float = 0.0
    forgiven: bool = False
    """It is not the mail's fault, whatever its outcome; the broker hears that the model had not begun."""


class Run:
    """One program over one turn. Made for a single use."""

    def __init__(
        self,
        turn: Turn,
        backend: Backend,
        lease: Lease,
        workspace: Workspace,
        *,
        silence_s: float,
        secrets: tuple[str, ...],
        now_ms: Callable[[], int],
        permit: Permit = deny,
        announcer: Announcer | None = None,
        admission: Admission = nullcontext,
        at_tool: AtTool | None = None,
        at_silence: AtSilence | None = None,
        checkpoint: Checkpoint = go_on,
    ) -> None:
        self._turn = turn
        self._backend = backend
        self._lease = lease
        self._workspace = workspace
        self._silence = Silence(silence_s)
        self._tally = Tally(workspace.state)
        self._secrets = secrets
        self._now_ms = now_ms
        self._permit = permit
        self._announcer = announcer
        self._admission = admission
        self._at_tool = at_tool
        self._at_silence = at_silence
        self._checkpoint = checkpoint
        self._scope = anyio.CancelScope()
        self._verdict: Ended | None = None
        self._interrupted = False
        self._lost = False

    async def __call__(self, prompt: str | None) -> Ending:
        """Run the program to its end, its own or ours.

        Raises:
            NotStartedError: there was no program to run.
        """
        started = anyio.current_time()
        with Transcript(self._workspace.transcripts, self._turn.id, secrets=self._secrets) as transcript:
            with self._scope:
                if self._verdict is None:
                    await self._run(TurnRequest(self._turn.id, prompt, self._ask), transcript)
            ended = self._ending()
            ending = replace(
                ended,
                last_words=transcript.last_words,
                output_bytes=transcript.seen_bytes,
                seconds=anyio.current_time() - started,
                usage=self._tally.usage(ended.usage),
            )
        if transcript.problem:
            log.warning("transcript_not_whole", reason=transcript.problem)
        return ending

    def stop(self, outcome: Outcome, reason: str) -> None:
        """End the program. The first word counts: a program that had ended by itself keeps its own."""
        if self._verdict is None:
            self._verdict = Ended(outcome, reason)
        self._scope.cancel()

    def lose(self, reason: str) -> None:
        """End the program of a turn that is not ours any more."""
        self._lost = True
        self.stop("interrupted", reason)

    def _ending(self) -> Ending:
        ended = self._verdict or Ended("crashed", "the program ended without a word")
        if self._interrupted and ended.outcome != "completed":
            ended = Ended("hung", f"silent for {self._silence.limit_s:g} s", ended.usage, ended.unseen)
        reason = ended.reason[:REASON_CHARACTERS]
        return Ending(
            ended.outcome, reason, self._lease.begun, ended.usage, ended.unseen, self._lost, until_ms=ended.until_ms
        )

    async def _run(self, request: TurnRequest, transcript: Transcript) -> None:
        """Hold the turn from now on, also while the account makes it wait."""
        async with task_group() as tasks:
            tasks.start_soon(self._hold)
            async with self._admission(), self._backend.run(request) as program:
                mail = [message.id for message in self._turn.mail]
                with noted(self._workspace, self._turn.id, mail, program.pid, self._now_ms()):
                    await self._checkpoint("started")
                    await self._attend(program, transcript)
            tasks.cancel_scope.cancel()

    async def _attend(self, program: RunningTurn, transcript: Transcript) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(self._silence.watch, self._steps(program)))
            async for event in program.events():
                await self._take_in(event, transcript)
                if isinstance(event, ToolUse) and self._announcer is not None:
                    tasks.start_soon(self._announcer.at_tool, program)
                if isinstance(event, ToolUse) and self._at_tool is not None:
                    tasks.start_soon(self._at_tool, event.name)
            tasks.cancel_scope.cancel()

    async def _take_in(self, event: Event, transcript: Transcript) -> None:
        if not isinstance(event, Output) or event.alive:
            self._silence.heard()
        match event:
            case Output(data, stream):
                transcript.write(data, stream)
            case Began():
                self._lease.begin()
                await self._checkpoint("begun")
            case Ended():
                self._verdict = self._verdict or event
            case ToolUse(name):
                self._tally.used(name)

    async def _ask(self, permission: Permission) -> Permitted:
        with self._silence.held():
            return await self._permit(permission)

    async def _hold(self) -> None:
        await self._lease.keep()
        self.lose("the turn went to somebody else")

    def _steps(self, program: RunningTurn) -> list[Step]:
        return [
            (TOLD_AT, partial(self._tell, program)),
            (INTERRUPTED_AT, partial(self._interrupt, program)),
            (KILLED_AT, self._kill),
        ]

    async def _tell(self, program: RunningTurn) -> None:
        limit_s = self._silence.limit_s
        told = await program.nudge(finish_now(TOLD_AT * limit_s, (1 - TOLD_AT) * limit_s))
        log.warning("turn_silent", limit_s=limit_s, told=told)
        if self._at_silence is not None:
            await self._at_silence(TOLD_AT * limit_s)

    async def _interrupt(self, program: RunningTurn) -> None:
        self._interrupted = True
        await program.interrupt()

    async def _kill(self) -> None:
        self.stop("hung", f"silent for {self._silence.limit_s:g} s")
