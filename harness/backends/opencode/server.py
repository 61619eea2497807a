"""The HTTP API of `opencode serve`, as much of it as a turn needs. It knows no turns."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from harness.backends.lines import Lines
from harness.backends.opencode.launch import USER
from harness.backends.opencode.outcomes import words_of
from harness.backends.opencode.rules import SERVER, Rule
from harness.backends.opencode.shapes import object_of
from wire.logs import get_logger

CALL_S = 30.0
FIRST_CALL_S = 90.0
"""The first call makes the program load everything, and connect to its MCP servers."""
WORDS_CHARACTERS = 300

log = get_logger("harness")


class RefusedError(Exception):
    """The program answered, but not with what was asked for."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        self.status = status
        self.error = error
        super().__init__(f"it answered {status}: {words_of(error)[:WORDS_CHARACTERS]}")


class Server:
    """One running server, with the password in its hand. Every call may raise `RefusedError` or `httpx2.HTTPError`."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._lacking: set[str] = set()
        """Other MCP servers that were named already because they are not attached."""

    async def tools_status(self) -> str:
        """Say how our MCP server is attached: `connected`, or what it is instead. Others are named once if not."""
        servers = await self._call("GET", "/mcp", within_s=FIRST_CALL_S)
        for name, other in servers.items():
            status, error = (str(object_of(other).get(part) or "") for part in ("status", "error"))
            if name not in self._lacking and name != SERVER and status not in ("connected", "disabled"):
                self._lacking.add(name)
                log.warning("mcp_server_missing", server=name, reason=error or status)
        found = object_of(servers.get(SERVER))
        error = found.get("error")
        return f"{found.get('status', 'missing')}{f' ({error})' if error else ''}"

    async def begin(self, title: str, rules: list[Rule]) -> str:
        """Begin a session, and give its id. The title is ours: otherwise a model would be asked for one."""
        body = {"title": title, "permission": [rule.told() for rule in rules]}
        return str((await self._call("POST", "/session", body))["id"])

    async def resume(self, session: str, rules: list[Rule]) -> bool:
        """Go on with a session under these rules; False where the program does not know it."""
        told = [rule.told() for rule in rules]
        try:
            found = await self._call("GET", f"/session/{session}")
        except RefusedError as exc:
            if exc.status in (400, 404):
                return False
            raise
        if not _ends_with(found.get("permission"), told):  # what is sent is added to what it has: the last one counts
            await self._call("PATCH", f"/session/{session}", {"permission": told})
        return True

    async def default_model(self) -> dict[str, str] | None:
        """Give the model of the configuration; a session that is resumed would go on with the one it had."""
        provider, slash, model = str((await self._call("GET", "/config")).get("model") or "").partition("/")
        return {"providerID": provider, "modelID": model} if slash else None

    async def prompt(self, session: str, text: str, model: dict[str, str] | None) -> dict[str, Any]:
        """Say something in a session, and give the last answer once the program has nothing more to do there.

        Where it is at work already, it takes the words in at its next step, and all that wait get the same answer.
        """
        body = {"parts": [{"type": "text", "text": text}], **({"model": model} if model else {})}
        answer = await self._call("POST", f"/session/{session}/message", body, within_s=None)
        return object_of(answer.get("info"))

    async def compact(self, session: str, model: dict[str, str] | None) -> None:
        """Have the history of a session made a summary; whether that succeeded is said by events only."""
        if model is None:
            found = object_of((await self._call("GET", f"/session/{session}")).get("model"))
            model = {"providerID": str(found.get("providerID") or ""), "modelID": str(found.get("id") or "")}
        await self._call("POST", f"/session/{session}/summarize", {**model, "auto": False}, within_s=None)

    async def abort(self, session: str) -> None:
        """Have the program stop what it does in a session."""
        await self._call("POST", f"/session/{session}/abort")

    async def answer(self, permission: str, reply: str, why: str = "") -> None:
        """Answer what it asks. A refusal without a reason would end the turn in the middle."""
        body = {"reply": reply, **({"message": why} if why else {})}
        await self._call("POST", f"/permission/{permission}/reply", body)

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncIterator[dict[str, Any]]]:
        """Hear everything that happens in any session from now on, until the server is gone."""
        timeout = httpx2.Timeout(CALL_S, read=None)
        async with self._http.stream("GET", "/event", timeout=timeout) as response:
            if not response.is_success:
                await response.aread()
                raise RefusedError(response.status_code, _answer(response))
            yield _events(response)

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, within_s: float | None = CALL_S
    ) -> dict[str, Any]:
        response = await self._http.request(method, path, json=body, timeout=httpx2.Timeout(CALL_S, read=within_s))
        answer = _answer(response)
        if not response.is_success:
            raise RefusedError(response.status_code, answer)
        return answer


@asynccontextmanager
async def reach(url: str, password: str) -> AsyncGenerator[Server]:
    """Speak to a server on loopback; no proxy of the environment is in between."""
    async with httpx2.AsyncClient(base_url=url, auth=(USER, password), trust_env=False) as http:
        yield Server(http)


def _ends_with(rules: object, wanted: list[dict[str, str]]) -> bool:
    return isinstance(rules, list) and rules[-len(wanted) :] == wanted


def _answer(response: httpx2.Response) -> dict[str, Any]:
    try:
        return object_of(response.json())
    except ValueError:
        return {}


async def _events(response: httpx2.Response) -> AsyncIterator[dict[str, Any]]:
    lines = Lines(prefix=b"data:")
    async for data in response.aiter_bytes():
        for event in lines.feed(data):
            yield event
