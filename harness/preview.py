"""`python -P -m harness.preview NAME`: the exact words with which an agent would be woken now. It changes nothing.

It asks the broker as the agent, by the agent's own token, and takes no mail: what waits is shown as a turn would hand
it over.
"""

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio

from harness.hints import Hints
from harness.prompting import compose, compose_next, read_role_prompt, standing
from harness.workspace import Workspace
from wire.agents import AgentsWho, AgentsWhoami
from wire.client import BrokerClient
from wire.errors import Invalid, QueenpostError
from wire.home import Home, find_home
from wire.inbox import InboxPeek, InboxPeeked
from wire.private_files import read_secret
from wire.turns import BATCH_MESSAGES, Turn

NO_TURN = "t?"
"""No turn is opened for a look."""


async def shown(home: Home, agent: str, role_prompt: str | None, *, further: bool, notes_max_bytes: int = 0) -> str:
    """Give the prompt of a turn that would open now."""
    who, turn = await _asked(home, agent)
    state = home.agent_state(agent)
    words = compose_next(turn) if further else compose(turn, who, state=state, role_prompt=_role(role_prompt))
    return "\n\n".join([words, *Hints(Workspace(home, agent), notes_max_bytes)()])


async def difference(home: Home, agent: str, role_prompt: str | None) -> str:
    """Give how what is said in every first prompt differs from what the agent was told last, as `diff -u` does.

    Raises:
        Invalid: it was told nothing yet.
    """
    workspace = Workspace(home, agent)
    try:
        before = workspace.prompt_file.read_text(encoding="utf-8")
    except OSError:
        raise Invalid(
            f"{agent} was not woken yet; `queenpost prompt show {agent}` shows what it would be told"
        ) from None
    who, _ = await _asked(home, agent)
    now = standing(who, state=home.agent_state(agent), role_prompt=_role(role_prompt))
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "told last", "would be told now", lineterm="")
    return "\n".join(lines)


async def _asked(home: Home, agent: str) -> tuple[AgentsWho, Turn]:
    token = partial(read_secret, home.agent_secret(agent))
    async with BrokerClient(home.socket, token, "preview", reconnect=False) as client:
        who = await client.call(AgentsWhoami(), AgentsWho)
        peeked = await client.call(InboxPeek(max=BATCH_MESSAGES), InboxPeeked)
    return who, Turn(id=NO_TURN, mail=peeked.mail, waiting=max(peeked.waiting - len(peeked.mail), 0))


def _role(path: str | None) -> str:
    try:
        return read_role_prompt(Path(path) if path else None)
    except (OSError, ValueError) as exc:
        raise Invalid(f"the role prompt cannot be read: {exc}") from exc


def main(arguments: Sequence[str]) -> int:
    """Print what was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(prog="queenpost prompt")
    parser.add_argument("agent")
    parser.add_argument("--home")
    parser.add_argument("--role-prompt")
    parser.add_argument("--diff", action="store_true")
    parser.add_argument("--next", action="store_true")
    parser.add_argument("--notes-max-bytes", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        home = find_home(options.home, os.environ, Path.cwd())
        asked = (
            partial(difference, home, options.agent, options.role_prompt)
            if options.diff
            else partial(
                shown,
                home,
                options.agent,
                options.role_prompt,
                further=options.next,
                notes_max_bytes=options.notes_max_bytes,
            )
        )
        words = anyio.run(asked)
    except QueenpostError as exc:
        sys.stderr.write(f"queenpost: {exc.message}\n")
        return 1
    sys.stdout.write(f"{words}\n" if words else "")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
