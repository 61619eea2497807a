"""The options of the module against wire/settings.py, in both directions; and the TOML that they make."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tests.nix.evaluating import LIBRARIES, evaluate, needs_nix
from tests.nix.fleets import FULL, STRANGE, fields
from wire.settings import Settings
from wire.settings_file import read_settings

pytestmark = [needs_nix, pytest.mark.parametrize("library", LIBRARIES), pytest.mark.timeout(60)]


def said(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Settings that say one thing."""
    name, *rest = path
    return {"alice" if name == "NAME" else name: said(tuple(rest), value) if rest else value}


def test_every_setting_is_an_option_and_every_option_a_setting(library: str) -> None:
    """Spec: with the same default; and each says what it is."""
    options = {tuple(option["path"]): option for option in evaluate(library, "options")}
    settings = dict(fields())
    assert set(options) == set(settings)
    assert {path: option["default"] for path, option in options.items()} == {
        path: field.get_default(call_default_factory=True) for path, field in settings.items()
    }
    assert not [path for path, option in options.items() if len(option["description"]) < 15 or not option["type"]]


def cases() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each setting with values at and beyond its bounds, and with values of another type."""
    for path, field in fields():
        yield from ((path, value) for value in ("", "text", 5, 2.5, -1, True, [], ["a"], [1], {}, {"a": "b"}, {"a": 1}))
        for bound in _bounds(field):
            yield from ((path, bound + step) for step in (-1, -0.5, 0, 0.5, 1))


def _bounds(field: FieldInfo) -> list[int | float]:
    text = repr([field.annotation, *field.metadata])
    return [float(n) if "." in n else int(n) for n in re.findall(r"(?:ge|gt|le)=([\d.]+)", text.replace("_", ""))]


def is_refused_for_other_reasons(path: tuple[str, ...], value: object) -> bool:
    """What is a rule of the whole file, or of where the file lies, has tests of its own."""
    if path[-1] in {
        "workdir",
        "env_file",
        "prompt",
        "listen",
        "certificate",
        "key",
        "allowed_recipients",
        "backend",
        "account",
        "auth",
        "token_file",
        "password_file",
        "ca_file",
        "cert_file",
        "key_file",
        "pty",
        "mcp",
    }:
        return True
    return path[-1] == "command" and value == ["a"]


def test_an_option_takes_what_its_setting_takes(library: str) -> None:
    """Spec: typed; what the program would refuse is refused before anything is built, and nothing else."""
    tried = [case for case in cases() if not is_refused_for_other_reasons(*case)]
    assert len(tried) > 300
    taken: list[bool] = evaluate(library, "accepts", [{"enable": True, "settings": said(*case)} for case in tried])
    differing = [case for case, nix in zip(tried, taken, strict=True) if nix != _program_takes(said(*case))]
    assert differing == []


def _program_takes(settings: dict[str, Any]) -> bool:
    try:
        Settings.model_validate(settings)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("settings", [FULL, {}, {"agents": {"me": {}}}], ids=["full", "none", "one agent"])
def test_the_program_reads_what_the_module_writes(library: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """Spec: the generated TOML goes through the program's own parser, and says what the options say."""
    made = evaluate(library, "make", {"enable": True, "settings": settings})
    file = tmp_path / "queenpost.toml"
    file.write_text(made["files"]["queenpost/queenpost.toml"], encoding="utf-8")
    assert Settings.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))) == Settings.model_validate(settings)
    read = read_settings(file, home=tmp_path / "home")
    if settings is FULL:
        assert read.agents["alice"].env_file == str(tmp_path / "home" / "secrets" / "alice.env")
        assert read.agents["alice"].env["NAME"] == STRANGE[0]
