"""Retention on paper: what ended before its time is gone (DESIGN 5.19), and only that."""

from broker.services.notices import MERGE_MS
from broker.services.replies import KEPT_MS
from broker.services.storms import DAY_MS
from tests.model import paper_jobs, paper_reminders
from tests.model.paper import Copy, Letter, Paper
from tests.model.paper_acts import Answer
from tests.model.paper_storms import step_of
from wire.settings import RetentionSettings


def forget(paper: Paper, settings: RetentionSettings) -> Answer:
    """Delete all that is old enough."""
    handled, dead = settings.handled_days * DAY_MS, settings.dead_days * DAY_MS
    _forget_mail(paper, paper.now - int(handled), paper.now - int(dead))
    _forget_asks(paper, paper.now - int(handled))
    paper_jobs.forget_secrets(paper)
    paper_jobs.forget(paper, paper.now - int(handled))
    paper_reminders.forget(paper, paper.now - int(handled))
    _forget_turns(paper, paper.now - int(max(handled, dead, settings.statistics_days * DAY_MS)))
    paper.traffic = [one for one in paper.traffic if step_of(one.at) >= paper.now - DAY_MS]
    for who, told in list(paper.told.items()):
        if told.due is None and told.at < paper.now - MERGE_MS:
            del paper.told[who]
    for key, at in list(paper.answered_at.items()):
        if at < paper.now - KEPT_MS:
            del paper.answered[key], paper.answered_at[key]
    return None


def _forget_mail(paper: Paper, handled_before: int, dead_before: int) -> None:
    letters: list[Letter] = []
    for copy in paper.copies:
        before = {"acked": handled_before, "dead": dead_before, "expired": dead_before}.get(copy.state)
        if before is not None and copy.settled_at is not None and copy.settled_at < before:
            _forget_copy(paper, copy)
            letters.append(copy.letter)
    _forget_letters(paper, letters)


def _forget_copy(paper: Paper, copy: Copy) -> None:
    mailbox = copy.recipient.name == "operator" and copy.state == "acked"
    fate = "mailbox" if mailbox else "handled" if copy.state == "acked" else copy.state
    paper.forgotten[fate] += 1
    paper.forgotten["redelivered"] += max(copy.attempt - 1, 0)
    copy.state = "gone"
    copy.settled_at = None
    copy.letter.copies.remove(copy)
    copy.recipient.copies.remove(copy)
    copy.recipient.place = max((other.place for other in copy.recipient.copies), default=0)
    for turn in paper.turns:
        turn.leases.pop(copy, None)


def _forget_letters(paper: Paper, letters: list[Letter]) -> None:
    """A letter goes with its last copy, unless an open ask needs it; so does its key."""
    needed = [ask.letter for ask in paper.asks if ask.state == "open"]
    for letter in letters:
        if not letter.copies and letter not in needed:
            letter.gone = True
            if letter.key is not None:
                paper.keys.pop((letter.sender, letter.key), None)


def _forget_asks(paper: Paper, before: int) -> None:
    for ask in paper.asks:
        if ask.ended is not None and ask.ended < before and not ask.gone:
            ask.gone = True
            answer = [paper.letters[ask.brought_by - 1]] if ask.brought_by is not None else []
            _forget_letters(paper, [*([ask.letter] if ask.letter is not None else []), *answer])


def _forget_turns(paper: Paper, before: int) -> None:
    """Not before the mail that they had, and of each agent not the newest."""
    newest = {turn.agent.name: turn for turn in paper.turns}
    for turn in paper.turns:
        old = turn.closed_at is not None and turn.closed_at < before
        turn.gone = turn.gone or (old and not turn.leases and turn is not newest[turn.agent.name])
