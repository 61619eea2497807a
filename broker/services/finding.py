"""Search in the bodies of messages, and the conversation that a message belongs to. Read-only, beside the writer.

What is in the index of the search is the business of `broker.services.indexing`.
"""

import json
import re
import secrets

from broker.services.callers import Caller
from broker.services.leasing import UNREADABLE, is_intact
from broker.services.views import SHOWN
from broker.store.readers import Reader
from broker.store.tx import Row
from wire.errors import Denied, Invalid, QueenpostError
from wire.escaping import escape
from wire.finding import (
    MARKS,
    THREAD_MAX,
    Hit,
    InboxFound,
    InboxSearch,
    InboxThread,
    InboxThreaded,
    ThreadMessage,
)
from wire.ids import message_id, message_number, unknown
from wire.inbox import State

WORDS_MAX = 64
THREAD_WALK = 10_000
"""Messages of a thread that are looked at, for an agent that may see few of them."""
PAGE_BYTES = 512 * 1024
"""Of one answer about a thread; a broadcast brings a state for each of its recipients."""
EXCERPT_CHARACTERS = 200

_WORD = re.compile(r'"([^"]*)("\*?|$)|([^\s"]+)')


def expression(words: str) -> str:
    """Write a person's words as an expression of the index: all of them have to be there.

    `"in quotes"` is a phrase, a star at the end stands for any ending. Nothing else has a meaning of its own.

    Raises:
        Invalid: there is no word in it, or there are too many.
    """
    found: list[str] = []
    for match in _WORD.finditer(words.replace("\0", " ")):
        text = match[3] if match[1] is None else match[1]
        open_ended = text.endswith("*") or match[2] == '"*'
        plain = text.rstrip("*")
        if any(character.isalnum() for character in plain):
            found.append(f'"{plain}"{"*" if open_ended else ""}')
    if not found:
        raise Invalid('there is no word to look for; give words, a "phrase in quotes", or the beginning of a word*')
    if len(found) > WORDS_MAX:
        raise Invalid(f"{len(found)} words are too many to look for at once; at most {WORDS_MAX}")
    return " ".join(found)


async def search(reader: Reader, caller: Caller, request: InboxSearch) -> InboxFound:
    """Find messages by words, best first. An agent finds what it sent or received.

    Raises:
        Invalid: there is nothing to look for. Unknown: there is no such agent. Denied: it is another one.
    """
    words = expression(request.words)
    name = _whose(caller, request.agent)
    if name != (request.agent or name):
        raise Denied("an agent searches only what it sent or received")
    if request.agent is not None and await reader.one("agents.agent", name=request.agent) is None:
        raise unknown("agent", request.agent)
    rows = await reader.all("finding.hits", words=words, name=name, limit=request.limit + 1)
    ids = [row["id"] for row in rows[: request.limit]]
    # Drawn for each search: no body can hold it.
    secret = secrets.token_hex(8)
    opens, closes = (f"{mark}{secret}" for mark in MARKS)
    shown = await reader.all("finding.snippets", words=words, ids=json.dumps(ids), opens=opens, closes=closes)
    hits = {row["id"]: _hit(row, secret) for row in shown}
    return InboxFound(hits=[hits[number] for number in ids if number in hits], more=len(rows) > request.limit)


def _whose(caller: Caller, agent: str | None) -> str | None:
    return caller.name if caller.kind == "agent" else agent


def _hit(row: Row, secret: str) -> Hit:
    snippet = row["snippet"].decode(errors="replace") if is_intact(row) else UNREADABLE
    pieces = re.split(f"([{''.join(MARKS)}]){secret}", snippet)
    return Hit(
        id=message_id(row["id"]),
        sender=row["sender"],
        to=row["addressed_to"],
        kind=row["kind"],
        sent_at_ms=row["sent_at"],
        snippet="".join(piece if at % 2 else escape(piece) for at, piece in enumerate(pieces)),
    )


async def thread(reader: Reader, caller: Caller, request: InboxThread) -> InboxThreaded:
    """Show a conversation from its first message on, in the order of sending. Agents: what they are party to.

    Raises:
        Unknown: no such message, or the caller neither sent nor received it: the answer is the same.
    """
    name = _whose(caller, None)
    try:
        number = message_number(request.message)
    except QueenpostError:
        raise unknown("message", request.message) from None
    if await reader.one("finding.party", message=number, name=name) is None:
        raise unknown("message", request.message)
    root = await reader.one("finding.root", message=number)
    first = root["id"] if root else number
    rows = await reader.all("finding.thread", root=first, name=name, walk=THREAD_WALK, limit=THREAD_MAX + 1)
    ids = [row["id"] for row in rows[:THREAD_MAX]]
    states = await _states(reader, name, rows, ids)
    messages, cut = _page([_message(row, states[row["id"]], set(ids)) for row in rows[:THREAD_MAX]])
    return InboxThreaded(messages=messages, more=cut or len(rows) > THREAD_MAX)


async def _states(reader: Reader, name: str | None, rows: list[Row], ids: list[int]) -> dict[int, dict[str, State]]:
    """Say where copies stand: all of them for operator and sender, a recipient's own one for that recipient."""
    senders = {row["id"]: row["sender"] for row in rows}
    states: dict[int, dict[str, State]] = {number: {} for number in ids}
    for copy in await reader.all("finding.copies", ids=json.dumps(ids)):
        if name is None or name in (copy["recipient"], senders[copy["message"]]):
            states[copy["message"]][copy["recipient"]] = SHOWN[copy["state"]]
    return states


def _message(row: Row, states: dict[str, State], seen: set[int]) -> ThreadMessage:
    body = row["body"].decode() if is_intact(row) else UNREADABLE
    return ThreadMessage(
        id=message_id(row["id"]),
        parent=message_id(row["in_reply_to"]) if row["in_reply_to"] in seen else None,
        sender=row["sender"],
        to=row["addressed_to"],
        kind=row["kind"],
        sent_at_ms=row["sent_at"],
        excerpt=" ".join(body[: 4 * EXCERPT_CHARACTERS].split())[:EXCERPT_CHARACTERS],
        states=states,
    )


def _page(messages: list[ThreadMessage]) -> tuple[list[ThreadMessage], bool]:
    size = 0
    for at, message in enumerate(messages):
        size += len(message.model_dump_json())
        if at and size > PAGE_BYTES:
            return messages[:at], True
    return messages, False
