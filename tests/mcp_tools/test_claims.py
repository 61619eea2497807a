"""The jobs that an agent works on: claimed with their mail, spoken of by name, forgotten with the turn."""

from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest

from mcp_tools.claims import Claims, nowhere
from wire.errors import Closed, Conflict, Invalid, QueenpostError, Unavailable, Unknown
from wire.events import EventName, Signed, read_event, verify
from wire.inbox import About, Mail
from wire.jobs import Job, JobsClaim, JobsClaimed, JobsRegister
from wire.model import Request

pytestmark = pytest.mark.anyio

SECRET = "a secret that nobody else has, in no event"


class Post:
    """A broker that gives every job that it is asked for, but those that are `taken`."""

    def __init__(self, *waiting: str) -> None:
        self.waiting = list(waiting)
        self.taken: dict[str, QueenpostError] = {}
        self.asked: list[tuple[str | None, str | None]] = []
        self.epochs: dict[str, int] = {}

    async def call(self, request: Request, result: type[Any]) -> Any:
        """Answer a claim."""
        asked = cast("JobsClaim", request)
        self.asked.append((asked.job, asked.turn))
        name = asked.job or (self.waiting.pop(0) if self.waiting else None)
        if name is None:
            return JobsClaimed()
        if name in self.taken:
            raise self.taken[name]
        self.epochs[name] = self.epochs.get(name, 0) + 1
        job = Job(
            id=name, state="running", prompt="count", made_by="operator", registered_at_ms=0, epoch=self.epochs[name]
        )  # fmt: skip
        return JobsClaimed(job=job, fleet="demo", topic=f"queenpost/demo/jobs/{name}/events", kid="k1", secret=SECRET)


class Box:
    """Keeps what is published, numbered for each claim."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes, bool]] = []
        self.seqs: dict[tuple[str, int], int] = {}

    async def add(self, job: str, epoch: int, topic: str, sign: Callable[[int], bytes], retain: bool) -> int:
        """See `mcp_tools.claims.Add`."""
        seq = self.seqs.get((job, epoch), 0) + 1
        payload = sign(seq)
        self.seqs[job, epoch] = seq
        self.kept.append((topic, payload, retain))
        return seq

    @property
    def events(self) -> list[tuple[str, str, int, int]]:
        """Job, event, epoch and number of each."""
        read = [self.signed(place).event for place in range(len(self.kept))]
        return [(event.job_id, event.event, event.epoch, event.seq) for event in read]

    def signed(self, place: int) -> Signed:
        """Read one as a receiver does; it has to be what the holder of the secret signed."""
        topic, payload, _ = self.kept[place]
        signed = read_event(payload)
        assert verify(signed, topic, SECRET)
        return signed


def letter(number: int, job: str | None = None, **fields: Any) -> Mail:
    """Make mail that carries a job."""
    about = None if job is None else About(job=job)
    return Mail.model_validate(
        {"id": f"m{number}", "sender": "operator", "kind": "operator", "body": "x", "sent_at_ms": 0, "about": about}
        | fields
    )


@pytest.fixture
def post() -> Post:
    """A broker with two jobs that wait."""
    return Post("j-old", "j-new")


@pytest.fixture
def box() -> Box:
    """An empty outbox."""
    return Box()


@pytest.fixture
def claims(post: Post, box: Box) -> Claims:
    """Nothing is worked on."""
    return Claims(post, box.add, lambda: 1_795_262_400_000)


async def test_a_job_is_claimed_with_its_mail_and_started(claims: Claims, post: Post, box: Box) -> None:
    """DESIGN 7: on the first lease of that mail, in that turn; other mail claims nothing."""
    await claims.work_on([letter(1), letter(2, "j-a"), letter(3, "j-a")], "t1")
    assert post.asked == [("j-a", "t1")]
    assert box.events == [("j-a", "started", 1, 1)]
    assert box.signed(0).event.timestamp == "2026-11-21T12:00:00.000Z"


async def test_a_notice_of_a_job_is_no_work(claims: Claims, post: Post) -> None:
    """Ours: the mail that tells of a job's end names it too."""
    await claims.work_on([letter(1, "j-a", kind="system", sender="system")], "t1")
    assert post.asked == []


