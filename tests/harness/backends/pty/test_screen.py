"""The rendered screen: what programs draw, what they may not do to us, and what is new on it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.backends.pty.screen import MOST_REPLIES, MOST_SCROLLED, Screen
from harness.backends.pty.sequences import MOST_HELD, Sequences

PIECES = [
    *(
        b"\x1b[",
        b"\x1b]",
        b"\x1bP",
        b"\x1b",
        b"?",
        b";",
        b"9999",
        b"1",
        b"0",
        b">",
        b" ",
        b"$",
        b"\x07",
        b"\x1b\\",
        b"\x18",
    ),
    *(final.encode() for final in "@ABCDEFGHJKLMPSTXabcdefghlmnrsu`78"),
    *(b"\r", b"\n", b"\b", b"\t", b"\x0e", b"\x9b", b"\xff", b"text", b"2004", b"1049", b"6"),
    *(text.encode() for text in ("é", "日本", "e\u0301", "\u200d", "⚠\ufe0f", "\U0001f600")),
]


def shown(*pieces: str | bytes, columns: int = 20, rows: int = 5) -> str:
    """Give what is on a screen."""
    screen = Screen(columns, rows)
    for piece in pieces:
        screen.feed(piece if isinstance(piece, bytes) else piece.encode())
    return screen.text


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=60), st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_nothing_that_is_written_breaks_it(pieces: list[bytes], size: int) -> None:
    """Ours: and it makes no difference how the bytes are cut."""
    data = b"".join(pieces)
    whole, cut = Screen(20, 5), Screen(20, 5)
    whole.feed(data)
    for at in range(0, len(data), size):
        cut.feed(data[at : at + size])
    assert whole.text == cut.text
    assert len(whole.text.splitlines()) <= 5
    assert not [character for character in whole.text if ord(character) < 32 and character != "\n"]


@pytest.mark.parametrize("mark", ["", "?", ">", "!", "="])
def test_every_control_sequence_is_taken_with_any_numbers(mark: str) -> None:
    """Ours: each final letter, without a number, with one, with many, and with absurd ones."""
    for final in map(chr, range(0x40, 0x7F)):
        for numbers in ("", "0", "1", "5", "6", ";", "1;1", "99999", "1;2;3;4;5;6;7;8", ";;;;", "4294967296"):
            screen = Screen(20, 5)
            screen.feed(f"\x1b[{mark}{numbers}{final}".encode())
            screen.feed(b"ok")
            assert len(screen.text.splitlines()) <= 5, (mark, numbers, final)


def test_words_are_where_the_program_puts_them() -> None:
    """Ours: moves, erasing, colours, wide characters, what has no width."""
    assert shown("\x1b[31mred\x1b[0m\x1b[2;3Hthere\x1b[1;2Ho\x1b[K") == "ro\n  there"
    assert shown("日本\u200d ⚠\ufe0f e\u0301 done") == "日本 ⚠ é done"
    assert shown("ab\x1b[3bc") == "abbbbc"
    assert shown("one\ntwo".replace("\n", "\r\n"), "\x1b[1S\x1b[1;1H") == "two"
    assert shown("old", "\x1b[?1049h", "new") == "new"


def test_titles_pictures_and_what_never_ends_are_left_out() -> None:
    """Ours: nothing of them is text, and what is held back is bounded."""
    assert shown("\x1b]0;a title\x07a", "\x1bP1$q\x1b\\b", "\x1b[>4;?mc") == "abc"
    assert shown("\x1b]52;c;", "x" * 50_000, "\x1b", "\\seen") == "seen"
    assert shown("\x1b[" + "1;" * 10_000 + "Hseen").endswith("seen")
    sequences = Sequences()
    for _ in range(100):
        assert list(sequences.feed(b"\x1b]" + b"y" * MOST_HELD)) == []


def test_what_the_program_asks_its_terminal_is_answered() -> None:
    """Ours: some programs wait for it; one that only asks is answered so often."""
    screen = Screen(20, 5)
    assert screen.feed(b"ab\x1b[6n") == "\x1b[1;3R"
    assert screen.feed(b"\x1b[c") == "\x1b[?6c"
    assert len(screen.feed(b"\x1b[6n" * 1000)) <= MOST_REPLIES * 10


def test_pastes_are_taken_where_the_program_says_so() -> None:
    """Ours: until it takes it back."""
    screen = Screen(20, 5)
    assert not screen.takes_pastes
    screen.feed(b"\x1b[?25;2004h")
    assert screen.takes_pastes
    screen.feed(b"\x1b[?2004l")
    assert not screen.takes_pastes


def test_news_are_what_was_not_there_before() -> None:
    """Ours: with what scrolled away meanwhile, and without what stayed."""
    screen = Screen(20, 3)
    screen.feed(b"one\r\ntwo")
    assert screen.news() == ["one", "two"]
    assert screen.news() == []
    screen.feed(b"\r\nthree\r\nfour\r\nfive")
    assert screen.news() == ["three", "four", "five"]


def test_of_a_flood_the_newest_lines_are_kept() -> None:
    """Ours: and how many were not."""
    screen = Screen(20, 3)
    screen.feed(b"".join(b"line %d\r\n" % number for number in range(2 * MOST_SCROLLED)))
    news = screen.news()
    assert news[0] == f"[{MOST_SCROLLED - 2} lines went by too quickly]"
    assert news[-1] == f"line {2 * MOST_SCROLLED - 1}"
    assert len(news) == MOST_SCROLLED + 3
