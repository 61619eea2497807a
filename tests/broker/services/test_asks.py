"""Asks: put once, answered once, withdrawn by whom they concern; each with its mail in the same transaction."""

import json
from typing import Any

import pytest

from broker.services.callers import Caller, Rules
from tests.broker.services.refusals import refused
from tests.fakes import asks
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.asks import DAY_S, MAX_OPEN, MAX_TTL_S
from wire.errors import Closed, Conflict, Denied, Full, Invalid, Limited, Unknown
from wire.settings import AgentSettings, Limits

OWN = by_token("alice")
OF_BOB = by_token("bob")
OF_CAROL = by_token("carol")


def body(office: FakeOffice, message: str | None) -> str:
    """Give what a message says."""
    assert message is not None
    return office.row("SELECT body FROM messages WHERE id = :id", id=int(message[1:]))["body"]


# --- asking -----------------------------------------------------------------------------------------


def test_a_question_to_an_agent_is_a_row_and_a_letter(office: FakeOffice, bob: Caller) -> None:
    """[H08] DESIGN 5 Asks: in one transaction; the mail shows which ask it is, what may be chosen and until when."""
    asked = asks.ask(office, OWN, question="Which pump?", options=["left", "right one"], multi=True)
    assert (asked.id, asked.to, asked.state, asked.warnings) == ("a1", "bob", "open", [])
    assert asked.deadline_at_ms == office.clock.now_ms() + DAY_S * 1000
    (mail,) = office.opened(bob).mail
    assert (mail.sender, mail.kind, mail.body, mail.depth) == ("alice", "peer", "Which pump?", 1)
    assert mail.about is not None
    assert mail.about.model_dump(exclude_defaults=True) == {
        "ask": "a1",
        "part": "question",
        "ask_kind": "question",
        "options": ["left", "right one"],
        "multi": True,
        "deadline_at_ms": asked.deadline_at_ms,
    }
    assert office.row("SELECT message, turn FROM asks")["message"] == 1


def test_a_question_survives_the_broker(office: FakeOffice, bob: Caller) -> None:
    """[H08] [P01]: durable once answered; a restart changes nothing of it, and it is answered after that."""
    asks.ask(office, OWN)
    office.restart()
    assert asks.state(office, "a1") == "open"
    told = asks.answer(office, OF_BOB, "a1")
    office.restart()
    assert asks.state(office, "a1") == "answered"
    assert body(office, told.message) == "the left one"
    assert bob.epoch == 1


def test_a_question_to_the_operator_is_no_mail(office: FakeOffice) -> None:
    """DESIGN 5 Asks: it stands in the list; 7 days by default."""
    asked = asks.ask(office, OWN, "operator")
    assert asked.deadline_at_ms == office.clock.now_ms() + 7 * DAY_S * 1000
    assert office.states("operator") == {}
    assert office.row("SELECT message FROM asks")["message"] is None


def test_the_manager_is_resolved_when_it_is_asked(office: FakeOffice) -> None:
    """DESIGN 5.1: an address like any other."""
    assert asks.ask(office, OWN, "manager").to == "manager"
    assert office.row("SELECT target FROM asks")["target"] == "boss"


def test_the_operator_asks_an_agent(office: FakeOffice, bob: Caller) -> None:
    """[H08]: its mail is operator mail; the answer comes into the operator's mailbox."""
    asks.ask(office, OPERATOR_CALLER)
    (mail,) = office.opened(bob).mail
    assert mail.kind == "operator"
    told = asks.answer(office, bob, "a1")
    assert office.states("operator") == {told.message: "ready"}


@pytest.mark.parametrize(
    ("caller", "to", "code"),
    [
        (OWN, "alice", Invalid), (by_token("boss"), "manager", Invalid), (OPERATOR_CALLER, "operator", Invalid),
        (OWN, "*", Invalid), (OWN, "nobody", Unknown), (OWN, "system", Unknown),
    ],
)  # fmt: skip
def test_an_ask_to_oneself_to_all_or_to_nobody_is_refused(
    office: FakeOffice, caller: Caller, to: str, code: type[Invalid | Unknown]
) -> None:
    """Issue 3, misuse: a clear error, nothing stored."""
    refused(office, code, lambda: asks.ask(office, caller, to))


