"""Raw MQTT, as the examples of paho use it: a thread for each client, over an MQTT broker that nobody else uses.

That is of the same program and configuration as the fleet's own.
"""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Event as Happened
from time import perf_counter
from typing import Any

from anyio import to_thread
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from broker.bridge.child import choose, running
from wire.home import Home
from wire.settings import MqttSettings

PATIENCE_S = 30.0


class Raw:
    """Two clients of an MQTT broker that nobody else uses."""

    def __init__(self, name: str, topic: str, make: Callable[[], Client]) -> None:
        self.name = name
        self._topic = topic
        self._make = make
        self._came = Happened()
        self._speaker, self._hearer = make(), make()

    @contextmanager
    def opened(self) -> Generator[None]:
        """Connect both, and subscribe."""
        subscribed = Happened()

        def on_connect(client: Client, *_: Any) -> None:
            client.subscribe(self._topic, qos=1)

        def on_subscribe(*_: Any) -> None:
            subscribed.set()

        self._hearer.on_connect, self._hearer.on_subscribe = on_connect, on_subscribe
        self._hearer.on_message = self._on_message
        for client in (self._hearer, self._speaker):
            client.loop_start()
        try:
            assert subscribed.wait(PATIENCE_S), "the raw subscriber got no answer"
            yield
        finally:
            for client in (self._hearer, self._speaker):
                client.disconnect()
                client.loop_stop()

    def one(self, payload: bytes) -> float:
        """Publish; gives how long it took until the other client had it."""
        self._came.clear()
        started = perf_counter()
        self._speaker.publish(self._topic, payload, qos=1)
        assert self._came.wait(PATIENCE_S), "a raw message was lost"
        return perf_counter() - started

    def connection_each(self, payload: bytes, seconds: float) -> float:
        """Connect, publish, wait for the acknowledgement, disconnect, again and again; gives how many a second."""
        started, count = perf_counter(), 0
        while perf_counter() - started < seconds:
            client = self._make()
            client.loop_start()
            client.publish(self._topic, payload, qos=1).wait_for_publish(PATIENCE_S)
            client.disconnect()
            client.loop_stop()
            count += 1
        return count / (perf_counter() - started)

    def _on_message(self, _client: Client, _userdata: Any, _message: MQTTMessage) -> None:
        self._came.set()


@asynccontextmanager
async def raw_mqtt(name: str, root: Path, topic: str) -> AsyncGenerator[Raw]:
    """Start an MQTT broker as the product does, with a user who may hear and say."""
    home = Home(root)
    home.create()
    prefix, _, _, _ = topic.rsplit("/", 3)  # <prefix>/jobs/<job>/events
    choice, credentials = choose(home, MqttSettings.model_validate({"program": name}), prefix, {})

    def make() -> Client:
        client = Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("bridge", credentials.passwords["bridge"])
        client.connect("127.0.0.1", choice.port)
        return client

    async with running(home, choice):
        raw = await to_thread.run_sync(Raw, name, topic, make)
        with raw.opened():
            yield raw
