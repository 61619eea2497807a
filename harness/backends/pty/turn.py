"""One turn at a terminal: the prompt is typed, questions are answered, until the program waits for input again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio

from harness.backends.protocol import Began, Ended, Event, Output, Permitted, ToolUse
from harness.backends.pty import outcomes
from harness.backends.pty.outcomes import AtPrompt
from harness.backends.pty.program import GoneError, Program
from harness.backends.pty.sight import Lookout, Sight
from harness.backends.tool_calls import ToolCalls
from prompts.loader import render, text
from wire.settings_pty import PtySettings

QUEUED_EVENTS = 64
QUEUED_TOOLS = 64
MOST_ANSWERS = 100
"""In one turn; a program that asks more often does not take the answers."""
TAKES_S = 5.0
"""How long the program may take to show that something was typed."""
SHOW_EVERY_S = 0.25
"""What is new on the screen is written down so often."""

Decide = Callable[[Sight], Awaitable[Permitted]]


class PtyTurn:
    """See `harness.backends.protocol.RunningTurn`."""

    def __init__(
        self,
        program: Program,
        settings: PtySettings,
        tools: ToolCalls,
        decide: Decide,
        attached: anyio.Event,
        file: Path,
    ) -> None:
        self.pid = program.terminal.pid
        self.clean = False
        """It was completed, and the program waits for the next prompt."""
        self.lookout = Lookout(program, settings)
        self._program = program
        self._settings = settings
        self._tools = tools
        self._decide = decide
        self._attached = attached
        self._file = file
        """Where a prompt goes that cannot be typed."""
        self._began = False
        self._interrupted = False
        self._reminded = False
        self._refused: str | None = None
        """What the model is told when the program is back at its prompt."""
        self._answers = 0
        self._made = 0
        """Tool calls when the prompt was typed."""
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUED_EVENTS)

    # --- what the harness does ----------------------------------------------------------------------

    async def events(self) -> AsyncIterator[Event]:
        """See `RunningTurn`."""
        async for event in self._receive:
            yield event

    async def nudge(self, text: str) -> bool:
        """Not possible: nobody knows what a program makes of what is typed while it works."""
        return False

    async def interrupt(self) -> None:
        """Press the key that interrupts; the prompt that follows is the end."""
        self._interrupted = True
        try:
            await self._program.type(self._settings.interrupt)
        except GoneError:
            return

    def close(self) -> None:
        """Hear nothing more."""
        self._send.close()
        self._receive.close()

    async def drive(self, prompt: str) -> None:
        """Play the turn from the prompt to its end."""
        called, calls = anyio.create_memory_object_stream[str](QUEUED_TOOLS)

        def note(name: str) -> None:
            if called.statistics().current_buffer_used < QUEUED_TOOLS:
                called.send_nowait(name)

        with called, calls, self._tools.told(note):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._show)
                tasks.start_soon(self._note_tools, calls)
                await self._end(await self._ended(prompt))
                tasks.cancel_scope.cancel()

    # --- the course of a turn -----------------------------------------------------------------------

    async def _ended(self, prompt: str) -> Ended:
        try:
            return await self._course(prompt)
        except GoneError:
            return outcomes.gone(self._program.terminal.status, self._program.last_words)
        except OSError as exc:
            return Ended("crashed", f"the prompt could not be written to {self._file}: {exc.strerror}")

    async def _course(self, prompt: str) -> Ended:
        if (problem := await self._come_to_prompt()) is not None:
            return problem
        self._made = self._tools.made
        back: Ended | str = prompt
        while isinstance(back, str):
            await self._put(back)
            back = await self._come_back()
        return back

    async def _come_to_prompt(self) -> Ended | None:
        """Wait for the prompt, and for our tools; give what is in the way."""
        limit_s = self._settings.start_s
        deadline = anyio.current_time() + limit_s
        while (sight := await self.lookout.steady()).kind != "ready":
            if sight.kind == "question":
                if not await self._answer(sight):
                    return outcomes.ASKS_AGAIN
                deadline = anyio.current_time() + limit_s
            elif anyio.current_time() > deadline:
                return outcomes.no_prompt(limit_s, self._program.last_words)
        if self._settings.attach_s:
            with anyio.move_on_after(self._settings.attach_s):
                await self._attached.wait()
            if not self._attached.is_set():
                return outcomes.not_attached(self._settings.attach_s)
        return None

    async def _put(self, words: str) -> None:
        """Type words, see that they arrive, and only then submit them: what comes at once is taken as one piece."""
        await self._seen(self._program.put(words, self._file))
        await self.lookout.steady()
        self.lookout.typed()
        await self._seen(self._program.type(self._settings.submit))
        if self._settings.busy is None:
            await self._begin()

    async def _seen(self, typing: Awaitable[None]) -> None:
        """Type, and wait for something to change on the screen."""
        before = self._program.version
        await typing
        with anyio.move_on_after(TAKES_S):
            while self._program.version == before:
                await self._program.changed()

    async def _come_back(self) -> Ended | str:
        """Wait until the program is at its prompt again; give how the turn ended, or what the model is told now."""
        while True:
            sight = await self.lookout.steady()
            if sight.kind == "question":
                if not await self._answer(sight):
                    return outcomes.ASKS_AGAIN
            elif sight.kind == "ready" and (back := self._at_prompt()) is not None:
                return back
            if self.lookout.worked:
                await self._begin()

    def _at_prompt(self) -> Ended | str | None:
        """Say what its prompt means; None: nothing yet."""
        failure = self.lookout.failure()
        if self._tools.running or not (self.lookout.took_up or failure or self._interrupted):
            return None
        if self._refused is not None and not self._interrupted:
            refused, self._refused = self._refused, None
            return refused
        used = self._tools.made > self._made
        if (ended := outcomes.judge(AtPrompt(self._interrupted, failure, used, self._reminded))) is not None:
            return ended
        self._reminded = True
        return text("turns/used_no_tool.md")

    async def _answer(self, sight: Sight) -> bool:
        """Answer what the program asks; False where it has asked too often."""
        self._answers += 1
        if self._answers > MOST_ANSWERS or sight.answer is None:
            return False
        answer, keys = sight.answer, sight.answer.send
        if keys is None:
            decided = await self._decided(sight)
            if decided is None:
                return True  # the question has gone away by itself
            keys = (answer.always if decided.always else None) or answer.allow if decided.allow else answer.deny
            if not decided.allow:
                self._refused = render("turns/refused.md.j2", tool=sight.tool, why=decided.why or "it was denied")
        self.lookout.answered(sight)
        self.lookout.typed()
        await self._program.type(keys or "")
        return True

    async def _decided(self, sight: Sight) -> Permitted | None:
        """Have it decided, for as long as the question stands there."""
        decided: Permitted | None = None
        gone: GoneError | None = None
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                nonlocal gone
                try:
                    await self.lookout.left(sight)
                except GoneError as exc:
                    gone = exc
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            decided = await self._decide(sight)
            tasks.cancel_scope.cancel()
        if gone is not None:
            raise gone
        return decided

    # --- what is told of it -------------------------------------------------------------------------

    async def _show(self) -> None:
        while True:
            await self._program.changed()
            await anyio.sleep(SHOW_EVERY_S)
            await self._show_news()

    async def _show_news(self) -> None:
        news = self.lookout.news(self._program.screen.news())
        if news.lines:
            await self._tell(Output("".join(f"{line}\n" for line in news.lines).encode(), "stdout", news.alive))

    async def _note_tools(self, calls: AsyncIterator[str]) -> None:
        async for name in calls:
            await self._begin()
            await self._tell(ToolUse(name))

    async def _begin(self) -> None:
        if not self._began:
            self._began = True
            await self._tell(Began())

    async def _end(self, ended: Ended) -> None:
        await self._show_news()
        if self.lookout.worked or self._reminded:
            await self._begin()
        self.clean = ended.outcome == "completed"
        await self._tell(ended)
        self._send.close()

    async def _tell(self, event: Event) -> None:
        try:
            await self._send.send(event)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # nobody listens any more
