"""Looking at a fleet until it has reported, somebody stops it, or whoever looks has seen enough."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

import anyio

from console.cli.homes import OPERATOR, token_of_home
from console.live.footer import footer
from console.live.screen import Screen
from console.live.story import Story, letter
from console.log_files import Follower, Record, time_of
from console.supervisor.lock import holder
from wire.asks import Ask, AsksList, AsksListed
from wire.client import BrokerClient
from wire.errors import QueenpostError, Unavailable
from wire.fleet import FleetState, FleetStatus
from wire.home import Home
from wire.inbox import InboxExplain, InboxExplained

LOOK_EVERY_S = 0.25
QUIET_LOOKS = 4
"""So often in a row nothing goes on before a fleet that has reported counts as done."""

End = Literal["reported", "stopped"]


@dataclass(slots=True)
class Watch:
    """One look at a fleet, from the moment in which it is made."""

    home: Home
    screen: Screen
    began_ms: int
    goal: str | None = None
    """Id of a message; once it is answered and nothing goes on any more, the look ends."""
    asks: list[Ask] = field(default_factory=list[Ask])
    """What waited for the operator when it was looked last."""
    _begun: bool = False
    _reported: bool = False
    _quiet: int = 0
    _told: set[str] = field(default_factory=set[str])
    """Asks that were told of."""

    def __post_init__(self) -> None:
        self._story = Story(self.began_ms)
        self._follower = Follower(self.home.logs, ["broker"])

    _story: Story = field(init=False)
    _follower: Follower = field(init=False)

    async def run(self) -> End:
        """Look until there is an end. A broker that is started again is found again."""
        try:
            while True:
                try:
                    async with BrokerClient(
                        self.home.socket, partial(token_of_home, self.home, None), "watch", reconnect=False
                    ) as client:
                        await self._look_on(client)
                        return "reported"
                except Unavailable:
                    if holder(self.home.up_lock) is None:
                        return "stopped"
                await anyio.sleep(LOOK_EVERY_S)
        finally:
            self.screen.leave()
            self._follower.close()

    async def _look_on(self, client: BrokerClient) -> None:
        while not await self.look(client):  # noqa: ASYNC110  # other processes write what it shows
            await anyio.sleep(LOOK_EVERY_S)

    async def look(self, client: BrokerClient) -> bool:
        """Look once, and show it; True when there is nothing more to see."""
        lines = [line for record in self._follower.new() for line in await self._lines(client, record)]
        fleet = await client.call(FleetStatus(), FleetState)
        self.asks = []
        if fleet.open_asks:
            self.asks = (await client.call(AsksList(to_me=True), AsksListed)).asks
        lines += [line for ask in self.asks for line in self._asked(ask)]
        below = footer(fleet, self.asks, width=self.screen.width, height=self.screen.height, hint=self._hint(fleet))
        if not self._begun and not self.screen.live:
            lines = [*below[1:-1], *lines]  # once, for whoever reads a file
        self._begun = True
        self.screen.show(lines, below)
        self._quiet = 0 if self.asks or not at_rest(fleet) else self._quiet + 1
        return self._reported and self._quiet >= QUIET_LOOKS

    def _hint(self, fleet: FleetState) -> str:
        if self.goal and not self._reported and not self.asks and at_rest(fleet) and self._quiet >= QUIET_LOOKS:
            return "nobody works; Ctrl-C, then send the manager more"
        return "Ctrl-C leaves it running"

    async def _lines(self, client: BrokerClient, record: Record) -> list[str]:
        story, width, at_ms = self._story, self.screen.width, _ms(record)
        match record.get("event"):
            case "message_accepted":
                return await self._message(client, record, at_ms)
            case "turn_opened":
                opened = story.opened(at_ms, record)
                return [] if self.screen.live else [opened]
            case "turn_closed" | "turn_ended_by_broker" | "turn_lapsed":
                ended = story.ended(at_ms, record, width)
                return [ended] if ended else []
            case "message_died" | "mail_held":
                return [story.noted(at_ms, record, width)]
            case _:
                return []

    async def _message(self, client: BrokerClient, record: Record, at_ms: int) -> list[str]:
        try:
            told = await client.call(InboxExplain(message=str(record["message"])), InboxExplained)
        except Unavailable:
            raise
        except QueenpostError:
            return []  # cleared away since
        line = self._story.sent(at_ms, record, told.body, self.screen.width)
        if record["to"] != OPERATOR:
            return [line]
        self._reported = self._reported or (self.goal is not None and told.in_reply_to == self.goal)
        return [line, *letter(told.body)]

    def _asked(self, ask: Ask) -> list[str]:
        if ask.id in self._told:
            return []
        self._told.add(ask.id)
        lines = self._story.asked(ask, self.screen.width)
        return lines if self.screen.live else [*lines, f"        queenpost answer {ask.id} {how_to_answer(ask)}"]


def how_to_answer(ask: Ask) -> str:
    """Say what may stand behind the id."""
    return "allow|always|deny" if ask.kind == "permission" else '"…"'


def at_rest(fleet: FleetState) -> bool:
    """Say whether nothing will happen by itself: nobody works, no mail waits."""
    busy = any(agent.state in ("working", "waiting_permission") for agent in fleet.agents)
    return not busy and not fleet.account.waiting


def _ms(record: Record) -> int:
    try:
        return int(datetime.fromisoformat(time_of(record)).timestamp() * 1000)
    except ValueError:
        return 0
