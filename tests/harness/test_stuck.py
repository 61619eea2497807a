"""A turn that makes no progress is shown as stuck, with the reason, before anything is ended."""

import anyio

from tests.harness.conftest import MakeStage


async def test_a_turn_without_a_word_is_shown_as_stuck(stage_for: MakeStage) -> None:
    """[H21]: popped mail and no progress; whoever looks at the status sees it. A tool that is used ends that."""
    stage = await stage_for(silence_s=0.1)
    with anyio.fail_after(10):
        async with stage.running():
            stage.office.put("alice")
            program = await stage.backend.next_program()
            await stage.office.until(lambda: stage.box.reports[-1].reason)
            report = stage.box.reports[-1]
            assert report.state == "working"
            assert report.reason.startswith("stuck: nothing came from its program for 0 s")
            program.uses("Read")
            await stage.office.until(lambda: stage.box.reports[-1].reason == "uses Read")
            program.ends()
            await stage.office.until(lambda: stage.box.handled)
