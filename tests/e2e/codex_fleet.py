"""A fleet whose agents are real Codexes, each with a model and a configuration folder of its own."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.claude_fleet import Claudes
from tests.e2e.programs import need
from tests.e2e.surroundings import surround
from tests.fakes.models.conversation import Conversation
from tests.fakes.models.server import ModelServer
from tests.fakes.models.talk import Brain, Heard, Reply, Tool, ToolCall
from tests.scenarios.programs import fleet_in


class Codexes(Claudes):
    """The fleet, and what a test does with it."""

    async def add(
        self, name: str, brain: Brain, *, env: dict[str, str] | None = None, **settings: object
    ) -> Conversation:
        """Register an agent with a model of its own."""
        talk = self._models.open(name, brain)
        around = {**surround("codex", self._home / name, talk), **(env or {})}
        await self.fleet.add(name, backend="codex", command=list(self._program.command), env=around, **settings)
        return talk

    def paid(self, name: str) -> list[str]:
        """Give arguments that make an agent's model one that has to be logged in to."""
        url = f"http://127.0.0.1:{self._models.port}/c/{name}/v1"
        provider = f'name="paid", base_url="{url}", wire_api="responses", requires_openai_auth=true'
        return ["-c", 'model_provider="paid"', "-c", f"model_providers.paid={{{provider}}}"]

    def folder(self, name: str) -> Path:
        """Where an agent's Codex keeps its configuration."""
        return self._home / name / ".codex"


@asynccontextmanager
async def codexes(home: Path) -> AsyncGenerator[Codexes]:
    """A broker and a model server; the harness is started by the test, behind its agents."""
    program = need("codex")
    async with ModelServer() as models, fleet_in(home) as fleet:
        yield Codexes(home, fleet, models, program)
        assert not models.strays


def run(command: str, *, outside: bool = False, **more: Any) -> Reply:
    """Run a command, in the sandbox or outside of it."""
    escalated = {"sandbox_permissions": "require_escalated", "justification": "It is my work."} if outside else {}
    return Reply(calls=(ToolCall(Tool("exec_command", None), {"cmd": command, **escalated, **more}),))


def results(heard: Heard) -> str:
    """Give what the tools gave."""
    return " ".join(result.text for result in heard.results)
