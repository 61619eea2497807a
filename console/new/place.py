"""Where a new fleet goes, and every reason for which it must not: what is there already is never touched."""

import os
from pathlib import Path

import click

from console.cli.homes import home_of, tilde
from console.cli.options import Options
from console.cli.up import listens
from console.new.plan import MANAGER, Plan
from console.supervisor.lock import holder
from wire.errors import Conflict, Invalid, QueenpostError
from wire.home import CONFIG_NAME, LOCAL_NAME, Home, find_home
from wire.inbox import MAX_BODY_BYTES
from wire.settings_file import read_settings


def home_for(options: Options, *, here: bool) -> Home:
    """Give the home of the new fleet: that of this folder, unless another one is named.

    Raises:
        Conflict: the folder lies in a fleet. Invalid: it is no place to let agents work in.
    """
    if here and options.home:
        raise click.UsageError("--here and --home name two places; choose one")
    folder = _this_folder()
    if options.home or (os.environ.get("QUEENPOST_HOME") and not here):
        return home_of(options)
    above = find_home(None, {**os.environ, "QUEENPOST_HOME": ""}, folder)
    if not here and above.root.name == LOCAL_NAME and above.root.parent != folder:
        raise Conflict(
            f"this folder belongs to the fleet in {tilde(above.root.parent)}; "
            '`queenpost send manager "…"` gives that one a goal, `queenpost new --here` makes one of this folder'
        )
    if not here and folder in (Path(os.environ.get("HOME") or "/").resolve(), Path("/")):
        raise Invalid(
            f"the agents would work in all of {folder}; go to the folder of a project (`mkdir project && cd project`), "
            "or say --here if you mean it"
        )
    return Home(folder / LOCAL_NAME)


def _this_folder() -> Path:
    folder = Path.cwd()
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise Invalid("the path of this folder is not UTF-8, so settings cannot name it; rename the folder") from None
    return folder


def config_for(options: Options, home: Home) -> Path:
    """Give where the settings go."""
    if options.config:
        return options.config.absolute()
    return (home.root.parent if home.root.name == LOCAL_NAME else home.root) / CONFIG_NAME


def refuse_what_is_there(options: Options, home: Home, config: Path) -> None:
    """See to it that nothing is in the way.

    Raises:
        Conflict: a fleet is there, or a file that would be written.
    """
    running = holder(home.up_lock) is not None or listens(home)
    found = config if config.exists() else home.config(str(options.config) if options.config else None)
    if found is not None and found.exists():
        raise Conflict(f"{tilde(found)} is there already and stays as it is; {_next(options, home, found, running)}")
    if running:
        raise Conflict(f"a fleet runs in {tilde(home.root)}; `queenpost down` ends it, `queenpost status` shows it")
    for path in (config.parent / "prompts" / f"{role}.md" for role in (MANAGER, "worker")):
        if path.exists() or path.is_symlink():
            raise Conflict(
                f"{tilde(path)} is there already and stays as it is; move it away and try again, "
                "or write the settings yourself: `queenpost init`"
            )


def _next(options: Options, home: Home, config: Path, running: bool) -> str:
    """Say how the goal gets to a fleet that is there."""
    where = f" --home {options.home}" if options.home else ""
    try:
        agents = read_settings(config, home=home.root).agents
    except QueenpostError:
        return f"it has a mistake, which `queenpost{where} doctor` names"
    if not any(agent.role == "manager" for agent in agents.values()):
        return "no agent in it has the role of a manager; add one, or go to another folder"
    first = "" if running else f"`queenpost{where} up -d`, then "
    return f'give its manager the goal: {first}`queenpost{where} send manager "…"`'


def check_goal(goal: str) -> str:
    """Give a goal as it is sent.

    Raises:
        Invalid: there is none, or it is too long for a message.
    """
    goal = goal.strip()
    if not goal:
        raise Invalid('the goal is empty; say what the fleet should reach: queenpost new "Make the tests pass"')
    size = len(goal.encode())
    if size > MAX_BODY_BYTES:
        raise Invalid(
            f"the goal has {size:,} bytes, and a message holds {MAX_BODY_BYTES:,}; put it into a file of the project "
            'and name it: queenpost new "Do what GOAL.md says"'
        )
    return goal


def write(plan: Plan) -> list[Path]:
    """Write the files of a fleet, each only where nothing is; give their paths. All of them, or none.

    Raises:
        Conflict: one is there by now. Invalid: one cannot be written.
    """
    plan.home.create()
    written: list[Path] = []
    try:
        for path, text in plan.files():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                written.append(path)
                file.write(text)
    except OSError as exc:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(exc, FileExistsError):
            raise Conflict(f"{exc.filename} is there already and stays as it is; nothing was written") from exc
        raise Invalid(f"cannot write {exc.filename}: {exc.strerror}; nothing was written") from exc
    return written
