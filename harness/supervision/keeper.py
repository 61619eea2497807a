"""One agent's keeper: attaches it, runs its loop, starts the loop again, and knows when to leave it alone.

Long because whatever happens to one agent from outside has to find the same few states, in one place.
"""

from functools import partial

import anyio

from harness import session_lock
from harness.accounts import Account
from harness.backends import session_file
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.desk import HarnessDesk
from harness.permissions import PermissionDesk
from harness.post import PASSING, Counter, Post, patiently
from harness.reporting import Reporter
from harness.supervision.beside import tidier_of
from harness.supervision.house import House
from harness.supervision.wishes import Wishes
from harness.turn_loop import Hosted, TurnLoop
from harness.warmth import Place
from harness.workspace import Workspace
from wire.agents import AgentsAttach, AgentsAttached, AgentsChanged, AgentsDetach, Restart
from wire.backoff import Backoff
from wire.errors import Conflict, QueenpostError, Stale, Unavailable
from wire.logs import bind, get_logger
from wire.outlet import Outlet
from wire.private_files import read_secret
from wire.records import Records
from wire.settings import AccountSettings, AgentSettings

BUSY_RETRY_S = 1.0
"""How often it looks whether a holder that lost its connection has given the agent up."""

REFUSED_RETRY_S = 30.0
"""How often it asks again for an agent that is held elsewhere: none with mail is left asleep for ever."""

DETACH_S = 2.0

COMES_WITHIN_S = 3.0
"""How long nothing is begun for a terminal that wants the session and does not come; it asks again."""
LOOK_EVERY_S = 0.2
"""How often it is looked whether a terminal has let the session go; of that one agent only."""

DRAINING = "the harness stops when the turns that run have ended"

log = get_logger("harness")


