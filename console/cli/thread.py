"""`queenpost thread`: the conversation that a message belongs to, as a tree."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import click

from console.cli.connecting import ask
from console.cli.options import Options, command
from console.cli.screen import bold, coloured, dim, note, one_line, print_json, terminal_width
from console.cli.times import ago, iso
from wire.clock import SystemClock
from wire.finding import InboxThread, InboxThreaded, ThreadMessage

BRANCH, LAST, PAST, NOTHING = "├── ", "└── ", "│   ", "    "
DEEPEST = 10
"""Steps of indentation that are drawn; what answers more deeply stands behind an ellipsis."""


@command("thread")
@click.argument("message", metavar="ID")
def thread(options: Options, message: str) -> None:
    """Show the conversation that message ID belongs to: what it answers, and all that answers it.

    With --as, an agent sees the messages that it sent or received.
    """
    answer = ask(options, InboxThread(message=message), InboxThreaded)
    if options.json:
        print_json([message_as_json(one) for one in answer.messages])
        return
    now_ms = SystemClock().now_ms()
    for prefix, one in tree(answer.messages):
        _print_message(prefix, one, ago(one.sent_at_ms, now_ms, absolute=options.absolute), asked=one.id == message)
    if answer.more:
        note("the conversation is longer; `queenpost thread` on one of its last messages shows no more of it")
    note("`queenpost explain ID --full` shows a whole message")


def message_as_json(message: ThreadMessage) -> dict[str, Any]:
    """Give one message of a thread; its place in the tree is its parent."""
    return {
        "id": message.id,
        "parent": message.parent,
        "sender": message.sender,
        "to": message.to,
        "kind": message.kind,
        "sent_at": iso(message.sent_at_ms),
        "excerpt": message.excerpt,
        "states": message.states,
    }


def tree(messages: list[ThreadMessage]) -> Iterator[tuple[str, ThreadMessage]]:
    """Give each message once, with what is drawn before it. Answers stand below; without a parent, a tree begins."""
    answers: dict[str | None, list[ThreadMessage]] = {}
    for message in messages:
        answers.setdefault(message.parent, []).append(message)
    unseen = {message.id: None for message in messages}
    # Behind the true starts, the rest: in a ring, which damage can make, the oldest message is one.
    for start in [*answers.get(None, []), *messages]:
        # By hand, not by recursion: a thread may be as deep as it is long.
        waiting = [("", "", start)]
        while waiting:
            lines, prefix, message = waiting.pop()
            if message.id not in unseen:
                continue
            del unseen[message.id]
            yield prefix, message
            below = answers.get(message.id, [])
            for place, answer in reversed(list(enumerate(below, start=1))):
                last = place == len(below)
                waiting.append(
                    (lines + (NOTHING if last else PAST), _shown(lines) + (LAST if last else BRANCH), answer)
                )


def _shown(lines: str) -> str:
    width = DEEPEST * len(PAST)
    return lines if len(lines) <= width else f"…{lines[-width + 1 :]}"


def _print_message(prefix: str, message: ThreadMessage, sent: str, *, asked: bool) -> None:
    name = bold(message.id) if asked else message.id
    head = f"{dim(prefix)}{name}  {message.sender} → {message.to}  {_states(message)}  {dim(sent)}"
    room = max(terminal_width() - len(click.unstyle(head)) - 2, 20)
    click.echo(f"{head}  {one_line(message.excerpt, room)}")


def _states(message: ThreadMessage) -> str:
    """Say where the copies stand: one by its state, several by how many there are of each."""
    if not message.states:
        return dim("gone")
    words = [_word(recipient, state) for recipient, state in message.states.items()]
    if len(words) == 1:
        return coloured(next(iter(message.states.values())), words[0])
    return ", ".join(f"{number} {word}" for word, number in sorted(Counter(words).items()))


def _word(recipient: str, state: str) -> str:
    if recipient == "operator" and state in {"queued", "handled"}:
        return "unread" if state == "queued" else "read"
    return state.replace("_", " ")
