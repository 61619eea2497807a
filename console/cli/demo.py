"""`queenpost demo`: the main job, end to end, on this machine, in less than half a minute."""

import shutil
from pathlib import Path

import anyio
import click

from console.cli.failing import INTERRUPTED, REFUSED
from console.cli.homes import tilde
from console.cli.options import Options, command
from console.cli.screen import bold, dim, print_json, safe
from console.demo.performance import Performance
from console.demo.report import print_account, print_report
from console.demo.stage import Stage, set_stage
from console.demo.verdict import Play, as_json


@command("demo")
@click.option(
    "--path",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=".",
    metavar="DIR",
    help="The folder that the agents survey; else the current one. It is only read.",
)
@click.option("--keep", is_flag=True, help="Keep the temporary home, to look around in it.")
@click.pass_context
def demo(ctx: click.Context, options: Options, folder: Path, keep: bool) -> None:
    """See a fleet at work: a manager and two workers survey a folder, and one worker is killed in the middle.

    It needs no key and no service, and takes some seconds. It ends with the report of the survey and with the
    account of all mail, from the broker. The exit code is 0 only if nothing was lost and the mail of the killed
    worker was handed out again.
    """
    stage = set_stage(folder)
    if not options.json:
        _introduce(stage)
    performance = Performance(stage, (lambda _: None) if options.json else click.echo)
    try:
        anyio.run(performance.run)
    finally:
        kept = keep or (bool(performance.outcome.problems()) and not performance.interrupted)
        if not kept:
            shutil.rmtree(stage.home.root, ignore_errors=True)
    if performance.interrupted:
        ctx.exit(INTERRUPTED)
    _show(options, stage, performance.outcome, kept=kept)
    ctx.exit(REFUSED if performance.outcome.problems() else 0)


def _introduce(stage: Stage) -> None:
    click.echo(f"{bold('Queenpost demo')}  a manager and two workers survey {safe(tilde(stage.folder))}")
    click.echo(dim("Scripted agents, real mail; no key, no service. One of them will be killed.\n"))


def _show(options: Options, stage: Stage, outcome: Play, *, kept: bool) -> None:
    if options.json:
        print_json(as_json(outcome, str(stage.home.root) if kept else None))
        return
    if outcome.report is not None:
        click.echo()
        print_report(outcome.report if kept else _without_home(outcome.report, stage))
    if outcome.account is not None:
        print_account(outcome.account)
        click.echo()
    for line in _verdict(outcome):
        click.echo(line)
    if kept:
        click.echo(f"The home was kept: {stage.home.root}  (look around with --home, or QUEENPOST_HOME)")


def _without_home(report: str, stage: Stage) -> str:
    """Leave out what points into the temporary home: it is gone by now."""
    lines = [line for line in report.split("\n") if str(stage.home.root) not in line]
    return "\n".join(lines).rstrip() + "\n"


def _verdict(outcome: Play) -> list[str]:
    problems = outcome.problems()
    if problems:
        return [click.style(f"FAILED  {safe(problem)}", fg="red", bold=True) for problem in problems]
    accident = outcome.accident
    story = outcome.stories[0]
    copy = story.deliveries[0]
    killed = f"{accident.agent} was killed in turn {accident.turn}" if accident else ""
    return [
        click.style(f"All is well after {outcome.seconds:.1f} s.", fg="green", bold=True)
        + f" {killed}; its mail {story.id} was handled in turn {copy.turn}, attempt {copy.attempt}.",
        dim("Nothing is left running. Your own fleet: `queenpost init --here`, then `queenpost up`."),
    ]
