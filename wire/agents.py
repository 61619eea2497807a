"""Agents on the wire: registering, attaching an instance, reporting, listing, pausing."""

from typing import Annotated, Literal

from pydantic import Field

from wire.inbox import Address
from wire.model import Mutation, Request, Result
from wire.settings import AgentSettings, AppliedAccount, AppliedSettings, Role

AgentState = Literal[
    "idle", "working", "waiting_permission", "parked", "deaf", "away", "paused", "frozen", "stopped", "failed"
]
"""One word for a person: the gravest that is true."""

Reported = Literal["idle", "working", "waiting_permission", "parked", "failed"]
"""What a harness may say of its agent; the others the broker knows by itself."""

Token = Annotated[str, Field(min_length=16, max_length=256)]


class AgentsAttach(Request):
    """Become the instance that works for an agent; gives the epoch all its turns are bound to.

    The same instance again: same epoch, its turns live on. Another one: `conflict` while the holder lives.
    """

    op: Literal["agents.attach"] = "agents.attach"
    agent: Address
    instance: Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
    agent_token: Token | None = None
    """Needed on a harness connection; an agent's own connection is already known by its hello."""
    takeover: bool = False
    """Whoever sets it has reaped the former holder. Harness only."""


class Restart(Result):
    """The operator's newest wish to have an agent's program started anew; who has carried it out keeps its number."""

    number: int
    now: bool = False
    fresh: bool = False


class AgentsAttached(Result):
    """The right to act for the agent on this connection."""

    agent: str
    epoch: int
    role: Role
    attended: bool
    open_turn: str | None = None
    paused: bool
    settings: AppliedSettings
    account: AppliedAccount | None = None
    """The account that the settings name, or the default one; None where the file does not declare it."""
    restart: Restart | None = None
    """None: nobody ever wished for one."""


class AgentsDetach(Request):
    """Give the agent up: its open turn goes back uncounted and the next instance need not wait."""

    op: Literal["agents.detach"] = "agents.detach"
    agent: Address


class AgentsReport(Request):
    """Say what the agent does now; kept in memory of the fleet, shown in status."""

    op: Literal["agents.report"] = "agents.report"
    state: Reported
    reason: Annotated[str, Field(max_length=500)] = ""
    until_ms: Annotated[int | None, Field(ge=0, le=2**53)] = None


class AgentsList(Request):
    """List the agents of the fleet with their state and mail counts."""

    op: Literal["agents.list"] = "agents.list"
    removed: bool = False


class LastTurn(Result):
    """The newest turn of an agent."""

    id: str
    state: str
    outcome: str | None = None
    opened_at_ms: int
    closed_at_ms: int | None = None


class AgentSummary(Result):
    """One agent as an operator sees it."""

    name: str
    role: Role
    backend: str
    origin: Literal["file", "database"]
    state: AgentState
    reason: str = ""
    until_ms: int | None = None
    """When that is over, where somebody knows: of `parked` and `failed`."""
    ready: int = 0
    leased: int = 0
    held: int = 0
    dead: int = 0
    attached: bool = False
    epoch: int = 0
    last_turn: LastTurn | None = None
    open_asks: int = 0
    """Asks put to this agent that are not answered."""
    reminders: int = 0
    """Reminders of this agent that wait."""
    tokens_today: int | None = None
    """In and out, of the turns that ended on this day of UTC; None, as of the cost: no program said."""
    cost_usd_today: float | None = None


class AgentsListed(Result):
    """All agents, the manager first, then by name."""

    agents: list[AgentSummary]


class AgentsShow(Request):
    """Show one agent with its applied settings."""

    op: Literal["agents.show"] = "agents.show"
    agent: Address


class AgentsShown(Result):
    """An agent, its settings (secrets and env values masked) and where its token lies."""

    agent: AgentSummary
    settings: AppliedSettings
    token_path: str
    token_expected: bool


