"""A short question to a program, such as its version: bounded in time and in what it may answer.

It is deliberately *not* `subprocess.run`: that waits for pipes which a grandchild holds open, and keeps whatever comes.
"""

import re
from dataclasses import dataclass

import anyio

from harness.backends.process import Launch, running
from harness.backends.protocol import Ended, NotStartedError, Output, Probe

ASKING_S = 20.0
ANSWER_BYTES = 64 * 1024
SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program wrote before it ended."""

    stdout: str
    stderr: str
    ended: Ended


async def ask(launch: Launch, *, within_s: float = ASKING_S) -> Answer | None:
    """Run a program to its end and give what it wrote; None where it does not come to an end in time.

    Raises:
        NotStartedError: there is no such program.
    """
    said = {"stdout": b"", "stderr": b""}
    with anyio.move_on_after(within_s):
        async with running(launch) as child:
            async for event in child.events():
                match event:
                    case Output(data, stream):
                        said[stream] = (said[stream] + data)[:ANSWER_BYTES]
                    case Ended():
                        stdout, stderr = (said[name].decode(errors="replace") for name in ("stdout", "stderr"))
                        return Answer(stdout, stderr, event)
                    case _:
                        pass
    return None


async def ask_version(launch: Launch, oldest: tuple[int, ...], *, within_s: float = ASKING_S) -> Probe:
    """Ask a program for its version, and say what is wrong where it is none, or too old."""
    program = launch.argv[0]
    try:
        answer = await ask(launch, within_s=within_s)
    except NotStartedError as exc:
        return Probe(None, exc.reason)
    if answer is None:
        return Probe(None, f"{program} does not say its version within {within_s:g} s")
    if answer.ended.outcome != "completed":
        words = _shown(answer.stderr or answer.stdout)
        return Probe(None, f"{program} does not say its version: it {_was(answer.ended.reason)} {words}".strip())
    found = re.search(r"\d+(\.\d+)+", answer.stdout)
    if found is None:
        return Probe(None, f"the version of {program} cannot be read from {_shown(answer.stdout)!r}")
    if tuple(int(part) for part in found[0].split("."))[: len(oldest)] < oldest:
        wanted = ".".join(str(part) for part in oldest)
        return Probe(found[0], f"version {found[0]} of {program} is too old; {wanted} or later is needed")
    return Probe(found[0])


def _shown(text: str) -> str:
    return " ".join(text.split())[:SHOWN_CHARACTERS]


def _was(reason: str) -> str:
    return f"was {reason}" if reason.startswith("killed") else reason
