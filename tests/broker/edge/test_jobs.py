"""The way of events: who is told of the MQTT broker, who of the link; and what is carried for whom."""

from dataclasses import replace
from typing import Any

import pytest

from tests.broker.edge.frames import error_of
from tests.fakes.broker import LocalBroker
from wire.home import Home

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

TRANSPORT = {"id": 1, "op": "jobs.transport", "user": "harness"}
SECRET_FIELDS = ("user", "password_file", "ca_file", "cert_file", "key_file")


async def told(fleet: LocalBroker, who: str, **hello: Any) -> dict[str, Any]:
    """Say hello as somebody, and ask how events are published."""
    line = await fleet.raw()
    await line.hello(fleet.token(fleet.home.secrets / who), **hello)
    return (await line.ask(TRANSPORT))["result"]


async def test_who_is_on_another_machine_is_told_of_the_link_and_of_no_password(home: Home) -> None:
    """DESIGN 4: neither user nor file of the MQTT broker; it is started for them all the same."""
    async with LocalBroker(home) as fleet:
        await fleet.add("bob")
        here = await told(fleet, "operator")
        assert (here["by_link"], here["user"]) == (False, "harness")
        for who in ("operator", "harness", "agents/bob"):
            there = await told(fleet, who, remote=True)
            assert there["by_link"] is True
            assert [there.get(name) for name in SECRET_FIELDS] == [None] * 5
            assert (there["url"], there["kind"], there["prefix"]) == (here["url"], here["kind"], here["prefix"])


async def test_so_is_another_user_of_this_machine(home: Home) -> None:
    """Ours: with [link] group; the passwords are for the user of the fleet alone."""
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        assert (await line.ask(TRANSPORT))["result"]["by_link"] is False
        end = fleet.end_of("operator")
        end.shown = replace(end.shown, uid=(end.shown.uid or 0) + 1)
        assert (await line.ask({**TRANSPORT, "id": 2}))["result"]["by_link"] is True


async def test_what_cannot_be_carried_is_refused_and_said(home: Home) -> None:
    """Ours: too long, no text of ASCII, no topic, a field too many; and an event of nobody's job."""
    good = {"op": "jobs.carry", "topic": "queenpost/home/jobs/j-1/events", "payload": "{}"}
    async with LocalBroker(home) as fleet:
        line = await fleet.raw(home.operator_secret)
        for number, (fields, code) in enumerate(
            [
                ({"payload": "x" * 65_537}, "invalid"),
                ({"payload": '{"a":"é"}'}, "invalid"),
                ({"payload": ""}, "invalid"),
                ({"payload": None}, "invalid"),
                ({"topic": ""}, "invalid"),
                ({"topic": "x" * 1025}, "invalid"),
                ({"topic": "queenpost/home/jobs/j-1"}, "invalid"),
                ({"retain": "yes"}, "invalid"),
                ({"qos": 0}, "invalid"),
                ({}, "invalid"),  # `{}` is no event
            ],
            start=1,
        ):
            assert error_of(await line.ask({**good, **fields, "id": number})) == (number, code), fields
