"""When the demo is content, and when not."""

import pytest

from console.demo.accident import Accident
from console.demo.verdict import Play, as_json
from wire.fleet import Account
from wire.inbox import DeliveryStory, InboxExplained, State
from wire.jobs import Job, JobEvent, JobsShown, JobState

ACCOUNT = Account(accepted=6, handled=5, redelivered=1, waiting=0, dead=0, held=0, expired=0, mailbox=1, lost=0)


def story(state: State = "handled", turn: str = "t5", attempt: int = 2) -> InboxExplained:
    """Make the story of the mail that the killed program had."""
    copy = DeliveryStory(recipient="worker-1", state=state, turn=turn, attempt=attempt)
    return InboxExplained(
        id="m2",
        sender="manager",
        kind="manager",
        body="x",
        in_reply_to=None,
        sent_at_ms=0,
        depth=1,
        deliveries=[copy],
        history=[],
    )


def play(account: Account = ACCOUNT, told: InboxExplained | None = None) -> Play:
    """Make a demo that went as it should."""
    accident = Accident("worker-1", "t2", 42, ["m2"])
    return Play("m1", accident, [told or story()], "# Report", account)


def test_all_is_well_when_nothing_is_lost_and_the_mail_came_back() -> None:
    """Issue 2, item 9."""
    assert play().problems() == []
    shown = as_json(play(), None)
    assert shown["ok"] is True
    assert shown["killed"] == {"agent": "worker-1", "turn": "t2", "pid": 42}
    assert shown["came_back"] == [{"id": "m2", "state": "handled", "turn": "t5", "attempt": 2}]
    assert shown["account"]["lost"] == 0


def a_job(state: JobState) -> JobsShown:
    """Make a job with one event."""
    job = Job(id="j-a", state=state, prompt="x", made_by="operator", claimed_by="manager", epoch=2, registered_at_ms=0)
    said = {"number": 1, "job": "j-a", "event": "started", "epoch": 1, "seq": 1, "verdict": "accepted"}
    event = JobEvent.model_validate({**said, "timestamp": "", "received_at_ms": 0, "detail": "", "data": {"n": 1}})
    return JobsShown(job=job, events=[event])


def test_a_job_that_did_not_end_well_is_a_failure_where_it_has_to() -> None:
    """Issue 5: of scripted agents; a real program may forget to say the end, and is shown as it is."""
    played = play()
    played.jobs = [a_job("completed"), a_job("running")]
    assert played.problems() == []
    played.needs_ends = True
    assert played.problems() == ["job j-a is running"]
    told = as_json(played, None)["jobs"]
    assert [(one["state"], one["claimed_by"], one["epoch"]) for one in told] == [
        ("completed", "manager", 2), ("running", "manager", 2),
    ]  # fmt: skip
    assert [event["event"] for event in told[0]["events"]] == ["started"]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"handled": 4, "lost": 1}, "1 messages are lost"),
        ({"redelivered": 0}, "nothing was handed out again"),
        ({"handled": 4, "dead": 1}, "1 messages are dead"),
        ({"handled": 4, "waiting": 1}, "1 messages are waiting"),
        ({"accepted": 9}, "the account does not add up"),
    ],
)
def test_an_account_that_is_not_as_promised_is_a_failure(changed: dict[str, int], problem: str) -> None:
    """Issue 2, item 9: exits non-zero when the account does not add up."""
    assert problem in play(ACCOUNT.model_copy(update=changed)).problems()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (story(state="queued"), "m2 is queued, not handled"),
        (story(turn="t2"), "m2 counts as handled in turn t2, whose program was killed"),
        (story(attempt=1), "m2 counts as handled in turn t5, whose program was killed"),
        (story().model_copy(update={"deliveries": []}), "m2 is gone"),
    ],
)
def test_the_mail_of_the_killed_program_has_to_be_handled_in_a_later_turn(told: InboxExplained, problem: str) -> None:
    """[P01] Only a finished turn makes `handled`."""
    assert play(told=told).problems() == [problem]


def test_a_demo_that_was_cut_short_says_what_is_missing() -> None:
    """Ours: it never passes for a good one."""
    cut = Play(failure="it was not done within 60 s")
    assert cut.problems() == [
        "it was not done within 60 s",
        "no report came",
        "no program was killed: the worker was not given any work",
        "the broker gave no account",
    ]
    assert as_json(cut, "/srv/kept")["home"] == "/srv/kept"
