"""Jobs in the store: registered with a secret, claimed by one at a time, ended once."""

import pytest

from broker.services.callers import Caller
from broker.services.job_rows import job_of
from tests.fakes.jobs import cancel, claim, fates, heard, publisher, register
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from wire.errors import Closed, Conflict, Denied, Invalid, QueenpostError, Unknown
from wire.ids import turn_id
from wire.inbox import About
from wire.jobs import Job


def job(office: FakeOffice, name: str) -> Job:
    """Give a job as it is now."""
    row = office.do(lambda tx: tx.one("jobs.job", id=name))
    assert row is not None
    return job_of(row)


def test_every_job_has_a_secret_of_its_own(office: FakeOffice) -> None:
    """[X17] There is no way to a job without one, and none shows it."""
    names = [register(office).job for _ in range(3)]
    rows = office.rows("SELECT id, secret FROM jobs")
    assert {row["id"] for row in rows} == set(names)
    assert len({row["secret"] for row in rows}) == 3
    assert all(len(row["secret"]) >= 43 for row in rows)
    assert all(row["secret"] not in job(office, row["id"]).model_dump_json() for row in rows)


def test_a_secret_may_be_brought_along(office: FakeOffice) -> None:
    """[X17] A program that has agreed on one with somebody else."""
    name = register(office, secret="s" * 40).job
    assert claim(office, job=name).secret == "s" * 40


@pytest.mark.parametrize("secret", ["short", "s" * 257, "s" * 40 + "\n", "\u00e9" * 40])
def test_a_secret_that_is_too_weak_or_odd_is_refused(office: FakeOffice, secret: str) -> None:
    """[X17] Not shorter than what the broker makes itself."""
    with pytest.raises(ValueError, match="secret"):
        register(office, secret=secret)


def test_a_job_for_an_agent_is_written_with_its_mail(office: FakeOffice) -> None:
    """DESIGN 7: job and mail in one transaction; the mail says which job it carries."""
    bob = office.harness("bob")
    made = register(office, to="bob", prompt="count the pumps")
    opened = office.open(bob)
    assert opened is not None
    assert opened.turn is not None
    turn = opened.turn
    (mail,) = turn.mail
    assert (mail.id, mail.body, mail.about) == (made.message, "count the pumps", About(job=made.job))
    assert job(office, made.job).to == "bob"


def test_what_cannot_be_sent_is_no_job(office: FakeOffice) -> None:
    """DESIGN 7: refused means that neither is there."""
    for to, error in (("nobody", Unknown), ("*", Invalid), ("operator", Invalid)):
        with pytest.raises(error):
            register(office, to=to)
    assert office.rows("SELECT 1 FROM jobs") == []
    assert office.rows("SELECT 1 FROM messages") == []


def test_a_claim_gives_what_a_publisher_needs_and_a_new_epoch(office: FakeOffice) -> None:
    """DESIGN 7: the only answer with the secret."""
    name = register(office).job
    first, second = claim(office, job=name), claim(office, job=name)
    assert first.job is not None
    assert second.job is not None
    assert (first.job.epoch, second.job.epoch) == (1, 2)
    assert first.topic == f"queenpost/fleet/jobs/{name}/events"
    assert first.secret == second.secret
    assert (second.job.state, second.job.claimed_by) == ("running", "operator")
    sessions = office.rows("SELECT epoch, state, reason FROM sessions ORDER BY number")
    assert [tuple(row) for row in sessions] == [(1, "terminated", "claimed again"), (2, "running", "")]


def test_without_an_id_the_oldest_that_nobody_was_given_is_claimed(office: FakeOffice) -> None:
    """[X19] In the order of registration; what was assigned, claimed or ended is left alone."""
    bob = office.harness("bob")
    register(office, to="bob")
    ended = register(office).job
    cancel(office, ended)
    first, second = register(office).job, register(office).job
    taken = [claim(office, bob).job for _ in range(3)]
    assert [one and one.id for one in taken] == [first, second, None]


def test_an_agent_claims_its_own_jobs_and_unassigned_ones(office: FakeOffice) -> None:
    """DESIGN 7: ownership; another's job is as unknown as none."""
    bob, carol = office.harness("bob"), office.harness("carol")
    given, free = register(office, to="bob").job, register(office).job
    with pytest.raises(Unknown):
        claim(office, carol, given)
    assert claim(office, bob, given).job is not None
    assert claim(office, carol, free).job is not None
    with pytest.raises(Conflict, match="worked on by carol"):
        claim(office, bob, free)
    again = claim(office, carol, free)
    assert again.job is not None
    assert again.job.epoch == 2


