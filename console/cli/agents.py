"""Agents of a fleet: add, list, show, pause, resume, remove them, and where their tokens lie."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from console.cli.attach import attach
from console.cli.connecting import ask
from console.cli.homes import broker_of, tilde
from console.cli.loops import restart, wake_test
from console.cli.options import Options, command, group
from console.cli.screen import bold, coloured, dim, note, print_json, safe
from console.cli.status import agent_as_json, print_agents
from console.cli.tail import tail
from wire import agents as ops
from wire.client import new_key
from wire.clock import SystemClock
from wire.private_files import read_secret
from wire.settings import AgentSettings


@group("agent")
def agent() -> None:
    """Add, list, show, pause, resume, restart and remove agents; wake them, and look over their shoulders."""


agent.add_command(attach)
agent.add_command(restart)
agent.add_command(tail)
agent.add_command(wake_test)


@command("add", of=agent)
@click.argument("name")
@click.option("--role", type=click.Choice(["agent", "manager"]), default="agent", show_default=True, help="Its role.")
@click.option(
    "--backend",
    type=click.Choice(["none", "command", "scripted"]),
    default="none",
    show_default=True,
    help="What plays the model; none: an MCP client or a person at `queenpost recv`.",
)
@click.option("--command", "command_line", metavar="LINE", help="Program and arguments of the command backend.")
@click.option("--script", help="Script of the scripted backend.")
@click.option(
    "--prompt",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with its role prompt.",
)
@click.option(
    "--workdir", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Where its program runs."
)
@click.option("--may-write-to", multiple=True, metavar="NAME...", help="Only to these; else to anyone.")
@click.option("--batch-max", type=click.IntRange(1, 32), default=32, show_default=True, help="Messages per wake.")
def add(options: Options, name: str, command_line: str | None, may_write_to: tuple[str, ...], **given: Any) -> None:
    """Add the agent NAME. It is kept in the database; what queenpost.toml declares is changed only there."""
    paths = {key: str(given.pop(key).resolve()) for key in ("prompt", "workdir") if given[key] is not None}
    words = {"command": shlex.split(command_line or ""), "allowed_recipients": list(may_write_to) or None}
    settings = AgentSettings.model_validate({**given, **paths, **words})
    added = ask(options, ops.AgentsAdd(agent=name, settings=settings, key=new_key()), ops.AgentsAdded)
    if options.json:
        print_json({"agent": added.agent, "token_path": added.token_path})
        return
    click.echo(f"added {added.agent}; its token is in {tilde(added.token_path)}")
    if settings.backend == "none":
        note(f"`queenpost mcp --agent {name}` serves its tools, `queenpost recv --as {name}` takes its mail")


@command("list", of=agent)
@click.option("--removed", is_flag=True, help="List those that were removed too.")
def list_agents(options: Options, removed: bool) -> None:
    """List the agents with their state and mail, the manager first."""
    listed = ask(options, ops.AgentsList(removed=removed), ops.AgentsListed)
    if options.json:
        print_json([agent_as_json(one) for one in listed.agents])
    else:
        print_agents(listed.agents, SystemClock().now_ms(), absolute=options.absolute)


@command("show", of=agent)
@click.argument("name")
def show(options: Options, name: str) -> None:
    """Show the agent NAME with the settings that are applied; values of its environment are masked."""
    shown = ask(options, ops.AgentsShow(agent=name), ops.AgentsShown)
    settings = shown.settings.model_dump(exclude_none=True)
    if options.json:
        print_json({**agent_as_json(shown.agent), "settings": settings, "token_path": shown.token_path})
        return
    one = shown.agent
    click.echo(f"{bold(one.name)}  {one.role}, {coloured(one.state)}  {dim(safe(one.reason))}".rstrip())
    mail = f"{one.ready} waiting, {one.leased} in turn, {one.held} held, {one.dead} dead"
    source = "queenpost.toml" if one.origin == "file" else "`queenpost agent add`"
    token = tilde(shown.token_path) if shown.token_expected else "void"
    said = {key: value for key, value in settings.items() if value not in ([], {}) and key != "role"}
    rows = {"mail": mail, "declared by": source, "token": token, **said}
    for key, value in rows.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"  {dim(f'{key:<18}')}  {safe(text)}")


@command("pause", of=agent)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def pause(options: Options, names: tuple[str, ...]) -> None:
    """Open no further turn for these agents. A running one finishes; their mail collects."""
    for name in names:
        changed = ask(options, ops.AgentsPause(agent=name, key=new_key()), ops.AgentsChanged)
        _tell(options, changed, "paused", "was paused already")


@command("resume", of=agent)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def resume(options: Options, names: tuple[str, ...]) -> None:
    """End the pause of these agents; mail that waits opens a turn at once."""
    for name in names:
        changed = ask(options, ops.AgentsResume(agent=name, key=new_key()), ops.AgentsChanged)
        _tell(options, changed, "resumed", "was not paused")


@command("remove", of=agent)
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(options: Options, name: str, yes: bool) -> None:
    """Take the agent NAME out of the fleet: its waiting mail becomes dead, and the senders are told."""
    if not yes and sys.stdin.isatty():
        click.confirm(f"remove {name}, and make its waiting mail dead?", abort=True, err=True)
    changed = ask(options, ops.AgentsRemove(agent=name, key=new_key()), ops.AgentsChanged)
    _tell(options, changed, "removed", "was removed already")
    if changed.dead and not options.json:
        note(f"{changed.dead} of its messages are dead now; `queenpost dead list` shows them")


@command("token", of=agent)
@click.argument("name")
@click.option("--show", "reveal", is_flag=True, help="Print the token itself. It is as good as being the agent.")
@click.option("--rotate", is_flag=True, help="Make a new one: the old is void at once, and what was done with it ends.")
def token(options: Options, name: str, reveal: bool, rotate: bool) -> None:
    """Say where the token of agent NAME lies, or of `operator` or `harness`. A file that is missing is made anew."""
    if reveal and broker_of(options) is not None:
        raise click.UsageError("--show reads the file of the token, and that lies on the machine of the broker")
    request = ops.AgentsRotate(agent=name, key=new_key()) if rotate else ops.AgentsToken(agent=name)
    path = ask(options, request, ops.AgentsTokenPath).path
    secret = read_secret(Path(path)) if reveal else None
    if options.json:
        print_json({"agent": name, "path": path, **({"token": secret} if secret else {})})
    else:
        click.echo(secret or path)
        if rotate:
            note(f"the old token of {name} is void; whoever has a copy of it needs the new one")


def _tell(options: Options, changed: ops.AgentsChanged, did: str, was: str) -> None:
    if options.json:
        print_json({"agent": changed.agent, "changed": changed.changed, "dead": changed.dead})
    else:
        click.echo(f"{changed.agent} {did if changed.changed else was}")
