"""`queenpost completion`: what makes a shell complete our commands, options, and the names of agents."""

import os
from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from console.cli.options import Options, command

PROGRAMS = ("queenpost", "qp")
SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
ANSWER_S = 0.3
"""How long a shell waits for names; without them by then, it offers none."""


@command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(_: Options, shell: str) -> None:
    """Print what SHELL has to read at its start to complete our commands.

    \b
    bash, in ~/.bashrc:                    eval "$(queenpost completion bash)"
    zsh, in ~/.zshrc, behind compinit:     eval "$(queenpost completion zsh)"
    fish, in ~/.config/fish/config.fish:   queenpost completion fish | source
    """
    from console.cli.root import main

    for program in PROGRAMS:
        script = SHELLS[shell](main, {}, program, f"_{program.upper()}_COMPLETE")
        # Not `source()`: it would start a bash of its own to look at its version.
        click.echo(script.source_template % script.source_vars())


def agent_names(ctx: click.Context) -> list[str]:
    """Ask the broker for the names of its agents; none where it does not answer at once. Says nothing else."""
    import anyio

    from wire.agents import AgentsList, AgentsListed
    from wire.client import BrokerClient
    from wire.home import find_home
    from wire.private_files import read_secret

    options = ctx.find_object(Options) or Options()

    async def ask() -> list[str]:
        home = find_home(str(options.home) if options.home else None, os.environ, Path.cwd())
        with anyio.move_on_after(ANSWER_S):
            async with BrokerClient(
                home.socket, lambda: read_secret(home.operator_secret), "completion", reconnect=False
            ) as client:
                return [agent.name for agent in (await client.call(AgentsList(), AgentsListed)).agents]
        return []

    try:
        return anyio.run(ask)
    except Exception:  # noqa: BLE001  # a shell that completes shows whatever is said in the middle of a line
        return []
