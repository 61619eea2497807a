"""The one word that says what an agent does now: the gravest that is true. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field

from broker.services.policy import UNREADABLE, settings_of
from broker.store.tx import Row
from wire.agents import AgentsReport, AgentState

BROKEN = (
    "its stored settings are broken; mail collects. `queenpost agent remove {0}` and add it anew, or "
    "`queenpost restore` a backup"
)


@dataclass(slots=True)
class Reports:
    """What harnesses say of their agents; in memory, forgotten when the harness goes."""

    by_agent: dict[str, AgentsReport] = field(default_factory=dict[str, AgentsReport])
    is_deaf: Callable[[str], bool] = lambda _name: False

    def resting(self) -> set[str]:
        """Agents whose harness says that it opens no turn for a reason; they are not stalled."""
        return {name for name, report in self.by_agent.items() if report.state in ("parked", "failed")}

    def until(self, agent: str, state: AgentState) -> int | None:
        """Say when what is shown of an agent is over, where its harness said so; an instant of the wall clock."""
        report = self.by_agent.get(agent)
        return report.until_ms if report is not None and report.state == state else None

    def forget(self, agent: str) -> None:
        """The holder of this agent is gone; what it said holds no longer."""
        self.by_agent.pop(agent, None)


def state_of(row: Row, *, working: bool, reports: Reports) -> tuple[AgentState, str]:
    """Give (state, reason) of an agent's row."""
    if row["state"] != "active":
        return "stopped", "removed from the fleet" if row["state"] == "removed" else "left queenpost.toml"
    failure = _failure(row, reports)
    if failure is not None:
        return "failed", failure
    report = reports.by_agent.get(row["name"])
    if row["frozen"]:
        return "frozen", f"by the operator; `{thaw_of(row, row['name'])}` ends it"
    if row["paused"]:
        return "paused", "finishes its turn first" if working else ""
    attached = row["instance"] is not None and row["lost_at"] is None
    if not attached:
        return _unattached(row, reports)
    if report is not None and report.state in ("waiting_permission", "parked"):
        return report.state, report.reason
    if working:
        return "working", report.reason if report is not None else ""
    return ("idle", "") if row["budget_until"] is None else ("parked", row["budget_reason"])


def _failure(row: Row, reports: Reports) -> str | None:
    if settings_of(row["settings"]) is UNREADABLE:
        return BROKEN.format(row["name"])
    report = reports.by_agent.get(row["name"])
    return report.reason if report is not None and report.state == "failed" else None


def thaw_of(row: Row, agent: str) -> str:
    """Give the command that thaws this agent and, where that can be done, no other."""
    return "queenpost thaw" if row["everybody_frozen"] else f"queenpost thaw {agent}"


def _unattached(row: Row, reports: Reports) -> tuple[AgentState, str]:
    if reports.is_deaf(row["name"]):
        return "deaf", "it has mail and nobody works for it; start its harness"
    if settings_of(row["settings"]).backend == "none":
        return "away", "no session is connected"
    return "away", "its harness is not connected"
