"""The other safety valves on paper: held mail, recall, freeze (DESIGN 5.8, 5.15, 5.18)."""

from broker.services.callers import Caller
from broker.services.views import SHOWN
from tests.model.paper import Copy, Letter, Paper, refuse
from tests.model.paper_acts import Answer

# --- held mail --------------------------------------------------------------------------------------


def release(paper: Paper, ids: list[str], recipient: str | None) -> Answer:
    """DESIGN 5.8, 5.15: a new place, and a fresh budget for it and its pair."""
    copies = [copy for name in dict.fromkeys(ids) for copy in _held(paper, name, recipient)]
    for copy in copies:
        copy.recipient.place += 1
        copy.state, copy.place, copy.ready_at, copy.storm = "ready", copy.recipient.place, 0, False
        copy.failures = copy.restarts = 0
        copy.alone = False
        pair = {copy.letter.sender, copy.recipient.name}
        paper.traffic = [one for one in paper.traffic if {one.sender, one.recipient} != pair]
        paper.audit.append(("message.released", copy.name))
    return ("moved", tuple(sorted(f"{copy.name}/{copy.recipient.name}" for copy in copies)))


def _held(paper: Paper, name: str, recipient: str | None) -> list[Copy]:
    letter = paper.letter_named(name)
    copies = [] if letter is None else [copy for copy in letter.copies if recipient in (None, copy.recipient.name)]
    if not copies:
        refuse("unknown")
    held = [copy for copy in copies if copy.state == "held"]
    if not held or any(copy.letter.damaged or copy.recipient.state == "removed" for copy in held):
        refuse("conflict")
    return sorted(held, key=lambda copy: copy.recipient.name)


# --- recall -----------------------------------------------------------------------------------------


def recall(paper: Paper, caller: Caller, name: str, *, descendants: bool) -> Answer:
    """DESIGN 5.18: what no turn holds becomes dead; the rest is listed."""
    letter = paper.letter_named(name)
    if letter is None or caller.name not in ("operator", letter.sender):
        refuse("unknown")
    if descendants and caller.name != "operator":
        refuse("denied")
    family = _family(paper, letter) if descendants else [letter]
    copies = sorted(
        (copy for one in family for copy in one.copies), key=lambda copy: (copy.letter.id, copy.recipient.name)
    )
    taken = [copy for copy in copies if copy.state in ("ready", "scheduled", "held")]
    beyond = tuple(_beyond(copy) for copy in copies if copy not in taken)
    for copy in taken:
        copy.state, copy.discarded = "dead", True
    if taken and caller.name == "operator":
        paper.audit.append(("message.recalled", name))
    return ("recalled", tuple(f"{copy.name}/{copy.recipient.name}" for copy in taken), beyond)


def _beyond(copy: Copy) -> Answer:
    turn = f"t{copy.turn}" if copy.state in ("leased", "acked") and copy.turn is not None else None
    return (copy.name, copy.recipient.name, SHOWN[copy.state], turn)


def _family(paper: Paper, letter: Letter) -> list[Letter]:
    """It, what was sent in turns that held it, in turns that held that, and so on."""
    family = [letter]
    for one in family:  # it grows meanwhile
        turns = {turn.id for turn in paper.turns if any(copy in turn.leases for copy in one.copies)}
        family += [other for other in paper.letters if other.turn in turns and not (other in family or other.gone)]
    return family


# --- freeze -----------------------------------------------------------------------------------------


def freeze(paper: Paper, everybody: bool, names: frozenset[str]) -> Answer:
    """DESIGN 5.18: these are frozen and no others; their turns are over, their mail goes back uncounted."""
    agents = [agent for _, agent in sorted(paper.agents.items()) if agent.role != "operator"]
    known = [agent for agent in agents if agent.state != "removed" or agent.frozen]
    before = {agent.name for agent in agents if paper.is_frozen(agent)}
    marked_before = {agent.name for agent in agents if agent.frozen}
    frozen, thawed = everybody > paper.everybody_is_frozen, paper.everybody_is_frozen > everybody
    paper.everybody_is_frozen = everybody
    for agent in agents:
        agent.frozen = agent.name in names
    changed = [agent for agent in known if paper.is_frozen(agent) != (agent.name in before)]
    for agent in changed:
        if paper.is_frozen(agent):
            paper.release_turns(agent, "stopped", died=False)
    marked = {agent.name for agent in known if agent.frozen}
    if frozen or marked - marked_before:
        paper.audit.append(("fleet.frozen", "fleet"))
    if thawed or marked_before - marked:
        paper.audit.append(("fleet.thawed", "fleet"))
    return ("frozen", everybody, tuple(sorted(marked)), tuple(agent.name for agent in changed))
