"""What came of a check."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "warning", "error"]
"""`note`: worth knowing, nothing to do. `warning`: it works, and may not for long. `error`: it does not work."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One finding, in one sentence."""

    check: str
    level: Level
    says: str
    mend: str | None = None
    """The command that mends it, or what to do; None where there is nothing to do."""
