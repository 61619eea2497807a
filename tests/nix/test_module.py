"""The units that the module makes, as pinned; and what it says of options that are wrong."""

import re
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from tests.architecture.tree import ROOT
from tests.nix.evaluating import HERE, LIBRARIES, Nix, NixError, evaluate, needs_nix
from tests.nix.fleets import FULL
from wire.settings import Settings

pytestmark = [needs_nix, pytest.mark.parametrize("library", LIBRARIES), pytest.mark.timeout(60)]

GOLDEN = HERE / "golden"
FLEETS: dict[str, dict[str, Any]] = {
    "plain": {"settings": {"agents": {"me": {}}}},
    "full": {"name": "demo", "openFirewall": True, "settings": FULL},
}


def unit_file(unit: dict[str, Any]) -> str:
    """Write a unit as NixOS does, a line for each of several values; without what it makes store paths of."""
    install = {"WantedBy": unit["wantedBy"]}
    head = {
        "Description": unit["description"],
        "After": unit["after"],
        "Wants": unit.get("wants", []),
        "StartLimitIntervalSec": unit["startLimitIntervalSec"],
        "StartLimitBurst": unit["startLimitBurst"],
    }
    variables = {"Environment": [f"{name}={value}" for name, value in unit["environment"].items()]}
    sections = {"Unit": head, "Service": {**variables, **unit["serviceConfig"]}, "Install": install}
    return "\n".join(f"[{name}]\n{_lines(section)}" for name, section in sections.items())


def _lines(section: dict[str, Any]) -> str:
    return "".join(f"{key}={_word(word)}\n" for key, value in section.items() for word in _words(value))


