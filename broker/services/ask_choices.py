"""What may be answered: the options of a question, the three words of a permission. Pure."""

from dataclasses import dataclass, field

from wire.asks import PERMISSION_ANSWERS
from wire.errors import Invalid


@dataclass(frozen=True, slots=True)
class Chosen:
    """An answer as it is stored, and what whoever gave it should know."""

    text: str
    warnings: list[str] = field(default_factory=list[str])


def tidy(options: list[str] | None, *, multi: bool) -> list[str] | None:
    """Give options as they are stored: each on one line, each once.

    Raises:
        Invalid: an empty one, the same one twice, or several to be chosen of none.
    """
    if options is None:
        if multi:
            raise Invalid("multi lets several options be chosen, but there are none; give options or leave it out")
        return None
    lines = [" ".join(option.split()) for option in options]
    if not all(lines):
        raise Invalid("an option is empty; leave it out")
    if len({line.casefold() for line in lines}) < len(lines):
        raise Invalid("two options are the same; give each once")
    return lines


def permission(answer: str) -> Chosen:
    """Read the answer to a permission.

    Raises:
        Invalid: it is none of the three words.
    """
    word = answer.strip().casefold()
    if word not in PERMISSION_ANSWERS:
        raise Invalid(f"a permission is answered with {', '.join(PERMISSION_ANSWERS[:-1])} or {PERMISSION_ANSWERS[-1]}")
    return Chosen(word)


def choice(answer: str, options: list[str] | None, *, multi: bool) -> Chosen:
    """Read the answer to a question: options in their own spelling, anything else as it stands, with a warning.

    Several are separated by commas, or by line breaks where an option holds a comma.
    """
    if not options:
        return Chosen(answer)
    spelled = {option.casefold(): option for option in options}
    whole = spelled.get(_folded(answer))
    if whole is not None:
        return Chosen(whole)
    parts = [part.strip() for part in answer.split("\n" if "\n" in answer.strip() else ",")] if multi else [answer]
    given = [part for part in parts if part]
    odd = [part for part in given if _folded(part) not in spelled]
    if odd:
        return Chosen(
            answer, [f"not one of the options: {', '.join(odd)[:200]}; they are: {', '.join(options)[:1000]}"]
        )
    chosen = list(dict.fromkeys(spelled[_folded(part)] for part in given))
    between = "\n" if any("," in option for option in chosen) else ", "
    return Chosen(between.join(chosen) or answer)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
