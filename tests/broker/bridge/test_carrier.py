"""The carrier: what it says of an event that the MQTT broker has, has not, or may have; in order, and bounded."""

from dataclasses import dataclass, field
from typing import Any, cast

import anyio
import pytest

from broker.bridge import carrier as module
from broker.bridge.carrier import Carrier
from wire.errors import Denied, Unavailable
from wire.mqtt import LineLost, MqttLine

pytestmark = pytest.mark.anyio


@dataclass
class Line:
    """The bridge's line, as a test wants it."""

    taken: list[tuple[str, bytes, bool]] = field(default_factory=list[Any])
    fails: Exception | None = None
    hung_up: bool = True
    gate: anyio.Event = field(default_factory=anyio.Event)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """See `MqttLine`. Waits for the gate."""
        self.taken.append((topic, payload, retain))
        await self.gate.wait()
        if self.fails is not None:
            raise self.fails


def carrier_on(line: Line | None) -> Carrier:
    """Give a carrier whose bridge is connected, or is not."""
    carrier = Carrier()
    carrier.line = cast("MqttLine | None", line)
    return carrier


async def test_it_answers_when_the_mqtt_broker_has_it() -> None:
    """Ours: as it is, retained where that was asked for."""
    line = Line()
    carrier = carrier_on(line)
    done = anyio.Event()

    async def carry() -> None:
        await carrier.carry("t", b"{}", True, "")
        done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(carry)
        await anyio.wait_all_tasks_blocked()
        assert line.taken == [("t", b"{}", True)]
        assert not done.is_set()
        line.gate.set()
    assert done.is_set()


async def test_without_a_connection_the_trouble_of_the_bridge_is_said() -> None:
    """Ours: in words; a bridge that has just begun has none yet."""
    with pytest.raises(Unavailable, match="start it, or see"):
        await carrier_on(None).carry("t", b"{}", False, "no MQTT broker listens; start it, or see url")
    with pytest.raises(Unavailable, match="it connects at this moment"):
        await carrier_on(None).carry("t", b"{}", False, "")


async def test_a_connection_that_ends_over_an_event_is_told_apart() -> None:
    """Ours: its publisher suspects the event then, and not where our link was lost. A rule of MQTT is said as it is."""
    line = Line(fails=LineLost("gone"))
    line.gate.set()
    with pytest.raises(Unavailable) as caught:
        await carrier_on(line).carry("t", b"{}", False, "")
    assert caught.value.details == {"hung_up": True}
    line.hung_up = False  # closed by the bridge, which stops
    with pytest.raises(Unavailable) as caught:
        await carrier_on(line).carry("t", b"{}", False, "")
    assert caught.value.details == {}
    line.fails = Denied("its own rules")
    with pytest.raises(Denied, match="its own rules"):
        await carrier_on(line).carry("t", b"{}", False, "")


async def test_an_mqtt_broker_that_answers_nothing_holds_nobody_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a bound in time; what was refused then may have arrived, which does no harm."""
    monkeypatch.setattr(module, "TAKEN_WITHIN_S", 0.01)
    with pytest.raises(Unavailable, match="did not take the event within") as caught:
        await carrier_on(Line()).carry("t", b"{}", False, "")
    assert caught.value.details == {}


async def test_few_are_in_flight_and_none_overtakes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a job may take its events in growing order only."""
    monkeypatch.setattr(module, "AT_ONCE", 4)
    line = Line()
    carrier = carrier_on(line)
    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(carrier.carry, "t", str(number).encode(), False, "")
        await anyio.wait_all_tasks_blocked()
        assert len(line.taken) == 4
        line.gate.set()
    assert [int(payload) for _, payload, _ in line.taken] == list(range(30))
