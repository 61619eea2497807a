"""The tools of asks: ask, answer, list_my_asks, cancel_ask. None of them waits: an answer comes as mail."""

from typing import Annotated

from pydantic import Field

from mcp_tools.rendering import excerpt, instant, within_reply
from mcp_tools.tool import Arguments, Call, Tool
from wire.asks import (
    Ask,
    AskRef,
    AsksAnswer,
    AsksAnswered,
    AsksAsk,
    AsksAsked,
    AsksCancel,
    AsksCancelled,
    AsksList,
    AsksListed,
    Question,
)
from wire.client import new_key
from wire.inbox import Address


class AskArguments(Arguments):
    """Arguments of ask."""

    question: Question
    to: Address = "operator"
    options: list[str] | None = None
    multi: bool = False
    ttl_seconds: Annotated[float | None, Field(gt=0)] = None


class AnswerArguments(Arguments):
    """Arguments of answer."""

    id: AskRef
    answer: Question


class Which(Arguments):
    """The id of one ask."""

    id: AskRef


class Nothing(Arguments):
    """No arguments."""


async def ask(call: Call, arguments: AskArguments) -> str:
    """Put a question; the answer comes as mail in some later turn."""
    request = AsksAsk(
        key=new_key(),
        to=arguments.to,
        question=arguments.question,
        options=arguments.options,
        multi=arguments.multi,
        ttl_s=arguments.ttl_seconds,
    )
    asked = await call.desk.call(request, AsksAsked)
    state = "held by the storm guard" if asked.state == "held" else f"open until {instant(asked.deadline_at_ms)}"
    receipt = f"{asked.id} to {asked.to}: {state}. Do not wait: the answer comes as mail."
    return "\n".join([receipt, *(f"warning: {warning}" for warning in asked.warnings)])


async def answer(call: Call, arguments: AnswerArguments) -> str:
    """Answer an ask that was put to the caller."""
    request = AsksAnswer(key=new_key(), ask=arguments.id, answer=arguments.answer)
    answered = await call.desk.call(request, AsksAnswered)
    told = f"{answered.asker} gets it as {answered.message}" if answered.message else f"{answered.asker} has it"
    return "\n".join([f"{answered.id} is answered; {told}", *(f"warning: {one}" for one in answered.warnings)])


async def list_my_asks(call: Call, _: Nothing) -> str:
    """Show what the caller asked and what it was asked, as far as it is open."""
    mine = await call.desk.call(AsksList(), AsksListed)
    to_me = await call.desk.call(AsksList(to_me=True), AsksListed)
    lines = [f"You asked: {'' if mine.asks else 'nothing that is open'}".rstrip()]
    lines += [f"{one.id} to {one.target}, {_words(one)}" for one in mine.asks]
    if to_me.asks:
        lines.append("You were asked (use answer):")
        lines += [f"{one.id} from {one.asker}, {_words(one)}" for one in to_me.asks]
    return within_reply([*lines, *(["(there are more)"] if mine.more or to_me.more else [])])


def _words(one: Ask) -> str:
    question = "(broken: it cannot be read)" if one.broken else excerpt(one.question)
    return f"asked {instant(one.asked_at_ms)}, until {instant(one.deadline_at_ms)}: {question}"


async def cancel_ask(call: Call, arguments: Which) -> str:
    """Withdraw an ask of the caller's own."""
    cancelled = await call.desk.call(AsksCancel(key=new_key(), ask=arguments.id), AsksCancelled)
    return f"{cancelled.id} is withdrawn"


TOOLS = (
    Tool(
        "ask",
        "Ask an agent, manager or operator. Returns an id at once: do not wait, the answer comes as mail. options: "
        "answers to choose from (multi: several). ttl_seconds: a day by default, for operator 7 days, at most 30 days.",
        AskArguments,
        ask,
    ),
    Tool(
        "answer",
        'Answer an ask that was put to you (mail with ask="a3" has id a3). Only the first answer counts.',
        AnswerArguments,
        answer,
    ),
    Tool("list_my_asks", "Open asks: yours, and those put to you.", Nothing, list_my_asks, reads_only=True),
    Tool("cancel_ask", "Withdraw an ask of yours.", Which, cancel_ask),
)
