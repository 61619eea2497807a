"""What the real Claude Code wrote to its terminal, drawn and seen: each thing is told apart."""

import re
from pathlib import Path

import pytest

from harness.backends.pty.program import Program
from harness.backends.pty.screen import Screen
from harness.backends.pty.sight import Lookout
from harness.backends.pty.terminal import READ_BYTES
from tests.architecture.tree import ROOT
from tests.e2e.pty_cases import TABLE
from tests.harness.backends.pty.table import EXPECTED
from wire.settings_pty import PtySettings

GOLDEN = ROOT / "tests" / "golden" / "pty"
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir())


class Still(Program):
    """A program that does nothing more."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.ended = False


def looking_at(recorded: Path) -> Lookout:
    """Draw what was recorded, in pieces as they came."""
    settings = PtySettings.model_validate(TABLE)
    screen, data = Screen(settings.columns, settings.rows), recorded.read_bytes()
    for at in range(0, len(data), READ_BYTES):
        screen.feed(data[at : at + READ_BYTES])
    return Lookout(Still(screen), settings)


@pytest.mark.anyio
@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("version", VERSIONS)
async def test_each_screen_is_told_apart(version: str, name: str) -> None:
    """[P08] Recorded from the real program."""
    expected = EXPECTED[name]
    lookout = looking_at(GOLDEN / version / f"{name}.bytes")
    sight = lookout.look()
    assert sight.kind == expected.kind
    if expected.tool:
        assert (sight.permission.tool, sight.permission.detail) == (expected.tool, expected.detail)
    failure = lookout.failure()
    assert (failure[0].outcome if failure else None) == expected.failure
    assert expected.failure is None or (failure is not None and expected.words in failure[1])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_case_was_recorded(version: str) -> None:
    """Ours: and nothing else; no screen names a machine, a folder of ours or a key."""
    files = {path.stem: path.read_bytes() for path in (GOLDEN / version).iterdir()}
    assert set(files) == set(EXPECTED)
    assert not [
        name for name, data in files.items() if re.search(rb"sk-ant|/(tmp|home|root|var)/|127\.0\.0\.1:\d", data)
    ]
