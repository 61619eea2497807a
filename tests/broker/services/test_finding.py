"""Search and threads, read beside the writer: what is found, who may see it, and what no text can break."""

import json
import re

import pytest

from broker.services import finding, indexing
from broker.services.callers import Caller
from tests.fakes.office import OPERATOR_CALLER, FakeOffice, by_token
from wire.errors import Denied, Invalid, Unknown
from wire.finding import MARKS, THREAD_MAX, InboxFound, InboxSearch, InboxThread, InboxThreaded

OWN = by_token("alice")
NOT_TEXT = "UPDATE messages SET body = CAST(x'c3ff28' AS TEXT) WHERE id = :id"


async def found(
    office: FakeOffice, words: str, caller: Caller = OPERATOR_CALLER, agent: str | None = None, limit: int = 20
) -> InboxFound:
    """Search, with everything in the index."""
    while office.do(indexing.index_some):
        pass
    async with office.reading() as reader:
        return await finding.search(reader, caller, InboxSearch(words=words, agent=agent, limit=limit))


async def ids(office: FakeOffice, words: str, caller: Caller = OPERATOR_CALLER, agent: str | None = None) -> list[str]:
    """Search; gives the ids, oldest first."""
    return sorted(hit.id for hit in (await found(office, words, caller, agent)).hits)


async def threaded(office: FakeOffice, message: str, caller: Caller = OPERATOR_CALLER) -> InboxThreaded:
    """Show a thread."""
    async with office.reading() as reader:
        return await finding.thread(reader, caller, InboxThread(message=message))


def plain(snippet: str) -> str:
    """Show the marks of a snippet as brackets."""
    return snippet.replace(MARKS[0], "[").replace(MARKS[1], "]")


# --- what the words mean ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pump", '"pump"'),
        ("the pump", '"the" "pump"'),
        ('"the red pump" leaks', '"the red pump" "leaks"'),
        ("pum*", '"pum"*'),
        ('"red pum"*', '"red pum"*'),
        ('"red pum*"', '"red pum"*'),
        ('an "open quote', '"an" "open quote"'),
        ("body:pump NEAR(a b) ^x -y AND", '"body:pump" "NEAR(a" "b)" "^x" "-y" "AND"'),
        ("pump -- * \" '", '"pump"'),
        ("pu\0mp", '"pu" "mp"'),
        ("smörgås 東京", '"smörgås" "東京"'),
    ],
)
def test_words_are_words_and_never_syntax(words: str, expected: str) -> None:
    """Issue 3.5: quotes make a phrase, a star at the end a prefix; nothing else means anything."""
    assert finding.expression(words) == expected


@pytest.mark.parametrize("words", [" ", "***", '""', '"" - ""', "\0", "!?", "🙂"])
def test_words_without_a_word_are_refused(words: str) -> None:
    """Ours: with what would do."""
    with pytest.raises(Invalid, match="no word to look for"):
        finding.expression(words)


def test_too_many_words_are_refused() -> None:
    """Ours: the index has a bound of its own, which is not shown to anybody."""
    assert finding.expression("a " * finding.WORDS_MAX)
    with pytest.raises(Invalid, match="too many"):
        finding.expression("a " * (finding.WORDS_MAX + 1))


async def test_no_text_is_a_syntax_error(office: FakeOffice) -> None:
    """Issue 3.5: whatever stands between letters, the index takes the expression."""
    office.send(OWN, "bob", "a pump")
    for text in ('a"b', 'a""b"', "a'b", "a\\b", "(a", "a)", "a:b", "{a b}:c", "a + b", "^a", "a^2", "NOT a", "a\x01b*"):
        await found(office, text)
    await found(office, " ".join(f"w{number}*" for number in range(finding.WORDS_MAX)))


# --- search -----------------------------------------------------------------------------------------


async def test_all_words_have_to_be_there_in_any_form_of_letters(office: FakeOffice) -> None:
    """Issue 3.5: case and accents make no difference; a prefix and a phrase do what they say."""
    office.send(OWN, "bob", "The PUMP in hall 3 leaks")
    office.send(OWN, "bob", "the Pümp is mended")
    office.send(OWN, "bob", "leaks are mended")
    assert await ids(office, "pump") == ["m1", "m2"]
    assert await ids(office, "pump leaks") == ["m1"]
    assert await ids(office, "mend*") == ["m2", "m3"]
    assert await ids(office, "mend") == []
    assert await ids(office, '"hall 3"') == ["m1"]
    assert await ids(office, '"3 hall"') == []


