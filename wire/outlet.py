"""Where one principal's events leave: its outbox and its publisher, made with the first event and not before."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio

from wire.errors import QueenpostError
from wire.logs import get_logger
from wire.outbox import Outbox
from wire.publisher import Publisher
from wire.records import Records

log = get_logger("publisher")


class Outlet:
    """One per principal; `run` is its only task."""

    def __init__(self, name: str, path: Path, records: Records, make_room: Callable[[], None] | None = None) -> None:
        self._name = name
        self._path = path
        self._make_room = make_room
        """Makes the folders in which the outbox is to lie, where they may be missing."""
        self._records = records
        self._publisher: Publisher | None = None
        self._opened = anyio.Event()

    async def add(self, job: str, epoch: int, topic: str, sign: Callable[[int], bytes], retain: bool) -> int:
        """Keep an event and have it published; see `Publisher.add`."""
        return await self._open().add(job, epoch, topic, sign, retain=retain)

    async def run(self) -> None:
        """Publish until cancelled: at once what an earlier process kept, else from the first event on."""
        if os.path.exists(self._path):  # unlike Path.exists, also where the folder is not to be entered
            try:
                self._open()
            except QueenpostError as exc:  # said again to whoever publishes
                log.error("outbox_unreadable", publisher=self._name, reason=exc.message)
        await self._opened.wait()
        publisher = self._open()
        try:
            await publisher.run()
        finally:
            with suppress(QueenpostError):
                publisher.outbox.close()

    def _open(self) -> Publisher:
        if self._publisher is None:
            if self._make_room is not None:
                self._make_room()
            records = self._records
            outbox = Outbox(self._path)
            self._publisher = Publisher(self._name, outbox, records.tell, records.confirm, records.carry)
            self._opened.set()
        return self._publisher
