"""What people do with asks on paper. Each act gives its answer in the words of `answers`, or refuses."""

from typing import NamedTuple

from broker.services.callers import Caller
from tests.model import paper_asks
from tests.model.paper import Agent, Letter, Paper, Turn, refuse
from tests.model.paper_acts import Answer, has_room, known, may_write, metered, settle_copies
from tests.model.paper_asks import Ask
from tests.model.paper_storms import forgive, put_in, weigh
from wire.asks import DEFAULT_TTL_OPERATOR_S, DEFAULT_TTL_PEER_S, MAX_OPEN, MAX_TTL_S, PERMISSION_TTL_S
from wire.escaping import rendered_bytes


class Wanted(NamedTuple):
    """What somebody wants to know."""

    to: str
    question: str
    kind: str = "question"
    options: tuple[str, ...] | None = None
    multi: bool = False
    ttl_s: float | None = None

    @property
    def ttl_ms(self) -> int:
        """How long it stays open."""
        if self.ttl_s is not None:
            return max(int(self.ttl_s * 1000), 1)
        if self.kind == "permission":
            return PERMISSION_TTL_S * 1000
        return 1000 * (DEFAULT_TTL_OPERATOR_S if self.to == "operator" else DEFAULT_TTL_PEER_S)


# --- asking -----------------------------------------------------------------------------------------


def ask(paper: Paper, caller: Caller, wanted: Wanted) -> Answer:
    """A question goes through admission like a send; a permission belongs to a harness and its turn."""
    options = _options(wanted)
    text = "\n".join([wanted.question, *(options or [])])
    too_long = len(text.encode()) > paper.rules.limits.body_bytes
    if too_long or (wanted.ttl_s is not None and wanted.ttl_s > MAX_TTL_S):
        refuse("invalid")
    if wanted.kind == "permission":
        if caller.epoch is None or caller.attended:
            refuse("denied")
        sender = known(paper, caller)
        if sending_turn(paper, caller, sender) is None:
            refuse("closed")
        target = _target(paper, sender, wanted.to)
        for same in paper_asks.open_ones(paper):
            if (same.kind, same.asker, same.target, same.question) == (
                "permission", sender.name, target.name, wanted.question,
            ):  # fmt: skip
                return ("asked", same.name, wanted.to, same.deadline, "open", 0, True)
    else:
        sender, bucket = metered(paper, caller)
        target = _target(paper, sender, wanted.to)
        _require_admission(paper, sender, target, rendered_bytes(text))
        if sender.name != "operator":
            sender.bucket, sender.bucket_at = bucket, paper.now
    return _put(paper, caller, sender, target, wanted, options, rendered_bytes(text))


def _options(wanted: Wanted) -> list[str] | None:
    if wanted.options is None:
        if wanted.multi:
            refuse("invalid")
        return None
    options = [" ".join(option.split()) for option in wanted.options]
    if "" in options or len({option.lower() for option in options}) < len(options) or wanted.kind == "permission":
        refuse("invalid")
    return options


def sending_turn(paper: Paper, caller: Caller, sender: Agent) -> Turn | None:
    """The turn that the caller sends from, if one is open under its epoch."""
    turn = paper.open_turn(sender)
    return turn if turn is not None and caller.epoch in (None, turn.epoch) else None


def _target(paper: Paper, sender: Agent, to: str) -> Agent:
    if to == "*":
        refuse("invalid")
    target = paper.manager() if to == "manager" else paper.present(to)
    if target is None:
        refuse("unknown")
    if target is sender:
        refuse("invalid")
    return target


def _require_admission(paper: Paper, sender: Agent, target: Agent, size: int) -> None:
    if not may_write(sender, target):
        refuse("denied")
    if target.name != "operator" and not has_room(paper, sender, target, size):
        refuse("full")
    mine = [
        one
        for one in paper_asks.open_ones(paper)
        if one.asker == sender.name and one.kind == "question" and one.job is None
    ]
    if sender.name != "operator" and len(mine) >= MAX_OPEN:
        refuse("limited")


def _put(
    paper: Paper, caller: Caller, sender: Agent, target: Agent, wanted: Wanted, options: list[str] | None, size: int
) -> Answer:
    turn = sending_turn(paper, caller, sender)
    made = Ask(
        len(paper.asks) + 1, wanted.kind, sender.name, target.name, wanted.question, options, wanted.multi,
        turn.id if turn else None, paper.now + wanted.ttl_ms,
    )  # fmt: skip
    paper.asks.append(made)
    held: list[Agent] = []
    if target.name != "operator":
        letter = made.letter = _letter(paper, caller, sender, wanted.to, wanted.question)
        if wanted.kind == "question":
            held = weigh(paper, sender, letter.depth, [target], letter.id)
        letter.about = {
            "ask": made.name, "part": "question", "ask_kind": made.kind, "options": options, "multi": made.multi,
            "deadline_at_ms": made.deadline,
        }  # fmt: skip
        if wanted.kind == "question":
            put_in(paper, letter, sender, [target], held, size)
        else:
            _hand_in(paper, sender, target, letter, size)
    warnings = bool(held) + (target.state == "stopped")
    return ("asked", made.name, wanted.to, made.deadline, "held" if held else "open", warnings, False)


