"""The locked requirements: hashed, free of addresses, in step with pyproject.toml, and used."""

import re
import sys
import tomllib
from functools import cache
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.tree import PRODUCT, ROOT, imports, name_of, product_files

LOCKS = ("run", "dev")
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9-]*)==(?P<version>[^\s;]+)(?: ; (?P<marker>[^\\]+))? \\$")
COMES_WITH = {"mcp_types": "mcp", "pydantic_core": "pydantic"}
"""Packages that another one pins to the very version and names in its own documentation as ours to use."""

CALLED = {"paho": "paho_mqtt", "yaml": "pyyaml"}
"""Packages that are imported by another name than they are installed by."""

DATA = {"tzdata"}
"""Read by the standard library and imported by nobody else; the newest is always the best."""

HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


@pytest.mark.parametrize("lock", LOCKS)
def test_every_requirement_is_pinned_and_hashed(lock: str) -> None:
    """Ours: a line is a pin that goes on, a hash, or a comment; so no address and no path can be in it."""
    odd = [line for line in _lines(lock) if not (PIN.match(line) or HASH.match(line) or line.startswith("# "))]
    assert not odd
    assert "://" not in "\n".join(_lines(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_no_pin_goes_without_a_hash(lock: str) -> None:
    """Ours: pip is told --require-hashes, and one bare pin would stop it."""
    lines = [line for line in _lines(lock) if not line.startswith("#")]
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if PIN.match(line) and not HASH.match(following)
    ]
    assert not bare


def test_the_locks_are_in_step_with_pyproject() -> None:
    """Ours: after a change of dependencies, `make lock`."""
    project = _pyproject()["project"]
    build = [Requirement(text) for text in _pyproject()["build-system"]["requires"]]
    run = [Requirement(text) for text in project["dependencies"]]
    dev = [Requirement(text) for text in project["optional-dependencies"]["dev"]]
    assert not _out_of_step([*run, *build], _pins("run"))
    assert not _out_of_step([*run, *build, *dev], _pins("dev"))


def test_what_runs_is_the_same_in_both_locks() -> None:
    """Ours: the checks test the versions that a fleet runs on."""
    dev = _pins("dev")
    assert {name: dev.get(name) for name in _pins("run")} == _pins("run")


def test_the_build_backend_is_asked_for_once() -> None:
    """Ours: the group that is locked says what the build system says."""
    assert _pyproject()["dependency-groups"]["build"] == _pyproject()["build-system"]["requires"]


def test_every_dependency_has_an_upper_bound() -> None:
    """Ours: a new major version is read before it is let in."""
    project = _pyproject()["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    open_ended = [text for text in texts if not re.search(r"<|~=|==", text)]
    assert not {Requirement(text).name for text in open_ended} - DATA


def test_what_is_imported_is_declared() -> None:
    """Ours: nothing is used that only happens to be installed."""
    known = {*sys.stdlib_module_names, *PRODUCT, *_declared(), *COMES_WITH, *CALLED}
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in product_files()
        for line, name in imports(path)
        if name.split(".")[0] not in known
    ]
    assert not found


def test_what_is_declared_is_imported() -> None:
    """Ours: nothing is installed that nobody uses."""
    imported = {name.split(".")[0] for path in product_files() for _, name in imports(path)}
    used = {(COMES_WITH | CALLED).get(name, name) for name in imported} | imported
    assert not _declared() - used - DATA


def _declared() -> set[str]:
    return {Requirement(text).name.replace("-", "_") for text in _pyproject()["project"]["dependencies"]}


def _out_of_step(wanted: list[Requirement], pins: dict[str, Version]) -> list[str]:
    return [
        str(requirement)
        for requirement in wanted
        if (pin := pins.get(canonicalize_name(requirement.name))) is None or not requirement.specifier.contains(pin)
    ]


def _pins(lock: str) -> dict[str, Version]:
    matches = (PIN.match(line) for line in _lines(lock))
    return {match["name"]: Version(match["version"]) for match in matches if match}


@cache
def _lines(lock: str) -> list[str]:
    return (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8").splitlines()


@cache
def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
