"""What a screen shows, by the agent's settings: a question, the prompt, work, or something else."""

import re
from dataclasses import dataclass
from typing import Literal

import anyio

from harness.backends.protocol import Permission
from harness.backends.pty.program import GoneError, Program
from wire.settings_pty import FLAGS, PtyAnswer, PtyFailure, PtySettings

BOTTOM_LINES = 12
"""Among so many lines that are not empty, counted from the last, stands the prompt."""
LOOK_EVERY_S = 0.03
"""A screen that changes all the time is looked at so often."""
DETAIL_CHARACTERS = 4000
IDLE_S = 5.0
"""So long behind what was typed, a prompt is believed though no work was seen."""
AGAIN_S = 5.0
"""A question that stands there so long behind its answer, and nothing else with it, is asked again."""
MOST_SAID = 4000
"""Lines of a turn that are known again."""
FRAME = " \t│┃|╭╮╰╯─━╌┄"
"""What programs draw around their words."""
OFFERED = "what the program offers there"
"""The rule of a permission for which the program has an `always` of its own."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen. Two that are equal are the same."""

    kind: Literal["question", "ready", "busy", "other"]
    answer: PtyAnswer | None = None
    """What the settings say about the question."""
    words: str = ""
    """The question itself."""
    tool: str = "a tool"
    detail: str = ""

    @property
    def permission(self) -> Permission:
        """Put it into what is asked for."""
        detail = self.detail or self.words
        offered = self.answer is not None and self.answer.always is not None
        return Permission(self.tool, detail, OFFERED if offered else f"{self.tool}({detail})")


@dataclass(frozen=True, slots=True)
class News:
    """What came to a screen."""

    lines: list[str]
    alive: bool
    """It is more than the same words with other numbers, as a clock or a drawing that moves makes it."""


class Lookout:
    """Looks at one program's screen for the length of a turn."""

    def __init__(self, program: Program, settings: PtySettings) -> None:
        self._program = program
        self._settings = settings
        self._answered: Sight | None = None
        """The question that stands there and has its answer already."""
        self._answered_at = 0.0
        program.glance = self._glance
        self._said: dict[str, None] = {}
        """Lines of this turn, by their letters and digits; the newest are the last."""
        self.worked = False
        """It was seen at work."""
        self._typed_at = 0.0
        self._works = False
        """It was seen at work since something was typed."""
        self.forgot = False
        """It said that its history became a summary."""

    async def steady(self) -> Sight:
        """Give what the screen shows once it has shown the same for `settle_s`, counted from now.

        Raises:
            GoneError: the program has ended.
        """
        sight, since = self.look(), anyio.current_time()
        while (left_s := since + self._settings.settle_s - anyio.current_time()) > 0:
            with anyio.move_on_after(left_s):
                await self._program.changed()
                await anyio.sleep(LOOK_EVERY_S)
            seen = self.look()
            if seen != sight:
                sight, since = seen, anyio.current_time()
        return sight

    async def left(self, sight: Sight) -> None:
        """Wait until the screen shows something else.

        Raises:
            GoneError: the program has ended.
        """
        while self.look() == sight:
            await self._program.changed()

    def look(self) -> Sight:
        """See what is there now.

        Raises:
            GoneError: the program has ended.
        """
        if self._program.ended:
            raise GoneError
        text = self._program.screen.text
        bottom = _bottom(text)
        busy = self._sees_work(bottom)
        forgets = self._settings.forgets
        self.forgot = self.forgot or (forgets is not None and _find(forgets, text) is not None)
        question = self._question(text)
        if question is not None and question != self._answered:
            return question
        self._answered = self._answered if question is not None else None
        if busy:
            return Sight("busy")
        if _find(self._settings.ready, bottom):
            return Sight("ready")
        is_late = anyio.current_time() > self._answered_at + AGAIN_S
        return question if question is not None and is_late else Sight("other")

    def answered(self, sight: Sight) -> None:
        """It has its answer, and is seen no more for as long as it stays there, or for `AGAIN_S`."""
        self._answered, self._answered_at = sight, anyio.current_time()

    def _glance(self) -> None:
        """Note what may be there for a moment only: that it works, that a question is gone before it comes again."""
        if self._answered is not None and self._question(self._program.screen.text) is None:
            self._answered = None
        if not self._works:
            self._sees_work(_bottom(self._program.screen.text))

    def _sees_work(self, bottom: str) -> bool:
        busy = self._is_busy(bottom)
        self.worked = self.worked or busy
        self._works = self._works or busy
        return busy

    def typed(self) -> None:
        """Something was typed that makes it work, as far as is known."""
        self._works, self._typed_at = False, anyio.current_time()

    @property
    def took_up(self) -> bool:
        """Say whether it has worked on what was typed, so that a prompt means that it is done with it.

        On a machine that is busy it may show its prompt for seconds before it shows that it works. One that was never
        seen at work, as it was quick, is believed after `IDLE_S`.
        """
        late = anyio.current_time() > self._typed_at + IDLE_S
        return self._works or self._settings.busy is None or late

    def failure(self) -> tuple[PtyFailure, str] | None:
        """Give what stood in the way, and the words that say so."""
        for failure in self._settings.failures:
            if (found := _find(failure.screen, self._program.screen.text)) is not None:
                return failure, " ".join(found[0].split())
        return None

    def news(self, lines: list[str]) -> News:
        """Give what is worth keeping of lines that are new, and whether they say that the turn goes on.

        Left out is what only says that it works, and what was there before but for its frames and drawings.
        """
        kept = [line for line in lines if not self._is_busy(line) and self._is_new(line)]
        fresh = [self._is_new("".join(filter(str.isalpha, line)), "letters ") for line in kept]  # each is noted
        return News(kept, any(fresh))

    def _is_busy(self, text: str) -> bool:
        return self._settings.busy is not None and _find(self._settings.busy, text) is not None

    def _is_new(self, line: str, kind: str = "") -> bool:
        """Say so, and note it; a line without letters and digits is never new."""
        said = "".join(filter(str.isalnum, line))
        if not said or kind + said in self._said:
            return False
        self._said[kind + said] = None
        if len(self._said) > MOST_SAID:
            del self._said[next(iter(self._said))]
        return True

    def _question(self, text: str) -> Sight | None:
        for answer in self._settings.answers:
            if (found := _find(answer.screen, text)) is not None:
                groups = {name: _joined(value) for name, value in found.groupdict().items() if value}
                words = _joined(found[0])
                return Sight("question", answer, words, groups.get("tool", "a tool"), groups.get("detail", ""))
        return None


def _bottom(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line][-BOTTOM_LINES:])


def _find(pattern: str, text: str) -> re.Match[str] | None:
    """Give the last place: what is new stands below."""
    return max(re.finditer(pattern, text, FLAGS), key=re.Match[str].start, default=None)


def _joined(text: str) -> str:
    """Give lines without what frames them."""
    lines = (line.strip(FRAME) for line in text.splitlines())
    return "\n".join(line for line in lines if line)[:DETAIL_CHARACTERS]
