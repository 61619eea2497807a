"""What the broker itself publishes: rows that its decisions left, said in their order. It decides nothing.

The record is the registry's; that MQTT does not take a word of it harms only who listens there.
"""

from functools import partial

import anyio

from broker.store.tx import Row, Tx
from broker.store.writer import Writer
from wire.logs import get_logger
from wire.mqtt import MqttLine
from wire.suspects import STRIKES, Suspects

AT_ONCE = 100

log = get_logger("broker")


class Posts:
    """One per bridge."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._added = anyio.Event()
        self._suspects = Suspects()

    def on_added(self) -> None:
        """Learn that there is something to publish."""
        self._added.set()

    async def run(self, line: MqttLine) -> None:
        """Publish until cancelled; a row is deleted once it was said, or behind three connections that it ended."""
        while True:
            self._added = anyio.Event()
            rows: list[Row] = await self._writer.run(_next)
            for row in rows:
                await self._say(line, row)
            if not rows:
                await self._added.wait()

    async def _say(self, line: MqttLine, row: Row) -> None:
        number = row["number"]
        if self._suspects.strikes(number) <= STRIKES:
            await self._publish(line, row)
        else:
            # Some hang up over what they forbid or do not retain: all that is heard would wait behind it.
            log.warning("job_post_given_up", topic=row["topic"], retain=bool(row["retain"]), connections=STRIKES + 1)
        await self._writer.run(partial(_said, number=number))
        self._suspects.clear(number)

    async def _publish(self, line: MqttLine, row: Row) -> None:
        is_suspect = True
        try:
            await line.publish(row["topic"], row["payload"], retain=bool(row["retain"]))
            is_suspect = False
        except anyio.get_cancelled_exc_class():
            is_suspect = line.lost.is_set()  # another task was quicker to notice
            raise
        finally:
            if is_suspect:
                self._suspects.accuse({row["number"]}, anyio.current_time())


def _next(tx: Tx) -> list[Row]:
    return tx.all("jobs.posts", limit=AT_ONCE)


def _said(tx: Tx, number: int) -> None:
    tx.run("jobs.posted", number=number)
