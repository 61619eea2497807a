"""`python -m broker` as users and supervisors meet it: ready line, exit codes, refusals that say what to do."""

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import anyio
import pytest

from tests.fakes.broker import BrokerProcess, run_to_end, short_home
from tests.scenarios.fleet import settled
from wire.errors import Unavailable
from wire.home import Home
from wire.turns import Turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that does not exist yet."""
    with short_home() as home:
        yield home


def refused(ended: CompletedProcess[bytes], code: int, *words: str) -> None:
    """See that a start was refused in one line of words, without a ready line and without a stack trace."""
    said = ended.stderr.decode()
    assert ended.returncode == code, said
    assert ended.stdout == b""
    assert "Traceback" not in said
    line = said.strip().splitlines()[-1]
    assert line.startswith("queenpost broker: ")
    for word in words:
        assert word in line


# ---- start and stop


async def test_it_says_in_one_line_of_json_that_it_listens(home: Home) -> None:
    """DESIGN 2: the supervisor waits for the ready line; logs go elsewhere."""
    async with BrokerProcess(home) as fleet:
        assert fleet.ready["event"] == "ready"
        assert Path(fleet.ready["socket"]).is_socket()
        assert (fleet.ready["pid"], fleet.ready["home"]) == (fleet.pid, str(home.root))
        assert (await fleet.status()).pid == fleet.pid
        assert await fleet.terminate() == 0


async def test_sigterm_ends_it_within_2_s_and_whoever_waits_gets_an_answer(home: Home) -> None:
    """[H12] DESIGN 2: stop accepting, tell, drain, close; rc 0, no thread and no socket left."""
    async with BrokerProcess(home) as fleet:
        names = [f"agent-{number}" for number in range(10)]
        await fleet.add(*names)
        workers = await fleet.harness(*names, reconnect=False)
        opened: list[Turn | None] = []

        async def park(number: int) -> None:
            opened.append(await workers[number].open(wait_s=180))

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(park, number)
            await settled(workers[0].client)
            with anyio.fail_after(2):
                assert await fleet.terminate() == 0
        assert opened == [None] * 10
        assert not home.socket.exists()
        assert not home.database.with_name("broker.db-wal").exists()


async def test_ctrl_c_ends_it_like_sigterm(home: Home) -> None:
    """DESIGN 2: rc 0, no stack trace."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        assert await fleet.interrupt() == 0
        assert "Traceback" not in fleet.said


async def test_sigterm_under_load_loses_nothing_that_was_accepted(home: Home) -> None:
    """[H01] DESIGN 5.1: what was answered before the end is there after it; the rest may be sent again."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        accepted: list[str] = []

        async def send_on() -> None:
            while True:
                accepted.append((await fleet.send("bob")).id)
                if len(accepted) == 50:
                    enough.set()

        enough = anyio.Event()
        async with anyio.create_task_group() as group:
            for _ in range(16):
                group.start_soon(send_on)
            await enough.wait()
            with anyio.fail_after(2):
                assert await fleet.terminate() == 0
            group.cancel_scope.cancel()
        await fleet.start()
        account = (await fleet.status()).account
        assert account.accepted >= len(accepted) >= 50
        assert (account.lost, account.waiting) == (0, account.accepted)


# ---- one broker per home


async def test_a_second_broker_exits_3_and_the_first_is_unaffected(home: Home) -> None:
    """[P09] DESIGN 6, T42: kept apart by the lock of the home."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        refused(await run_to_end(home), 3, "another broker", str(fleet.pid))
        assert await fleet.state_of(sent.id) == "queued"
        assert (await (await fleet.worker("bob")).opened()).mail[0].id == sent.id


async def test_after_a_kill_the_next_broker_starts_on_what_was_left(home: Home) -> None:
    """[H01] DESIGN 5.1: lock and socket of the dead are in nobody's way; accepted mail is there."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        sent = await fleet.send("bob")
        await fleet.kill()
        assert home.socket.exists()
        await fleet.start()
        assert await fleet.state_of(sent.id) == "queued"


# ---- homes

DROP_CAPABILITIES = """
import ctypes, os, sys
PR_CAPBSET_DROP = 24
for capability in range(64):
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def without_privileges() -> list[str]:
    """Give what to put before a command, so that file modes count for it also where the tests run as root."""
    if os.geteuid() != 0:
        return []
    if sys.platform != "linux":
        pytest.skip("runs as root, for whom no file is read-only")
    return [sys.executable, "-c", DROP_CAPABILITIES]


