"""The tools over streamable HTTP with a real server on loopback: who gets in, and what becomes of mail."""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from mcp_tools import http, inbox
from mcp_tools.bearers import Bearers
from tests.fakes.desk import FakeDesk, letter
from tests.mcp_tools.conftest import Era
from tests.mcp_tools.fleet import MODERN
from tests.mcp_tools.reading import framed, text_of

INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "0"},
    },
}
ACCEPT = {"accept": "application/json, text/event-stream"}


@dataclass
class Served:
    """A running server with two agents and a manager."""

    alice: FakeDesk = field(default_factory=FakeDesk)
    bob: FakeDesk = field(default_factory=lambda: FakeDesk("bob"))
    boss: FakeDesk = field(default_factory=lambda: FakeDesk("boss", "manager"))
    bearers: Bearers = field(default_factory=Bearers)
    stop: anyio.Event = field(default_factory=anyio.Event)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def headers(self, desk: FakeDesk) -> dict[str, str]:
        """Give the headers of an agent's requests, under a new token."""
        return {"authorization": f"Bearer {self.bearers.issue(desk)}", **ACCEPT}

    @asynccontextmanager
    async def client(self, desk: FakeDesk, era: Era) -> AsyncGenerator[Client]:
        """Connect as an agent."""
        async with (
            httpx2.AsyncClient(headers=self.headers(desk), timeout=30) as plain,
            Client(streamable_http_client(self.url, http_client=plain), mode=era) as client,
        ):
            yield client


@pytest.fixture
async def served() -> AsyncGenerator[Served]:
    """Serve on a port of the system's choice."""
    served = Served()
    app = http.build_app(served.bearers)
    async with anyio.create_task_group() as group:
        served.port = await group.start(http.serve, app, served.stop)
        yield served
        served.stop.set()


@pytest.fixture
async def plain() -> AsyncGenerator[httpx2.AsyncClient]:
    """A client that knows nothing of MCP."""
    async with httpx2.AsyncClient(timeout=5) as client:
        yield client


async def test_tools_work_in_both_eras(served: Served, era: Era) -> None:
    """Spec."""
    served.alice.put(letter(1, "hello"))
    async with served.client(served.alice, era) as client:
        text = text_of(await client.call_tool("recv", {}))
    assert [one.body for one in framed(text)] == ["hello"]
    assert served.alice.wrote == ["m1"]
    assert not served.alice.given_back


async def test_the_role_picks_the_surface(served: Served, era: Era) -> None:
    """Spec."""
    for desk, has_it in ((served.alice, False), (served.boss, True)):
        async with served.client(desk, era) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
        assert ("list_agents" in names) is has_it


