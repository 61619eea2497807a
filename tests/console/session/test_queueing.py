"""How an idle Codex is woken: by its own command for that."""

import json
import os
import sys
from pathlib import Path

import anyio
import pytest

from console.session import queueing
from console.session.door import Said
from console.session.queueing import Queue

pytestmark = pytest.mark.anyio

STOP = Said("Stop", "s1", "None", again=False, waits=False)
PROMPT = Said("UserPromptSubmit", "s1", "None", again=False, waits=False)


def bell(script: str, *words: str) -> Queue:
    """Make the bell of a session whose program does this when it is to queue a prompt."""
    return Queue([sys.executable, "-c", script, *words], dict(os.environ))


async def test_an_idle_session_gets_a_prompt(tmp_path: Path) -> None:
    """Issue 4.10: with its id, and how much waits; while a turn runs nothing is put in."""
    noted = tmp_path / "argv.json"
    queue = bell("import json, sys; open(sys.argv[1], 'w').write(json.dumps(sys.argv[2:]))", str(noted))
    assert not queue.is_ready
    assert not await queue.ring(1), "nobody knows the session yet"
    queue.heard(STOP)
    assert queue.is_ready
    assert await queue.ring(2)
    says = "Queenpost: 2 messages wait; call recv."
    assert json.loads(noted.read_text(encoding="utf-8")) == ["queue", "--thread", "s1", "--message", says]
    queue.heard(PROMPT)
    assert not queue.is_ready


async def test_what_does_not_work_is_no_end_of_the_waking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a program that refuses, hangs, or is not there while it is brought up to date: it is tried again later."""
    for queue in (bell("exit(2)"), Queue(["/no/such/program"], dict(os.environ))):
        queue.heard(STOP)
        assert not await queue.ring(1)
        assert queue.is_ready
    monkeypatch.setattr(queueing, "QUEUED_WITHIN_S", 2.0)  # it is started by then
    hangs = bell("import time; time.sleep(600)")
    hangs.heard(STOP)
    with anyio.fail_after(15):
        assert not await hangs.ring(1)