class AgentsAdd(Mutation):
    """Register an agent that the database owns; the broker makes its token and writes the file."""

    op: Literal["agents.add"] = "agents.add"
    agent: Address
    settings: AgentSettings = AgentSettings()


class AgentsAdded(Result):
    """The new agent and the file that holds its token."""

    agent: str
    token_path: str


class AgentsRemove(Mutation):
    """Take an agent out of the fleet: waiting mail becomes dead with one notice per sender, the token is void."""

    op: Literal["agents.remove"] = "agents.remove"
    agent: Address


class AgentsPause(Mutation):
    """Open no further turn for the agent; the running one finishes, mail collects, no alarm."""

    op: Literal["agents.pause"] = "agents.pause"
    agent: Address


class AgentsResume(Mutation):
    """End a pause; waiting mail opens a turn at once."""

    op: Literal["agents.resume"] = "agents.resume"
    agent: Address


class AgentsRestart(Mutation):
    """Have the harness end the agent's program and start its loop anew, behind the turn that runs.

    Durable once answered: a harness whose link is lost hears of it when it attaches again, and so does the next one.
    `conflict` where no harness holds the agent.
    """

    op: Literal["agents.restart"] = "agents.restart"
    agent: Address
    now: bool = False
    """In the middle of the turn; its mail goes back uncounted."""
    fresh: bool = False
    """The program begins a new session; else it goes on with the one it has."""


class AgentsLend(Request):
    """Give what is needed to open an agent's own session at a terminal, and have its harness step aside for it.

    Changes nothing here, and may be repeated. That the harness stepped aside shows in the lock of the session, which
    lies beside it: whoever opens it holds that, and when it is let go, the harness goes on.
    """

    op: Literal["agents.lend"] = "agents.lend"
    agent: Address
    agent_token: Token | None = None
    step_aside: bool = False
    """Behind the turn that runs; False: only say how the session is opened."""
    now: bool = False
    """In the middle of the turn; its mail goes back uncounted."""


class AgentsLent(Result):
    """The agent's settings as they are, and its account, as `agents.attach` gives them."""

    agent: str
    role: Role
    settings: AppliedSettings
    account: AppliedAccount | None = None


class AgentsWakeTest(Request):
    """Prove that mail would wake the agent, without mail and without a model call.

    The wait for mail of its turn loop is ended, and the loop has to come back for the next one.
    """

    op: Literal["agents.wake_test"] = "agents.wake_test"
    agent: Address


class AgentsWoken(Result):
    """Whether it came back; where there was nobody to wake, why."""

    agent: str
    woken: bool
    wake_ms: float | None = None
    """From ending the wait to the next one, there and back over the link."""
    state: AgentState
    reason: str = ""


class AgentsChanged(Result):
    """The agent is now as asked; `changed` is False where it already was."""

    agent: str
    changed: bool
    dead: int = 0
    """Deliveries that died with a removed agent."""


class AgentsToken(Request):
    """Say where an agent's token lies."""

    op: Literal["agents.token"] = "agents.token"
    agent: Address


class AgentsRotate(Mutation):
    """Make a new token for an agent, `operator` or `harness`; what was said hello with the old one ends at once."""

    op: Literal["agents.rotate"] = "agents.rotate"
    agent: Address


class AgentsTokenPath(Result):
    """The file that holds the token; the token itself does not cross the link."""

    agent: str
    path: str


class AgentsWhoami(Request):
    """Tell the calling agent who it is and whom it may write to."""

    op: Literal["agents.whoami"] = "agents.whoami"


class Peer(Result):
    """Another agent on the roster."""

    name: str
    role: Role
    state: AgentState
    may_write: bool


class AgentsWho(Result):
    """Name, role, manager and roster of the calling agent."""

    name: str
    role: Role
    fleet: str
    manager: str | None = None
    roster: list[Peer]
    waiting: int
    open_turn: str | None = None
    asked: int = 0
    """Its own asks that wait for an answer."""
    to_answer: int = 0
    """Asks that wait for its answer."""
    reminders: int = 0
    """Its reminders that wait."""
