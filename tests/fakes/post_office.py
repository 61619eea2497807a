"""A post office in memory, as the harness sees it: attach, turns, mail, and what went wrong on request.

It keeps the rules that the turn loop leans on (one open turn, leases, give-back, epochs) and none of the others;
`tests/contracts/test_post_office.py` holds it to the real broker. A lost link, a late answer, a refusal: a test
says when.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from wire import agents, inbox, notes, turns
from wire.errors import Closed, Conflict, Denied, QueenpostError, Stale, Unknown
from wire.fleet import Push
from wire.inbox import Mail
from wire.model import Request, Result
from wire.settings import AgentSettings, Role
from wire.turns import Turn

R = TypeVar("R", bound=Result)


class Box:
    """One agent at the post office."""

    def __init__(self, name: str, settings: AgentSettings) -> None:
        self.name = name
        self.settings = settings
        self.token: str | None = None
        """What proves that somebody may attach it."""
        self.instance: str | None = None
        self.connected = False
        self.restart: agents.Restart | None = None
        """The operator's newest wish."""
        self.epoch = 0
        self.ready: deque[Mail] = deque()
        self.turn: str | None = None
        self.leased: list[Mail] = []
        self.handled: list[str] = []
        self.begun = False
        self.closes: list[turns.TurnsClose] = []
        self.given_back: list[str] = []
        self.reports: list[agents.AgentsReport] = []
        self.renewals = 0
        self.notes_ends: list[notes.NotesEnd] = []
        """Sessions beside its turns that were counted."""
        self.taken: dict[str | None, list[Mail]] = {}
        """By the name of the take: what it leased."""