class Keeper:
    """One agent, for as long as this process runs. Never raises: one agent's trouble is not the others'."""

    def __init__(self, agent: str, house: House) -> None:
        self.agent = agent
        self.held = False
        """It is attached: we act for it."""
        self.refusal: str | None = None
        """Why it is not."""
        self.settled = anyio.Event()
        """It was attached or refused for the first time."""
        self.done = anyio.Event()
        """It is detached and nothing of it runs any more."""
        self.drained = anyio.Event()
        """No turn of it runs, and none opens any more."""
        self._house = house
        self._workspace = Workspace(house.home, agent)
        self._post = Post(house.client, agent)
        self._reporter = Reporter(self._post)
        self._takeover = house.takeover
        self._restarts = Backoff(1.0, 60.0)
        self._settings: AgentSettings | None = None
        self._account: AccountSettings | None = None
        self._loop: TurnLoop | None = None
        self._desk: HarnessDesk | None = None
        self._loop_scope = anyio.CancelScope()
        self._fenced: str | None = None
        self._why: str | None = None
        """What was said last about why it is not held."""
        self._stopping = False
        self._draining = False
        self._outlet = Outlet(
            agent, self._workspace.outbox_file, Records(house.client.call, "harness", self._post.call)
        )
        self._wishes = Wishes(self._workspace.restart_file)
        self._lent = False
        """A terminal is about to open the session."""
        self._has_news = False
        self._news = anyio.Event()
        """Set and replaced when the agent may have changed; `_has_news` keeps what nobody waited for."""

    @property
    def turn(self) -> str | None:
        """The turn that is open now."""
        return self._desk.open.id if self._desk and self._desk.open else None

    async def run(self) -> None:
        """Host the agent until told to stop."""
        async with anyio.create_task_group() as outlet:
            outlet.start_soon(self._outlet.run)
            await self._host()
            outlet.cancel_scope.cancel()
        self.done.set()

    async def _host(self) -> None:
        with bind(agent=self.agent):
            while not self._stopping:
                try:
                    await (self._stay_down() if self._draining else self._live())
                except Exception:
                    # The outermost handler of one agent; the next loop is given the turn that was open.
                    log.exception("loop_crashed")
                    await self._reporter.say("failed", "a defect of the harness; its log has it as loop_crashed")
                    await self._pause(self._restarts.next_s())
            await self._detach()

    async def _live(self) -> None:
        """Attach and serve, once; or wait where that is not possible."""
        self._has_news = False
        try:
            attached = await patiently(lambda: self._attach(self._house.client))
        except Conflict as exc:
            may_end_soon = exc.details.get("connected") is False
            self._refuse(exc.message, "the former harness may come back" if may_end_soon else "held elsewhere")
            if not may_end_soon:
                self.settled.set()
            await self._pause(BUSY_RETRY_S if may_end_soon else REFUSED_RETRY_S)
        except QueenpostError as exc:
            self._refuse(exc.message, "refused")
            self.settled.set()
            await self._pause(None)
        else:
            await self._serve(attached)

    async def _attach(self, counter: Counter) -> AgentsAttached:
        path = self._workspace.token_file
        request = AgentsAttach(
            agent=self.agent,
            instance=self._house.instance,
            # Without a file the broker knows better what is wrong: there may be no such agent.
            agent_token=read_secret(path) if path.exists() else None,
            takeover=self._takeover,
        )
        attached = await counter.call(request, AgentsAttached)
        self._takeover = False  # only the harness before us was reaped, not one that comes later
        self.held, self.refusal, self._why = True, None, None
        return attached

    def _refuse(self, reason: str, why: str) -> None:
        """Note why the agent is not hosted, and say so once."""
        self.held = False
        self.refusal = reason
        if why != self._why:
            log.warning("agent_not_held", why=why, reason=reason)
        self._why = why

    async def _serve(self, attached: AgentsAttached) -> None:
        if await self._stood_aside():
            return  # with whatever has changed meanwhile
        self._settings, self._account = attached.settings, attached.account
        wish = attached.restart
        if wish is not None and self._wishes.is_new(wish):
            if self._wishes.fresh:  # before it is noted: who dies in between has not done it
                session_file.forget(self._workspace.session_file)
            self._wishes.note(wish)
        desk = HarnessDesk(
            self._post, attached.role, self._house.checkpoint, keep=self._outlet.add, clock=self._house.clock
        )  # fmt: skip
        token = self._house.bearers.issue(desk)
        try:
            loop = await self._loop_for(attached, desk, token)
            self.settled.set()
            if loop is not None:
                await self._run_loop(loop, desk)
        finally:
            self._house.bearers.revoke(self.agent)

    async def _stood_aside(self) -> bool:
        """Wait while the session is open at a terminal, or is about to be; False: there was nothing to wait for."""
        lock = self._workspace.session_lock
        if not self._lent and not session_lock.is_at_terminal(lock):
            return False
        self.settled.set()
        comes_until = anyio.current_time() + COMES_WITHIN_S
        while self.held and not (self._stopping or self._draining):
            if session_lock.is_at_terminal(lock):
                self._lent, guest = False, session_lock.guest_of(lock)
                who = f" (pid {guest.pid})" if guest is not None else ""
                await self._reporter.say("parked", f"its session is open at a terminal{who}, and goes on after that")
            elif self._lent and anyio.current_time() < comes_until:
                await self._reporter.say("parked", "its session is about to be opened at a terminal")
            else:
                break
            self._has_news = False
            await self._pause(LOOK_EVERY_S)
        self._lent = False
        with session_lock.shared(lock) as free:  # what a terminal has begun that came since is no leftover
            if free:
                session_lock.end_leftover(lock)
        log.info("session_back")
        return True

    async def _loop_for(self, attached: AgentsAttached, desk: HarnessDesk, token: str) -> TurnLoop | None:
        place = Place(self._house.warmth, self.agent)
        seat = Seat(
            self._workspace, attached.settings, self._house.mcp_url(), token, attached.account,
            attached=partial(self._house.bearers.expect, self.agent), place=place, tools=desk.tools,
        )  # fmt: skip
        backend = self._house.choose(seat)
        if backend is None:
            await self._detach()
            self._refuse("its backend is 'none': nothing is run for it; set `backend` to host it", "not hosted")
            self.settled.set()
            await self._pause(None)
            return None
        self._workspace.make()
        probe = await backend.probe()
        if probe.problem:
            log.warning("program_not_ready", reason=probe.problem)
        account = self._account_of(seat)
        log.info("agent_hosted", epoch=attached.epoch, backend=attached.settings.backend, version=probe.version)
        return TurnLoop(
            Hosted(
                self._post,
                backend,
                desk,
                self._reporter,
                self._workspace,
                attached.settings,
                self._house.clock,
                self._house.freezing,
                account,
                place=place,
                secrets=seat.secrets,
                prepare=seat.prepare,
                permit=self._permission_desk(attached.settings, desk, account),
                tidy=tidier_of(self._house, seat, self._post, account, self._reporter),
                checkpoint=self._house.checkpoint,
            )
        )

    def _permission_desk(self, settings: AgentSettings, desk: HarnessDesk, account: Account) -> PermissionDesk:
        said = desk.claims.asked
        return PermissionDesk(self._post, self._reporter, settings.permissions, settings.delegate, account, said=said)

    def _account_of(self, seat: Seat) -> Account:
        """Give the account whose limits it shares; where its env_file cannot be read, each start says so."""
        try:
            login = seat.login()
        except NotStartedError:
            return self._house.accounts.get(f"agent {self.agent}", self._house.clock)
        seat.place.account, seat.place.most = login.account, login.max_warm
        return self._house.accounts.get(login.account, self._house.clock, login.max_running)

    async def _run_loop(self, loop: TurnLoop, desk: HarnessDesk) -> None:
        self._loop, self._desk, self._fenced = loop, desk, None
        try:
            with anyio.CancelScope() as self._loop_scope, session_lock.shared(self._workspace.session_lock) as free:
                # What is new since it was attached is not in this loop: it is attached once more.
                if free and not (self._stopping or self._draining or self._has_news):
                    await loop.run()
                    self._restarts.reset()
        except Stale as exc:
            self._fenced = exc.message
        finally:
            loop.hosted.account.gave_up(self.agent)
            self._loop = self._desk = None
        if self._fenced is not None:
            self._refuse(self._fenced, "fenced")
            await self._pause(None)

    async def _pause(self, seconds: float | None) -> None:
        """Wait so long, or until there are news of the agent."""
        with anyio.move_on_after(seconds):
            if not self._has_news and not self._stopping:
                await self._news.wait()

    async def _stay_down(self) -> None:
        """Be attached and open no turn. It is said why: nobody shall be alarmed about mail that waits."""
        self._has_news = False
        if self.held:
            await self._reporter.say("parked", DRAINING)
        self.drained.set()
        await self._pause(None)

    async def _detach(self) -> None:
        if self.held:
            self.held = False
            try:
                await self._house.client.call(AgentsDetach(agent=self.agent), AgentsChanged, timeout_s=DETACH_S)
            except QueenpostError as exc:
                log.info("agent_not_detached", reason=exc.message)

    # --- what happens outside -----------------------------------------------------------------------

    async def on_link(self, link: Counter) -> None:
        """There is a new link: be the same instance on it, and take the open turn back.

        Raises:
            Unavailable: not now; the link is to be made again.
        """
        if not self.held:
            return
        try:
            attached = await self._attach(link)
        except PASSING as exc:
            raise Unavailable(exc.message) from exc
        except QueenpostError as exc:
            self.fence(exc.message)
            return
        await self._take_turn_back(link)
        await self._reporter.again(link)
        self._compare(attached)

    async def _take_turn_back(self, link: Counter) -> None:
        turn = self._desk.open if self._desk else None
        if turn is None:
            return
        try:
            await turn.resume(link)
        except PASSING as exc:
            raise Unavailable(exc.message) from exc
        except QueenpostError as exc:
            if self._loop is not None:
                self._loop.lose_turn(exc.message)

    async def refresh(self) -> None:
        """The agent may have other settings, or is to be restarted: its loop is started again, behind its turn."""
        self.tell()
        if self.held:
            try:
                self._compare(await self._attach(self._house.client))
            except QueenpostError as exc:
                log.debug("agent_not_refreshed", agent=self.agent, reason=exc.message)

    def _compare(self, attached: AgentsAttached) -> None:
        if attached.restart is not None and self._wishes.is_new(attached.restart):
            self._restart(attached.restart)
        known = (self._settings, self._account)
        if self._settings is not None and (attached.settings, attached.account) != known:
            log.info("settings_changed", agent=self.agent)
            if self._loop is not None:
                self._loop.leave()
            else:
                self.tell()

    def _restart(self, wish: Restart) -> None:
        """The operator wants the program anew: behind the turn that runs, or in the middle of it."""
        log.info("restart_wanted", agent=self.agent, now=wish.now, fresh=wish.fresh, turn=self.turn)
        if self._loop is not None and wish.now:
            self._loop.restart()
        elif self._loop is not None:
            self._loop.leave()
        self.tell()

    def tell(self) -> None:
        """There are news of the agent: what was refused is tried again, a rest is over."""
        self._has_news = True
        self._news.set()
        self._news = anyio.Event()
        if self._loop is not None:
            self._loop.wake()

    def fence(self, reason: str) -> None:
        """The agent is somebody else's now: end its program, leave it alone until there are news."""
        self._fenced = reason
        self.held = False
        if self._loop is not None:
            self._loop.lose(reason)

    def freeze(self) -> None:
        """The operator froze the agent: end its program and stay attached; the loop waits for the thaw."""
        if self._loop is not None:
            self._loop.freeze()

    def lend(self, *, now: bool) -> None:
        """A terminal wants the session: behind the turn that runs, or in the middle of it."""
        log.info("session_wanted", agent=self.agent, now=now, turn=self.turn)
        self._lent = True
        if self._loop is not None and now:
            self._loop.lend()
        elif self._loop is not None:
            self._loop.leave()
        self.tell()

    def interrupt(self, message: str) -> None:
        """Mail came that does not wait: end the turn that runs, unless it has that mail already."""
        turn = self._desk.open if self._desk is not None else None
        if self._loop is not None and turn is not None and not turn.has(message):
            self._loop.interrupt(message)

    def restart_loop(self) -> None:
        """The broker sees mail and nobody waiting for it: the loop is stuck, unless it said that it rests."""
        if self._loop is not None and not self._loop.resting:
            log.warning("loop_restarted", agent=self.agent)
            self._loop_scope.cancel()

    def drain(self) -> None:
        """Open no further turn; the one that runs goes on. `drained` tells when there is none."""
        self._draining = True
        if self._loop is not None:
            self._loop.leave()
        self.tell()

    def stop(self) -> None:
        """End the agent's program and detach; `done` tells when that has happened."""
        self._stopping = True
        self.tell()
        if self._loop is not None:
            self._loop.stop()
