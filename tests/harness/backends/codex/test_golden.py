"""What the real program wrote, read by the backends: each way to end is told apart, by its own words."""

import re

import pytest

from tests.architecture.tree import ROOT
from tests.harness.backends.codex.conftest import OpenCodex
from tests.harness.backends.codex.table import COLD, EXPECTED, Expected
from tests.harness.backends.playing import Played

GOLDEN = ROOT / "tests" / "golden" / "codex"
VERSIONS = sorted(folder.name for folder in GOLDEN.iterdir())


def check(played: Played, expected: Expected) -> None:
    """Hold a turn against what it has to be."""
    assert played.ended.outcome == expected.outcome
    assert expected.words in played.ended.reason
    assert (played.began, played.ended.until_ms) == (expected.begun, expected.until_ms)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("version", VERSIONS)
async def test_each_end_is_told_apart(open_codex: OpenCodex, version: str, name: str) -> None:
    """[H36] Recorded from the real app-server."""
    async with open_codex() as codex:
        played = await codex.play(f"replay {GOLDEN / version / f'{name}.jsonl'}")
    check(played, EXPECTED[name])
    assert played.ended.usage is not None


@pytest.mark.parametrize("name", COLD)
@pytest.mark.parametrize("version", VERSIONS)
async def test_each_end_of_a_process_per_turn_is_told_apart(open_codex: OpenCodex, version: str, name: str) -> None:
    """[H36] Recorded from the real `codex exec`, which has nothing but words."""
    async with open_codex(warm=False, permissions="bypass") as codex:
        check(await codex.play(f"replay {GOLDEN / version / f'exec_{name}.jsonl'}"), COLD[name])


@pytest.mark.parametrize("version", VERSIONS)
def test_every_case_was_recorded(version: str) -> None:
    """Ours: and nothing else; no line names a machine, a folder of ours or a key."""
    files = {path.stem: path.read_text(encoding="utf-8") for path in (GOLDEN / version).iterdir()}
    assert set(files) == {*EXPECTED, *(f"exec_{name}" for name in COLD)}
    assert not [name for name, text in files.items() if re.search(r"sk-|/(tmp|home|root|var)/", text)]
