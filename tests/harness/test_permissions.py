"""A tool call that nothing allows yet: asked, waited for, decided."""

from collections import deque
from typing import TypeVar

import anyio
import pytest

from harness.backends.protocol import Permission, Permitted
from harness.permissions import PermissionDesk, decision_of, question_of
from harness.post import Post
from harness.reporting import Reporter
from wire.agents import AgentsChanged, AgentsReport
from wire.asks import Ask, AsksAsk, AsksAsked, AsksWait, AsksWaited
from wire.errors import Denied, QueenpostError, Unavailable
from wire.model import Request, Result
from wire.settings import Permissions

R = TypeVar("R", bound=Result)
LS = Permission("Bash", "ls -l\nrm x", "Bash(ls *)")


def ask(state: str = "answered", answer: str | None = None, **fields: object) -> Ask:
    """Make an ask as the broker shows it."""
    given = {"id": "q1", "kind": "permission", "asker": "alice", "target": "operator", "question": "?"}
    return Ask.model_validate(
        {**given, "state": state, "answer": answer, "asked_at_ms": 0, "deadline_at_ms": 1, **fields}
    )


class Questions:
    """A counter that takes questions; a test answers them."""

    def __init__(self) -> None:
        self.asked: list[AsksAsk] = []
        self.states: list[tuple[str, str]] = []
        self.answers: deque[Ask | QueenpostError | None] = deque()
        self.refusals: deque[QueenpostError] = deque()
        self.waiting = anyio.Event()

    async def call(self, request: Request, result: type[R], *, as_: str | None = None, timeout_s: float = 30.0) -> R:
        """See `harness.post.Counter`."""
        await anyio.lowlevel.checkpoint()
        answer = await self._carry_out(request)
        assert as_ == "alice"
        assert isinstance(answer, result)
        return answer

    async def _carry_out(self, request: Request) -> Result:
        match request:
            case AsksAsk():
                self.asked.append(request)
                if self.refusals:
                    raise self.refusals.popleft()
                return AsksAsked(id=f"q{len(self.asked)}", to="operator", state="open", deadline_at_ms=1)
            case AsksWait():
                self.waiting.set()
                if not self.answers:
                    await anyio.sleep_forever()
                if isinstance(answer := self.answers.popleft(), QueenpostError):
                    raise answer
                return AsksWaited(ask=answer)
            case AgentsReport():
                self.states.append((request.state, request.reason))
                return AgentsChanged(agent="alice", changed=True)
            case _:
                raise AssertionError(request)


def desk_at(questions: Questions, policy: Permissions = "ask") -> PermissionDesk:
    """Make alice's desk."""
    post = Post(questions, "alice")
    return PermissionDesk(post, Reporter(post), policy)


async def test_it_is_asked_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """[P06] However long, over a broker that goes away; the fleet sees what the agent waits for."""
    questions = Questions()
    questions.refusals.append(Unavailable("the broker starts"))
    questions.answers.extend([None, Unavailable("it stops"), None, ask(answer="allow", answered_by="operator")])
    monkeypatch.setattr("harness.post.anyio.sleep", _at_once)
    with anyio.fail_after(15):
        assert await desk_at(questions)(LS) == Permitted(allow=True)
    first, second = questions.asked
    assert first == second, "asked again under the same key"
    assert (first.kind, first.to, first.ttl_s) == ("permission", "operator", 900)
    assert questions.states == [("waiting_permission", "q2: Bash ls -l"), ("working", "")]


async def _at_once(seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("ended", "decided"),
    [
        (ask(answer="allow"), Permitted(allow=True)),
        (ask(answer="always"), Permitted(allow=True, always=True)),
        (ask(answer="deny", answered_by="bob"), Permitted(allow=False, why="denied by bob")),
        (ask(answer="maybe"), Permitted(allow=False, why="denied by the operator")),
        (ask(answer=None), Permitted(allow=False, why="denied by the operator")),
        (ask("cancelled"), Permitted(allow=False, why="denied: the question was withdrawn")),
        (ask("open"), Permitted(allow=False, why="denied: the question was withdrawn")),
    ],
)
def test_whatever_is_no_yes_is_a_no(ended: Ask, decided: Permitted) -> None:
    """[P06] An answer of another kind too."""
    assert decision_of(ended) == decided


def test_without_an_answer_in_time_it_is_a_no() -> None:
    """[P06] The model is told that nobody answered, so that it can say what it needs."""
    decided = decision_of(ask("expired"))
    assert not decided.allow
    assert "nobody answered in time" in decided.why


def test_the_question_says_what_always_would_mean() -> None:
    """[P06] The rule in the program's grammar; where there is none, `always` is not offered."""
    assert question_of(LS) == ("May I use Bash?\nls -l\nrm x\n`always` would allow, for this session: Bash(ls *)")
    assert question_of(Permission("T", "x")) == "May I use T?\nx"
    assert len(question_of(Permission("T", "x" * 100_000))) < 10_000


async def test_a_policy_of_deny_asks_nobody() -> None:
    """[P06] For programs that ask all the same."""
    questions = Questions()
    decided = await desk_at(questions, "deny")(LS)
    assert decided == Permitted(allow=False, why="Bash is not among the tools that you may use")
    assert (questions.asked, questions.states) == ([], [])


async def test_who_may_not_ask_is_denied() -> None:
    """Ours: the reason goes to the model; the turn goes on."""
    questions = Questions()
    questions.refusals.append(Denied("you may not write to the operator"))
    decided = await desk_at(questions)(LS)
    assert decided == Permitted(allow=False, why="nobody could be asked: you may not write to the operator")


async def test_with_several_open_the_agent_waits_until_the_last() -> None:
    """Ours: tools side by side; the state names the oldest."""
    questions = Questions()
    desk, first = desk_at(questions), anyio.CancelScope()

    async def think() -> None:
        with first:
            await desk(LS)

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(think)
            await questions.waiting.wait()
            questions.answers.append(ask(answer="deny"))
            await desk(Permission("Write", "/a"))
            assert questions.states == [("waiting_permission", "q1: Bash ls -l")]
            first.cancel()
    assert questions.states[1:] == [("working", "")]
