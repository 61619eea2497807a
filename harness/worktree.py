"""`worktree = true`: an agent works on a branch and in a folder of its own, beside the repository that `workdir` names.

Nothing here removes a worktree: what an agent has not committed must not go because somebody edits a file.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.backends.protocol import NotStartedError

GIT_S = 60.0
"""A checkout of a large repository takes a while."""


@dataclass(frozen=True, slots=True)
class Worktree:
    """One agent's own checkout."""

    repository: Path
    """Any folder inside of the repository."""
    folder: Path
    branch: str

    @property
    def place(self) -> Path:
        """Where the agent works: in its checkout, at the same folder as `workdir` in the repository."""
        resolved = self.repository.resolve()
        top = next((folder for folder in (resolved, *resolved.parents) if (folder / ".git").exists()), resolved)
        return self.folder / resolved.relative_to(top)

    def prepare(self) -> None:
        """Make the worktree where it is not there yet. Idempotent, dirty or not.

        It begins at what is checked out in the repository; a branch that is there already is gone on with.

        Raises:
            NotStartedError: no repository, no git, or git refuses; with git's own words.
        """
        top = Path(self._git(self.repository, "rev-parse", "--show-toplevel"))
        if not (self.folder / ".git").exists():
            self._add(top)
        self._require_ours(top)

    def _add(self, top: Path) -> None:
        self._git(top, "worktree", "prune")  # of a folder that somebody deleted
        known = self._git(top, "branch", "--list", "--format=%(refname:short)", self.branch)
        what = [str(self.folder), self.branch] if known else ["-b", self.branch, str(self.folder), "HEAD"]
        self._git(top, "worktree", "add", *what)

    def _require_ours(self, top: Path) -> None:
        """Refuse a folder that belongs to another repository: `workdir` was changed."""
        here = self._git(self.folder, "rev-parse", "--path-format=absolute", "--git-common-dir")
        there = self._git(top, "rev-parse", "--path-format=absolute", "--git-common-dir")
        if Path(here).resolve() != Path(there).resolve():
            raise _refused(
                f"{self.folder} is a worktree of another repository, {Path(here).parent}; commit what is in it, then "
                f"`git -C {self.folder} worktree remove {self.folder}`"
            )

    def _git(self, folder: Path, *words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        try:
            done = subprocess.run(  # no shell; the names are ours
                command, capture_output=True, text=True, errors="replace", timeout=GIT_S, check=False,
                stdin=subprocess.DEVNULL, env=_quiet(os.environ),
            )  # fmt: skip
        except FileNotFoundError:
            raise _refused("worktree = true needs git, which is not on the PATH of the harness") from None
        except (OSError, subprocess.SubprocessError) as exc:
            raise _refused(f"git {' '.join(words)} failed: {exc}") from exc
        if done.returncode != 0:
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise _refused(f"worktree = true: `git {' '.join(words[:2])}` in {folder} says: {said[:600]}")
        return done.stdout.strip()


def worktree_of(agent: str, workdir: Path, state: Path) -> Worktree:
    """Say where an agent's worktree lies: in its own folder, on a branch of its name."""
    return Worktree(workdir, state / "worktree", f"queenpost/{agent}")


def identity(agent: str, fleet: str) -> Mapping[str, str]:
    """Give the variables by which commits of an agent are told from those of its user."""
    email = f"{agent}@{fleet}.queenpost.invalid"
    return {
        "GIT_AUTHOR_NAME": f"{agent} ({fleet})",
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": f"{agent} ({fleet})",
        "GIT_COMMITTER_EMAIL": email,
    }


def _quiet(inherited: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would point git elsewhere than where we say, and let it ask nobody."""
    kept = {name: value for name, value in inherited.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


def _refused(why: str) -> NotStartedError:
    return NotStartedError("missing_program", why)
