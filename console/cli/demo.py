"""`queenpost demo`: the main job, end to end, on this machine, in less than half a minute."""

import shlex
import shutil
import sys
from pathlib import Path

import anyio
import click

from console.cli.failing import INTERRUPTED, REFUSED
from console.cli.homes import tilde
from console.cli.options import Options, command
from console.cli.screen import bold, dim, print_json, safe
from console.cli.sizes import tokens_in_short
from console.demo.cast import MANAGER, Cast
from console.demo.performance import Performance
from console.demo.report import print_account, print_jobs, print_report
from console.demo.stage import Stage, set_stage
from console.demo.verdict import Play, as_json
from console.logins.finding import KNOWN, known_as, look, missing
from wire.errors import Invalid, Unavailable


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
@click.option(
    "--backend",
    type=click.Choice(["scripted", *(known.backend for known in KNOWN)]),
    default="scripted",
    show_default=True,
    help="Who plays: scripted agents, or a program that is installed and logged in; its turns are paid for.",
)
@click.option("--model", metavar="NAME", help="The model of the program, in its own words; unset: what it takes.")
@click.option("--yes", is_flag=True, help="Do not ask before turns that are paid for.")
@click.pass_context
def demo(
    ctx: click.Context, options: Options, folder: Path, keep: bool, backend: str, model: str | None, yes: bool
) -> None:
    """See a fleet at work: a manager and two workers survey a folder, and one worker is killed in the middle.

    It needs no key and no service, and takes some seconds. The survey is a job and so is each part of it: what they
    say is signed, goes over MQTT and is shown as it is recorded. It ends with the report of the survey, the jobs, and
    the account of all mail, from the broker. The exit code is 0 only if nothing was lost, every job ended well and the
    mail of the killed worker was handed out again. --keep says how to watch such a job yourself.

    With --backend a real program does the same, under your login, in some minutes. It reads the folder and changes
    nothing. What it costs at most is said before it begins.
    """
    if backend == "scripted" and model:
        raise click.UsageError("--model is for a real program; name it with --backend")
    cast = Cast() if backend == "scripted" else _hired(backend, model, yes=yes, quiet=options.json)
    stage = set_stage(folder, cast)
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


def _hired(backend: str, model: str | None, *, yes: bool, quiet: bool) -> Cast:
    """Find the program, say what the demo may cost, and ask.

    Raises:
        Unavailable: it is not installed, or not logged in. Invalid: there is nobody to ask.
    """
    candidate = look(known_as(backend))
    if not candidate.ready:
        raise Unavailable(f"{missing(candidate)}. Without --backend the demo needs neither program nor login")
    cast = Cast(candidate.known, model)
    if not quiet:
        for line in _price(cast, candidate.path or ""):
            click.echo(line)
    if not yes:
        if quiet or not sys.stdin.isatty():
            raise Invalid("its turns are paid for, and there is nobody to ask; say --yes if that is all right")
        click.confirm("Go on?", abort=True)
    return cast


def _price(cast: Cast, path: str) -> list[str]:
    bounds, title = cast.bounds, cast.known.title if cast.known else ""
    most = f"${bounds.usd or 0:.2f} or {(bounds.tokens or 0) / 1e6:.0f}M tokens"
    return [
        f"{bold('It costs')}  some 6 to 10 turns of {title}, under your login",
        f"          ({safe(tilde(path))}).",
        f"          It stops after {bounds.turns} turns, {bounds.seconds / 60:.0f} minutes, {most}: by its",
        "          own figures, known when a turn ends. A subscription pays in quota.\n",
    ]


def _introduce(stage: Stage) -> None:
    click.echo(f"{bold('Queenpost demo')}  a manager and two workers survey {safe(tilde(stage.folder))}")
    paid = "real turns" if stage.cast.known else "real mail; no key, no service"
    click.echo(dim(f"{stage.cast.title}, {paid}. One of them will be killed.\n"))


def _show(options: Options, stage: Stage, outcome: Play, *, kept: bool) -> None:
    if options.json:
        print_json(as_json(outcome, str(stage.home.root) if kept else None))
        return
    if outcome.report is not None:
        click.echo()
        print_report(outcome.report if kept else _without_home(outcome.report, stage))
    if outcome.jobs:
        print_jobs(outcome.jobs)
        click.echo()
    if outcome.account is not None:
        print_account(outcome.account)
        click.echo()
    for line in _verdict(outcome):
        click.echo(line)
    if kept:
        click.echo(f"The home was kept: {stage.home.root}")
        for line in _again(stage, outcome):
            click.echo(dim(line))


def _again(stage: Stage, outcome: Play) -> list[str]:
    """Say how to look around in the home, and how to see a job live; mosquitto_sub finds its password in a file."""
    home = shlex.quote(str(stage.home.root))
    return [
        f"  export QUEENPOST_HOME={home}",
        "  queenpost up -d                              # the fleet again; `queenpost down` ends it",
        *([f"  queenpost job watch {outcome.job}   # what was recorded"] if outcome.job else []),
        f"  queenpost job register --to {MANAGER} {shlex.quote(stage.request)}",
        "  XDG_CONFIG_HOME=$QUEENPOST_HOME/secrets/mqtt mosquitto_sub \\",
        '    -p "$(cat $QUEENPOST_HOME/run/mqtt/port)" -v -t "queenpost/demo/jobs/+/events"',
    ]


def _without_home(report: str, stage: Stage) -> str:
    """Leave out what points into the temporary home: it is gone by now."""
    lines = [line for line in report.split("\n") if str(stage.home.root) not in line]
    return "\n".join(lines).rstrip() + "\n"


def _verdict(outcome: Play) -> list[str]:
    problems = outcome.problems()
    if problems:
        spent = [f"It took {_spent(outcome)}."] if outcome.tokens is not None else []
        return spent + [click.style(f"FAILED  {safe(problem)}", fg="red", bold=True) for problem in problems]
    accident = outcome.accident
    story = outcome.stories[0]
    copy = story.deliveries[0]
    killed = f"{accident.agent} was killed in turn {accident.turn}" if accident else ""
    return [
        click.style(f"All is well after {outcome.seconds:.1f} s.", fg="green", bold=True)
        + f" {killed}; its mail {story.id} was handled in turn {copy.turn}, attempt {copy.attempt}.",
        *([f"It took {_spent(outcome)}."] if outcome.tokens is not None else []),
        dim('Nothing is left running. Your own fleet: `queenpost new "GOAL"`, or `queenpost init --here`.'),
    ]


def _spent(outcome: Play) -> str:
    cost = "" if outcome.cost_usd is None else f", ${outcome.cost_usd:,.2f} by the program's own figures"
    return f"{tokens_in_short(outcome.tokens or 0)} tokens{cost}"