async def test_the_best_comes_first_and_among_equals_the_newest(office: FakeOffice) -> None:
    """Issue 3.5."""
    office.send(OWN, "bob", "pump " + "and much else " * 30)
    office.send(OWN, "bob", "pump pump")
    office.send(OWN, "bob", "pump pump")
    page = await found(office, "pump", limit=2)
    assert [hit.id for hit in page.hits] == ["m3", "m2"]
    assert page.more
    assert not (await found(office, "pump", limit=3)).more


async def test_an_agent_finds_what_it_sent_or_received(office: FakeOffice) -> None:
    """Issue 3.5: mail of others is not found, and the same search shows the operator all, or one agent's."""
    office.send(OWN, "bob", "pump to bob")
    office.send(by_token("bob"), "carol", "pump to carol")
    office.send(by_token("carol"), "alice", "pump to alice")
    assert await ids(office, "pump") == ["m1", "m2", "m3"]
    assert await ids(office, "pump", OWN) == ["m1", "m3"]
    assert await ids(office, "pump", OWN, agent="alice") == ["m1", "m3"]
    assert await ids(office, "pump", agent="carol") == ["m2", "m3"]
    with pytest.raises(Denied):
        await ids(office, "pump", OWN, agent="bob")
    with pytest.raises(Unknown):
        await ids(office, "pump", agent="nobody")


async def test_a_hit_shows_the_words_in_their_place(office: FakeOffice) -> None:
    """Issue 3.5: marked, with a little of what stands around them; a broadcast is one hit."""
    office.send(OWN, "*", "far away " * 50 + "the red pump leaks" + " and so on" * 50)
    (hit,) = (await found(office, '"red pump"')).hits
    assert (hit.id, hit.sender, hit.to, hit.kind, hit.sent_at_ms) == ("m1", "alice", "*", "peer", office.clock.now_ms())
    assert "the [red pump] leaks and so on" in plain(hit.snippet)
    assert len(hit.snippet) < 250
    assert hit.snippet.startswith("…")


async def test_what_a_terminal_would_obey_is_written_out(office: FakeOffice) -> None:
    """DESIGN 5, Provenance: the marks come from the broker alone."""
    office.send(OWN, "bob", "\x1b[2J pump \x02forged\x03 \u202e")
    (hit,) = (await found(office, "pump")).hits
    assert plain(hit.snippet) == "\\u{1b}[2J [pump] \\u{2}forged\\u{3} \\u{202e}"


async def test_a_body_that_was_damaged_later_shows_as_broken(office: FakeOffice) -> None:
    """[H22] Ours: found by its words of before, never shown as what it is not, and no reason to hide the others."""
    office.send(OWN, "bob", "the pump")
    office.send(OWN, "bob", "another pump")
    await found(office, "pump")
    office.damage(NOT_TEXT, id=1)
    hits = {hit.id: hit.snippet for hit in (await found(office, "pump")).hits}
    assert plain(hits["m2"]) == "another [pump]"
    assert "broken" in hits["m1"]


async def test_what_retention_took_is_not_found(office: FakeOffice) -> None:
    """DESIGN 5.19: its words are still in the index, and break nothing."""
    office.send(OWN, "bob", "the pump")
    office.send(OWN, "bob", "another pump")
    await found(office, "pump")
    office.damage("DELETE FROM deliveries WHERE message = 1")
    office.damage("DELETE FROM messages WHERE id = 1")
    assert await ids(office, "pump") == ["m2"]


# --- threads ----------------------------------------------------------------------------------------


async def shown(office: FakeOffice, message: str, caller: Caller = OPERATOR_CALLER) -> list[str]:
    """Show a thread as `id<parent`."""
    messages = (await threaded(office, message, caller)).messages
    return [f"{one.id}<{one.parent}" if one.parent else one.id for one in messages]


async def test_a_thread_is_the_same_from_each_of_its_messages(office: FakeOffice) -> None:
    """[H05] Issue 3.5: from the first message on, in the order of sending, other mail left out."""
    bob_writes, carol_writes = by_token("bob"), by_token("carol")
    office.send(OWN, "bob", "who mends the pump?")
    office.send(OWN, "carol", "something else")
    office.send(bob_writes, "alice", "I do", in_reply_to="m1")
    office.send(bob_writes, "carol", "alice asks for the pump", in_reply_to="m1")
    office.send(carol_writes, "bob", "it is mended", in_reply_to="m4")
    for message in ("m1", "m3", "m4", "m5"):
        assert await shown(office, message) == ["m1", "m3<m1", "m4<m1", "m5<m4"]
    assert await shown(office, "m2") == ["m2"]
    (first, *_) = (await threaded(office, "m5")).messages
    assert (first.sender, first.to, first.kind, first.excerpt) == ("alice", "bob", "peer", "who mends the pump?")
    assert first.states == {"bob": "queued"}


