"""apply: what changed, or would."""

from inline_snapshot import snapshot

from tests.console.conftest import Terminal
from wire.errors import Invalid
from wire.fleet import Change, FleetApplied

APPLIED = FleetApplied(
    path="/srv/queenpost.toml",
    changes=[
        Change(subject="bob", change="added"),
        Change(subject="alice", change="changed", detail="batch_max 32 → 1"),
    ],
)


async def test_apply_prints_the_changes(terminal: Terminal) -> None:
    """DESIGN 10."""
    terminal.broker.answers["fleet.apply"] = lambda _: APPLIED
    assert await terminal.json("apply") == snapshot(
        {
            "dry_run": False,
            "path": "/srv/queenpost.toml",
            "changes": [
                {"subject": "bob", "change": "added", "detail": ""},
                {"subject": "alice", "change": "changed", "detail": "batch_max 32 → 1"},
            ],
        }
    )
    lines = [line.split() for line in (await terminal.type("apply")).stdout.splitlines()]
    assert lines[1:] == [["added", "bob"], ["changed", "alice", "batch_max", "32", "→", "1"]]


async def test_a_dry_run_says_so_to_the_broker_and_to_the_caller(terminal: Terminal) -> None:
    """Ours: what would be."""
    terminal.broker.answers["fleet.apply"] = lambda _: APPLIED
    assert (await terminal.type("apply", "--dry-run")).stdout.startswith("WOULD BE")
    assert (await terminal.broker.next("fleet.apply"))["dry_run"] is True


async def test_nothing_to_change_is_said(terminal: Terminal) -> None:
    """Ours."""
    terminal.broker.answers["fleet.apply"] = lambda _: APPLIED.model_copy(update={"changes": []})
    assert (await terminal.type("apply")).stdout.startswith("nothing to change")


async def test_an_invalid_file_is_refused_by_file_and_line(terminal: Terminal) -> None:
    """DESIGN 10: and the fleet stays as it was."""
    terminal.broker.answers["fleet.apply"] = lambda _: Invalid("/srv/queenpost.toml:3: agents.x: unknown key")
    result = await terminal.type("apply")
    assert result.exit_code == 1
    assert "/srv/queenpost.toml:3:" in result.stderr
