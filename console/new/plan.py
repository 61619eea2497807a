"""What a new fleet is made of: its place, its agents, the text of each file. Pure but for looking."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from console.logins.finding import Known
from console.toml_text import toml_string
from wire.home import Home

MANAGER = "manager"
BUDGET_USD = 10.0
"""Of each agent and day: a fleet that runs away stops there, and asks."""
GIT_S = 10.0

_OWN_BRANCH = {
    MANAGER: (
        "Each worker works in a checkout of its own on a branch of its name (`queenpost/worker-1`), and commits there. "
        "You stand in the operator's checkout: look at a branch with `git diff HEAD...queenpost/worker-1`, and "
        "bring in with `git merge` what you have checked. A worker that has to go on from what was merged is told so "
        "in its task, with the commit."
    ),
    "worker": (
        "You work in a git checkout of your own, on a branch of your own. Commit what belongs to the task, with a "
        "message that says why, and name the commit in your report. Do not push, and leave other branches alone; if a "
        "task tells you to go on from a commit, `git merge` it first."
    ),
}
_ONE_FOLDER = {
    MANAGER: "All of you work in the same folder: never give the same file to two workers at the same time.",
    "worker": "Others work in the same folder: touch only the files that your task is about.",
}

ALLOWED: Mapping[str, tuple[str, ...]] = {
    "claude": ("Bash(git add *)", "Bash(git commit *)"),
    "codex": ('prefix_rule(pattern=["git", ["add", "commit"]])',),
    "opencode": ("bash(git add *)", "bash(git commit *)"),
    "gemini": ("run_shell_command(git add)", "run_shell_command(git commit)"),
}
"""What a worker with a branch of its own needs all the time, in each program's own grammar."""
MODELS: Mapping[str, str] = {
    "claude": "opus",
    "codex": "gpt-5.5",
    "opencode": "anthropic/claude-opus-5-5",
    "gemini": "gemini-2.5-pro",
}
"""An example of how each program writes the name of a model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One fleet that is not there yet."""

    known: Known
    """What plays the model of each agent."""
    workers: int
    home: Home
    config: Path
    workdir: Path
    """Where the agents work: the folder in which the user stands."""
    branches: bool
    """Each worker has a checkout of its own."""

    @property
    def agents(self) -> list[str]:
        """Their names, the manager first."""
        return [MANAGER, *(f"worker-{number}" for number in range(1, self.workers + 1))]

    @property
    def prompts(self) -> Path:
        """The folder of the role prompts."""
        return self.config.parent / "prompts"

    def files(self) -> Iterator[tuple[Path, str]]:
        """Give each file that is to be written with its text; the settings come last, as they name the others."""
        place = _OWN_BRANCH if self.branches else _ONE_FOLDER
        for role in (MANAGER, "worker"):
            text = files("console.new").joinpath(f"{role}.md").read_text(encoding="utf-8")
            yield self.prompts / f"{role}.md", Template(text).substitute(place=place[role])
        yield self.config, self._settings()

    def _settings(self) -> str:
        return "\n".join([*self._head(), *self._manager(), *self._first_worker(), *self._other_workers()]) + "\n"

    def _head(self) -> list[str]:
        workers = "a worker" if self.workers == 1 else f"{self.workers} workers"
        return [
            f"# The fleet that `queenpost new` made: a manager and {workers}, played by {self.known.title}.",
            "# `queenpost up` runs it, `queenpost apply` takes over what you change here.",
            "# Relative paths start at this file.",
            "",
            "[fleet]",
            f'# name = "{self.home.fleet_name}"'.ljust(34) + "# unset: the folder that holds the home",
            "",
            "[accounts.default]".ljust(34) + "# the login that all agents below share",
            'auth = "inherit"'.ljust(34) + f"# that of your own {self.known.title}",
            "max_running = 1".ljust(34) + "# turns at once: programs that share a login may log each other out; with",
            " " * 34 + '# a token (token_file = "secrets/NAME" instead of auth) it may be more',
            "",
        ]

    def _manager(self) -> list[str]:
        return [
            f"[agents.{MANAGER}]",
            'role = "manager"'.ljust(34) + "# coordinates the others, and may write to everyone",
            *self._common(MANAGER, commented=True),
            'permissions = "ask"'.ljust(34)
            + "# what is not allowed yet is asked: `queenpost asks`; or edits, deny, bypass",
            *self._limits(commented=True),
            "",
        ]

    def _first_worker(self) -> list[str]:
        return ["[agents.worker-1]", *self._worker(commented=True)]

    def _other_workers(self) -> list[str]:
        lines: list[str] = []
        for name in self.agents[2:]:
            lines += ["", f"[agents.{name}]", *self._worker(commented=False)]
        return lines

    def _worker(self, *, commented: bool) -> list[str]:
        words = {
            'permissions = "edits"': "# changes of files in its workdir go through, the rest is asked",
            "worktree = true": "# a checkout of its own, on a branch of its name",
            f"allowed_tools = [{', '.join(map(toml_string, ALLOWED[self.known.backend]))}]": "",
        }
        settings = list(words)[: 3 if self.branches else 1]
        return [
            *self._common("worker", commented=commented),
            *(_line(one, words[one], commented=commented) for one in settings),
            *self._limits(commented=commented),
        ]

    def _common(self, role: str, *, commented: bool) -> list[str]:
        return [
            f'backend = "{self.known.backend}"',
            _line(f'prompt = "prompts/{role}.md"', "# who it is; edit it as you like", commented=commented),
            _line(f"workdir = {toml_string(self._workdir())}", "# where it works", commented=commented),
        ]

    def _limits(self, *, commented: bool) -> list[str]:
        model = _line(
            f'# model = "{MODELS[self.known.backend]}"', f"# unset: what {self.known.title} takes", commented=True
        )
        budget = _line(
            f"daily_budget_usd = {BUDGET_USD}", "# by the program's own figures; then it asks you", commented=commented
        )
        return [*([model] if commented else []), budget]

    def _workdir(self) -> str:
        return "." if self.config.parent == self.workdir else str(self.workdir)


def has_commits(folder: Path) -> bool:
    """Say whether git can make checkouts of what is in a folder."""
    return _git(folder, "rev-parse", "--verify", "--quiet", "HEAD") is not None


def uncommitted(folder: Path) -> int:
    """Count the files that differ from the last commit, new ones too."""
    return len((_git(folder, "status", "--porcelain") or "").splitlines())


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", timeout=GIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


def _line(setting: str, comment: str, *, commented: bool) -> str:
    return setting.ljust(34) + comment if commented and comment else setting
