"""Which home is meant, and what lies where in it."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from wire.errors import Denied, Invalid
from wire.home import MAX_SOCKET_PATH_BYTES, Home, find_home


def mode(path: Path) -> int:
    """Give the permission bits."""
    return path.stat().st_mode & 0o777


# ---- which home


def test_the_option_comes_first(tmp_path: Path) -> None:
    """DESIGN 1: `--home`, else `$QUEENPOST_HOME`, else the nearest `.queenpost/`."""
    (tmp_path / ".queenpost").mkdir()
    env = {"QUEENPOST_HOME": "/env", "HOME": "/me"}
    assert find_home("/option", env, tmp_path).root == Path("/option")
    assert find_home("sub/../here", env, tmp_path).root == tmp_path / "here"
    assert find_home(None, env, tmp_path).root == Path("/env")


@pytest.mark.parametrize("empty", [{}, {"QUEENPOST_HOME": ""}])
def test_the_nearest_local_home_is_found_upwards(tmp_path: Path, empty: dict[str, str]) -> None:
    """DESIGN 1: from any folder of a project; an inner one wins, a file of that name is none."""
    deep = tmp_path / "project" / "src" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / ".queenpost").mkdir()
    (tmp_path / "project" / ".queenpost").mkdir()
    (tmp_path / "project" / "src" / ".queenpost").write_text("")
    assert find_home(None, {**empty, "HOME": "/me"}, deep).root == tmp_path / "project" / ".queenpost"


def test_without_any_it_is_the_one_of_the_user() -> None:
    """DESIGN 1: one per user in the XDG state folder."""
    root = Path("/")
    assert find_home(None, {"HOME": "/me"}, root).root == Path("/me/.local/state/queenpost")
    assert find_home(None, {"HOME": "/me", "XDG_STATE_HOME": "/st"}, root).root == Path("/st/queenpost")


def test_without_a_user_it_has_to_be_named() -> None:
    """Ours: as in a bare container; the message says how."""
    with pytest.raises(Invalid, match="--home"):
        find_home(None, {}, Path("/"))


# ---- what lies where


def test_paths_are_where_the_design_has_them() -> None:
    """[H19] DESIGN 2: what belongs to an agent and what to its harness lie apart."""
    home = Home(Path("/h"))
    paths = {
        home.database: "broker.db",
        home.backups: "backups",
        home.logs: "logs",
        home.run: "run",
        home.up_lock: "run/up.lock",
        home.socket: "run/broker.sock",
        home.secrets: "secrets",
        home.operator_secret: "secrets/operator",
        home.harness_secret: "secrets/harness",
        home.agent_secret("alice"): "secrets/agents/alice",
        home.agent_state("alice"): "agents/alice/state",
        home.agent_harness("alice"): "agents/alice/harness",
        home.agent_transcripts("alice"): "agents/alice/harness/transcripts",
    }
    assert paths == {Path("/h") / text: text for text in paths.values()}


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "Alice", "a\n", "a" * 32, "/etc"])
def test_a_name_never_leads_out_of_the_home(name: str) -> None:
    """Ours: names come from files, arguments and the link."""
    home = Home(Path("/h"))
    for path_of in (home.agent_secret, home.agent_state, home.agent_harness):
        with pytest.raises(Invalid, match="no name for an agent"):
            path_of(name)


@pytest.mark.parametrize(
    ("root", "name"),
    [
        ("/src/shop/.queenpost", "shop"),
        ("/src/My Shop (2)/.queenpost", "my-shop-2"),
        ("/src/Café_Größe/.queenpost", "cafe-grosse"),
        ("/src/漢字/.queenpost", "fleet"),
        ("/.queenpost", "fleet"),
        ("/srv/fleets/blue", "blue"),
        ("/me/.local/state/queenpost", "queenpost"),
        (f"/src/{'x' * 90}/.queenpost", "x" * 63),
    ],
)
def test_a_fleet_is_named_after_its_folder(root: str, name: str) -> None:
    """DESIGN 2: the folder that holds a local home; a home elsewhere has a name of its own."""
    assert Home(Path(root)).fleet_name == name


# ---- making and checking


def test_create_makes_what_is_missing_for_its_owner(tmp_path: Path) -> None:
    """DESIGN 2 and 4: folders 0700; again is fine."""
    home = Home(tmp_path / "deep" / "home")
    home.create()
    home.create()
    home.check()
    folders = [home.root, *(path for path in home.root.rglob("*") if path.is_dir())]
    assert {mode(folder) for folder in folders} == {0o700}
    assert {folder.name for folder in folders} >= {"backups", "logs", "run", "secrets", "agents"}
    assert not (home.root / ".gitignore").exists()


def test_a_local_home_keeps_itself_out_of_git(tmp_path: Path) -> None:
    """DESIGN 1: `init --here` makes a `.gitignore` of its own; one that was changed stays."""
    home = Home(tmp_path / ".queenpost")
    home.create()
    ignored = home.root / ".gitignore"
    assert ignored.read_text() == "*\n"
    ignored.write_text("*\n!notes\n")
    home.create()
    assert ignored.read_text() == "*\n!notes\n"


def test_a_missing_home_is_named(tmp_path: Path) -> None:
    """Ours: the message says how to make one."""
    with pytest.raises(Invalid, match="queenpost init"):
        Home(tmp_path / "nothing").check()


def test_a_home_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    """Ours: somebody else could have put a socket or tokens there."""
    tmp_path.chmod(0o777)
    for use in (Home(tmp_path).check, Home(tmp_path).create):
        with pytest.raises(Denied, match="chmod go-w"):
            use()


# ---- the socket


@pytest.fixture
def short() -> Generator[Path]:
    """A folder with a path so short that a socket has room below it; pytest's own may be too long."""
    with tempfile.TemporaryDirectory(prefix="qp", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def deep(tmp_path: Path) -> Home:
    """A home whose socket would have no room."""
    home = Home(tmp_path / ("x" * MAX_SOCKET_PATH_BYTES))
    home.create()
    return home


def test_the_socket_lies_in_the_home(tmp_path: Path) -> None:
    """DESIGN 2: `run/broker.sock`; a note from elsewhere is removed."""
    home = Home(tmp_path)
    home.create()
    (home.run / "socket").write_text("/old/place")
    assert home.place_socket({}) == home.socket == home.run / "broker.sock"
    assert not (home.run / "socket").exists()


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
def test_a_path_that_is_too_long_is_moved_and_noted(deep: Home, short: Path, variable: str) -> None:
    """DESIGN 4: a 0700 folder elsewhere, recorded in `run/socket`; the next start uses it again."""
    placed = deep.place_socket({variable: str(short)})
    assert placed.parent.parent == short
    assert mode(placed.parent) == 0o700
    assert deep.socket == placed
    assert deep.place_socket({variable: str(short)}) == placed


def test_the_runtime_folder_comes_before_the_temporary_one(deep: Home, short: Path) -> None:
    """DESIGN 4: where there is one that can be used."""
    (short / "run").mkdir()
    env = {"XDG_RUNTIME_DIR": str(short / "run"), "TMPDIR": str(short)}
    assert deep.place_socket(env).is_relative_to(short / "run")
    assert Home(deep.root).place_socket({"XDG_RUNTIME_DIR": "/nowhere"}).is_relative_to(short / "run")


def test_a_folder_that_somebody_opened_is_not_used_again(deep: Home, short: Path) -> None:
    """Ours: the temporary folder belongs to everybody."""
    first = deep.place_socket({"TMPDIR": str(short)})
    first.parent.chmod(0o777)
    second = deep.place_socket({"TMPDIR": str(short)})
    assert second != first
    assert deep.socket == second


def test_a_copy_of_a_home_does_not_lead_to_the_first(deep: Home, short: Path, tmp_path: Path) -> None:
    """Ours: the copy's commands must not reach the fleet of the original."""
    placed = deep.place_socket({"TMPDIR": str(short)})
    copy = Home(deep.root.rename(tmp_path / "copy"))
    assert copy.socket != placed


# ---- the settings file


def test_settings_are_looked_for_in_the_home_and_beside_a_local_one(tmp_path: Path) -> None:
    """DESIGN 2: `--config`, else in the home, else beside `.queenpost/`."""
    local, other = Home(tmp_path / ".queenpost"), Home(tmp_path / "other")
    local.create()
    other.create()
    assert local.config() is None
    beside = tmp_path / "queenpost.toml"
    beside.write_text("")
    assert local.config() == beside
    assert other.config() is None
    assert other.config("/etc/fleet.toml") == Path("/etc/fleet.toml")


def test_two_settings_files_are_an_error(tmp_path: Path) -> None:
    """DESIGN 2: which one counts would be a guess; `--config` decides."""
    home = Home(tmp_path / ".queenpost")
    home.create()
    beside, inside = tmp_path / "queenpost.toml", home.root / "queenpost.toml"
    beside.write_text("")
    inside.write_text("")
    with pytest.raises(Invalid, match="two settings files"):
        home.config()
    assert home.config(str(inside)) == inside
