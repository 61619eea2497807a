"""Which programs are here, and which of them are logged in."""

import json
from pathlib import Path

import pytest

from console.logins.finding import KNOWN, Candidate, known_as, look, missing
from console.logins.programs import is_logged_in
from console.new.choosing import choose
from tests.console.path import SAYS_NO, SAYS_YES, only, put
from wire.errors import Unavailable


def env(home: Path, *folders: Path, **more: str) -> dict[str, str]:
    """Give an environment in which nobody is logged in."""
    return {"PATH": only(*folders), "HOME": str(home), **more}


def trouble(backend: str, environment: dict[str, str]) -> str | None:
    """Look for one program."""
    return look(known_as(backend), environment).trouble


def test_a_program_that_is_not_there_is_told_from_one_that_is_not_logged_in(tmp_path: Path) -> None:
    """Issue 4, item 10: installed, and logged in; each with its own remedy."""
    tools = tmp_path / "bin"
    put(tools, "codex", "exit 1")
    put(tools, "claude", SAYS_YES)
    absent, stranger, here = (look(known_as(name), env(tmp_path, tools)) for name in ("gemini", "codex", "claude"))
    assert (absent.path, absent.ready) == (None, False)
    assert "npm install -g @google/gemini-cli" in missing(absent)
    assert (stranger.trouble, stranger.ready) == ("codex is not logged in", False)
    assert missing(stranger) == "codex is not logged in; log in with `codex login`, then try again"
    assert (here.path, here.trouble, here.ready) == (str(tools / "claude"), None, True)


def test_codex_with_a_provider_of_the_users_own_needs_no_login(tmp_path: Path) -> None:
    """Ours: as its own `account/read` has it."""
    tools, config = tmp_path / "bin", tmp_path / ".codex" / "config.toml"
    put(tools, "codex", "exit 1")
    config.parent.mkdir()
    table = 'model_provider = "mine"\n[model_providers.mine]\nbase_url = "http://127.0.0.1:1"\n'
    for text, expected in ((table, None), (f"{table}requires_openai_auth = true\n", "not"), ("= broken", "not")):
        config.write_text(text)
        assert (trouble("codex", env(tmp_path, tools)) is None) is (expected is None), text


def test_opencode_is_logged_in_by_keys_in_the_environment_or_by_its_configuration(tmp_path: Path) -> None:
    """Ours: `opencode auth list` says 0 credentials in both cases."""
    said = "└  0 credentials\n\n┌  Environment\n●  OpenAI OPENAI_API_KEY\n└  1 environment variable"
    assert is_logged_in("opencode", 0, said)
    assert not is_logged_in("opencode", 0, "└  0 credentials")
    tools, config = tmp_path / "bin", tmp_path / ".config" / "opencode" / "opencode.json"
    put(tools, "opencode", "echo '0 credentials' | sed 's/^/  /'")
    assert trouble("opencode", env(tmp_path, tools)) == "opencode is not logged in"
    config.parent.mkdir(parents=True)
    config.write_text(json.dumps({"model": "mine/large", "provider": {"mine": {"options": {"apiKey": "k"}}}}))
    assert trouble("opencode", env(tmp_path, tools)) is None


@pytest.mark.parametrize(
    ("file", "text", "more", "logged_in"),
    [
        ("", "", {}, False),
        ("", "", {"GEMINI_API_KEY": "k"}, True),
        ("oauth_creds.json", "{}", {}, True),
        (".env", "GEMINI_API_KEY=k", {}, True),
        (".env", "OTHER=k", {}, False),
    ],
)
def test_gemini_is_looked_up_where_it_looks(
    tmp_path: Path, file: str, text: str, more: dict[str, str], *, logged_in: bool
) -> None:
    """Ours: it has no command that tells."""
    put(tmp_path / "bin", "gemini", "exit 1")
    (tmp_path / ".gemini").mkdir()
    if file:
        (tmp_path / ".gemini" / file).write_text(text)
    assert (trouble("gemini", env(tmp_path, tmp_path / "bin", **more)) is None) is logged_in


def test_the_first_that_is_ready_is_chosen_and_what_was_passed_over_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 4, item 10: `auto`."""
    tools = tmp_path / "bin"
    put(tools, "claude", SAYS_NO)
    put(tools, "codex", "exit 0")
    monkeypatch.setattr("os.environ", env(tmp_path, tools))
    monkeypatch.setattr("console.new.choosing.look_for_all", lambda: (look(one, env(tmp_path, tools)) for one in KNOWN))
    told: list[str] = []
    chosen = choose("auto", lambda _, words: told.append(words))
    assert chosen.known.backend == "codex"
    assert told == [f"Codex ({tools}/codex); claude is not logged in"]


@pytest.mark.parametrize("logged_out", [True, False])
def test_without_any_it_says_what_was_looked_for_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, *, logged_out: bool
) -> None:
    """Issue 4, item 10: nothing installed, or nothing logged in."""
    path = "/opt/claude" if logged_out else None
    seen = [Candidate(KNOWN[0], path, "claude is not logged in"), *(Candidate(one, None, "no") for one in KNOWN[1:])]
    monkeypatch.setattr("console.new.choosing.look_for_all", lambda: iter(seen))
    with pytest.raises(Unavailable) as refused:
        choose("auto", lambda _what, _words: None)
    words = refused.value.message
    if logged_out:
        assert "claude is not logged in: `claude auth login`" in words
        assert "install" not in words.partition("\n")[2]
    else:
        assert all(one.install in words and f"`{one.program}`" in words for one in KNOWN)
        assert "queenpost demo" in words
