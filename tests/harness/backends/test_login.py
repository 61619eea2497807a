"""With which login a program runs."""

from pathlib import Path

import pytest

from harness.backends.login import login_of
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.workspace import Workspace
from wire.home import Home
from wire.private_files import write_secret
from wire.settings import AccountSettings, AgentSettings, Auth

CLAUDE = AgentSettings(backend="claude")


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A token of a subscription, in its file."""
    path = tmp_path / "token"
    write_secret(path, "sk-ant-oat01-secret-secret")
    return path


def seat(tmp_path: Path, settings: AgentSettings, account: AccountSettings | None = None) -> Seat:
    """Alice's seat in a home of its own."""
    home = Home(tmp_path / "home")
    home.create()
    workspace = Workspace(home, "alice")
    workspace.make()
    return Seat(workspace, settings, "http://127.0.0.1:1/mcp", "the-bearer", account)


def test_without_a_word_it_is_the_users_own_login_one_turn_at_a_time(tmp_path: Path) -> None:
    """DESIGN 8: nobody knows whether two may run; the limits are shared with whoever names no account."""
    login = seat(tmp_path, CLAUDE).login()
    assert (login.account, login.auth, login.max_running, login.folder) == ("default", "inherit", 1, None)


def test_a_key_of_its_own_makes_an_account_of_its_own(tmp_path: Path) -> None:
    """DESIGN 8: in a configuration folder of its own, so that it disturbs nobody's."""
    settings = AgentSettings(backend="claude", env={"ANTHROPIC_API_KEY": "k"})
    place = seat(tmp_path, settings)
    login = place.login()
    assert (login.account, login.max_running) == ("agent alice", None)
    assert login.folder == place.workspace.programs / "claude"
    assert place.environment()["ANTHROPIC_API_KEY"] == "k"


def test_a_key_in_the_env_file_counts_too(tmp_path: Path) -> None:
    """DESIGN 8."""
    file = tmp_path / "alice.env"
    file.write_text("CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-x\n")
    assert seat(tmp_path, AgentSettings(backend="claude", env_file=str(file))).login().account == "agent alice"


@pytest.mark.parametrize(
    ("text", "variable"), [("sk-ant-oat01-x", "CLAUDE_CODE_OAUTH_TOKEN"), ("sk-ant-api03-x", "ANTHROPIC_API_KEY")]
)
def test_a_token_goes_where_the_program_looks_for_it(tmp_path: Path, text: str, variable: str) -> None:
    """DESIGN 8: from a private file, at each start; the key of whoever started the harness does not go before."""
    path = tmp_path / "token"
    write_secret(path, text)
    place = seat(tmp_path, CLAUDE, AccountSettings(token_file=str(path)))
    assert place.environment()[variable] == text
    write_secret(path, f"{text}-new")
    assert place.environment()[variable] == f"{text}-new"
    assert f"{text}-new" in place.secrets()


def test_the_harness_own_key_is_not_used_beside_a_token(
    tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours: programs take a key before a token, and would bill another account."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of-the-user")
    assert "ANTHROPIC_API_KEY" not in seat(tmp_path, CLAUDE, AccountSettings(token_file=str(token))).environment()
    assert seat(tmp_path, CLAUDE).environment()["ANTHROPIC_API_KEY"] == "of-the-user"


def test_a_variable_of_ones_own(tmp_path: Path, token: Path) -> None:
    """Ours: a provider that nobody knows here."""
    account = AccountSettings(token_file=str(token), token_variable="MY_KEY")
    assert seat(tmp_path, CLAUDE, account).environment()["MY_KEY"].startswith("sk-ant-oat")


def test_a_token_that_others_may_read_is_not_used(tmp_path: Path, token: Path) -> None:
    """Bad input: the message names file and remedy, never the token."""
    token.chmod(0o644)
    with pytest.raises(NotStartedError, match="chmod") as refused:
        seat(tmp_path, CLAUDE, AccountSettings(token_file=str(token))).environment()
    assert refused.value.outcome == "auth"
    assert "secret-secret" not in refused.value.reason


def test_an_account_of_its_own_folder_is_shared_by_its_agents(tmp_path: Path) -> None:
    """DESIGN 8: logged in once; the folder is one, so that a refreshed token is everybody's."""
    account = AccountSettings(auth="own", max_running=3)
    settings = AgentSettings(backend="claude", account="team")
    logins = [
        login_of(name, settings, account, {}, private=tmp_path / name, shared=tmp_path / "accounts")
        for name in ("alice", "bob")
    ]
    assert logins[0] == logins[1]
    assert (logins[0].account, logins[0].max_running) == ("team", 3)
    assert logins[0].folder == tmp_path / "accounts" / "team" / "claude"


@pytest.mark.parametrize("auth", ["inherit", "own", "token"])
def test_how_many_programs_stay_is_its_accounts_word(tmp_path: Path, auth: Auth) -> None:
    """Issue 4: `max_warm` per account; an agent with a key of its own is in no account of the file."""
    token_file = str(tmp_path / "token") if auth == "token" else None
    account = AccountSettings(auth=auth, max_warm=3, token_file=token_file)
    assert seat(tmp_path, AgentSettings(backend="claude", account="team"), account).login().max_warm == 3
    own = AgentSettings(backend="claude", env={"ANTHROPIC_API_KEY": "sk-of-the-test"})
    assert seat(tmp_path, own, account).login().max_warm is None


@pytest.mark.parametrize(("backend", "more"), [("command", {"command": ["x"]}), ("scripted", {"script": "echo"})])
def test_a_program_without_a_provider_waits_for_nobody(tmp_path: Path, backend: str, more: dict[str, object]) -> None:
    """Ours: its limits are its own."""
    settings = AgentSettings.model_validate({"backend": backend, **more})
    assert seat(tmp_path, settings).login().max_running is None