def _letter(paper: Paper, caller: Caller, sender: Agent, to: str, body: str, reply: int | None = None) -> Letter:
    """Write a letter of an ask; it is stamped as a send of the same caller would be."""
    turn = sending_turn(paper, caller, sender)
    by_operator = sender.name == "operator"
    kind = "operator" if by_operator else "manager" if sender.role == "manager" else "peer"
    depth = 0 if by_operator else 1 + (turn.depth if turn else 0)
    number, sent_in = len(paper.letters) + 1, turn.id if turn else None
    letter = Letter(number, sender.name, kind, body, to, reply, depth, sent_in, None, (), ())
    paper.letters.append(letter)
    return letter


def _hand_in(paper: Paper, sender: Agent, recipient: Agent, letter: Letter, size: int) -> None:
    """What is neither weighed nor counted as traffic."""
    paper.add_copy(letter, recipient, size, rank=0 if sender.name == "operator" else 1, in_order=True)


# --- answering --------------------------------------------------------------------------------------


def answer(paper: Paper, caller: Caller, name: str, text: str) -> Answer:
    """The first answer of the target or the operator; its mail has headroom of its own."""
    found = _mine(paper, caller, name, also_target=True)
    if found.state != "open":
        refuse("closed")
    if caller.name == found.asker and (caller.name != "operator" or found.job is None):
        refuse("denied")
    if found.damaged:
        refuse("conflict")
    if len(text.encode()) > paper.rules.limits.body_bytes:
        refuse("invalid")
    words, warnings = _chosen(found, text)
    sender = known(paper, caller)
    letter = None
    if found.kind == "question" and found.asker != found.target:  # but for the operator's own jobs
        reply = found.letter.id if found.letter else None
        letter = _letter(paper, caller, sender, found.asker, words, reply)
        letter.about = {"ask": found.name, "part": "answer"}
        _hand_in(paper, sender, paper.agents[found.asker], letter, rendered_bytes(words))
        if sender.name == "operator":
            forgive(paper, [found.asker])
    paper_asks.end(paper, found, "answered")
    found.answer, found.answered_by, found.brought_by = words, caller.name, letter.id if letter else None
    if caller.name != found.target:
        paper_asks.expire_mail(found)
    else:
        _settle(paper, sending_turn(paper, caller, sender), found)
    if caller.name == "operator":
        paper.audit.append(("ask.answered", found.name))
    elif found.kind == "permission":
        paper.audit.append(("permission.decided", found.name))
    return ("answered", found.name, found.asker, f"m{letter.id}" if letter else None, warnings)


def _settle(paper: Paper, turn: Turn | None, answered: Ask) -> None:
    """In an attended turn the answer acks the mail that put the question."""
    if turn is not None and turn.attended and answered.letter is not None:
        settle_copies(paper, turn, [copy for copy in turn.held if copy.letter is answered.letter])


def _mine(paper: Paper, caller: Caller, name: str, *, also_target: bool) -> Ask:
    found = paper_asks.named(paper, name)
    if found is None or caller.name not in ("operator", found.asker, found.target if also_target else found.asker):
        refuse("unknown")
    return found


def _chosen(found: Ask, text: str) -> tuple[str, int]:
    """What is stored, and how many warnings come with it."""
    if found.kind == "permission":
        word = text.strip().lower()
        if word not in ("allow", "always", "deny"):
            refuse("invalid")
        return word, 0
    if not found.options:
        return text, 0
    spelled = {option.lower(): option for option in found.options}
    separator = ("\n" if "\n" in text.strip() else ",") if found.multi else "\0"
    parts = [" ".join(part.split()).lower() for part in (text, *text.split(separator)) if part.strip()]
    if parts and parts[0] in spelled:
        return spelled[parts[0]], 0
    if any(part not in spelled for part in parts[1:]):
        return text, 1
    chosen = list(dict.fromkeys(spelled[part] for part in parts[1:]))
    return ("\n" if any("," in option for option in chosen) else ", ").join(chosen) or text, 0


# --- ending, waiting --------------------------------------------------------------------------------


def cancel(paper: Paper, caller: Caller, name: str) -> Answer:
    """Asker and operator; the other side is told, both where the operator did it."""
    found = _mine(paper, caller, name, also_target=False)
    if found.state != "open":
        refuse("closed")
    paper_asks.end(paper, found, "cancelled")
    paper_asks.expire_mail(found)
    if found.target != "operator":
        paper_asks.tell(paper, found.target, found)
    if caller.name == "operator":
        paper.audit.append(("ask.cancelled", found.name))
        if found.kind == "question" and found.asker != "operator":
            paper_asks.tell(paper, found.asker, found)
    return ("withdrawn", found.name)


def wait(paper: Paper, caller: Caller, name: str) -> Answer:
    """The harness that asked for a permission waits for its end."""
    found = _mine(paper, caller, name, also_target=False)
    if caller.name != found.asker:
        refuse("unknown")
    if found.kind != "permission":
        refuse("invalid")
    return None if found.state == "open" else ("waited", found.name, found.state, found.answer, found.answered_by)
