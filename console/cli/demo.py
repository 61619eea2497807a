"""`queenpost demo`: the main job, end to end, on this machine, in less than half a minute."""

import os
import shutil
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import anyio
import click

from console.cli.failing import INTERRUPTED, REFUSED
from console.cli.homes import tilde
from console.cli.options import Options, command
from console.cli.screen import bold, dim, print_json
from console.demo.play import play, take_account
from console.demo.report import print_account, print_report
from console.demo.stage import Stage, set_stage
from console.demo.telling import Telling
from console.demo.verdict import Play, as_json
from console.log_files import Follower
from console.supervisor.app import UpSettings, run
from console.supervisor.signals import stop_on_signals
from wire.client import BrokerClient
from wire.errors import QueenpostError
from wire.inbox import InboxExplain, InboxExplained
from wire.private_files import read_secret

LIMIT_S = 60.0
"""It takes a few seconds; beyond this something is wrong, and it says so."""
LOOK_EVERY_S = 0.05


@command("demo")
@click.option(
    "--path",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    help="The folder that the agents survey; else the current one. It is only read.",
)
@click.option("--keep", is_flag=True, help="Keep the temporary home, to look around in it.")
def demo(options: Options, folder: Path, keep: bool) -> None:
    """See a fleet at work: a manager and two workers survey a folder, and one worker is killed in the middle.

    It needs no key and no service, and takes some seconds. It ends with the report of the survey and with the
    account of all mail, from the broker. The exit code is 0 only if nothing was lost and the mail of the killed
    worker was handed out again.
    """
    stage = set_stage(folder)
    performance = Performance(stage, quiet=options.json)
    outcome = anyio.run(performance.run)
    kept = keep or bool(outcome.problems()) and not performance.interrupted.is_set()
    if not kept:
        shutil.rmtree(stage.home.root, ignore_errors=True)
    if performance.interrupted.is_set():
        sys.exit(INTERRUPTED)
    _show(options, stage, outcome, kept)
    if outcome.problems():
        sys.exit(REFUSED)


class Performance:
    """One run of the demo, with everything that has to be stopped again."""

    def __init__(self, stage: Stage, *, quiet: bool) -> None:
        self._stage = stage
        self._quiet = quiet
        self._telling = Telling(datetime.now(UTC))
        self._outcome = Play()
        self.interrupted = anyio.Event()

    async def run(self) -> Play:
        """Play, and stop all that was started, whatever happens."""
        self._say(f"{bold('Queenpost demo')}: a manager and two workers survey {tilde(self._stage.folder)}.")
        self._say(dim("Scripted agents, real mail; one of them will be killed. No key, no service.\n"))
        began = anyio.current_time()
        try:
            async with anyio.create_task_group() as tasks:
                await tasks.start(stop_on_signals, self.interrupted)
                tasks.start_soon(self._cancel_when_interrupted, tasks.cancel_scope)
                async with self._fleet() as client:
                    await self._perform(client)
                tasks.cancel_scope.cancel()
        except* QueenpostError as group:
            self._outcome.failure = str(group.exceptions[0])
        self._outcome.seconds = anyio.current_time() - began
        return self._outcome
