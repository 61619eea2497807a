"""An MQTT broker of others: what it does not allow is seen in status and probe, and nothing is lost meanwhile."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from broker.bridge import bridge, mosquitto
from tests.fakes.broker import LocalBroker, short_home
from tests.fakes.certificates import Authority
from tests.fakes.jobbing import PROGRAMS, Worker, jobbing, publishing, worker
from tests.fakes.outside import USER, Outside, needs_mosquitto
from wire.client import BrokerClient, new_key
from wire.errors import QueenpostError
from wire.home import Home
from wire.job_probe import JobsProbe, JobsProbed
from wire.jobs import (
    JobsRegister,
    JobsRegistered,
    JobsTransport,
    JobsTransported,
)
from wire.publisher import Publisher

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

WRONG = "a-wrong-one"
EVERYTHING = f"user {USER}\ntopic readwrite #\n"
NOTHING_TO_HEAR = f"user {USER}\ntopic write #\n"
NOTHING_TO_SAY = f"user {USER}\ntopic read #\n"


@pytest.fixture
def home() -> Iterator[Home]:
    """A home that is not made yet."""
    with short_home() as home:
        yield home


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an event that is not to be heard."""
    monkeypatch.setattr(bridge, "PROVEN_S", 1.0)
    monkeypatch.setattr(bridge, "PROVE_AGAIN_S", 0.2)


def fleet_with(home: Home, outside: Outside, *lines: str) -> LocalBroker:
    """Give a fleet whose events go over it."""
    home.create()
    path = home.root / "queenpost.toml"
    path.write_text("\n".join(["[mqtt]", f'url = "{outside.url()}"', *lines, ""]), encoding="utf-8")
    return LocalBroker(home, config=path)


async def warned(fleet: LocalBroker, words: str) -> str:
    """Wait until the status says something; gives the whole warning."""
    with anyio.fail_after(60):
        while True:
            for warning in (await fleet.status()).warnings:
                if words in warning:
                    return warning
            await anyio.sleep(0.01)


async def quiet(fleet: LocalBroker) -> None:
    """Wait until the status warns of nothing."""
    with anyio.fail_after(60):
        while (await fleet.status()).warnings:  # noqa: ASYNC110  # nothing announces it
            await anyio.sleep(0.01)


async def probed(fleet: LocalBroker) -> JobsProbed:
    """Probe as the doctor does."""
    return await (await fleet.operator()).call(JobsProbe(), JobsProbed, timeout_s=60)


@asynccontextmanager
async def published(client: BrokerClient, one: Worker, folder: Path) -> AsyncGenerator[Publisher]:
    """Publish the end of a job while the body runs."""

    job = one.job
    async with publishing(client, folder) as publisher:
        await publisher.add(job.id, job.epoch, one.claimed.topic, lambda seq: one.event("completed", seq), retain=True)
        yield publisher


@needs_mosquitto
async def test_tls_certificates_user_and_password_from_files(home: Home, tmp_path: Path) -> None:
    """[X17] [X22] Issue 5: by URL, with all that such a broker may ask for; a signed event there and back."""
    authority = Authority(tmp_path)
    mine = authority.sign("fleet")
    outside = Outside(
        tmp_path / "o", tls=authority.sign("localhost"), authority=authority, anonymous=False, rules=EVERYTHING
    )
    lines = [f'ca_file = "{authority.certificate}"', f'user = "{USER}"', f'password_file = "{outside.password_file()}"']
    lines += [f'cert_file = "{mine.certificate}"', f'key_file = "{mine.key}"']
    async with outside.running(), fleet_with(home, outside, *lines) as fleet:
        found = await probed(fleet)
        one = await worker(fleet)
        async with published(await fleet.operator(), one, tmp_path):
            assert (await one.until("completed")).events == 1
        await quiet(fleet)
    assert (found.kind, found.readable, found.strangers, found.user) == ("external", False, False, USER)
    assert found.heard_ms is not None
    assert (found.retained, found.resumed, found.whole) == (True, True, True)


@needs_mosquitto
async def test_a_wrong_password_is_seen_and_mended_without_a_restart(home: Home, tmp_path: Path) -> None:
    """Issue 5: wrong credentials: visible, nothing lost, and the file is read again."""
    outside = Outside(tmp_path / "o", anonymous=False, rules=EVERYTHING)
    lines = [f'user = "{USER}"', f'password_file = "{outside.password_file(WRONG)}"']
    async with outside.running(), fleet_with(home, outside, *lines) as fleet:
        one = await worker(fleet)
        async with published(await fleet.operator(), one, tmp_path) as publisher:
            warning = await warned(fleet, "does not let in user 'harness'")
            assert "see user and password_file in [mqtt]" in warning
            with pytest.raises(QueenpostError, match="does not let in user 'harness'"):
                await probed(fleet)
            with anyio.fail_after(60):
                while not publisher.trouble:  # noqa: ASYNC110  # nothing announces it
                    await anyio.sleep(0.01)
            assert "see user and password_file in [mqtt]" in publisher.trouble
            outside.password_file()
            assert (await one.until("completed")).events == 1
            await quiet(fleet)


