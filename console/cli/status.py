"""`queenpost status`: the fleet at one moment, agent by agent, and the account of all accepted mail."""

from typing import Any

import click

from console.cli.connecting import ask
from console.cli.options import Options, command
from console.cli.screen import bold, coloured, dim, one_line, print_json, print_table, warn
from console.cli.sizes import tokens_in_short
from console.cli.times import ago, ahead, iso, maybe_iso, span
from wire.agents import AgentSummary, LastTurn
from wire.fleet import Account, FleetState, FleetStatus

ACCOUNT_LINES = ("accepted", "handled", "waiting", "dead", "held", "expired", "mailbox", "lost")


DOING_CHARACTERS = 80


@command("status")
def status(options: Options) -> None:
    """Show each agent with its state and mail, and what became of every message that was accepted."""
    fleet = ask(options, FleetStatus(), FleetState)
    if options.json:
        print_json(fleet_as_json(fleet))
        return
    click.echo(
        f"{bold(fleet.fleet)}  up {span(fleet.server_time_ms - fleet.started_at_ms)}"
        f"{dim(f'  broker {fleet.version}, pid {fleet.pid}')}"
    )
    click.echo()
    print_agents(fleet.agents, fleet.server_time_ms, absolute=options.absolute)
    click.echo()
    _print_account(fleet)
    if fleet.frozen:
        click.echo(coloured("frozen", f"FROZEN   everybody, who comes later too{dim('  (queenpost thaw)')}"))
    for warning in fleet.warnings:
        warn(warning)


def fleet_as_json(fleet: FleetState) -> dict[str, Any]:
    """Give the fleet in its stable shape."""
    return {
        "fleet": fleet.fleet,
        "home": fleet.home,
        "pid": fleet.pid,
        "version": fleet.version,
        "started_at": iso(fleet.started_at_ms),
        "agents": [agent_as_json(agent) for agent in fleet.agents],
        "account": fleet.account.model_dump(),
        "operator_mail": fleet.operator_mail,
        "open_asks": fleet.open_asks,
        "jobs": fleet.jobs,
        "frozen": fleet.frozen,
        "warnings": fleet.warnings,
    }


def agent_as_json(agent: AgentSummary) -> dict[str, Any]:
    """Give one agent in its stable shape. Tokens and cost, of this day of UTC, are null where no program said."""
    return {
        "name": agent.name,
        "role": agent.role,
        "backend": agent.backend,
        "origin": agent.origin,
        "state": agent.state,
        "reason": agent.reason,
        "until": maybe_iso(agent.until_ms),
        "mail": {"ready": agent.ready, "leased": agent.leased, "held": agent.held, "dead": agent.dead},
        "open_asks": agent.open_asks,
        "last_turn": _turn_as_json(agent.last_turn),
        "tokens_today": agent.tokens_today,
        "cost_usd_today": agent.cost_usd_today,
        "attached": agent.attached,
        "epoch": agent.epoch,
    }


def _turn_as_json(turn: LastTurn | None) -> dict[str, Any] | None:
    if turn is None:
        return None
    return {
        "id": turn.id,
        "state": turn.state,
        "outcome": turn.outcome,
        "opened_at": iso(turn.opened_at_ms),
        "closed_at": maybe_iso(turn.closed_at_ms),
    }


def print_agents(agents: list[AgentSummary], now_ms: int, *, absolute: bool) -> None:
    """Print the table of agents, as `status` and `agent list` show it."""
    if not agents:
        click.echo("no agents: declare them in queenpost.toml, or `queenpost agent add NAME`")
        return
    rows = [
        [
            agent.name,
            agent.role,
            agent.backend,
            coloured(agent.state),
            *(_count(number) for number in (agent.ready, agent.leased, agent.held, agent.dead, agent.open_asks)),
            _spent(agent),
            _turn_words(agent.last_turn, now_ms, absolute=absolute),
            one_line(doing(agent, now_ms, absolute=absolute), DOING_CHARACTERS),
        ]
        for agent in agents
    ]
    counts = ["WAITING", "IN TURN", "HELD", "DEAD", "ASKS", "TODAY"]
    print_table(["AGENT", "ROLE", "BACKEND", "STATE", *counts, "LAST TURN", "NOW"], rows, right=range(4, 10))


def doing(agent: AgentSummary, now_ms: int, *, absolute: bool) -> str:
    """Say what an agent does now: on how much mail, with which tool, which ask it waits for, or why it rests."""
    if agent.state == "working":
        mail = f"{agent.leased} message{'' if agent.leased == 1 else 's'}"
        return f"{mail}, {agent.reason}" if agent.reason else mail
    if agent.until_ms is None or agent.until_ms <= now_ms:
        return agent.reason
    until = f"until {iso(agent.until_ms)}" if absolute else f"for {ahead(agent.until_ms - now_ms)} more"
    return f"{until}: {agent.reason}" if agent.reason else until


def _count(number: int) -> str:
    return str(number) if number else dim("-")


def _spent(agent: AgentSummary) -> str:
    """Say what the turns that ended today, in UTC, cost: tokens and money, where the program said."""
    tokens = [] if agent.tokens_today is None else [f"{tokens_in_short(agent.tokens_today)} tokens"]
    cost = [] if agent.cost_usd_today is None else [f"${agent.cost_usd_today:,.2f}"]
    return " ".join([*tokens, *cost]) or dim("-")


def _turn_words(turn: LastTurn | None, now_ms: int, *, absolute: bool) -> str:
    if turn is None:
        return dim("none yet")
    if turn.closed_at_ms is None:
        since = f"since {iso(turn.opened_at_ms)}" if absolute else f"for {span(now_ms - turn.opened_at_ms)}"
        return f"{turn.id} {turn.state} {since}"
    outcome = (turn.outcome or turn.state).replace("_", " ")
    return f"{turn.id} {outcome} {ago(turn.closed_at_ms, now_ms, absolute=absolute)}"


def _print_account(fleet: FleetState) -> None:
    click.echo(f"{bold('ACCOUNT')}  {account_line(fleet.account)}")
    unread = fleet.operator_mail
    hint = dim("  (queenpost inbox)") if unread else ""
    click.echo(f"{bold('MAILBOX')}  {unread or 'nothing'} unread for the operator{hint}")
    if fleet.open_asks:
        waits = "waits" if fleet.open_asks == 1 else "wait"
        click.echo(f"{bold('ASKS')}     {fleet.open_asks} {waits} for your answer{dim('  (queenpost asks --to-me)')}")
    if fleet.jobs:
        counts = " · ".join(f"{state} {number}" for state, number in fleet.jobs.items())
        click.echo(f"{bold('JOBS')}     {counts}{dim('  (queenpost job list)')}")


def account_line(account: Account) -> str:
    """Say what became of the accepted mail, in one line; `lost` in red where there is any."""
    parts = [f"{name} {getattr(account, name)}" for name in ACCOUNT_LINES[:-1]]
    lost = click.style(f"lost {account.lost}", fg="red" if account.lost else "green")
    return " · ".join([*parts, f"redelivered {account.redelivered}", lost])
