"""Asks for people and scripts: put a question, list what is open, answer, withdraw."""

import shlex
from typing import Any

import click

from console.cli.connecting import OPERATOR, converse
from console.cli.connecting import ask as ask_broker
from console.cli.inbox import body_of
from console.cli.options import Options, command
from console.cli.screen import coloured, note, one_line, print_json, print_table, terminal_width, warn
from console.cli.times import ago, iso
from wire.asks import (
    Ask,
    AsksAnswer,
    AsksAnswered,
    AsksAsk,
    AsksAsked,
    AsksCancel,
    AsksCancelled,
    AsksList,
    AsksListed,
)
from wire.client import BrokerClient, new_key
from wire.clock import SystemClock

PAGE = 1000
BROKEN = "[broken: does not match its checksum; withdraw it with --cancel]"


@command("ask")
@click.argument("to")
@click.argument("question")
@click.option("--option", "choices", multiple=True, metavar="TEXT", help="Something to choose from; repeat it.")
@click.option("--multi", is_flag=True, help="Several options may be chosen.")
@click.option("--ttl", "ttl_s", type=click.FloatRange(0, min_open=True), metavar="S", help="Seconds it stays open.")
@click.option("--key", help="Name of this ask: repeated with the same key, it is put once.")
def ask(
    options: Options,
    to: str,
    question: str,
    choices: tuple[str, ...],
    multi: bool,
    ttl_s: float | None,
    key: str | None,
) -> None:
    """Put QUESTION to an agent, to manager or, with --as NAME, to operator. QUESTION - reads stdin.

    It stays open for a day, for the operator 7 days, at most 30. The answer comes as mail: `queenpost inbox`.
    """
    request = AsksAsk(
        to=to,
        question=body_of(question),
        options=list(choices) or None,
        multi=multi,
        ttl_s=ttl_s,
        key=key or new_key(),
    )
    asked = ask_broker(options, request, AsksAsked)
    if options.json:
        print_json(asked_as_json(asked))
        return
    until = ago(asked.deadline_at_ms, SystemClock().now_ms(), absolute=options.absolute)
    click.echo(f"{asked.id} to {asked.to}: {coloured(asked.state)}, closes {until}")
    for warning in asked.warnings:
        warn(warning)


def asked_as_json(asked: AsksAsked) -> dict[str, Any]:
    """Give the receipt of an ask in its stable shape."""
    return {
        "id": asked.id,
        "to": asked.to,
        "state": asked.state,
        "deadline_at": iso(asked.deadline_at_ms),
        "warnings": asked.warnings,
    }