def _words(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("fleet", FLEETS)
def test_units_and_settings_are_as_pinned(library: str, fleet: str) -> None:
    """Spec: a changed line is a decision. An agent with a backend brings the harness."""
    made = evaluate(library, "make", {"enable": True, **FLEETS[fleet]})
    texts = {f"{name}.service": unit_file(unit) for name, unit in made["units"].items()}
    texts |= {Path(name).name: text for name, text in made["files"].items()}
    pinned = {path.name: path.read_text(encoding="utf-8") for path in (GOLDEN / fleet).iterdir()}
    assert texts == pinned


def test_what_is_not_enabled_makes_nothing(library: str) -> None:
    """Spec."""
    assert evaluate(library, "make", {"settings": FULL}) == {"units": {}}


def test_the_port_is_opened_where_one_asks_for_it(library: str) -> None:
    """Spec: and only then."""
    closed = evaluate(library, "make", {"enable": True, "settings": FULL})
    opened = evaluate(library, "make", {"enable": True, "openFirewall": True, "settings": FULL})
    assert (closed["ports"], opened["ports"]) == ([], [7411])


def test_a_user_of_ones_own_is_not_made(library: str) -> None:
    """Ours: the name of another user means one that exists."""
    made = evaluate(library, "make", {"enable": True, "user": "me", "group": "users"})
    assert (made["users"], made["groups"]) == ({}, {})
    assert made["units"]["queenpost-broker"]["serviceConfig"]["User"] == "me"


def test_who_may_reach_the_broker_is_read_at_a_restart_and_all_else_while_it_runs(library: str) -> None:
    """Ours: a changed limit does not end a turn. Where events of jobs travel holds until a restart too."""
    plain, limits, link, mqtt = (
        evaluate(library, "make", {"enable": True, "settings": settings})["units"]["queenpost-broker"]
        for settings in (
            {},
            {"limits": {"send_burst": 1}},
            {"link": {"group": "users"}},
            {"mqtt": {"url": "mqtts://h"}},
        )
    )
    assert plain["restartTriggers"] == limits["restartTriggers"]
    assert len({str(unit["restartTriggers"]) for unit in (plain, link, mqtt)}) == 3
    assert plain["reloadTriggers"] != limits["reloadTriggers"]


@pytest.mark.parametrize(("said", "names"), [({}, ["mosquitto"]), ({"mosquitto": None}, [])])
def test_the_broker_finds_mosquitto_on_its_path(library: str, said: dict[str, Any], names: list[str]) -> None:
    """Ours: whoever wants none has the MQTT broker that comes with the package."""
    unit = evaluate(library, "make", {"enable": True, **said})["units"]["queenpost-broker"]
    assert [path.rpartition("-")[2] for path in unit["path"]] == names


AGENT = {"backend": "command", "command": ["/srv/a.sh"]}
PREFIX = "services.queenpost.settings"
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown table": ({"limit": {}}, [f"The option `{PREFIX}.limit' does not exist"]),
    "an unknown key": ({"limits": {"sends": 1}}, [f"The option `{PREFIX}.limits.sends' does not exist"]),
    "an unknown key of an agent": (
        {"agents": {"alice": {"colour": "red"}}}, [f"The option `{PREFIX}.agents.alice.colour' does not exist"],
    ),
    "a wrong type": (
        {"limits": {"send_burst": "many"}},
        [f"`{PREFIX}.limits.send_burst' is not of type `integer between 1 and 1000000"],
    ),
    "an unknown backend": ({"agents": {"alice": {"backend": "robot"}}},
    [f"`{PREFIX}.agents.alice.backend' is not of type"]),
    "two managers": (
        {"agents": {"anna": {"role": "manager"}, "bert": {"role": "manager"}}},
        ["at most one manager; these say so: anna, bert"],
    ),
    "a manager who is none": ({"agents": {"manager": {}}},
    ["only the agent with role = \"manager\" may be named manager"]),
    "a reserved name": ({"agents": {"operator": {}}}, ["agents.operator: that name is reserved"]),
    "a name that is none": ({"agents": {"Alice": {}}}, ["agents.Alice: a name is a lower-case letter"]),
    "a recipient who is none": (
        {"agents": {"alice": {"allowed_recipients": ["nobody"]}}}, ["agents.alice.allowed_recipients names somebody"],
    ),
    "a backend without program": (
        {"agents": {"alice": {"backend": "command"}, "bob": {"backend": "scripted"}}},
        ["agents.alice: backend \"command\" needs a command", "agents.bob: backend \"scripted\" needs a script"],
    ),
    "a relative path": (
        {"agents": {"alice": {**AGENT, "workdir": "work", "prompt": "a.md", "env_file": "a.env"}}},
        [f"agents.alice.{key} has to be an absolute path" for key in ("workdir", "prompt", "env_file")],
    ),
    "a relative program": (
        {"agents": {"alice": {**AGENT, "command": ["./a.sh"]}}}, ["agents.alice.command has to be an absolute path"],
    ),
    "a secret in the store": (
        {"agents": {"alice": {**AGENT, "env_file": "/nix/store/x-alice.env"}}},
        ["agents.alice.env_file is in the Nix store, which everybody can read"],
    ),
    "a key in the store": (
        {"link": {"listen": "h:1", "certificate": "/c.pem", "key": "/nix/store/x-key.pem"}},
        ["link.key is in the Nix store, which everybody can read"],
    ),
    "a worktree of nothing": (
        {"agents": {"alice": {**AGENT, "worktree": True}}},
        ["agents.alice: worktree needs a workdir in a git repository"],
    ),
    "an account that is none": (
        {"agents": {"alice": {"account": "team"}}}, ["agents.alice.account names one that is not declared"],
    ),
    "an account without its token": (
        {"accounts": {"a": {"auth": "token"}, "b": {"auth": "own", "token_file": "/run/t"}}},
        ["accounts.a: auth \"token\" needs a token_file", "accounts.b: only auth \"token\" uses a token_file"],
    ),
    "a token in the store": (
        {"accounts": {"team": {"token_file": "/nix/store/x-token"}}},
        ["accounts.team.token_file is in the Nix store, which everybody can read"],
    ),
    "a relative token file": (
        {"accounts": {"team": {"token_file": "token"}}}, ["accounts.team.token_file has to be an absolute path"],
    ),
    "a user of no MQTT broker": (
        {"mqtt": {"user": "fleet", "ca_file": "/ca.pem", "cert_file": "/c.pem"}},
        ["mqtt: user, ca_file, cert_file needs url", "mqtt: user needs password_file", "cert_file and key_file go"],
    ),
    "secrets of MQTT in the store": (
        {"mqtt": {"url": "mqtts://h", "user": "u", "password_file": "/nix/store/x-p", "cert_file": "/c.pem",
        "key_file": "/nix/store/x-key.pem"}},
        [f"mqtt.{key} is in the Nix store, which everybody can read" for key in ("password_file", "key_file")],
    ),
    "relative files of MQTT": (
        {"mqtt": {"url": "mqtts://h", "user": "u", "password_file": "p", "ca_file": "ca", "cert_file": "c",
        "key_file": "k"}},
        [f"mqtt.{key} has to be an absolute path" for key in ("password_file", "ca_file", "cert_file", "key_file")],
    ),
    "a port without TLS": ({"link": {"listen": "0.0.0.0:7411"}}, ["link: listen needs certificate and key"]),
    "a port that is none": (
        {"link": {"listen": "everywhere", "certificate": "/c.pem", "key": "/k.pem"}},
        ["link.listen has to be host:port"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_option_is_refused_in_words(library: str, wrong: str) -> None:
    """Spec: before anything is built, all of it at once, by its name."""
    settings, messages = WRONG[wrong]
    with pytest.raises(NixError) as refused:
        evaluate(library, "make", {"enable": True, "settings": settings})
    said = " ".join(str(refused.value).split())
    assert [message for message in messages if message not in said] == [], said


def test_the_example_of_the_document_is_right(library: str) -> None:
    """Spec: docs/nix.md, as it is written there."""
    document = (ROOT / "docs" / "nix.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```nix\n(services\.queenpost.*?)^```", document, re.MULTILINE | re.DOTALL)
    made = evaluate(library, "makeModule", Nix(f"{{ {example} }}"))
    settings = Settings.model_validate(tomllib.loads(made["files"]["queenpost/queenpost.toml"]))
    assert settings.agents["alice"].env_file == "/run/secrets/alice.env"
    assert set(made["units"]) == {"queenpost-broker", "queenpost-harness"}
