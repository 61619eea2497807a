"""freeze and thaw: the file first, then the broker, and an honest word about both."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inline_snapshot import snapshot

from console.cli import freeze as module
from console.cli import main
from tests.console.conftest import Terminal
from wire.errors import Denied, Unavailable, Unknown
from wire.freeze_file import NOBODY, Frozen, change_frozen, read_frozen
from wire.home import Home
from wire.office import FleetFrozen

ALICE = FleetFrozen(everybody=False, agents=["alice"], changed=["alice"])


def alone(home: Home, *words: str) -> Result:
    """Type a command where no broker runs."""
    return CliRunner().invoke(main, ["--home", str(home.root), *words])


def frozen(home: Home, *names: str) -> None:
    """Freeze beforehand."""
    change_frozen(home.frozen, lambda now: now.and_also(names))


async def test_the_file_is_written_and_the_broker_told(terminal: Terminal) -> None:
    """DESIGN 5.18, 10."""
    written: list[Frozen] = []

    def answer(_: object) -> FleetFrozen:
        written.append(read_frozen(terminal.home.frozen))
        return ALICE

    terminal.broker.answers["fleet.freeze"] = answer
    assert await terminal.json("freeze", "alice") == snapshot(
        {"everybody": False, "agents": ["alice"], "changed": ["alice"], "confirmed": True}
    )
    assert (await terminal.broker.next("fleet.freeze"))["agents"] == ["alice"]
    assert written == [Frozen(agents=frozenset({"alice"}))]
    assert (await terminal.type("freeze", "alice", "bob")).stdout == "alice frozen\nbob frozen\n"


async def test_everybody_is_frozen_and_thawed(terminal: Terminal) -> None:
    """DESIGN 5.18: without names."""
    terminal.broker.answers["fleet.freeze"] = lambda _: FleetFrozen(everybody=True, agents=[], changed=["alice"])
    terminal.broker.answers["fleet.thaw"] = lambda _: FleetFrozen(everybody=False, agents=[], changed=["alice"])
    assert (await terminal.type("freeze")).stdout == "everybody is frozen, who comes later too\n"
    assert read_frozen(terminal.home.frozen).everybody
    assert (await terminal.type("thaw")).stdout == "everybody is thawed\n"
    assert read_frozen(terminal.home.frozen) == NOBODY


async def test_what_was_so_already_is_said(terminal: Terminal) -> None:
    """Ours."""
    frozen(terminal.home, "alice")
    terminal.broker.answers["fleet.freeze"] = lambda _: ALICE.model_copy(update={"changed": []})
    terminal.broker.answers["fleet.thaw"] = lambda _: ALICE.model_copy(update={"changed": []})
    assert (await terminal.type("freeze", "alice")).stdout == "alice was frozen already\n"
    assert (await terminal.type("thaw", "bob")).stdout == "bob was thawed already\n"


def test_without_a_broker_the_file_is_written_and_that_is_said(home: Home) -> None:
    """DESIGN 5.18: exit 0, for it is done; what is not confirmed is named."""
    result = alone(home, "freeze", "alice", "--json")
    assert result.exit_code == 0
    assert '"confirmed": false' in result.stdout
    assert "harnesses on this machine stop within 2 s; the broker has not confirmed (no broker runs" in result.stderr
    assert read_frozen(home.frozen).agents == {"alice"}
    result = alone(home, "thaw")
    assert result.exit_code == 0
    assert "the broker has not confirmed" in result.stderr
    assert not home.frozen.exists()


def test_a_broker_that_hangs_keeps_nobody_waiting(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 5.18: two seconds at most; it listens, and never says a word."""
    monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(home.socket))
        hanging.listen()
        result = alone(home, "freeze")
    assert result.exit_code == 0
    assert "the broker has not confirmed (no answer within 0.05 s)" in result.stderr
    assert read_frozen(home.frozen).everybody


