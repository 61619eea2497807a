"""What acts choose from, how often each act comes, and how a drawn number chooses."""

from collections.abc import Sequence
from typing import TypeVar

from wire.settings import AgentSettings, Limits
from wire.turns import Outcome

T = TypeVar("T")

NAMES = ("alice", "bob", "carol", "dora", "boss")
ADDRESSES = (*NAMES, *("alice", "bob") * 3, "carol", "manager", "operator", "operator", "nobody")
LONG_BODIES = ("x" * 8000, "x" * 12_000, "x" * 24_500, "x" * 25_000)
"""Three fit into a batch, two do, only one whatever its size; the last is refused."""
SECONDS = (0.5, 1, 4, 15, 16, 30, 59.999, 60, 64, 180, 256, 600, 3600, 0.001, 5, 90_000)
STEPS_MS = (-7_776_000_000, -3_600_000, -1000, 1000, 3_600_000, 7_776_000_000)
OUTCOMES: tuple[Outcome, ...] = (
    "completed", "completed", "completed", "completed", "completed", "crashed", "crashed", "hung", "context_full",
    "max_turns", "interrupted", "rate_limited", "stopped", "offline", "crashed", "lapsed",
)  # fmt: skip
LIMITS = (
    Limits(),
    Limits(inbox_messages=3, send_burst=4, send_per_minute=60.0),
    Limits(inbox_messages=6, inbox_bytes=16_000, send_burst=30),
    Limits(storm_messages=5, storm_window_s=60.0, storm_per_day=9),
    Limits(storm_messages=3, storm_window_s=15.0, storm_per_day=6, storm_depth=4, inbox_messages=8),
)
LISTS: tuple[list[str] | None, ...] = (None, None, [], ["alice"], ["bob", "carol"])
FILES: tuple[dict[str, AgentSettings], ...] = (
    {},
    {"dora": AgentSettings()},
    {"dora": AgentSettings(batch_max=1), "emil": AgentSettings(allowed_recipients=[])},
    {"emil": AgentSettings(allowed_recipients=["dora"]), "dora": AgentSettings(batch_max=2)},
    {"alice": AgentSettings()},
    {"emil": AgentSettings(role="manager"), "dora": AgentSettings()},
    {"emil": AgentSettings(), "dora": AgentSettings(role="manager")},
)

MAIL = {"send": 14, "broadcast": 2, "retry": 3}
TURNS = {"open": 8, "park_open": 6, "close": 12, "renew": 1, "resume": 2, "give_back": 4}
TAKING = {"take": 8, "park_take": 3}
ATTENDED = {"settle": 6, "attach_session": 4, "silence": 1}
HOLDERS = {"attach": 6, "detach": 2, "lose": 3}
TIME = {"advance": 8, "suspend": 1, "set_clock": 1, "restart": 2}
OPERATOR = {"pause": 2, "unpause": 2, "add": 2, "remove": 1, "apply": 2, "requeue": 3, "discard": 1, "ack": 2}
STORMS = {"causal": 24, "round": 3, "release": 4, "discard_held": 2}
STOPS = {"recall": 4, "freeze": 2, "thaw": 4}
OLD_MAIL = {"requeue": 3, "discard": 2, "ack": 6, "age": 3, "recall": 3, "forget": 3}
ASKS = {"ask": 6, "permission": 4, "answer": 6, "cancel_ask": 2, "wait_ask": 4, "repeat": 2, "damage_ask": 1}
REMINDERS = {"remind": 8, "cancel_reminder": 2, "retry_reminder": 2, "wait_for_reminder": 3, "damage_reminder": 1}
JOBS = {"register": 5, "claim": 7, "cancel_job": 1, "say": 16, "sign": 3, "hear": 8, "resign": 3, "hear_forged": 3}
OWN_JOBS = {"hear_own": 1, "reconcile": 2, "repeat": 1, "day_later": 1}
CHANCE = {"withdraw": 2, "damage": 1, "age": 3}

