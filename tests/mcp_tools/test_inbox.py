"""recv, recv_batch and send, in both protocol eras."""

from collections.abc import Callable

import anyio
import pytest
from mcp import Client

from mcp_tools import inbox
from mcp_tools.desk import Received
from mcp_tools.handover import Place
from mcp_tools.rendering import MAX_REPLY_BYTES
from mcp_tools.tool import Call
from tests.fakes.desk import FakeDesk, letter
from tests.mcp_tools.reading import framed, text_of
from wire.errors import Conflict, Denied, Full
from wire.inbox import InboxSend, InboxSent, Skipped


async def call(client: Client, tool: str, **arguments: object) -> str:
    """Call a tool that succeeds."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text_of(result)
    return text_of(result)


async def refused(client: Client, tool: str, **arguments: object) -> str:
    """Call a tool that refuses."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, text_of(result)
    return text_of(result)


async def test_recv_takes_one_message_and_counts_the_rest(client: Client, desk: FakeDesk) -> None:
    """Spec. [H02]"""
    desk.put(letter(1, "first"), letter(2), letter(3))
    text = await call(client, "recv")
    assert [one.body for one in framed(text)] == ["first"]
    assert text.endswith("(+2 more waiting: recv_batch)")
    assert desk.recvs == [(1, 0.0, None)]


@pytest.mark.parametrize("wait", [{}, {"wait_seconds": None}, {"wait_seconds": 0}])
async def test_recv_without_a_wait_returns_at_once(client: Client, desk: FakeDesk, wait: dict[str, object]) -> None:
    """Spec. [H02]"""
    assert await call(client, "recv", **wait) == "(empty)"
    assert desk.recvs == [(1, 0.0, None)]


async def test_recv_parks_until_mail_is_there(client: Client, desk: FakeDesk) -> None:
    """Spec: a sender wakes the parked reader. [H02]"""
    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(put_when_parked, desk)
            text = await call(client, "recv", wait_seconds=120)
            assert [one.attributes["id"] for one in framed(text)] == ["m1"]
    assert desk.recvs == [(1, 120.0, None)]


async def put_when_parked(desk: FakeDesk) -> None:
    """Send to whoever waits."""
    await desk.parked.wait()
    desk.put(letter(1))


async def test_a_longer_wait_is_cut_to_180_and_said(client: Client, desk: FakeDesk) -> None:
    """Spec. [H02]"""
    desk.put(letter(1))
    text = await call(client, "recv", wait_seconds=3600)
    assert text.startswith("(wait_seconds was cut to 180")
    assert desk.recvs == [(1, 180.0, None)]


async def test_a_negative_wait_is_an_error(client: Client, desk: FakeDesk) -> None:
    """Spec. [H02]"""
    assert (await refused(client, "recv", wait_seconds=-1)).startswith("invalid: wait_seconds may not be")
    assert not desk.recvs


