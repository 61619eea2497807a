"""Further MCP servers of an agent: how their file is read, and how each program is told of them."""

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harness.backends.choose import backend_for
from harness.backends.claude import launch as claude
from harness.backends.codex import launch as codex
from harness.backends.codex.servers import inline, secrets_of, table_of
from harness.backends.gemini import launch as gemini
from harness.backends.opencode import launch as opencode
from harness.backends.protocol import NotStartedError
from harness.backends.seat import Seat
from harness.backends.servers import Server, read_servers
from tests.harness.backends.conftest import MakeSeat

SECRET = "s3cr3t-token"  # made up
FILE = {
    "mcpServers": {
        "db": {"command": "db-mcp", "args": ["--as", "${DB_USER:-nobody}"], "env": {"DB_TOKEN": "${TOKEN}"}},
        "web": {"type": "http", "url": "https://web.example/mcp", "headers": {"Authorization": "Bearer ${TOKEN}"}},
    }
}


@pytest.fixture
def seat(seat_for: MakeSeat, tmp_path: Path) -> Any:
    """Make a seat whose agent has the two servers of `FILE`, and the secret in its env_file."""
    (tmp_path / "mcp.json").write_text(json.dumps(FILE), encoding="utf-8")
    (tmp_path / "env").write_text(f"TOKEN={SECRET}\n", encoding="utf-8")

    def make(backend: str, **settings: object) -> Seat:
        files = {"mcp": str(tmp_path / "mcp.json"), "env_file": str(tmp_path / "env")}
        return seat_for(backend=backend, **files, **settings)

    return make


def read(tmp_path: Path, text: str, **environment: str) -> list[Server]:
    """Read a file with this text."""
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    return read_servers(path, environment)


def servers(entry: object, name: str = "x") -> str:
    """Write a file with one server."""
    return json.dumps({"mcpServers": {name: entry}})


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    """Ours: and an empty one is none either."""
    assert read_servers(None, {}) == []
    assert read(tmp_path, '{"mcpServers": {}}') == []


def test_references_are_put_in_from_the_environment(tmp_path: Path) -> None:
    """DESIGN 10: what is not set takes what stands behind `:-`."""
    (found,) = read(tmp_path, servers({"command": "c", "args": ["${A}-${B:-b}", "${B:-}", "$A"]}), A="1")
    assert found.expanded({"A": "1"}).args == ("1-b", "", "$A")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "it is no JSON, line 1"),
        ("[" * 100_000, "it is no JSON"),
        ("[]", 'it has to be {"mcpServers"'),
        ('{"mcpServers": {}, "hooks": {}}', 'it has to be {"mcpServers"'),
        ('{"mcpServers": []}', "has to be an object of servers"),
        (servers({"command": "c"}, "queenpost"), "is called 'queenpost', as our own is"),
        (servers({"command": "c"}, "a b"), "a name has letters"),
        (servers("c"), "server 'x' has to be an object"),
        (servers({"type": "sse", "url": "http://a"}), "type has to be stdio or http"),
        (servers({"type": ["stdio"]}), "type has to be stdio or http"),
        (servers({"command": "c", "cmd": "d"}), "unknown key 'cmd'; it takes args, command, env, type"),
        (servers({"command": "c", "url": "http://a"}), "unknown key 'command'; it takes headers, type, url"),
        (servers({"args": []}), "command has to be the program"),
        (servers({"command": "c", "args": "d"}), "args has to be a list of texts"),
        (servers({"command": "c", "env": {"A": 1}}), "env has to be an object of texts"),
        (servers({"command": "c", "env": []}), "env has to be an object of texts"),
        (servers({"command": "c", "env": {"A B": "1"}}), "'A B' is no name of a variable"),
        (servers({"url": "ftp://a"}), "url has to begin with http"),
        (servers({"command": "c", "env": {"A": "${NOT_SET}"}}), r"\$\{NOT_SET\} is not set; put it into"),
        (servers({"url": "http://a", "headers": {"A": "${QUEENPOST_MCP_TOKEN:-}"}}), "is Queenpost's own"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, words: str) -> None:
    """[H28] With the file and the server by name; no value is told."""
    with pytest.raises(NotStartedError, match=words) as refused:
        read(tmp_path, text, QUEENPOST_MCP_TOKEN="t")
    assert refused.value.reason.startswith(f"mcp {tmp_path / 'a.json'}: ")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """[H28] Or that is something else altogether."""
    with pytest.raises(NotStartedError, match="No such file"):
        read_servers(tmp_path / "none.json", {})
    (tmp_path / "large").write_bytes(b" " * 300_000)
    with pytest.raises(NotStartedError, match="is that the right file"):
        read_servers(tmp_path / "large", {})


def test_claude_reads_them_beside_ours_and_the_secret_stays_out_of_the_file(seat: Any) -> None:
    """[H26] It puts in what the environment holds by itself."""
    path = claude.write_servers(seat("claude"))
    text = path.read_text(encoding="utf-8")
    written = json.loads(text)["mcpServers"]
    assert list(written) == ["db", "web", "queenpost"]
    assert written["db"] == {"type": "stdio", **FILE["mcpServers"]["db"]}
    assert written["web"] == FILE["mcpServers"]["web"]
    assert SECRET not in text
    assert claude.environment_of(seat("claude"))["TOKEN"] == SECRET


