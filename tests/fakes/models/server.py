"""The server: one port, a conversation for each path prefix `/c/<name>`, every API below each of them.

It serves on loopback and calls nobody. What nobody expects (another path, a conversation that was not opened) is
answered 404 and kept in `strays`, so that a test can tell that a program said nothing else.
"""

import re
import socket
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import anyio
import uvicorn
from anyio.abc import TaskGroup
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from tests.fakes.models.anthropic import Anthropic, count_tokens
from tests.fakes.models.chat import Chat
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.dialect import Asked, Dialect, Json
from tests.fakes.models.gemini import Gemini
from tests.fakes.models.responses import Responses
from tests.fakes.models.sending import send_json, send_reply
from tests.fakes.models.talk import SERVER, Brain, Heard

_CONVERSATION = re.compile(r"/c/(?P<name>[^/]+)(?P<rest>/.*)?")
_COUNT = "/v1/messages/count_tokens"
_TOLD = re.compile(
    r"user-agent|anthropic-beta|(x-)?(claude-code|stainless-retry|session|conversation|codex|opencode).*"
)
"""Headers that say who asks."""
_KEYS = ("x-api-key", "x-goog-api-key", "authorization")


class ModelServer:
    """Serves while it is entered; `open` makes the model of one agent."""

    def __init__(self, servers: tuple[str, ...] = (SERVER,)) -> None:
        """`servers`: names of the MCP servers whose tools a brain may call or hear of."""
        self.strays: list[str] = []
        """Method and path of each request that nobody expected."""
        self.port = 0
        self._dialects: dict[str, Dialect] = {
            r"/v1/messages": Anthropic(),
            r"/v1/responses": Responses(),
            r"/v1/chat/completions": Chat(servers),
            r"/v1beta/models/[^/:]+:(streamG|g)enerateContent": Gemini(servers),
        }
        self._conversations: dict[str, Conversation] = {}
        self._opened: list[Conversation] = []
        self._closing = anyio.Event()
        self._server: uvicorn.Server
        self._tasks: TaskGroup

    def open(self, name: str, brain: Brain) -> Conversation:
        """Give an agent a model; the same name again begins anew. Credentials do not matter; a brain sees them."""
        found = Conversation(name, f"http://127.0.0.1:{self.port}/c/{name}", brain)
        self._conversations[name] = found
        self._opened.append(found)
        return found

    def close(self) -> None:
        """Let every answer that still thinks end without an end; leaving the server does it too."""
        self._closing.set()

    async def __aenter__(self) -> Self:
        sock = socket.create_server(("127.0.0.1", 0))
        self.port = sock.getsockname()[1]
        self._server = _Server(_config(self))
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._server.serve, [sock])
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """End every answer that still thinks, and raise what went wrong in a brain."""
        self.close()
        self._server.should_exit = True
        await self._tasks.__aexit__(None, None, None)
        for conversation in self._opened:
            conversation.close()
        trouble = [one for conversation in self._opened for one in conversation.trouble]
        if trouble and exc is None:
            raise trouble[0]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        path: str = scope["path"]
        found = _CONVERSATION.fullmatch(path)
        conversation = self._conversations.get(found["name"]) if found else None
        rest = (found["rest"] or "") if found else ""
        dialect = next((one for pattern, one in self._dialects.items() if re.fullmatch(pattern, rest)), None)
        known = request.method == "POST" and conversation is not None
        try:
            if request.method == "HEAD" and conversation is not None:
                await send_json(send, 200, {})  # Claude Code looks who is there
            elif known and rest == _COUNT:
                await send_json(send, 200, count_tokens(await request.json()))
            elif known and conversation is not None and dialect is not None:
                await self._answer(conversation, dialect, rest, request, send)
            else:
                self.strays.append(f"{request.method} {path}")
                await send_json(send, 404, {"error": {"message": "no such thing here"}})
        except ClientDisconnect:  # in the middle of its request: nobody is left to answer
            return

    async def _answer(
        self, conversation: Conversation, dialect: Dialect, path: str, request: Request, send: Send
    ) -> None:
        body: Json = await request.json()
        try:
            asked = dialect.read(body, path)
        except Exception as exc:  # noqa: BLE001  # raised again when the server is left
            conversation.trouble.append(exc)
            await send_json(send, 403, {"error": {"message": f"the fake does not understand this: {exc!r}"}})
            return
        heard = _heard(conversation, asked, request, body)
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when_gone, request.receive, group.cancel_scope)
            group.start_soon(_cancel_when_set, self._closing, group.cancel_scope)
            await send_reply(send, dialect, await conversation.answer(heard), asked)
            group.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """Uvicorn without its signal handlers: signals belong to the test."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def _config(app: ModelServer) -> uvicorn.Config:
    return uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )


def _heard(conversation: Conversation, asked: Asked, request: Request, body: Json) -> Heard:
    keys = [request.headers[name] for name in _KEYS if name in request.headers]
    return Heard(
        conversation=conversation.name,
        number=conversation.count(asked.purpose) + 1,
        model=asked.model,
        prompt=asked.prompt,
        fresh=asked.fresh,
        results=asked.results,
        notes=asked.notes,
        answers=asked.answers,
        tools=asked.tools,
        servers=asked.servers,
        system=asked.system,
        key=keys[0].removeprefix("Bearer ") if keys else "",
        headers={name: value for name, value in request.headers.items() if _TOLD.fullmatch(name)},
        purpose=asked.purpose,
        body=body,
    )


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _cancel_when_set(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
