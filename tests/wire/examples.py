"""One request and one answer of every op, with every field set, and the frames around them.

They are the examples of the protocol: `tests.wire.test_frames` pins how they look on the wire.
"""

from tests.wire.examples_jobs import JOB_OPS
from tests.wire.examples_office import ABOUT, OFFICE_OPS, OPEN_ASK
from wire import agents, fleet, inbox, notes, turns
from wire.errors import Limited, QueenpostError
from wire.fleet import Hello, Principal, Push, Welcome
from wire.model import Request, Result
from wire.settings import AccountSettings, AgentSettings

AT_MS = 1_800_000_000_000

HELLO = Hello(protocol=1, token="0123456789abcdef", kind="harness")
WELCOME = Welcome(
    protocol=1,
    fleet="demo",
    principal=Principal(kind="harness", name="harness"),
    features=["attended", "broadcast", "carry"],
    server_time_ms=AT_MS,
    home="/srv/demo",
)
PUSH = Push(event="turn_revoked", agent="alice", data={"turn": "t7"})
REFUSAL: QueenpostError = Limited("too fast; wait 2 s", retry_after_ms=2000)

_MAIL = inbox.Mail(
    id="m12",
    sender="bob",
    kind="peer",
    body="first line\nsecond line: “déjà vu” 漢字 🙂",
    sent_at_ms=AT_MS,
    in_reply_to="m9",
    depth=2,
    broadcast=True,
    attempt=2,
    earlier=[inbox.EarlierSend(id="m11", to="carol", excerpt="started")],
    earlier_more=3,
    about=ABOUT,
)
_TURN = turns.Turn(id="t7", mail=[_MAIL], waiting=3, lease_ms=60_000, carried=True, open_asks=[OPEN_ASK])
_ITEM = inbox.Item(
    id="m12",
    sender="bob",
    recipient="alice",
    kind="peer",
    body="hello",
    in_reply_to="m9",
    sent_at_ms=AT_MS,
    state="in_turn",
    turn="t7",
    attempt=2,
    failures=1,
    reason="crashed",
    broken=True,
)
_ACCOUNT = AccountSettings(
    auth="token", token_file="/srv/demo/secrets/team", token_variable="KEY", max_running=6, max_warm=4
)
_SETTINGS = AgentSettings(
    role="agent",
    backend="command",
    command=["agent"],
    args=["--fast"],
    prompt="/srv/prompts/alice.md",
    workdir="/srv/work",
    env={"LANG": "***"},
    env_file="/srv/demo/secrets/alice.env",
    allowed_recipients=["bob"],
    uid=1000,
    batch_max=4,
    model="opus",
    worktree=True,
    account="team",
    permissions="edits",
    allowed_tools=["Read"],
    warm=False,
    daily_budget_tokens=2_000_000,
    daily_budget_usd=5.0,
    silence_s=60.0,
)
_AGENT = agents.AgentSummary(
    name="alice",
    role="agent",
    backend="command",
    origin="file",
    state="working",
    reason="turn t7",
    until_ms=AT_MS + 2,
    ready=1,
    leased=2,
    held=3,
    dead=4,
    attached=True,
    epoch=5,
    last_turn=agents.LastTurn(id="t7", state="closed", outcome="completed", opened_at_ms=AT_MS, closed_at_ms=AT_MS + 1),
    open_asks=2,
    reminders=1,
    tokens_today=1200,
    cost_usd_today=0.25,
)
_CHANGED = agents.AgentsChanged(agent="alice", changed=True, dead=2)
_LISTED = inbox.InboxListed(items=[_ITEM], more=True)
_REQUEUED = inbox.InboxChanged(changed=["m12/alice"])

