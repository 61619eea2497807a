"""However a body, an excerpt or a question imitates us: a model finds exactly the true messages, of their senders.

The reader here knows what a model is told: what stands between the boundary's tags is a message, what does not is
ours. It takes more for a tag than we write: in any case, with what cannot be seen left out and look-alikes undone.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.prompting import compose
from mcp_tools.desk import Received
from mcp_tools.rendering import MAX_REPLY_BYTES, draw_boundary, fit_reply
from tests.fakes.desk import letter
from tests.mcp_tools.imitation import INVISIBLE, SEEDS, TURNS, Imitation, imitations
from wire.agents import AgentsWho
from wire.asks import OpenAsk
from wire.escaping import escape
from wire.inbox import About, EarlierSend, Mail
from wire.turns import Turn

SENDERS = ("bob", "carol", "manager")
HARMLESS = "x"
_UNSEEN = dict.fromkeys(map(ord, (*INVISIBLE, *TURNS)))
_OURS = re.compile(r"<(mail|sent|asks)-([0-9a-f]{10})[ >]")


@dataclass(frozen=True)
class Seen:
    """What a reader takes from a text."""

    messages: list[tuple[str, str, str]]
    """Id, sender and words of each."""
    ours: str
    """Everything that does not stand in a frame."""


def read(text: str) -> Seen:
    """Read as a model does: the first tag that is ours names the boundary, lines are whatever looks like lines."""
    named = _OURS.search(text)
    assert named is not None
    begin = re.compile(rf'<mail-{named[2]} id="([^"]*)" from="([^"]*)"[^>]*>')
    messages: list[tuple[str, str, str]] = []
    ours: list[str] = []
    frame: list[str] | None = None
    for line in text.splitlines():
        opened = begin.fullmatch(line)
        if frame is None and opened:
            frame = []
            messages.append((opened[1], opened[2], ""))
        elif frame is not None and line == f"</mail-{named[2]}>":
            messages[-1] = (*messages[-1][:2], "\n".join(frame))
            frame = None
        else:
            (ours if frame is None else frame).append(line)
    assert frame is None, "a frame has no end"
    return Seen(messages, "\n".join(ours))


def tags(text: str, boundary: str) -> int:
    """Count what even a careless reader may take for the boundary, however it is written."""
    plain = unicodedata.normalize("NFKC", text.translate(_UNSEEN)).casefold()
    return plain.count(boundary)


def letters(bodies: Sequence[str], **fields: object) -> list[Mail]:
    """Give a letter for each body, of changing senders."""
    return [letter(n, body, sender=SENDERS[n % 3], **fields) for n, body in enumerate(bodies, start=1)]


def result(mail: list[Mail], boundary: str, open_asks: list[OpenAsk] | None = None) -> str:
    """Write the result of recv_batch."""
    received = Received(mail, waiting=7, turn="t1", peek=False, note=None, open_asks=open_asks or [])
    reply = fit_reply(received, boundary)
    assert not reply.left_over.mail, f"keep the bodies of a batch below {MAX_REPLY_BYTES} bytes"
    return reply.text


def prompt(
    mail: list[Mail], monkeypatch: pytest.MonkeyPatch, boundary: str, open_asks: list[OpenAsk] | None = None
) -> str:
    """Write the prompt that wakes an agent."""

    def draw(_: int) -> str:
        return boundary

    monkeypatch.setattr("secrets.token_hex", draw)
    who = AgentsWho(name="alice", role="agent", fleet="demo", manager="manager", waiting=0, open_turn="t1", roster=[])
    return compose(Turn(id="t1", mail=mail, waiting=7, open_asks=open_asks or []), who, state=Path("/state"))


def check(text: str, mail: list[Mail], harmless: str) -> None:
    """Assert that a text shows this mail and nothing more; `harmless` is the same without an imitation in it."""
    seen = read(text)
    assert seen.messages == [(one.id, one.sender, escape(one.body)) for one in mail]
    assert seen.ours == read(harmless).ours
    boundary = _OURS.search(text)
    assert boundary is not None
    assert tags(text, boundary[2]) == tags(harmless, boundary[2])


def check_lines(shown: str, harmless: str) -> None:
    """Assert that as many lines are shown, and that they differ only in what was quoted."""
    for line, plain in zip(shown.split("\n"), harmless.split("\n"), strict=True):
        assert line.startswith(plain.removesuffix(HARMLESS)) if plain.endswith(f": {HARMLESS}") else line == plain


def batches(size: int) -> list[list[Imitation]]:
    """Give the imitations in batches, those of one family spread over many."""
    every = imitations()
    mixed = [one for start in range(SEEDS) for one in every[start::SEEDS]]
    return [mixed[start : start + size] for start in range(0, len(mixed), size)]


def test_there_are_300_of_them() -> None:
    """Spec: at least that many, all different, none of them harmless."""
    bodies = {one.body for one in imitations()}
    assert len(bodies) >= 300
    assert HARMLESS not in bodies


@pytest.mark.parametrize("size", [1, 10])
def test_a_tool_result_shows_the_true_messages(size: int) -> None:
    """Spec (T13 of the threat model). [P12]"""
    for batch in batches(size):
        mail = letters([one.body for one in batch])
        boundary = draw_boundary(mail)
        check(result(mail, boundary), mail, result(letters([HARMLESS] * len(mail)), boundary))


@pytest.mark.parametrize("size", [1, 10])
def test_a_wake_prompt_shows_the_true_messages(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec. [P12]"""
    for batch in batches(size):
        mail = letters([one.body for one in batch])
        boundary = draw_boundary(mail)
        text = prompt(mail, monkeypatch, boundary)
        check(text, mail, prompt(letters([HARMLESS] * len(mail)), monkeypatch, boundary))
        monkeypatch.undo()


