"""Who plays in the demo: scripted agents, which cost nothing, or a real agent program under the user's login."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from console.logins.finding import Known
from console.toml_text import toml_string

MANAGER = "manager"
VICTIM = "worker-1"
"""The one whose program is killed: it is given work whenever there is any."""
OTHER = "worker-2"

SCRIPTED = f"""\
# The fleet of `queenpost demo`: scripted agents, which need neither key nor model.

[fleet]
name = "demo"

[agents.{MANAGER}]
role = "manager"
backend = "scripted"
script = "survey-manager"
args = ["{VICTIM}", "{OTHER}"]

[agents.{VICTIM}]
backend = "scripted"
script = "survey-worker"
args = ["--pause-once"]  # stops in the middle of its first job, to be killed there

[agents.{OTHER}]
backend = "scripted"
script = "survey-worker"
"""

READING = {"claude": ["Read", "Glob", "Grep"]}
"""What reading needs in `deny`, where the program does not allow it by itself."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where the demo stops, whatever it has come to."""

    seconds: float
    turns: int | None = None
    """None: scripted agents cost nothing."""
    usd: float | None = None
    """By the program's own figures, where it has any."""
    tokens: int | None = None


FREE = Bounds(60.0)
"""It takes a few seconds; beyond this something is wrong, and it says so."""
PAID = Bounds(600.0, turns=20, usd=2.0, tokens=3_000_000)


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays."""

    known: Known | None = None
    """None: scripted agents."""
    model: str | None = None

    @property
    def bounds(self) -> Bounds:
        """Say where it stops."""
        return PAID if self.known else FREE

    @property
    def title(self) -> str:
        """Say who plays, at the beginning of a sentence."""
        return f"{self.known.title} three times" if self.known else "Scripted agents"

    def request(self, folder: Path) -> str:
        """Say what the operator asks of the manager."""
        if self.known is None:
            return f"Survey the folder {folder}"
        return f"Survey the folder {folder}: divide it between {VICTIM} and {OTHER}, and report to me what is in it."

    def files(self, folder: Path) -> dict[str, str]:
        """Give the files of the home, by name."""
        if self.known is None:
            return {"queenpost.toml": SCRIPTED}
        here = files("console.demo")
        prompts = {
            f"{role}.md": here.joinpath(f"{role}.md").read_text(encoding="utf-8") for role in (MANAGER, "worker")
        }
        return {**prompts, "queenpost.toml": self._settings(folder)}

    def _settings(self, folder: Path) -> str:
        known = self.known
        lines = [f"# The fleet of `queenpost demo --backend {known.backend if known else ''}`.", "", "[fleet]"]
        lines += ['name = "demo"']
        for name in (MANAGER, VICTIM, OTHER):
            lines += ["", f"[agents.{name}]", *self._agent(name, folder)]
        return "\n".join(lines) + "\n"

    def _agent(self, name: str, folder: Path) -> list[str]:
        backend = self.known.backend if self.known else "scripted"
        role = MANAGER if name == MANAGER else "worker"
        lines = ['role = "manager"'] if name == MANAGER else []
        lines += [f'backend = "{backend}"', f'prompt = "{role}.md"', f"workdir = {toml_string(str(folder))}"]
        lines += [f"model = {toml_string(self.model)}"] if self.model else []
        allowed = ", ".join(toml_string(tool) for tool in READING.get(backend, []))
        lines += ['permissions = "deny"', *([f"allowed_tools = [{allowed}]"] if allowed else [])]
        return [*lines, "silence_s = 180.0", f"daily_budget_usd = {PAID.usd}", f"daily_budget_tokens = {PAID.tokens}"]