@needs_mosquitto
@pytest.mark.parametrize("rules", [NOTHING_TO_HEAR, NOTHING_TO_SAY], ids=["nothing to hear", "nothing to say"])
async def test_rules_that_are_in_the_way_are_found_though_the_broker_says_yes(
    home: Home, tmp_path: Path, rules: str
) -> None:
    """Issue 5: no permission by ACL: mosquitto grants the subscription, takes the event, and says no word."""
    outside = Outside(tmp_path / "o", anonymous=False, rules=rules)
    lines = [f'user = "{USER}"', f'password_file = "{outside.password_file()}"']
    async with fleet_with(home, outside, *lines) as fleet:
        one = await worker(fleet)
        async with published(await fleet.operator(), one, tmp_path):
            async with outside.running():
                warning = await warned(fleet, "its own rules (ACL) have to allow it")
                assert "does not let user 'harness' publish to" in warning
                assert (await probed(fleet)).heard_ms is None
            outside.rules = EVERYTHING
            async with outside.running():
                assert (await one.until("completed")).events == 1
                await quiet(fleet)


@needs_mosquitto
async def test_one_that_is_down_at_the_start_is_waited_for(home: Home, tmp_path: Path) -> None:
    """Issue 5: MQTT broker down at start; visible, kept, and taken up by itself."""
    outside = Outside(tmp_path / "o")
    async with fleet_with(home, outside) as fleet:
        one = await worker(fleet)
        async with published(await fleet.operator(), one, tmp_path):
            assert "start it, or see [mqtt] url" in await warned(fleet, "no MQTT broker listens at localhost:")
            async with outside.running():
                assert (await one.until("completed")).events == 1
                await quiet(fleet)
                assert (await probed(fleet)).strangers


@needs_mosquitto
async def test_what_it_does_not_promise_is_found(home: Home, tmp_path: Path) -> None:
    """Issue 5: which guarantees the broker at hand gives: nothing retained, and a limit below that of an event."""
    outside = Outside(tmp_path / "o", lines=["retain_available false", "message_size_limit 10000"])
    async with outside.running(), fleet_with(home, outside) as fleet:
        found = await probed(fleet)
    assert found.heard_ms is not None
    assert (found.retained, found.whole, found.resumed, found.strangers) == (False, False, True, True)


async def test_clear_text_over_a_network_is_warned_of(home: Home) -> None:
    """[X22] Never a public default; 192.0.2.1 is nobody's (RFC 5737)."""
    home.create()
    path = home.root / "queenpost.toml"
    path.write_text('[mqtt]\nurl = "mqtt://192.0.2.1"\n', encoding="utf-8")
    async with LocalBroker(home, config=path) as fleet:
        (warning,) = (await fleet.status()).warnings
    assert warning == (
        "[mqtt] url mqtt://192.0.2.1 is not encrypted: events of jobs can be read on the way; "
        "give the MQTT broker TLS and write mqtts://"
    )


async def test_our_own_that_cannot_start_is_seen(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 5: clear error or visible state; the job is registered, and the events of its publisher wait."""
    monkeypatch.setattr(mosquitto, "PLACES", ())
    monkeypatch.setenv("PATH", str(home.root))
    home.create()
    path = home.root / "queenpost.toml"
    path.write_text('[mqtt]\nprogram = "mosquitto"\n', encoding="utf-8")
    async with LocalBroker(home, config=path) as fleet:
        operator = await fleet.operator()
        await operator.call(JobsRegister(key=new_key(), prompt="count"), JobsRegistered)
        assert "install it, or leave" in await warned(fleet, "events of jobs are not heard: mosquitto is not installed")
        with pytest.raises(QueenpostError, match="mosquitto is not installed"):
            await probed(fleet)
        with pytest.raises(QueenpostError, match="does not start: mosquitto is not installed"):
            await operator.call(JobsTransport(), JobsTransported, timeout_s=60)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_our_own_is_proven_and_nothing_of_the_proof_is_left(program: str) -> None:
    """Issue 5: `doctor` proves a signed round trip; nothing in the registry, nothing in the quarantine."""
    async with jobbing(program) as fleet:
        operator = await fleet.operator()
        asleep = await operator.call(JobsProbe(), JobsProbed)
        assert (asleep.kind, (fleet.home.mqtt_run / "process").exists()) == ("asleep", False)
        found = await operator.call(JobsProbe(start=True), JobsProbed, timeout_s=60)
        one = await worker(fleet)
        async with one.line() as line:
            await line.publish(one.claimed.topic, one.signed("completed"))
            assert (await one.until("completed")).events == 1
        assert "job_event_refused" not in fleet.said
    assert found.kind == program
    assert found.heard_ms is not None
    assert (found.retained, found.resumed, found.whole, found.strangers) == (True, True, True, False)
