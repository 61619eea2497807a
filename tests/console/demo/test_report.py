"""The report and the account on a terminal."""

import click
import pytest

from console.demo.report import print_account, print_jobs, print_report
from tests.console.demo.test_verdict import ACCOUNT, a_job
from wire.jobs import JobsShown

REPORT = """\
# Survey of `x`

Two files in `/srv/x`.

| File | Lines |
|---|---:|
| `a.py` | 12 |
| b\x1b[2J.py | 3 |
| ragged |

- `a|b`
"""


def test_markdown_is_printed_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours: tables line up, headings stand out, nothing commands the terminal."""
    print_report(REPORT)
    assert click.unstyle(capsys.readouterr().out).splitlines() == [
        "Survey of x",
        "",
        "  Two files in /srv/x.",
        "",
        "  File           Lines",
        "  a.py              12",
        "  b\\u{1b}[2J.py      3",
        "  ragged",
        "",
        "  - a|b",
        "",
    ]


def test_the_account_ends_with_what_was_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 2, item 9: accepted, handled, redelivered and `lost 0`."""
    print_account(ACCOUNT)
    lines = [" ".join(click.unstyle(line).split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1].startswith("accepted 6 ")
    assert lines[-2].startswith("redelivered 1 ")
    assert lines[-1] == "lost 0 unaccounted for"


def test_jobs_are_printed_with_what_they_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Issue 5: as `job watch` does; who had it, and that it was claimed again."""
    print_jobs([a_job("completed"), JobsShown()])
    head, job, event = click.unstyle(capsys.readouterr().out).splitlines()
    assert head.startswith("JOBS  signed events")
    assert job == "j-a  completed  manager, claimed 2 times"
    assert event.endswith('started   {"n": 1}')
