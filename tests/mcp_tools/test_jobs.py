"""The tools of jobs as a model reads them."""

import pytest
from mcp import Client

from mcp_tools.claims import Claims
from mcp_tools.handover import Place
from mcp_tools.server import build_server
from tests.fakes.desk import FakeDesk
from tests.mcp_tools.reading import text_of
from tests.mcp_tools.test_claims import SECRET, Box, Post, letter
from wire.errors import Denied
from wire.jobs import JobsRegister, JobsRegistered

pytestmark = pytest.mark.anyio


@pytest.fixture
def post() -> Post:
    """A broker with a job that waits."""
    return Post("j-old")


@pytest.fixture
def desk(post: Post) -> FakeDesk:
    """A manager's desk with an outbox."""
    desk = FakeDesk(role="manager")
    desk.claims = Claims(post, Box().add, lambda: 0)
    return desk


async def call(desk: FakeDesk, tool: str, **arguments: object) -> str:
    """Call a tool; gives its text, whether it is an error or not."""
    place = Place(desk)
    async with Client(build_server("manager", lambda _: place)) as client:
        return text_of(await client.call_tool(tool, arguments))


async def test_an_event_is_kept_before_the_tool_answers(desk: FakeDesk) -> None:
    """Issue 5: its number and its job are in the receipt, and no secret."""
    await desk.claims.work_on([letter(1, "j-a")], "t1")
    text = await call(desk, "publish_event", event="progress", detail="half", data={"percent": 50})
    assert text == "progress is event 2 of job j-a: kept, and sent as soon as the MQTT broker takes it"
    assert SECRET not in text


async def test_an_event_that_nobody_may_say_is_refused_with_those_that_may_be(desk: FakeDesk) -> None:
    """[X04] `cancelled` is the broker's alone."""
    await desk.claims.work_on([letter(1, "j-a")], "t1")
    for event in ("cancelled", "done"):
        text = await call(desk, "publish_event", event=event, detail="x")
        assert text == (
            f"invalid: event {event!r} is none of started, progress, permission_required, completed, error"
        )  # fmt: skip


async def test_without_a_job_the_model_is_told_what_to_do(desk: FakeDesk) -> None:
    """Ours: and with several, which they are."""
    text = await call(desk, "publish_event", event="progress", detail="x")
    assert text.startswith("invalid: no job is worked on in this turn; claim_job takes one")
    await desk.claims.work_on([letter(1, "j-a"), letter(2, "j-b")], "t1")
    text = await call(desk, "publish_event", event="progress", detail="x")
    assert text == "conflict: several jobs are worked on in this turn: j-a, j-b; say which with job_id"


async def test_a_job_is_claimed_with_its_task(desk: FakeDesk) -> None:
    """[X19] And no secret; that none waits is no error."""
    text = await call(desk, "claim_job")
    assert text.startswith(
        "job j-old is yours; say completed or error with publish_event when it ends. Its task:\ncount"
    )
    assert SECRET not in text
    assert await call(desk, "claim_job") == "(no job waits)"


async def test_a_job_is_registered_once_under_a_key(desk: FakeDesk) -> None:
    """Ours: a repeated turn gives the same key; who registers it is told of its end."""
    desk.answers[JobsRegister] = JobsRegistered(job="j-new", to="bob", message="m5", warnings=["bob is paused"])
    text = await call(desk, "register_job", prompt="count", to="bob", timeout_seconds=60, key="k1")
    assert text == "j-new: sent to bob as m5. You get mail when it ends.\nwarning: bob is paused"
    (request,) = desk.requests
    assert isinstance(request, JobsRegister)
    assert (request.key, request.notify, request.timeout_s, request.secret) == ("k1", True, 60, None)
    desk.answers[JobsRegister] = JobsRegistered(job="j-free")
    assert await call(desk, "register_job", prompt="x") == (
        "j-free: waits for whoever claims it. You get mail when it ends."
    )  # fmt: skip
    desk.answers[JobsRegister] = Denied("you may write to the manager only")
    assert (await call(desk, "register_job", prompt="x", to="eve")).startswith("denied: you may write")
