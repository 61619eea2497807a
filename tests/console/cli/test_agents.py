"""agent: adding, showing, pausing, removing, tokens."""

import pytest
from click.testing import CliRunner

from console.cli import main
from tests.console.cli.test_status import BOB
from tests.console.conftest import Terminal
from wire.agents import AgentsAdded, AgentsChanged, AgentsShown, AgentsTokenPath
from wire.errors import Conflict
from wire.private_files import write_secret
from wire.settings import AgentSettings


def added(terminal: Terminal) -> None:
    """Script a broker that adds."""
    terminal.broker.answers["agents.add"] = lambda request: AgentsAdded(
        agent=request["agent"], token_path=f"/srv/secrets/agents/{request['agent']}"
    )


async def test_add_defaults_to_no_backend_and_says_where_the_token_is(terminal: Terminal) -> None:
    """DESIGN 10: `agent add` defaults to `backend = none`."""
    added(terminal)
    result = await terminal.type("agent", "add", "bob")
    assert "its token is in /srv/secrets/agents/bob" in result.stdout
    assert "queenpost mcp --agent bob" in result.stderr
    request = await terminal.broker.next("agents.add")
    assert AgentSettings.model_validate(request["settings"]) == AgentSettings()


async def test_add_takes_the_settings_of_an_agent(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Ours: paths are made absolute here, where the caller stands."""
    added(terminal)
    folder = tmp_path_factory.mktemp("w")
    words = ["--backend", "command", "--command", "my-agent --fast 'two words'", "--workdir", str(folder)]
    shown = await terminal.json("agent", "add", "bob", *words, "--may-write-to", "alice", "manager", "--batch-max", "1")
    assert shown == {"agent": "bob", "token_path": "/srv/secrets/agents/bob"}
    settings = AgentSettings.model_validate((await terminal.broker.next("agents.add"))["settings"])
    assert settings.command == ["my-agent", "--fast", "two words"]
    assert settings.allowed_recipients == ["alice", "manager"]
    assert (settings.workdir, settings.batch_max) == (str(folder.resolve()), 1)


async def test_settings_that_do_not_fit_together_are_refused_here(terminal: Terminal) -> None:
    """Ours: with the words of the settings."""
    result = await terminal.type("agent", "add", "bob", "--backend", "scripted")
    assert result.exit_code == 1
    assert result.stderr == "queenpost: invalid: backend 'scripted' needs script = \"name\"\n"


async def test_show_masks_nothing_twice_and_names_the_token_file(terminal: Terminal) -> None:
    """Ours: the broker masks the environment; the console shows what it got."""
    settings = AgentSettings(backend="command", command=["x"], env={"KEY": "***"})
    terminal.broker.answers["agents.show"] = lambda _: AgentsShown(
        agent=BOB, settings=settings, token_path="/srv/secrets/agents/bob", token_expected=True
    )
    shown = await terminal.json("agent", "show", "bob")
    assert shown["settings"]["env"] == {"KEY": "***"}
    assert shown["token_path"] == "/srv/secrets/agents/bob"
    text = (await terminal.type("agent", "show", "bob")).stdout
    assert "declared by" in text
    assert '{"KEY": "***"}' in text


async def test_pause_and_resume_take_several_names(terminal: Terminal) -> None:
    """DESIGN 5.18."""
    for verb, done in (("pause", "paused"), ("resume", "resumed")):
        terminal.broker.answers[f"agents.{verb}"] = lambda request: AgentsChanged(
            agent=request["agent"], changed=request["agent"] == "bob"
        )
        lines = (await terminal.type("agent", verb, "bob", "alice")).stdout.splitlines()
        assert lines[0] == f"bob {done}"
        assert lines[1] in {"alice was paused already", "alice was not paused"}


async def test_remove_tells_how_much_mail_died(terminal: Terminal) -> None:
    """DESIGN 5.18: waiting mail becomes dead; without a terminal nobody is asked."""
    terminal.broker.answers["agents.remove"] = lambda _: AgentsChanged(agent="bob", changed=True, dead=3)
    result = await terminal.type("agent", "remove", "bob")
    assert result.stdout == "bob removed\n"
    assert "3 of its messages are dead now" in result.stderr
    assert await terminal.json("agent", "remove", "bob") == {"agent": "bob", "changed": True, "dead": 3}


async def test_token_prints_the_path_and_the_token_only_on_demand(terminal: Terminal) -> None:
    """DESIGN 4: no token is shown unless asked for."""
    path = str(terminal.home.agent_secret("bob"))
    terminal.broker.answers["agents.token"] = lambda _: AgentsTokenPath(agent="bob", path=path)
    assert (await terminal.type("agent", "token", "bob")).stdout == f"{path}\n"
    assert (await terminal.type("agent", "token", "bob", "--show")).stdout == "the-token-of-bob\n"
    assert await terminal.json("agent", "token", "bob") == {"agent": "bob", "path": path}


async def test_a_token_is_rotated_and_shown_on_demand(terminal: Terminal) -> None:
    """DESIGN 4: rotated once per call; the new token is read from its file behind that."""
    path = terminal.home.agent_secret("bob")

    def rotate(_: dict[str, object]) -> AgentsTokenPath:
        write_secret(path, "the-new-token-of-bob")
        return AgentsTokenPath(agent="bob", path=str(path))

    terminal.broker.answers["agents.rotate"] = rotate
    result = await terminal.type("agent", "token", "bob", "--rotate")
    assert result.stdout == f"{path}\n"
    assert "the old token of bob is void" in result.stderr
    assert (await terminal.type("agent", "token", "bob", "--rotate", "--show")).stdout == "the-new-token-of-bob\n"
    requests = terminal.broker.seen()
    assert [one["agent"] for one in requests] == ["bob", "bob"]
    assert requests[0]["key"] != requests[1]["key"]


async def test_an_agent_of_the_file_is_changed_only_there(terminal: Terminal) -> None:
    """DESIGN 10: the refusal is the broker's, and is passed on."""
    terminal.broker.answers["agents.remove"] = lambda _: Conflict("bob is declared in queenpost.toml")
    result = await terminal.type("agent", "remove", "bob", "--yes")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "declared in queenpost.toml" in result.stderr


def test_a_verb_is_needed() -> None:
    """Ours: usage, with the verbs."""
    result = CliRunner().invoke(main, ["agent"])
    assert result.exit_code == 2
    assert "resume" in result.output
