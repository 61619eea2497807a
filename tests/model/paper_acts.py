"""What senders and turns do on paper. Each act gives its answer in the words of `answers`, or refuses.

Long because a turn, from the send that fills it to the way in which it ends, is read in one piece.
"""

from typing import Any

from broker.services.callers import Caller
from tests.model import paper_asks
from tests.model.paper import OUT_OF_THE_WAY, Agent, Copy, Letter, Paper, Turn, number_of, refuse
from tests.model.paper_storms import put_in, weigh
from wire.escaping import rendered_bytes
from wire.turns import (
    BATCH_BYTES,
    CLIENT_OUTCOMES,
    COUNTED,
    LEASE_MS,
    MAX_FAILURES,
    TURN_BYTES,
    TURN_MESSAGES,
    backoff_ms,
)

Answer = tuple[Any, ...] | None
"""None: it would wait."""
MOST_EARLIER = 8
"""Earlier sends that are shown with a batch."""


# --- sending ----------------------------------------------------------------------------------------


def send(paper: Paper, caller: Caller, to: str, body: str, reply: str | None, key: str) -> Answer:
    """DESIGN 5.1, 5.12–5.16."""
    asked = (to, body, reply)
    earlier = paper.keys.get((caller.name, key))
    if earlier is not None:
        if earlier.asked != asked:
            refuse("conflict")
        return ("sent", f"m{earlier.id}", *earlier.receipt, True)
    if len(body.encode()) > paper.rules.limits.body_bytes:
        refuse("invalid")
    sender, bucket = metered(paper, caller)
    answers, warnings = _party(paper, sender, reply)
    size = rendered_bytes(body)
    skipped: list[tuple[str, str]] = []
    if to == "*":
        reached, skipped = _members(paper, sender, size)
    else:
        reached = [_recipient(paper, sender, to, size)]
        warnings += reached[0].state == "stopped"
    turn = paper.open_turn(sender)
    if turn is not None and caller.epoch not in (None, turn.epoch):
        turn = None
    number, sent_in = len(paper.letters) + 1, turn.id if turn else None
    by_operator = sender.name == "operator"
    kind = "operator" if by_operator else "manager" if sender.role == "manager" else "peer"
    depth = 0 if by_operator else 1 + (turn.depth if turn else 0)
    held = weigh(paper, sender, depth, reached, number)
    state = "held" if held and len(held) == len(reached) else "queued"
    receipt = (to, tuple(agent.name for agent in reached), tuple(skipped), warnings + bool(held), state)
    letter = Letter(number, sender.name, kind, body, to, answers, depth, sent_in, key, asked, receipt)
    paper.letters.append(letter)
    paper.keys[sender.name, key] = letter
    put_in(paper, letter, sender, reached, held, size)
    if not by_operator:
        sender.bucket, sender.bucket_at = bucket, paper.now
    if turn is not None and turn.attended and answers is not None:
        settle_copies(paper, turn, [copy for copy in turn.held if copy.letter.id == answers])
    return ("sent", f"m{letter.id}", *receipt, False)


def known(paper: Paper, caller: Caller) -> Agent:
    """Whoever acts, if it is part of the fleet and not frozen."""
    sender = paper.present(caller.name)
    if sender is None:
        refuse("unknown")
    if paper.is_frozen(sender):
        refuse("denied")
    return sender


def metered(paper: Paper, caller: Caller) -> tuple[Agent, float]:
    """Whoever sends, and what is left in its bucket after that."""
    sender = known(paper, caller)
    if sender.name == "operator":
        return sender, 0.0
    if paper.rules.disk_is_low:
        refuse("full")
    limits = paper.rules.limits
    tokens = float(limits.send_burst)
    if sender.bucket_at:
        elapsed = max(paper.now - sender.bucket_at, 0)
        tokens = min(tokens, sender.bucket + elapsed * limits.send_per_minute / 60_000)
    if tokens < 1.0:
        refuse("limited")
    return sender, tokens - 1.0


def _party(paper: Paper, sender: Agent, reply: str | None) -> tuple[int | None, int]:
    """The letter that is answered, if the sender was a party to it, and the number of warnings."""
    if reply is None:
        return None, 0
    letter = paper.letter_named(reply)
    if letter is None:
        return None, 1
    if any(ask.letter is letter and ask.target == sender.name for ask in paper_asks.open_ones(paper)):
        return letter.id, 1  # "use answer"
    if letter.sender == sender.name or any(copy.recipient is sender for copy in letter.copies):
        return letter.id, 0
    return None, 1


