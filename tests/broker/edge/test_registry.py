"""Agents come and go: token files, the database and open connections stay in step."""

import errno
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from broker.edge import registry
from broker.edge.office import Office
from broker.services import credentials
from broker.services.credentials import KeyRing
from tests.broker.edge.frames import error_of
from tests.fakes.broker import LocalBroker
from tests.scenarios.fleet import send
from wire.agents import (
    AgentsAdd,
    AgentsAdded,
    AgentsAttached,
    AgentsChanged,
    AgentsRemove,
    AgentsToken,
    AgentsTokenPath,
)
from wire.client import new_instance
from wire.clock import FakeClock
from wire.errors import Conflict, Denied, Full, Invalid, QueenpostError, Unavailable, Unknown
from wire.fleet import FleetApplied, FleetApply
from wire.home import Home
from wire.settings import AgentSettings

pytestmark = pytest.mark.anyio


async def remove(fleet: LocalBroker, name: str, key: str = "remove") -> AgentsChanged:
    """Take an agent out of the fleet."""
    return await (await fleet.operator()).call(AgentsRemove(key=key, agent=name), AgentsChanged)


async def test_of_two_that_add_one_name_at_once_one_wins_and_its_token_is_good(home: Home) -> None:
    """DESIGN 4 Tokens: what lies in the file is what the database knows."""
    async with LocalBroker(home) as fleet:
        operator = await fleet.operator()
        ends: list[str] = []

        async def add(key: str) -> None:
            try:
                await operator.call(AgentsAdd(key=key, agent="bob"), AgentsAdded)
                ends.append("added")
            except Conflict:
                ends.append("conflict")

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(add, f"key-{number}")
        assert sorted(ends) == ["added"] + ["conflict"] * 7
        await fleet.raw(home.agent_secret("bob"))
        assert (await fleet.worker("bob")).epoch == 1


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Bob", AgentSettings()),
        ("bob\n", AgentSettings()),
        ("../bob", AgentSettings()),
        ("operator", AgentSettings()),
        ("manager", AgentSettings()),
        ("x" * 32, AgentSettings()),
        ("second", AgentSettings(role="manager")),
        ("alice", AgentSettings()),
    ],
)
async def test_a_refused_agent_leaves_no_token(home: Home, name: str, settings: AgentSettings) -> None:
    """DESIGN 5.17: reserved, malformed and taken names, a second manager; nothing of them stays on disk."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        await fleet.add("boss", role="manager")
        token = fleet.token(home.agent_secret("alice"))
        operator = await fleet.operator()
        with pytest.raises((Invalid, Conflict)):
            await operator.call(AgentsAdd(key="k", agent=name, settings=settings), AgentsAdded)
        assert sorted(path.name for path in (home.secrets / "agents").iterdir()) == ["alice", "boss"]
        assert fleet.token(home.agent_secret("alice")) == token


async def test_a_removed_agents_token_is_void_at_once(home: Home) -> None:
    """[H01] DESIGN 5.18: also on connections that showed it before; an agent of that name starts anew."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        token = fleet.token(home.agent_secret("bob"))
        line = await fleet.raw(home.agent_secret("bob"))
        assert (await remove(fleet, "bob")).changed
        await line.ended()
        assert not home.agent_secret("bob").exists()
        late = await fleet.raw()
        assert error_of(await late.hello(token)) == (None, "denied")
        await fleet.add("bob")
        again = await fleet.raw()
        assert error_of(await again.hello(token)) == (None, "denied")
        assert "ok" not in await (await fleet.raw()).hello(fleet.token(home.agent_secret("bob")))


async def test_a_harness_cannot_go_on_for_an_agent_that_was_removed(home: Home) -> None:
    """DESIGN 5.18: its turn is revoked; whatever it asks for that agent is refused, other agents go on."""
    async with LocalBroker(home) as fleet:
        await fleet.add("alice", "bob")
        alice, bob = await fleet.harness("alice", "bob")
        sent = await fleet.send("bob")
        turn = await bob.opened()
        removed = await remove(fleet, "bob")
        assert removed.dead == 1
        for attempt in (bob.close(turn.id), bob.open(wait_s=0), bob.send("alice")):
            with pytest.raises(QueenpostError):
                await attempt
        assert await fleet.state_of(sent.id) == "dead"
        assert (await alice.send("operator")).state == "queued"


