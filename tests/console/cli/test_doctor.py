"""doctor: all checks together, with a broker and without one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from click.testing import CliRunner

from console.cli import main
from console.doctor import installation
from console.doctor.verdict import Verdict
from tests.console.conftest import Terminal
from tests.console.doctor.test_broker import PROBED, STATE
from tests.console.doctor.test_mqtt import CARRIED
from tests.fakes.broker import LocalBroker, short_home
from tests.fakes.jobbing import PROGRAMS, jobbing
from wire.errors import Denied
from wire.fleet import FleetPong
from wire.home import Home
from wire.private_files import write_secret


@pytest.fixture(autouse=True)
def _sound_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of this tree is looked at elsewhere, with a process of its own."""
    monkeypatch.setattr(installation, "checks", lambda: iter([Verdict("python", "ok", "3.13.1")]))
    monkeypatch.setattr(installation, "client_version", lambda: "1.2.3")


def healthy(terminal: Terminal) -> None:
    """Let the terminal's broker and home be well."""
    write_secret(terminal.home.harness_secret, "the-token-of-the-harness")
    terminal.broker.answers["fleet.ping"] = lambda _: FleetPong(server_time_ms=0)
    terminal.broker.answers["fleet.probe"] = lambda _: PROBED
    terminal.broker.answers["fleet.status"] = lambda _: STATE
    terminal.broker.answers["jobs.probe"] = lambda _: CARRIED


async def test_a_fleet_that_is_well_exits_with_0(terminal: Terminal) -> None:
    """[P10] Issue 3.5: aligned, without colours where no terminal is, and a sum at the end."""
    healthy(terminal)
    result = await terminal.type("doctor")
    assert result.exit_code == 0
    assert "ok       durable write     1.50 ms\n" in result.stdout
    assert "\x1b[" not in result.stdout
    *_, last = result.stdout.splitlines()
    assert last.endswith(" ok")
    assert " · " not in last


async def test_doctor_prints_its_stable_shape(terminal: Terminal) -> None:
    """Issue 3.5: a list of findings."""
    healthy(terminal)
    findings = await terminal.json("doctor")
    assert {"check": "wake", "level": "ok", "says": "0.10 ms", "mend": None} in findings
    assert {tuple(finding) for finding in findings} == {("check", "level", "says", "mend")}


async def test_an_error_exits_with_1_and_a_warning_does_not(terminal: Terminal) -> None:
    """Issue 3.5: each with what mends it, below it."""
    healthy(terminal)
    terminal.broker.answers["fleet.status"] = lambda _: STATE.model_copy(update={"frozen": True})
    result = await terminal.type("doctor")
    assert result.exit_code == 0
    assert "→ queenpost thaw\n" in result.stdout
    assert "1 warning · " in result.stdout
    terminal.broker.answers["fleet.probe"] = lambda _: Denied("no \x1b[2Jwrite")
    result = await terminal.type("doctor")
    assert result.exit_code == 1
    assert "error    write and wake    no \\u{1b}[2Jwrite\n" in result.stdout
    assert "1 error · 1 warning · " in result.stdout


async def test_without_a_broker_the_rest_is_checked(terminal: Terminal) -> None:
    """Issue 3.5: and how to start one is said."""
    healthy(terminal)
    await terminal.broker.stop()
    result = await terminal.type("doctor")
    assert result.exit_code == 1
    assert "ok       tokens" in result.stdout
    assert "no broker runs for fleet" in result.stdout
    assert "→ queenpost up -d\n" in result.stdout
    assert "durable write" not in result.stdout


async def test_a_credential_that_is_no_operators_is_said(terminal: Terminal) -> None:
    """Ours: the probe is for the operator."""
    healthy(terminal)
    terminal.broker.greeting = Denied("this token is not valid for this fleet")
    result = await terminal.type("doctor")
    assert result.exit_code == 1
    assert "this token is not valid" in result.stdout


def test_without_a_home_it_says_how_to_make_one(tmp_path: Path) -> None:
    """Ours: nothing is made by looking."""
    result = CliRunner().invoke(main, ["doctor", "--home", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "queenpost init" in result.stdout
    assert not (tmp_path / "none").exists()


def test_a_settings_file_of_the_home_is_looked_at(home: Home) -> None:
    """DESIGN 2: with this one the broker would not start."""
    (home.root / "queenpost.toml").write_text("[agents", encoding="utf-8")
    result = CliRunner().invoke(main, ["doctor", "--home", str(home.root)])
    assert "error    settings" in result.stdout


@pytest.mark.timeout(60)
async def test_the_program_against_a_real_broker() -> None:
    """[P02] [P10] Issue 3.5: as a user types it; a real write, a real wake, nothing left of them."""
    with short_home() as home:
        async with LocalBroker(home) as fleet:
            await fleet.add("bob")
            line = [
                sys.executable,
                "-P",
                "-c",
                "from console.cli import main; main()",
                "doctor",
                "--home",
                str(home.root),
            ]
            done = await anyio.to_thread.run_sync(
                lambda: subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ})
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "ok       wake" in done.stdout
            assert (await fleet.status()).account.accepted == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_signed_event_is_proven_as_a_user_types_it(program: str) -> None:
    """[X22] Issue 5: with no MQTT broker set up: on 127.0.0.1, there and back; before the first job only if asked."""
    async with jobbing(program) as fleet:
        asleep, proven = await _doctor(fleet.home), await _doctor(fleet.home, "--mqtt")
    assert "note     job events        no job yet" in asleep
    assert "→ queenpost doctor --mqtt\n" in asleep
    assert re.search(r"ok       job events +a signed event was heard .* over mqtt://127\.0\.0\.1:\d+\n", proven)
    assert f"mqtt broker       {program}, " in proven
    assert "ok       mqtt promises" in proven


async def _doctor(home: Home, *words: str) -> str:
    line = [sys.executable, "-P", "-c", "from console.cli import main; main()", "doctor", "--home", str(home.root)]
    with anyio.fail_after(60):
        done = await anyio.run_process([*line, *words], env={**os.environ}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.decode()
