"""`queenpost mcp`: serve the tools of an agent to the client that holds it; `mcp install` makes them known there."""

import os
from pathlib import Path
from typing import Any

import click

from console.cli.homes import broker_of, home_of, tilde, words_for
from console.cli.options import Group, Options, command, common, pass_options
from console.cli.programs import become
from console.cli.screen import print_json, warn
from console.mcp_install.clients import CLIENTS, Place, Scope
from console.mcp_install.files import Edit
from console.mcp_install.plan import Wish, install, scope_of, uninstall
from wire.home import Home


@click.group("mcp", cls=Group, invoke_without_command=True)
@click.option("--agent", metavar="NAME", help="The agent whose tools these are.")
@click.option("--http", is_flag=True, help="Over HTTP on loopback, for a client that starts no programs.")
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Which port; any free one if left out.")
@common
@pass_options
@click.pass_context
def mcp(ctx: click.Context, options: Options, agent: str | None, http: bool, port: int | None) -> None:
    """Serve the tools of agent NAME over stdio; for the configuration of an MCP client, which `mcp install` writes.

    The client is the agent then: its mail is taken in attended turns, for as long as no harness works for it.
    """
    if ctx.invoked_subcommand is not None:
        if agent or http or port:
            raise click.UsageError(f"options go behind the verb: queenpost mcp {ctx.invoked_subcommand} --agent NAME")
        return
    if agent is None:
        raise click.UsageError("whose tools? name the agent with --agent NAME")
    if port and not http:
        raise click.UsageError("--port is for --http")
    if http and broker_of(options) is not None:
        raise click.UsageError("--http serves a fleet on this machine; for a broker elsewhere serve over stdio")
    over = ["--http", *(["--port", str(port)] if port else [])] if http else []
    become("mcp_tools", "--agent", agent, *words_for(options), *over)


@command("install", of=mcp)
@click.option("--client", required=True, type=click.Choice(list(CLIENTS)), help="The program to set up.")
@click.option("--agent", required=True, metavar="NAME", help="The agent that the program is to be.")
@click.option("--hooks", is_flag=True, help="Its hooks too: the end of a turn is noticed, and mail in the middle.")
@click.option("--scope", type=click.Choice(["project", "user"]), help="This folder, or every folder of yours.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--uninstall", "remove", is_flag=True, help="Take server and hooks out again.")
def install_command(
    options: Options, client: str, agent: str, hooks: bool, scope: Scope | None, dry_run: bool, remove: bool
) -> None:
    """Make the tools of agent NAME known to an MCP client, in the client's own configuration.

    All else in its files stays as it is, and a copy of each is kept beside it. Done twice it changes nothing.
    """
    wish = Wish(CLIENTS[client], scope_of(CLIENTS[client], scope), agent, *_where(options, agent), hooks)
    edits = (uninstall if remove else install)(wish, Place(Path.cwd(), os.environ))
    done = [(edit, None if dry_run or not edit.changes else edit.write()) for edit in edits]
    if options.json:
        print_json({"client": client, "agent": agent, "dry_run": dry_run, "files": [_as_json(*one) for one in done]})
        return
    for edit, backup in done:
        _tell(edit, backup, dry_run=dry_run)
    if not remove:
        _tell_next(options, wish, dry_run=dry_run)


def _tell(edit: Edit, backup: Path | None, *, dry_run: bool) -> None:
    if not edit.changes:
        click.echo(f"already so: {tilde(edit.path)}")
    elif dry_run:
        click.echo(edit.diff(), nl=False)
    else:
        click.echo(f"wrote {tilde(edit.path)}{f', before: {tilde(backup)}' if backup else ''}")


def _as_json(edit: Edit, backup: Path | None) -> dict[str, Any]:
    return {"path": str(edit.path), "changes": edit.changes, "backup": str(backup) if backup else None}


def _where(options: Options, agent: str) -> tuple[list[str], Home | None]:
    """Say which fleet is meant in words that hold in any folder, and give its home if it is on this machine."""
    if options.token_fd is not None:
        raise click.UsageError("--token-fd cannot stand in a file; use --token-file")
    for name in ("token_file", "ca"):
        if getattr(options, name) is not None:
            setattr(options, name, getattr(options, name).absolute())
    home = home_of(options) if broker_of(options) is None else None
    Home(Path()).agent_secret(agent)  # refuses what no agent can be called
    return words_for(options), home


def _tell_next(options: Options, wish: Wish, *, dry_run: bool) -> None:
    if wish.home is not None and not (wish.home.agent_secret(wish.agent).exists() or options.token_file):
        where, who = tilde(wish.home.root), wish.agent
        warn(f"the fleet in {where} has no agent {who!r} yet; `queenpost agent add {who}` makes one")
    if not dry_run:
        elsewhere = f" --home {options.home}" if options.home else ""
        running = f"; `queenpost{elsewhere} up` runs the fleet, if it does not run yet" if wish.home else ""
        with_hooks = wish.client.hooks if wish.hooks else None
        click.echo(f"next: {with_hooks.start if with_hooks else wish.client.start}{running}")
