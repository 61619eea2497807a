"""Which program a fleet is made of: the one that was asked for, or the first that is here and logged in."""

from collections.abc import Callable, Sequence

from console.logins.finding import KNOWN, Candidate, known_as, look, look_for_all, missing
from wire.errors import Unavailable

Tell = Callable[[str, str], None]


def choose(backend: str, tell: Tell) -> Candidate:
    """Find the program; `tell` hears which it is.

    Raises:
        Unavailable: there is none that could work; with the command that mends it.
    """
    if backend != "auto":
        candidate = look(known_as(backend))
        if not candidate.ready:
            raise Unavailable(missing(candidate))
        tell("program", f"{candidate.known.title} ({candidate.path})")
        return candidate
    seen: list[Candidate] = []
    for candidate in look_for_all():
        if candidate.ready:
            skipped = (
                f"; {', '.join(one.trouble or '' for one in seen if one.path)}" if any(c.path for c in seen) else ""
            )
            tell("program", f"{candidate.known.title} ({candidate.path}){skipped}")
            return candidate
        seen.append(candidate)
    raise Unavailable(none_of(seen))


def none_of(seen: Sequence[Candidate]) -> str:
    """Say what mends any of several: the login of one that is here, or else the installation of one."""
    here = [one for one in seen if one.path is not None]
    if here:
        mends = "\n".join(f"  {one.trouble}: `{one.known.log_in}`" for one in here)
        return f"no agent program is logged in. One of these mends it, then try again:\n{mends}"
    names = ", ".join(f"`{known.program}`" for known in KNOWN)
    installs = "\n".join(f"  {known.title.ljust(12)} `{known.install}`, then `{known.log_in}`" for known in KNOWN)
    return (
        f"no agent program is installed; looked on the PATH for {names}. Install one and log in:\n{installs}\n"
        "`queenpost demo` shows a fleet at work without any of them"
    )
