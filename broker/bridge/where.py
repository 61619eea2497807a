"""Where the fleet's MQTT broker is: an external one by its settings, or a child of ours; and who may use it how."""

import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal

import anyio

from broker.bridge.child import Child, Choice, choose, running
from broker.bridge.users import Credentials
from wire.errors import Invalid, Unavailable
from wire.home import Home
from wire.jobs import JobsTransported, MqttUser
from wire.mqtt_peer import Transport
from wire.private_files import read_secret
from wire.racing import first_of
from wire.settings import MqttSettings

STARTED_S = 20.0
READABLE = (
    "[mqtt] url {url} is not encrypted: {what} can be read on the way; give the MQTT broker TLS and write mqtts://"
)


class Where:
    """The one place that knows. `wanted` is set by the first job; until then nothing is started."""

    def __init__(self, home: Home, settings: MqttSettings, prefix: str, env: Mapping[str, str]) -> None:
        self._home = home
        self._settings = settings
        self._prefix = prefix
        self._env = env
        self._choice: Choice | None = None
        self._credentials: Credentials | None = None
        self._child: Child | None = None
        self.hearing = anyio.Event()
        """Set while the bridge's subscription stands."""
        self.wanted = anyio.Event()
        self._failed = anyio.Event()
        self._why = "the broker's log says why"

    @property
    def url(self) -> str:
        """Give the address."""
        return self._settings.url or f"mqtt://127.0.0.1:{self._choice.port if self._choice else 0}"

    def client_id(self, fleet: str) -> str:
        """Name the bridge there: the same over restarts, and no other fleet's, also where two have one name."""
        home = hashlib.sha256(str(self._home.root).encode()).hexdigest()[:8]
        return f"queenpost-{fleet}-{home}-bridge"

    @property
    def kind(self) -> Literal["mosquitto", "amqtt", "external", "asleep"]:
        """Say what serves; `asleep`: nothing yet, and nothing of ours was wanted."""
        if self._settings.url is not None:
            return "external"
        return self._choice.kind if self._choice else "asleep"

    def warnings(self) -> list[str]:
        """Say what is wrong with where it is, for people."""
        with suppress(Invalid):  # an address that is none is said by whoever connects
            if self._settings.url is not None and Transport(self._settings.url).readable_by_others:
                what = "events of jobs and the password" if self._settings.user else "events of jobs"
                return [READABLE.format(url=self.url, what=what)]
        return []

    @asynccontextmanager
    async def served(self) -> AsyncGenerator[None]:
        """Have an MQTT broker: started where it is ours, ended behind it.

        Raises:
            Unavailable: ours cannot be started. Denied, Invalid: the password file of an external one.
        """
        if self._settings.url is not None:
            self.transport("bridge")
            yield
            return
        self._choice, self._credentials = choose(self._home, self._settings, self._prefix, self._env)
        async with running(self._home, self._choice) as self._child:
            yield

    async def child_ends(self) -> None:
        """Wait for the end of the child; for ever where there is none."""
        if self._child is None:
            await anyio.sleep_forever()
        else:
            await self._child.ends()

    def transport(self, user: MqttUser) -> Transport:
        """Give the connection of one kind of principal.

        Raises:
            Unavailable: it is not started yet. Denied, Invalid: the password file.
        """
        settings = self._settings
        if settings.url is not None:
            password = read_secret(Path(settings.password_file)) if settings.password_file else None
            files = (settings.ca_file, settings.cert_file, settings.key_file)
            return Transport(settings.url, settings.user, password, *files)
        if self._credentials is None:
            raise Unavailable("the fleet's MQTT broker is not started yet; try again in a moment")
        return Transport(self.url, user, self._credentials.passwords[user])

    async def awake(self) -> None:
        """Have it started where it is ours, and wait a while until the bridge hears, or has failed."""
        self.wanted.set()
        with anyio.move_on_after(STARTED_S):
            if self._child is None:
                await first_of(self.hearing.wait, self._failed.wait)
            else:  # ours, which is started again at once
                await self.hearing.wait()

    def failed(self, why: str) -> None:
        """Learn that the bridge has tried and does not hear."""
        self._why = why
        self._failed.set()
        self._failed = anyio.Event()

    async def told(self, user: MqttUser) -> JobsTransported:
        """Say how a principal publishes; the first time, start the MQTT broker and wait until the bridge hears.

        An external one that is down is told of all the same: publishers keep what they say until it is recorded.

        Raises:
            Unavailable: the fleet's own does not start; with the reason.
        """
        await self.awake()
        if not self.hearing.is_set() and self._choice is None and self._settings.url is None:
            raise Unavailable(f"the fleet's MQTT broker does not start: {self._why}")
        settings = self._settings
        own = settings.url is None
        return JobsTransported(
            url=self.url,
            prefix=self._prefix,
            user=user if own else settings.user,
            password_file=str(self._home.mqtt_secret(user)) if own else settings.password_file,
            ca_file=settings.ca_file,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            kind=self._choice.kind if own and self._choice else "external",
        )