@command("asks")
@click.option("--cancel", multiple=True, metavar="ID...", help="Withdraw these instead of listing.")
@click.option("--agent", metavar="NAME", help="Only what this agent asked or was asked.")
@click.option("--to-me", is_flag=True, help="Only what waits for your answer, or for that of --as NAME.")
@click.option("--all", "ended", is_flag=True, help="List also what was answered, cancelled or expired.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="List no more than this.")
def asks(options: Options, cancel: tuple[str, ...], agent: str | None, to_me: bool, ended: bool, limit: int) -> None:
    """List open asks: all of them, or with --as NAME those that it put. `queenpost answer ID TEXT` answers one."""
    if cancel:
        _withdraw(options, cancel)
        return
    wanted = AsksList(agent=agent, to_me=to_me, all=ended)
    found, more = converse(options, lambda client: _pages(client, wanted, limit))
    if options.json:
        print_json([ask_as_json(one) for one in found])
        return
    _print_asks(options, found)
    if not found and options.as_ and not to_me:
        note(f"`queenpost asks --as {options.as_} --to-me` lists what waits for its answer")
    if more:
        note(f"there is more; --limit {limit * 10} shows it")


def _withdraw(options: Options, ids: tuple[str, ...]) -> None:
    async def talk(client: BrokerClient) -> list[str]:
        return [(await client.call(AsksCancel(ask=one, key=new_key()), AsksCancelled)).id for one in ids]

    withdrawn = converse(options, talk)
    if options.json:
        print_json({"ids": withdrawn})
    else:
        click.echo(f"withdrawn: {', '.join(withdrawn)}")


async def _pages(client: BrokerClient, wanted: AsksList, limit: int) -> tuple[list[Ask], bool]:
    found: list[Ask] = []
    more = True
    while more and len(found) < limit:
        after = found[-1].id if found else None
        size = min(limit - len(found), PAGE)
        page = await client.call(wanted.model_copy(update={"after": after, "limit": size}), AsksListed)
        # A page may be short of its limit: the broker counts bytes too.
        found, more = found + page.asks, page.more and bool(page.asks)
    return found, more


def ask_as_json(one: Ask) -> dict[str, Any]:
    """Give one ask in its stable shape."""
    return {
        "id": one.id,
        "kind": one.kind,
        "asker": one.asker,
        "target": one.target,
        "question": one.question,
        "options": one.options,
        "state": one.state,
        "asked_at": iso(one.asked_at_ms),
        "deadline_at": iso(one.deadline_at_ms),
        "answer": one.answer,
    }


def _print_asks(options: Options, found: list[Ask]) -> None:
    if not found:
        click.echo("no asks")
        return
    now_ms = SystemClock().now_ms()
    rows = [
        [
            one.id,
            one.asker,
            one.target,
            ago(one.asked_at_ms, now_ms, absolute=options.absolute),
            _state_words(one, now_ms, absolute=options.absolute),
            _words(one),
        ]
        for one in found
    ]
    print_table(["ID", "FROM", "TO", "ASKED", "STATE", "QUESTION"], rows)
    mine = next((one for one in found if _waits_for(one, options.as_ or OPERATOR)), None)
    if mine is not None:
        note(f"`queenpost{_as(options)} answer {mine.id} {_example(mine)}` answers the first of yours")


def _waits_for(one: Ask, name: str) -> bool:
    return one.state == "open" and one.target == name and not one.broken


def _as(options: Options) -> str:
    return f" --as {shlex.quote(options.as_)}" if options.as_ else ""


def _example(one: Ask) -> str:
    if one.kind == "permission":
        return "allow|always|deny"
    return shlex.quote(one_line(one.options[0], 60)) if one.options else "TEXT"


def _state_words(one: Ask, now_ms: int, *, absolute: bool) -> str:
    if one.state == "open":
        kind = "permission" if one.kind == "permission" else "open"
        return f"{kind}, closes {ago(one.deadline_at_ms, now_ms, absolute=absolute)}"
    by = f" by {one.answered_by}" if one.answered_by else ""
    return coloured(one.state, f"{one.state}{by}")


def _words(one: Ask) -> str:
    if one.broken:
        return click.style(BROKEN, fg="red")
    options = f"  [{' | '.join(one.options)}]" if one.options else ""
    answer = f"  → {one.answer}" if one.answer is not None else ""
    return one_line(f"{one.question}{options}{answer}", max(terminal_width() - 60, 40))


@command("answer")
@click.argument("id_", metavar="ID")
@click.argument("text", metavar="TEXT|allow|always|deny")
def answer(options: Options, id_: str, text: str) -> None:
    """Answer ask ID: a question with TEXT (- reads stdin), a permission with allow, always or deny.

    The first answer counts. An option is recognised however it is spelled; several are separated by commas.
    """
    answered = ask_broker(options, AsksAnswer(ask=id_, answer=body_of(text), key=new_key()), AsksAnswered)
    if options.json:
        print_json(
            {"id": answered.id, "asker": answered.asker, "message": answered.message, "warnings": answered.warnings}
        )
        return
    mail = f", who gets it as {answered.message}" if answered.message else ""
    click.echo(f"{answered.id} is answered to {answered.asker}{mail}")
    for warning in answered.warnings:
        warn(warning)