def test_a_claim_belongs_to_the_turn_that_is_open(office: FakeOffice) -> None:
    """DESIGN 7: a redelivery claims again; a turn that has ended claims nothing."""
    bob = office.harness("bob")
    name = register(office, to="bob").job
    opened = office.open(bob)
    assert opened is not None
    assert opened.turn is not None
    turn = opened.turn
    claim(office, bob, name, turn=turn.id)
    assert [row["turn"] for row in office.rows("SELECT turn FROM jobs")] == [int(turn.id[1:])]
    with pytest.raises(Conflict, match="is not open"):
        claim(office, bob, name, turn=turn_id(int(turn.id[1:]) + 1))
    with pytest.raises(Invalid):
        claim(office, OPERATOR_CALLER, name, turn=turn.id)


def test_a_job_that_has_ended_is_claimed_no_more(office: FakeOffice) -> None:
    """DESIGN 7: the first end counts."""
    done = publisher(office)
    done.say("completed")
    with pytest.raises(Closed, match="has ended \\(completed\\)"):
        claim(office, job=done.job)


def test_a_cancelled_job_is_fenced_and_says_so_itself(office: FakeOffice) -> None:
    """DESIGN 7: `cancelled` comes from the broker, recorded and queued to be published in one transaction."""
    worker = publisher(office)
    worker.say("started")
    changed = cancel(office, worker.job, reason="not needed")
    assert (changed.changed, changed.job.state, changed.job.detail) == (True, "cancelled", "not needed")
    (post,) = office.rows("SELECT topic, payload, retain FROM job_posts")
    assert worker.say("completed").reason == "fenced"
    assert job(office, worker.job).state == "cancelled"
    assert (post["topic"], post["retain"]) == (worker.claimed.topic, 1)
    assert b'"event":"cancelled"' in post["payload"]
    assert cancel(office, worker.job).changed is False


def test_what_the_broker_published_comes_back_as_a_duplicate(office: FakeOffice) -> None:
    """Ours: the bridge hears its own voice."""
    worker = publisher(office)
    cancel(office, worker.job)
    (post,) = office.rows("SELECT topic, payload FROM job_posts")
    assert heard(office, post["topic"], post["payload"]).ruling == "duplicate"
    assert office.rows("SELECT count(*) AS n FROM job_events")[0]["n"] == 1


def test_only_who_registered_a_job_or_the_operator_cancels_it(office: FakeOffice) -> None:
    """DESIGN 7: ownership."""
    alice, bob, carol = (office.harness(name) for name in ("alice", "bob", "carol"))
    name = register(office, alice, to="bob").job
    with pytest.raises(Denied, match="registered by alice"):
        cancel(office, name, bob)
    with pytest.raises(Unknown):
        cancel(office, name, carol)
    assert cancel(office, name, alice).changed


def test_a_publisher_learns_what_was_recorded_and_what_never_will_be(office: FakeOffice) -> None:
    """DESIGN 7: resend until the broker's record shows it; PUBACK is no proof."""
    worker = publisher(office)
    worker.say("started")
    worker.signed("progress")
    assert fates(office, (worker.job, 1, 1), (worker.job, 1, 2)) == ["recorded", "unknown"]
    claim(office, job=worker.job)
    assert fates(office, (worker.job, 1, 1), (worker.job, 1, 2), ("j-nothing", 1, 1)) == [
        "recorded", "fenced", "fenced",
    ]  # fmt: skip


def test_a_stranger_learns_nothing_of_a_job(office: FakeOffice) -> None:
    """Ours: another agent's job is as unknown as none."""
    worker = publisher(office)
    worker.say("started")
    carol: Caller = office.harness("carol")
    assert fates(office, (worker.job, 1, 1), caller=carol) == ["fenced"]


def test_a_stale_instance_claims_nothing(office: FakeOffice) -> None:
    """DESIGN 5: bound to the epoch of the agent."""
    bob = office.harness("bob")
    name = register(office, to="bob").job
    office.harness("bob", takeover=True)
    with pytest.raises(QueenpostError, match="another instance"):
        claim(office, bob, name)
