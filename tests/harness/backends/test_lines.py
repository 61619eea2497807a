"""JSON lines out of bytes."""

import pytest

from harness.backends.lines import Lines


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_come_whole_however_they_were_cut(size: int) -> None:
    """Ours: and empty ones are none."""
    data = '{"a": "ü"}\n\n \n{"b": [1]}\r\n{"c": 1}'.encode()
    lines = Lines()
    found = [one for at in range(0, len(data), size) for one in lines.feed(data[at : at + size])]
    assert found == [{"a": "ü"}, {"b": [1]}]
    assert list(lines.feed(b"\n")) == [{"c": 1}]
    assert lines.passed_over == 0


@pytest.mark.parametrize("line", [b"no json", b"[1]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"a": ', b"null"])
def test_what_is_no_object_is_passed_over(line: bytes) -> None:
    """Ours: and counted; the next line is read."""
    lines = Lines()
    assert list(lines.feed(line + b'\n{"a": 1}\n')) == [{"a": 1}]
    assert lines.passed_over == 1


def test_a_line_that_is_too_long_is_passed_over_in_pieces() -> None:
    """Ours: nothing of it is kept; one that just fits is read."""
    lines = Lines(most_bytes=20)
    pieces = [b"x" * 7, b"x" * 7, b"x" * 7, b'x\n{"a": 1}\n', b'{"a": "12345678901"}\n', b'{"a": "123456789012"}\n']
    assert [one for piece in pieces for one in lines.feed(piece)] == [{"a": 1}, {"a": "12345678901"}]
    assert lines.passed_over == 2
