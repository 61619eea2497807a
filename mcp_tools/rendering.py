"""Mail as a model reads it: each message in a frame that no body can end or imitate.

The harness uses `render_mail` for its wake prompt too. What a message may cause is bounded elsewhere.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from mcp_tools.claims import job_of
from mcp_tools.desk import Received
from prompts.loader import render
from wire.asks import PERMISSION_ANSWERS, OpenAsk
from wire.escaping import escape
from wire.inbox import About, EarlierSend, Mail

MAX_REPLY_BYTES = 24 * 1024
"""Of one tool result. A single message that is longer is still handed over whole."""

EMPTY = "(empty)"
PEEK = "(peek: shown, not taken; it stays in the inbox and comes again in a turn)"
ASKED = "You were asked before and have not answered yet (use answer):"
BROADCAST = "this was a broadcast and may not need any action from you"

_BOUNDARY_BYTES = 5
"""Short, as each message pays for it twice: that no mail contains it is checked, not hoped for."""
_EARLIER_SHOWN = 8
_EXCERPT_CHARACTERS = 100
_QUESTION_CHARACTERS = 120
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9*._:/-]")


def draw_boundary(mail: Iterable[Mail], open_asks: Iterable[OpenAsk] = ()) -> str:
    """Draw the boundary of one rendering, after its mail was leased: nothing in it contains the boundary."""
    asked = [ask.excerpt for ask in open_asks]
    text = "\n".join([*(part for message in mail for part in _untrusted(message)), *asked])
    while (boundary := secrets.token_hex(_BOUNDARY_BYTES)) in text:
        pass
    return boundary


def _untrusted(message: Mail) -> list[str]:
    options = message.about.options if message.about and message.about.options else []
    return [message.body, *options, *(earlier.excerpt for earlier in message.earlier)]


def render_mail(mail: Mail, boundary: str) -> str:
    """Put one message into its frame; a message that was handed over before says so above it."""
    frame = f"<mail-{boundary}{_attributes(mail)}>\n{escape(mail.body)}{_choices(mail)}\n</mail-{boundary}>"
    return f"{_redelivery(mail, boundary)}\n{frame}" if mail.attempt > 1 else frame


def _attributes(mail: Mail) -> str:
    pairs = [("id", mail.id), ("from", mail.sender), ("kind", mail.kind), ("in_reply_to", mail.in_reply_to)]
    shown = "".join(f' {name}="{_name(value)}"' for name, value in pairs if value is not None)
    attempt = f' attempt="{mail.attempt}"' if mail.attempt > 1 else ""
    job = f' job="{_name(name)}"' if (name := job_of(mail)) else ""
    about = (_about(mail.about) if mail.about else "") + job
    return f'{shown}{about}{attempt} note="{BROADCAST}"' if mail.broadcast else f"{shown}{about}{attempt}"


def _about(about: About) -> str:
    """Say which ask a mail puts, answers or ends, or which reminder it is."""
    pairs: list[tuple[str, str]] = []
    if about.ask is not None:
        pairs.append((_PARTS[about.part or "end"], about.ask))
    if about.part == "question" and about.deadline_at_ms is not None:
        pairs.append(("until", instant(about.deadline_at_ms)))
    if about.reminder is not None:
        pairs.append(("reminder", about.reminder))
    if about.missed:
        pairs.append(("missed", str(about.missed)))
    return "".join(f' {name}="{_name(value)}"' for name, value in pairs)


_PARTS = {"question": "ask", "answer": "answer_to", "end": "end_of"}


def _choices(mail: Mail) -> str:
    """Say below a question what it may be answered with, in the words that are to come back."""
    about = mail.about
    if about is None or about.part != "question":
        return ""
    if about.ask_kind == "permission":
        return f"\n(answer with one of: {' | '.join(PERMISSION_ANSWERS)})"
    if not about.options:
        return ""
    how = "one or more of, separated by commas" if about.multi else "one of"
    return f"\n(answer with {how}: {escape(' | '.join(about.options))})"


def render_hint(mail: Iterable[Mail]) -> str:
    """Say once what is expected of somebody whose mail carries a job; nothing where none does."""
    return render("turns/job.md") if any(job_of(message) for message in mail) else ""


def _name(name: str) -> str:
    """Names and ids are safe by their patterns; a newer broker must not be able to break a frame either."""
    return _NOT_A_NAME.sub("_", name[:64])


def _redelivery(mail: Mail, boundary: str) -> str:
    banner = f"(redelivered, attempt {mail.attempt}: an earlier turn with {_name(mail.id)} did not finish"
    if not mail.earlier:
        return f"{banner}; check what is already done)"
    sends = "\n".join(_earlier(earlier) for earlier in mail.earlier[:_EARLIER_SHOWN])
    more = max(len(mail.earlier) - _EARLIER_SHOWN, 0) + mail.earlier_more
    rest = f"\n(+{more} more)" if more else ""
    return f"{banner}, but it had already sent:)\n<sent-{boundary}>\n{sends}{rest}\n</sent-{boundary}>"


def _earlier(earlier: EarlierSend) -> str:
    words = " ".join(earlier.excerpt.split())
    short = words if len(words) <= _EXCERPT_CHARACTERS else f"{words[: _EXCERPT_CHARACTERS - 1]}…"
    return f"{_name(earlier.id)} to {_name(earlier.to)}: {escape(short)}"


def render_open_asks(open_asks: Sequence[OpenAsk], boundary: str) -> str:
    """List in a frame of its own what was asked and is not answered; nothing where there is nothing."""
    if not open_asks:
        return ""
    lines = "\n".join(map(_open_ask, open_asks))
    return f"{ASKED}\n<asks-{boundary}>\n{lines}\n</asks-{boundary}>"


def _open_ask(ask: OpenAsk) -> str:
    words = f" ({' | '.join(PERMISSION_ANSWERS)})" if ask.kind == "permission" else ""
    until = instant(ask.deadline_at_ms)
    return f"{_name(ask.id)} from {_name(ask.asker)}{words}, until {until}: {excerpt(ask.excerpt)}"


def excerpt(text: str) -> str:
    """Show the beginning of what somebody wrote, on one line and without hidden characters."""
    words = " ".join(text[: _QUESTION_CHARACTERS * 4].split())
    cut = len(words) > _QUESTION_CHARACTERS or len(text) > _QUESTION_CHARACTERS * 4
    return escape(f"{words[: _QUESTION_CHARACTERS - 1]}…" if cut else words)


def instant(at_ms: int) -> str:
    """Write an instant to the minute, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


