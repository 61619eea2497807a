"""The turn loop of one agent: wait → compose → run → record → close, for as long as it is wanted.

Only a turn leases mail, and only a turn that was closed as completed has handled it: whatever happens
between two lines of `run`, the mail comes again. Who restarts the loop is `harness.supervision`'s business.
Long because whatever may end a turn from outside has to find the one that runs, in one place.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import anyio.lowlevel

from harness.accounts import Account
from harness.announcing import Announcer
from harness.backends.protocol import Backend, NotStartedError, Permit, deny
from harness.checkpoints import Checkpoint, go_on
from harness.composing import Composer
from harness.crashes import Crashes
from harness.desk import HarnessDesk
from harness.freezing import Freezing
from harness.hints import Hints
from harness.lease import Lease
from harness.open_turn import OpenTurn
from harness.post import Post
from harness.reporting import Reporter
from harness.run import Ending, Run
from harness.tidying import Tidier
from harness.warmth import Place, unbounded
from harness.workspace import Workspace
from wire.agents import Reported
from wire.clock import Clock
from wire.errors import Closed, Stale, Unknown
from wire.logs import bind, get_logger
from wire.settings import AgentSettings
from wire.turns import Outcome, Turn, TurnsClose, TurnsClosed, TurnsOpen, TurnsOpened, is_counted

FIRST_REST_S, LONGEST_REST_S = 1.0, 60.0
FAILED_REST_S = 300.0
"""After a crash loop; news of the agent's settings end it at once."""

FROZEN = "frozen by the operator"
FORGOT = "its program was ended while it waited; the prompt is written anew, for one that has to be told who it is"

WANTED: frozenset[Outcome] = frozenset({"completed", "interrupted", "stopped", "suspended"})
"""Ends after which the next turn may begin at once."""

log = get_logger("turn")


@dataclass(frozen=True, slots=True)
class Hosted:
    """All that the loop works with."""

    post: Post
    backend: Backend
    desk: HarnessDesk
    reporter: Reporter
    workspace: Workspace
    settings: AgentSettings
    clock: Clock
    freezing: Freezing
    account: Account
    prepare: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
    """Makes what has to be there before a turn."""
    permit: Permit = deny
    """Decides about what the program wants allowed."""
    place: Place = field(default_factory=unbounded)
    """Where its program is counted among those that stay between turns."""
    secrets: Callable[[], tuple[str, ...]] = tuple
    """What is masked in transcripts; asked for every turn."""
    tidy: Tidier | None = None
    """Makes notes shorter between turns."""
    checkpoint: Checkpoint = go_on
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