def test_codex_gets_names_of_variables_in_its_arguments(seat: Any) -> None:
    """[H26] An argument can be read by anybody: what may be secret is in the environment."""
    made = seat("codex")
    environment = codex.environment_of(made)
    argv = codex.argv_of(made, environment)
    assert SECRET not in " ".join(argv)
    settings = [tomllib.loads(value)["mcp_servers"] for value in argv if value.startswith("mcp_servers.")]
    found = {name: table for one in settings for name, table in one.items()}
    db, web = found["db"], found["web"]
    assert db["command"] == "/bin/sh"
    assert db["args"] == [
        "-c",
        'export DB_TOKEN="$QUEENPOST_SERVER_0_0"; exec db-mcp --as "$QUEENPOST_SERVER_0_2"',
    ]
    assert [environment[name] for name in db["env_vars"]] == [SECRET, "--as", "nobody"]
    assert web["url"] == "https://web.example/mcp"
    assert environment[web["env_http_headers"]["Authorization"]] == f"Bearer {SECRET}"
    assert (db["required"], web["required"], found["queenpost"]["required"]) == (False, False, True)


@pytest.mark.parametrize("backend", ["claude", "codex", "gemini", "opencode"])
async def test_a_file_that_is_not_right_is_said_before_any_turn(seat: Any, tmp_path: Path, backend: str) -> None:
    """[H28] When the agent is hosted, whatever its program is."""
    (tmp_path / "mcp.json").write_text("[]", encoding="utf-8")
    made = backend_for(seat(backend, command=[sys.executable]))
    assert made is not None
    assert f"mcp {tmp_path / 'mcp.json'}: it has to be" in ((await made.probe()).problem or "")


def test_codex_takes_a_server_without_secrets_as_it_is() -> None:
    """Ours: no shell stands between where none is needed."""
    plain = Server("x", "/opt/x y", ("-a", 'b"c', "ü"))
    table = table_of(plain, 3)
    assert (table["command"], table["args"]) == ("/opt/x y", ["-a", 'b"c', "ü"])
    assert tomllib.loads(f"x={inline(table)}")["x"] == table
    assert "env_http_headers" not in table_of(Server("x", url="http://a"), 0)
    assert secrets_of(Server("x", url="http://a"), 0) == {}


@pytest.mark.parametrize("server", [Server("x", url="http://a/${T}"), Server("x", "${T}/x")])
def test_codex_refuses_what_would_stand_in_its_arguments(server: Server) -> None:
    """Ours: by name."""
    with pytest.raises(NotStartedError, match=r"server 'x': Codex takes no \$\{…\} in command or url"):
        table_of(server, 0)


def test_codex_would_mix_two_servers_of_one_name(seat: Any, tmp_path: Path) -> None:
    """Ours: the user's own configuration has one too."""
    (tmp_path / "config.toml").write_text('[mcp_servers.db]\ncommand = "other"\n', encoding="utf-8")
    made = seat("codex", env={"CODEX_HOME": str(tmp_path)})
    with pytest.raises(NotStartedError, match="has a server 'db' too"):
        codex.argv_of(made, codex.environment_of(made))


def test_opencode_gets_them_in_its_configuration(seat: Any) -> None:
    """[H26] That is a variable, in which a secret may stand."""
    made = seat("opencode")
    written = json.loads(opencode.environment_of(made, "p")[opencode.CONTENT])["mcp"]
    assert list(written) == ["db", "web", "queenpost"]
    assert written["db"] == {
        "type": "local",
        "command": ["db-mcp", "--as", "nobody"],
        "environment": {"DB_TOKEN": SECRET},
        "enabled": True,
    }
    assert written["web"]["headers"] == {"Authorization": f"Bearer {SECRET}"}
    assert SECRET not in " ".join(opencode.argv_of(made))


def test_gemini_gets_them_through_its_pipe_and_asks_for_their_tools(seat: Any) -> None:
    """[H26] That a server may be there would allow its tools: a policy has them asked for."""
    made = seat("gemini")
    environment = gemini.environment_of(made)
    db, web = gemini.further_of(made, environment)
    assert db == {
        "name": "db",
        "command": "db-mcp",
        "args": ["--as", "nobody"],
        "env": [{"name": "DB_TOKEN", "value": SECRET}],
    }
    assert web["headers"] == [{"name": "Authorization", "value": f"Bearer {SECRET}"}]
    policies = gemini.write_policies(made, environment)
    rules = tomllib.loads(policies[0].read_text(encoding="utf-8"))["rule"]
    assert [(rule["mcpName"], rule["decision"], rule["priority"]) for rule in rules] == [
        ("db", "ask_user", 200),
        ("web", "ask_user", 200),
    ]
    argv = gemini.argv_of(made, policies, ["db", "web"])
    assert [word for word in argv if word.startswith("--allowed-mcp")] == [
        f"--allowed-mcp-server-names={name}" for name in ("queenpost", "db", "web")
    ]
    assert gemini.write_policies(seat("gemini", permissions="bypass"), environment) == []
