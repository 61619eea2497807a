"""Rotating a token: the old one is void at once, on every connection; whatever fails before, it stays good."""

import errno
import os
import stat
from pathlib import Path

import pytest

from broker.services import credentials
from tests.broker.edge.frames import error_of, events, still_works
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import until
from wire.agents import AgentsChanged, AgentsRemove, AgentsRotate, AgentsToken, AgentsTokenPath
from wire.client import new_key
from wire.errors import Denied, Full, Invalid, QueenpostError, Stale, Unavailable, Unknown
from wire.home import Home

pytestmark = pytest.mark.anyio


async def rotate(fleet: LocalBroker, name: str, key: str | None = None) -> AgentsTokenPath:
    """Rotate as the operator."""
    return await (await fleet.operator()).call(AgentsRotate(key=key or new_key(), agent=name), AgentsTokenPath)


def secrets_in(home: Home) -> list[str]:
    """List the files of all tokens."""
    return sorted(path.name for path in (*home.secrets.iterdir(), *(home.secrets / "agents").iterdir()))


async def test_the_old_token_is_void_and_the_new_one_lies_in_the_file(home: Home) -> None:
    """DESIGN 4 Tokens: 0600 as before; whoever showed the old one is shown out, peers are not."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        old = fleet.token(home.agent_secret("bob"))
        shown, peer = await fleet.raw(home.agent_secret("bob")), await fleet.raw(home.agent_secret("alice"))
        answer = await rotate(fleet, "bob")
        assert Path(answer.path) == home.agent_secret("bob")
        assert stat.S_IMODE(home.agent_secret("bob").stat().st_mode) == 0o600
        assert b'"ok"' not in await shown.ended()
        assert error_of(await (await fleet.raw()).hello(old)) == (None, "denied")
        assert await still_works(await fleet.raw(home.agent_secret("bob")))
        assert await still_works(peer)
        assert secrets_in(home) == ["agents", "alice", "bob", "harness", "operator"]


async def test_a_retry_gives_the_first_answer_and_makes_no_other_token(home: Home) -> None:
    """DESIGN 4 Retries: the key, and one line in the audit trail."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        first = await rotate(fleet, "bob", "k")
        token = fleet.token(home.agent_secret("bob"))
        assert await rotate(fleet, "bob", "k") == first
        assert fleet.token(home.agent_secret("bob")) == token
        assert await still_works(await fleet.raw(home.agent_secret("bob")))
        assert secrets_in(home) == ["agents", "bob", "harness", "operator"]
        rows = await fleet.office.writer.run(lambda tx: tx.all("audit.of", subject="bob"))
        assert [(row["principal"], row["action"]) for row in rows][-1] == ("operator", "token.rotated")
        assert len([row for row in rows if row["action"] == "token.rotated"]) == 1


async def test_who_asks_is_answered_before_its_own_token_is_void(home: Home) -> None:
    """DESIGN 4 Tokens: the operator rotates the operator's; every other connection of it ends without a word."""
    async with LocalBroker(home) as fleet:
        old = fleet.token(home.operator_secret)
        asking, other = await fleet.raw(home.operator_secret), await fleet.raw(home.operator_secret)
        assert (await asking.ask({"id": 1, "op": "agents.rotate", "key": "k", "agent": "operator"}))["ok"]
        assert await asking.ended() == b""
        await other.ended()
        assert error_of(await (await fleet.raw()).hello(old)) == (None, "denied")
        assert await still_works(await fleet.raw(home.operator_secret))


async def test_a_harness_comes_back_with_the_new_token_and_keeps_its_turns(home: Home) -> None:
    """DESIGN 5.7: its file is read for each link; instance, epoch and open turns are as they were."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        old = fleet.token(home.harness_secret)
        bob = await fleet.worker("bob")
        sent = await fleet.send("bob")
        turn = await bob.opened()
        before = fleet.end_of("harness")
        await rotate(fleet, "harness")
        assert error_of(await (await fleet.raw()).hello(old)) == (None, "denied")
        await until(lambda: fleet.hub.has_holder("bob") and fleet.end_of("harness") is not before)
        assert (await bob.close(turn.id)).acked == [sent.id]


async def test_what_a_harness_attached_by_the_old_token_ends(home: Home) -> None:
    """DESIGN 5.18: its turn goes back uncounted, its requests for that agent are refused until it attaches anew."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob", reconnect=False)
        sent = await fleet.send("bob")
        turn = await bob.opened()
        old = fleet.attach_request("bob", bob.instance)
        await rotate(fleet, "bob")
        assert await fleet.state_of(sent.id) == "queued"
        for attempt in (bob.close(turn.id), bob.open(wait_s=0), bob.send("alice")):
            with pytest.raises((Denied, Stale)):
                await attempt
        with pytest.raises(Denied, match="not the token of bob"):
            await bob.client.call(old, type(bob.attached))
        bob.attached = await bob.client.call(fleet.attach_request("bob", bob.instance), type(bob.attached))
        again = await bob.opened()
        assert [(mail.id, mail.attempt) for mail in again.mail] == [(sent.id, 2)]
        assert (await alice.send("operator")).state == "queued"


