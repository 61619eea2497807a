"""The second step of the loop: the words of a turn, out of its mail, the agent's role and what it knows already."""

from collections.abc import Callable

from harness.backends.protocol import NotStartedError
from harness.post import Post
from harness.prompting import compose, compose_next, read_role_prompt, standing
from harness.workspace import Workspace
from wire.agents import AgentsWho, AgentsWhoami
from wire.logs import get_logger
from wire.turns import Turn

log = get_logger("turn")


class Composer:
    """Writes the prompts of one agent. The role prompt is read each time: an edit needs no restart."""

    def __init__(
        self, post: Post, workspace: Workspace, role_prompt: str | None, hints: Callable[[], list[str]] = list
    ) -> None:
        self._post = post
        self._workspace = workspace
        self._role_prompt = role_prompt
        """Where it lies."""
        self._hints = hints
        """What else is to be said in the next prompt."""

    async def write(self, turn: Turn, *, remembers: bool) -> str:
        """Write the prompt of a turn; one whose model remembers who it is gets its mail only.

        Raises:
            NotStartedError: the role prompt cannot be read.
        """
        return "\n\n".join([await self._write(turn, remembers=remembers), *self._hints()])

    async def _write(self, turn: Turn, *, remembers: bool) -> str:
        if remembers:
            return compose_next(turn)
        who = await self._post.insist(AgentsWhoami(), AgentsWho)
        state, role = self._workspace.state, self._role()
        self._keep(standing(who, state=state, role_prompt=role))
        return compose(turn, who, state=state, role_prompt=role)

    def _role(self) -> str:
        try:
            return read_role_prompt(self._workspace.resolve(self._role_prompt) if self._role_prompt else None)
        except (OSError, ValueError) as exc:
            raise NotStartedError("missing_program", f"the role prompt cannot be read: {exc}") from exc

    def _keep(self, words: str) -> None:
        """Keep what the agent was told, for whoever edits its role prompt. Not being able to costs no turn."""
        try:
            self._workspace.prompt_file.write_text(words, encoding="utf-8")
        except OSError as exc:
            log.warning("prompt_not_kept", reason=str(exc))
