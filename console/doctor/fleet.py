"""Whether mail gets through: agents that nobody works for, mail that waits for the operator, freezes."""

from collections.abc import Iterator

from console.doctor.verdict import Verdict
from wire.agents import AgentSummary
from wire.fleet import FleetState


def checks(state: FleetState) -> Iterator[Verdict]:
    """Look at the agents and the account of a fleet."""
    troubles = [trouble for agent in state.agents if (trouble := _agent(agent)) is not None]
    yield from _freeze(state)
    yield from troubles
    if not troubles:
        yield Verdict("agents", "ok", f"{len(state.agents)} of them, none with mail that nobody takes")
    yield from _for_the_operator(state)
    yield _account(state)


def _freeze(state: FleetState) -> Iterator[Verdict]:
    frozen = [agent.name for agent in state.agents if agent.state == "frozen"]
    if state.frozen:
        yield Verdict("freeze", "warning", "everybody is frozen: no turn opens and no send passes", "queenpost thaw")
    elif frozen:
        yield Verdict("freeze", "warning", f"frozen: {', '.join(frozen)}", f"queenpost thaw {' '.join(frozen)}")


def _agent(agent: AgentSummary) -> Verdict | None:
    check, waiting = f"agent {agent.name}", _count(agent.ready, "message waits", "messages wait")
    story = f"queenpost explain {agent.name}"
    match agent.state:
        case "failed":
            return Verdict(check, "error", f"it failed: {agent.reason}", f"queenpost logs --agent {agent.name}")
        case "deaf":
            return Verdict(check, "error", f"{waiting} and nobody works for it", f"queenpost harness {agent.name}")
        case "away" if agent.ready and agent.backend != "none":
            return Verdict(check, "warning", f"{waiting}; its harness is away", f"queenpost harness {agent.name}")
        case "away" if agent.ready:
            return Verdict(check, "note", f"{waiting} for a session of it", f"queenpost recv --as {agent.name}")
        case "parked" if agent.ready:
            return Verdict(check, "warning", f"{waiting}; it is parked: {agent.reason}", story)
        case "waiting_permission":
            return Verdict(check, "note", f"it waits for a permission: {agent.reason}", "queenpost asks")
        case "paused" | "stopped" if agent.ready:
            return Verdict(check, "note", f"{waiting}; it is {agent.state}", story)
        case _:
            return None


def _for_the_operator(state: FleetState) -> Iterator[Verdict]:
    held, dead = sum(agent.held for agent in state.agents), sum(agent.dead for agent in state.agents)
    if held:
        yield Verdict(
            "held mail", "warning", f"{_count(held, 'message is', 'messages are')} held", "queenpost held list"
        )
    if dead:
        yield Verdict("dead letters", "warning", f"{_count(dead, 'message', 'messages')} died", "queenpost dead list")
    if state.open_asks:
        asked = _count(state.open_asks, "question waits", "questions wait")
        yield Verdict("questions", "note", f"{asked} for your answer", "queenpost asks")
    if state.operator_mail:
        yield Verdict(
            "mailbox", "note", f"{_count(state.operator_mail, 'message', 'messages')} unread", "queenpost inbox"
        )


def _account(state: FleetState) -> Verdict:
    account = state.account
    if account.lost:
        said = f"{account.lost} of {account.accepted} accepted messages are in no line of the account"
        return Verdict("account", "error", said, "keep a copy, `queenpost backup`, and report it as a defect")
    return Verdict("account", "ok", f"{account.accepted} accepted, none lost")


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
