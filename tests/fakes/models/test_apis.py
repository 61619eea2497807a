"""What holds for every API, each spoken by a bare client."""

import anyio
import httpx2
import pytest

from tests.fakes.models.brains import Script
from tests.fakes.models.server import ModelServer
from tests.fakes.models.speakers import SPEAKERS, Speaker, ask_whole, events_of, say, saying
from tests.fakes.models.talk import Failing, Reply, Tool, ToolCall, Usage

WIRE_NAMES = {
    "anthropic": ("mcp__queenpost__recv_batch", "Bash"),
    "responses": ("mcp__queenpost/recv_batch", "Bash"),
    "chat": ("queenpost_recv_batch", "Bash"),
    "gemini": ("mcp_queenpost_recv_batch", "Bash"),
}
"""How a program calls a tool of an MCP server, and one of its own."""

STOPS = {
    "anthropic": ("end_turn", "tool_use", "max_tokens", "refusal"),
    "responses": ("completed", "completed", "max_output_tokens", "content_filter"),
    "chat": ("stop", "tool_calls", "length", "content_filter"),
    "gemini": ("STOP", "STOP", "MAX_TOKENS", "PROHIBITED_CONTENT"),
}
"""For an end, for calls, for too many tokens, for a refusal."""

STATUSES: dict[Failing, tuple[int, int, int, int]] = {
    "bad_key": (401, 401, 401, 401),
    "forbidden": (403, 403, 403, 403),
    "no_model": (404, 404, 404, 404),
    "credit": (400, 429, 429, 429),
    "context": (400, 400, 400, 400),
    "rate_limit": (429, 429, 429, 429),
    "quota": (429, 429, 429, 429),
    "broken": (500, 500, 500, 500),
    "overloaded": (529, 503, 503, 503),
}
APIS = ("anthropic", "responses", "chat", "gemini")
BOTH = Reply(
    "Let me see.",
    (ToolCall(Tool("recv_batch"), {"max": 3}), ToolCall(Tool("Bash", None), {"command": "ls"})),
    Usage(input=900, cached=300, output=70),
)


async def test_an_answer_arrives_with_its_text_calls_and_usage(
    models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker
) -> None:
    """Spec of each API: what is streamed says the same as what comes at once."""
    talk = models.open("alice", Script(BOTH, BOTH))
    streamed = await say(client, talk, speaker, speaker.user("go"))
    response = await ask_whole(client, talk, speaker, speaker.user("go"))
    for told in (streamed, speaker.told_whole(response.json())):
        assert told.text == "Let me see."
        ours, own = WIRE_NAMES[speaker.name]
        assert [call[1:] for call in told.calls] == [(ours, {"max": 3}), (own, {"command": "ls"})]
        assert told.tokens == (900, 300, 70)
        assert told.stop == STOPS[speaker.name][1]
    assert len({call[0] for call in streamed.calls}) == 2


@pytest.mark.parametrize(
    ("reply", "place"), [(Reply("x"), 0), (Reply("x", stop="max_tokens"), 2), (Reply("x", stop="refusal"), 3)]
)
async def test_an_answer_says_why_it_ends(
    models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker, reply: Reply, place: int
) -> None:
    """Spec of each API."""
    talk = models.open("alice", Script(reply))
    told = await say(client, talk, speaker, speaker.user("go"))
    assert (told.text, told.stop) == ("x", STOPS[speaker.name][place])


async def test_what_a_program_says_is_heard(models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker) -> None:
    """Ours: prompt, tools by neutral names, results since the last answer, the key."""
    talk = models.open("alice", Script(Reply.calling("recv_batch"), Reply("read"), Reply("again")))
    tools = (WIRE_NAMES[speaker.name][0].rpartition("/")[2], "Bash")
    asked = speaker.user("hello")
    first = await say(client, talk, speaker, asked, tools=tools)
    call = first.calls[0]
    history = [asked, speaker.called(call), speaker.result(call, "nothing new")]
    await say(client, talk, speaker, *history, tools=tools)
    await say(client, talk, speaker, *history, speaker.user("and now?"), tools=tools)

    one, two, three = talk.heard
    assert (one.conversation, one.number, one.model, one.system) == ("alice", 1, "m", "s")
    assert one.key == "k"
    assert (one.prompt, one.fresh, one.results, one.answers) == ("hello", True, (), 0)
    assert Tool("Bash", None) in one.tools
    assert (two.prompt, two.fresh, two.number, two.answers) == ("hello", False, 2, 1)
    assert [(result.tool, result.text) for result in two.results] == [(Tool("recv_batch"), "nothing new")]
    assert two.result("recv_batch") == two.news == "nothing new"
    assert (three.prompt, three.fresh) == ("and now?", True)
    assert [result.text for result in three.results] == ["nothing new"]


