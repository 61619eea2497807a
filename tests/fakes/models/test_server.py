"""Who talks to whom, what nobody expected, and what a brain does wrong."""

import httpx2
import pytest

from tests.fakes.models.brains import Script, ScriptOverError
from tests.fakes.models.server import ModelServer
from tests.fakes.models.speakers import SPEAKERS, Json, SpeaksAnthropic, SpeaksChat, say
from tests.fakes.models.talk import Brain, Heard, Reply

ANTHROPIC = SpeaksAnthropic()


async def test_each_prefix_is_a_conversation_of_its_own(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Ours: one server for a fleet; every API below each prefix."""
    alice = models.open("alice", lambda heard: Reply(f"alice heard {heard.prompt}"))
    bob = models.open("bob", lambda heard: Reply(f"bob heard {heard.prompt}"))
    for speaker in SPEAKERS:
        assert (await say(client, alice, speaker, speaker.user("one"))).text == "alice heard one"
        assert (await say(client, bob, speaker, speaker.user("two"))).text == "bob heard two"
    assert [heard.number for heard in bob.heard] == [1, 2, 3, 4]


async def test_what_nobody_expects_is_refused_and_kept(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Ours: that a program says nothing else can be asserted."""
    assert not models.strays
    talk = models.open("alice", Script())
    await client.get(f"{talk.url}/api/hello")
    response = await client.post(f"http://127.0.0.1:{models.port}/c/nobody/v1/messages", json={})
    assert response.status_code == 404
    assert models.strays == ["GET /c/alice/api/hello", "POST /c/nobody/v1/messages"]


async def test_who_only_looks_whether_it_is_there_is_no_stray(client: httpx2.AsyncClient) -> None:
    """Ours: Claude Code does, in some versions, before it says anything; of nobody it is told so."""
    async with ModelServer() as models:
        talk = models.open("alice", Script())
        assert [(await client.head(url)).status_code for url in (talk.url, talk.url_v1)] == [200, 200]
        assert (await client.head(f"http://127.0.0.1:{models.port}/c/nobody")).status_code == 404
        assert models.strays == ["HEAD /c/nobody"]
        assert not talk.heard


async def test_tokens_are_counted_without_asking_the_brain(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Spec of Anthropic's API."""
    talk = models.open("alice", Script())
    response = await client.post(f"{talk.url_v1}/messages/count_tokens", json={"messages": ["x" * 400]})
    assert response.json()["input_tokens"] == pytest.approx(100, abs=10)
    assert not talk.heard


async def test_a_brain_may_be_async_and_may_be_changed(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Ours."""

    async def slow(heard: Heard) -> Reply:
        return Reply(f"thought about {heard.prompt}")

    talk = models.open("alice", slow)
    assert (await say(client, talk, ANTHROPIC, ANTHROPIC.user("it"))).text == "thought about it"
    talk.brain = Script(Reply("other"))
    assert (await say(client, talk, ANTHROPIC, ANTHROPIC.user("it"))).text == "other"


async def test_a_script_that_is_over_fails_the_test(client: httpx2.AsyncClient) -> None:
    """Ours: the program is told to give up, and the error comes out where the server is left."""
    with pytest.raises(ScriptOverError, match=r"alice: there is no step for request 2 with 'more'"):
        await _ask(client, Script(Reply("first")), ANTHROPIC.user("go"), ANTHROPIC.user("more"))


async def test_a_request_that_the_fake_does_not_understand_fails_the_test(client: httpx2.AsyncClient) -> None:
    """Ours: an API that has grown is found out, not guessed at."""
    with pytest.raises(KeyError, match="toolu_unknown"):
        await _ask(client, Script(), ANTHROPIC.result(("toolu_unknown", "x", {}), "?"))


async def _ask(client: httpx2.AsyncClient, brain: Brain, *asked: Json) -> None:
    """Ask a server that is left afterwards; it tells the program not to try the last one again."""
    async with ModelServer() as models:
        url = f"{models.open('alice', brain).url_v1}/messages"
        bodies = [ANTHROPIC.body(message, stream=True, tools=()) for message in asked]
        statuses = [(await client.post(url, json=body)).status_code for body in bodies]
        assert statuses[-1] == 403


async def test_a_title_is_answered_apart(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Ours: opencode asks for one without tools, and no script has to know."""
    chat = SpeaksChat()
    talk = models.open("alice", Script(Reply("the answer")))
    system = {"role": "system", "content": "You are a title generator."}
    assert (await say(client, talk, chat, system, chat.user("go"), tools=())).text == "A title"
    assert (await say(client, talk, chat, chat.user("go"))).text == "the answer"
    assert [heard.purpose for heard in talk.asides] == ["title"]
    assert [heard.number for heard in talk.heard] == [1]


async def test_a_summary_is_answered_apart(models: ModelServer, client: httpx2.AsyncClient) -> None:
    """Ours: by what the test wants, which may be a failure."""
    talk = models.open("alice", Script())
    words = "Your task is to create a detailed summary of the conversation so far."
    assert "in short" in (await say(client, talk, ANTHROPIC, ANTHROPIC.user(words))).text
    talk.aside = Script(Reply("shorter"))
    assert (await say(client, talk, ANTHROPIC, ANTHROPIC.user(words))).text == "shorter"
    assert [(heard.purpose, heard.number) for heard in talk.asides] == [("summary", 1), ("summary", 2)]
