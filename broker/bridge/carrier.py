"""The carrier: puts events of publishers on other machines on the bridge's line, as they are (docs/adr/0017).

It reads none of them, and keeps none: each stays in its publisher's outbox until it is recorded.
"""

import anyio

from wire.errors import Unavailable
from wire.mqtt import LineLost, MqttLine

AT_ONCE = 64
"""Events that the MQTT broker has not taken yet; the others wait for their turn, in order."""
TAKEN_WITHIN_S = 20.0

AWAY = "the fleet's broker is not connected to the MQTT broker: {0}; the event is kept where it was signed"
HUNG_UP = "the MQTT broker ended the connection while this event was on the way"
LEFT = "the fleet's broker ended its connection to the MQTT broker; the event is kept where it was signed"
SLOW = "the MQTT broker did not take the event within {0:g} s; it is kept where it was signed"


class Carrier:
    """One per bridge. `line` is set while the bridge is connected."""

    def __init__(self) -> None:
        self.line: MqttLine | None = None
        self._places = anyio.Semaphore(AT_ONCE)

    async def carry(self, topic: str, payload: bytes, retain: bool, trouble: str) -> None:
        """Publish with QoS 1; returns when the MQTT broker has it, which is no proof of anything more.

        Raises:
            Unavailable: it cannot be known to have arrived. `hung_up` in its details says that the connection ended
                over it, or over something beside it. Denied: the MQTT broker's rules refuse it.
        """
        with anyio.move_on_after(TAKEN_WITHIN_S):
            async with self._places:
                line = self.line
                if line is None:
                    raise Unavailable(AWAY.format(trouble or "it connects at this moment"))
                try:
                    await line.publish(topic, payload, retain=retain)
                except LineLost as exc:
                    raise (Unavailable(HUNG_UP, hung_up=True) if line.hung_up else Unavailable(LEFT)) from exc
                return
        raise Unavailable(SLOW.format(TAKEN_WITHIN_S))
