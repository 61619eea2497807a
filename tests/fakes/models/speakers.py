"""Clients as bare as can be, one for each API: they know how to ask and to read, and share no code with the fake."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from tests.fakes.models.conversation import Conversation

Json = dict[str, Any]
Tokens = tuple[int, int, int]
"""Input with what was cached, cached, output."""


@dataclass(frozen=True)
class Told:
    """What an answer says."""

    text: str
    calls: list[tuple[str, str, Json]]
    """Id, name on the wire, arguments."""
    stop: str
    tokens: Tokens


class Speaker(Protocol):
    """One API from its client's side."""

    name: str
    key_header: str
    key: str

    def path(self, *, stream: bool) -> str:
        """Where to ask."""
        ...

    def body(self, *messages: Json, stream: bool, tools: tuple[str, ...]) -> Json:
        """Ask with a history."""
        ...

    def user(self, text: str) -> Json:
        """Say something."""
        ...

    def called(self, call: tuple[str, str, Json]) -> Json:
        """Repeat a call of the model's."""
        ...

    def result(self, call: tuple[str, str, Json], text: str) -> Json:
        """Say what a call gave."""
        ...

    def told(self, events: list[Json]) -> Told:
        """Read a stream."""
        ...

    def told_whole(self, answer: Json) -> Told:
        """Read an answer that came at once."""
        ...


async def say(
    client: httpx2.AsyncClient,
    talk: Conversation,
    speaker: Speaker,
    *messages: Json,
    tools: tuple[str, ...] = ("Bash",),
) -> Told:
    """Ask for a stream and read it."""
    async with saying(client, talk, speaker, *messages, tools=tools) as response:
        assert response.status_code == 200, await response.aread()
        return speaker.told([event async for event in events_of(response)])


@asynccontextmanager
async def saying(
    client: httpx2.AsyncClient,
    talk: Conversation,
    speaker: Speaker,
    *messages: Json,
    tools: tuple[str, ...] = ("Bash",),
) -> AsyncGenerator[httpx2.Response]:
    """Ask for a stream; gives what came as soon as there are headers."""
    url = talk.url + speaker.path(stream=True)
    body = speaker.body(*messages, stream=True, tools=tools)
    async with client.stream("POST", url, json=body, headers={speaker.key_header: speaker.key}) as response:
        yield response


async def ask_whole(
    client: httpx2.AsyncClient, talk: Conversation, speaker: Speaker, *messages: Json
) -> httpx2.Response:
    """Ask for an answer at once."""
    body = speaker.body(*messages, stream=False, tools=("Bash",))
    return await client.post(talk.url + speaker.path(stream=False), json=body)


async def events_of(response: httpx2.Response) -> AsyncIterator[Json]:
    """Give the data of server-sent events; what is no JSON (`[DONE]`) ends them."""
    async for line in response.aiter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


class SpeaksAnthropic:
    name = "anthropic"
    key_header = "authorization"
    key = "Bearer k"

    def path(self, *, stream: bool) -> str:
        return "/v1/messages?beta=true"

    def body(self, *messages: Json, stream: bool, tools: tuple[str, ...]) -> Json:
        listed = [{"name": name, "input_schema": {"type": "object"}} for name in tools]
        return {
            "model": "m",
            "max_tokens": 9,
            "stream": stream,
            "messages": [*messages],
            "tools": listed,
            "system": "s",
        }

    def user(self, text: str) -> Json:
        return {"role": "user", "content": text}

    def called(self, call: tuple[str, str, Json]) -> Json:
        block = {"type": "tool_use", "id": call[0], "name": call[1], "input": call[2]}
        return {"role": "assistant", "content": [block]}

    def result(self, call: tuple[str, str, Json], text: str) -> Json:
        content = [{"type": "text", "text": text}]
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call[0], "content": content}]}

    def told(self, events: list[Json]) -> Told:
        assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
        blocks: dict[int, Json] = {}
        for event in events:
            match event:
                case {"type": "content_block_start", "index": place, "content_block": block}:
                    blocks[place] = {**block, "json": ""}
                case {"type": "content_block_delta", "index": place, "delta": {"text": text}}:
                    blocks[place]["text"] += text
                case {"type": "content_block_delta", "index": place, "delta": {"partial_json": text}}:
                    blocks[place]["json"] += text
                case _:
                    pass
        for block in blocks.values():
            if block["type"] == "tool_use":
                block["input"] = json.loads(block["json"])
        started, delta = events[0]["message"], events[-2]
        usage = {**started["usage"], **delta["usage"]}
        return self.told_whole({**started, **delta["delta"], "content": [*blocks.values()], "usage": usage})

    def told_whole(self, answer: Json) -> Told:
        blocks, usage = answer["content"], answer["usage"]
        cached = usage["cache_read_input_tokens"]
        return Told(
            "".join(block["text"] for block in blocks if block["type"] == "text"),
            [(block["id"], block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
            answer["stop_reason"],
            (usage["input_tokens"] + cached, cached, usage["output_tokens"]),
        )


class SpeaksResponses:
    name = "responses"
    key_header = "authorization"
    key = "Bearer k"

    def path(self, *, stream: bool) -> str:
        return "/v1/responses"

    def body(self, *messages: Json, stream: bool, tools: tuple[str, ...]) -> Json:
        listed = [{"type": "function", "name": name, "parameters": {"type": "object"}} for name in tools]
        return {"model": "m", "stream": stream, "input": [*messages], "tools": listed, "instructions": "s"}

    def user(self, text: str) -> Json:
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}

    def called(self, call: tuple[str, str, Json]) -> Json:
        namespace, _, name = call[1].rpartition("/")
        item: Json = {"type": "function_call", "call_id": call[0], "name": name, "arguments": json.dumps(call[2])}
        return {**item, "namespace": namespace} if namespace else item

    def result(self, call: tuple[str, str, Json], text: str) -> Json:
        return {"type": "function_call_output", "call_id": call[0], "output": text}

    def told(self, events: list[Json]) -> Told:
        assert events[0]["type"] == "response.created"
        last = events[-1]
        assert last["type"] == f"response.{last['response']['status']}"
        items = [event["item"] for event in events if event["type"] == "response.output_item.done"]
        deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
        told = self.told_whole({**last["response"], "output": items})
        assert told.text == deltas
        return told

    def told_whole(self, answer: Json) -> Told:
        usage, why = answer["usage"], answer["incomplete_details"]
        messages = [item for item in answer["output"] if item["type"] == "message"]
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        return Told(
            "".join(part["text"] for message in messages for part in message["content"]),
            [(one["call_id"], _named(one), json.loads(one["arguments"])) for one in calls],
            why["reason"] if why else answer["status"],
            (usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]),
        )


