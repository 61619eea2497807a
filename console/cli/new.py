"""`queenpost new`: from a goal to a fleet that works on it, with the agent program that is here and logged in."""

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import click

from console.cli.connecting import converse, name_fleet
from console.cli.failing import Refused
from console.cli.homes import name_of, tilde
from console.cli.inbox import body_of
from console.cli.options import Options, command
from console.cli.screen import bold, note, print_json, safe, say, warn
from console.cli.up import start_detached, wait_for_end
from console.cli.watch import look, next_steps, screen, where
from console.live.watching import Watch
from console.logins.finding import KNOWN
from console.new import place, proving
from console.new.choosing import choose
from console.new.plan import MANAGER, Plan, has_commits, uncommitted
from console.supervisor.app import UpSettings
from console.supervisor.lock import holder
from wire.client import BrokerClient, new_key
from wire.clock import SystemClock
from wire.errors import QueenpostError
from wire.home import Home
from wire.inbox import InboxSend, InboxSent

MOST_WORKERS = 16
"""Each may hold some 260 MB while it is warm."""
TESTER = "worker-1"


@command("new")
@click.argument("goal")
@click.option(
    "--workers", type=click.IntRange(1, MOST_WORKERS), default=2, show_default=True, help="Besides the manager."
)
@click.option(
    "--backend",
    type=click.Choice(["auto", *(known.backend for known in KNOWN)]),
    default="auto",
    show_default=True,
    help="The program that plays the model; auto: the first of them that is installed and logged in.",
)
@click.option("--here", is_flag=True, help="A fleet of this folder, also where it lies in another fleet.")
@click.option("-d", "--detach", is_flag=True, help="Return when the goal is sent, and do not watch.")
@click.option(
    "--within", type=click.FloatRange(min=1), default=120.0, show_default=True, help="Seconds the test turn may take."
)
def new(options: Options, goal: str, workers: int, backend: str, here: bool, detach: bool, within: float) -> None:
    """Make a fleet of this folder that works on GOAL: a manager who plans and workers who do it. GOAL - reads stdin.

    Writes ./queenpost.toml, ./prompts/ and ./.queenpost/, and never over anything. Starts the fleet, shows with a
    short turn of a worker that it works, and gives the manager the goal; the turns are paid for by the login of the
    program. Then it shows the fleet at work: Ctrl-C ends the look, not the fleet.
    """
    goal = place.check_goal(body_of(goal))
    home = place.home_for(options, here=here)
    config = place.config_for(options, home)
    place.refuse_what_is_there(options, home, config)
    tell = _Telling(quiet=options.json)
    candidate = choose(backend, tell.step)
    folder = Path.cwd()
    plan = Plan(candidate.known, workers, home, config, folder, has_commits(folder))
    unseen = uncommitted(folder) if plan.branches else 0
    written = place.write(plan)
    tell.step("wrote", ", ".join(safe(tilde(path)) for path in _near(written, folder)))
    tell.git(plan.branches, unseen)
    watched, sent, handled_s = _begin(options, plan, goal, within, tell)
    if options.json:
        print_json({**_as_json(plan, written, sent), "handled_s": round(handled_s, 3)})
        return
    say()
    if detach:
        for line in next_steps(options, []):
            say(line)
        return
    look(options, watched)


def _begin(options: Options, plan: Plan, goal: str, within_s: float, tell: "_Telling") -> tuple[Watch, str, float]:
    """Start the fleet, prove it, send the goal; where that fails nothing is left running, and the files stay."""
    settings = UpSettings(plan.home, plan.config if options.config else None)
    goal_is = "was not sent"
    try:
        _refuse_what_failed(start_detached(settings))
        if not options.json:
            name_fleet(name_of(options, plan.home), plan.home.root)
        at_home = _at(options, plan.home)
        handled_s = converse(at_home, lambda client: _prove(options, client, plan, within_s, tell))
        watched = Watch(plan.home, screen(), SystemClock().wall_ms())
        goal_is = "may have been sent"  # its receipt can get lost
        sent = converse(at_home, lambda client: _send(client, goal))
    except (KeyboardInterrupt, Exception):
        _take_down(plan.home)
        steps = f'`queenpost{where(options)} up -d`, then `queenpost{where(options)} send manager "…"`'
        note(f"the fleet was stopped, and the goal {goal_is}; its files stay. Once it is mended: {steps}")
        raise
    watched.goal = sent
    tell.step("goal", f"{sent} to {MANAGER}")
    return watched, sent, handled_s


def _refuse_what_failed(said: Mapping[str, Any]) -> None:
    harness = said["harness"]
    if harness is None:
        raise Refused("unavailable", "the harness could not be started; `queenpost logs` says why")
    for name, reason in dict(harness.get("refused") or {}).items():
        raise Refused("unavailable", f"{name} could not be hosted: {reason}")


async def _prove(options: Options, client: BrokerClient, plan: Plan, within_s: float, tell: "_Telling") -> float:
    try:
        wake_ms = await proving.wake(client, plan.agents)
        tell.step("up", f"{', '.join(plan.agents)} wake for mail within {wake_ms:.1f} ms")
        handled_s = await proving.turn(client, TESTER, within_s, tell.doing)
    except proving.NotProvenError as exc:
        more = f"`queenpost{where(options)} agent tail {TESTER}` shows what its program said"
        raise Refused("unavailable", f"{exc}\n{more}; if it is the login: `{plan.known.log_in}`") from exc
    tell.step("test", f"{TESTER} handled a message in {handled_s:.1f} s, a real turn of {plan.known.title}")
    return handled_s


async def _send(client: BrokerClient, goal: str) -> str:
    return (await client.call(InboxSend(to=MANAGER, body=goal, key=new_key()), InboxSent)).id


def _take_down(home: Home) -> None:
    """Stop what was started; what cannot be stopped is said by `queenpost down` better than here."""
    pid = holder(home.up_lock)
    if pid is None:
        return
    with suppress(ProcessLookupError, QueenpostError, Refused):
        os.kill(pid, signal.SIGTERM)
        anyio.run(wait_for_end, home, pid)


def _at(options: Options, home: Home) -> Options:
    """Mean the home of the new fleet, and say nothing of it again."""
    return Options(home=home.root, config=options.config, json=True)


def _near(paths: Sequence[Path], folder: Path) -> list[Path]:
    return [path.relative_to(folder) if path.is_relative_to(folder) else path for path in paths]


def _as_json(plan: Plan, written: Sequence[Path], sent: str) -> dict[str, Any]:
    return {
        "home": str(plan.home.root),
        "config": str(plan.config),
        "written": [str(path) for path in written],
        "backend": plan.known.backend,
        "agents": plan.agents,
        "message": sent,
    }


class _Telling:
    """What is said on the way, one line a step."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._last = ""

    def step(self, what: str, words: str) -> None:
        """Say what was done."""
        if not self.quiet:
            say(f"{bold(what.ljust(8))}  {words}")

    def git(self, branches: bool, unseen: int) -> None:
        """Say where the agents work, and what of the folder they do not see."""
        if not branches:
            self.step("place", "no commits here, so all agents share this folder")
            return
        self.step("place", "each worker has a checkout of its own, on the branch queenpost/NAME")
        if unseen and not self.quiet:
            files = "a file here is" if unseen == 1 else f"{unseen} files here are"
            warn(f"{files} not committed; the workers begin at the last commit, and do not see that")

    def doing(self, words: str) -> None:
        """Say what is waited for, whenever it changes."""
        if words != self._last and not self.quiet:
            note(f"{' ' * 10}{TESTER}: {safe(words)}")
        self._last = words