async def test_an_attended_turn_under_the_old_token_ends(home: Home) -> None:
    """DESIGN 5.4: its mail is waiting again when the answer comes."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        session = await fleet.session("bob")
        sent = await fleet.send("bob")
        await session.take()
        await rotate(fleet, "bob")
        assert await fleet.state_of(sent.id) == "queued"
        assert [mail.id for mail in (await (await fleet.session("bob")).take()).mail] == [sent.id]


async def test_harnesses_are_told_once_the_new_token_can_be_read_and_is_known(home: Home) -> None:
    """Ours: who attaches at this push finds the new token; told sooner, it would be refused and give up."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.harness_secret)
        request = fleet.attach_request("bob", "the-instance-of-this-line")
        assert (await line.ask({"id": 1, **request.model_dump(exclude={"id", "as_"})}))["ok"]
        await events(line)
        await rotate(fleet, "bob")
        assert [event for event, _ in await events(line)] == ["turn_revoked", "agents_changed"]


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, Full), (errno.EROFS, Unavailable)])
async def test_a_disk_that_refuses_leaves_the_old_token_good(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: int, error: type[QueenpostError]
) -> None:
    """Bad input and misuse: a clear error, nothing changed, nothing left behind."""

    def refuse(_: int) -> None:
        raise OSError(number, "the disk says no")

    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        token = fleet.token(home.agent_secret("bob"))
        line = await fleet.raw(home.agent_secret("bob"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", refuse)
            with pytest.raises(error):
                await rotate(fleet, "bob")
        assert await still_works(line)
        assert fleet.token(home.agent_secret("bob")) == token
        assert secrets_in(home) == ["agents", "bob", "harness", "operator"]


async def test_a_commit_that_fails_leaves_the_old_token_good(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 4 Tokens: what is in the file is what the database knows."""

    def refuse(*_: object, **__: object) -> None:
        raise Full("no room for the audit trail")

    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        with monkeypatch.context() as patch:
            patch.setattr(credentials, "rotate", refuse)
            with pytest.raises(Full):
                await rotate(fleet, "bob")
        assert await still_works(await fleet.raw(home.agent_secret("bob")))
        assert secrets_in(home) == ["agents", "bob", "harness", "operator"]


async def test_a_token_that_could_not_be_published_is_made_anew_on_request(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4 Tokens: the old one is void all the same; `agent token` mends the file."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "the disk says no")

    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        line = await fleet.raw(home.agent_secret("bob"))
        with monkeypatch.context() as patch:
            patch.setattr(credentials, "publish_secret", refuse)
            with pytest.raises(Unavailable):
                await rotate(fleet, "bob")
        await line.ended()
        assert error_of(await (await fleet.raw()).hello(fleet.token(home.agent_secret("bob")))) == (None, "denied")
        await (await fleet.operator()).call(AgentsToken(agent="bob"), AgentsTokenPath)
        assert await still_works(await fleet.raw(home.agent_secret("bob")))


async def test_drafts_of_a_broker_that_was_killed_are_swept(home: Home) -> None:
    """DESIGN 4 Tokens: no copy of a secret is left lying about."""
    home.create()
    left = home.secrets / "agents" / ".bob.0badcafe"
    left.write_text("a token that was never published", encoding="utf-8")
    async with LocalBroker(home):
        assert not left.exists()


async def test_only_who_is_part_of_the_fleet_has_a_token(home: Home) -> None:
    """Bad input and misuse: unknown, removed."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        with pytest.raises(Unknown):
            await rotate(fleet, "nobody")
        await (await fleet.operator()).call(AgentsRemove(key="r", agent="bob"), AgentsChanged)
        with pytest.raises(Invalid, match="was removed"):
            await rotate(fleet, "bob")


@pytest.mark.parametrize("name", ["operator", "harness"])
async def test_the_fleets_own_tokens_have_a_path_too(home: Home, name: str) -> None:
    """DESIGN 4 Tokens: `agent token operator` prints it."""
    async with LocalBroker(home) as fleet:
        answer = await (await fleet.operator()).call(AgentsToken(agent=name), AgentsTokenPath)
        assert Path(answer.path) == home.secrets / name
