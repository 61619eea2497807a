"""The command as a whole: what it loads, what it suggests, how it ends."""

import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

from console.cli import main
from console.cli.root import COMMANDS

HEAVY = ("mcp", "starlette", "uvicorn", "httpx2", "aiosqlite", "sqlite3", "jinja2", "broker", "harness", "mcp_tools")
"""What no command of ours needs: the SDK, web servers, the database, the other programs."""


def modules_after(*words: str) -> set[str]:
    """Run a command in a fresh interpreter and give the names of all modules that it loaded."""
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('LOADED', *sys.modules, file=sys.stderr))\n"
        "from console.cli import main\n"
        f"main({list(words)!r})\n"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("LOADED ")]
    return set(line.split())


@pytest.mark.parametrize("words", [("--version",), ("--help",)])
def test_version_and_help_load_next_to_nothing(words: tuple[str, ...]) -> None:
    """DESIGN 10: neither models nor an event loop."""
    loaded = modules_after(*words)
    assert not loaded & {*HEAVY, "pydantic", "anyio", "asyncio", "wire.client", "console.supervisor"}


def test_send_loads_only_what_sends(tmp_path_factory: pytest.TempPathFactory) -> None:
    """DESIGN 10: neither the MCP SDK nor what it does not need."""
    loaded = modules_after("--home", str(tmp_path_factory.mktemp("q")), "send", "bob", "hi")
    assert "wire.client" in loaded
    assert not loaded & {*HEAVY, "console.supervisor", "console.demo", "console.cli.recv", "console.cli.explain"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_table_says(name: str) -> None:
    """Ours: the table is read without loading the command, so it has to be right."""
    module, _, attribute = COMMANDS[name].where.partition(":")
    command = getattr(import_module(f"console.cli.{module}"), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_a_mistyped_command_is_a_usage_error_with_a_suggestion() -> None:
    """DESIGN 10: exit 2."""
    result = CliRunner().invoke(main, ["sned", "bob", "hi"])
    assert result.exit_code == 2
    assert "Did you mean 'send'?" in result.stderr


def test_a_mistyped_option_is_a_usage_error_with_a_suggestion() -> None:
    """DESIGN 10: exit 2."""
    result = CliRunner().invoke(main, ["recv", "--pek"])
    assert result.exit_code == 2
    assert "'--peek'" in result.stderr


def test_help_lists_every_command_by_section() -> None:
    """Ours: what there is, in the order in which one needs it."""
    shown = CliRunner().invoke(main, ["--help"]).stdout
    places = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert "Exit codes: 0 done, 1 refused" in shown
    assert "queenpost completion bash" in shown


def test_completion_offers_commands_without_loading_them() -> None:
    """Ours: click's own completion, quick enough to press TAB."""
    code = (
        "import os, sys\n"
        "os.environ.update(_QUEENPOST_COMPLETE='bash_complete', COMP_WORDS='queenpost de', COMP_CWORD='1')\n"
        "from console.cli import main\n"
        "try:\n"
        "    main(prog_name='queenpost')\n"
        "finally:\n"
        "    print('console.cli.dead' in sys.modules, file=sys.stderr)\n"
    )
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.split() == ["plain,demo", "plain,dead"]
    assert result.stderr.strip() == "False"


@pytest.mark.parametrize("words", [("--home", "{}", "logs"), ("logs", "--home", "{}")])
def test_common_options_stand_before_or_after_the_command(
    words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ours: --home, --config, --as, --json, --absolute."""
    home = tmp_path_factory.mktemp("q")
    result = CliRunner().invoke(main, [word.format(home) for word in words])
    assert result.exit_code == 0
    assert str(home) in result.stderr


def test_the_later_word_wins(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ours: said before and after the command, the one after counts."""
    before, after = tmp_path_factory.mktemp("q"), tmp_path_factory.mktemp("q")
    result = CliRunner().invoke(main, ["--home", str(before), "logs", "--home", str(after)])
    assert str(after) in result.stderr
    assert str(before) not in result.stderr
