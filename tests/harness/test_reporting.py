"""What the fleet is told of an agent."""

from harness.post import Post
from harness.reporting import Reporter
from tests.fakes.post_office import PostOffice
from wire.agents import AgentsAttach, AgentsAttached, AgentsReport
from wire.errors import Unavailable


async def test_a_state_is_told_once(office: PostOffice) -> None:
    """Ours: on changes only, and again on a new link."""
    box = office.add("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    reporter = Reporter(Post(office, "alice"))
    for state in ("idle", "idle", "working", "working", "idle"):
        await reporter.say(state)
    assert [report.state for report in box.reports] == ["idle", "working", "idle"]
    await reporter.again(office)
    assert [report.state for report in box.reports] == ["idle", "working", "idle", "idle"]


async def test_a_report_that_fails_fails_nothing_else(office: PostOffice) -> None:
    """Ours: the state is for people; a turn does not depend on it."""
    office.add("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    office.refuse(AgentsReport, Unavailable("away"))
    await Reporter(Post(office, "alice")).say("idle")


async def test_a_long_reason_keeps_its_end(office: PostOffice) -> None:
    """Ours: the last words of a program stand at the end."""
    box = office.add("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    await Reporter(Post(office, "alice")).say("failed", "x" * 5000 + " no space left")
    assert box.reports[0].reason.endswith(" no space left")


async def test_the_tool_is_told_while_it_works(office: PostOffice) -> None:
    """Issue 4.9: the last one, in a few words; who waits for a permission waits."""
    box = office.add("alice")
    await office.call(AgentsAttach(agent="alice", instance="of-the-test"), AgentsAttached)
    reporter = Reporter(Post(office, "alice"))
    await reporter.say("idle")
    await reporter.uses("Bash")
    await reporter.say("working")
    for tool in ("Bash", "Bash", "Re\nad" * 100):
        await reporter.uses(tool)
    await reporter.say("waiting_permission", "a1: Bash")
    await reporter.uses("Read")
    said = [(report.state, report.reason[:11], len(report.reason)) for report in box.reports]
    assert said == [
        ("idle", "", 0), ("working", "", 0), ("working", "uses Bash", 9), ("working", "uses Re adR", 85),
        ("waiting_permission", "a1: Bash", 8),
    ]  # fmt: skip