def may_write(sender: Agent, recipient: Agent) -> bool:
    """DESIGN 5.16, for one pair."""
    privileged = {"manager", "operator"}
    allowed = sender.settings.allowed_recipients
    return bool({sender.role, recipient.role} & privileged) or allowed is None or recipient.name in allowed


def has_room(paper: Paper, sender: Agent, recipient: Agent, size: int) -> bool:
    """Whether mail of the sender fits into an inbox; the operator's always does."""
    messages, load = paper.load(recipient)
    limits = paper.rules.limits
    fits = messages + 1 <= limits.inbox_messages and load + size <= limits.inbox_bytes
    return fits or sender.name == "operator"


def _recipient(paper: Paper, sender: Agent, to: str, size: int) -> Agent:
    recipient = paper.manager() if to == "manager" else paper.present(to)
    if recipient is None:
        refuse("unknown")
    if recipient is sender:
        refuse("invalid")
    if not may_write(sender, recipient):
        refuse("denied")
    if not has_room(paper, sender, recipient, size):
        refuse("full")
    return recipient


def _members(paper: Paper, sender: Agent, size: int) -> tuple[list[Agent], list[tuple[str, str]]]:
    reached: list[Agent] = []
    skipped: list[tuple[str, str]] = []
    for name in sorted(paper.agents):
        agent = paper.agents[name]
        if agent is sender or agent.role == "operator" or agent.state != "active":
            continue
        if not may_write(sender, agent):
            skipped.append((name, "denied"))
        elif not has_room(paper, sender, agent, size):
            skipped.append((name, "full"))
        else:
            reached.append(agent)
    if not reached:
        reasons = {reason for _, reason in skipped}
        refuse("full" if "full" in reasons else "denied" if reasons else "unknown")
    return reached, skipped


# --- turns ------------------------------------------------------------------------------------------


def open_turn(paper: Paper, caller: Caller) -> Answer:
    """DESIGN 5.2."""
    if caller.attended:
        refuse("conflict")
    agent = paper.holder(caller)
    turn = paper.open_turn(agent)
    if turn is not None:
        return ("opened", again(paper, turn))
    if not paper.may_work(agent):
        return None
    batch = _chosen(paper, agent, None, agent.settings.batch_max, BATCH_BYTES, joining=False)
    if not batch:
        return None
    for lapsed in paper.turns:
        if lapsed.agent is agent and lapsed.state == "lapsed":
            paper.end(lapsed, "lapsed")
    turn = paper.add_turn(agent)
    paper.lease(turn, batch)
    return ("opened", _shown(paper, turn, batch))


def _chosen(paper: Paper, agent: Agent, turn: Turn | None, most: int, room: int, *, joining: bool) -> list[Copy]:
    batch, damaged = paper.choose(agent, turn, most, room, joining=joining)
    paper.hold(damaged)
    return batch


def again(paper: Paper, turn: Turn) -> Answer:
    """The open turn once more, with a fresh lease."""
    turn.lease_until = paper.now + LEASE_MS
    return _shown(paper, turn, turn.held)


def _shown(paper: Paper, turn: Turn, copies: list[Copy]) -> Answer:
    asks = paper_asks.unanswered(paper, turn.agent.name)
    return (turn.name, _mail(paper, turn, copies), paper.waiting(turn.agent), turn.carried_from is not None, asks)


def _mail(paper: Paper, turn: Turn, copies: list[Copy]) -> Answer:
    """Mail as it is handed over, with what earlier attempts sent: the oldest of it, and how much more."""
    shown: list[Answer] = []
    for copy in copies:
        turns = {other.id for other in paper.turns if copy in other.leases and other is not turn}
        again = turns if copy.attempt > 1 else set[int]()
        sent = sorted(one.id for one in paper.letters if one.turn in again and not one.gone)
        first, letter = tuple(f"m{number}" for number in sent[:MOST_EARLIER]), copy.letter
        more = max(len(sent) - MOST_EARLIER, 0)
        shown.append((copy.name, letter.sender, letter.kind, letter.to == "*", copy.attempt, first, more))
    return tuple(shown)


