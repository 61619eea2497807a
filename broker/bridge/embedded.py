"""The MQTT broker where mosquitto is not installed: amqtt in a process of its own, with our users and their topics.

Started as `python -P -m broker.bridge.embedded FILE` by `broker.bridge.child`; it ends when its stdin does, so that it
never outlives the broker. What it cannot do stands in docs/mqtt.md.
"""

import hmac
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio
from amqtt.broker import Broker, BrokerContext  # pyright: ignore[reportMissingTypeStubs]
from amqtt.contexts import Action, BaseContext  # pyright: ignore[reportMissingTypeStubs]
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin  # pyright: ignore[reportMissingTypeStubs]
from amqtt.session import Session  # pyright: ignore[reportMissingTypeStubs]
from anyio import to_thread

from broker.bridge.users import RIGHTS, Access
from wire.topics import BadTopic, events_filter, job_of

MAX_CONNECTIONS = 1000


class OwnUsers(BaseAuthPlugin):
    """Let in who shows the password of its user."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        config = cast("OwnUsers.Config", self.config)  # pyright: ignore[reportUnknownMemberType]
        self._passwords: dict[str, str] = json.loads(Path(config.file).read_text(encoding="utf-8"))["passwords"]

    async def authenticate(self, *, session: Session) -> bool:
        """See amqtt: True lets the session in."""
        expected = self._passwords.get(session.username or "")
        shown = session.password or ""
        return expected is not None and hmac.compare_digest(expected.encode(), shown.encode())

    @dataclass
    class Config(BaseAuthPlugin.Config):
        """Where the passwords are."""

        file: str = ""


class OwnTopics(BaseTopicPlugin):
    """Keep every user to the topics of jobs, and to its own direction."""

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        config = cast("OwnTopics.Config", self.config)  # pyright: ignore[reportUnknownMemberType]
        self._prefix: str = json.loads(Path(config.file).read_text(encoding="utf-8"))["prefix"]

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """See amqtt: True lets it pass."""
        access: Access | None = RIGHTS.get(cast("Any", session.username)) if session is not None else None
        if access is None or topic is None:
            return False
        if action == Action.PUBLISH:
            return access != "read" and self._is_job(topic)
        reads = access != "write"
        return reads and (self._is_job(topic) or topic == events_filter(self._prefix))

    def _is_job(self, topic: str) -> bool:
        try:
            job_of(self._prefix, topic)
        except BadTopic:
            return False
        return True

    @dataclass
    class Config(BaseTopicPlugin.Config):
        """Where the prefix is."""

        file: str = ""


async def serve(file: Path) -> None:
    """Serve until stdin ends; says `ready` on stdout once it listens."""
    port = json.loads(file.read_text(encoding="utf-8"))["port"]
    mine = {"file": str(file)}
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}", "max_connections": MAX_CONNECTIONS}},
            "plugins": {f"{__spec__.name}.OwnUsers": mine, f"{__spec__.name}.OwnTopics": mine},
        }
    )
    await broker.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
    await broker.shutdown()


def main() -> None:
    """Run it; its log goes to stderr, warnings and worse."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    anyio.run(serve, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
