"""What `queenpost.toml` may hold, and how a person is told what is wrong with it."""

from pathlib import Path

import pytest

from wire.errors import Invalid
from wire.settings import AgentSettings, FleetSettings, Limits, Settings
from wire.settings_file import MAX_FILE_BYTES, read_settings

HOME = Path("/srv/fleet")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the settings of a test lie."""
    return tmp_path / "queenpost.toml"


def complaints(file: Path, text: str | bytes) -> list[str]:
    """Read a file that is wrong and give what is said, without the folder."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Invalid) as caught:
        read_settings(file, home=HOME)
    return [line.removeprefix(f"{file.parent}/") for line in caught.value.message.split("\n")]


def test_a_whole_file_is_read(file: Path) -> None:
    """DESIGN 10: the desired state of what it declares."""
    file.write_text(
        """
        fleet.name = "demo"
        [limits]
        send_burst = 10
        send_per_minute = 6
        [agents.manager]
        role = "manager"
        backend = "command"
        command = ["claude", "-p"]
        [agents.alice]
        backend = "scripted"
        script = "echo"
        env = { A = "1" }
        allowed_recipients = ["manager", "operator"]
        """
    )
    assert read_settings(file, home=HOME) == Settings(
        fleet=FleetSettings(name="demo"),
        limits=Limits(send_burst=10, send_per_minute=6.0),
        agents={
            "manager": AgentSettings(role="manager", backend="command", command=["claude", "-p"]),
            "alice": AgentSettings(
                backend="scripted", script="echo", env={"A": "1"}, allowed_recipients=["manager", "operator"]
            ),
        },
    )


def test_an_empty_file_is_a_fleet_without_agents(file: Path) -> None:
    """Ours: everything has a default; a byte order mark does not count."""
    file.write_bytes(b"\xef\xbb\xbf")
    assert read_settings(file, home=HOME) == Settings()


def test_paths_start_at_the_file_and_secrets_at_the_home(file: Path) -> None:
    """DESIGN 2: paths in it are relative to it, `secrets/…` to the home; a bare command is left for PATH."""
    file.write_text(
        """
        [agents.alice]
        backend = "command"
        command = ["./bin/agent", "./left/alone"]
        workdir = "."
        prompt = "../prompts/alice.md"
        env_file = "secrets/alice.env"
        [agents.bob]
        backend = "command"
        command = ["agent"]
        env_file = "/etc/bob.env"
        """
    )
    agents = read_settings(file, home=HOME).agents
    alice, bob = agents["alice"], agents["bob"]
    assert alice.command == [f"{file.parent}/bin/agent", "./left/alone"]
    assert alice.workdir == str(file.parent)
    assert alice.prompt == f"{file.parent.parent}/prompts/alice.md"
    assert alice.env_file == "/srv/fleet/secrets/alice.env"
    assert (bob.command, bob.env_file, bob.workdir) == (["agent"], "/etc/bob.env", None)


def test_a_mistyped_key_is_named_with_its_line_and_the_right_one(file: Path) -> None:
    """DESIGN 10: an unknown key is an error with file and line."""
    text = '[fleet]\nname = "demo"\n\n[agents.alice]\n# why\nbacknd = "none"\n'
    assert complaints(file, text) == ["queenpost.toml:6: agents.alice.backnd: unknown key; did you mean 'backend'?"]


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file(file: Path) -> None:
    """Ours: one run of the editor, not one per error."""
    text = """\
[fleet]
name = "De mo"
colour = "red"
[limits]
send_burst = 0
send_per_minute = "many"
inbox_bytes = 1.5
body_bytes = 9_999_999
[agents.alice]
role = "manger"
command = ["a",
  3]
env = { KEY = 1 }
prompt = false
batch_max = true
allowed_recipients = "bob"
[agents.Bob]
[agnets.carol]
"""
    assert complaints(file, text) == [
        'queenpost.toml:2: fleet.name: has to look like ^[a-z0-9][a-z0-9-]{0,62}$, not "De mo"',
        "queenpost.toml:3: fleet.colour: unknown key",
        "queenpost.toml:5: limits.send_burst: has to be at least 1, not 0",
        'queenpost.toml:6: limits.send_per_minute: has to be a number, not "many"',
        "queenpost.toml:7: limits.inbox_bytes: has to be a whole number, not 1.5",
        "queenpost.toml:8: limits.body_bytes: has to be at most 524288, not 9999999",
        (
            "queenpost.toml:10: agents.alice.role: \"manger\" is not possible; use 'agent' or 'manager';"
            " did you mean 'manager'?"
        ),
        'queenpost.toml:12: agents.alice.command[1]: has to be text in "quotes", not 3',
        'queenpost.toml:13: agents.alice.env.KEY: has to be text in "quotes"',
        'queenpost.toml:14: agents.alice.prompt: has to be text in "quotes", not false',
        "queenpost.toml:15: agents.alice.batch_max: has to be a whole number, not true",
        'queenpost.toml:16: agents.alice.allowed_recipients: has to be a list in [brackets], not "bob"',
        "queenpost.toml:17: agents.Bob: no name for an agent: lower-case letters, digits and '-', at most 31",
        "queenpost.toml:18: agnets: unknown key; did you mean 'agents'?",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("agents = 3", ":1: agents: has to be a table, not 3"),
        ("\n[[agents]]\n", ":2: agents: has to be a table, not [{}]"),
        ("agents.alice = 3", ":1: agents.alice: has to be a table, not 3"),
        (
            '[agents.alice]\nbackend = "command"',
            ":1: agents.alice: backend 'command' needs command = [\"program\", …]",
        ),
        ("\n[agents.operator]", ":2: 'operator' is a reserved name; choose another"),
        (
            '[agents.manager]\nrole = "agent"',
            ":1: only the agent with role = \"manager\" may be named 'manager'",
        ),
        (
            '[agents.a]\nrole = "manager"\n[agents.b]\nrole = "manager"',
            ':3: a fleet has at most one manager; these say role = "manager": a, b',
        ),
        (
            '[agents.al]\n[agents.alice]\nallowed_recipients = ["al",\n "bob"]\n[agents.zoe]',
            ":3: agents.alice.allowed_recipients names 'bob', which no [agents.…] table declares",
        ),
    ],
)
def test_what_does_not_fit_together_is_said_with_its_line(file: Path, text: str, complaint: str) -> None:
    """DESIGN 5.17 and 10: names, roles, recipients."""
    assert complaints(file, text) == [f"queenpost.toml{complaint}"]


