"""When a demo that costs is ended."""

import pytest

from console.demo.bounding import exceeded, spent, turns_of
from console.demo.cast import MANAGER, PAID, Cast
from console.logins.finding import KNOWN
from console.toml_text import toml_string
from tests.console.live.test_footer import NOW_MS, agent, fleet
from wire.agents import LastTurn
from wire.fleet import FleetState
from wire.settings_file import read_settings


def after(turns: int = 5, tokens: int | None = 1000, usd: float | None = 0.5) -> FleetState:
    """Give a fleet that has spent so much."""
    last = LastTurn(id=f"t{turns}", state="closed", outcome="completed", opened_at_ms=NOW_MS, closed_at_ms=NOW_MS)
    return fleet(agent("manager", last_turn=last, tokens_today=tokens, cost_usd_today=usd), agent("worker-1"))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (after(), None),
        (after(turns=20), None),
        (after(turns=21), "it was stopped after 20 turns"),
        (after(usd=2.5), "it was stopped at $2.50, by the program's own figures"),
        (after(tokens=3_000_001), "it was stopped at 3,000,001 tokens"),
        (after(tokens=None, usd=None), None),
    ],
)
def test_it_ends_at_the_first_bound(state: FleetState, words: str | None) -> None:
    """Issue 4, item 10: bounded in turns and money; a program that gives no figures is bounded in turns."""
    assert exceeded(state, PAID) == words


def test_what_was_spent_is_summed_where_a_program_said() -> None:
    """Ours: nothing said is not nothing spent."""
    assert (spent(after()), turns_of(after())) == ((1000, 0.5), 5)
    assert spent(after(tokens=None, usd=None)) == (None, None)
    assert turns_of(fleet(agent("new"))) == 0


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.backend)
def test_the_cast_may_read_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, known: object) -> None:
    """Issue 4, item 10: the folder is only read; each agent has a budget of its own."""
    home, folder = tmp_path_factory.mktemp("h"), tmp_path_factory.mktemp('a "folder"')
    cast = Cast(next(one for one in KNOWN if one is known), "some/model")
    for name, text in cast.files(folder).items():
        (home / name).write_text(text, encoding="utf-8")
    settings = read_settings(home / "queenpost.toml", home=home)
    assert [agent.permissions for agent in settings.agents.values()] == ["deny"] * 3
    assert settings.agents[MANAGER].workdir == str(folder)
    assert {agent.model for agent in settings.agents.values()} == {"some/model"}
    assert all(agent.daily_budget_usd and agent.daily_budget_tokens for agent in settings.agents.values())
    assert toml_string(str(folder)).startswith("'")
