"""What the tests of this folder show of the module: whether by nixpkgs' library too, and that no setting is missing."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.nix.evaluating import LIBRARIES, needs_nix
from tests.nix.fleets import FULL, fields
from wire.settings import Settings


@needs_nix
def test_nixpkgs_own_library_takes_part() -> None:
    """Ours: where it does not, this says so; all of tests/nix has run by a library of our own."""
    if "nixpkgs" not in LIBRARIES:
        pytest.skip("left out: the module by nixpkgs' lib, for NIXPKGS_LIB is not set")


def test_the_full_example_says_everything() -> None:
    """Ours: so that what follows shows something of every setting."""
    full = Settings.model_validate(FULL)
    names = [*full.agents, *full.accounts]
    together = {path for name in names for path in _changed(full.model_dump(), name)}
    assert together == {path for path, _ in fields()}


def _changed(full: dict[str, Any], one: str) -> Iterator[tuple[str, ...]]:
    for path, field in fields():
        value: Any = full
        if "NAME" in path and one not in full[path[0]]:
            continue
        for name in path:
            value = value[one if name == "NAME" else name]
        if value != field.get_default(call_default_factory=True):
            yield path
