"""`mcp install`: each client's own files, done once, done twice, undone, refused. And what `mcp` itself starts."""

import json
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from console.cli import main, programs
from wire.home import Home
from wire.private_files import write_secret

TOKEN = "the-token-of-alice-and-of-nobody-else"


@dataclass
class Project:
    """A folder in which somebody works, and a home of their own beside it."""

    folder: Path
    home: Home

    def install(self, client: str, *words: str, agent: str = "alice") -> Result:
        """Run `queenpost mcp install`."""
        arguments = ["mcp", "install", "--client", client, "--agent", agent, *words, "--home", str(self.home.root)]
        return CliRunner().invoke(main, arguments)

    def files(self) -> dict[str, bytes]:
        """Give everything in the folder and in the user's own one."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and self.home.root not in path.parents
        }

    @property
    def arguments(self) -> list[str]:
        """What starts the server of alice."""
        return ["-P", "-m", "mcp_tools", "--agent", "alice", "--home", str(self.home.root)]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Stand in a folder; nothing of the one who runs the tests is found from it."""
    for name in [*os.environ]:
        if name.startswith(("CLAUDE", "CODEX", "XDG_", "QUEENPOST")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    home = Home(tmp_path / "fleet")
    home.create()
    write_secret(home.agent_secret("alice"), TOKEN)
    return Project(tmp_path, home)


def server(project: Project, file: str, *way: str) -> dict[str, Any]:
    """Read our entry as a client does."""
    value: Any = json.loads((project.folder / file).read_bytes())
    for step in way:
        value = value[step]
    return value


VSCODE = "Library/Application Support" if sys.platform == "darwin" else ".config"
PLACES = {
    "claude": (".mcp.json", "user/.claude.json", "mcpServers"),
    "gemini": (".gemini/settings.json", "user/.gemini/settings.json", "mcpServers"),
    "cursor": (".cursor/mcp.json", "user/.cursor/mcp.json", "mcpServers"),
    "vscode": (".vscode/mcp.json", f"user/{VSCODE}/Code/User/mcp.json", "servers"),
    "opencode": ("opencode.json", "user/.config/opencode/opencode.json", "mcp"),
}


HOOKED = {
    "claude": (".claude/settings.local.json", ["PostToolUse", "SessionStart", "Stop"]),
    "codex": ("user/.codex/hooks.json", ["PostToolUse", "SessionStart", "Stop"]),
    "gemini": (".gemini/settings.json", ["AfterAgent", "AfterTool", "SessionStart"]),
}
"""Where the hooks of a client stand, and which events they are for."""


@pytest.mark.parametrize("client", PLACES)
@pytest.mark.parametrize("scope", ["project", "user"])
def test_each_client_finds_the_server_in_its_own_file(project: Project, client: str, scope: str) -> None:
    """[P10] Spec: one command; always called queenpost; absolute paths; no token."""
    result = project.install(client, "--scope", scope)
    assert result.exit_code == 0, result.output
    in_project, in_user, table = PLACES[client]
    file = in_user if scope == "user" else in_project
    assert [*project.files()] == [file]
    entry = server(project, file, table, "queenpost")
    command = entry["command"] if client == "opencode" else [entry["command"], *entry["args"]]
    assert command == [sys.executable, *project.arguments]
    assert TOKEN.encode() not in project.files()[file]


@pytest.mark.parametrize("own", [False, True])
def test_codex_has_one_file_per_user(project: Project, own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec: $CODEX_HOME where it is set; a call may take longer than recv waits."""
    if own:
        monkeypatch.setenv("CODEX_HOME", str(project.folder / "cx"))
    assert project.install("codex").exit_code == 0
    ((file, text),) = project.files().items()
    assert file == ("cx/config.toml" if own else "user/.codex/config.toml")
    assert tomllib.loads(text.decode())["mcp_servers"]["queenpost"] == {
        "command": sys.executable,
        "args": project.arguments,
        "startup_timeout_sec": 20,
        "tool_timeout_sec": 300,
    }
    refused = project.install("codex", "--scope", "project")
    assert refused.exit_code == 1
    assert "use --scope user" in refused.stderr


def test_claude_has_a_folder_of_its_own_where_it_says_so(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: $CLAUDE_CONFIG_DIR."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(project.folder / "own"))
    assert project.install("claude", "--scope", "user", "--hooks").exit_code == 0
    assert sorted(project.files()) == ["own/.claude.json", "own/settings.json"]


def test_opencode_with_comments_keeps_them(project: Project) -> None:
    """Ours: `opencode.jsonc` wins where it is there."""
    (project.folder / "opencode.jsonc").write_text('{\n  // mine\n  "model": "m",\n}\n')
    assert project.install("opencode").exit_code == 0
    assert not (project.folder / "opencode.json").exists()
    text = (project.folder / "opencode.jsonc").read_text()
    assert text.startswith('{\n  // mine\n  "model": "m",\n  "mcp": {\n')


@pytest.mark.parametrize("client", [*PLACES, "codex"])
def test_the_second_time_nothing_is_written(project: Project, client: str) -> None:
    """Spec: idempotent, and no copy of what did not change."""
    words = ["--hooks"] if client in HOOKED else []
    project.install(client, *words)
    before = project.files()
    result = project.install(client, *words)
    assert result.exit_code == 0
    assert "already so: " in result.stdout
    assert "wrote" not in result.stdout
    assert project.files() == before


def test_a_file_that_is_not_needed_is_not_spoken_of(project: Project) -> None:
    """Ours: without --hooks nobody asks for a file of hooks; one that is there is kept in step, and named."""
    assert "settings.local.json" not in project.install("claude").stdout
    project.install("claude", "--hooks")
    assert "already so: " in project.install("claude").stdout


@pytest.mark.parametrize("client", [*PLACES, "codex"])
def test_a_dry_run_shows_the_difference_and_writes_nothing(project: Project, client: str) -> None:
    """Spec."""
    result = project.install(client, "--dry-run")
    assert result.exit_code == 0
    assert project.files() == {}
    assert result.stdout.startswith("--- ")
    assert str(project.home.root) in result.stdout
    assert result.stdout.count("\n+") > 3


FOREIGN = '{\n    "numStartups": 1.0,\n    "%s": {\n        "other": {"command": "x"}\n    }\n}\n'


@pytest.mark.parametrize("client", PLACES)
def test_what_was_there_stays_and_comes_back(project: Project, client: str) -> None:
    """Spec: install and uninstall leave the file as it was, to the byte, with a copy beside it."""
    file, _, table = PLACES[client]
    path = project.folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(FOREIGN % table)
    assert project.install(client).exit_code == 0
    entries = server(project, file, table)
    assert list(entries) == ["other", "queenpost"]
    assert (project.folder / f"{file}.queenpost-backup").read_text() == FOREIGN % table
    assert project.install(client, "--uninstall").exit_code == 0
    assert path.read_text() == FOREIGN % table
    again = project.install(client, "--uninstall")
    assert (again.exit_code, again.stdout) == (0, f"already so: {path}\n" + _settings_line(project, client))


def _settings_line(project: Project, client: str) -> str:
    return f"already so: {project.folder}/.claude/settings.local.json\n" if client == "claude" else ""


BROKEN = {
    "claude": (".mcp.json", '{\n  "mcpServers": {,}\n}', 2),
    "gemini": (".gemini/settings.json", "{\n\n  // fine\n  nothing\n}", 4),
    "cursor": (".cursor/mcp.json", "hello", 1),
    "vscode": (".vscode/mcp.json", '{"servers":\n [1]}', 2),
    "opencode": ("opencode.json", '{\n"a": "b\n"}', 2),
    "codex": ("user/.codex/config.toml", "a = 1\nb = [\n", 3),
}


@pytest.mark.parametrize("client", BROKEN)
@pytest.mark.parametrize("word", ["--dry-run", "--json", "--uninstall"])
def test_a_file_that_cannot_be_read_is_left_untouched(project: Project, client: str, word: str) -> None:
    """Spec: bad input: exit 1, with file and line, every byte as it was."""
    file, text, line = BROKEN[client]
    path = project.folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    result = project.install(client, word)
    assert result.exit_code == 1
    assert f"{path}:{line}: " in result.stderr
    assert "left as it is" in result.stderr
    assert project.files() == {file: text.encode()}


def test_an_empty_file_is_filled(project: Project) -> None:
    """Ours: clients make such files."""
    (project.folder / ".mcp.json").write_text("\n")
    assert project.install("claude").exit_code == 0
    assert server(project, ".mcp.json", "mcpServers", "queenpost")["command"] == sys.executable


def test_no_file_is_written_when_one_of_them_is_broken(project: Project) -> None:
    """Spec: every edit is known before the first is made."""
    settings = project.folder / ".claude" / "settings.local.json"
    settings.parent.mkdir()
    settings.write_text("{ // no comment may stand here\n}")
    result = project.install("claude", "--hooks")
    assert result.exit_code == 1
    assert f"{settings}:1: " in result.stderr
    assert [*project.files()] == [".claude/settings.local.json"]


@pytest.mark.parametrize("client", HOOKED)
def test_hooks_are_installed_with_one_word_and_follow_the_agent(project: Project, client: str) -> None:
    """Spec: end of turn, tool, start; another agent takes them along, and uninstalling takes them out."""
    file, events = HOOKED[client]
    installed = project.install(client, "--hooks")
    assert sorted(server(project, file, "hooks")) == events
    assert b" alice " in project.files()[file]
    assert TOKEN.encode() not in project.files()[file]
    assert ("trust" in installed.stdout) is (client != "claude"), "what it asks at its first start"
    assert project.install(client, agent="bob").exit_code == 0
    assert b" alice " not in project.files()[file]
    assert project.install(client, "--uninstall").exit_code == 0
    assert project.files()[file] == b"{}\n"


WITH_HOOKS = """\
{
    "hooks": {
        "SessionStart": [
            {"matcher": "startup", "hooks": [{"type": "command", "command": "mine"}]}
        ]
    },%s
    "model": 1.0
}
"""


@pytest.mark.parametrize(("client", "comment"), [("claude", ""), ("codex", ""), ("gemini", "  // mine")])
def test_hooks_of_others_stay_and_come_back_to_the_byte(project: Project, client: str, comment: str) -> None:
    """Spec: with a copy beside it; comments where the client takes them."""
    path = project.folder / HOOKED[client][0]
    path.parent.mkdir(parents=True)
    before = WITH_HOOKS % comment
    path.write_text(before)
    project.install(client, "--hooks", "--dry-run")
    assert path.read_text() == before
    assert project.install(client, "--hooks").exit_code == 0
    assert path.read_text().startswith(before[: before.index("SessionStart")])
    assert comment in path.read_text()
    assert (path.with_name(f"{path.name}.queenpost-backup")).read_text() == before
    assert project.install(client, "--uninstall").exit_code == 0
    assert path.read_text() == before


def test_server_and_hooks_of_one_file_are_one_change(project: Project) -> None:
    """Ours: in Gemini CLI; two edits of one file would undo each other."""
    result = project.install("gemini", "--hooks", "--json")
    (edit,) = json.loads(result.stdout)["files"]
    assert edit["path"] == str(project.folder / ".gemini/settings.json")
    assert sorted(server(project, ".gemini/settings.json")) == ["hooks", "mcpServers"]
    assert project.install("gemini", "--uninstall", "--json").exit_code == 0
    assert project.files()[".gemini/settings.json"] == b"{}\n"


@pytest.mark.parametrize("text", ["{ // none here\n}", "hello", '{"hooks": 7}'])
def test_hooks_of_codex_that_cannot_be_read_leave_everything_as_it_is(project: Project, text: str) -> None:
    """Spec: Codex takes no comment there either; every edit is known before the first is made."""
    path = project.folder / "user/.codex/hooks.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    result = project.install("codex", "--hooks")
    assert result.exit_code == 1
    assert f"{path}:1: " in result.stderr
    assert project.files() == {"user/.codex/hooks.json": text.encode()}


LACKING = {"cursor": "could not be tried", "vscode": "could not be tried", "opencode": "no hooks that are programs"}


@pytest.mark.parametrize(("client", "why"), LACKING.items())
def test_a_client_whose_hooks_are_not_installed_gets_nothing_and_says_why(
    project: Project, client: str, why: str
) -> None:
    """Spec: a clear sentence."""
    result = project.install(client, "--hooks")
    assert result.exit_code == 1
    assert why in result.stderr
    assert "install without --hooks" in result.stderr
    assert project.files() == {}


def test_a_fleet_on_another_machine_is_reached_as_elsewhere(project: Project) -> None:
    """DESIGN 4: over ssh; a path that was named holds in any folder. Hooks of a fleet here go with it."""
    project.install("claude", "--hooks")
    words = ["mcp", "install", "--client", "claude", "--agent", "alice", "--broker", "ssh://host", "--token-file", "t"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    args = server(project, ".mcp.json", "mcpServers", "queenpost")["args"]
    assert args[3:] == ["--agent", "alice", "--broker", "ssh://host", "--token-file", str(project.folder / "t")]
    assert project.files()[".claude/settings.local.json"] == b"{}\n"
    refused = CliRunner().invoke(main, [*words, "--hooks"])
    assert (refused.exit_code, "install without --hooks" in refused.stderr) == (1, True)


def test_a_descriptor_is_no_source_that_a_file_can_name(project: Project) -> None:
    """Ours: it ends with this process."""
    assert project.install("claude", "--token-fd", "3").exit_code == 2
    assert project.files() == {}


def test_programs_get_json(project: Project) -> None:
    """Ours."""
    path = project.folder / ".mcp.json"
    path.write_text("{}")
    result = project.install("claude", "--json")
    assert json.loads(result.stdout) == {
        "client": "claude",
        "agent": "alice",
        "dry_run": False,
        "files": [{"path": str(path), "changes": True, "backup": f"{path}.queenpost-backup"}],
    }


def test_an_agent_that_is_not_there_yet_is_named_with_what_makes_it(project: Project) -> None:
    """Ours: the file is right all the same."""
    result = project.install("claude", agent="carol")
    assert result.exit_code == 0
    assert "queenpost agent add carol" in result.stderr


USAGE = [
    (["mcp"], "--agent NAME"),
    (["mcp", "--agent", "a", "--port", "1"], "--port is for --http"),
    (["mcp", "--agent", "a", "install", "--client", "claude"], "behind the verb"),
    (["mcp", "install", "--agent", "a"], "--client"),
    (["mcp", "install", "--client", "emacs", "--agent", "a"], "emacs"),
    (["mcp", "install", "--client", "claude"], "--agent"),
]


@pytest.mark.parametrize(("words", "why"), USAGE)
def test_usage_is_exit_2(project: Project, words: list[str], why: str) -> None:
    """Spec."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert why in result.stderr


def test_a_name_that_no_agent_can_have_is_refused(project: Project) -> None:
    """Ours: it would become part of a path and of a shell command."""
    result = project.install("claude", agent="../x; rm")
    assert result.exit_code == 1
    assert project.files() == {}


@pytest.mark.parametrize(
    ("words", "more"),
    [([], []), (["--http"], ["--http"]), (["--http", "--port", "8123"], ["--http", "--port", "8123"])],
)
def test_mcp_becomes_the_server(
    project: Project, words: list[str], more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spec: one process, so that signals and standard streams are its own."""
    started: list[list[str]] = []

    def execv(_: str, command: list[str]) -> None:
        started.append(command)

    monkeypatch.setattr(programs.os, "execv", execv)
    result = CliRunner().invoke(main, ["--home", str(project.home.root), "mcp", "--agent", "alice", *words])
    assert result.exit_code == 0, result.output
    assert started == [[sys.executable, *project.arguments, *more]]
