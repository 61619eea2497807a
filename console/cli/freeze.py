"""`queenpost freeze` and `thaw`: the emergency stop. It works while the broker hangs, or does not run at all.

The file in the home is written first: harnesses on this machine look at it themselves. Then the broker is told,
with little patience.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import anyio
import click

from console.cli.connecting import OPERATOR, connected
from console.cli.homes import broker_of, home_of
from console.cli.options import Options, command
from console.cli.screen import print_json, warn
from wire.client import new_key
from wire.errors import Denied, Full, Invalid, QueenpostError, Unavailable, Unknown
from wire.freeze_file import Frozen, change_frozen
from wire.office import FleetFreeze, FleetFrozen, FleetThaw

PATIENCE_S = 2.0
"""A broker that hangs must not keep an operator waiting."""
ELSEWHERE_S = 30.0
"""One on another machine is all there is: its home, and the file in it, are out of reach."""

STOPPING = "written; harnesses on this machine stop within 2 s; the broker has not confirmed ({0})"
GOING_ON = "written; harnesses on this machine go on; the broker has not confirmed ({0})"
STRANGER = "no agent of this home has a token under the name {0!r}: is it spelled right?"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it."""

    everybody: bool
    agents: list[str]
    changed: list[str]
    unconfirmed: str | None = None
    """Why the broker has not confirmed."""


@command("freeze")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def freeze(options: Options, names: tuple[str, ...]) -> None:
    """Stop the agents NAME at once, or all of them, those that come later too.

    Their programs end within 2 s and their mail goes back, nothing is counted; they get no turn and send nothing
    until `queenpost thaw`. Mail to them collects. It works while the broker hangs or is down.
    """
    told = _change(options, FleetFreeze(agents=list(names), key=new_key()), lambda now: now.and_also(names))
    _say(options, told, "frozen", names, STOPPING)


@command("thaw")
@click.argument("names", nargs=-1, metavar="[NAME]...")
def thaw(options: Options, names: tuple[str, ...]) -> None:
    """End the freeze of the agents NAME, or of all; mail that waits opens a turn at once."""
    told = _change(options, FleetThaw(agents=list(names), key=new_key()), lambda now: now.without(names))
    _say(options, told, "thawed", names, GOING_ON)


def _change(options: Options, request: FleetFreeze | FleetThaw, change: Callable[[Frozen], Frozen]) -> Told:
    """Write the file, then tell the broker.

    Raises:
        Denied: an agent asks. Conflict: see `Frozen.without`. Unknown: no such agent; nothing stays changed.
        Unavailable: neither the file could be written nor the broker reached; one elsewhere could not.
    """
    if options.as_ not in (None, OPERATOR):
        raise Denied(f"freezing and thawing is the operator's; leave --as {options.as_} out")
    if broker_of(options) is not None:
        return _told(anyio.run(_ask, options, request, ELSEWHERE_S))  # it writes the file where it runs
    path = home_of(options).frozen
    try:
        before, now = change_frozen(path, change)
    except (Full, Unavailable) as exc:
        warn(exc.message)
        return _told(anyio.run(_ask, options, request, PATIENCE_S))  # who may not write there may still ask
    try:
        told = _told(anyio.run(_ask, options, request, PATIENCE_S))
    except Unknown:
        change_frozen(path, lambda later: _undone(later, before, now))
        raise
    except QueenpostError as exc:
        told = Told(now.everybody, sorted(now.agents), [], exc.message)
    # The broker may have followed the file before it was asked.
    return replace(told, changed=sorted({*told.changed, *(before.agents ^ now.agents)}))


def _undone(later: Frozen, before: Frozen, now: Frozen) -> Frozen:
    """Take back what was changed, and leave what others changed since."""
    return replace(later, agents=(later.agents - (now.agents - before.agents)) | (before.agents - now.agents))


async def _ask(options: Options, request: FleetFreeze | FleetThaw, patience_s: float) -> FleetFrozen:
    try:
        with anyio.fail_after(patience_s):
            async with connected(options) as client:
                return await client.call(request, FleetFrozen, timeout_s=patience_s)
    except TimeoutError:
        raise Unavailable(f"no answer within {patience_s:g} s") from None


def _told(frozen: FleetFrozen) -> Told:
    return Told(frozen.everybody, frozen.agents, frozen.changed)


def _say(options: Options, told: Told, did: str, names: Iterable[str], unconfirmed: str) -> None:
    if options.json:
        print_json(
            {
                "everybody": told.everybody,
                "agents": told.agents,
                "changed": told.changed,
                "confirmed": told.unconfirmed is None,
            }
        )
    for name in names if not options.json else ():
        click.echo(f"{name} {did if name in told.changed else f'was {did} already'}")
    if not names and not options.json:
        click.echo(f"everybody is {did}{', who comes later too' if did == 'frozen' else ''}")
    if told.unconfirmed is not None:
        warn(unconfirmed.format(told.unconfirmed))
        for name in names:
            if _is_stranger(options, name):
                warn(STRANGER.format(name))


def _is_stranger(options: Options, name: str) -> bool:
    """Say whether a name looks mistyped; the broker, which would know, is not there to be asked."""
    try:
        return not home_of(options).agent_secret(name).exists()
    except Invalid:
        return True
    except OSError:  # another user's folder
        return False
