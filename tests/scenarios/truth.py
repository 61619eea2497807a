"""What really became of mail, read from the store itself: no word of the broker or of a harness is taken for it."""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from wire.ids import message_number

_BANNER = re.compile(r"\(redelivered, attempt (\d+): an earlier turn with (m\d+) did not finish")
_SENT = re.compile(r"<sent-(\w+)>\n(.*?)\n</sent-\1>", re.DOTALL)


class Store:
    """The database of a broker that may be running."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def wrong(self, accepted: Iterable[str]) -> list[str]:
        """Say in words what is not as it was promised, now that all of this mail should have been handled."""
        return [*self._false_acks(), *self._unhandled(accepted), *self._unfinished(), *self._doubled()]

    def already_sent(self, message: str, recipient: str) -> set[str]:
        """Give what turns that held this mail sent, all but the newest of them."""
        sql = """
            SELECT m.id FROM messages m JOIN leases l ON l.turn = m.turn JOIN deliveries d ON d.id = l.delivery
            WHERE d.message = :message AND d.recipient = :recipient
              AND l.turn < (SELECT max(k.turn) FROM leases k WHERE k.delivery = d.id)"""
        rows = self._rows(sql, message=message_number(message), recipient=recipient)
        return {f"m{row['id']}" for row in rows}

    async def has_begun(self) -> bool:
        """Say whether the model of a turn that is open is known to have begun."""
        return bool(self._rows("SELECT 1 FROM turns WHERE state = 'open' AND begun = 1"))

    def _false_acks(self) -> Iterator[str]:
        sql = """
            SELECT d.message, d.recipient FROM deliveries d LEFT JOIN turns t ON t.id = d.turn
            LEFT JOIN leases l ON l.turn = d.turn AND l.delivery = d.id
            WHERE d.state = 'acked' AND d.recipient <> 'operator'
              AND (t.state IS NOT 'closed' OR t.outcome IS NOT 'completed' OR t.agent IS NOT d.recipient
                   OR l.attempt IS NOT d.attempt)"""
        for row in self._rows(sql):
            yield f"m{row['message']} counts as handled by {row['recipient']}, and no turn with it was finished"

    def _unhandled(self, accepted: Iterable[str]) -> Iterator[str]:
        for message in accepted:
            rows = self._rows("SELECT state FROM deliveries WHERE message = :id", id=message_number(message))
            if [row["state"] for row in rows] != ["acked"]:
                yield f"{message} is {[row['state'] for row in rows] or 'nowhere'}"

    def _unfinished(self) -> Iterator[str]:
        for row in self._rows("SELECT id, agent FROM turns WHERE state <> 'closed'"):
            yield f"t{row['id']} of {row['agent']} never ended"
        for row in self._rows("SELECT message FROM deliveries WHERE state = 'leased'"):
            yield f"m{row['message']} is leased to nobody"

    def _doubled(self) -> Iterator[str]:
        """Name what was answered twice: those who answer here use a key."""
        sql = """
            SELECT sender, in_reply_to FROM messages WHERE in_reply_to IS NOT NULL
            GROUP BY sender, in_reply_to HAVING count(*) > 1"""
        for row in self._rows(sql):
            yield f"m{row['in_reply_to']} was answered twice by {row['sender']}"

    def _rows(self, sql: str, **parameters: object) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, parameters).fetchall()


def told(prompt: str, message: str) -> tuple[int, set[str]]:
    """Give what a prompt says of a message that comes again: its attempt, and what was already sent for it.

    The first attempt, of which nothing is said, is 1.
    """
    found = next((banner for banner in _BANNER.finditer(prompt) if banner[2] == message), None)
    if found is None:
        return 1, set()
    sent = _SENT.match(prompt, prompt.index("\n", found.end()) + 1)
    lines = sent[2].splitlines() if sent else []
    return int(found[1]), {line.split(" to ")[0] for line in lines}