async def test_a_job_that_cannot_be_claimed_stops_no_turn(claims: Claims, post: Post, box: Box) -> None:
    """Ours: its mail is read all the same."""
    post.taken["j-a"] = Closed("it has ended")
    told = await claims.work_on([letter(1, "j-a"), letter(2, "j-b")], "t1")
    assert told == ["Job j-a has ended or is somebody else's by now: there is nothing left to do for it."]
    assert claims.jobs == ["j-b"]
    with pytest.raises(Closed, match="it has ended"):
        await claims.publish("progress", "", {}, "j-a")
    post.taken["j-c"] = Unknown("no job 'j-c' that you may use")
    with pytest.raises(Unknown, match="none of yours; this turn works on j-b"):
        await claims.publish("progress", "", {}, "j-c")


async def test_a_job_that_could_not_be_claimed_with_its_mail_is_claimed_with_its_first_event(
    claims: Claims, post: Post, box: Box
) -> None:
    """Ours: the broker was away for a moment."""
    post.taken["j-a"] = Unavailable("it starts")
    assert await claims.work_on([letter(1, "j-a")], "t1") == []
    with pytest.raises(Unavailable):
        await claims.publish("progress", "", {}, None)
    del post.taken["j-a"]
    assert await claims.publish("progress", "", {}, None) == ("j-a", 2)
    assert box.events == [("j-a", "started", 1, 1), ("j-a", "progress", 1, 2)]


async def test_a_job_of_an_earlier_turn_is_claimed_again_by_its_name(claims: Claims, post: Post, box: Box) -> None:
    """Ours: who hands work on gets the answers in a later turn, and ends the job there."""
    await claims.work_on([letter(1, "j-a")], "t1")
    claims.end_turn()
    await claims.work_on([letter(2)], "t2")
    assert await claims.publish("completed", "", {}, "j-a") == ("j-a", 2)
    assert box.events[1:] == [("j-a", "started", 2, 1), ("j-a", "completed", 2, 2)]


async def test_outside_of_a_turn_no_job_is_claimed(post: Post, box: Box) -> None:
    """Ours: nothing would say which turn worked on it."""

    def ended() -> str:
        raise Closed("your turn has ended")

    with pytest.raises(Closed, match="your turn has ended"):
        await Claims(post, box.add, lambda: 0, ended).publish("progress", "", {}, "j-a")
    assert post.asked == []


async def test_mail_that_goes_back_unread_takes_its_claim_along(claims: Claims, post: Post) -> None:
    """Ours: what did not fit into a result is somebody's next turn, and no second job of this one."""
    mail = [letter(1, "j-a"), letter(2, "j-b"), letter(3)]
    await claims.work_on(mail, "t1")
    claims.let_go(mail[1:])
    assert claims.jobs == ["j-a"]


async def test_mail_that_comes_again_in_one_session_is_claimed_again(claims: Claims, box: Box) -> None:
    """DESIGN 7: a redelivery claims with a new epoch, also where the program lives on; what has ended is forgotten."""
    await claims.work_on([letter(1, "j-a"), letter(2, "j-b")], "t1")
    await claims.publish("completed", "", {}, "j-b")
    await claims.work_on([letter(1, "j-a", attempt=2)], "t2")
    assert [event for event in box.events if event[0] == "j-a"] == [("j-a", "started", 1, 1), ("j-a", "started", 2, 1)]
    await claims.publish("completed", "", {}, None)
    with pytest.raises(Closed, match="j-a"):
        await claims.publish("progress", "", {}, None)


async def test_without_a_name_the_job_of_the_mail_is_meant(claims: Claims, box: Box) -> None:
    """DESIGN 7: publish_event without job_id; several are an error that lists them."""
    with pytest.raises(Invalid, match="no job is worked on"):
        await claims.publish("progress", "", {}, None)
    await claims.work_on([letter(1, "j-a")], "t1")
    assert await claims.publish("progress", "half done", {"percent": 50}, None) == ("j-a", 2)
    await claims.work_on([letter(2, "j-b")], "t1")
    with pytest.raises(Conflict, match="j-a, j-b; say which with job_id"):
        await claims.publish("progress", "", {}, None)
    assert await claims.publish("completed", "", {}, "j-a") == ("j-a", 3)
    assert await claims.publish("progress", "", {}, None) == ("j-b", 2)


async def test_an_end_is_said_once_and_retained(claims: Claims, box: Box) -> None:
    """[X06] What comes behind it is refused here already."""
    await claims.work_on([letter(1, "j-a")], "t1")
    await claims.publish("error", "no pumps", {}, None)
    assert [retain for _, _, retain in box.kept] == [False, True]
    for event in ("completed", "progress"):
        with pytest.raises(Closed, match="said already"):
            await claims.publish(event, "", {}, None)


