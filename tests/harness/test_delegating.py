"""Prompts that a rule leaves to another agent: who is asked, and when it is the operator after all."""

from collections import deque
from typing import TypeVar

import anyio
import pytest

from harness.accounts import Account
from harness.backends.protocol import Permission, Permitted
from harness.permissions import PermissionDesk
from harness.post import Post
from harness.reporting import Reporter
from tests.harness.test_permissions import ask
from wire.agents import AgentsChanged, AgentsReport, AgentState, AgentsWho, AgentsWhoami, Peer
from wire.asks import Ask, AsksAsk, AsksAsked, AsksCancel, AsksCancelled, AsksWait, AsksWaited
from wire.clock import FakeClock
from wire.errors import Closed, Full, QueenpostError
from wire.model import Request, Result

R = TypeVar("R", bound=Result)
TEST = Permission("Bash", "npm test", "Bash(npm test)", "npm test", is_command=True)
OTHER = Permission("Bash", "npm test unit", "Bash(npm test unit)", "npm test unit", is_command=True)
RULES = {"manager": ["Bash(npm test*)"]}


class Office:
    """A counter where alice's harness asks: boss is the manager, and a test says what becomes of each ask."""

    def __init__(self, *states: AgentState) -> None:
        self.states: deque[AgentState] = deque(states or ("idle",))
        """Of boss; the last one lasts."""
        self.asked: list[AsksAsk] = []
        self.reports: list[str] = []
        self.ends: deque[Ask | None] = deque()
        self.refusal: QueenpostError | None = None
        self.withdrawn: list[str] = []
        self.answered_meanwhile = False

    async def call(self, request: Request, result: type[R], *, as_: str | None = None, timeout_s: float = 30.0) -> R:
        """See `harness.post.Counter`."""
        await anyio.lowlevel.checkpoint()
        answer = self._carry_out(request)
        assert as_ == "alice"
        assert isinstance(answer, result)
        return answer

    def _carry_out(self, request: Request) -> Result:
        match request:
            case AgentsWhoami():
                state = self.states.popleft() if len(self.states) > 1 else self.states[0]
                roster = [Peer(name="boss", role="manager", state=state, may_write=False)]
                return AgentsWho(name="alice", role="agent", fleet="f", manager="boss", roster=roster, waiting=0)
            case AsksAsk():
                if self.refusal is not None and request.to != "operator":
                    raise self.refusal
                self.asked.append(request)
                return AsksAsked(id=f"a{len(self.asked)}", to=request.to, deadline_at_ms=1)
            case AsksWait():
                return AsksWaited(ask=self.ends.popleft())
            case AsksCancel():
                self.withdrawn.append(request.ask)
                if self.answered_meanwhile:
                    raise Closed("it was answered")
                return AsksCancelled(id=request.ask)
            case AgentsReport():
                self.reports.append(f"{request.state} {request.reason}".strip())
                return AgentsChanged(agent="alice", changed=True)
            case _:
                raise AssertionError(request)


def desk_in(
    office: Office, rules: dict[str, list[str]] | None = None, account: Account | None = None
) -> PermissionDesk:
    """Make alice's desk, with a rule for the manager."""
    post = Post(office, "alice")
    return PermissionDesk(post, Reporter(post), "ask", RULES if rules is None else rules, account)


def by_boss(answer: str) -> Ask:
    """Make an ask that the manager answered."""
    return ask(answer=answer, answered_by="boss", target="boss")


@pytest.mark.parametrize(
    ("answer", "decided"),
    [("allow", Permitted(allow=True)), ("deny", Permitted(allow=False, why="denied by boss"))],
)
async def test_the_delegate_decides(answer: str, decided: Permitted) -> None:
    """[P06] It sees all of it and the rule; the fleet sees whom alice waits for."""
    office = Office()
    office.ends.extend([None, by_boss(answer)])
    assert await desk_in(office)(TEST) == decided
    (asked,) = office.asked
    assert (asked.kind, asked.to, asked.ttl_s) == ("permission", "manager", 300)
    assert asked.question.splitlines()[:2] == ["May I use Bash?", "npm test"]
    assert "by the rule Bash(npm test*)" in asked.question
    assert office.reports == ["waiting_permission a1 to manager: Bash npm test", "working"]


async def test_always_of_a_delegate_is_for_exactly_this() -> None:
    """[P06] The program hears of no rule: what it proposes may be wider than what was left to the delegate."""
    office = Office()
    office.ends.extend([by_boss("always"), by_boss("deny")])
    desk = desk_in(office)
    assert await desk(TEST) == Permitted(allow=True, always=False)
    assert await desk(TEST) == Permitted(allow=True)
    assert not (await desk(OTHER)).allow
    assert [asked.to for asked in office.asked] == ["manager", "manager"]


@pytest.mark.parametrize(
    "permission",
    [
        Permission("Bash", "npm test; rm -rf /", None, "npm test; rm -rf /", is_command=True),
        Permission("Bash", "npm test", None, None),
        Permission("Write", "/npm test", None, "/npm test"),
    ],
)
async def test_what_no_rule_names_is_the_operators(permission: Permission) -> None:
    """[P06] Also what is more than its text says."""
    office = Office()
    office.ends.append(ask(answer="allow"))
    assert (await desk_in(office)(permission)).allow
    assert [(asked.to, asked.ttl_s) for asked in office.asked] == [("operator", 900)]