@pytest.mark.parametrize("folder", [".", "run", "secrets"])
async def test_a_home_that_others_may_write_to_is_refused(home: Home, folder: str) -> None:
    """T40, T41: mode 0777 is refused with the command that mends it."""
    home.create()
    (home.root / folder).chmod(0o777)
    refused(await run_to_end(home), 1, "denied", "chmod go-w")
    assert not home.database.exists()


async def test_a_home_whose_place_is_taken_by_a_file_is_refused(home: Home) -> None:
    """Bad input and misuse: says what is in the way."""
    home.root.write_text("in the way", encoding="utf-8")
    refused(await run_to_end(home), 1, "invalid")


async def test_a_home_whose_path_is_no_text_is_refused(home: Home) -> None:
    """Bad input and misuse: it could be told to nobody over the link."""
    strange = Home(home.root.with_name(os.fsdecode(b"h\xff")))
    refused(await run_to_end(strange), 1, "invalid", "not UTF-8")
    assert not strange.root.exists()


async def test_a_socket_whose_path_would_be_too_long_lies_elsewhere(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESIGN 4 Who may connect: a private folder in $XDG_RUNTIME_DIR, noted in the home; the same after a kill."""
    runtime = home.root.with_name("runtime")
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    deep = Home(home.root.joinpath(*["a-rather-long-name"] * 6))
    deep.root.parent.mkdir(parents=True)
    async with BrokerProcess(deep) as fleet:
        await fleet.add("bob")
        place = deep.socket
        assert place.is_relative_to(runtime)
        assert place.parent.stat().st_mode & 0o777 == 0o700
        await fleet.restart()
        assert deep.socket == place
        assert (await fleet.agent("bob")).state == "away"


@pytest.mark.parametrize("end", ["killed", "stopped"])
async def test_a_read_only_home_is_refused(home: Home, end: str) -> None:
    """Bad input and misuse: read-only home; tried as a user for whom modes count."""
    async with BrokerProcess(home) as fleet:
        await (fleet.kill() if end == "killed" else fleet.terminate())
    folders = [home.root, home.secrets, home.run, home.logs]
    for folder in folders:
        folder.chmod(0o500)
    try:
        ended = await run_to_end(home, wrapper=without_privileges())
    finally:
        for folder in folders:
            folder.chmod(0o700)
    refused(ended, 1, "unavailable", "check")


# ---- databases


async def test_a_damaged_database_is_refused_and_left_as_it_is(home: Home) -> None:
    """[P09] DESIGN 6: `quick_check` at start; the words say which file to put in its place."""
    await used(home)
    data = bytearray(home.database.read_bytes())
    for place in range(4096, len(data), 2048):
        data[place : place + 1024] = b"\xa5" * min(1024, len(data) - place)
    home.database.write_bytes(data)
    refused(await run_to_end(home), 1, "damaged", "backups/")
    assert home.database.read_bytes() == bytes(data)


async def test_a_newer_database_is_refused_and_left_as_it_is(home: Home) -> None:
    """DESIGN 6: migrations go forward only; an older program says so."""
    await used(home)
    with sqlite3.connect(home.database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = home.database.read_bytes()
    refused(await run_to_end(home), 1, "newer", "upgrade")
    assert home.database.read_bytes() == before


async def test_what_is_no_database_is_refused(home: Home) -> None:
    """Bad input and misuse: somebody else's file is neither read on nor written over."""
    home.create()
    home.database.write_text("no database at all", encoding="utf-8")
    refused(await run_to_end(home), 1, "no database")
    assert home.database.read_text(encoding="utf-8") == "no database at all"


async def used(home: Home) -> None:
    """Let a broker have run on a home, with some mail."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        for _ in range(20):
            await fleet.send("bob", "x" * 5000)
        await fleet.terminate()


# ---- settings


@pytest.mark.parametrize(
    ("text", "line"),
    [("[fleet\n", 1), ("[fleet]\nname = 5\n", 2), ("[agents.bob]\n\nbackend = 'clod'\n", 3), ("x = 1\n", 1)],
)
async def test_bad_settings_stop_the_start_by_file_and_line(home: Home, text: str, line: int) -> None:
    """DESIGN 10: exit 1, file and line; no database is made, no token written."""
    home.create()
    path = home.root / "queenpost.toml"
    path.write_text(text, encoding="utf-8")
    refused(await run_to_end(home), 1, f"{path}:{line}: ")
    assert not home.database.exists()
    assert not home.operator_secret.exists()


async def test_settings_that_are_not_there_are_named(home: Home) -> None:
    """DESIGN 10: `--config` of a file that does not exist is no empty fleet."""
    refused(await run_to_end(home, "--config", str(home.root / "nowhere.toml")), 1, "nowhere.toml")


async def test_a_conflict_of_settings_and_database_stops_the_start(home: Home) -> None:
    """DESIGN 10: the same name in both is an error, also at start; the fleet is as it was."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        await fleet.terminate()
        path = home.root / "queenpost.toml"
        path.write_text("[agents.alice]\n[agents.bob]\n", encoding="utf-8")
        refused(await run_to_end(home), 1, "conflict", "bob")
        assert not home.agent_secret("alice").exists()
        path.unlink()
        await fleet.start()
        assert [agent.name for agent in (await fleet.status()).agents] == ["bob"]


# ---- tokens


@pytest.mark.parametrize("harm", ["deleted", "emptied", "replaced", "opened to others"])
async def test_tokens_that_are_missing_or_wrong_are_renewed_at_start(home: Home, harm: str) -> None:
    """DESIGN 4 Tokens: each that is missing or does not match; the former is void, the files are private."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("alice", "bob")
        kept = fleet.token(home.agent_secret("alice"))
        await fleet.terminate()
    secrets = (home.operator_secret, home.harness_secret, home.agent_secret("bob"))
    for secret in secrets:
        match harm:
            case "deleted":
                secret.unlink()
            case "emptied":
                secret.write_text("", encoding="utf-8")
            case "replaced":
                secret.write_text("not-the-token-that-was-made\n", encoding="utf-8")
            case _:
                secret.chmod(0o644)
    async with BrokerProcess(home) as fleet:
        assert (await fleet.worker("bob")).epoch == 1
        assert fleet.token(home.agent_secret("alice")) == kept
        assert {secret.stat().st_mode & 0o777 for secret in secrets} == {0o600}
        await fleet.session("alice")


async def test_no_token_is_told_to_logs_or_arguments(home: Home) -> None:
    """T33: searched for in everything the broker wrote and in how it was called."""
    async with BrokerProcess(home) as fleet:
        await fleet.add("bob")
        await fleet.worker("bob")
        secrets = (home.operator_secret, home.harness_secret, home.agent_secret("bob"))
        tokens = [fleet.token(secret) for secret in secrets]
        wrong = await fleet.raw()
        await wrong.hello("a-token-that-is-not-one")
        tokens.append("a-token-that-is-not-one")
        await fleet.terminate()
        written = fleet.said + "".join(path.read_text(encoding="utf-8") for path in home.logs.iterdir())
        database = home.database.read_bytes()
    assert written
    assert not [token for token in tokens if token in written or token.encode() in database]
    lines = [line for path in home.logs.iterdir() for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(json.loads(line) for line in lines)


async def test_nobody_else_may_read_what_lies_in_a_home(home: Home) -> None:
    """T40: folders 0700, files 0600, whatever the umask is."""
    former = os.umask(0)
    try:
        await used(home)
    finally:
        os.umask(former)
    open_to_others = [path for path in home.root.rglob("*") if path.lstat().st_mode & 0o077 and not path.is_socket()]
    assert not open_to_others


async def test_a_client_of_a_home_without_a_broker_is_told_how_to_start_one(home: Home) -> None:
    """DESIGN 2: no broker: "start it with `queenpost up`"."""
    home.create()
    fleet = BrokerProcess(home)
    with pytest.raises(Unavailable, match="queenpost up"):
        await fleet.client(home.operator_secret).__aenter__()