@dataclass(frozen=True)
class Reply:
    """A tool result that keeps the bound, and the mail that did not fit into it."""

    text: str
    shown: Received
    left_over: Received


def fit_reply(received: Received, boundary: str, notes: Sequence[str] = ()) -> Reply:
    """Render as many messages as one result holds, from the first on; at least one, if there is any."""
    fitting = len(received.mail)
    while len((text := _text(_first(received, fitting), boundary, notes)).encode()) > MAX_REPLY_BYTES:
        if fitting <= 1:
            break
        fitting -= 1
    left_over = replace(received, mail=received.mail[fitting:])
    return Reply(text, _first(received, fitting), left_over)


def _first(received: Received, count: int) -> Received:
    mail = received.mail[:count]
    return replace(received, mail=mail, waiting=received.waiting + len(received.mail) - len(mail))


def _text(received: Received, boundary: str, notes: Sequence[str]) -> str:
    """Write the whole result of a recv: notes, the framed mail, what still waits."""
    lines = [f"({note})" for note in (*notes, received.note) if note]
    if received.peek:
        lines.append(PEEK)
    lines += [render_mail(message, boundary) for message in received.mail] or [EMPTY]
    if not received.peek and (hint := render_hint(received.mail)):
        lines.append(f"({hint})")
    if received.open_asks:
        lines.append(render_open_asks(received.open_asks, boundary))
    if received.waiting:
        lines.append(f"(+{received.waiting} more waiting: recv_batch)")
    return "\n".join(lines)


def within_reply(lines: Iterable[str]) -> str:
    """Join lines up to the bound of a reply and say how many did not fit."""
    kept: list[str] = []
    left_out, room = 0, MAX_REPLY_BYTES - 64
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            left_out += 1
        else:
            kept.append(line)
    return "\n".join([*kept, f"(+{left_out} more)"] if left_out else kept)