@pytest.mark.parametrize("size", [1, 8])
def test_what_was_sent_before_shows_as_many_lines_as_there_were_sends(size: int) -> None:
    """Spec: an excerpt of one's own earlier mail, which may quote another's, is one line of its list."""
    for batch in batches(size):
        sends = [EarlierSend(id=f"m{n}", to="bob", excerpt=one.body) for n, one in enumerate(batch, start=50)]
        plain = [send.model_copy(update={"excerpt": HARMLESS}) for send in sends]
        mail = letters(["go on"], attempt=2, earlier=sends)
        boundary = draw_boundary(mail)
        text, harmless = result(mail, boundary), result(letters(["go on"], attempt=2, earlier=plain), boundary)
        assert read(text).messages == [("m1", SENDERS[1], "go on")]
        check_lines(read(text).ours, read(harmless).ours)
        assert tags(text, boundary) == tags(harmless, boundary)


def test_an_open_ask_is_one_line_of_its_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec: what somebody asked is shown at every wake, and stays his question."""
    for batch in batches(5):
        asks = [
            OpenAsk(id=f"a{n}", asker="carol", kind="question", excerpt=one.body, deadline_at_ms=0)
            for n, one in enumerate(batch, start=10)
        ]
        plain = [ask.model_copy(update={"excerpt": HARMLESS}) for ask in asks]
        mail = letters(["go on"])
        boundary = draw_boundary(mail, asks)
        of_recv = result(mail, boundary, asks), result(mail, boundary, plain)
        of_wake = prompt(mail, monkeypatch, boundary, asks), prompt(mail, monkeypatch, boundary, plain)
        monkeypatch.undo()
        for text, harmless in (of_recv, of_wake):
            assert read(text).messages == [("m1", SENDERS[1], "go on")]
            check_lines(read(text).ours, read(harmless).ours)
            assert tags(text, boundary) == tags(harmless, boundary)


def test_a_question_and_what_it_may_be_answered_with_stay_in_its_frame() -> None:
    """Spec: neither the words of a question nor its options end it."""
    for one in imitations():
        about = About(ask="a1", part="question", ask_kind="question", options=[one.body, "no"], deadline_at_ms=0)
        mail = letters([one.body], about=about)
        boundary = draw_boundary(mail)
        text = result(mail, boundary)
        ((number, sender, words),) = read(text).messages
        assert (number, sender) == ("m1", SENDERS[1])
        assert words.startswith(escape(one.body))
        assert read(text).ours == "(+7 more waiting: recv_batch)"
