"""What is said to a fresh app-server before its first turn: hello, who pays, which thread."""

from typing import Any

import anyio

from harness.backends.codex import launch, outcomes
from harness.backends.codex.calls import Calls, RefusedError
from harness.backends.codex.memory import Memory
from harness.backends.codex.shapes import object_of, text_of
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from wire.greeting import program_version
from wire.logs import get_logger

GREETING_S = 60.0
"""From the start of the program to its thread, which waits for our MCP server."""

UNHEARD = ("item/agentMessage/delta", "item/plan/delta", "turn/diff/updated")
"""What would only say again, in pieces or in whole, what comes anyway."""

log = get_logger("harness")


async def greet(seat: Seat, calls: Calls, memory: Memory, key: str | None) -> str:
    """Make the program ready for a turn; gives the thread.

    Raises:
        NotStartedError: it did not come to it, and why.
        GoneError: it ended meanwhile.
    """
    try:
        with anyio.fail_after(GREETING_S):
            about = await _hello(calls)
            await _log_in(calls, key)
            thread = await _thread(seat, calls, memory)
    except RefusedError as exc:
        raise NotStartedError(outcomes.by_words(str(exc)) or "crashed", outcomes.reason_of(str(exc))) from exc
    except TimeoutError:
        raise NotStartedError(
            "missing_program", f"it was not ready within {GREETING_S:g} s; is `command` Codex?"
        ) from None
    memory.keep(text_of(object_of(thread.get("thread")).get("id")))
    if memory.id is None:
        raise NotStartedError("missing_program", "it began no thread; is `command` Codex?")
    log.info("program_ready", program=about, model=thread.get("model"), mcp="connected")
    return memory.id


async def _hello(calls: Calls) -> str:
    capabilities: dict[str, Any] = {
        "experimentalApi": True,  # what ends commands that a turn left behind
        "requestAttestation": False,
        "optOutNotificationMethods": list(UNHEARD),
    }
    client = {"name": "queenpost", "title": "Queenpost", "version": program_version()}
    answer = await calls.call("initialize", clientInfo=client, capabilities=capabilities)
    calls.note("initialized")
    return text_of(answer.get("userAgent")).partition(" ")[0]


async def _log_in(calls: Calls, key: str | None) -> None:
    """Log in with the agent's key; the program itself looks for none in its environment."""
    if key is not None:
        await calls.call("account/login/start", type="apiKey", apiKey=key)
        return
    account = await calls.call("account/read", refreshToken=False)
    if account.get("account") is None and account.get("requiresOpenaiAuth"):
        raise NotStartedError("auth", "Codex is not logged in; run `codex login`, or give the agent an API key")


async def _thread(seat: Seat, calls: Calls, memory: Memory) -> dict[str, Any]:
    asked = launch.thread_of(seat)
    if memory.id is not None:
        try:
            return await calls.call("thread/resume", threadId=memory.id, excludeTurns=True, **asked)
        except RefusedError as exc:
            if not outcomes.lost_session(str(exc)):
                raise
            log.warning("session_lost", session=memory.id)
            memory.forget()
    return await calls.call("thread/start", **asked)