async def test_an_agent_sees_of_a_thread_what_it_is_party_to(office: FakeOffice) -> None:
    """[H05] Ours: a parent that it may not see is not named; a message that is not its own is unknown."""
    office.send(OWN, "bob", "who mends the pump?")
    office.send(by_token("bob"), "carol", "alice asks", in_reply_to="m1")
    office.send(by_token("carol"), "bob", "I do", in_reply_to="m2")
    assert await shown(office, "m3", by_token("carol")) == ["m2", "m3<m2"]
    assert await shown(office, "m1", OWN) == ["m1"]
    answers: set[str] = set()
    for message in ("m2", "m99", "x", "t1"):
        with pytest.raises(Unknown) as refused:
            await shown(office, message, OWN)
        answers.add(re.sub(r"'\w+'", "ID", refused.value.message))
    assert len(answers) == 1


async def test_each_copy_shows_to_sender_and_operator_else_only_ones_own(office: FakeOffice) -> None:
    """Ours: who else got a broadcast is not told by its thread."""
    office.send(OWN, "*", "all hands")
    assert (await threaded(office, "m1")).messages[0].states.keys() == {"bob", "boss", "carol"}
    assert (await threaded(office, "m1", OWN)).messages[0].states.keys() == {"bob", "boss", "carol"}
    assert (await threaded(office, "m1", by_token("bob"))).messages[0].states.keys() == {"bob"}


async def test_a_parent_that_retention_took_is_no_obstacle(office: FakeOffice) -> None:
    """[H05] DESIGN 5.19: the thread begins with what is left."""
    office.send(OWN, "bob")
    office.send(by_token("bob"), "alice", in_reply_to="m1")
    office.send(OWN, "bob", in_reply_to="m2")
    office.damage("DELETE FROM deliveries WHERE message = 1")
    office.damage("DELETE FROM messages WHERE id = 1")
    assert await shown(office, "m3") == ["m2", "m3<m2"]


async def test_a_ring_of_answers_ends(office: FakeOffice) -> None:
    """Ours: it takes damage to make one; each message shows once."""
    for _ in range(3):
        office.send(OWN, "bob")
    office.damage("UPDATE messages SET in_reply_to = CASE id WHEN 1 THEN 3 ELSE id - 1 END")
    assert sorted(await shown(office, "m2")) == ["m1<m3", "m2<m1", "m3<m2"]


async def test_a_damaged_body_leaves_the_thread_whole(office: FakeOffice) -> None:
    """[H22] Ours: it shows as broken."""
    office.send(OWN, "bob", "one")
    office.send(by_token("bob"), "alice", "two", in_reply_to="m1")
    office.damage(NOT_TEXT, id=1)
    first, second = (await threaded(office, "m2")).messages
    assert "broken" in first.excerpt
    assert second.excerpt == "two"


async def test_a_thread_is_cut_and_says_so(office: FakeOffice) -> None:
    """Ours: at so many messages, or at the size of an answer; the first ones are kept."""
    rows = [[number, number - 1 or None] for number in range(1, THREAD_MAX + 2)]
    office.damage(
        "INSERT INTO messages (id, sender, kind, body, body_sha256, addressed_to, in_reply_to, sent_at) "
        "SELECT value ->> 0, 'alice', 'peer', 'x', zeroblob(32), 'bob', value ->> 1, 1 FROM json_each(:rows)",
        rows=json.dumps(rows),
    )
    page = await threaded(office, "m7")
    assert (len(page.messages), page.messages[-1].id, page.more) == (THREAD_MAX, f"m{THREAD_MAX}", True)
    office.damage("DELETE FROM messages WHERE id > :most", most=THREAD_MAX)
    assert not (await threaded(office, "m7")).more


async def test_a_thread_of_broadcasts_fits_into_an_answer(office: FakeOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: each brings a state for every recipient."""
    monkeypatch.setattr(finding, "PAGE_BYTES", 600)
    for number in range(5):
        office.send(OWN, "*", in_reply_to=f"m{number}" if number else None)
    page = await threaded(office, "m5")
    assert 1 <= len(page.messages) < 5
    assert page.more
