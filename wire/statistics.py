"""Statistics on the wire: what agents' turns came to, since an instant and in pieces of time for charts."""

from typing import Annotated, Literal

from pydantic import Field

from wire.inbox import Address
from wire.model import Request, Result

MAX_BUCKETS = 200
SHOWN_TOOLS = 10


class AgentsStats(Request):
    """Count what the turns of agents came to. Operator and manager: of any; another agent: its own.

    Turns that have just ended are in it. What runs is not.
    """

    op: Literal["agents.stats"] = "agents.stats"
    agent: Address | None = None
    """Unset: every agent of the fleet; for an agent that is not the manager, itself."""
    since_ms: Annotated[int | None, Field(ge=0, le=2**53)] = None
    """Unset: the last 24 hours."""
    buckets: Annotated[int, Field(ge=0, le=MAX_BUCKETS)] = 24
    """Into how many equal pieces the time is cut for `Series`; 0: into none."""
    after: Annotated[str, Field(max_length=64)] = ""
    """The last agent of the page before."""


class Series(Result):
    """One number for each piece of time, oldest first; 0 where no turn ended in it."""

    turns: list[int]
    failed: list[int]
    """Those of them that ended in any other way than `completed`."""
    ms_p50: list[int]
    ms_p95: list[int]
    received: list[int]
    sent: list[int]
    inbox_max: list[int]
    tool_calls: list[int]
    tokens: list[int]
    """In and out."""
    cost_usd: list[float]
    notes_bytes: list[int]
    """The largest."""


class AgentFigures(Result):
    """One agent's turns that ended since the instant; None where no program said or nothing is known."""

    agent: str
    turns: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict[str, int])
    ms_p50: int | None = None
    """The middle length of a turn, from its opening to its end."""
    ms_p95: int | None = None
    messages: int = 0
    """Handed over in these turns; what was handed over twice is counted twice."""
    received: dict[str, int] = Field(default_factory=dict[str, int])
    """The same by kind."""
    sent: int = 0
    """Sent in these turns."""
    inbox: int = 0
    """Unsettled mail now, what a running turn holds included."""
    inbox_max: int | None = None
    """The most of it at the end of a turn."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    tool_calls: int | None = None
    tools: dict[str, int] = Field(default_factory=dict[str, int])
    """The tools used most, `wire.statistics.SHOWN_TOOLS` at most."""
    last_turn_at_ms: int | None = None
    """When its newest turn ended, however long ago."""
    notes_bytes: int | None = None
    """Size of its notes at the end of its newest turn that said so."""
    series: Series | None = None


class AgentsCounted(Result):
    """Figures by agent, by name; `more`: ask again `after` the last one."""

    since_ms: int
    """Later than asked where nothing older is kept, or more turns ended since then than are added up at once."""
    until_ms: int
    bucket_ms: int
    """Length of one piece of time; 0 without any."""
    agents: list[AgentFigures]
    more: bool = False
