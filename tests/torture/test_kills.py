"""kill -9 of the broker under load: nothing accepted is lost, nothing is handled that nobody finished.

QUEENPOST_TORTURE_CYCLES says how often it is killed, QUEENPOST_TORTURE_SEED with which dice; both are printed.
"""

import os
import random
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.fakes.broker import short_home
from tests.torture.broker import BrokerNursery, image
from tests.torture.ledger import Findings, Ledger, compare, leased
from tests.torture.load import AGENTS, IN_FLIGHT, SETTINGS, Load
from wire.home import Home

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

CYCLES = int(os.environ.get("QUEENPOST_TORTURE_CYCLES", "100"))
SEED = int(os.environ.get("QUEENPOST_TORTURE_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
LOOKS = 10
"""How often the image that a kill left is compared as a whole, in the middle of it all."""
DEAD_RECEIVERS = 0.25
"""Share of the receivers that die with the broker."""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home with a fleet that may send without bound."""
    with short_home() as home:
        home.create()
        (home.root / "queenpost.toml").write_text(SETTINGS, encoding="utf-8")
        yield home


async def torture(home: Home, folder: Path, *, cycles: int, seed: int) -> tuple[Ledger, list[str]]:
    """Kill a loaded broker again and again, then let it work off what is left; gives what was wrong meanwhile."""
    rng = random.Random(seed)
    wrong: list[str] = []
    async with BrokerNursery(home) as fleet:
        load = Load(fleet, rng)
        await load.attach()
        async with anyio.create_task_group() as group:
            load.begin(group)
            for cycle in range(cycles):
                await load.more_answers(rng.randrange(1, 150))
                assert load.asking == IN_FLIGHT
                dead = load.lose_harnesses(DEAD_RECEIVERS)
                await fleet.kill()
                load.ledger.leased_at_deaths += leased(home.database, dead)
                if cycle % max(cycles // LOOKS, 1) == 0:
                    wrong += compare(image(home.database, folder), load.ledger, drained=False).wrong
                await fleet.start()
            load.end()
        await fleet.kill()
    return load.ledger, wrong


def report(what: str, ledger: Ledger, findings: Findings, cycles: int, seed: int, seconds: float) -> None:
    """Say in one line what was done."""
    sys.stdout.write(
        f"{what}: {cycles} kills in {seconds:.0f} s, seed {seed}: {len(ledger.accepted)} sends accepted, "
        f"{findings.deliveries} copies, {findings.redeliveries} redeliveries (at most "
        f"{ledger.leased_at_deaths} leased to receivers that died + {ledger.given_back} given back)\n"
    )


@pytest.mark.timeout(max(300, CYCLES * 3))
async def test_no_kill_loses_what_was_accepted(home: Home, tmp_path: Path) -> None:
    """[H01] [P09] [Z1] DESIGN 5.1, 5.7; reliability 4.3: invariants 1-6, 17, 20, 21, 29 hold over every kill."""
    sys.stdout.write(f"replay: QUEENPOST_TORTURE_SEED={SEED} QUEENPOST_TORTURE_CYCLES={CYCLES}\n")
    began = anyio.current_time()
    ledger, wrong = await torture(home, tmp_path, cycles=CYCLES, seed=SEED)
    findings = compare(image(home.database, tmp_path), ledger, drained=True)
    report("torture", ledger, findings, CYCLES, SEED, anyio.current_time() - began)
    assert wrong + findings.wrong == []
    assert len(ledger.accepted) >= CYCLES
    assert findings.redeliveries > 0


@pytest.mark.torture
@pytest.mark.timeout(7200)
async def test_ten_times_as_many_kills_lose_nothing_either(home: Home, tmp_path: Path) -> None:
    """[Z1]: the same, 1,000 times by default."""
    sys.stdout.write(f"replay: QUEENPOST_TORTURE_SEED={SEED} QUEENPOST_TORTURE_CYCLES={CYCLES}\n")
    began = anyio.current_time()
    ledger, wrong = await torture(home, tmp_path, cycles=10 * CYCLES, seed=SEED)
    findings = compare(image(home.database, tmp_path), ledger, drained=True)
    report("torture", ledger, findings, 10 * CYCLES, SEED, anyio.current_time() - began)
    assert wrong + findings.wrong == []


STARTS = 40
LONGEST_START_S = 0.3


async def test_a_kill_in_the_middle_of_a_start_leaves_a_home_that_starts(home: Home) -> None:
    """[H01] [P09] DESIGN 4, 6, 10: first migration, tokens, settings; killed at 40 moments, then all of it is there."""
    rng = random.Random(SEED)
    sys.stdout.write(f"replay: QUEENPOST_TORTURE_SEED={SEED}\n")
    async with BrokerNursery(home, asleep=True) as fleet:
        ready = [await fleet.try_for(rng.uniform(0, LONGEST_START_S)) for _ in range(STARTS)]
        await fleet.start()
        agents = [agent.name for agent in (await fleet.status()).agents]
        assert agents == sorted(f"agent-{number}" for number in range(AGENTS))
        workers = await fleet.harness(*agents)
        sent = await workers[0].send(workers[1].name)
        assert [mail.id for mail in (await workers[1].opened()).mail] == [sent.id]
        await fleet.kill()
    sys.stdout.write(f"{STARTS} starts killed, {sum(ready)} of them after the ready line\n")
    assert kinds(compare(home.database, Ledger(), drained=False)) == {"invented"}  # of which no ledger was kept


# ---- controls: the same checks have to find what is wrong


async def test_a_store_that_forgot_its_last_commits_is_found_out(home: Home, tmp_path: Path) -> None:
    """Reliability 5: every gate has a control that must fail; here a disk that lied about what it had written."""
    async with BrokerNursery(home) as fleet:
        load = Load(fleet, random.Random(SEED))
        await load.attach()
        async with anyio.create_task_group() as group:
            load.begin(group)
            await load.more_answers(100)
            forgetful = image(home.database, tmp_path)
            assert compare(forgetful, load.ledger, drained=False).wrong == []
            await load.more_answers(100)
            await fleet.kill()
            assert "lost" in kinds(compare(forgetful, load.ledger, drained=False))
            whole = image(home.database, tmp_path)
            assert compare(whole, load.ledger, drained=False).wrong == []
            group.cancel_scope.cancel()


def kinds(findings: Findings) -> set[str]:
    """Give what sorts of things were wrong."""
    return {wrong.partition(":")[0] for wrong in findings.wrong}


SECOND_MESSAGE = """
    DROP INDEX messages_by_key;
    INSERT INTO messages (sender, key, kind, body, body_sha256, addressed_to, sent_at)
        SELECT sender, key, kind, body, body_sha256, addressed_to, 0 FROM messages WHERE id = :m
"""

HARM: dict[str, tuple[str, set[str]]] = {
    "a message is gone": (
        "DELETE FROM deliveries WHERE message = :m; DELETE FROM messages WHERE id = :m",
        {"lost", "invented", "integrity"},
    ),
    "a copy is gone": ("DELETE FROM deliveries WHERE message = :m", {"lost", "invented", "integrity"}),
    "an ack is faked": (
        "UPDATE deliveries SET turn = (SELECT max(id) + 1 FROM turns) WHERE message = :m",
        {"false ack"},
    ),
    "an ack of an earlier attempt": ("UPDATE deliveries SET attempt = attempt - 1 WHERE message = :m", {"false ack"}),
    "an ack in a turn that was interrupted": (
        "UPDATE turns SET outcome = 'interrupted' WHERE id = (SELECT turn FROM deliveries WHERE message = :m)",
        {"false ack"},
    ),
    "mail that nobody gets": ("UPDATE deliveries SET state = 'ready' WHERE message = :m", {"lost", "counters"}),
    "a body is changed": ("UPDATE messages SET body = body || '.' WHERE id = :m", {"altered"}),
    "a message is invented": ("UPDATE messages SET key = 'a key that nobody used' WHERE id = :m", {"invented", "lost"}),
    "a send is there twice": (SECOND_MESSAGE, {"twice"}),
    "redeliveries that nothing explains": (
        "UPDATE deliveries SET attempt = attempt + 1000; UPDATE leases SET attempt = attempt + 1000",
        {"redelivered"},
    ),
    "a lease of no open turn": (
        "UPDATE deliveries SET state = 'leased' WHERE message = :m",
        {"leased", "lost", "counters"},
    ),
    "a quota that is off": ("UPDATE agents SET inbox_messages = inbox_messages + 1", {"counters"}),
}


def a_handled_letter(database: Path) -> int:
    """Give the id of a message to one agent who handled it."""
    sql = """
        SELECT message FROM deliveries WHERE state = 'acked'
        GROUP BY message HAVING count(*) = 1 AND max(recipient) <> 'operator'"""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(sql).fetchall()
    return rows[len(rows) // 2][0]


async def test_harm_that_is_done_to_a_store_by_hand_is_found(home: Home, tmp_path: Path) -> None:
    """Reliability 5: each check bites, and finds nothing where there is nothing."""
    ledger, wrong = await torture(home, tmp_path, cycles=1, seed=SEED)
    whole = image(home.database, tmp_path)
    assert wrong + compare(whole, ledger, drained=True).wrong == []
    some = a_handled_letter(whole)
    found: dict[str, set[str]] = {}
    for name, (script, _) in HARM.items():
        harmed = shutil.copyfile(whole, tmp_path / "harmed.db")
        with closing(sqlite3.connect(harmed)) as connection:
            connection.executescript(script.replace(":m", str(some)))
        found[name] = kinds(compare(harmed, ledger, drained=True))
    ledger.completing.clear()
    found["turns that no client completed"] = kinds(compare(whole, ledger, drained=True))
    expected = {name: kinds for name, (_, kinds) in HARM.items()}
    assert found == {**expected, "turns that no client completed": {"false ack"}}
