"""Kinds of words on the command line: an instant, an id, the name of an agent. What is none is a mistake in usage.

Nothing but click is imported here; asking a broker for names is only done for a shell that completes.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from console.cli.times import instant


class Instant(click.ParamType["datetime"]):
    """An instant, as `10m` (that long ago) or an ISO time."""

    name = "when"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it."""
        if isinstance(value, datetime):
            return value
        try:
            return instant(value, datetime.now(UTC))
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


class Like(click.ParamType[str]):
    """A word of a certain form."""

    name = "word"

    def __init__(self, pattern: str, example: str) -> None:
        self._pattern = pattern
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Let it pass as it is."""
        if not re.fullmatch(self._pattern, value):
            self.fail(f"{value!r} is none; say {self._example}", param, ctx)
        return value


class JobId(click.ParamType[str]):
    """The id of a job, which may be unknown to the broker. A shell can complete it while a broker runs."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Let it pass as it is.

        Raises:
            BadTopic: no job has such an id, in no fleet.
        """
        from wire.topics import check_job_id  # only here: few commands name a job

        return check_job_id(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Give the newest jobs whose ids begin so, with their tasks; none where no broker answers at once."""
        from console.cli.naming import job_ids

        return [CompletionItem(job, help=task) for job, task in job_ids(_home(ctx)) if job.startswith(incomplete)]


class AgentName(click.ParamType[str]):
    """The name of an agent, whatever the broker says to it. A shell can complete it while a broker runs."""

    name = "text"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Give the agents whose names begin so; none where no broker answers at once."""
        from console.cli.naming import agent_names

        return [CompletionItem(name) for name in agent_names(_home(ctx)) if name.startswith(incomplete)]


def _home(ctx: click.Context) -> Path | None:
    """Give the home that the line names so far; None: the usual one."""
    above: click.Context | None = ctx
    while above is not None:
        if (home := getattr(above.obj, "home", None)) is not None:
            return Path(home)
        above = above.parent
    return None


AGENT_PARAMS = frozenset({"agent", "name", "names", "recipient", "to", "as_", "may_write_to"})
"""Parameters of our commands that name an agent."""


def name_agents(command: click.Command) -> None:
    """Let a shell complete the agents' names of a command; a new one's name is nobody's yet."""
    for param in command.params:
        if param.name in AGENT_PARAMS and param.type is click.STRING and command.name != "add":
            param.type = AgentName()