def take(paper: Paper, caller: Caller, name: str | None, most: int, call: str | None) -> Answer:
    """DESIGN 5.3, 5.4."""
    agent = paper.holder(caller)
    turn = paper.open_turn(agent)
    if turn is not None and call is not None:
        same = [copy for copy in turn.held if turn.leases[copy].call == call and not turn.leases[copy].left]
        if same:
            return ("taken", turn.name, _mail(paper, turn, same), paper.waiting(agent), False)
    if caller.attended:
        return _take_attended(paper, agent, turn, most, call)
    if name is not None and number_of(name, "t") is None:
        refuse("unknown")
    if turn is None or turn.name != name:
        refuse("closed")
    if agent.paused or turn.alone or turn.messages >= TURN_MESSAGES or turn.size >= TURN_BYTES:
        return _nothing_more(paper, turn)
    room = min(BATCH_BYTES, TURN_BYTES - turn.size)
    return _join(paper, turn, min(most, TURN_MESSAGES - turn.messages), room, call)


def _take_attended(paper: Paper, agent: Agent, turn: Turn | None, most: int, call: str | None) -> Answer:
    if not paper.may_work(agent):
        return None
    if turn is not None:
        return _nothing_more(paper, turn) if turn.alone else _join(paper, turn, most, BATCH_BYTES, call)
    batch = _chosen(paper, agent, None, most, BATCH_BYTES, joining=False)
    if not batch:
        return None
    turn = paper.add_turn(agent)
    paper.lease(turn, batch, call)
    return ("taken", turn.name, _mail(paper, turn, batch), paper.waiting(agent), False)


def _join(paper: Paper, turn: Turn, most: int, room: int, call: str | None) -> Answer:
    batch = _chosen(paper, turn.agent, turn, most, room, joining=True)
    if not batch:
        rest, _ = paper.choose(turn.agent, turn, 1, BATCH_BYTES, joining=False)
        return _nothing_more(paper, turn) if rest else None
    paper.lease(turn, batch, call)
    return ("taken", turn.name, _mail(paper, turn, batch), paper.waiting(turn.agent), False)


def _nothing_more(paper: Paper, turn: Turn) -> Answer:
    return ("taken", turn.name, (), paper.waiting(turn.agent), True)


def renew(paper: Paper, caller: Caller, name: str) -> Answer:
    """DESIGN 5.6."""
    number = number_of(name, "t")
    if number is None:
        refuse("unknown")
    turn = next((turn for turn in paper.turns if turn.id == number and turn.agent.name == caller.name), None)
    if turn is None or turn.state != "open" or turn.epoch != caller.epoch:
        refuse("stale")
    turn.lease_until = paper.now + LEASE_MS
    return ("renewed", LEASE_MS)


def resume(paper: Paper, caller: Caller, name: str) -> Answer:
    """DESIGN 5.7."""
    agent = paper.holder(caller)
    turn = paper.turn_named(name, caller.name)
    if turn.epoch != caller.epoch or turn.state == "closed":
        refuse("stale")
    if turn.state == "lapsed":
        _retake(paper, agent, turn)
    return ("opened", again(paper, turn))


def _retake(paper: Paper, agent: Agent, turn: Turn) -> None:
    """As long as no delivery of a lapsed turn was leased again."""
    mine = {copy: lease for copy, lease in turn.leases.items() if not lease.left}
    untouched = all(copy.state == "ready" and copy.attempt == lease.attempt for copy, lease in mine.items())
    if paper.open_turn(agent) is not None or not mine or not untouched or turn.messages > len(mine):
        refuse("stale")
    for copy in mine:
        copy.state, copy.turn, copy.restarts = "leased", turn.id, max(copy.restarts - (not turn.attended), 0)
        paper.releases -= 1
    turn.state, turn.lease_until = "open", paper.now + LEASE_MS


def give_back(paper: Paper, caller: Caller, name: str, ids: list[str]) -> Answer:
    """DESIGN 5.3."""
    turn = paper.turn_named(name, caller.name)
    if turn.state != "open":
        return ("given back", ())
    if caller.epoch not in (turn.epoch,) or turn.agent.epoch != caller.epoch:
        refuse("stale")
    held = turn.held
    copies = [copy for copy in held if copy.name in ids]
    paper.back(copies)
    paper.leave(turn, copies)
    if copies and turn.attended and len(copies) == len(held):
        paper.end(turn, "interrupted")
    return ("given back", tuple(copy.name for copy in copies))


