"""From a frame to an answer: decode, authorise, run, reply. Holds the one map from exceptions to refusals.

Who may call an op stands in the op table; ownership and allow-lists are decided in `broker.services`.
"""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from broker.edge import commands, errands
from broker.edge.connection import LARGE_FRAME_BYTES, Connection
from broker.edge.hub import Hub
from broker.edge.office import Office
from broker.services import holders
from broker.services.callers import Caller
from broker.services.credentials import Shown
from broker.store.jobs import Outcome
from wire import codec, ops
from wire.errors import Denied, Internal, QueenpostError
from wire.fleet import FEATURES, PROTOCOL, Cancelled, Hello, RequestCancel, Welcome
from wire.logs import get_logger
from wire.model import Request, Result

log = get_logger("broker")


def refusal(exc: BaseException) -> QueenpostError:
    """Turn the exception being handled into what the peer is told; other detail goes to the log."""
    if isinstance(exc, QueenpostError):
        return exc
    correlation = secrets.token_hex(4)
    log.exception("request_failed", correlation_id=correlation)  # noqa: LOG004  # called from handlers only
    return Internal(
        f"the broker failed on this request; its log says why under {correlation}", correlation_id=correlation
    )


class Dispatcher:
    """The broker behind every connection (`broker.edge.connection.Doorman`)."""

    def __init__(self, office: Office, hub: Hub, start_errand: Callable[..., None]) -> None:
        self.hub = hub
        self._office = office
        self._start_errand = start_errand
        self.draining = False

    def greet(self, hello: Hello, shown: Shown) -> Welcome:
        """See `Doorman`."""
        principal = self._office.keys.principal(hello.token)
        if principal is None:
            raise Denied("this token is not valid for this fleet; check --home, or read the token file again")
        self._office.keys.require_uid(shown)
        log.debug("connected", principal=principal.name, kind=hello.kind)
        return Welcome(
            protocol=PROTOCOL,
            fleet=self._office.fleet,
            principal=principal,
            features=FEATURES,
            server_time_ms=self._office.clock.wall_ms(),
            home=str(self._office.home.root),
        )

    def handle(self, connection: Connection, line: bytes) -> None:
        """See `Doorman`."""
        try:
            op, request = codec.decode_request(line)
        except (codec.BadFrame, codec.UnknownOp) as exc:
            connection.refuse(exc.request_id, exc)
            return
        try:
            caller = connection.caller(request.as_)
            self._authorise(op, caller)
            if isinstance(request, RequestCancel):
                self._cancel(connection, request)
                return
            connection.admit(request.id, caller.name if caller.kind == "agent" else "")
            if len(line) > LARGE_FRAME_BYTES:
                connection.weigh(request.id, len(line))
        except QueenpostError as exc:
            self._count_refusal(op.name, connection.principal.name, exc)
            connection.refuse(request.id, exc)
            return
        try:
            self._run(connection, op, caller, request)
        except Exception as exc:  # noqa: BLE001  # outermost handler of a request
            connection.answer(request.id, codec.encode_error(request.id, refusal(exc)))

    def _authorise(self, op: ops.Op, caller: Caller) -> None:
        """The one authorise step: role rights from the op table, and whether an instance is needed.

        Raises:
            Denied: not for this principal.
        """
        role = self._office.roles.get(caller.name) if caller.kind == "agent" else None
        if caller.kind not in op.rights and not (role == "manager" and "manager" in op.rights):
            raise Denied(f"{op.name} is not for {'an agent' if caller.kind == 'agent' else 'the ' + caller.kind}")
        if op.attached and caller.kind == "agent" and caller.epoch is None:
            raise Denied(f"{op.name} is for the instance that works for an agent; call agents.attach first")

    def _run(self, connection: Connection, op: ops.Op, caller: Caller, request: Request) -> None:
        write = commands.WRITES.get(op.name)
        if write is not None:
            rules = self._office.rules
            done = partial(self._answer, connection, request.id, op.name)
            self._office.writer.submit(lambda tx: write(tx, caller, request, rules), done)
            return
        if op.parks:
            self._park(connection, op, caller, request)
        else:
            self._start_errand(self._errand, connection, op, caller, request)

    def _answer(self, connection: Connection, request_id: int, op: str, outcome: Outcome[Any]) -> None:
        if outcome.error is not None:
            self._count_refusal(op, connection.principal.name, outcome.error)
            frame = codec.encode_error(request_id, outcome.error)
        else:
            frame = _encoded(request_id, outcome.get())
        connection.answer(request_id, frame)

    def _count_refusal(self, op: str, principal: str, error: QueenpostError) -> None:
        self._office.refused[error.code] += 1
        if error.code in ("denied", "internal"):
            log.warning("request_denied", op=op, principal=principal, code=error.code, reason=error.message)
        _forget_frames(error)

    # --- requests that may wait ---------------------------------------------------------------------

    def _park(self, connection: Connection, op: ops.Op, caller: Caller, request: Request) -> None:
        first = commands.before_parking(caller, request)
        if first is None:
            self._park_now(connection, op, caller, request)
            return
        connection.tickets[request.id] = None

        def then(outcome: Outcome[Any]) -> None:
            if outcome.error is not None:
                self._answer(connection, request.id, op.name, outcome)
            elif request.id not in connection.tickets:  # withdrawn meanwhile
                nothing = commands.PARKS[op.name].nothing(request)
                self._answer(connection, request.id, op.name, Outcome(nothing))
            else:
                self._park_now(connection, op, caller, request)

        self._office.writer.submit(first, then)

    def _park_now(self, connection: Connection, op: ops.Op, caller: Caller, request: Request) -> None:
        park = commands.PARKS[op.name]
        opened = self._office.parked_opens.add(caller.name) if park.is_open else None

        def done(outcome: Outcome[Result | None]) -> None:
            if opened is not None:
                self._office.parked_opens.remove(opened)
            if outcome.value is None and outcome.error is None:
                outcome = Outcome(park.nothing(request))
            self._answer(connection, request.id, op.name, outcome)

        wait_ms = 0 if self.draining else int(vars(request).get("wait_s", 0) * 1000)
        until = self._office.clock.now_ms() + wait_ms
        command = partial(park.command, caller=caller, request=request)
        if wait_ms:
            ticket = self._office.writer.park(command, caller.name, until, done)
            connection.tickets[request.id] = ticket
            if opened is not None:
                opened.ticket = ticket
        else:
            self._office.writer.submit(command, done)
        if connection.closed.is_set():
            self.ended(connection)

    def _cancel(self, connection: Connection, request: RequestCancel) -> None:
        """Answered at once, without a place in flight: it has to work where every place is taken."""
        waited = self._withdraw(connection, request.request)
        connection.say(codec.encode_result(request.id, Cancelled(cancelled=waited)))

    def _withdraw(self, connection: Connection, request_id: int) -> bool:
        if request_id not in connection.tickets:
            return False
        ticket = connection.tickets[request_id]
        if ticket is None:
            del connection.tickets[request_id]
        else:
            self._office.writer.withdraw(ticket)
        return True

    # --- requests that need more than one command ---------------------------------------------------

    async def _errand(self, connection: Connection, op: ops.Op, caller: Caller, request: Request) -> None:
        try:
            result = await errands.ERRANDS[op.name](self._office, self.hub, connection, caller, request)
        except QueenpostError as exc:
            self._count_refusal(op.name, connection.principal.name, exc)
            connection.answer(request.id, codec.encode_error(request.id, exc))
        except Exception as exc:  # noqa: BLE001  # outermost handler of a task
            connection.answer(request.id, codec.encode_error(request.id, refusal(exc)))
        else:
            connection.answer(request.id, _encoded(request.id, result))

    # --- the end of a connection --------------------------------------------------------------------

    def ended(self, connection: Connection) -> None:
        """See `Doorman`. Tickets that had already been settled keep what they leased: it belongs to the epoch."""
        self.withdraw(connection)
        for agent, holder in connection.attachments.items():
            self._forget_holder(agent, holder.instance or "", local=not connection.remote)
        connection.attachments.clear()

    def withdraw(self, connection: Connection) -> None:
        """End every wait of a connection; each is answered."""
        for request_id in list(connection.tickets):
            self._withdraw(connection, request_id)

    def _forget_holder(self, agent: str, instance: str, *, local: bool) -> None:
        if any(line.holds(agent, instance) for line in self.hub.lines()):
            return  # the same instance is already back on another connection
        if not self.hub.has_holder(agent):
            self._office.reports.forget(agent)
        command = partial(holders.connection_ended, agent=agent, instance=instance, local=local)
        self._office.writer.submit(command, _ignore)


def _encoded(request_id: int, result: Result) -> bytes:
    """Write an answer; whoever asked gets one, whatever is the matter with the result."""
    try:
        return codec.encode_result(request_id, result)
    except Exception as exc:  # noqa: BLE001  # logged by `refusal`
        return codec.encode_error(request_id, refusal(exc))


def _forget_frames(error: BaseException | None) -> None:
    """Let go of the frames that an error came through: they hold the request, and through it themselves."""
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def _ignore(outcome: Outcome[None]) -> None:
    if outcome.error is not None:
        log.error("connection_end_failed", error=outcome.error.message)