async def test_what_cannot_be_shown_whole_is_the_operators() -> None:
    """[P06] Whatever the rule says."""
    office = Office()
    office.ends.append(ask(answer="deny"))
    await desk_in(office, {"manager": ["mcp__x__*"]})(Permission("mcp__x__y", "x" * 3000))
    assert [asked.to for asked in office.asked] == ["operator"]


@pytest.mark.parametrize(
    "state", ["paused", "frozen", "away", "deaf", "stopped", "failed", "parked", "waiting_permission"]
)
async def test_a_delegate_that_cannot_answer_is_not_asked(state: AgentState) -> None:
    """[P06] The operator is, at once, with the whole time, and reads why; two that wait for one another do not."""
    office = Office(state)
    office.ends.append(ask(answer="allow"))
    assert (await desk_in(office)(TEST)).allow
    (asked,) = office.asked
    assert (asked.to, asked.ttl_s) == ("operator", 900)
    said = f"(manager was to decide this, by Bash(npm test*), but it is {state.replace('_', ' ')})"
    assert said in asked.question


async def test_a_delegate_that_is_not_there_is_not_asked() -> None:
    """Ours: an agent that was removed."""
    office = Office()
    office.ends.append(ask(answer="allow"))
    await desk_in(office, {"bob": ["Bash"]})(TEST)
    assert "but it is not part of the fleet" in office.asked[0].question


async def test_a_delegate_that_takes_no_mail_is_passed_over() -> None:
    """Ours: whatever the broker refuses for."""
    office = Office()
    office.refusal = Full("the disk is full")
    office.ends.append(ask(answer="allow"))
    assert (await desk_in(office)(TEST)).allow
    assert "but the disk is full" in office.asked[0].question


async def test_a_delegate_that_does_not_answer_leaves_it_to_the_operator() -> None:
    """[P06] After a third of the time; the whole of it is as long as ever, and then it is a no."""
    office = Office()
    office.ends.extend([ask("expired", target="boss"), ask("expired")])
    decided = await desk_in(office)(TEST)
    assert not decided.allow
    assert "nobody answered in time" in decided.why
    assert [(asked.to, asked.ttl_s) for asked in office.asked] == [("manager", 300), ("operator", 600)]
    assert "it did not answer within 300 s" in office.asked[1].question
    assert office.reports == [
        "waiting_permission a1 to manager: Bash npm test",
        "working",
        "waiting_permission a2: Bash npm test",
        "working",
    ]


async def test_a_delegate_that_dies_meanwhile_is_waited_for_no_longer() -> None:
    """[P06] Its ask is withdrawn: only one decides."""
    office = Office("working", "away")
    office.ends.extend([None, ask("cancelled", target="boss"), ask(answer="always", answered_by="operator")])
    assert await desk_in(office)(TEST) == Permitted(allow=True, always=True)
    assert office.withdrawn == ["a1"]
    assert [(asked.to, asked.ttl_s) for asked in office.asked] == [("manager", 300), ("operator", 600)]
    assert "but it is away" in office.asked[1].question


async def test_an_answer_that_comes_with_the_end_counts() -> None:
    """Ours: the delegate answered and left before it was looked for."""
    office = Office("working", "away")
    office.answered_meanwhile = True
    office.ends.extend([None, by_boss("deny")])
    assert await desk_in(office)(TEST) == Permitted(allow=False, why="denied by boss")
    assert len(office.asked) == 1


async def test_the_operator_may_decide_for_the_delegate() -> None:
    """Ours: what it was asked is what `always` means then, too."""
    office = Office()
    office.ends.append(ask(answer="always", answered_by="operator", target="boss"))
    assert await desk_in(office)(TEST) == Permitted(allow=True, always=False)


async def test_a_delegate_that_waits_for_the_slot_of_who_asks_decides_in_it() -> None:
    """[P06] Two agents of one login that runs one turn at a time: it is parked for nothing else, so it is asked."""
    office = Office("parked")
    office.ends.append(by_boss("allow"))
    account = Account("team", FakeClock(), max_running=1)
    seen: list[tuple[list[str | None], list[str]]] = []

    async def said(_reason: str, _until_ms: int) -> None:
        await anyio.lowlevel.checkpoint()

    async def boss() -> None:
        async with account.admission("boss", said):
            seen.append(([asked.to for asked in office.asked], list(office.reports)))

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks, account.admission("alice", said):
            tasks.start_soon(boss)
            await anyio.wait_all_tasks_blocked()
            assert account.is_queued("boss")
            assert await desk_in(office, account=account)(TEST) == Permitted(allow=True)
            assert account.running == 1
    assert [to for to, _ in seen] == [["manager"]]
    assert seen[0][1] == ["waiting_permission a1 to manager: Bash npm test"], "before alice went on"
    assert office.reports[-1] == "working"


async def test_a_delegate_that_is_parked_for_another_reason_is_not_asked() -> None:
    """[P06] At a wall of the account it cannot answer."""
    office = Office("parked")
    office.ends.append(ask(answer="allow"))
    account = Account("team", FakeClock(), max_running=1)
    assert (await desk_in(office, account=account)(TEST)).allow
    assert [asked.to for asked in office.asked] == ["operator"]
