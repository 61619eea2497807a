"""With what the program is started, and what it may do then."""

import json
from typing import Any

import pytest

from harness.backends.opencode import launch
from harness.backends.opencode.asking import permission_of
from harness.backends.opencode.rules import Rule, as_configuration, rules_for
from harness.backends.protocol import NotStartedError, Permission
from tests.harness.backends.conftest import MakeSeat
from wire.settings import Permissions

ASIDE = {"question", "plan_enter", "plan_exit"}


def action(rules: list[Rule], tool: str, what: str = "x") -> str:
    """Decide as the program does: the last rule that fits counts; `*` stands for any characters."""

    def fits(pattern: str, text: str) -> bool:
        return pattern in ("*", text) or (pattern.endswith("*") and f"{text} ".startswith(pattern[:-1]))

    return next(rule.action for rule in reversed(rules) if fits(rule.permission, tool) and fits(rule.pattern, what))


@pytest.mark.parametrize(
    ("permissions", "read", "edit", "bash"),
    [("ask", "allow", "ask", "ask"), ("edits", "allow", "allow", "ask"), ("deny", "allow", "deny", "deny"),
     ("bypass", "allow", "allow", "allow")],
)  # fmt: skip
def test_each_mode_in_the_programs_own_terms(permissions: Permissions, read: str, edit: str, bash: str) -> None:
    """[H33] Our own tools never need a permission; nobody answers at its terminal."""
    rules = rules_for(permissions, [])
    assert [action(rules, tool) for tool in ("read", "edit", "bash")] == [read, edit, bash]
    assert action(rules, "queenpost_send") == "allow"
    assert {action(rules, tool) for tool in ASIDE} == {"deny"}
    assert action(rules, "external_directory") == bash


def test_allowed_tools_in_its_grammar() -> None:
    """[H33] `tool` or `tool(pattern)`; the names of its own tools may begin with a capital."""
    rules = rules_for("deny", ["Bash(git *)", "webfetch", "linear_*"])
    assert action(rules, "bash", "git push") == "allow"
    assert action(rules, "bash", "rm x") == "deny"
    assert action(rules, "webfetch") == action(rules, "linear_find") == "allow"


def test_nobody_acts_as_the_operator() -> None:
    """DESIGN 4: whatever else is allowed."""
    rules = rules_for("ask", ["bash"])
    assert action(rules, "bash", "ls") == "allow"
    assert action(rules, "bash", "queenpost send bob hello") == action(rules, "bash", "qp inbox") == "deny"


@pytest.mark.parametrize("text", ["bash git", "bash()", "(x)", "a b(c)"])
def test_a_rule_that_is_none_is_named(text: str) -> None:
    """Bad input."""
    with pytest.raises(NotStartedError, match="write `tool` or") as refused:
        rules_for("ask", [text])
    assert refused.value.outcome == "missing_program"


def test_its_helpers_read_the_rules_in_the_configuration() -> None:
    """Ours: which takes no patterns for some tools."""
    told = as_configuration(rules_for("ask", ["bash(git *)", "webfetch(https://x/*)"]))
    assert next(iter(told.items())) == ("*", "ask")
    assert told["bash"] == {"git *": "allow", "queenpost *": "deny", "qp *": "deny"}
    assert "webfetch" not in told
    assert told["question"] == "deny"


def test_the_configuration_is_ours_over_the_agents(seat_for: MakeSeat) -> None:
    """[H18] The token is named, not written; what the agent brings of its own stays."""
    brought: dict[str, Any] = {
        "provider": {"x": {}},
        "mcp": {"own": {"type": "local"}, "queenpost": {"url": "evil"}},
        "share": "auto",
    }
    seat = seat_for(backend="opencode", model="x/y", permissions="bypass", env={launch.CONTENT: json.dumps(brought)})
    environment = launch.environment_of(seat, "the-password")
    told: dict[str, Any] = json.loads(environment[launch.CONTENT])
    assert told["provider"] == {"x": {}}
    assert (told["model"], told["share"], told["autoupdate"]) == ("x/y", "disabled", False)
    assert told["mcp"]["own"] == {"type": "local"}
    server = told["mcp"]["queenpost"]
    assert (server["url"], server["oauth"]) == (seat.mcp_url, False)
    assert server["headers"] == {"Authorization": "Bearer {env:QUEENPOST_MCP_TOKEN}"}
    assert "the-bearer" not in environment[launch.CONTENT]
    assert environment["QUEENPOST_MCP_TOKEN"] == "the-bearer"  # of the test
    assert not any("the-" in word for word in launch.argv_of(seat))