async def test_progress_is_told_while_parked(client: Client, desk: FakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec: in both eras; it never goes back."""
    monkeypatch.setattr(inbox, "PROGRESS_EVERY_S", 0.01)
    told: list[tuple[float, float | None]] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total))
        if len(told) == 3:
            desk.put(letter(1))

    with anyio.fail_after(15):
        result = await client.call_tool("recv", {"wait_seconds": 60}, progress_callback=on_progress)
    assert framed(text_of(result))
    assert {total for _, total in told} == {60.0}
    assert [so_far for so_far, _ in told] == sorted({so_far for so_far, _ in told})


async def test_a_cancelled_recv_leaves_the_desk(client: Client, desk: FakeDesk) -> None:
    """Spec: the wait ends with the call."""
    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(cancel_when_parked, desk, group.cancel_scope)
            await call(client, "recv", wait_seconds=120)
        await desk.left.wait()


async def cancel_when_parked(desk: FakeDesk, scope: anyio.CancelScope) -> None:
    """Cancel whoever waits."""
    await desk.parked.wait()
    scope.cancel()


class CancellingDesk(FakeDesk):
    """Its mail comes in the very moment in which the call is cancelled."""

    scope: anyio.CancelScope

    async def recv(self, *, maximum: int, wait_s: float, done: str | None) -> Received:
        """See `Desk`."""
        received = await super().recv(maximum=maximum, wait_s=wait_s, done=done)
        self.scope.cancel()
        return received


@pytest.mark.parametrize("wait", [None, 60.0])
async def test_mail_that_comes_together_with_a_cancellation_goes_back(wait: float | None) -> None:
    """Spec: also what would not have fitted into the answer."""
    desk = CancellingDesk()
    desk.put(*(letter(number, "x" * 20_000) for number in (1, 2)))
    call = Call(Place(desk), 1, no_progress)
    with anyio.fail_after(15), anyio.CancelScope() as desk.scope:
        if wait is None:
            await inbox.recv_batch(call, inbox.RecvBatch())
        else:
            await inbox.recv(call, inbox.Recv(wait_seconds=wait))
    assert desk.scope.cancelled_caught
    assert sorted(mail.id for mail in desk.inbox) == ["m1", "m2"]
    assert not desk.wrote


async def no_progress(so_far_s: float, in_all_s: float) -> None:
    """Tell nobody."""


async def test_a_closing_place_ends_the_wait_with_an_answer(client: Client, desk: FakeDesk, place: Place) -> None:
    """Ours: a server that stops does not leave its callers hanging."""

    async def close_when_parked() -> None:
        await desk.parked.wait()
        place.closing.set()

    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(close_when_parked)
            assert await call(client, "recv", wait_seconds=120) == f"({inbox.CLOSING})"


async def test_done_reaches_the_desk(client: Client, desk: FakeDesk) -> None:
    """Spec: it is the desk that acks."""
    await call(client, "recv", done="m1")
    await call(client, "recv_batch", done="m2")
    assert desk.recvs == [(1, 0.0, "m1"), (10, 0.0, "m2")]


async def test_recv_batch_hands_over_32_at_most_oldest_first(client: Client, desk: FakeDesk) -> None:
    """Spec: 40 queued, 100 asked for: 32, then 8. [H04]"""
    desk.put(*(letter(number) for number in range(1, 41)))
    first, second = await call(client, "recv_batch", max=100), await call(client, "recv_batch", max=100)
    ids = [one.attributes["id"] for text in (first, second) for one in framed(text)]
    assert ids == [f"m{number}" for number in range(1, 41)]
    assert len(framed(first)) == 32
    assert first.startswith("(max was cut to 32)")
    assert first.endswith("(+8 more waiting: recv_batch)")
    assert len(desk.recvs) == 2


@pytest.mark.parametrize("wrong", [0, -3])
async def test_recv_batch_of_nothing_is_an_error(client: Client, desk: FakeDesk, wrong: int) -> None:
    """Spec: 1 to 32."""
    assert await refused(client, "recv_batch", max=wrong) == "invalid: max has to be 1 to 32"
    assert not desk.recvs


async def test_what_does_not_fit_into_a_reply_goes_back(client: Client, desk: FakeDesk, place: Place) -> None:
    """Spec: 24 KiB rendered; nothing is cut."""
    desk.put(*(letter(number, "x" * 5000) for number in range(1, 9)))
    text = await call(client, "recv_batch")
    assert [one.attributes["id"] for one in framed(text)] == ["m1", "m2", "m3", "m4"]
    assert len(text.encode()) <= MAX_REPLY_BYTES
    assert desk.given_back == ["m5", "m6", "m7", "m8"]
    assert text.endswith("(+4 more waiting: recv_batch)")


async def test_a_peek_is_marked_and_nobody_answers_for_it(client: Client, desk: FakeDesk, place: Place) -> None:
    """Spec: read-only."""
    desk.peek = True
    desk.put(letter(1, "x" * 20_000), letter(2, "x" * 20_000))
    text = await call(client, "recv_batch")
    assert text.startswith("(peek: shown, not taken")
    await place.end()
    assert not desk.given_back


async def test_send_returns_the_id(client: Client, desk: FakeDesk) -> None:
    """Spec."""
    desk.answers[InboxSend] = InboxSent(id="m5", to="bob")
    assert await call(client, "send", to="bob", body="hi", in_reply_to="m3") == "m5 to bob: queued"
    (request,) = desk.requests
    assert isinstance(request, InboxSend)
    assert (request.to, request.body, request.in_reply_to) == ("bob", "hi", "m3")


async def test_each_send_has_a_key_of_its_own_unless_it_is_given(client: Client, desk: FakeDesk) -> None:
    """Spec: the JSON-RPC id is no key, a client may send again under another one."""
    desk.answers[InboxSend] = InboxSent(id="m5", to="bob")
    for arguments in ({}, {}, {"key": "mine"}):
        await call(client, "send", to="bob", body="hi", **arguments)
    keys = [request.key for request in desk.requests if isinstance(request, InboxSend)]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


async def test_warnings_of_a_send_are_spelled_out(client: Client, desk: FakeDesk) -> None:
    """Spec. [H05]"""
    desk.answers[InboxSend] = InboxSent(id="m5", to="bob", warnings=["in_reply_to m9 was dropped"])
    text = await call(client, "send", to="bob", body="hi", in_reply_to="m9")
    assert text == "m5 to bob: queued\nwarning: in_reply_to m9 was dropped"


async def test_a_broadcast_names_who_gets_it_and_who_not(client: Client, desk: FakeDesk) -> None:
    """Spec. [H06]"""
    skipped = [Skipped(name="dave", reason="denied"), Skipped(name="eve", reason="full")]
    desk.answers[InboxSend] = InboxSent(id="m5", to="*", recipients=["bob", "carol"], skipped=skipped)
    text = await call(client, "send", to="*", body="hi")
    assert text == ("m5 to 2 agents (bob, carol): queued; not to dave: your allow-list; not to eve: its inbox is full")


async def test_a_repeated_send_says_that_it_was_not_sent_again(client: Client, desk: FakeDesk) -> None:
    """Spec."""
    desk.answers[InboxSend] = InboxSent(id="m5", to="bob", duplicate=True, state="handled")
    text = await call(client, "send", to="bob", body="hi", key="k")
    assert text == "already sent with this key, not sent again: m5 to bob: handled"


@pytest.mark.parametrize(
    "error",
    [Denied("you may not write to bob; write to your manager"), Full("the inbox of bob is full; try later")],
)
async def test_a_refused_send_says_why(client: Client, desk: FakeDesk, error: Denied | Full) -> None:
    """Spec: never a silent success. [P01]"""
    desk.answers[InboxSend] = error
    assert await refused(client, "send", to="bob", body="hi") == f"{error.code}: {error.message}"


@pytest.mark.parametrize("wait", [{}, {"wait_seconds": 60}])
async def test_a_second_taker_reads_who_has_the_agent(client: Client, desk: FakeDesk, wait: dict[str, object]) -> None:
    """Spec: `conflict`, also out of a wait."""
    desk.refusal = Conflict("an attended session works for alice; end it first")
    text = await refused(client, "recv", **wait)
    assert text == "conflict: an attended session works for alice; end it first"


ROBUST: list[tuple[str, Callable[[FakeDesk], None]]] = [
    ("recv", lambda desk: setattr(desk, "refusal", RuntimeError("secret detail"))),
    ("send", lambda desk: desk.answers.update({InboxSend: RuntimeError("secret detail")})),
]


@pytest.mark.parametrize(("tool", "breaks"), ROBUST)
async def test_a_defect_of_ours_shows_no_detail(
    client: Client, desk: FakeDesk, tool: str, breaks: Callable[[FakeDesk], None]
) -> None:
    """Spec: a stack trace never reaches a model; the log has it under the reference."""
    breaks(desk)
    arguments = {"to": "bob", "body": "hi"} if tool == "send" else {}
    text = await refused(client, tool, **arguments)
    assert text.startswith(f"internal: {tool} failed")
    assert "secret" not in text
