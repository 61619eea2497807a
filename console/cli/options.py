"""The options that every command takes, before or after its name, and what they came to.

It decides nothing: `console.cli.connecting` finds the fleet, `console.cli.screen` prints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from console.cli.kinds import name_agents

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Options:
    """What the caller said about the whole command line; the later word wins."""

    home: Path | None = None
    """Folder of the fleet; None is looked for by `wire.home`."""
    config: Path | None = None
    as_: str | None = None
    """The agent to be, by its own token; None is the operator."""
    token_file: Path | None = None
    """Another source of the credential than the files of the home; so is `token_fd`."""
    token_fd: int | None = None
    broker: str | None = None
    """Address of a broker that is reached by another way than its home: `wire.dialing`."""
    ca: Path | None = None
    """Authorities that may have signed the certificate of that broker; None are those of this machine."""
    json: bool = False
    absolute: bool = False


pass_options = click.make_pass_decorator(Options, ensure=True)


class Command(click.Command):
    """A command whose help keeps the common options apart, and whose list options take several words."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `--ack m1 m2` as `--ack m1 --ack m2` where an option's metavar says `ID...`."""
        for param in self.params:
            if isinstance(param, click.Option) and (param.metavar or "").endswith("..."):
                args = _one_word_each(args, param.opts[-1])
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List what is the command's own before what all commands take."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        for title, is_common in (("Options", False), ("Options of all commands", True)):
            chosen = [option for option in options if (option.name in COMMON_NAMES) is is_common]
            if rows := [record for option in chosen if (record := option.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl(rows)


class Group(click.Group, Command):
    """A noun with its verbs."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options, then the verbs."""
        Command.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


def command(
    name: str, *, of: click.Group | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command that gets the common options as its first argument; `of` is the noun it belongs to."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = click.command(name, cls=Command, **attributes)(common(pass_options(function)))
        name_agents(made)
        if of is not None:
            of.add_command(made)
        return made

    return decorate


def group(name: str) -> Callable[[Callable[..., Any]], click.Group]:
    """Make a noun that takes the common options too."""
    return lambda function: click.group(name, cls=Group)(common(function))


def _one_word_each(args: list[str], option: str) -> list[str]:
    if option not in args:
        return args
    start = args.index(option) + 1
    end = next((at for at in range(start, len(args)) if args[at].startswith("-")), len(args))
    if start == end < len(args):
        raise click.UsageError(f"{option} needs at least one word behind it")
    spread = [word for value in args[start:end] for word in (option, value)]
    return [*args[: start - 1], *(spread or [option]), *args[end:]]


def common(function: F) -> F:
    """Add the common options; their values go into `Options`, not into the function's arguments."""
    for option in reversed(_COMMON):
        function = option(function)
    return function


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    # Unset must not undo what was said before the command's name. (0 is a descriptor.)
    if value is not None and value is not False:
        setattr(ctx.ensure_object(Options), str(param.name), value)


_COMMON = (
    click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="PATH",
        help="Folder of the fleet. Else $QUEENPOST_HOME, the nearest .queenpost/ upwards, or yours.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The queenpost.toml to use.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--as",
        "as_",
        metavar="NAME",
        help="Be this agent, by its own token, instead of the operator.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Read the credential from this file, not from the home.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--token-fd",
        type=click.IntRange(0),
        metavar="N",
        help="Read the credential from this open descriptor.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--broker",
        metavar="ADDRESS",
        help="A broker elsewhere: ssh://HOST[/HOME], tls://HOST:PORT or unix:/PATH. Else $QUEENPOST_BROKER.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--ca",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Who may have signed the broker's certificate; else this machine's authorities.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--json",
        "json",
        is_flag=True,
        help="Print JSON for programs.",
        expose_value=False,
        callback=_remember,
    ),
    click.option(
        "--absolute",
        is_flag=True,
        help="Print times in full instead of '3 min ago'.",
        expose_value=False,
        callback=_remember,
    ),
)

COMMON_NAMES = frozenset({"home", "config", "as_", "token_file", "token_fd", "broker", "ca", "json", "absolute"})
