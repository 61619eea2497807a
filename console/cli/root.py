"""The command `queenpost` (`qp`): which commands there are, and loading a command's file when it is called.

Nothing but click is imported here: `queenpost --version` and a completion have to be quick.
"""

import os
from dataclasses import dataclass
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from console.cli.failing import one_line_for_each_failure
from console.cli.options import Options, common


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives, and what the list of commands says about it."""

    where: str
    """`module:attribute`, below `console.cli`."""
    section: str
    help: str


COMMANDS: dict[str, Entry] = {
    "init": Entry("init:init", "Fleet", "Write a queenpost.toml to start from."),
    "new": Entry("new:new", "Fleet", "Make a fleet for a goal, and watch it work."),
    "up": Entry("up:up", "Fleet", "Run the whole fleet: broker and harness."),
    "down": Entry("up:down", "Fleet", "Stop a fleet that `up` runs."),
    "status": Entry("status:status", "Fleet", "Show the agents, their mail and the account."),
    "watch": Entry("watch:watch", "Fleet", "Watch a fleet at work, live."),
    "apply": Entry("apply:apply", "Fleet", "Make an edited queenpost.toml true."),
    "doctor": Entry("doctor:doctor", "Fleet", "Check that all works, and say what mends it."),
    "logs": Entry("logs:logs", "Fleet", "Read what the programs of the fleet did."),
    "stats": Entry("stats:stats", "Fleet", "Count what the broker did."),
    "freeze": Entry("freeze:freeze", "Fleet", "Stop agents at once; works with a hung broker."),
    "thaw": Entry("freeze:thaw", "Fleet", "End a freeze."),
    "backup": Entry("backup:backup", "Fleet", "Copy the database while everything goes on."),
    "restore": Entry("backup:restore", "Fleet", "Put a backup in place of the database."),
    "demo": Entry("demo:demo", "Fleet", "See a fleet at work, without keys or services."),
    "send": Entry("inbox:send", "Mail", "Send a message."),
    "inbox": Entry("inbox:inbox", "Mail", "List the mail of the operator or of an agent."),
    "recv": Entry("recv:recv", "Mail", "Take an agent's mail, once."),
    "explain": Entry("explain:explain", "Mail", "Tell the story of a message, agent, ask or reminder."),
    "thread": Entry("thread:thread", "Mail", "Show a conversation as a tree."),
    "search": Entry("search:search", "Mail", "Find messages by words."),
    "remind": Entry("reminders:remind", "Mail", "Send mail at a later time."),
    "reminders": Entry("reminders:reminders", "Mail", "List reminders, take back, try again."),
    "ask": Entry("asks:ask", "Mail", "Put a question to an agent."),
    "asks": Entry("asks:asks", "Mail", "List open asks; withdraw them."),
    "answer": Entry("asks:answer", "Mail", "Answer an ask."),
    "dead": Entry("dead:dead", "Mail", "List, requeue or discard dead letters."),
    "held": Entry("held:held", "Mail", "List, release or discard held mail."),
    "recall": Entry("recall:recall", "Mail", "Take back mail that nobody has leased."),
    "agent": Entry("agents:agent", "Agents", "Add, list, watch, pause, restart, remove agents."),
    "claude": Entry("sessions:claude", "Agents", "Open your own Claude Code as an agent."),
    "codex": Entry("sessions:codex", "Agents", "Open your own Codex as an agent."),
    "prompt": Entry("prompt:prompt", "Agents", "Show the words with which an agent is woken."),
    "job": Entry("jobs:job", "Jobs", "Register, claim, watch, publish and cancel jobs."),
    "broker": Entry("programs:broker", "Programs", "Run the broker alone."),
    "harness": Entry("programs:harness", "Programs", "Run the harness alone."),
    "mcp": Entry("mcp:mcp", "Programs", "Serve an agent's MCP tools; make them known to a client."),
    "link": Entry("link:link", "Programs", "Join stdin and stdout to the broker, for ssh."),
    "login": Entry("login:login", "Programs", "Log an account in, with the program's own command."),
    "completion": Entry("completion:completion", "Programs", "Make a shell complete commands and names."),
}
"""In the order in which `queenpost --help` lists them."""


class Root(click.Group):
    """The group of all commands. A command's file is imported when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Give the names without loading anything."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.where.partition(":")
        return getattr(import_module(f"console.cli.{module}"), attribute)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the nearest ones."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as exc:
            raise click.exceptions.NoSuchCommand(exc.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section."""
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            rows = [(name, entry.help) for name, entry in COMMANDS.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows, col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete names without loading the commands."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=COMMANDS[name].help) for name in names] + options

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; whatever ends it becomes one line and an exit code."""
        with one_line_for_each_failure():
            return super().invoke(ctx)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"queenpost {version('queenpost')}")
    except PackageNotFoundError:
        click.echo("queenpost, from a checkout that is not installed")
    ctx.exit()


EPILOG = """\
Exit codes: 0 done, 1 refused (stderr says why), 2 usage, 3 another broker runs on this home.

Completion: eval "$(queenpost completion bash)", or zsh, fish.
"""


@click.group(cls=Root, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version.",
)
@common
@click.pass_context
def main(ctx: click.Context) -> None:
    """A durable post office and turn-loop harness for fleets of LLM agents.

    New here? `queenpost demo` shows a fleet at work; `queenpost init --here` starts one of your own.
    """
    ctx.ensure_object(Options)
    # https://no-color.org: any value that is not empty. click strips colours by itself where no terminal is.
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False
