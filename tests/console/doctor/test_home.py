"""The doctor's look at a home."""

from collections.abc import Callable
from pathlib import Path

import pytest

from console.doctor import home as checked
from console.doctor.verdict import Verdict
from tests.console.conftest import Home
from wire.private_files import write_secret
from wire.settings import Limits

MIB = 1024 * 1024


@pytest.fixture
def whole(home: Home) -> Home:
    """Give a home as a broker leaves it."""
    write_secret(home.harness_secret, "the-token-of-the-harness")
    return home


def ill(home: Home, config: Path | None = None) -> dict[str, Verdict]:
    """Give what is not ok, by check."""
    return {verdict.check: verdict for verdict in checked.checks(home, config) if verdict.level != "ok"}


def test_a_home_as_a_broker_leaves_it_is_well(whole: Home) -> None:
    """[P10] Issue 3.5."""
    assert ill(whole) == {}
    assert {verdict.check for verdict in checked.checks(whole, None)} == {
        "home", "tokens", "socket path", "settings", "disk"
    }  # fmt: skip


def _writable(home: Home) -> None:
    home.run.chmod(0o770)


def _visible(home: Home) -> None:
    home.root.chmod(0o755)


def _readable(home: Home) -> None:
    home.agent_secret("bob").chmod(0o644)


def _missing(home: Home) -> None:
    home.harness_secret.unlink()


def _empty(home: Home) -> None:
    home.operator_secret.write_text("", encoding="utf-8")


def _no_folder(home: Home) -> None:
    home.run.rmdir()


@pytest.mark.parametrize(
    ("harm", "check", "level", "mend"),
    [
        (_writable, "run folder", "error", "chmod go-w {home}/run"),
        (_visible, "home", "warning", "chmod o-rwx {home}"),
        (_readable, "tokens", "error", "chmod 600 {home}/secrets/agents/bob"),
        (_missing, "tokens", "error", "start the broker anew, which makes what is missing: `queenpost up`"),
        (_no_folder, "run folder", "warning", "`queenpost up` makes it"),
    ],
)
def test_what_is_ill_is_said_with_what_mends_it(
    whole: Home, harm: Callable[[Home], None], check: str, level: str, mend: str
) -> None:
    """Issue 3.5: each finding with its command."""
    harm(whole)
    (found,) = ill(whole).values()
    assert (found.check, found.level, found.mend) == (check, level, mend.format(home=whole.root))


def test_an_empty_token_is_no_token(whole: Home) -> None:
    """Ours: a program would be refused with it."""
    _empty(whole)
    assert ill(whole)["tokens"].level == "error"


def test_a_settings_file_is_read_as_the_broker_would(whole: Home, tmp_path: Path) -> None:
    """Issue 3.5: with file and line of what is wrong; its limits count."""
    config = tmp_path / "queenpost.toml"
    config.write_text("[agents.bob]\nbackend = 'none'\n", encoding="utf-8")
    assert ill(whole, config) == {}
    config.write_text("[agents.bob]\nbackend = 'nonsense'\n", encoding="utf-8")
    found = ill(whole, config)["settings"]
    assert found.level == "error"
    assert f"{config}:2" in found.says
    assert found.mend == f"edit {config}, then `queenpost apply`"


def test_a_path_that_is_too_long_for_a_socket_is_noted(tmp_path: Path) -> None:
    """DESIGN 4: the broker finds another place, which is shown."""
    home = Home(tmp_path / ("x" * 100))
    home.create()
    for secret in (home.operator_secret, home.harness_secret):
        write_secret(secret, "a-token-of-somebody")
    assert "will choose another place" in ill(home)["socket path"].says
    elsewhere = home.place_socket({"TMPDIR": "/tmp"})
    assert f"the broker listens on {elsewhere}" in ill(home)["socket path"].says
    elsewhere.parent.rmdir()


@pytest.mark.parametrize(
    ("free", "level"), [(None, "warning"), (0, "error"), (255 * MIB, "error"), (300 * MIB, "warning"), (1 << 40, "ok")]
)
def test_the_disk_is_compared_with_what_is_kept_back(free: int | None, level: str) -> None:
    """Issue 3.5: below it sends are refused."""
    limits = Limits(disk_headroom_bytes=256 * MIB)
    assert checked.disk(free, limits).level == level