class PostOffice:
    """Implements `harness.supervision.house.Client` and `harness.post.Counter`."""

    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.asked: list[str] = []
        """The op of every request, in order."""
        self.refusals: dict[type[Request], deque[QueenpostError]] = {}
        """What the next requests of a kind are refused with."""
        self.full: set[str] = set()
        """Agents whose turn takes no more mail."""
        self.lose_answers: set[type[Request]] = set()
        """Requests of these kinds are carried out, and their answers get lost with the link."""
        self.may_shorten = ""
        """Why notes may not be made shorter now; empty: they may."""
        self.repeat = anyio.Event()
        """There is a new link: what was not answered is asked again, as the client does."""
        self._numbers = 0
        self._listeners: list[MemoryObjectSendStream[Push]] = []
        self._changed = anyio.Event()

    # --- what a test does ---------------------------------------------------------------------------

    def add(self, name: str, settings: AgentSettings | None = None) -> Box:
        """Register an agent."""
        self.boxes[name] = Box(name, settings or AgentSettings(backend="command", command=["true"]))
        return self.boxes[name]

    def put(self, name: str, body: str = "hello", **fields: Any) -> str:
        """Let mail arrive."""
        self._numbers += 1
        given = {"id": f"m{self._numbers}", "sender": "operator", "kind": "operator", "sent_at_ms": 0, **fields}
        mail = Mail.model_validate({"body": body, **given})
        self.boxes[name].ready.append(mail)
        self.change()
        return mail.id

    def refuse(self, kind: type[Request], *errors: QueenpostError) -> None:
        """Refuse the next requests of a kind."""
        self.refusals.setdefault(kind, deque()).extend(errors)

    def push(self, event: str, agent: str | None = None, **data: Any) -> None:
        """Say something unasked."""
        for listener in self._listeners:
            listener.send_nowait(Push.model_validate({"event": event, "agent": agent, "data": data}))

    def wish(self, name: str, *, now: bool = False, fresh: bool = False, heard: bool = True) -> None:
        """Wish for a restart; not `heard`: what says so is lost with the link."""
        box = self.boxes[name]
        number = box.restart.number + 1 if box.restart else 1
        box.restart = agents.Restart(number=number, now=now, fresh=fresh)
        if heard:
            self.push("agents_changed", name, change="restart", instance=box.instance)

    def lapse(self, name: str) -> None:
        """Let an agent's lease run out: its mail is ready again."""
        box = self.boxes[name]
        box.turn = None
        self._release(box, box.leased)

    def take_over(self, name: str) -> None:
        """Let another instance become the holder."""
        self.lapse(name)
        box = self.boxes[name]
        box.instance, box.epoch, box.connected = "another-instance", box.epoch + 1, True
        self.change()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait for something to become true here."""
        while not true():
            await self._changed.wait()

    def change(self) -> None:
        """Let everybody who waits look again."""
        self._changed.set()
        self._changed = anyio.Event()

    # --- what the harness does ----------------------------------------------------------------------

    def pushes(self) -> MemoryObjectReceiveStream[Push]:
        """See `Client`."""
        send, receive = anyio.create_memory_object_stream[Push](100)
        self._listeners.append(send)
        return receive

    def close(self) -> None:
        """End the streams of pushes."""
        for listener in self._listeners:
            listener.close()

    async def call(self, request: Request, result: type[R], *, as_: str | None = None, timeout_s: float = 30.0) -> R:
        """See `Counter`."""
        await anyio.lowlevel.checkpoint()
        self.asked.append(type(request).model_fields["op"].default)
        self.change()
        if self.refusals.get(type(request)):
            raise self.refusals[type(request)].popleft()
        answer = await self._carry_out(request, as_)
        self.change()
        if type(request) in self.lose_answers:
            await self.repeat.wait()
            return await self.call(request, result, as_=as_, timeout_s=timeout_s)
        assert isinstance(answer, result)
        return answer

    async def _carry_out(self, request: Request, as_: str | None) -> Result:
        match request:
            case agents.AgentsAttach():
                return self._attach(request)
            case agents.AgentsDetach():
                return self._detach(request)
            case agents.AgentsList():
                return agents.AgentsListed(agents=[_summary(box) for box in self.boxes.values()])
            case _:
                return await self._for_agent(request, self._box_of(as_))

    def _box_of(self, as_: str | None) -> Box:
        box = self.boxes.get(as_ or "")
        if box is None or not box.connected:
            raise Denied(f"{as_!r} is not attached on this connection")
        if box.instance == "another-instance":
            raise Stale("another instance works for it now")
        return box

    async def _for_agent(self, request: Request, box: Box) -> Result:
        match request:
            case turns.TurnsOpen():
                return await self._open(box, request.wait_s)
            case turns.TurnsTake():
                return await self._take(box, request)
            case turns.TurnsGiveBack():
                return self._give_back(box, request)
            case turns.TurnsRenew():
                self._require_open(box, request.turn)
                box.renewals += 1
                box.begun = box.begun or request.begun
                return turns.TurnsRenewed(lease_ms=60_000)
            case turns.TurnsResume():
                self._require_open(box, request.turn)
                return turns.TurnsOpened(turn=self._turn(box))
            case turns.TurnsClose():
                return self._close(box, request)
            case _:
                return self._about(request, box)

    def _about(self, request: Request, box: Box) -> Result:
        match request:
            case agents.AgentsReport():
                box.reports.append(request)
                return agents.AgentsChanged(agent=box.name, changed=True)
            case agents.AgentsWhoami():
                return self._who(box)
            case notes.NotesBegin():
                return notes.NotesBegun(allowed=not self.may_shorten, why=self.may_shorten, waiting=len(box.ready))
            case notes.NotesEnd():
                box.notes_ends.append(request)
                return notes.NotesEnded(turn="t0")
            case inbox.InboxPeek():
                return inbox.InboxPeeked(mail=list(box.ready)[: request.max], waiting=len(box.ready))
            case _:
                raise Unknown(f"this post office has no {type(request).__name__}")

    def _attach(self, request: agents.AgentsAttach) -> agents.AgentsAttached:
        box = self.boxes.get(request.agent)
        if box is None:
            raise Unknown(f"no agent {request.agent!r} in this fleet")
        if request.agent_token != box.token:
            raise Denied(f"that is not the token of {request.agent}")
        if box.instance not in {None, request.instance} and not request.takeover:
            raise Conflict("somebody works for it", connected=box.connected, retry_after_ms=1000)
        if box.instance != request.instance:
            box.epoch += 1
            self._end_turn(box)
        box.instance, box.connected = request.instance, True
        return agents.AgentsAttached(
            agent=box.name, epoch=box.epoch, role=_role(box), attended=False, open_turn=box.turn, paused=False,
            settings=box.settings, restart=box.restart,
        )  # fmt: skip

    def _detach(self, request: agents.AgentsDetach) -> agents.AgentsChanged:
        box = self.boxes[request.agent]
        self._end_turn(box)
        box.instance, box.connected = None, False
        return agents.AgentsChanged(agent=box.name, changed=True)

    def _end_turn(self, box: Box) -> None:
        box.turn = None
        self._release(box, box.leased)

    async def _open(self, box: Box, wait_s: float) -> turns.TurnsOpened:
        epoch = box.epoch
        with anyio.move_on_after(wait_s):
            await self.until(lambda: box.ready or box.turn or box.epoch != epoch)
        self._box_of(box.name)
        if box.turn is None:
            if not box.ready:
                return turns.TurnsOpened(turn=None)
            self._numbers += 1
            box.turn, box.begun = f"t{self._numbers}", False
            self._lease(box, box.settings.batch_max)
        return turns.TurnsOpened(turn=self._turn(box))

    def _turn(self, box: Box) -> Turn:
        return Turn(id=box.turn or "", mail=list(box.leased), waiting=len(box.ready))

    def _lease(self, box: Box, most: int) -> list[Mail]:
        taken = [box.ready.popleft() for _ in range(min(most, len(box.ready)))]
        box.leased += taken
        return taken

    async def _take(self, box: Box, request: turns.TurnsTake) -> turns.TurnsTaken:
        if box.name in self.full:
            return turns.TurnsTaken(turn=request.turn, mail=[], waiting=len(box.ready), exhausted=True)
        if (again := box.taken.get(request.call)) and request.call is not None:
            return turns.TurnsTaken(turn=box.turn, mail=again, waiting=len(box.ready))
        with anyio.move_on_after(request.wait_s):
            await self.until(lambda: box.ready or box.turn != request.turn)
        if box.turn is None or box.turn != request.turn:
            raise Closed("that turn has ended")
        taken = box.taken[request.call] = self._lease(box, request.max)
        return turns.TurnsTaken(turn=box.turn, mail=taken, waiting=len(box.ready))

    def _give_back(self, box: Box, request: turns.TurnsGiveBack) -> turns.TurnsGivenBack:
        self._require_open(box, request.turn)
        back = [mail for mail in box.leased if mail.id in request.ids]
        box.given_back += [mail.id for mail in back]
        self._release(box, back)
        return turns.TurnsGivenBack(ids=[mail.id for mail in back])

    def _close(self, box: Box, request: turns.TurnsClose) -> turns.TurnsClosed:
        self._require_open(box, request.turn)
        box.closes.append(request)
        carried = [mail for mail in box.leased if mail.id in request.carry]
        rest = [mail for mail in box.leased if mail.id not in request.carry]
        box.turn, box.leased = None, []
        if request.outcome == "completed":
            box.handled += [mail.id for mail in rest]
        else:
            self._release(box, rest)
        return turns.TurnsClosed(id=request.turn, next=self._carry(box, carried))

    def _carry(self, box: Box, carried: list[Mail]) -> Turn | None:
        if not carried:
            return None
        self._numbers += 1
        box.turn, box.leased = f"t{self._numbers}", carried
        return self._turn(box).model_copy(update={"carried": True})

    def _release(self, box: Box, mail: list[Mail]) -> None:
        gone = {message.id for message in mail}
        box.leased = [message for message in box.leased if message.id not in gone]
        again = [message.model_copy(update={"attempt": message.attempt + 1}) for message in mail]
        box.ready.extendleft(reversed(again))
        self.change()

    def _require_open(self, box: Box, turn: str) -> None:
        if box.turn != turn:
            raise Stale(f"turn {turn} is not open any more")

    def _who(self, box: Box) -> agents.AgentsWho:
        manager = next((name for name, other in self.boxes.items() if _role(other) == "manager"), None)
        peers = [
            agents.Peer(name=other.name, role=_role(other), state="idle", may_write=True)
            for other in self.boxes.values()
            if other is not box
        ]
        return agents.AgentsWho(
            name=box.name, role=_role(box), fleet="test", manager=manager, roster=peers,
            waiting=len(box.ready), open_turn=box.turn,
        )  # fmt: skip


def _role(box: Box) -> Role:
    return box.settings.role


def _summary(box: Box) -> agents.AgentSummary:
    return agents.AgentSummary(
        name=box.name, role=_role(box), backend=box.settings.backend, origin="database", state="idle"
    )
