"""How a command ends when it does not end well: exit codes, and one line on stderr that says what to do."""

import errno
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, Any, cast

import click

REFUSED = 1
USAGE = 2
ANOTHER_BROKER = 3
INTERRUPTED = 130
PIPE_CLOSED = 141
"""What a shell reports for a program that SIGPIPE ended."""


class Refused(click.ClickException):
    """The command did not happen; the message says why and what to do next."""

    exit_code = REFUSED

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def show(self, file: IO[Any] | None = None) -> None:
        """Write `queenpost: CODE: message` to stderr."""
        click.echo(f"queenpost: {self.code}: {self.message}", err=True)


class AnotherBroker(Refused):
    """Somebody else already runs a broker on this home."""

    exit_code = ANOTHER_BROKER


@contextmanager
def one_line_for_each_failure() -> Generator[None]:
    """Turn whatever ended a command into an exit code and one line; a defect of ours keeps its trace."""
    try:
        yield
    except BaseException as exc:
        failure = innermost(exc)
        answer = _answer(failure)
        if answer is None:
            raise
        raise answer from exc


def innermost(exc: BaseException) -> BaseException:
    """Unwrap a group to the failure that came first."""
    while isinstance(exc, BaseExceptionGroup):
        exc = cast("BaseExceptionGroup[BaseException]", exc).exceptions[0]
    return exc


def _answer(failure: BaseException) -> Exception | None:
    for matches, answer in _ANSWERS:
        if matches(failure):
            return answer(failure)
    return None


def _is_refusal(failure: BaseException) -> bool:
    # Looked up, not imported: a command that never spoke to a broker has not loaded the errors either.
    errors = sys.modules.get("wire.errors")
    return errors is not None and isinstance(failure, errors.QueenpostError)


def _is_invalid(failure: BaseException) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(failure, pydantic.ValidationError)


def _invalid(failure: Any) -> Exception:
    """Name the first wrong field, without its value."""
    first = failure.errors(include_url=False, include_context=False, include_input=False)[0]
    words = str(first["msg"]).removeprefix("Value error, ")
    return Refused("invalid", ": ".join([*(str(part) for part in first["loc"][-1:]), words]))


def _is_closed_pipe(failure: BaseException) -> bool:
    return isinstance(failure, OSError) and failure.errno == errno.EPIPE


def _refusal(failure: Any) -> Exception:
    # Only what says that the home is taken has an exit code of its own.
    refused = AnotherBroker if getattr(failure, "exit_code", REFUSED) == ANOTHER_BROKER else Refused
    return refused(failure.code, failure.message)


def _closed_pipe(_: BaseException) -> Exception:
    # What is still buffered would fail once more when the interpreter flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return click.exceptions.Exit(PIPE_CLOSED)


def _system(failure: Any) -> Exception:
    where = f"{failure.filename}: " if failure.filename else ""
    return Refused("unavailable", f"{where}{failure.strerror or failure}")


_ANSWERS: tuple[tuple[Callable[[BaseException], bool], Callable[[BaseException], Exception]], ...] = (
    (_is_refusal, _refusal),
    (_is_invalid, _invalid),
    (lambda failure: isinstance(failure, KeyboardInterrupt), lambda _: click.exceptions.Exit(INTERRUPTED)),
    (_is_closed_pipe, _closed_pipe),
    (lambda failure: isinstance(failure, OSError), _system),
)