class TurnLoop:
    """One agent's loop. Made for a single use: a restarted loop is a new one."""

    def __init__(self, hosted: Hosted) -> None:
        self.hosted = hosted
        self._crashes = Crashes()
        self._hints = Hints(hosted.workspace, hosted.settings.notes_max_bytes)
        self._rests = 0
        """Failures in a row that were not the fault of the mail."""
        self._pause = anyio.CancelScope()
        """Where the loop waits without a program: for mail, or for better times."""
        self._run: Run | None = None
        self._leaving = False
        self._verdict: Callable[[Run], None] | None = None
        """What ends the program that runs, or the next one before it starts."""
        self._overtaken_by: str | None = None
        """Mail that does not wait, which came since the turn was opened."""
        self._relies_on_memory = False
        """The prompt does not say again who the agent is."""
        self.resting = False
        """It does not look for mail for a while, and has said so."""
        self._tidying = False
        """A session beside the agent's own makes its notes shorter."""

    async def run(self) -> None:
        """Serve turns until told to leave.

        Raises:
            Stale: another instance works for the agent.
        """
        async with self.hosted.backend.open():
            await self._serve_turns()

    async def _serve_turns(self) -> None:
        turn: Turn | None = None
        while turn is not None or not self._leaving:
            turn = turn or await self._wait()
            if turn is None:
                continue
            self._overtaken_by = None
            with self.hosted.desk.serving(turn) as open_turn, bind(turn=turn.id):
                try:
                    prompt = await self._compose(turn)
                    ending = await self._run_program(turn, open_turn, prompt)
                except NotStartedError as exc:
                    ending = Ending(exc.outcome, exc.reason)
                self._record(turn, ending)
                if self._hints.ended(turn.id, ending.outcome):
                    ending = replace(ending, begun=False, forgiven=True)
                turn = await self._close(open_turn, ending)
            await self._rest(ending)
            if ending.outcome == "completed" and turn is None:
                await self._tidy()

    # --- the five steps -----------------------------------------------------------------------------

    async def _wait(self) -> Turn | None:
        """Park until there is mail; None when the wait passed without any, or was ended."""
        with anyio.CancelScope() as self._pause:
            if not self._leaving:
                await self.hosted.freezing.thawed(self.hosted.post.agent)
                await self._pass_the_wall()
                await self.hosted.reporter.say("idle")
                opened = await self.hosted.post.insist(TurnsOpen(), TurnsOpened)
                await self.hosted.checkpoint("opened")
                return opened.turn
        return None

    async def _pass_the_wall(self) -> None:
        """Ask for no mail while the account can do nothing with it."""
        self.resting = True
        try:
            await self.hosted.account.passed(self.hosted.post.agent, self._park)
        finally:
            self.resting = False

    async def _park(self, reason: str, until_ms: int) -> None:
        await self.hosted.reporter.say("parked", reason, until_ms)

    @asynccontextmanager
    async def _admission(self) -> AsyncGenerator[None]:
        async with self.hosted.account.admission(self.hosted.post.agent, self._park):
            with self.hosted.place.turn():
                if self._relies_on_memory and not self.hosted.backend.remembers:
                    raise NotStartedError("interrupted", FORGOT)
                await self.hosted.reporter.say("working")
                yield

    async def _compose(self, turn: Turn) -> str | None:
        """Write the prompt; None where the program already holds the mail."""
        await self.hosted.reporter.say("working")
        over = await self.hosted.desk.claims.work_on(turn.mail, turn.id)
        if turn.carried and self.hosted.backend.resident:
            return None
        await self.hosted.prepare()
        composer = Composer(self.hosted.post, self.hosted.workspace, self.hosted.settings.prompt, self._hints)
        self._relies_on_memory = self.hosted.backend.remembers
        prompt = await composer.write(turn, remembers=self._relies_on_memory)
        await self.hosted.checkpoint("composed")
        return "\n\n".join([prompt, *over])

    async def _run_program(self, turn: Turn, open_turn: OpenTurn, prompt: str | None) -> Ending:
        """Run the program over the turn, renewing the lease while it lives."""
        hosted = self.hosted
        lease = Lease(open_turn, hosted.post)
        self._run = Run(
            turn,
            hosted.backend,
            lease,
            hosted.workspace,
            silence_s=hosted.settings.silence_s,
            secrets=hosted.secrets(),
            now_ms=hosted.clock.wall_ms,
            permit=hosted.permit,
            announcer=Announcer(hosted.post, open_turn),
            admission=self._admission,
            at_tool=hosted.reporter.uses,
            at_silence=hosted.reporter.is_silent,
            checkpoint=hosted.checkpoint,
        )
        if self._verdict is not None:
            self._verdict(self._run)
        elif self._overtaken_by is not None:  # while the prompt was written
            self.interrupt(self._overtaken_by)
        elif hosted.freezing.holds(hosted.post.agent):  # since the turn was asked for
            self._run.stop("stopped", FROZEN)
        ending = await self._run(prompt)
        self._run = None
        await hosted.checkpoint("ran")
        return ending

    def _record(self, turn: Turn, ending: Ending) -> None:
        """Write the one line that says it all."""
        log.info(
            "turn_ended",
            outcome=ending.outcome,
            **({"reason": ending.reason} if ending.reason else {}),
            mail=[mail.id for mail in turn.mail],
            begun=ending.begun,
            seconds=round(ending.seconds, 3),
            output_bytes=ending.output_bytes,
        )

    async def _close(self, turn: OpenTurn, ending: Ending) -> Turn | None:
        """Tell the broker, however long it is away; give the turn that holds what was carried."""
        turn.shut()
        if ending.lost:
            return None
        if ending.outcome == "completed":
            await turn.settle()
        await self.hosted.checkpoint("settled")
        request = TurnsClose(
            turn=turn.id,
            outcome=ending.outcome,
            begun=ending.begun,
            reason=_why(ending),
            usage=ending.usage,
            carry=list(ending.unseen),
        )
        try:
            closed = await self.hosted.post.insist(request, TurnsClosed)
        except (Stale, Closed, Unknown) as exc:
            log.warning("turn_closed_too_late", reason=exc.message)
            return None
        await self.hosted.checkpoint("closed")
        return closed.next

    # --- between turns ------------------------------------------------------------------------------

    async def _rest(self, ending: Ending) -> None:
        """After a failure that was not the mail's fault, look for mail again later and later: no hot loop."""
        agent, account = self.hosted.post.agent, self.hosted.account
        if account.note(agent, ending.outcome, ending.reason, begun=ending.begun, until_ms=ending.until_ms):
            return  # nobody of the account opens a turn before that may be over
        if ending.outcome == "completed":
            self._rests = 0
            self._crashes.clear()
        elif ending.outcome == "crashed" and self._crashes.note():
            await self._rest_for("failed", FAILED_REST_S, ending)
        elif ending.lost or not _goes_on(ending):
            seconds = min(FIRST_REST_S * 2**self._rests, LONGEST_REST_S)
            self._rests += 1
            await self._rest_for("parked", seconds, ending)

    async def _rest_for(self, state: Reported, seconds: float, ending: Ending) -> None:
        if self._leaving:
            return
        self.resting = True
        await self.hosted.reporter.say(state, _why(ending), self.hosted.clock.wall_ms() + int(seconds * 1000))
        log.warning("agent_rests", state=state, seconds=seconds, reason=_why(ending))
        with anyio.CancelScope() as self._pause:
            if not self._leaving:
                await self.hosted.sleep(seconds)
        self.resting = False

    async def _tidy(self) -> None:
        """Have the notes made shorter where they are too large; mail that comes meanwhile waits for a while."""
        if self.hosted.tidy is None or self._leaving or self.hosted.freezing.holds(self.hosted.post.agent):
            return
        self.resting = self._tidying = True
        try:
            with anyio.CancelScope() as self._pause:
                await self.hosted.tidy()
        finally:
            self.resting = self._tidying = False

    # --- from outside -------------------------------------------------------------------------------

    def wake(self) -> None:
        """End a rest: what stood in the way may be gone."""
        if self.resting and not self._tidying:
            self._pause.cancel()

    def leave(self) -> None:
        """End the loop behind the turn that runs, if one does."""
        self._leaving = True
        self._pause.cancel()

    def stop(self) -> None:
        """End the loop and the program that runs; its turn is closed as stopped."""
        self._end(lambda run: run.stop("stopped", "the harness is stopping"))

    def restart(self) -> None:
        """End the loop and the program that runs; its turn is closed as interrupted, and its mail goes back."""
        self._end(lambda run: run.stop("interrupted", "the operator restarted the agent"))

    def lend(self) -> None:
        """As `restart`, for a terminal that wants the session now."""
        self._end(lambda run: run.stop("interrupted", "the operator opens the session at a terminal"))

    def lose(self, reason: str) -> None:
        """End the loop and the program that runs: the turn is not ours any more."""
        self._end(lambda run: run.lose(reason))

    def lose_turn(self, reason: str) -> None:
        """End the program that runs; the loop goes on with the next turn."""
        if self._run is not None:
            self._run.lose(reason)

    def interrupt(self, message: str) -> None:
        """End the turn that is open; its mail goes back uncounted, and the next turn begins with this message."""
        self._overtaken_by = message
        if self._run is not None:
            self._run.stop("interrupted", f"{message} does not wait")

    def freeze(self) -> None:
        """End the program that runs; its turn is closed as stopped, and the loop waits for the thaw."""
        if self._run is not None:
            self._run.stop("stopped", FROZEN)
        elif self._tidying:
            self._pause.cancel()

    def _end(self, verdict: Callable[[Run], None]) -> None:
        self._verdict = verdict
        self.leave()
        if self._run is not None:
            verdict(self._run)


def _goes_on(ending: Ending) -> bool:
    """Say whether mail may be looked for at once: it was wanted so, is forgiven, or the broker holds the mail back."""
    return ending.outcome in WANTED or ending.forgiven or is_counted(ending.outcome, begun=ending.begun)


def _why(ending: Ending) -> str:
    """Say why a turn ended, with the program's last words where it failed."""
    if ending.outcome == "completed":
        return ending.reason
    # Lines that end so are events in JSON, of a program that has given its reason in one of them.
    last = "\n".join(line for line in ending.last_words.splitlines() if not line.endswith("}"))
    words = f"; last words: {last}" if last else ""
    return f"{ending.outcome}: {ending.reason}{words}"[:1900]
