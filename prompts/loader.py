"""Strict loading of prompts: an unknown file or variable is an error, never a gap in a prompt.

Nothing is escaped here: bodies of mail come framed and escaped already, and Markdown is not HTML.
"""

from functools import cache
from pathlib import Path

import jinja2

FOLDER = Path(__file__).parent


class UnknownPromptError(LookupError):
    """There is no such file below `prompts/`."""


def render(name: str, /, **values: object) -> str:
    """Fill in a template such as `turns/wake.md.j2`; without the line break at its end.

    Raises:
        UnknownPromptError: no such template.
        jinja2.UndefinedError: the template uses a value that was not given.
    """
    try:
        template = _environment().get_template(name)
    except jinja2.TemplateNotFound as exc:
        raise UnknownPromptError(f"there is no prompt {name!r} below prompts/") from exc
    return template.render(values).strip("\n")


def text(name: str) -> str:
    """Give a file without variables, such as `system/agent.md`."""
    return render(name)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # for a model, not for a browser
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
