"""Homes of an earlier layout: only what is ours moves, nothing is written over, and nothing is lost on the way."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from wire import layout
from wire.errors import Invalid
from wire.home import Home
from wire.layout import LAYOUT, bring_up_to_date, require_known, version_of

OURS = ("hyperhive-events.sqlite", "hyperhive-events.sqlite-wal", "hyperhive-model", "hyperhive-turn-stats.sqlite")
OWN = ("notes.md", "hyperhive-notes.md", "turn.json", "hyperhive-events.sqlite.bak")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of the earlier layout: everything of alice in one folder, that of the manager at the root."""
    made = Home(tmp_path / "home")
    made.create()
    for folder in (made.agent_state("alice"), made.root / "state"):
        folder.mkdir(parents=True)
        folder.parent.chmod(0o700)
        for name in (*OURS, *OWN):
            (folder / name).write_text(f"{name} of {folder.parent.name}")
    return made


def contents(home: Home) -> dict[str, str]:
    """Give every file below the agents, and of the bare folder, by its path."""
    files = [*(home.root / "agents").rglob("*"), *(home.root / "state").rglob("*")]
    return {str(path.relative_to(home.root)): path.read_text() for path in files if path.is_file()}


def laid_out() -> set[str]:
    """Where everything lies afterwards."""
    agents = ("alice", "manager")
    ours = {f"agents/{agent}/harness/{name}" for agent in agents for name in OURS}
    return ours | {f"agents/{agent}/state/{name}" for agent in agents for name in OWN}


def test_what_is_ours_moves_and_what_is_the_agents_stays(home: Home) -> None:
    """[H19]: state/ is the agent's own, harness/ is ours; the bare folder of the manager gets its place."""
    texts = sorted(contents(home).values())
    done = bring_up_to_date(home)
    assert contents(home).keys() == laid_out()
    assert sorted(contents(home).values()) == texts
    assert done.left == []
    assert "agents/alice/state/hyperhive-model -> agents/alice/harness/hyperhive-model" in done.moved
    assert "state -> agents/manager/state" in done.moved
    assert not (home.root / "state").exists()
    assert home.agent_harness("alice").stat().st_mode & 0o777 == 0o700
    assert version_of(home) == LAYOUT


def test_a_second_time_does_nothing(home: Home) -> None:
    """[H19]: what an agent calls like one of our files afterwards is its own."""
    bring_up_to_date(home)
    (home.agent_state("alice") / "hyperhive-model").write_text("mine")
    before = contents(home)
    again = bring_up_to_date(home)
    assert (again.moved, again.left) == ([], [])
    assert contents(home) == before


def test_a_clash_keeps_both_and_says_so(home: Home) -> None:
    """[H19]: nothing is written over, neither a file nor a folder."""
    home.agent_harness("alice").mkdir(mode=0o700)
    (home.agent_harness("alice") / "hyperhive-model").write_text("newer")
    home.agent_state("manager").mkdir(parents=True)
    (home.agent_state("manager") / "notes.md").write_text("newer notes")
    before = contents(home)
    done = bring_up_to_date(home)
    assert sorted(contents(home).values()) == sorted(before.values())
    assert (home.agent_harness("alice") / "hyperhive-model").read_text() == "newer"
    assert (home.agent_state("manager") / "notes.md").read_text() == "newer notes"
    assert (home.root / "state" / "notes.md").exists()
    assert len(done.left) == 2
    assert all("both are kept" in line for line in done.left)
    assert version_of(home) == LAYOUT


def test_an_empty_folder_of_the_manager_is_no_clash(home: Home) -> None:
    """[H19]: a start of a harness made it."""
    home.agent_state("manager").mkdir(parents=True)
    assert bring_up_to_date(home).left == []
    assert contents(home).keys() == laid_out()


class KilledError(BaseException):
    """The process ends here."""


def dying(after: int) -> tuple[Callable[..., None], Callable[..., None]]:
    """Give `link` and `unlink` that end the process before their call number `after`."""
    calls = 0
    link, unlink = os.link, Path.unlink

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KilledError

    def dying_link(source: Path, target: Path) -> None:
        count()
        link(source, target)

    def dying_unlink(path: Path, missing_ok: bool = False) -> None:
        count()
        unlink(path, missing_ok=missing_ok)

    return dying_link, dying_unlink


@pytest.mark.parametrize("after", range(4 * len(OURS)))
def test_a_kill_at_any_step_is_made_good_by_the_next_start(
    home: Home, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """[H19]: a file under two names for a moment is one file."""
    texts = sorted(contents(home).values())
    with monkeypatch.context() as patch:
        link, unlink = dying(after)
        patch.setattr(layout.os, "link", link)
        patch.setattr(Path, "unlink", unlink)
        with pytest.raises(KilledError):
            bring_up_to_date(home)
    assert set(texts) == set(contents(home).values())
    assert bring_up_to_date(home).left == []
    assert contents(home).keys() == laid_out()
    assert sorted(contents(home).values()) == texts


def test_links_are_left_alone(home: Home, tmp_path: Path) -> None:
    """[H19]: an agent may have made one that leads anywhere."""
    model = home.agent_state("alice") / "hyperhive-model"
    model.unlink()
    model.symlink_to(tmp_path / "elsewhere")
    elsewhere = home.root / "agents" / "bob"
    elsewhere.mkdir()
    (elsewhere / "state").symlink_to(home.agent_state("alice"))
    done = bring_up_to_date(home)
    assert model.is_symlink()
    assert done.left == ["agents/alice/state/hyperhive-model is no ordinary file"]
    assert not (elsewhere / "harness").exists()


def test_what_cannot_be_moved_is_tried_again(home: Home) -> None:
    """[H19]: it stands in nobody's way, and the home is not said to be of the new layout."""
    home.agent_harness("alice").mkdir(mode=0o777)
    home.agent_harness("alice").chmod(0o777)
    done = bring_up_to_date(home)
    assert done.failed
    assert "others may write" in done.left[0]
    assert version_of(home) == 1
    home.agent_harness("alice").chmod(0o700)
    assert not bring_up_to_date(home).failed
    assert contents(home).keys() == laid_out()


def test_a_home_of_a_newer_layout_is_refused(home: Home) -> None:
    """[H19]: nothing is moved, whoever asks."""
    home.layout.write_text(f"{LAYOUT + 1}\n")
    before = contents(home)
    for ask in (bring_up_to_date, require_known):
        with pytest.raises(Invalid, match=f"layout {LAYOUT + 1}.*knows {LAYOUT} only"):
            ask(home)
    assert contents(home) == before


@pytest.mark.parametrize("text", ["", "two", "-1", "2.0", "9" * 30])
def test_a_damaged_mark_is_refused(home: Home, text: str) -> None:
    """[H19]: it is not taken for the earlier layout."""
    home.layout.write_text(text)
    with pytest.raises(Invalid, match="delete it to have it found anew"):
        bring_up_to_date(home)


def test_a_new_home_has_the_present_layout(tmp_path: Path) -> None:
    """[H19]: two folders from day one."""
    home = Home(tmp_path / "new")
    home.create()
    assert bring_up_to_date(home).moved == []
    assert version_of(home) == LAYOUT
