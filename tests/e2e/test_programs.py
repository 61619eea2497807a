"""The programs are pinned, found where they are told to be, and named where they are missing. Needs none of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import HERE, NAMES, MissingProgramError, Name, locate, pinned


def test_the_programs_are_pinned_with_all_that_they_need() -> None:
    """Ours: exact versions, a digest for each package, and nothing that says where it came from."""
    wanted: dict[str, str] = {
        **_json("package.json")["devDependencies"],
        **_json("package.json")["optionalDependencies"],
    }
    packages: dict[str, dict[str, Any]] = _json("package-lock.json")["packages"]
    packages.pop("")
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    careless = [name for name, package in packages.items() if not package.get("integrity", "").startswith("sha512-")]
    assert not careless
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert "://" not in (HERE / "package-lock.json").read_text(encoding="utf-8")


def test_no_package_runs_a_script_when_it_is_installed() -> None:
    """Ours: what is downloaded runs in a test's home, under a test's environment, and nowhere else."""
    assert "ignore-scripts=true" in (HERE / ".npmrc").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_each_program_has_one_pinned_version(name: Name) -> None:
    """Ours: the same for every platform."""
    assert pinned(name) in _wanted().values()


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_program_is_named_with_what_to_do(name: Name, tmp_path: Path) -> None:
    """Ours."""
    with pytest.raises(MissingProgramError, match=rf"{name}.*`make programs`.*QUEENPOST_E2E_{name.upper()}"):
        locate(name, {"QUEENPOST_E2E_PROGRAMS": str(tmp_path)})
    with pytest.raises(MissingProgramError, match=rf"QUEENPOST_E2E_{name.upper()} names .*nothing"):
        locate(name, {f"QUEENPOST_E2E_{name.upper()}": str(tmp_path / "nothing")})


def test_a_program_of_one_s_own_is_taken(tmp_path: Path) -> None:
    """Ours: a script of node with our node, anything else by itself."""
    own, script = tmp_path / "own", tmp_path / "own.js"
    own.touch()
    script.touch()
    assert locate("claude", {"QUEENPOST_E2E_CLAUDE": str(own)}) == (str(own),)
    assert locate("gemini", {"QUEENPOST_E2E_GEMINI": str(script)})[1:] == (str(script),)


def _wanted() -> dict[str, str]:
    package = _json("package.json")
    return {**package["devDependencies"], **package["optionalDependencies"]}


def _json(name: str) -> dict[str, Any]:
    return json.loads((HERE / name).read_bytes())