async def test_progress_is_told_while_parked(served: Served, era: Era, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec: in both eras, which is why answers are event streams."""
    monkeypatch.setattr(inbox, "PROGRESS_EVERY_S", 0.01)
    told = anyio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.set()
        served.alice.put(letter(1))

    with anyio.fail_after(10):
        async with served.client(served.alice, era) as client:
            result = await client.call_tool("recv", {"wait_seconds": 60}, progress_callback=on_progress)
    assert told.is_set()
    assert framed(text_of(result))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer"},
        {"authorization": "Basic {token}"},
        {"authorization": "{token}"},
    ],
)
async def test_without_a_good_token_nobody_gets_in(
    served: Served, plain: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    """Spec: 401."""
    token = served.bearers.issue(served.alice)
    filled = {name: value.replace("{token}", token) for name, value in headers.items()}
    response = await plain.post(served.url, json=INITIALIZE, headers={**ACCEPT, **filled})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"


async def test_two_authorization_headers_are_none(served: Served, plain: httpx2.AsyncClient) -> None:
    """Ours: which one counts must not be a matter of taste."""
    good = served.headers(served.alice)["authorization"]
    both = [("authorization", "Bearer wrong"), ("authorization", good), *ACCEPT.items()]
    assert (await plain.post(served.url, json=INITIALIZE, headers=both)).status_code == 401


async def test_a_revoked_or_replaced_token_is_void_at_once(served: Served, plain: httpx2.AsyncClient) -> None:
    """Ours."""
    old = served.headers(served.alice)
    new = served.headers(served.alice)
    assert (await plain.post(served.url, json=INITIALIZE, headers=old)).status_code == 401
    assert (await plain.post(served.url, json=INITIALIZE, headers=new)).status_code == 200
    served.bearers.revoke("alice")
    assert (await plain.post(served.url, json=INITIALIZE, headers=new)).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "localhost:{port}",
        "127.0.0.1",
        "127.0.0.1.:{port}",
        "127.0.0.1:0{port}",
        "[::1]:{port}",
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
    ],
)
async def test_another_host_is_refused(served: Served, plain: httpx2.AsyncClient, host: str) -> None:
    """Spec: exactly 127.0.0.1 and the port, or a rebound name of a browser gets in."""
    headers = {**served.headers(served.alice), "host": host.format(port=served.port)}
    assert (await plain.post(served.url, json=INITIALIZE, headers=headers)).status_code == 421


@pytest.mark.parametrize(
    ("version", "hosts", "status"),
    [("1.1", [], 400), ("1.1", ["good", "good"], 400), ("1.1", ["good", "evil.example"], 400), ("1.0", [], 421)],
)
async def test_a_host_that_is_missing_or_doubled_is_refused(
    served: Served, version: str, hosts: list[str], status: int
) -> None:
    """Spec (T28 of the threat model)."""
    good = f"127.0.0.1:{served.port}"
    lines = [f"host: {good if host == 'good' else host}" for host in hosts]
    lines.append(f"authorization: {served.headers(served.alice)['authorization']}")
    with anyio.fail_after(15):
        async with await anyio.connect_tcp("127.0.0.1", served.port) as stream:
            head = "\r\n".join([f"POST /mcp HTTP/{version}", *lines, "content-length: 0"])
            await stream.send(f"{head}\r\n\r\n".encode())
            answer = await stream.receive()
    assert answer.split(b" ")[1] == str(status).encode()


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:{port}", ""])
async def test_any_origin_is_refused(served: Served, plain: httpx2.AsyncClient, origin: str) -> None:
    """Spec: no browser is a client of ours."""
    headers = {**served.headers(served.alice), "origin": origin.format(port=served.port)}
    assert (await plain.post(served.url, json=INITIALIZE, headers=headers)).status_code == 403


@pytest.mark.parametrize("path", ["/", "/mcp/", "/mcp/x", "/healthz"])
async def test_another_path_is_not_found(served: Served, plain: httpx2.AsyncClient, path: str) -> None:
    """Spec: 404."""
    url = served.url.removesuffix("/mcp") + path
    assert (await plain.post(url, json=INITIALIZE, headers=served.headers(served.alice))).status_code == 404


async def test_a_query_is_refused(served: Served, plain: httpx2.AsyncClient) -> None:
    """Spec (T30 of the threat model): no token in an address, not even beside a good one."""
    headers = served.headers(served.alice)
    response = await plain.post(f"{served.url}?token=x", json=INITIALIZE, headers=headers)
    assert response.status_code == 400


async def test_what_a_plain_form_could_send_is_refused(served: Served, plain: httpx2.AsyncClient) -> None:
    """Spec (T27 of the threat model)."""
    headers = {**served.headers(served.alice), "content-type": "text/plain"}
    assert (await plain.post(served.url, content=b"{}", headers=headers)).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "OPTIONS", "HEAD"])
async def test_another_method_is_not_allowed(served: Served, plain: httpx2.AsyncClient, method: str) -> None:
    """Spec: 405; GET too, since we never speak unasked."""
    response = await plain.request(method, served.url, headers=served.headers(served.alice))
    assert response.status_code == 405
    assert response.headers["allow"] == "POST, DELETE"


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_oversized_body_is_refused(served: Served, plain: httpx2.AsyncClient, chunked: bool) -> None:
    """Spec: 413, before it is parsed."""
    body = b"x" * (http.MAX_BODY_BYTES + 1)

    async def pieces() -> AsyncGenerator[bytes]:
        yield body

    headers = {**served.headers(served.alice), "content-type": "application/json"}
    content = pieces() if chunked else body
    assert (await plain.post(served.url, content=content, headers=headers)).status_code == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"jsonrpc":"2.0","id":NaN}'])
async def test_a_malformed_body_costs_only_itself(served: Served, plain: httpx2.AsyncClient, body: bytes) -> None:
    """Spec: an error, and the next request is served."""
    headers = {**served.headers(served.alice), "content-type": "application/json"}
    assert (await plain.post(served.url, content=body, headers=headers)).status_code == 400
    assert (await plain.post(served.url, json=INITIALIZE, headers=headers)).status_code == 200


async def test_a_session_belongs_to_the_token_that_opened_it(served: Served, plain: httpx2.AsyncClient) -> None:
    """Spec: the bearer of this request decides, and a session of another one does not exist."""
    alice, bob = served.headers(served.alice), served.headers(served.bob)
    opened = await plain.post(served.url, json=INITIALIZE, headers=alice)
    session = {"mcp-session-id": opened.headers["mcp-session-id"]}
    ask: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
    assert (await plain.post(served.url, json=ask, headers={**bob, **session})).status_code == 404
    assert (await plain.post(served.url, json=ask, headers={**alice, **session})).status_code == 200
    renewed = served.headers(served.alice)
    assert (await plain.post(served.url, json=ask, headers={**renewed, **session})).status_code == 404


async def test_equal_request_ids_of_two_agents_do_not_meet(served: Served, era: Era) -> None:
    """Ours: both clients count their requests from 1; each gets its own mail."""
    texts: dict[str, str] = {}

    async def receive(desk: FakeDesk) -> None:
        async with served.client(desk, era) as client:
            texts[desk.agent] = text_of(await client.call_tool("recv", {"wait_seconds": 60}))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(receive, served.alice)
            group.start_soon(receive, served.bob)
            await served.alice.parked.wait()
            await served.bob.parked.wait()
            served.bob.put(letter(2, "for bob"))
            served.alice.put(letter(1, "for alice"))
    assert framed(texts["alice"])[0].body == "for alice"
    assert framed(texts["bob"])[0].body == "for bob"
    assert (served.alice.wrote, served.bob.wrote) == (["m1"], ["m2"])


async def test_a_cancelled_call_ends_the_wait(served: Served, era: Era) -> None:
    """Spec: closing the stream in one era, a notification in the other."""
    with anyio.fail_after(10):
        async with served.client(served.alice, era) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "recv", {"wait_seconds": 120})
                await served.alice.parked.wait()
                group.cancel_scope.cancel()
            await served.alice.left.wait()
    assert not served.alice.wrote


async def parking_call(served: Served, plain: httpx2.AsyncClient, era: Era) -> tuple[dict[str, Any], dict[str, str]]:
    """Give alice's recv that waits, and the headers it needs; in the older era a session is opened for it."""
    params: dict[str, Any] = {"name": "recv", "arguments": {"wait_seconds": 120}}
    headers = served.headers(served.alice)
    if era == "legacy":
        opened = await plain.post(served.url, json=INITIALIZE, headers=headers)
        headers["mcp-session-id"] = opened.headers["mcp-session-id"]
    else:
        params["_meta"] = MODERN
        headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "recv"}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}, headers


