"""A login that does not work any more: who hears of it, how often, and with which remedy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.services.callers import Caller
from tests.fakes.office import OPERATOR_CALLER, FakeOffice
from wire.settings import AccountSettings, AgentSettings, Settings
from wire.turns import Outcome

REFUSED = "auth: 401 Unauthorized"


def claude(**more: object) -> AgentSettings:
    """An agent that is a Claude Code."""
    return AgentSettings.model_validate({"backend": "claude", **more})


FLEET = Settings(
    accounts={"max": AccountSettings(auth="own"), "team": AccountSettings(token_file="secrets/team")},
    agents={
        "bob": claude(account="max"),
        "carol": claude(account="max"),
        "dave": claude(account="team"),
        "erin": AgentSettings(backend="codex"),
        "frank": claude(env_file="frank.env"),
        "gina": AgentSettings(backend="gemini", env={"GEMINI_API_KEY": "x"}),
        "hugo": AgentSettings(backend="command", command=["x"]),
        "ivy": claude(),
    },
)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[FakeOffice]:
    """A fleet of many logins."""
    with FakeOffice(tmp_path) as office:
        office.apply(FLEET)
        yield office


def ends(office: FakeOffice, agent: Caller, outcome: Outcome) -> None:
    """Let a turn with all that waits end so."""
    office.send(OPERATOR_CALLER, agent.name)
    office.close(agent, office.opened(agent).id, outcome, begun=True, reason=REFUSED)


def told(office: FakeOffice) -> list[str]:
    """What the operator was told, the minute over in which notices are merged."""
    office.pass_time(61)
    office.due()
    return office.notices("operator")


def test_the_operator_is_told_once_with_what_mends_it(office: FakeOffice) -> None:
    """[P08] Issue 4: a login that expires; each try behind it, and each agent of the account, says nothing new."""
    bob, carol = office.harness("bob"), office.harness("carol")
    ends(office, bob, "completed")
    for agent in (bob, carol, bob):
        ends(office, agent, "auth")
        ends(office, agent, "interrupted")
    (notice,) = told(office)
    assert notice.splitlines()[0] == f"The login of account max (claude) does not work: {REFUSED}"
    assert notice.splitlines()[1] == "This mends it: queenpost login max"
    assert [line["agent"] for line in office.logged("login_refused")] == ["bob"]


def test_mended_and_refused_again_it_is_told_again(office: FakeOffice) -> None:
    """Ours: whichever of its agents saw that it worked."""
    bob, carol = office.harness("bob"), office.harness("carol")
    for agent in (bob, carol):
        ends(office, agent, "auth")
        assert len(told(office)) == (1 if agent is bob else 2)
        ends(office, carol, "completed")


def test_another_login_is_another_matter(office: FakeOffice) -> None:
    """Ours: an agent with a key of its own is not of the account of the others."""
    for name in ("ivy", "frank", "bob"):
        ends(office, office.harness(name), "auth")
    assert len(told(office)) == 3


@pytest.mark.parametrize(
    ("agent", "login", "mend"),
    [
        ("bob", "account max (claude)", "queenpost login max"),
        ("dave", "account team (claude)", "put `claude setup-token`, or an API key into secrets/team, mode 0600"),
        ("erin", "account default (codex)", "queenpost login default --backend codex"),
        ("frank", "agent frank (claude)", "put a key that works into frank.env"),
        ("gina", "agent gina (gemini)", "set GEMINI_API_KEY in the `env` of [agents.gina], then queenpost apply"),
        ("hugo", "agent hugo (command)", "log its program in, as it wants it"),
    ],
)
def test_each_kind_of_login_has_its_remedy(office: FakeOffice, agent: str, login: str, mend: str) -> None:
    """[P08] Issue 4.2: the one command that mends it."""
    ends(office, office.harness(agent), "auth")
    (notice,) = told(office)
    assert notice.startswith(f"The login of {login} does not work: ")
    assert f"\nThis mends it: {mend}\n" in notice


@pytest.mark.parametrize("outcome", ["credit", "rate_limited", "crashed", "bad_model", "completed"])
def test_other_ends_are_no_matter_of_a_login(office: FakeOffice, outcome: Outcome) -> None:
    """Ours."""
    ends(office, office.harness("bob"), outcome)
    assert told(office) == []