def test_the_settings_are_the_agents_not_the_users(seat_for: MakeSeat, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours: a rule in the environment of whoever started the fleet would go before `permissions`."""
    monkeypatch.setenv("OPENCODE_PERMISSION", '{"*": "allow"}')
    monkeypatch.setenv("OPENCODE_SERVER_USERNAME", "somebody")
    environment = launch.environment_of(seat_for(backend="opencode"), "p")
    assert "OPENCODE_PERMISSION" not in environment
    assert environment["OPENCODE_SERVER_USERNAME"] == "opencode"


def test_a_key_of_its_own_means_folders_of_its_own(seat_for: MakeSeat) -> None:
    """DESIGN 8: the user's login, settings and sessions are not touched; without a key they are used."""
    own = launch.environment_of(seat_for(backend="opencode", env={"ANTHROPIC_API_KEY": "k"}), "p")
    folder = str(seat_for(backend="opencode").workspace.programs / "opencode")
    assert {name: own[name] for name in launch.FOLDERS} == {
        name: f"{folder}/{part}" for name, part in launch.FOLDERS.items()
    }
    shared = launch.environment_of(seat_for(backend="opencode"), "p")
    assert not any(str(shared.get(name, "")).startswith(folder) for name in launch.FOLDERS)
    chosen = {"ANTHROPIC_API_KEY": "k", "XDG_CONFIG_HOME": "/elsewhere"}
    assert launch.environment_of(seat_for(backend="opencode", env=chosen), "p")["XDG_CONFIG_HOME"] == "/elsewhere"


def test_a_folder_of_its_own_asks_no_registry(seat_for: MakeSeat) -> None:
    """Ours: it says that it has what the program would fetch; and again changes nothing."""
    folder = seat_for(backend="opencode").workspace.programs / "opencode"
    launch.furnish(folder)
    package = folder / "config" / "opencode" / "package.json"
    assert list(json.loads(package.read_text())["dependencies"]) == [launch.PLUGIN]
    package.write_text("{}")
    launch.furnish(folder)
    assert package.read_text() == "{}"


@pytest.mark.parametrize(
    ("settings", "outcome", "words"),
    [
        ({"model": "sonnet"}, "bad_model", "`provider/model`"),
        ({"env": {launch.CONTENT: "{"}}, "missing_program", "is no JSON object"),
        ({"env": {launch.CONTENT: "[]"}}, "missing_program", "is no JSON object"),
        ({"allowed_tools": ["Bash("]}, "missing_program", "allowed_tools"),
    ],
)
def test_settings_that_it_does_not_take(
    seat_for: MakeSeat, settings: dict[str, object], outcome: str, words: str
) -> None:
    """Bad input: said before the first turn, with what to do."""
    with pytest.raises(NotStartedError, match=words) as refused:
        launch.environment_of(seat_for(backend="opencode", **settings), "p")
    assert refused.value.outcome == outcome


@pytest.mark.parametrize(
    ("asked", "given", "expected"),
    [
        ({"permission": "bash", "always": ["git *"], "metadata": {"command": "git push"}}, {},
         Permission("bash", "git push", "bash(git *)")),
        ({"permission": "edit", "always": ["*"], "metadata": {"filepath": "a.py", "diff": "+x"}}, {},
         Permission("edit", "a.py\n+x", "edit")),
        ({"permission": "linear_find", "always": ["*"], "patterns": ["*"], "metadata": {}}, {"words": "bugs"},
         Permission("linear_find", '{"words": "bugs"}', "linear_find")),
        ({"permission": "external_directory", "always": ["/a/*"], "patterns": ["/a/*"]}, {},
         Permission("external_directory", "/a/*", "external_directory(/a/*)", "/a/*")),
        ({"permission": "bash", "always": ["git *"]}, {"command": "git push", "description": "d"},
         Permission("bash", "git push", "bash(git *)", "git push", is_command=True)),
        ({"permission": "bash", "always": ["git *"]}, {"command": "git push", "workdir": "/"},
         Permission("bash", '{"command": "git push", "workdir": "/"}', "bash(git *)")),
        ({"permission": "doom_loop", "always": []}, {"x": 1}, Permission("doom_loop", '{"x": 1}', None)),
        ({"always": 7, "metadata": [], "patterns": "no"}, {}, Permission("None", "{}", None)),
    ],
)  # fmt: skip
def test_a_prompt_says_what_is_to_be_done(asked: dict[str, Any], given: dict[str, Any], expected: Permission) -> None:
    """[H33] The command, the file and its change, or the arguments."""
    assert permission_of(asked, given) == expected
