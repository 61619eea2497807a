"""`[agents.NAME.pty]`: what an interactive program shows at its terminal, and what is typed there.

What is looked for is a regular expression over the rendered screen, as Python's `re` reads it: `^` and `$` are at each
line, `\\Z` is the end of what stands there. What is typed is text; TOML writes Enter as "\\r" and Escape as "\\u001b".
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from wire.settings_model import SettingsModel

FLAGS = re.MULTILINE


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern, FLAGS)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"is no regular expression: {exc}; write it in 'single quotes', where \\ is a \\") from None
    return pattern


Pattern = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_compiles)]
Keys = Annotated[str, Field(min_length=1, max_length=200)]

Obstacle = Literal["rate_limited", "overloaded", "auth", "credit", "bad_model", "offline", "context_full"]
"""What may stand in the way of a turn without being the fault of its mail, but for a history that is too long."""


class PtyAnswer(SettingsModel):
    """A question that the program puts on its screen. Either always the same is typed, or somebody is asked."""

    screen: Pattern
    """How it looks. Of a permission, the groups `tool` and `detail` say what is asked for, where it has them."""
    send: Keys | None = None
    """What is typed, whoever it is about."""
    allow: Keys | None = None
    """It is a permission: what is typed where it is allowed."""
    deny: Keys | None = None
    """What is typed where it is not."""
    always: Keys | None = None
    """What is typed where it is allowed from now on; unset: `allow`, and the same question is not asked again."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "PtyAnswer":
        permission = self.allow is not None and self.deny is not None
        if (self.send is None) is not permission or (
            self.send is not None and (self.allow or self.deny or self.always)
        ):
            raise ValueError('needs send = "…", or for a permission both allow = "…" and deny = "…"')
        return self


class PtyFailure(SettingsModel):
    """Words on the screen, behind which the program came back to its prompt without having done its work."""

    screen: Pattern
    outcome: Obstacle


class PtySettings(SettingsModel):
    """How to tell what an interactive program is at."""

    ready: Pattern
    """Its prompt, among the last lines of the screen: it waits for input."""
    busy: Pattern | None = None
    """Stands among the last lines while it works; needed where the prompt stays there meanwhile."""
    answers: Annotated[list[PtyAnswer], Field(max_length=50)] = []
    """What it may ask on its screen; the first that fits counts."""
    failures: Annotated[list[PtyFailure], Field(max_length=50)] = []
    forgets: Pattern | None = None
    """Says that its history became a summary: the next prompt tells the model again who it is."""
    submit: Keys = "\r"
    """Typed behind the prompt of a turn."""
    interrupt: Keys = "\x03"
    """Ends what it does, and brings its prompt back."""
    quit: Keys | None = None
    """Ends it; unset: SIGTERM."""
    columns: Annotated[int, Field(ge=20, le=500)] = 120
    rows: Annotated[int, Field(ge=5, le=200)] = 40
    start_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """How long after its start, or after an answer, the prompt may take to show."""
    attach_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """How long behind that it may take to attach our tools; 0: it attaches them when it uses them first."""
    settle_s: Annotated[float, Field(gt=0, le=60)] = 0.5
    """How long a prompt has to stand on the screen before it is believed."""