def _named(call: Json) -> str:
    return f"{call['namespace']}/{call['name']}" if "namespace" in call else call["name"]


class SpeaksChat:
    name = "chat"
    key_header = "authorization"
    key = "Bearer k"

    def path(self, *, stream: bool) -> str:
        return "/v1/chat/completions"

    def body(self, *messages: Json, stream: bool, tools: tuple[str, ...]) -> Json:
        listed = [{"type": "function", "function": {"name": name}} for name in tools]
        told = [{"role": "system", "content": "s"}, *messages]
        return {"model": "m", "stream": stream, "messages": told, **({"tools": listed} if listed else {})}

    def user(self, text: str) -> Json:
        return {"role": "user", "content": [{"type": "text", "text": text}]}

    def called(self, call: tuple[str, str, Json]) -> Json:
        function = {"name": call[1], "arguments": json.dumps(call[2])}
        return {"role": "assistant", "tool_calls": [{"id": call[0], "type": "function", "function": function}]}

    def result(self, call: tuple[str, str, Json], text: str) -> Json:
        return {"role": "tool", "tool_call_id": call[0], "content": text}

    def told(self, events: list[Json]) -> Told:
        *chunks, last = events
        deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
        calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
        assert [call["index"] for call in calls] == [*range(len(calls))]
        message = {"content": "".join(delta.get("content") or "" for delta in deltas), "tool_calls": calls}
        finish = chunks[-1]["choices"][0]["finish_reason"]
        return self.told_whole({"choices": [{"message": message, "finish_reason": finish}], "usage": last["usage"]})

    def told_whole(self, answer: Json) -> Told:
        (choice,), usage = answer["choices"], answer["usage"]
        calls = [(call["id"], call["function"]) for call in choice["message"].get("tool_calls", [])]
        return Told(
            choice["message"]["content"] or "",
            [(name, function["name"], json.loads(function["arguments"])) for name, function in calls],
            choice["finish_reason"],
            (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], usage["completion_tokens"]),
        )


class SpeaksGemini:
    name = "gemini"
    key_header = "x-goog-api-key"
    key = "k"

    def path(self, *, stream: bool) -> str:
        return f"/v1beta/models/m:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"

    def body(self, *messages: Json, stream: bool, tools: tuple[str, ...]) -> Json:
        declared = [{"functionDeclarations": [{"name": name} for name in tools]}]
        return {"contents": [*messages], "tools": declared, "systemInstruction": {"parts": [{"text": "s"}]}}

    def user(self, text: str) -> Json:
        return {"role": "user", "parts": [{"text": text}]}

    def called(self, call: tuple[str, str, Json]) -> Json:
        return {"role": "model", "parts": [{"functionCall": {"id": call[0], "name": call[1], "args": call[2]}}]}

    def result(self, call: tuple[str, str, Json], text: str) -> Json:
        answer = {"id": call[0], "name": call[1], "response": {"output": text}}
        return {"role": "user", "parts": [{"functionResponse": answer}]}

    def told(self, events: list[Json]) -> Told:
        parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
        last = events[-1]
        candidate = {**last["candidates"][0], "content": {"role": "model", "parts": parts}}
        return self.told_whole({**last, "candidates": [candidate]})

    def told_whole(self, answer: Json) -> Told:
        (candidate,), usage = answer["candidates"], answer["usageMetadata"]
        parts = candidate["content"]["parts"]
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        return Told(
            "".join(part.get("text", "") for part in parts),
            [(call["id"], call["name"], call["args"]) for call in calls],
            candidate["finishReason"],
            (usage["promptTokenCount"], usage["cachedContentTokenCount"], usage["candidatesTokenCount"]),
        )


SPEAKERS: tuple[Speaker, ...] = (SpeaksAnthropic(), SpeaksResponses(), SpeaksChat(), SpeaksGemini())