def test_a_ttl_beyond_the_cap_is_refused(office: FakeOffice) -> None:
    """Issue 3, misuse: 30 days are accepted, more is told the cap."""
    asked = asks.ask(office, OWN, ttl_s=float(MAX_TTL_S))
    assert asked.deadline_at_ms == office.clock.now_ms() + MAX_TTL_S * 1000
    error = refused(office, Invalid, lambda: asks.ask(office, OWN, ttl_s=MAX_TTL_S + 1.0))
    assert "30 days" in error.message


@pytest.mark.parametrize(
    "fields",
    [
        {"options": ["a", "A "]}, {"options": ["a", " \n"]}, {"multi": True}, {"question": "x" * 25_000},
        {"options": ["ü" * 500] * 20, "question": "x" * 20_000},
    ],
)  # fmt: skip
def test_what_nobody_could_answer_is_refused(office: FakeOffice, fields: dict[str, Any]) -> None:
    """Ours: options that are the same, none at all, or more than one letter holds."""
    refused(office, Invalid, lambda: asks.ask(office, OWN, **fields))


def test_a_question_goes_through_admission_like_a_send(office: FakeOffice) -> None:
    """[H23] DESIGN 5.14, 5.16: allow-list, bucket, quota, disk; the operator is always reachable."""
    office.add("dora", AgentSettings(allowed_recipients=["carol"]))
    refused(office, Denied, lambda: asks.ask(office, by_token("dora")))
    asks.ask(office, by_token("dora"), "carol")
    asks.ask(office, by_token("dora"), "operator")
    office.rules = Rules(Limits(inbox_messages=1, send_burst=2))
    refused(office, Full, lambda: asks.ask(office, OWN, "carol"))
    asks.ask(office, OWN, "operator")
    asks.ask(office, OWN, "operator")
    refused(office, Limited, lambda: asks.ask(office, OWN, "operator"))
    office.rules = Rules(Limits(disk_headroom_bytes=1000), disk_free_bytes=1)
    refused(office, Full, lambda: asks.ask(office, OF_BOB, "operator"))


def test_so_many_questions_may_be_open_and_no_more(office: FakeOffice) -> None:
    """[H08]: the cap says how many there are, and what to do; an answer makes room."""
    for _ in range(MAX_OPEN):
        asks.ask(office, OWN, "operator")
    error = refused(office, Limited, lambda: asks.ask(office, OWN, "operator"))
    assert f"{MAX_OPEN} of your questions are open (limit {MAX_OPEN})" in error.message
    assert "cancel_ask" in error.message
    asks.answer(office, OPERATOR_CALLER, "a1")
    asks.ask(office, OWN, "operator")


def test_the_same_key_asks_once(office: FakeOffice) -> None:
    """DESIGN 4 Retries: the first receipt again; other content under the same key is a conflict."""
    first = asks.ask(office, OWN, key="k")
    before = office.contents()
    assert asks.ask(office, OWN, key="k") == first
    assert office.contents() == before
    refused(office, Conflict, lambda: asks.ask(office, OWN, question="else", key="k"))


def test_a_stopped_agent_is_asked_with_a_warning(office: FakeOffice) -> None:
    """DESIGN 10: its mail is kept."""
    office.damage("UPDATE agents SET state = 'stopped' WHERE name = 'bob'")
    assert "is stopped" in asks.ask(office, OWN).warnings[0]