@pytest.mark.parametrize("kind", STATUSES)
async def test_a_failure_has_the_status_and_the_words_of_the_api(
    models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker, kind: Failing
) -> None:
    """Spec of each API: an object `error` with a message, and how long to wait."""
    talk = models.open("alice", Script(Reply.failing(kind), Reply.failing(kind, retry_after_s=7, words="later")))
    async with saying(client, talk, speaker, speaker.user("go")) as response:
        assert response.status_code == STATUSES[kind][APIS.index(speaker.name)]
        await response.aread()
        assert len(response.json()["error"]["message"]) > 5
        assert "retry-after" not in response.headers
    response = await ask_whole(client, talk, speaker, speaker.user("go"))
    assert response.headers["retry-after"] == "7"
    assert response.json()["error"]["message"] == "later"


async def test_a_failure_may_bring_headers(models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker) -> None:
    """Ours: a subscription says in headers when it resets."""
    reset = {"anthropic-ratelimit-unified-reset": "1800000000"}
    talk = models.open("alice", Script(Reply.failing("rate_limit", headers=reset)))
    response = await ask_whole(client, talk, speaker, speaker.user("go"))
    assert response.headers["anthropic-ratelimit-unified-reset"] == "1800000000"


async def test_a_quota_says_when_it_resets(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Ours: in the headers of a Claude subscription, in the body of a ChatGPT plan, and by the day at Gemini's."""
    talk = models.open("alice", lambda _: Reply.failing("quota", resets_at_s=1_800_000_000))
    answers = {
        speaker.name: await ask_whole(client, talk, speaker, speaker.user("go"))
        for speaker in SPEAKERS
        if speaker.name != "chat"
    }
    assert answers["anthropic"].headers["anthropic-ratelimit-unified-reset"] == "1800000000"
    error = answers["responses"].json()["error"]
    assert (error["type"], error["resets_at"]) == ("usage_limit_reached", 1_800_000_000)
    (detail,) = answers["gemini"].json()["error"]["details"]
    assert "PerDay" in detail["violations"][0]["quotaId"]


async def test_a_cut_connection_is_cut_in_the_middle_of_an_answer(
    models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker
) -> None:
    """Ours: something came, the end did not."""
    talk = models.open("alice", Script(Reply.failing("disconnect"), Reply.failing("disconnect"), Reply("back")))
    async with saying(client, talk, speaker, speaker.user("go")) as response:
        assert response.status_code == 200
        with pytest.raises(httpx2.RemoteProtocolError):
            assert not [event async for event in events_of(response)], "the end is missing, so this raises"
    with pytest.raises(httpx2.RemoteProtocolError):
        await ask_whole(client, talk, speaker, speaker.user("go"))
    assert (await say(client, talk, speaker, speaker.user("go"))).text == "back"


async def test_a_model_thinks_until_the_test_lets_it_speak(
    models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker
) -> None:
    """Ours: no clock is in it; the headers are there before."""
    thought = anyio.Event()
    talk = models.open("alice", Script(Reply("done").once(thought)))
    async with saying(client, talk, speaker, speaker.user("go")) as response:
        assert (await talk.next()).prompt == "go"
        thought.set()
        assert speaker.told([event async for event in events_of(response)]).text == "done"


async def test_silence_lasts_until_the_program_leaves(
    models: ModelServer, client: httpx2.AsyncClient, speaker: Speaker
) -> None:
    """Ours: and then the server goes on."""
    talk = models.open("alice", Script(Reply.failing("silence"), Reply("here")))
    async with saying(client, talk, speaker, speaker.user("go")) as response:
        assert response.status_code == 200
    assert (await say(client, talk, speaker, speaker.user("go"))).text == "here"


async def test_leaving_the_server_ends_what_is_still_thinking(client: httpx2.AsyncClient, speaker: Speaker) -> None:
    """Ours: nothing waits for an answer that nobody will give."""
    with anyio.fail_after(15):
        async with ModelServer() as models, anyio.create_task_group() as group:
            talk = models.open("alice", Script(Reply.failing("silence")))

            async def ask() -> None:
                async with saying(client, talk, speaker, speaker.user("go")) as response:
                    with pytest.raises(httpx2.RemoteProtocolError):
                        await response.aread()

            group.start_soon(ask)
            await talk.next()
            models.close()