async def test_the_oldest_waiting_job_is_claimed(claims: Claims, post: Post) -> None:
    """[X19] claim_job; nothing left is no error."""
    jobs = [await claims.claim("t1") for _ in range(3)]
    assert [job and job.id for job in jobs] == ["j-old", "j-new", None]


async def test_the_next_turn_claims_anew(claims: Claims, box: Box) -> None:
    """DESIGN 7: a redelivery claims again, with a new epoch; nothing of the turn before is known."""
    await claims.work_on([letter(1, "j-a")], "t1")
    claims.end_turn()
    with pytest.raises(Invalid):
        await claims.publish("progress", "", {}, None)
    await claims.work_on([letter(1, "j-a", attempt=2)], "t2")
    assert box.events == [("j-a", "started", 1, 1), ("j-a", "started", 2, 1)]


@pytest.mark.parametrize(
    "data",
    [{"a": 0.5}, {"auth_token": "x"}, {"Key": 1}, {"a": 2**60}, {"hmac_sig": "0" * 64}, {"a": {"b": float("nan")}}],
)
async def test_data_that_no_event_can_hold_is_refused_with_its_place(
    claims: Claims, box: Box, data: dict[str, Any]
) -> None:
    """[X16] Issue: every trap of canonicalisation; no number is lost by it."""
    await claims.work_on([letter(1, "j-a")], "t1")
    with pytest.raises(Invalid):
        await claims.publish("progress", "", data, None)
    assert await claims.publish("progress", "", {}, None) == ("j-a", 2)


async def test_a_permission_is_said_on_every_job_of_the_turn(claims: Claims, box: Box) -> None:
    """[X20] Linked to the ask; a job that has ended is left alone."""
    await claims.work_on([letter(1, "j-a"), letter(2, "j-b")], "t1")
    await claims.publish("completed", "", {}, "j-a")
    await claims.asked("a3", "Bash rm -r build")
    event = box.signed(len(box.kept) - 1).event
    assert (event.job_id, event.event, event.data, event.detail) == (
        "j-b", "permission_required", {"ask": "a3"}, "Bash rm -r build",
    )  # fmt: skip


async def test_the_secret_is_in_nothing_that_leaves(claims: Claims, post: Post, box: Box) -> None:
    """[X17] Not in the bytes, not in what shows the object."""
    await claims.work_on([letter(1, "j-a")], "t1")
    assert all(SECRET.encode() not in payload for _, payload, _ in box.kept)
    claimed = await post.call(JobsClaim(key="k"), JobsClaimed)
    assert claimed.secret == SECRET
    for shown in (claims, vars(claims), claimed, JobsRegister(key="k", prompt="x", secret=SECRET.replace(" ", "-"))):
        assert SECRET.replace(" ", "-") not in repr(shown).replace(" ", "-")


async def test_without_an_outbox_events_are_refused_and_mail_is_read(post: Post) -> None:
    """Ours: what cannot be kept is not said."""
    claims = Claims(post, nowhere, lambda: 0)
    await claims.work_on([letter(1, "j-a")], "t1")
    with pytest.raises(Unavailable, match="no place in which to keep them"):
        await claims.publish("progress", "", {}, None)


class SlowBox(Box):
    """Keeps nothing before all others had their turn."""

    async def add(self, job: str, epoch: int, topic: str, sign: Callable[[int], bytes], retain: bool) -> int:
        """See `Box`."""
        await anyio.wait_all_tasks_blocked()
        return await super().add(job, epoch, topic, sign, retain)


async def test_two_calls_at_once_claim_a_job_once_and_say_its_end_once(post: Post) -> None:
    """Ours: models call tools side by side; a second claim would fence the first, a second end raise an alarm."""
    box = SlowBox()
    claims = Claims(post, box.add, lambda: 0, lambda: "t9")
    refused: list[str] = []

    async def end(event: EventName) -> None:
        try:
            await claims.publish(event, "", {}, "j-late")
        except Closed as exc:
            refused.append(exc.message)

    async with anyio.create_task_group() as group:
        group.start_soon(end, "completed")
        group.start_soon(end, "error")
    assert post.asked == [("j-late", "t9")]
    assert [event for _, event, _, _ in box.events] == ["started", "completed"]
    assert len(refused) == 1