async def test_who_hears_of_a_new_agent_can_attach_it_at_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: it is announced with its commit, a moment before its token is known; refused, it would be left alone."""
    asked = anyio.Event()
    reload, is_agent = registry.reload, KeyRing.is_agent

    async def late(office: Office) -> Mapping[str, bytes]:
        await asked.wait()
        return await reload(office)

    def noticed(keys: KeyRing, token: str | None, agent: str) -> bool:
        asked.set()
        return is_agent(keys, token, agent)

    async with LocalBroker(home) as fleet:
        await fleet.add("alice")
        alice = await fleet.worker("alice")
        asked = anyio.Event()
        monkeypatch.setattr(registry, "reload", late)
        monkeypatch.setattr(KeyRing, "is_agent", noticed)
        with anyio.fail_after(10), alice.client.pushes() as pushes:
            async with anyio.create_task_group() as group:
                group.start_soon(fleet.add, "bob")
                while (await pushes.receive()).agent != "bob":
                    pass
                attached = await alice.client.call(fleet.attach_request("bob", new_instance()), AgentsAttached)
                assert attached.epoch == 1


async def test_removing_twice_and_with_the_same_key_changes_nothing_more(home: Home) -> None:
    """DESIGN 4 Retries; 5.18: idempotent, by key and by state; who was never there is unknown."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        first = await remove(fleet, "bob", "k1")
        assert await remove(fleet, "bob", "k1") == first
        assert (await remove(fleet, "bob", "k2")).changed is False
        with pytest.raises(Unknown):
            await remove(fleet, "nobody")


