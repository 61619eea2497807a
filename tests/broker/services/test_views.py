"""Listings, rosters and the account, read beside the writer: they change nothing and survive a broken row."""

import pytest

from broker.services import views
from broker.services.callers import Caller
from broker.services.states import Reports
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Denied, Unknown
from wire.fleet import Account
from wire.inbox import InboxDead, InboxList, InboxPeek
from wire.settings import AgentSettings

OWN = by_token("alice")
OF_BOB = by_token("bob")
NOT_TEXT = "UPDATE messages SET body = CAST(x'c3ff28' AS TEXT) WHERE id = :id"


async def listed(office: FakeOffice, caller: Caller, request: InboxList) -> list[str]:
    """List an inbox; gives id and state of each."""
    async with office.reading() as reader:
        page = await views.list_inbox(reader, caller, request)
    return [f"{item.id} {item.state}" for item in page.items]


async def summed(office: FakeOffice) -> Account:
    """Take the account."""
    async with office.reading() as reader:
        account, _ = await views.account(reader)
    return account


# --- inboxes ----------------------------------------------------------------------------------------


async def test_a_listing_shows_what_is_not_settled_yet(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5: in the words of a sender; `all` shows the rest too; nothing is acked by looking."""
    for _ in range(3):
        office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, carry=["m3"])
    office.send(OWN, "bob")
    before = office.contents()
    assert await listed(office, OF_BOB, InboxList()) == ["m3 in_turn", "m4 queued"]
    assert await listed(office, OPERATOR_CALLER, InboxList(agent="bob", all=True)) == [
        "m1 handled", "m2 handled", "m3 in_turn", "m4 queued"
    ]  # fmt: skip
    assert office.contents() == before


async def test_a_listing_has_pages(office: FakeOffice) -> None:
    """DESIGN 6: bounded; `more` says whether the limit cut it, `after` goes on."""
    for _ in range(5):
        office.send(OWN, "operator")
    async with office.reading() as reader:
        first = await views.list_inbox(reader, OPERATOR_CALLER, InboxList(limit=3))
        rest = await views.list_inbox(reader, OPERATOR_CALLER, InboxList(limit=3, after=first.items[-1].id))
    assert ([item.id for item in first.items], first.more) == (["m1", "m2", "m3"], True)
    assert ([item.id for item in rest.items], rest.more) == (["m4", "m5"], False)


async def test_a_page_fits_into_a_frame(office: FakeOffice) -> None:
    """DESIGN 4: cut by bytes as well as by number; at least one letter, and none is skipped."""
    for number in range(8):
        office.send(OWN, "operator", f"{number}" * 24_000)
    seen: list[str] = []
    async with office.reading() as reader:
        more = True
        while more:
            page = await views.list_inbox(reader, OPERATOR_CALLER, InboxList(after=seen[-1] if seen else None))
            assert 0 < sum(len(item.body) for item in page.items) <= views.PAGE_BYTES
            seen += [item.id for item in page.items]
            more = page.more
    assert seen == [f"m{number}" for number in range(1, 9)]


async def test_an_agent_sees_only_its_own_inbox(office: FakeOffice) -> None:
    """DESIGN 4: ownership; the operator sees each, and an unknown one is an error."""
    async with office.reading() as reader:
        with pytest.raises(Denied):
            await views.list_inbox(reader, OWN, InboxList(agent="bob"))
        with pytest.raises(Unknown):
            await views.list_inbox(reader, OPERATOR_CALLER, InboxList(agent="nobody"))


@pytest.mark.parametrize("damage", ["UPDATE messages SET body = 'other' WHERE id = :id", NOT_TEXT])
async def test_a_damaged_letter_shows_as_broken_and_empties_no_list(office: FakeOffice, damage: str) -> None:
    """[H22] DESIGN 5: the rest is listed; what cannot be trusted is not shown."""
    for body in ("one", "two"):
        office.send(OWN, "operator", body)
    office.damage(damage, id=1)
    async with office.reading() as reader:
        page = await views.list_inbox(reader, OPERATOR_CALLER, InboxList())
    assert [(item.id, item.body, item.broken) for item in page.items] == [("m1", "", True), ("m2", "two", False)]


async def test_dead_letters_are_listed_until_they_are_discarded(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.9: with reason and failures; of all inboxes or one, broken ones too."""
    for _ in range(2):
        office.send(OWN, "bob")
    office.damage("UPDATE deliveries SET failures = 4")
    office.close(bob, office.opened(bob).id, "crashed")
    office.damage(NOT_TEXT, id=1)
    async with office.reading() as reader:
        both = await views.list_dead(reader, InboxDead())
        none = await views.list_dead(reader, InboxDead(agent="carol"))
    assert [(item.id, item.failures, item.broken) for item in both.items] == [("m1", 5, True), ("m2", 5, False)]
    assert "5 turns failed" in (both.items[0].reason or "")
    assert none.items == []
    office.discard("m1")
    async with office.reading() as reader:
        assert [item.id for item in (await views.list_dead(reader, InboxDead())).items] == ["m2"]


async def test_a_peek_takes_nothing(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.4: in leasing order, with the count of all that is ready; damaged letters are left out."""
    office.send(OWN, "bob")
    office.send(OWN, "bob")
    office.send(OPERATOR_CALLER, "bob")
    office.damage(NOT_TEXT, id=1)
    before = office.contents()
    async with office.reading() as reader:
        peeked = await views.peek(reader, OF_BOB, InboxPeek(max=3), office.clock.now_ms())
    assert ([mail.id for mail in peeked.mail], peeked.waiting) == (["m3", "m2"], 3)
    assert office.contents() == before
    assert bob.epoch == 1


# --- agents -----------------------------------------------------------------------------------------


async def test_agents_are_listed_with_their_mail_the_manager_first(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 10: state, counts, epoch, newest turn; removed ones only on demand."""
    for _ in range(3):
        office.send(OWN, "bob")
    office.close(bob, office.opened(bob).id, carry=["m2", "m3"])
    office.send(OWN, "bob")
    office.remove("carol")
    async with office.reading() as reader:
        listed = await views.list_agents(reader, Reports(), removed=False)
        everyone = await views.list_agents(reader, Reports(), removed=True)
    assert [agent.name for agent in listed.agents] == ["boss", "alice", "bob"]
    assert [agent.name for agent in everyone.agents] == ["boss", "alice", "bob", "carol"]
    shown = listed.agents[2]
    assert (shown.state, shown.ready, shown.leased, shown.attached, shown.epoch) == ("working", 1, 2, True, 1)
    assert shown.last_turn is not None
    assert (shown.last_turn.id, shown.last_turn.state) == ("t2", "open")


async def test_the_environment_of_an_agent_is_masked(office: FakeOffice) -> None:
    """DESIGN 10: `env` is not for secrets, and is masked in listings all the same."""
    office.add("dora", AgentSettings(env={"API_KEY": "s3cret"}, env_file="secrets/dora.env"))
    async with office.reading() as reader:
        shown = await views.show_agent(reader, Reports(), "dora", "there")
        with pytest.raises(Unknown):
            await views.show_agent(reader, Reports(), "nobody", "there")
    assert shown.settings.env == {"API_KEY": "***"}
    assert "s3cret" not in shown.model_dump_json()
    assert shown.token_expected


async def test_whoami_tells_an_agent_its_name_manager_roster_and_mail(office: FakeOffice) -> None:
    """[P13] DESIGN 9: and whom it may write to; the operator is no peer."""
    office.add("dora", AgentSettings(allowed_recipients=["alice"]))
    office.send(OWN, "dora")
    async with office.reading() as reader:
        who = await views.whoami(reader, Reports(), by_token("dora"), "demo", office.clock.now_ms())
        boss = await views.whoami(reader, Reports(), by_token("boss"), "demo", office.clock.now_ms())
    assert (who.name, who.role, who.fleet, who.manager, who.waiting) == ("dora", "agent", "demo", "boss", 1)
    assert {peer.name: peer.may_write for peer in who.roster} == {
        "boss": True, "alice": True, "bob": False, "carol": False
    }  # fmt: skip
    assert boss.manager == "boss"
    assert all(peer.may_write for peer in boss.roster)


async def test_whoami_of_a_removed_agent_is_unknown(office: FakeOffice) -> None:
    """DESIGN 5.18: its token is void; a connection that is still open learns it."""
    office.remove("bob")
    async with office.reading() as reader:
        with pytest.raises(Unknown):
            await views.whoami(reader, Reports(), OF_BOB, "demo", office.clock.now_ms())


# --- the account ------------------------------------------------------------------------------------


async def test_the_account_adds_up_at_every_step(office: FakeOffice, bob: Caller, carol: Caller) -> None:
    """[Z1] [Z8] Issue 2: accepted is handled, waiting, dead, held, expired or in the operator's mailbox."""
    seen: list[tuple[int, int, int, int, int, int]] = []

    async def look() -> None:
        account = await summed(office)
        assert account.lost == 0
        seen.append((account.accepted, account.handled, account.waiting, account.dead, account.held, account.mailbox))

    await look()
    office.send(OWN, "*")
    office.send(OWN, "operator")
    await look()
    office.close(bob, office.opened(bob).id)
    turn = office.opened(carol)
    await look()
    office.ack(everything=True)
    office.damage("UPDATE deliveries SET failures = 4 WHERE recipient = 'carol'")
    office.close(carol, turn.id, "crashed")
    office.send(OWN, "bob")
    office.damage("UPDATE messages SET body = 'other' WHERE id = (SELECT max(id) FROM messages)")
    office.open(bob)
    await look()
    assert seen == [
        (0, 0, 0, 0, 0, 0),
        (4, 0, 3, 0, 0, 1),
        (4, 1, 2, 0, 0, 1),
        (8, 1, 3, 1, 1, 2),
    ]


async def test_the_account_counts_redeliveries(office: FakeOffice, bob: Caller) -> None:
    """[Z1] Issue 2: every lease after the first."""
    office.send(OWN, "bob")
    for _ in range(3):
        office.close(bob, office.opened(bob).id, "interrupted")
    assert (await summed(office)).redelivered == 2


async def test_a_row_that_vanished_is_lost_in_the_account(office: FakeOffice) -> None:
    """[Z1] Issue 2: a control: the account can tell a loss."""
    for _ in range(2):
        office.send(OWN, "bob")
    office.damage("DELETE FROM deliveries WHERE message = 2")
    account = await summed(office)
    assert (account.accepted, account.lost) == (2, 1)


async def test_a_refused_send_is_not_accepted_in_the_account(office: FakeOffice) -> None:
    """[Z1] Issue 2: what was rolled back was never accepted."""
    call = office.send.call(OWN, "bob", key="k")
    office.commit(call, office.send.call(OWN, "bob", "other", key="k"), office.send.call(OWN, "nobody"))
    account = await summed(office)
    assert (account.accepted, account.lost) == (1, 0)
