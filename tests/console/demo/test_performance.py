"""The demo in one process, over the one or the other MQTT broker."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from console.demo.performance import Performance
from console.demo.stage import Stage, set_stage
from tests.fakes.jobbing import PROGRAMS

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Something to survey, and a home."""
    for number in range(4):
        (tmp_path / f"module_{number}.py").write_text("x = 1\n", encoding="utf-8")
    stage = set_stage(tmp_path)
    yield stage
    shutil.rmtree(stage.home.root)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_its_jobs_are_signed_events_wherever_mosquitto_is_missing_too(stage: Stage, program: str) -> None:
    """Issue 5, Shown by: registered, claimed, said, recorded; a killed worker's job is claimed again and ends well."""
    settings = stage.home.root / "queenpost.toml"
    settings.write_text(f'{settings.read_text()}\n[mqtt]\nprogram = "{program}"\n', encoding="utf-8")
    told: list[str] = []
    performance = Performance(stage, told.append)
    await performance.run()
    outcome = performance.outcome
    assert outcome.problems() == []
    assert [shown.job.state for shown in outcome.jobs if shown.job] == ["completed"] * 3
    assert outcome.jobs[0].job is not None
    assert outcome.jobs[0].job.id == outcome.job
    words = click.unstyle("\n".join(told))
    for shown in outcome.jobs:
        for event in shown.events:
            assert f"job {event.job} {event.event}{event.detail and f': {event.detail}'}"[:60] in words
