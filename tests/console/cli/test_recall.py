"""recall: what was taken back, and what is beyond it."""

from inline_snapshot import snapshot

from tests.console.conftest import Terminal
from wire.errors import Unknown
from wire.letters import Beyond, InboxRecalled

TOLD = InboxRecalled(
    recalled=["m4/bob"],
    beyond=[
        Beyond(id="m4", recipient="carol", state="in_turn", turn="t7"),
        Beyond(id="m4", recipient="dora", state="handled", turn="t3"),
        Beyond(id="m4", recipient="emil", state="dead"),
    ],
)


async def test_recall_prints_its_stable_shape(terminal: Terminal) -> None:
    """[P05] DESIGN 5.18."""
    terminal.broker.answers["inbox.recall"] = lambda _: TOLD
    assert await terminal.json("recall", "m4") == snapshot(
        {
            "recalled": ["m4/bob"],
            "beyond": [
                {"id": "m4", "recipient": "carol", "state": "in_turn", "turn": "t7"},
                {"id": "m4", "recipient": "dora", "state": "handled", "turn": "t3"},
                {"id": "m4", "recipient": "emil", "state": "dead", "turn": None},
            ],
            "more": False,
        }
    )
    request = await terminal.broker.next("inbox.recall")
    assert (request["message"], request["descendants"]) == ("m4", False)


async def test_a_person_reads_what_is_beyond_recall(terminal: Terminal) -> None:
    """[P05] DESIGN 5.18."""
    terminal.broker.answers["inbox.recall"] = lambda _: TOLD.model_copy(update={"more": True})
    shown = await terminal.type("recall", "m4", "--descendants")
    assert shown.stdout.startswith("recalled: m4/bob\n")
    for words in ("in turn t7", "handled in turn t3", "dead"):
        assert words in shown.stdout
    assert "`queenpost freeze`" in shown.stderr
    assert (await terminal.broker.next("inbox.recall"))["descendants"] is True


async def test_nothing_to_take_back_is_said(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["inbox.recall"] = lambda _: InboxRecalled(recalled=[])
    assert (await terminal.type("recall", "m4")).stdout == "recalled: nothing, no copy was still waiting\n"


async def test_a_foreign_message_is_refused(terminal: Terminal) -> None:
    """[P12] DESIGN 4: exit 1, as for one that does not exist."""
    terminal.broker.answers["inbox.recall"] = lambda _: Unknown("no message 'm9' that you may use; check the id")
    result = await terminal.type("--as", "bob", "recall", "m9")
    assert (result.exit_code, result.stdout) == (1, "")
