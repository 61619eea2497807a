"""Proof that the state machine bites: defects that were put in on purpose, each found within a bounded search.

The search draws its numbers from a fixed sequence, so it finds the same failure each time; hypothesis is not needed
where nothing has to be made small. Most defects change a query, which no refactoring of the services moves away.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from broker.services import audit, holders, policy, settling, turns
from broker.store.sql import Queries
from broker.store.tx import Tx
from tests.model import defects, defects_jobs, defects_valves
from tests.model.choices import LIMITS, MIXES
from tests.model.machine import PostOfficeMachine
from wire.inbox import Kind

MOST_STEPS = 100_000
STEPS_OF_A_RUN = 100

SQL_DEFECTS: dict[str, tuple[str, str, str]] = {
    "mail that goes back is acked": ("turns.back", "state = 'ready', ready_at = 0", "state = 'acked'"),
    "a key is not looked for": ("inbox.find_key", "WHERE", "WHERE 0 AND"),
    "a key is looked for under every sender": ("inbox.find_key", "sender = :sender", ":sender = :sender"),
    "a quota counter is not kept": ("inbox.count_one_in", "WHERE", "WHERE 0 AND"),
    "a broadcast counts in nobody's inbox": ("inbox.count_in", "WHERE", "WHERE 0 AND"),
    "back-off blocks nothing": ("turns.backing_off", "recipient = :recipient", "recipient = :recipient || '!'"),
    "back-off blocks every pair": ("turns.backing_off", "SELECT sender,", "SELECT 'alice' AS sender,"),
    "newest mail goes first": ("turns.ready", "ORDER BY d.rank, d.place", "ORDER BY d.rank, d.place DESC"),
    "operator mail waits in line": ("turns.ready", "ORDER BY d.rank, d.place", "ORDER BY d.place"),
    "an attempt is not counted": ("turns.lease", "attempt = attempt + 1", "attempt = max(attempt, 1)"),
    "carrying counts an attempt": ("turns.move", "SET turn = :turn", "SET turn = :turn, attempt = attempt + 1"),
    "mail that failed together stays together": ("turns.back_failed", "max(alone, :alone)", "0 * :alone"),
    "a failure is not counted": ("turns.back_failed", "failures = failures + 1", "failures = failures"),
    "a lapse loses the mail": ("turns.back_restarted", "state = 'ready', ready_at = 0", "state = 'held'"),
    "a lapse never comes": ("turns.expired", "WHERE", "WHERE 0 AND"),
    "a lapsed turn comes back too late": ("turns.released_by", "AS now_attempt", "AS x, l.attempt AS now_attempt"),
    "a restart leaves no time to resume": ("turns.rearm", "WHERE", "WHERE 0 AND"),
    "a restart keeps every holder connected": ("agents.lose_all", "WHERE", "WHERE 0 AND"),
    "requeue goes on from the old place": ("inbox.requeue", "place = 1 +", "place = 2 +"),
    "requeue keeps the failures": ("inbox.requeue", "failures = 0", "failures = failures"),
    "a broadcast comes back to its sender": ("inbox.everyone", "AND name <> :sender", "AND :sender = :sender"),
    "a bucket is never spent": ("inbox.post", "WHEN :name THEN :bucket", "WHEN :name THEN bucket"),
    "a set clock moves the buckets": ("agents.shift_clock", "min(bucket_at + :step, :now)", "bucket_at"),
    "leases are not written down": ("turns.mark_given_back", "SET given_back = 1", "SET given_back = 0"),
    "the next holder gets the same epoch": ("agents.occupy", "epoch = :epoch", "epoch = max(epoch, min(:epoch, 1))"),
    **defects.OF_QUERIES,
    **defects_valves.OF_QUERIES,
    **defects_jobs.OF_QUERIES,
}  # fmt: skip
"""Query, what stands there, and what stands there in the defect."""


def _nothing(*_args: object, **_more: object) -> None:
    """Do nothing in place of what should be done."""


def _no_epoch_check(patch: pytest.MonkeyPatch) -> None:
    """Take every instance for the holder."""

    def anybody(tx: Tx, caller: Any) -> Any:
        return tx.one("turns.holder", agent=caller.name)

    patch.setattr(turns, "holder_of", anybody)
    patch.setattr(settling, "holder_of", anybody)


def _no_list(patch: pytest.MonkeyPatch) -> None:
    """Let everybody write to everybody."""
    patch.setattr(policy, "require_may_write", _nothing)


def _no_wake(patch: pytest.MonkeyPatch) -> None:
    """Tell nobody that mail may be there."""
    patch.setattr(Tx, "woke", _nothing)


def _no_audit(patch: pytest.MonkeyPatch) -> None:
    """Write nothing down."""
    patch.setattr(audit, "write", _nothing)


def _no_cap(patch: pytest.MonkeyPatch) -> None:
    """Let mail fail six times."""
    patch.setattr(settling, "MAX_FAILURES", 6)


def _settles_all(patch: pytest.MonkeyPatch) -> None:
    """Ack everything, whatever `done` says."""

    def everything(rows: list[Any], _message: int) -> list[Any]:
        return rows

    patch.setattr(settling, "_up_to", everything)


def _takes_over(patch: pytest.MonkeyPatch) -> None:
    """Let every instance take an agent from its holder."""
    patch.setattr(holders, "_require_free", _nothing)


def _all_peers(patch: pytest.MonkeyPatch) -> None:
    """Stamp everybody as a peer."""

    def peer(*_args: object) -> Kind:
        return "peer"

    patch.setattr(policy, "kind_of", peer)


DEFECTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "epochs are not checked": _no_epoch_check,
    "allow-lists are not looked at": _no_list,
    "nobody is woken": _no_wake,
    "operators leave no trace": _no_audit,
    "a sixth failure is allowed": _no_cap,
    "`done` settles all": _settles_all,
    "everybody may take over": _takes_over,
    "provenance is not stamped": _all_peers,
    **defects.OF_SERVICES,
    **defects_valves.OF_SERVICES,
    **defects_jobs.OF_SERVICES,
}


def steps_until_found() -> int:
    """Search for a failure; gives after how many steps it was there, or fails."""
    numbers = random.Random(20_261_120)
    for start in range(0, MOST_STEPS, STEPS_OF_A_RUN):
        machine = PostOfficeMachine()
        try:
            machine.begin(
                mix=start // STEPS_OF_A_RUN % len(MIXES),
                limits=numbers.randrange(len(LIMITS)),
                held=numbers.randrange(32),
            )
            for _ in range(STEPS_OF_A_RUN):
                machine.step(number=numbers.randrange(2**24))
        except AssertionError:
            return start + STEPS_OF_A_RUN
    pytest.fail(f"the defect lived through {MOST_STEPS} steps")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("defect", SQL_DEFECTS)
def test_a_defect_in_a_query_is_found(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[Z1] Ours: a state machine that finds nothing may be blind; each of these it has to see."""
    name, right, wrong = SQL_DEFECTS[defect]
    queries = Queries.from_package()
    assert right in queries[name], f"{name} reads differently now; put the defect in anew"
    monkeypatch.setitem(queries, name, queries[name].replace(right, wrong))
    assert steps_until_found() <= MOST_STEPS


@pytest.mark.timeout(300)
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_in_a_service_is_found(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """[Z1] Ours: the same for what no query decides."""
    DEFECTS[defect](monkeypatch)
    assert steps_until_found() <= MOST_STEPS
