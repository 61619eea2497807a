"""`queenpost up` and `down`: a whole fleet under one supervisor, in this terminal or detached from it."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import click

from console.cli.connecting import name_fleet
from console.cli.failing import AnotherBroker, Refused
from console.cli.homes import config_of, home_of, name_of, tilde
from console.cli.logs import LOOK_EVERY_S, print_records
from console.cli.options import Options, command
from console.cli.screen import bold, note, print_json, warn
from console.doctor import accounts
from console.log_files import Follower, Record
from console.supervisor.app import ORPHAN_GRACE_S, UpSettings, start
from console.supervisor.keeper import python
from console.supervisor.lock import holder
from console.supervisor.orphans import end, left_behind
from console.supervisor.signals import stop_on_signals
from wire.home import Home

DOWN_S = 15.0
"""How long `down` waits; `up` needs 10 s at most."""

NOTABLE = frozenset(
    {
        "message_accepted",
        "broadcast_accepted",
        "turn_opened",
        "turn_closed",
        "turn_lapsed",
        "turn_ended_by_broker",
        "message_died",
        "mail_held",
        "agent_attached",
        "agent_detached",
        "fleet_stopped",
    }
)
"""What `up` shows of the logs, besides warnings and errors; `queenpost logs -f` shows all."""


@command("up")
@click.option("-d", "--detach", is_flag=True, help="Return when the fleet is ready; it runs on in the background.")
def up(options: Options, detach: bool) -> None:
    """Run the whole fleet: the broker, then the harness with all agents. A missing home is made.

    In the foreground it shows what happens; Ctrl-C ends the fleet, and so does `queenpost down`. A program
    that dies is started again, five times in a minute.
    """
    home = home_of(options)
    settings = UpSettings(home, config_of(options, home))
    if not options.json:
        name_fleet(name_of(options, home), home.root)
    _prove_logins(settings)
    if detach:
        _say_ready(options, home, start_detached(settings))
        return
    anyio.run(_foreground, options, settings)


def _prove_logins(settings: UpSettings) -> None:
    """Ask the program of each account whether it is logged in, before the first turn; the fleet starts all the same."""
    for verdict in accounts.checks(settings.home, settings.config):
        if verdict.level != "ok":
            warn(f"{verdict.check}: {verdict.says}. Mend it with: {verdict.mend}")


async def _foreground(options: Options, settings: UpSettings) -> None:
    """Run until stopped. What the fleet logs meanwhile is shown; a failure comes out as itself."""
    stop, drain = anyio.Event(), anyio.Event()
    follower = Follower(settings.home.logs)
    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(stop_on_signals, stop, drain)
            tasks.start_soon(_show, options, follower)
            async with anyio.create_task_group() as fleet:
                ready = await start(fleet, settings, stop, drain)
                if ready is not None:
                    _say_ready(options, settings.home, {"broker": ready.broker, "harness": ready.harness})
            tasks.cancel_scope.cancel()
    finally:
        _print_notable(options, follower)
        follower.close()


async def _show(options: Options, follower: Follower) -> None:
    while True:
        _print_notable(options, follower)
        await anyio.sleep(LOOK_EVERY_S)


def _print_notable(options: Options, follower: Follower) -> None:
    print_records((record for record in follower.new() if is_notable(record)), as_json=options.json)


def is_notable(record: Record) -> bool:
    """Say whether a person who watches a fleet wants to see this."""
    return record.get("event") in NOTABLE or record.get("level") not in {"debug", "info"}


def _say_ready(options: Options, home: Home, said: Mapping[str, Any]) -> None:
    broker, harness = said["broker"], said["harness"]
    agents = list(harness["agents"]) if harness else []
    if options.json:
        state = "ready" if harness else "failed"
        print_json(
            {
                "event": "ready",
                "fleet": broker.get("fleet"),
                "home": str(home.root),
                "agents": agents,
                "harness": state,
            }
        )
        return
    who = ", ".join(agents) or "no agents that need one"
    click.echo(f"{bold('ready')}: broker (pid {broker.get('pid')}), harness with {who}")
    refused: dict[str, str] = harness["refused"] if harness and "refused" in harness else {}
    for name, reason in refused.items():
        warn(f"{name} is not hosted: {reason}")
    if harness is None:
        warn("the harness failed, so no agent gets a turn; the broker accepts mail. `queenpost logs` says why")
    note("`queenpost send`, `status`, `logs -f` work from any terminal; `queenpost down` ends the fleet")


def start_detached(settings: UpSettings) -> Mapping[str, Any]:
    """Start a supervisor that outlives us, and hear what it says when it is ready.

    Raises:
        Refused: it is not; with its reason.
    """
    config = ["--config", str(settings.config)] if settings.config else []
    process = subprocess.Popen(
        python("console.supervisor", "--home", str(settings.home.root), *config),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    words: list[str] = []
    try:
        for line in process.stdout or ():
            if (said := _answer(line)) is not None:
                return _checked(said, process)
            words.append(line.rstrip())
    except KeyboardInterrupt:
        process.terminate()
        raise
    raise Refused("unavailable", "\n".join(["the supervisor ended without a word", *words[-10:]]))


def _answer(line: str) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) and "event" in said else None  # pyright: ignore[reportUnknownVariableType]  # JSON objects have string keys


def _checked(said: dict[str, Any], process: subprocess.Popen[str]) -> Mapping[str, Any]:
    if said["event"] == "ready":
        return said
    refused = AnotherBroker if process.wait() == AnotherBroker.exit_code else Refused
    raise refused(said["code"], said["message"])


@command("down")
@click.option("--drain", is_flag=True, help="Let the turns that run finish first; none opens meanwhile.")
@click.option(
    "--within",
    type=click.FloatRange(min=0),
    metavar="MINUTES",
    default=10.0,
    show_default=True,
    help="How long --drain may take; then the turns are ended, and their mail goes back.",
)
def down(options: Options, drain: bool, within: float) -> None:
    """Stop the fleet that `up` runs: harness, then broker. Where none runs, that is said, and all is well.

    While it drains, a second Ctrl-C ends the turns at once.
    """
    home = home_of(options)
    settings = UpSettings(home)
    if not options.json:
        name_fleet(name_of(options, home), home.root)
    pid = holder(home.up_lock)
    if pid is not None and drain and _drained(options, home, pid, within):
        _tell_down(options, home, "stopped", "stopped; every turn that ran has ended")
    elif pid is not None:
        with suppress(ProcessLookupError):  # it ended by itself since
            os.kill(pid, signal.SIGTERM)
        anyio.run(wait_for_end, home, pid)
        _tell_down(options, home, "stopped", "stopped")
    elif orphans := left_behind(settings.children):
        anyio.run(end, orphans.values(), ORPHAN_GRACE_S)
        settings.children.unlink(missing_ok=True)
        _tell_down(options, home, "stopped", f"stopped what a killed `up` left behind: {', '.join(orphans)}")
    elif listens(home):
        raise Refused("conflict", "a broker runs here, but not under `queenpost up`; stop that program itself")
    else:
        _tell_down(options, home, "not_running", f"nothing to stop: no fleet runs in {tilde(home.root)}")


def _drained(options: Options, home: Home, pid: int, within_min: float) -> bool:
    from console.cli.drain import drain

    done = anyio.run(partial(drain, home, pid, within_min * 60, quiet=options.json))
    if not done:
        warn("not every turn has ended; those are ended now, and their mail goes back")
    return done


async def wait_for_end(home: Home, pid: int) -> None:
    """Return when a supervisor that was told to end has ended.

    Raises:
        Refused: it takes too long.
    """
    with anyio.move_on_after(DOWN_S):
        while holder(home.up_lock) == pid:  # noqa: ASYNC110  # it is not our child, so nothing tells of its end
            await anyio.sleep(0.05)
        return
    raise Refused("unavailable", f"`queenpost up` (pid {pid}) has not ended within {DOWN_S:.0f} s; its log says why")


def listens(home: Home) -> bool:
    """Say whether a broker answers on this home."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        return probe.connect_ex(str(home.socket)) == 0


def _tell_down(options: Options, home: Home, state: str, words: str) -> None:
    if options.json:
        print_json({"home": str(home.root), "state": state})
    else:
        click.echo(words)
