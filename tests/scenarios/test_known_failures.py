"""Five ways in which other systems lose mail between agents, each as a scenario that must not come true here.

They were read in the public issue trackers of today's agent teams. Over the link, against the program that users run.
"""

from collections.abc import Iterator

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, short_home
from tests.scenarios.fleet import PATIENCE_S, Worker
from wire.errors import Denied, Full, Unknown
from wire.home import Home
from wire.inbox import InboxList, InboxListed, InboxPeek, InboxPeeked

pytestmark = pytest.mark.anyio

MANY = """
[limits]
send_burst = 1_000_000
send_per_minute = 10_000_000
inbox_messages = 1500
[agents.alice]
[agents.bob]
allowed_recipients = []
"""


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


async def test_mail_is_never_marked_as_read_before_it_is_handled(home: Home) -> None:
    """[P01] [Z1]: the reader dies after it got the mail; elsewhere that mail is "read" and gone for good."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        alice = await fleet.worker("alice")
        sent = await alice.send("bob", "the only copy of something")
        (bob,) = await fleet.harness("bob", reconnect=False)
        turn = await bob.opened()
        assert (await alice.explain(sent.id)).deliveries[0].state == "in_turn"
        await fleet.kill()  # bob's program, its harness and the broker, all at once
        await fleet.start()
        assert (await alice.explain(sent.id)).deliveries[0].state == "in_turn"
        next_bob = await fleet.worker("bob", takeover=True)
        assert (await alice.explain(sent.id)).deliveries[0].state == "queued"
        again = await next_bob.opened()
        assert [(mail.id, mail.body, mail.attempt) for mail in again.mail] == [(sent.id, turn.mail[0].body, 2)]
        await next_bob.close(again.id)
        story = await alice.explain(sent.id)
        assert (story.deliveries[0].state, story.deliveries[0].turn) == ("handled", again.id)


async def test_looking_at_mail_neither_takes_nor_marks_it(home: Home) -> None:
    """[P01] DESIGN 5.4, 5.17: peeks, listings and stories are read-only, for the agent and for the operator."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        sent = await fleet.send("bob")
        bob = await fleet.worker("bob")
        operator = await fleet.operator()
        for _ in range(3):
            peeked = await bob.client.call(InboxPeek(), InboxPeeked, as_="bob")
            listed = await bob.client.call(InboxList(), InboxListed, as_="bob")
            by_operator = await operator.call(InboxList(agent="bob"), InboxListed)
            for items in (peeked.mail, listed.items, by_operator.items):
                assert [item.id for item in items] == [sent.id]
            assert await fleet.state_of(sent.id) == "queued"
        assert [(mail.id, mail.attempt) for mail in (await bob.opened()).mail] == [(sent.id, 1)]


async def test_what_counts_as_handed_over_was_really_shown(home: Home) -> None:
    """[P01] [Z1]: elsewhere mail is `read: true` and was never in any prompt; here the bodies add up."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        shown: list[str] = []
        async with anyio.create_task_group() as group:
            group.start_soon(read_on, bob, shown)
            for number in range(40):
                await alice.send("bob", f"letter {number}")
                if number in {10, 25}:
                    await fleet.restart()
            await alice.send("bob", "the last")
        assert shown == [*(f"letter {number}" for number in range(40)), "the last"]
        account = (await fleet.status()).account
        assert (account.accepted, account.handled, account.lost) == (41, 41, 0)


async def read_on(reader: Worker, shown: list[str]) -> None:
    """Handle mail until the last; what is written down is what was in turns that were accepted as completed."""
    while "the last" not in shown:
        turn = await reader.open()
        if turn is not None:
            closed = await reader.close(turn.id)
            shown += [mail.body for mail in turn.mail if mail.id in closed.acked]


async def test_an_inbox_of_more_than_a_thousand_messages_goes_on_to_surface(home: Home) -> None:
    """[P01]: elsewhere an inbox that is never pruned stops at about a thousand; full is an error, not silence."""
    home.create()
    (home.root / "queenpost.toml").write_text(MANY, encoding="utf-8")
    async with BrokerProcess(home) as fleet:
        alice, bob = await fleet.harness("alice", "bob")
        async with anyio.create_task_group() as group:
            for part in range(6):
                group.start_soon(send_some, alice, part * 250, 250)
        with pytest.raises(Full, match="nothing was stored"):
            await alice.send("bob", "one too many")
        assert (await fleet.agent("bob")).ready == 1500
        shown: list[str] = []
        for _ in range(3):
            turn = await bob.opened()
            shown += [mail.body for mail in turn.mail]
            await bob.close(turn.id)
        await alice.send("bob", "the last")
        await read_on(bob, shown)
        assert len(shown) == len(set(shown)) == 1501
        for part in range(6):
            ours = [int(body) for body in shown[:-1] if part * 250 <= int(body) < part * 250 + 250]
            assert ours == sorted(ours)
        assert (await fleet.agent("bob")).ready == 0
        listed = await (await fleet.operator()).call(InboxList(agent="bob"), InboxListed)
        assert listed.items == []


async def send_some(sender: Worker, first: int, number: int) -> None:
    """Send numbered letters, one after the other."""
    for letter in range(first, first + number):
        await sender.send("bob", str(letter))


async def test_a_recipient_that_does_not_exist_is_an_error(home: Home) -> None:
    """[P01]: elsewhere a mistyped name makes an inbox that nobody reads, and the sender is told "success"."""
    home.create()
    (home.root / "queenpost.toml").write_text(MANY, encoding="utf-8")
    async with BrokerProcess(home) as fleet:
        alice, bob = await fleet.harness("alice", "bob")
        before = await fleet.status()
        for name in ("bbo", "Bob", "bob ", " bob", "bob\n", "alice,bob", "manager", "system", "b", "\u0430lice"):
            with pytest.raises(Unknown):
                await alice.send(name, "to nobody")
        with pytest.raises(Denied, match="allowed: manager, operator"):
            await bob.send("alice", "not allowed")
        after = await fleet.status()
        assert (after.account, [agent.name for agent in after.agents]) == (
            before.account,
            [agent.name for agent in before.agents],
        )


async def test_a_final_report_arrives_though_its_sender_is_gone(home: Home) -> None:
    """[P03] [P01]: elsewhere it comes an hour late or never; here it waits in the inbox and wakes at once."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("boss", role="manager")
        await fleet.add("worker")
        boss = await fleet.worker("boss")
        (worker,) = await fleet.harness("worker", reconnect=False)
        order = await boss.send("worker", "do it")
        await boss.send("operator", "I have asked for it")
        await fleet.send("boss", "how is it going?")
        busy = await boss.opened()
        turn = await worker.opened()
        report = await worker.send("manager", "it is done", in_reply_to=order.id)
        await worker.close(turn.id)
        await fleet.restart()  # and with it the worker is gone
        assert await fleet.state_of(report.id) == "queued"
        await boss.close(busy.id)
        with anyio.fail_after(PATIENCE_S):
            turn_of_boss = await boss.open(wait_s=180)
        assert turn_of_boss is not None
        assert [(mail.body, mail.in_reply_to) for mail in turn_of_boss.mail] == [("it is done", order.id)]
        await boss.close(turn_of_boss.id)
        assert await fleet.state_of(report.id) == "handled"
