"""The end of the demo on a terminal: the manager's report, which is Markdown, its jobs, and the account of all mail."""

import re

import click

from console.cli.job_watch import print_event
from console.cli.screen import bold, coloured, columns, dim, print_table, safe
from wire.fleet import Account
from wire.jobs import JobsShown

ACCOUNT = (
    ("accepted", "messages that the broker took, each on disk before it said so"),
    ("handled", "by a turn that was finished"),
    ("mailbox", "in the operator's mailbox"),
    ("waiting", "not handled yet"),
    ("dead", "given up after too many tries"),
    ("held", "kept back"),
    ("expired", "too late"),
    ("redelivered", "handed out again after a turn that was not finished"),
    ("lost", "unaccounted for"),
)
"""Each figure of the account, in words. The first is the sum of those up to `expired`, and of `lost`."""


def print_report(report: str) -> None:
    """Print Markdown for a person: headings stand out, tables are aligned, the rest stays as it is."""
    table: list[str] = []
    for line in [*safe(report).rstrip("\n").split("\n"), ""]:
        if line.startswith("|"):
            table.append(line)
            continue
        if table:
            _print_markdown_table(table)
            table = []
        click.echo(_styled(line).rstrip())


def _styled(line: str) -> str:
    if heading := re.match(r"#+\s+(.*)", line):
        return bold(_plain(heading[1]))
    return f"  {_plain(line)}" if line else ""


def _plain(text: str) -> str:
    return re.sub(r"`+ ?(.+?) ?`+", r"\1", text)


def _print_markdown_table(lines: list[str]) -> None:
    rows = [[_plain(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    rulers = [row for row in rows if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    right = [index for row in rulers for index, cell in enumerate(row) if cell.endswith(":")]
    body = [row for row in rows if row not in rulers]
    width = max(len(row) for row in body)
    body = [row + [""] * (width - len(row)) for row in body]
    widths = [max(columns(row[index]) for row in body) for index in range(width)]
    for number, row in enumerate(body):
        cells = [_cell(cell, widths[index], index in right) for index, cell in enumerate(row)]
        line = "  ".join(cells).rstrip()
        click.echo(f"  {dim(line) if number == 0 and rulers else line}")


def _cell(text: str, width: int, to_the_right: bool) -> str:
    gap = " " * (width - columns(text))
    return gap + text if to_the_right else text + gap


def print_account(account: Account) -> None:
    """Print what became of every message."""
    rows = [[name, _figure(name, getattr(account, name)), dim(words)] for name, words in ACCOUNT]
    print_table(["ACCOUNT", "", "from the broker"], rows, right=[1])


def _figure(name: str, figure: int) -> str:
    if name == "lost":
        return click.style(str(figure), fg="red" if figure else "green", bold=True)
    if name == "redelivered":
        return click.style(str(figure), fg="green", bold=True)
    return str(figure) if figure else dim("0")


def print_jobs(jobs: list[JobsShown]) -> None:
    """Print what every job said, as `queenpost job watch` does."""
    click.echo(f"{bold('JOBS')}  signed events, as `queenpost job watch ID` shows them")
    for shown in jobs:
        if (job := shown.job) is None:
            continue
        claims = "" if job.epoch < 2 else dim(f", claimed {job.epoch} times")
        click.echo(f"{bold(job.id)}  {coloured(job.state)}  {job.claimed_by or 'nobody'}{claims}")
        for event in shown.events:
            print_event(event, absolute=False)