def test_what_a_later_version_will_know_is_told_apart_from_typing_errors(file: Path) -> None:
    """Ours: the documentation names it already."""
    assert complaints(file, "[[notify]]\n[agents.alice]\n") == [
        "queenpost.toml:1: notify: not supported by this version",
    ]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("a = 1\nb = \n", ":2: not TOML: "),
        ("a = 1\na = 2\n", ":2: not TOML: "),
        ('a = """\nx\n', ":3: not TOML: "),
        (f"a = {'[' * 5000}", ": not TOML: "),
        (b"a = 1\nb = '\xff'\n", ":2: not UTF-8"),
    ],
)
def test_what_is_no_toml_is_said_with_its_line(file: Path, text: str | bytes, start: str) -> None:
    """DESIGN 10: file and line, whatever is wrong."""
    [complaint] = complaints(file, text)
    assert complaint.startswith(f"queenpost.toml{start}")


def test_a_value_that_may_be_secret_is_not_repeated(file: Path) -> None:
    """Ours: errors end up in logs and terminals."""
    [complaint] = complaints(file, "[agents.alice]\nenv = { API_KEY = 12345 }")
    assert "12345" not in complaint


def test_a_long_value_is_cut(file: Path) -> None:
    """Ours: one error, one line."""
    [complaint] = complaints(file, f"limits.send_burst = '{'x' * 5000}\\n'")
    assert len(complaint) < 200


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_a_file_that_cannot_be_read_is_named(file: Path, what: str) -> None:
    """DESIGN 10: an invalid file stops a start; so does one that is not there."""
    if what == "folder":
        file.mkdir()
    with pytest.raises(Invalid, match=r"cannot read the settings .*queenpost\.toml"):
        read_settings(file, home=HOME)


def test_a_file_that_is_far_too_large_is_refused(file: Path) -> None:
    """Ours: the wrong file was named."""
    assert "over" in complaints(file, b"#" * (MAX_FILE_BYTES + 1))[0]


def test_the_files_of_the_port_are_resolved_as_all_paths_are(file: Path) -> None:
    """DESIGN 4: the certificate lies beside the file, its key among the secrets of the home."""
    file.write_text(
        """
        [link]
        listen = "0.0.0.0:7443"
        certificate = "post.pem"
        key = "secrets/tls.key"
        """,
        encoding="utf-8",
    )
    link = read_settings(file, home=Path("/srv/home")).link
    assert link.certificate == str(file.parent / "post.pem")
    assert link.key == "/srv/home/secrets/tls.key"


@pytest.mark.parametrize("given", ["", 'certificate = "post.pem"', 'key = "secrets/tls.key"'])
def test_a_port_without_certificate_and_key_is_refused(file: Path, given: str) -> None:
    """DESIGN 4: the link is never open on a port without TLS."""
    file.write_text(f'[link]\nlisten = "0.0.0.0:7443"\n{given}\n', encoding="utf-8")
    with pytest.raises(Invalid, match="listen needs certificate and key"):
        read_settings(file, home=Path("/srv/home"))