def test_questions_count_among_what_may_be_a_storm(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """[P05] DESIGN 5.15: what is held says so; the ask is open and may be answered all the same."""
    office.rules = Rules(Limits(storm_messages=2))
    office.send(OWN, "bob")
    office.opened(bob)
    kept = [asks.ask(office, bob, "alice", f"{number}?") for number in range(4)]
    assert [one.state for one in kept] == ["open", "open", "held", "held"]
    assert "held, not handed to alice" in kept[2].warnings[0]
    assert list(office.states("alice").values()) == ["ready", "ready", "held", "held"]
    assert asks.answer(office, alice, "a3").asker == "bob"


# --- answering --------------------------------------------------------------------------------------


def test_an_answer_closes_the_ask_and_comes_as_mail(office: FakeOffice, alice: Caller, bob: Caller) -> None:
    """[H08] [Z1] DESIGN 5 Asks: one transaction; a reply to the question, of the answerer's kind."""
    asks.ask(office, OWN)
    office.opened(bob)
    told = asks.answer(office, bob, "a1")
    assert (told.id, told.asker, told.warnings) == ("a1", "alice", [])
    (mail,) = office.opened(alice).mail
    assert (mail.id, mail.sender, mail.kind, mail.body) == (told.message, "bob", "peer", "the left one")
    assert (mail.in_reply_to, mail.depth) == ("m1", 2)
    assert mail.about is not None
    assert mail.about.model_dump(exclude_defaults=True) == {"ask": "a1", "part": "answer"}
    row = office.row("SELECT * FROM asks")
    assert (row["state"], row["answer"], row["answered_by"], row["answer_message"]) == (
        "answered", "the left one", "bob", 2
    )  # fmt: skip


def test_the_first_answer_wins(office: FakeOffice, bob: Caller) -> None:
    """[H08] Issue 3, misuse: the second one is told who was first."""
    asks.ask(office, OWN)
    asks.answer(office, OPERATOR_CALLER, "a1")
    error = refused(office, Closed, lambda: asks.answer(office, bob, "a1"))
    assert "already answered by operator" in error.message
    refused(office, Closed, lambda: asks.answer(office, OPERATOR_CALLER, "a1"))


def test_an_answer_may_be_repeated_under_its_key(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 4 Retries: an answer whose result was lost is no second answer."""
    asks.ask(office, OWN)
    first = asks.answer(office, bob, "a1", key="k")
    assert asks.answer(office, bob, "a1", key="k") == first
    assert len(office.states("alice")) == 1


def test_only_target_and_operator_answer(office: FakeOffice) -> None:
    """[H08] Issue 3, misuse: the asker is told who may; for anybody else there is no such ask."""
    asks.ask(office, OWN)
    error = refused(office, Denied, lambda: asks.answer(office, OWN, "a1"))
    assert "only bob or the operator may answer" in error.message
    foreign = refused(office, Unknown, lambda: asks.answer(office, OF_CAROL, "a1"))
    missing = refused(office, Unknown, lambda: asks.answer(office, OF_CAROL, "a9"))
    assert foreign.message == missing.message.replace("a9", "a1")
    refused(office, Unknown, lambda: asks.answer(office, OF_CAROL, "m1"))
    refused(office, Invalid, lambda: asks.answer(office, OF_BOB, "a1", "x" * 25_000))


def test_an_answer_uses_reserved_headroom(office: FakeOffice) -> None:
    """DESIGN 5.14, 5.16: neither allow-list, bucket, quota nor a full disk holds it back."""
    office.add("dora", AgentSettings(allowed_recipients=[]))
    asks.ask(office, OWN, "dora")
    office.rules = Rules(Limits(inbox_messages=1, send_burst=1, disk_headroom_bytes=1000), disk_free_bytes=1)
    office.damage("UPDATE agents SET bucket = 0, bucket_at = 1 WHERE name = 'dora'")
    office.damage("UPDATE agents SET inbox_messages = 5 WHERE name = 'alice'")
    assert asks.answer(office, by_token("dora"), "a1").message == "m2"


def test_the_operator_answers_for_another(office: FakeOffice, bob: Caller) -> None:
    """[H08]: whoever has not seen the question need not be woken for it any more; the quota adds up."""
    asks.ask(office, OWN)
    told = asks.answer(office, OPERATOR_CALLER, "a1")
    assert office.state("m1", "bob") == "expired"
    assert office.open(bob) is None
    row = office.row("SELECT inbox_messages, inbox_bytes FROM agents WHERE name = 'bob'")
    assert tuple(row) == (0, 0)
    assert office.row("SELECT kind FROM messages WHERE id = 2")["kind"] == "operator"
    assert told.message == "m2"
    assert ("operator", "ask.answered", "a1") in office.audited()


@pytest.mark.parametrize(
    ("given", "multi", "stored"),
    [
        (" LEFT ", False, "left"), ("right\nONE", False, "right one"), ("Right One, left", True, "right one, left"),
        ("left\nleft\n", True, "left"), ("b, c", True, "b, c"), ("B, C\nleft", True, "b, c\nleft"),
    ],
)  # fmt: skip
def test_an_option_is_stored_in_its_own_spelling(office: FakeOffice, given: str, multi: bool, stored: str) -> None:
    """Ours: programs compare; several by commas, or by lines where an option holds one."""
    asks.ask(office, OWN, options=["left", "right  one", "b, c"], multi=multi)
    told = asks.answer(office, OF_BOB, "a1", given)
    assert (body(office, told.message), told.warnings) == (stored, [])


def test_a_free_answer_is_accepted_with_a_warning(office: FakeOffice) -> None:
    """Ours: none of the options may fit; whoever answers is told, whoever asked reads it as it stands."""
    asks.ask(office, OWN, options=["left", "right"], multi=True)
    told = asks.answer(office, OF_BOB, "a1", "Left, none")
    assert told.warnings == ["not one of the options: none; they are: left, right"]
    assert body(office, told.message) == "Left, none"


def test_a_question_that_was_withdrawn_or_expired_is_closed(office: FakeOffice) -> None:
    """Issue 3, misuse: the error says how it ended."""
    asks.ask(office, OWN)
    asks.ask(office, OWN, ttl_s=5.0)
    asks.cancel(office, OWN, "a1")
    office.pass_time(5)
    assert "was withdrawn" in refused(office, Closed, lambda: asks.answer(office, OF_BOB, "a1")).message
    assert "deadline passed" in refused(office, Closed, lambda: asks.answer(office, OF_BOB, "a2")).message


def test_an_answer_after_the_asker_was_removed_finds_it_closed(office: FakeOffice, bob: Caller) -> None:
    """Issue 3: its asks ended with it; bob, who has the question, is told once."""
    asks.ask(office, OWN)
    office.opened(bob)
    office.remove("alice")
    refused(office, Closed, lambda: asks.answer(office, bob, "a1"))
    assert office.notices("bob") == ["alice was removed from the fleet, so nobody answers or awaits a1 now."]


def test_nobody_is_written_to_who_is_not_there(office: FakeOffice) -> None:
    """Ours: a row from before a removal closes without mail."""
    asks.ask(office, OWN)
    office.damage("UPDATE agents SET state = 'removed' WHERE name = 'alice'")
    assert asks.answer(office, OF_BOB, "a1").message is None
    assert asks.state(office, "a1") == "answered"


def test_in_an_attended_turn_the_answer_acks_the_question(office: FakeOffice) -> None:
    """DESIGN 5.4: as a reply does; other mail stays with the session."""
    session = office.session("bob")
    asks.ask(office, OWN)
    office.send(OWN, "bob")
    office.taken(session, maximum=2)
    asks.answer(office, session, "a1")
    assert office.states("bob") == {"m1": "acked", "m2": "leased"}


def test_a_reply_to_the_question_warns_to_use_answer(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5 Asks: the letter goes, the ask stays open; once it is closed there is no more to say."""
    asks.ask(office, OWN)
    sent = office.send(OF_BOB, "alice", in_reply_to="m1", key="k")
    assert sent.warnings == ["this is a letter beside a1, which stays open: use answer(id=a1) to answer it"]
    assert office.send(OF_BOB, "alice", in_reply_to="m1", key="k").warnings == sent.warnings
    assert asks.state(office, "a1") == "open"
    assert not office.send(OWN, "bob", in_reply_to="m1").warnings
    asks.answer(office, bob, "a1")
    assert not office.send(OF_BOB, "alice", in_reply_to="m1").warnings


# --- broken rows ------------------------------------------------------------------------------------

DAMAGES = {
    "question": "UPDATE asks SET question = 'Which valve?'",
    "not text": "UPDATE asks SET question = CAST(x'c3ff28' AS TEXT)",
    "options": "UPDATE asks SET options = '{\"a\": 1'",
    "options that are no list": "UPDATE asks SET options = '[1, 2]'",
    "options that are not text": "UPDATE asks SET options = CAST(x'c3ff28' AS TEXT)",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=list(DAMAGES))
def test_a_broken_ask_cannot_be_answered(office: FakeOffice, damage: str) -> None:
    """[H22] DESIGN 5 Asks: the operator cancels it; its expiry and its list work all the same."""
    asks.ask(office, OWN)
    office.damage(damage)
    error = refused(office, Conflict, lambda: asks.answer(office, OPERATOR_CALLER, "a1"))
    assert "the operator should cancel it" in error.message
    asks.cancel(office, OPERATOR_CALLER, "a1")
    assert asks.state(office, "a1") == "cancelled"


# --- withdrawing ------------------------------------------------------------------------------------


def test_a_withdrawn_question_leaves_the_inbox(office: FakeOffice, bob: Caller) -> None:
    """[H09] DESIGN 5.9: expired, for the quota too; the target is told, by a notice that carries the ask."""
    asks.ask(office, OWN)
    office.send(OWN, "bob")
    asks.cancel(office, OWN, "a1")
    assert (office.state("m1", "bob"), office.delivery("m1", "bob")["reason"]) == ("expired", "the ask was withdrawn")
    notice, letter = office.opened(bob).mail
    assert (notice.body, letter.id) == ("alice withdrew a1; no answer is needed any more.", "m2")
    assert notice.about is not None
    assert (notice.about.ask, notice.about.part, notice.in_reply_to) == ("a1", "end", "m1")
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 2
    assert office.notices("alice") == []


def test_a_held_question_that_is_withdrawn_is_not_counted_out_twice(office: FakeOffice) -> None:
    """Ours: held mail left the quota when it was held."""
    asks.ask(office, OWN)
    office.damage("UPDATE deliveries SET state = 'held', reason = 'a test' WHERE message = 1")
    office.damage("UPDATE agents SET inbox_messages = 0, inbox_bytes = 0 WHERE name = 'bob'")
    asks.cancel(office, OWN, "a1")
    assert office.state("m1", "bob") == "expired"
    assert office.row("SELECT inbox_messages FROM agents WHERE name = 'bob'")["inbox_messages"] == 1


def test_a_question_that_a_turn_has_stays_with_it(office: FakeOffice, bob: Caller) -> None:
    """[H09]: the mail is settled with its turn; the answer comes too late."""
    asks.ask(office, OWN)
    turn = office.opened(bob)
    asks.cancel(office, OWN, "a1")
    assert office.state("m1", "bob") == "leased"
    refused(office, Closed, lambda: asks.answer(office, bob, "a1"))
    office.close(bob, turn.id)
    assert office.state("m1", "bob") == "acked"


def test_what_waited_behind_a_withdrawn_question_goes_ahead(office: FakeOffice, bob: Caller) -> None:
    """DESIGN 5.8: a question that backs off blocks its pair; withdrawn, it does not."""
    asks.ask(office, OWN)
    office.close(bob, office.opened(bob).id, "crashed")
    office.send(OWN, "bob")
    waiting = office.park_open(bob)
    assert waiting.waits
    asks.cancel(office, OWN, "a1")
    opened = waiting.get()
    assert opened is not None
    assert opened.turn is not None
    assert "m2" in [mail.id for mail in opened.turn.mail]


def test_the_operator_withdraws_for_another_and_both_are_told(office: FakeOffice) -> None:
    """[H08] DESIGN 5 Asks: cancel by the operator tells the asker too; it is audited."""
    asks.ask(office, OWN)
    asks.ask(office, OF_CAROL, "operator")
    asks.cancel(office, OPERATOR_CALLER, "a1")
    asks.cancel(office, OPERATOR_CALLER, "a2")
    assert office.notices("bob") == ["The operator withdrew a1; no answer is needed any more."]
    assert office.notices("alice") == ["The operator withdrew a1, your question to bob."]
    assert office.notices("carol") == ["The operator withdrew a2, your question to operator."]
    assert ("operator", "ask.cancelled", "a1") in office.audited()


def test_what_is_foreign_gone_or_over_cannot_be_withdrawn(office: FakeOffice) -> None:
    """[H09] Issue 3, misuse: no existence leak; the target may not either; twice says that it is over."""
    asks.ask(office, OWN)
    messages = {
        refused(office, Unknown, lambda caller=caller, ask=ask: asks.cancel(office, caller, ask)).message.replace(
            ask, ""
        )
        for caller, ask in ((OF_CAROL, "a1"), (OF_BOB, "a1"), (OWN, "a9"), (OPERATOR_CALLER, "a9"), (OWN, "t1"))
    }
    assert len(messages) == 1
    asks.cancel(office, OWN, "a1")
    refused(office, Closed, lambda: asks.cancel(office, OWN, "a1"))


def test_nothing_of_an_ask_is_stored_without_its_letter(office: FakeOffice) -> None:
    """[Z1]: what is stored of options is what was asked, one line each."""
    asks.ask(office, OWN, options=["a\nb", "ü"])
    assert json.loads(office.row("SELECT options FROM asks")["options"]) == ["a b", "ü"]
    assert office.row("SELECT count(*) AS n FROM asks k JOIN deliveries d ON d.message = k.message")["n"] == 1
