"""What an agent is told when it is woken: who it is, how it works, its mail. The words lie in `prompts/`."""

from pathlib import Path

from mcp_tools.rendering import draw_boundary, render_hint, render_mail, render_open_asks
from prompts.loader import render, text
from wire.agents import AgentsWho
from wire.turns import Turn

NAMES_SHOWN = 20
"""A longer roster is cut: `whoami` shows it all."""

MAX_ROLE_PROMPT_BYTES = 64 * 1024


def compose(turn: Turn, who: AgentsWho, *, state: Path, role_prompt: str = "") -> str:
    """Write the prompt that wakes an agent. The boundary is drawn here, after the mail was leased."""
    return render("turns/wake.md.j2", standing=standing(who, state=state, role_prompt=role_prompt), **_mail(turn))


def compose_next(turn: Turn) -> str:
    """Write the prompt of a further turn of a session whose model has read who it is."""
    return render("turns/next.md.j2", **_mail(turn))


def standing(who: AgentsWho, *, state: Path, role_prompt: str = "") -> str:
    """Write what an agent is told whatever its mail is: who it is, how it works, what of its own is open."""
    others = [peer.name for peer in who.roster if peer.name not in {who.name, who.manager}]
    return render(
        "turns/standing.md.j2",
        name=who.name,
        role=who.role,
        fleet=who.fleet,
        manager=who.manager,
        others=others[:NAMES_SHOWN],
        more_others=max(len(others) - NAMES_SHOWN, 0),
        how=_how(who),
        state=state,
        asked=who.asked,
        reminders=who.reminders,
        role_prompt=role_prompt.strip(),
    )


def _mail(turn: Turn) -> dict[str, object]:
    boundary = draw_boundary(turn.mail, turn.open_asks)
    return {
        "messages": [render_mail(mail, boundary) for mail in turn.mail],
        "boundary": boundary,
        "job_hint": render_hint(turn.mail),
        "open_asks": render_open_asks(turn.open_asks, boundary),
        "waiting": turn.waiting,
    }


def announcement(waiting: int) -> str:
    """Tell a working agent that mail has come."""
    return render("turns/announcement.md.j2", waiting=waiting)


def _how(who: AgentsWho) -> str:
    parts = ["system/agent.md", *(["system/manager.md"] if who.role == "manager" else [])]
    return "\n\n".join(text(part) for part in parts)


def read_role_prompt(path: Path | None) -> str:
    """Read the file with an agent's role prompt; it is read for every turn, so that an edit needs no restart.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too long or not text.
    """
    if path is None:
        return ""
    with path.open("rb") as file:
        data = file.read(MAX_ROLE_PROMPT_BYTES + 1)
    if len(data) > MAX_ROLE_PROMPT_BYTES:
        raise ValueError(f"{path} is over {MAX_ROLE_PROMPT_BYTES} bytes; a role prompt says who somebody is")
    return data.decode()


def finish_now(silent_s: float, left_s: float) -> str:
    """Tell a silent agent to come to an end."""
    return render("turns/finish.md.j2", silent_s=round(silent_s), left_s=round(left_s))


def nothing_more() -> str:
    """Tell an agent that its turn takes no more mail."""
    return text("turns/nothing_more.md")


def turn_ended() -> str:
    """Tell an agent that the turn its call belongs to is over."""
    return text("turns/ended.md")
