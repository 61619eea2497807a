"""docs/events.md can be implemented: its vectors hold, by our code and by one written from the page alone."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest

from wire.events import BadEvent, read_event, sign, verify

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
TOPIC, SECRET = re.findall(r"Topic `([^`]+)`, secret `([^`]+)`", PAGE)[0]
GOOD, BAD = (block.strip().splitlines() for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("line", GOOD)
def test_a_vector_is_read_verified_and_signed_alike(line: str) -> None:
    """[X14] Our own code agrees with the page, in both directions."""
    signed = read_event(line.encode())
    assert verify(signed, TOPIC, SECRET)
    assert sign(signed.event, TOPIC, SECRET).decode() == line


@pytest.mark.parametrize("line", GOOD)
def test_a_vector_can_be_made_from_the_page_alone(line: str) -> None:
    """[X14] What the page says, without a line of ours: sorted keys, no blanks, escapes, the bytes that are signed."""
    event = json.loads(line)
    shown = event["data"].pop("hmac_sig")
    unsigned = json.dumps(event, sort_keys=True, separators=(",", ":")).encode("ascii")
    said = b"queenpost/event/v1\0" + TOPIC.encode() + b"\0" + unsigned
    assert hmac.new(SECRET.encode(), said, hashlib.sha256).hexdigest() == shown


@pytest.mark.parametrize("line", BAD)
def test_what_the_page_calls_refused_is_refused(line: str) -> None:
    """[X15] Each for its reason."""
    try:
        signed = read_event(line.encode())
    except BadEvent:
        return
    assert not verify(signed, TOPIC, SECRET)


def test_the_page_has_vectors_of_both_kinds() -> None:
    """Ours: a page without vectors would pass."""
    assert (len(GOOD), len(BAD)) == (3, 4)


def test_no_document_tells_to_send_the_secret() -> None:
    """[X16] An earlier protocol said to put the token into the data."""
    pages = (Path(__file__).parents[2] / "docs").rglob("*.md")
    assert [page.name for page in pages if "data.auth_token" in page.read_text(encoding="utf-8")] == []