async def test_a_token_file_that_was_deleted_is_made_anew_on_request(home: Home) -> None:
    """DESIGN 4 Tokens: `agent token` prints a path at which a good token lies; the old one is void."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        old = fleet.token(home.agent_secret("bob"))
        home.agent_secret("bob").unlink()
        operator = await fleet.operator()
        answer = await operator.call(AgentsToken(agent="bob"), AgentsTokenPath)
        assert Path(answer.path) == home.agent_secret("bob")
        assert home.agent_secret("bob").stat().st_mode & 0o777 == 0o600
        assert error_of(await (await fleet.raw()).hello(old)) == (None, "denied")
        assert (await fleet.worker("bob")).epoch == 1


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, Full), (errno.EROFS, Unavailable)])
async def test_an_agent_is_not_added_where_its_token_cannot_be_written(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: int, error: type[QueenpostError]
) -> None:
    """Bad input and misuse: a full or read-only disk gets a clear error, and the fleet is as it was."""

    def refuse(*_: object) -> None:
        raise OSError(number, "the disk says no")

    async with LocalBroker(home) as fleet:
        operator = await fleet.operator()
        with monkeypatch.context() as patch:
            patch.setattr(credentials, "write_secret", refuse)
            with pytest.raises(error):
                await operator.call(AgentsAdd(key="k", agent="bob"), AgentsAdded)
        assert (await fleet.status()).agents == []
        assert await operator.call(AgentsAdd(key="k", agent="bob"), AgentsAdded)


# ---- apply

TWO = '[agents.alice]\nbackend = "none"\n[agents.bob]\n'


async def apply(fleet: LocalBroker, *, dry_run: bool = False, key: str = "apply") -> FleetApplied:
    """Make the settings file true."""
    return await (await fleet.operator()).call(FleetApply(key=key, dry_run=dry_run), FleetApplied)


def configured(home: Home, text: str) -> LocalBroker:
    """Give a broker whose fleet is declared in a file."""
    home.create()
    path = home.root / "queenpost.toml"
    path.write_text(text, encoding="utf-8")
    return LocalBroker(home, config=path, clock=FakeClock())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[agents.alice\n", 1),
        ('[agents.alice]\nbackend = "nonee"\n', 2),
        ("[agents.carol]\n\n[limits]\nsend_bust = 5\n", 4),
        ('[agents.carol]\nrole = "manager"\n[agents.dave]\nrole = "manager"\n', 3),
        ("[agents.Carol]\n", 1),
        ("[agents.carol]\nsilence_s = inf\n", 2),
    ],
)
async def test_an_invalid_file_leaves_a_running_fleet_as_it_was(home: Home, text: str, line: int) -> None:
    """DESIGN 10: `apply` names file and line, and changes nothing: no agent, no limit, no token."""
    async with configured(home, TWO) as fleet:
        before = await fleet.status()
        path = home.root / "queenpost.toml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(Invalid, match=f"{path}:{line}: "):
            await apply(fleet)
        assert await fleet.status() == before
        assert sorted(file.name for file in (home.secrets / "agents").iterdir()) == ["alice", "bob"]


async def test_a_file_that_names_an_agent_of_the_database_is_a_conflict(home: Home) -> None:
    """DESIGN 10: the same name in both is an error; agents before it in the file are not half applied."""
    async with configured(home, TWO) as fleet:
        await fleet.add("dave")
        (home.root / "queenpost.toml").write_text(TWO + "[agents.carol]\n[agents.dave]\n", encoding="utf-8")
        with pytest.raises(Conflict, match="dave"):
            await apply(fleet)
        assert {agent.name for agent in (await fleet.status()).agents} == {"alice", "bob", "dave"}
        assert not home.agent_secret("carol").exists()
        with pytest.raises(Denied):
            await send(await fleet.operator(), "alice", as_="carol")


async def test_a_dry_run_says_what_would_change_and_changes_nothing(home: Home) -> None:
    """DESIGN 10: one audited transaction, which a dry run never commits."""
    async with configured(home, TWO) as fleet:
        (home.root / "queenpost.toml").write_text("[agents.alice]\nbatch_max = 1\n[agents.carol]\n", encoding="utf-8")
        planned = await apply(fleet, dry_run=True)
        assert {agent.name for agent in (await fleet.status()).agents} == {"alice", "bob"}
        assert not home.agent_secret("carol").exists()
        assert (await apply(fleet, key="for-real")).changes == planned.changes
        assert (await fleet.agent("bob")).state == "stopped"
        assert (await fleet.worker("carol")).epoch == 1


async def test_running_turns_go_on_through_an_apply(home: Home) -> None:
    """DESIGN 10: settings change under a turn, the turn does not end."""
    async with configured(home, TWO) as fleet:
        alice = await fleet.worker("alice")
        sent = await fleet.send("alice")
        turn = await alice.opened()
        (home.root / "queenpost.toml").write_text(TWO + "[agents.carol]\n", encoding="utf-8")
        await apply(fleet)
        assert (await alice.close(turn.id)).acked == [sent.id]


async def test_limits_of_the_file_hold_from_the_next_request_on(home: Home) -> None:
    """[H07] DESIGN 5.14: a body, a burst, an inbox; refused with what to do, never dropped."""
    async with configured(home, TWO) as fleet:
        alice = await fleet.worker("alice")
        (home.root / "queenpost.toml").write_text(
            TWO.replace("[agents.bob]", "allowed_recipients = []\n[agents.bob]") + "[limits]\nbody_bytes = 256\n",
            encoding="utf-8",
        )
        await apply(fleet)
        with pytest.raises(Denied, match="manager, operator"):
            await alice.send("bob")
        with pytest.raises(Invalid, match="256"):
            await alice.send("operator", "x" * 257)


async def test_a_fleet_is_renamed_by_its_file(home: Home) -> None:
    """DESIGN 10: the file is the desired state of what it declares; without a name the folder gives one."""
    async with configured(home, TWO) as fleet:
        assert (await fleet.status()).fleet == "home"
        (home.root / "queenpost.toml").write_text(f'{TWO}[fleet]\nname = "orchard"\n', encoding="utf-8")
        await apply(fleet)
        assert (await fleet.status()).fleet == "orchard"
        client = await fleet.entered(fleet.client(home.operator_secret))
        assert client.welcome.fleet == "orchard"


async def test_a_fleet_without_a_file_has_nothing_to_apply(home: Home) -> None:
    """DESIGN 10: says how to make one."""
    async with LocalBroker(home) as fleet:
        with pytest.raises(Invalid, match="queenpost init"):
            await apply(fleet)