async def test_what_the_broker_refuses_is_told(terminal: Terminal) -> None:
    """Ours: the file holds all the same."""
    terminal.broker.answers["fleet.freeze"] = lambda _: Unavailable("the disk of the home failed")
    result = await terminal.type("freeze")
    assert result.exit_code == 0
    assert "the broker has not confirmed (the disk of the home failed)" in result.stderr
    assert read_frozen(terminal.home.frozen).everybody


async def test_an_unknown_name_leaves_no_trace(terminal: Terminal) -> None:
    """Bad input: who was frozen before stays so."""
    frozen(terminal.home, "alice")
    terminal.broker.answers["fleet.freeze"] = lambda _: Unknown("no agent 'nobody' in this fleet")
    result = await terminal.type("freeze", "alice", "nobody")
    assert (result.exit_code, "no agent 'nobody'" in result.stderr) == (1, True)
    assert read_frozen(terminal.home.frozen).agents == {"alice"}


async def test_an_unknown_name_thaws_nobody(terminal: Terminal) -> None:
    """Bad input: who was named beside it stays frozen; what another terminal changed meanwhile stays changed."""
    frozen(terminal.home, "alice", "bob")

    def answer(_: object) -> Unknown:
        frozen(terminal.home, "carol")
        return Unknown("no agent 'nobody' in this fleet")

    terminal.broker.answers["fleet.thaw"] = answer
    result = await terminal.type("thaw", "alice", "nobody")
    assert (result.exit_code, "no agent 'nobody'" in result.stderr) == (1, True)
    assert read_frozen(terminal.home.frozen).agents == {"alice", "bob", "carol"}


@pytest.mark.parametrize("name", ["alcie", "Not A Name"])
def test_a_name_that_nobody_could_check_is_pointed_out(home: Home, name: str) -> None:
    """Misuse: a mistyped stop while the broker hangs stops nobody, so it must not pass in silence."""
    home.agent_secret("alice").touch()
    result = alone(home, "freeze", "alice", name)
    assert result.exit_code == 0
    assert result.stderr.splitlines()[1:] == [
        f"warning: no agent of this home has a token under the name {name!r}: is it spelled right?"
    ]


def test_one_of_everybody_is_not_thawed(home: Home) -> None:
    """Misuse: says how, and changes nothing."""
    frozen(home)
    result = alone(home, "thaw", "alice")
    assert (result.exit_code, "everybody is frozen, not just alice" in result.stderr) == (1, True)
    assert read_frozen(home.frozen).everybody


def test_only_the_operator_freezes(home: Home) -> None:
    """Misuse: an agent's token is not asked for, nothing is written."""
    for command in ("freeze", "thaw"):
        result = alone(home, command, "--as", "bob")
        assert (result.exit_code, "operator's" in result.stderr) == (1, True)
    assert not home.frozen.exists()


@pytest.mark.parametrize("answer", [lambda: ALICE, lambda: Denied("not you")])
async def test_who_may_not_write_there_still_asks(
    terminal: Terminal, answer: Callable[[], FleetFrozen | Denied]
) -> None:
    """Ours: another user of the machine; then only the broker's word counts."""
    terminal.home.frozen.with_name("frozen.lock").mkdir()
    terminal.broker.answers["fleet.freeze"] = lambda _: answer()
    result = await terminal.type("freeze", "alice")
    assert f"cannot write {terminal.home.frozen}" in result.stderr
    assert result.exit_code == int(isinstance(answer(), Denied))


def test_nobody_to_tell_and_nowhere_to_write_is_refused(tmp_path: Path) -> None:
    """Ours: a home that is not there."""
    result = alone(Home(tmp_path / "nothing"), "freeze")
    assert (result.exit_code, "no broker runs" in result.stderr) == (1, True)


def test_a_broker_elsewhere_is_asked_and_no_file_is_written_here(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: its home is on another machine; without its word nothing was done."""
    monkeypatch.chdir(home.root)
    result = CliRunner().invoke(main, ["--broker", f"unix:{home.root}/nobody.sock", "freeze"])
    assert result.exit_code == 1
    assert "not confirmed" not in result.stderr
    assert not home.frozen.exists()