async def test_a_client_that_vanishes_ends_the_wait(served: Served, plain: httpx2.AsyncClient, era: Era) -> None:
    """Spec: the connection just ends; the SDK would park on in the older era."""
    request, headers = await parking_call(served, plain, era)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: plain.post(served.url, json=request, headers=headers, timeout=60))
            await served.alice.parked.wait()
            group.cancel_scope.cancel()
        await served.alice.left.wait()


KILLED = """
import asyncio, sys
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

async def main():
    url, token, mode = sys.argv[1:]
    async with httpx2.AsyncClient(headers={"authorization": "Bearer " + token}, timeout=60) as plain:
        async with Client(streamable_http_client(url, http_client=plain), mode=mode) as client:
            await client.call_tool("recv", {"wait_seconds": 120})

asyncio.run(main())
"""


async def test_a_killed_client_ends_the_wait(served: Served, era: Era) -> None:
    """Spec: SIGKILL, in both eras."""
    token = served.bearers.issue(served.alice)
    with anyio.fail_after(15):
        async with await anyio.open_process([sys.executable, "-c", KILLED, served.url, token, era]) as process:
            await served.alice.parked.wait()
            process.kill()
            await served.alice.left.wait()


async def test_mail_that_nobody_reads_goes_back(
    served: Served, plain: httpx2.AsyncClient, era: Era, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spec: taken, but its client left before the result could be written."""
    taken, go_on = anyio.Event(), anyio.Event()
    original = FakeDesk.recv

    async def slow_recv(self: FakeDesk, **arguments: Any) -> Any:
        received = await original(self, **arguments)
        taken.set()
        with anyio.CancelScope(shield=True):
            await go_on.wait()
        return received

    monkeypatch.setattr(FakeDesk, "recv", slow_recv)
    served.alice.put(letter(1))
    request, headers = await parking_call(served, plain, era)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: plain.post(served.url, json=request, headers=headers, timeout=60))
            await taken.wait()
            group.cancel_scope.cancel()
        await plain.post(served.url, json=INITIALIZE, headers=served.headers(served.bob))
        go_on.set()
        await served.alice.settled.wait()
    assert served.alice.given_back == ["m1"]
    assert not served.alice.wrote


async def read_and_withdraw(served: Served, plain: httpx2.AsyncClient, client: str) -> None:
    """Take mail in a session of this client, read the answer, then withdraw the call."""
    served.alice.put(letter(1))
    headers = served.headers(served.alice)
    hello = {**INITIALIZE, "params": {**INITIALIZE["params"], "clientInfo": {"name": client, "version": "1"}}}
    opened = await plain.post(served.url, json=hello, headers=headers)
    headers["mcp-session-id"] = opened.headers["mcp-session-id"]
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    params: dict[str, Any] = {"name": "recv", "arguments": {}}
    request: dict[str, Any] = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    withdrawn = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
    await plain.post(served.url, json=ready, headers=headers)
    await plain.post(served.url, json=request, headers=headers)
    assert served.alice.wrote == ["m1"]
    served.alice.settled = anyio.Event()
    await plain.post(served.url, json=withdrawn, headers=headers)
    await plain.post(
        served.url, json={**request, "id": 8, "params": {"name": "whoami", "arguments": {}}}, headers=headers
    )


async def test_a_call_that_is_cancelled_after_its_answer_gives_the_mail_back(
    served: Served, plain: httpx2.AsyncClient
) -> None:
    """Spec: the cancellation crossed the answer, so the client does not read it."""
    with anyio.fail_after(10):
        await read_and_withdraw(served, plain, "some client")
        await served.alice.settled.wait()
    assert served.alice.given_back == ["m1"]


async def test_a_client_that_withdraws_what_it_has_read_keeps_its_mail(
    served: Served, plain: httpx2.AsyncClient
) -> None:
    """[P01] Measured: opencode does so with each call; its mail would come again for ever."""
    with anyio.fail_after(10):
        await read_and_withdraw(served, plain, "opencode")
    assert served.alice.given_back == []


async def test_stop_answers_whoever_waits(served: Served, plain: httpx2.AsyncClient, era: Era) -> None:
    """Spec: a parked recv ends early, with a sentence, and the server is down."""
    request, headers = await parking_call(served, plain, era)
    texts: list[str] = []

    async def receive() -> None:
        texts.append((await plain.post(served.url, json=request, headers=headers, timeout=60)).text)

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await served.alice.parked.wait()
            served.stop.set()
    assert inbox.CLOSING in texts[0]


async def test_a_server_that_was_stopped_listens_no_more(plain: httpx2.AsyncClient) -> None:
    """Ours."""
    stop, app = anyio.Event(), http.build_app(Bearers())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(http.serve, app, stop)
            stop.set()
        with pytest.raises(httpx2.ConnectError):
            await plain.post(f"http://127.0.0.1:{app.port}/mcp")


async def test_a_cancelled_server_lets_go_of_its_port(plain: httpx2.AsyncClient) -> None:
    """Ours: whoever hosts it may also just cancel it."""
    app = http.build_app(Bearers())
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(http.serve, app, anyio.Event())
            group.cancel_scope.cancel()
        with pytest.raises(httpx2.ConnectError):
            await plain.post(f"http://127.0.0.1:{app.port}/mcp")