MIXES: tuple[dict[str, int], ...] = (
    MAIL | TURNS | TAKING | ATTENDED | HOLDERS | TIME | OPERATOR | CHANCE | ASKS | REMINDERS | STOPS | OLD_MAIL,
    MAIL | TURNS | {"attach": 2, "advance": 6, "age": 4, "requeue": 4, "discard": 1},
    MAIL | TAKING | ATTENDED | {"give_back": 6, "close": 3, "lose": 2, "advance": 6, "resume": 8},
    MAIL | TURNS | TAKING | {"attach": 5, "lose": 3, "detach": 2, "advance": 6, "restart": 4, "age": 2},
    MAIL | TURNS | OPERATOR | {"attach": 3, "advance": 2, "damage": 3},
    MAIL | TURNS | TAKING | STORMS | {"recall": 4, "forget": 3, "attach": 6, "advance": 5, "set_clock": 1},
    MAIL | TURNS | TAKING | ATTENDED | STOPS | {"attach": 4, "advance": 3, "restart": 1, "remove": 1, "add": 1},
    MAIL | OLD_MAIL | {"forget": 8, "open": 20, "close": 28, "attach": 6, "advance": 10, "ask": 7, "answer": 3},
    STORMS | {"send": 6, "broadcast": 1, "open": 10, "close": 2, "attach": 4, "advance": 4, "apply": 1, "remove": 1},
    TURNS | TIME | {"send": 8, "attach": 6, "lose": 1, "permission": 12, "wait_ask": 8, "answer": 8, "cancel_ask": 2},
    ASKS | TURNS | TIME | {"take": 3, "settle": 3, "attach": 5, "lose": 1, "remove": 1, "add": 1, "send": 3, "ack": 1},
    ASKS | TAKING | ATTENDED | {"pile_up_asks": 6, "advance": 4, "remove": 1, "set_clock": 1, "restart": 1, "close": 2},
    REMINDERS | TIME | TURNS | {"attach": 4, "repeat": 2, "remove": 1, "add": 1, "requeue": 2, "age": 1, "ack": 1},
    REMINDERS | {"advance": 6, "set_clock": 1, "restart": 1, "damage_reminder": 6, "retry_reminder": 6, "night": 2},
    {"pile_up_reminders": 3, "advance": 8, "remind": 10, "cancel_reminder": 4, "open": 4, "attach": 2, "remove": 1},
    JOBS | OWN_JOBS | TIME | {"work": 8, "close": 8, "open": 2, "attach": 5, "permission": 6, "answer": 2, "forget": 1},
    JOBS | OWN_JOBS | {"advance": 4, "restart": 1, "forget": 2, "remove": 1, "add": 1, "attach": 2, "set_clock": 1},
    {"send": 20, "open": 6, "park_open": 6, "take": 6, "close": 5, "give_back": 3, "attach": 2, "park_take": 4},
)
"""Which acts a run is made of, and how often each; drawn once, so that runs differ in kind."""
SLOTS = 128


def table_of(mix: dict[str, int]) -> list[str]:
    """Spread a mix over the slots that a number's first digit chooses from."""
    total = sum(mix.values())
    names = [name for name, weight in mix.items() for _ in range(max(1, weight * SLOTS // total))]
    return (names * 2)[:SLOTS] if len(names) < SLOTS else names[:SLOTS]


class Digits:
    """A number, digit by digit, each in the base that is asked for; when it is used up, its scrambled self follows."""

    def __init__(self, number: int) -> None:
        self._rest = number | 1 << 24
        self._more = number

    def below(self, base: int) -> int:
        """Take the next digit."""
        if self._rest < base:
            self._more = (self._more * 6_364_136_223_846_793_005 + 1_442_695_040_888_963_407) % 2**64
            self._rest = self._more >> 16 | 1 << 48
        self._rest, digit = divmod(self._rest, base)
        return digit

    def pick(self, choices: Sequence[T]) -> T:
        """Choose by the next digit."""
        return choices[self.below(len(choices))]
