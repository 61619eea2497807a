"""`queenpost completion`: what makes a shell complete our commands, options, and the names of agents (`naming`)."""

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from console.cli.options import Options, command

PROGRAMS = ("queenpost", "qp")
SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


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
