"""The files of a new fleet: they are read as they are meant, by us and by each program."""

from pathlib import Path

import pytest

from console.logins.finding import KNOWN, Known
from console.new.plan import ALLOWED, MODELS, Plan, has_commits
from console.toml_text import toml_string
from harness.backends.codex.rules import problem_of
from harness.backends.opencode.rules import rules_for
from wire.home import Home
from wire.settings import Settings
from wire.settings_file import read_settings


def plan(folder: Path, known: Known = KNOWN[0], workers: int = 2, *, branches: bool = True) -> Plan:
    """Make a plan for a folder."""
    return Plan(known, workers, Home(folder / ".queenpost"), folder / "queenpost.toml", folder, branches)


def settings_of(one: Plan) -> Settings:
    """Write the settings, and read them as the broker does."""
    for path, text in one.files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read_settings(one.config, home=one.home.root)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.backend)
@pytest.mark.parametrize("branches", [True, False])
def test_the_settings_are_read_as_they_are_meant(tmp_path: Path, known: Known, *, branches: bool) -> None:
    """Issue 4, item 10: a manager and workers, one backend, their prompts, a bound of what a day may cost."""
    settings = settings_of(plan(tmp_path, known, branches=branches))
    assert list(settings.agents) == ["manager", "worker-1", "worker-2"]
    assert {agent.backend for agent in settings.agents.values()} == {known.backend}
    assert all(agent.daily_budget_usd for agent in settings.agents.values())
    assert all(Path(agent.prompt or "").is_file() for agent in settings.agents.values())
    assert (settings.agents["manager"].role, settings.agents["manager"].worktree) == ("manager", False)
    first, second = settings.agents["worker-1"], settings.agents["worker-2"]
    assert first == second
    assert (first.worktree, bool(first.allowed_tools)) == (branches, branches)
    assert settings.accounts["default"].running == 1


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.backend)
def test_what_is_commented_out_is_valid_too(tmp_path: Path, known: Known) -> None:
    """Ours: a person takes the sign away, and it works."""
    one = plan(tmp_path, known)
    settings_of(one)
    lines = one.config.read_text(encoding="utf-8").splitlines()
    one.config.write_text("\n".join(line.removeprefix("# ") if " = " in line[:20] else line for line in lines))
    settings = read_settings(one.config, home=one.home.root)
    assert settings.fleet.name == one.home.fleet_name
    assert settings.agents["manager"].model == MODELS[known.backend]


def test_what_workers_are_allowed_is_in_the_grammar_of_their_program() -> None:
    """DESIGN 8: an entry that the program does not know would keep the agent from starting."""
    assert problem_of(list(ALLOWED["codex"])) is None
    allowed = [rule for rule in rules_for("edits", list(ALLOWED["opencode"])) if rule.pattern.startswith("git ")]
    assert {(rule.permission, rule.action) for rule in allowed} == {("bash", "allow")}


def test_the_lines_fit_and_nothing_is_left_to_fill_in(tmp_path: Path) -> None:
    """Ours: a person will edit them."""
    for workers in (1, 2, 16):
        for path, text in plan(tmp_path, workers=workers).files():
            assert text.endswith("\n")
            assert "$" not in text.replace("`$", "")
            assert path.suffix != ".toml" or max(map(len, text.splitlines())) <= 120
            assert not any(line != line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize("words", ["in_reply_to", "`ask`", "operator", "report"])
def test_the_manager_is_told_how_to_delegate_ask_and_report(tmp_path: Path, words: str) -> None:
    """Issue 4, item 10: in a role prompt that a person may change."""
    texts = {path.name: text for path, text in plan(tmp_path).files()}
    assert words in texts["manager.md"]
    assert "in_reply_to" in texts["worker.md"]
    assert "branch" in texts["worker.md"]
    alone = {path.name: text for path, text in plan(tmp_path, branches=False).files()}
    assert "branch" not in alone["worker.md"] + alone["manager.md"]


def test_a_folder_without_commits_has_no_checkouts(tmp_path: Path) -> None:
    """Bad input: no git repository."""
    assert not has_commits(tmp_path)


@pytest.mark.parametrize("text", ["plain", 'a "quoted" one', "it's", "back\\slash", "both ' and \"", "line\nfeed", "é"])
def test_any_string_comes_back_from_toml(tmp_path: Path, text: str) -> None:
    """Ours: folders have all kinds of names."""
    path = tmp_path / "queenpost.toml"
    path.write_text(f'[agents.bob]\nbackend = "command"\ncommand = [{toml_string(text)}]\n', encoding="utf-8")
    assert read_settings(path, home=tmp_path).agents["bob"].command == [text]
