"""What stands below the story: each agent with what it does now, what waits for an answer, the sums. Pure."""

from collections.abc import Sequence

import click

from console.cli.screen import STATE_COLOURS, bold, coloured, columns, dim, one_line
from console.cli.sizes import tokens_in_short
from console.cli.status import doing
from console.cli.times import ago, span
from wire.agents import AgentSummary
from wire.asks import Ask
from wire.fleet import FleetState

MARKS = {"working": "●", "waiting_permission": "◆", "idle": "○"}
SHOWN_ASKS = 3
A_CENT = 0.005
OURS = ("mcp__queenpost__", "queenpost_", "queenpost.")
"""How the programs write our tools; the last word says it all."""


def footer(fleet: FleetState, asks: Sequence[Ask], *, width: int, height: int, hint: str) -> list[str]:
    """Give the lines, none longer than the terminal is wide, and no more than half its height where that holds all."""
    room = max(height // 2 - 2, 4)
    asked = [line for ask in asks[:SHOWN_ASKS] for line in _asked(ask, width)]
    agents = _agents(fleet, width, max(room - len(asked), 2))
    if len(asks) > SHOWN_ASKS:
        asked.append(dim(f"  and {len(asks) - SHOWN_ASKS} more: queenpost asks"))
    return [dim("─" * (width - 1)), *agents, *asked, _sums(fleet, width, hint)]


def _agents(fleet: FleetState, width: int, room: int) -> list[str]:
    shown = fleet.agents if len(fleet.agents) <= room else _busiest(fleet.agents)[: room - 1]
    names = max((columns(agent.name) for agent in shown), default=0)
    states = max((len(_word(agent)) for agent in shown), default=0)
    lines: list[str] = []
    for agent in shown:
        mark = click.style(MARKS.get(agent.state, "○"), fg=STATE_COLOURS.get(agent.state))
        head = f"{mark} {bold(agent.name)}{' ' * (names - columns(agent.name))}  "
        head += coloured(agent.state, _word(agent).ljust(states)) + "  "
        lines.append(head + one_line(now_of(agent, fleet.server_time_ms), max(width - columns(head) - 1, 10)))
    if len(shown) < len(fleet.agents):
        lines.append(dim(f"  and {len(fleet.agents) - len(shown)} more: queenpost status"))
    return lines


def _busiest(agents: list[AgentSummary]) -> list[AgentSummary]:
    """Put those first at which something happens."""
    return sorted(agents, key=lambda agent: agent.state == "idle" and not agent.ready)


def _word(agent: AgentSummary) -> str:
    return "waits for you" if agent.state == "waiting_permission" else agent.state


def now_of(agent: AgentSummary, now_ms: int) -> str:
    """Say what an agent does; of one that does nothing, how its last turn ended."""
    waiting = f"{agent.ready} waiting" if agent.ready else ""
    turn = agent.last_turn
    if agent.state == "working":
        since = f"for {span(now_ms - turn.opened_at_ms)}" if turn is not None and turn.closed_at_ms is None else ""
        told = _ours(doing(agent, now_ms, absolute=False))
    elif agent.state == "idle" and turn is not None and turn.closed_at_ms is not None:
        since, told = "", f"{(turn.outcome or turn.state).replace('_', ' ')} {ago(turn.closed_at_ms, now_ms)}"
    else:
        since, told = "", doing(agent, now_ms, absolute=False)
    return ", ".join(part for part in (told, since, waiting) if part)


def _ours(told: str) -> str:
    for prefix in OURS:
        told = told.replace(prefix, "")
    return told


def _asked(ask: Ask, width: int) -> list[str]:
    """Show an ask with the command that answers it."""
    head = f"{click.style('?', fg='yellow', bold=True)} {bold(ask.id)} {ask.asker}: "
    if ask.kind == "permission":
        answer = "allow|always|deny"
    else:
        answer = one_line(" | ".join(ask.options), 60) if ask.options else "TEXT"
        answer = f'"{answer}"'
    command = one_line(f"queenpost answer {ask.id} {answer}", max(width - 6, 10))
    return [
        head + one_line(ask.question, max(width - columns(head) - 1, 10)),
        f"    {click.style(command, fg='yellow')}",
    ]


def _sums(fleet: FleetState, width: int, hint: str) -> str:
    account = fleet.account
    parts = [f"{account.handled + account.mailbox} of {account.accepted} messages handled"]
    parts += [f"{getattr(account, name)} {name}" for name in ("held", "dead", "lost") if getattr(account, name)]
    tokens = sum(agent.tokens_today or 0 for agent in fleet.agents)
    cost = sum(agent.cost_usd_today or 0 for agent in fleet.agents)
    parts += [f"{tokens_in_short(tokens)} tokens"] if tokens else []
    parts += [f"${cost:,.2f}"] if cost >= A_CENT else []
    return dim(one_line(" · ".join(parts), max(width - len(hint) - 4, 10)) + f" · {hint}")