def close(paper: Paper, caller: Caller, name: str, outcome: str, begun: bool, carry: list[str]) -> Answer:
    """DESIGN 5.5, 5.7, 5.9."""
    if outcome not in CLIENT_OUTCOMES:
        refuse("invalid")
    turn = paper.turn_named(name, caller.name)
    agent = turn.agent
    if turn.state == "closed":
        return _closed_again(paper, caller, turn, outcome)
    if caller.epoch not in (turn.epoch,) or agent.epoch != caller.epoch:
        refuse("stale")
    if turn.state == "lapsed":
        paper.holder(caller)
        _retake(paper, agent, turn)
    carried = [copy for copy in turn.held if copy.name in carry]
    own = [copy for copy in turn.held if copy not in carried]
    paper.end(turn, outcome)
    acked, back, dead = _settled(paper, agent, own, outcome, begun)
    following = _carry(paper, turn, carried) if carried else None
    return ("closed", turn.name, acked, back, dead, following)


def _settled(paper: Paper, agent: Agent, own: list[Copy], outcome: str, begun: bool) -> tuple[Answer, Answer, Answer]:
    names = tuple(copy.name for copy in own)
    if outcome == "completed":
        for copy in own:
            copy.state = "acked"
        return names, (), ()
    if not begun or outcome not in COUNTED:
        paper.back(own)
        return (), names, ()
    dead: list[Copy] = []
    for copy in own:
        paper.releases += 1
        copy.failures += 1
        copy.alone = copy.alone or len(own) > 1
        copy.state, copy.ready_at = "ready", paper.now + backoff_ms(copy.failures)
        if copy.failures >= MAX_FAILURES:
            copy.state, copy.ready_at = "dead", 0
            dead.append(copy)
    paper.tell_of_dead(agent, dead)
    back = tuple(copy.name for copy in own if copy not in dead)
    return (), back, tuple(copy.name for copy in dead)


def _carry(paper: Paper, turn: Turn, copies: list[Copy]) -> Answer:
    following = paper.add_turn(turn.agent, carried_from=turn.id)
    for copy in copies:
        turn.leases[copy].left = True
        copy.turn = following.id
    paper.enter(following, copies)
    return _shown(paper, following, copies)


def _closed_again(paper: Paper, caller: Caller, turn: Turn, outcome: str) -> Answer:
    if turn.outcome != outcome:
        refuse("stale")
    acked = [copy for copy in turn.agent.copies if copy.state == "acked" and copy.turn == turn.id]
    names = tuple(copy.name for copy in sorted(acked, key=lambda copy: copy.place))
    following = paper.open_turn(turn.agent)
    carried = following is not None and following.carried_from == turn.id and turn.agent.epoch == caller.epoch
    return ("closed", turn.name, names, (), (), again(paper, following) if carried and following else None)


# --- attended ---------------------------------------------------------------------------------------


def settle(paper: Paper, caller: Caller, done: str | None) -> Answer:
    """DESIGN 5.4: `turns.settle`."""
    agent = paper.agents.get(caller.name)
    if agent is None:
        return ("settled", ())
    if caller.epoch not in (None, agent.epoch):
        refuse("stale")
    turn = paper.open_turn(agent)
    if turn is None or not turn.attended:
        return ("settled", ())
    copies = turn.held
    if done is not None:
        letter = paper.letter_named(done)
        if letter is None or not any(copy.recipient is agent for copy in letter.copies):
            refuse("unknown")
        names = [copy.name for copy in copies]
        copies = copies[: names.index(done) + 1] if done in names else []
    settle_copies(paper, turn, copies)
    return ("settled", tuple(copy.name for copy in copies))


def settle_copies(paper: Paper, turn: Turn, copies: list[Copy]) -> None:
    """Ack some of an attended turn's mail, in a finished turn of its own while other mail stays."""
    if not copies:
        return
    finished = turn
    if len(copies) < len(turn.held):
        finished = Turn(
            len(paper.turns) + 1, turn.agent, turn.epoch, True, False, turn.id, 0, 0, turn.depth, turn.lease_until
        )
        paper.turns.append(finished)
        until = turn.lease_until
        paper.leave(turn, copies)
        paper.enter(finished, copies)
        finished.size, finished.depth, finished.alone, finished.lease_until = 0, turn.depth, False, until
    for copy in copies:
        assert copy.state not in OUT_OF_THE_WAY
        copy.state, copy.turn = "acked", finished.id
    paper.end(finished, "completed")
