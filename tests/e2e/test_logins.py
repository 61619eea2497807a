"""A login that expires in the middle of a turn: the provider has answered once, and refuses the next request."""

from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest

from tests.e2e.kinds import KINDS, Kind
from tests.e2e.real_fleet import RealFleet, real_fleet
from tests.e2e.surroundings import KEY
from tests.fakes.models.brains import Drain
from tests.fakes.models.talk import Heard, Reply

pytestmark = [pytest.mark.anyio, pytest.mark.e2e, pytest.mark.timeout(300)]

NEW = "sk-ant-fake-111111111111"
"""Another key, which the provider takes."""
PATIENCE_S = 180
"""A refused login is tried again within a minute, at first."""
VARIABLES = {"claude": "ANTHROPIC_API_KEY", "codex": "SCRIPTED_KEY", "gemini": "GEMINI_API_KEY"}
"""In which each of them has its key here; opencode has it in its configuration."""


class Expiring:
    """Takes the old key once, and the new one always."""

    def __init__(self) -> None:
        self.taken = 0
        self.refused = 0
        self._drain = Drain()

    def __call__(self, heard: Heard) -> Reply:
        """Answer with a call of a tool, then refuse."""
        if heard.key == NEW:
            return self._drain(heard)
        if self.taken == 0:
            self.taken += 1
            return Reply.calling("whoami")
        self.refused += 1
        return Reply.failing("bad_key")


@pytest.fixture(params=KINDS, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each program in turn."""
    return request.param


@pytest.fixture
async def fleet(home: Path, kind: Kind) -> AsyncGenerator[RealFleet]:
    """A fleet without agents."""
    async with real_fleet(home, kind) as opened:
        yield opened


def key_of(fleet: RealFleet, key: str) -> str | None:
    """Put the key where the program has it; gives the `env_file`, where that is the place."""
    if (variable := VARIABLES.get(fleet.kind.name)) is None:
        config = fleet.home / "alice" / ".config" / "opencode" / "opencode.json"
        if config.exists():
            config.write_text(config.read_text(encoding="utf-8").replace(KEY, key), encoding="utf-8")
        return None
    path = fleet.home / "alice.env"
    path.write_text(f"{variable}={key}\n", encoding="utf-8")
    return str(path)


async def told(fleet: RealFleet) -> list[str]:
    """What the operator was told of logins."""
    return [item.body for item in await fleet.fleet.mailbox() if item.body.startswith("The login of ")]


async def test_a_login_that_expires_in_a_turn_parks_and_is_mended_by_one_command(fleet: RealFleet) -> None:
    """[P08] [H36] A wall, not the mail's fault; one notice with what mends it; handled as soon as that is done."""
    brain = Expiring()
    env_file = key_of(fleet, KEY)
    await fleet.add("alice", brain, env_file=env_file)
    await fleet.host()
    message = await fleet.fleet.send("alice", "hello")
    parked = await fleet.becomes("alice", lambda agent: agent.state == "parked" and agent.last_turn)
    assert parked.last_turn is not None
    assert parked.last_turn.outcome == "auth"
    assert fleet.kind.walls["bad_key"][1] in parked.reason
    (account,) = fleet.fleet.logged("harness", "account_parked")
    assert account["outcome"] == "auth"
    story = await fleet.fleet.delivery(message)
    assert (story.state, story.attempt, story.failures) == ("queued", 1, 0)
    assert (brain.taken, brain.refused > 0) == (1, True)
    (notice,) = await told(fleet)
    login = f"queenpost login default --backend {fleet.kind.name}"
    mend = f"put a key that works into {env_file}" if env_file else login
    assert f"This mends it: {mend}\n" in notice
    assert KEY not in notice
    key_of(fleet, NEW)
    with anyio.fail_after(PATIENCE_S):
        story = await fleet.fleet.handled(message)
    assert story.failures == 0
    await fleet.operator_has("done: hello")
    assert await told(fleet) == [notice]