OPS_BY_EXAMPLE: tuple[tuple[Request, Result], ...] = (
    (fleet.FleetPing(), fleet.FleetPong(server_time_ms=AT_MS)),
    (fleet.RequestCancel(request=6), fleet.Cancelled(cancelled=True)),
    (
        fleet.FleetStatus(),
        fleet.FleetState(
            fleet="demo",
            home="/srv/demo",
            pid=4711,
            version="0.1.0",
            started_at_ms=AT_MS,
            server_time_ms=AT_MS + 5,
            agents=[_AGENT],
            account=fleet.Account(
                accepted=10,
                handled=3,
                redelivered=1,
                waiting=2,
                dead=1,
                held=1,
                expired=1,
                mailbox=2,
                lost=0,
            ),
            operator_mail=2,
            open_asks=1,
            jobs={"running": 2, "overdue": 1},
            frozen=True,
            wal_bytes=4096,
            warnings=["the disk is nearly full"],
        ),
    ),
    (
        fleet.FleetApply(key="k1", dry_run=True),
        fleet.FleetApplied(
            path="/srv/queenpost.toml",
            changes=[fleet.Change(subject="agents.alice", change="changed", detail="batch_max 32 → 4")],
        ),
    ),
    (
        inbox.InboxSend(key="k1", to="bob", body="line\nbreak", in_reply_to="m9", now=True),
        inbox.InboxSent(
            id="m12",
            to="*",
            state="queued",
            recipients=["bob", "carol"],
            skipped=[inbox.Skipped(name="dave", reason="full")],
            warnings=["in_reply_to m9 was left out"],
            duplicate=True,
        ),
    ),
    (inbox.InboxPeek(max=5), inbox.InboxPeeked(mail=[_MAIL], waiting=1)),
    (inbox.InboxList(agent="alice", all=True, after="m3", limit=10), _LISTED),
    (inbox.InboxAck(key="k1", ids=["m1", "m2"], all=False), inbox.InboxAcked(ids=["m1"])),
    (
        inbox.InboxExplain(message="m12"),
        inbox.InboxExplained(
            id="m12",
            sender="bob",
            kind="peer",
            body="hello",
            in_reply_to="m9",
            sent_at_ms=AT_MS,
            depth=2,
            sent_in_turn="t6",
            deliveries=[
                inbox.DeliveryStory(
                    recipient="alice",
                    state="in_turn",
                    turn="t7",
                    attempt=2,
                    failures=1,
                    restarts=1,
                    reason="crashed",
                    ready_at_ms=AT_MS,
                    waits_for="m11 before it",
                )
            ],
            replies=["m13"],
            history=[inbox.Happening(at_ms=AT_MS, event="accepted", detail="from bob")],
        ),
    ),
    (inbox.InboxDead(agent="alice", after="m4", limit=10), _LISTED),
    (inbox.InboxRequeue(key="k1", ids=["m12"], recipient="alice"), _REQUEUED),
    (inbox.InboxDiscard(key="k1", ids=["m12"], recipient="alice"), _REQUEUED),
    (turns.TurnsOpen(wait_s=30.0), turns.TurnsOpened(turn=_TURN)),
    (
        turns.TurnsTake(turn="t7", max=8, wait_s=2.5, done="m11", call="c1"),
        turns.TurnsTaken(turn="t7", mail=[_MAIL], waiting=2, exhausted=True, open_asks=[OPEN_ASK]),
    ),
    (turns.TurnsGiveBack(turn="t7", ids=["m12"]), turns.TurnsGivenBack(ids=["m12"])),
    (turns.TurnsRenew(turn="t7", begun=True), turns.TurnsRenewed(lease_ms=60_000)),
    (turns.TurnsResume(turn="t7"), turns.TurnsOpened(turn=_TURN)),
    (
        turns.TurnsClose(
            turn="t7",
            outcome="crashed",
            begun=True,
            reason="exit 1",
            usage=turns.Usage(
                input_tokens=10, output_tokens=20, cost_usd=0.5, tool_calls=3, tools={"Bash": 3}, notes_bytes=2048
            ),
            carry=["m13"],
        ),
        turns.TurnsClosed(id="t7", acked=["m1"], given_back=["m2"], dead=["m3"], held=["m4"], next=_TURN),
    ),
    (turns.TurnsSettle(done="m12"), turns.TurnsSettled(acked=["m11", "m12"])),
    (notes.NotesBegin(), notes.NotesBegun(allowed=False, why="a turn is open", waiting=2)),
    (
        notes.NotesEnd(
            key="k1", outcome="completed", reason="from 40 to 12 KiB", usage=turns.Usage(input_tokens=10), took_ms=900
        ),
        notes.NotesEnded(turn="t8"),
    ),
    (
        agents.AgentsAttach(agent="alice", instance="instance-1", agent_token="0123456789abcdef", takeover=True),
        agents.AgentsAttached(
            agent="alice",
            epoch=5,
            role="agent",
            attended=False,
            open_turn="t7",
            paused=True,
            settings=_SETTINGS,
            account=_ACCOUNT,
            restart=agents.Restart(number=7, now=True, fresh=True),
        ),
    ),
    (agents.AgentsDetach(agent="alice"), _CHANGED),
    (agents.AgentsReport(state="parked", reason="quota", until_ms=AT_MS), _CHANGED),
    (agents.AgentsList(removed=True), agents.AgentsListed(agents=[_AGENT])),
    (
        agents.AgentsShow(agent="alice"),
        agents.AgentsShown(
            agent=_AGENT, settings=_SETTINGS, token_path="/srv/demo/secrets/agents/alice", token_expected=True
        ),
    ),
    (
        agents.AgentsAdd(key="k1", agent="alice", settings=AgentSettings(batch_max=1)),
        agents.AgentsAdded(agent="alice", token_path="/srv/demo/secrets/agents/alice"),
    ),
    (agents.AgentsRemove(key="k1", agent="alice"), _CHANGED),
    (agents.AgentsPause(key="k1", agent="alice"), _CHANGED),
    (agents.AgentsResume(key="k1", agent="alice"), _CHANGED),
    (agents.AgentsRestart(key="k1", agent="alice", now=True, fresh=True), _CHANGED),
    (
        agents.AgentsLend(agent="alice", agent_token="0123456789abcdef", step_aside=True, now=True),
        agents.AgentsLent(agent="alice", role="agent", settings=_SETTINGS, account=_ACCOUNT),
    ),
    (
        agents.AgentsWakeTest(agent="alice"),
        agents.AgentsWoken(agent="alice", woken=True, wake_ms=0.5, state="idle", reason="none"),
    ),
    (
        agents.AgentsToken(agent="alice"),
        agents.AgentsTokenPath(agent="alice", path="/srv/demo/secrets/agents/alice"),
    ),
    (
        agents.AgentsWhoami(),
        agents.AgentsWho(
            name="alice",
            role="agent",
            fleet="demo",
            manager="boss",
            roster=[agents.Peer(name="bob", role="agent", state="idle", may_write=False)],
            waiting=2,
            open_turn="t7",
            asked=1,
            to_answer=2,
            reminders=3,
        ),
    ),
    *OFFICE_OPS,
    *JOB_OPS,
)
