"""Why a configuration file is not edited. Whoever knows the file's name makes an error for people of it."""


class NotEditable(Exception):
    """The text is not what its format asks for, or our part cannot be changed without touching what is not ours."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.line = line
