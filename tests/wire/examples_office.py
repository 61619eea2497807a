"""Examples of the ops of asks, reminders, put-aside letters, finding out and the broker itself; see `examples`."""

from wire import agents, asks, finding, inbox, letters, office, reminders, statistics
from wire.model import Request, Result

AT_MS = 1_800_000_000_000

ASK = asks.Ask(
    id="a3",
    kind="question",
    asker="bob",
    target="alice",
    question="Which way?",
    options=["left", "right"],
    multi=True,
    state="answered",
    asked_at_ms=AT_MS,
    deadline_at_ms=AT_MS + 86_400_000,
    answer="left",
    answered_by="alice",
    ended_at_ms=AT_MS + 5,
    turn="t6",
    message="m12",
    broken=True,
)
OPEN_ASK = asks.OpenAsk(id="a3", asker="bob", kind="question", excerpt="Which way?", deadline_at_ms=AT_MS + 86_400_000)
ABOUT = inbox.About(
    ask="a3",
    part="question",
    ask_kind="question",
    options=["left", "right"],
    multi=True,
    deadline_at_ms=AT_MS + 86_400_000,
    reminder="r4",
    nominal_at_ms=AT_MS,
    missed=2,
)
_REMINDER = reminders.Reminder(
    id="r4",
    agent="alice",
    message="look at the queue",
    state="parked",
    next_at_ms=AT_MS,
    cron="0 9 * * 1-5",
    zone="Europe/Berlin",
    fired=7,
    attempts=5,
    reason="the zone is not known here",
    made_at_ms=AT_MS - 1,
    broken=True,
)
_FROZEN = office.FleetFrozen(everybody=True, agents=["alice"], changed=["alice"])
_FIGURES = statistics.AgentFigures(
    agent="alice",
    turns=3,
    outcomes={"completed": 2, "crashed": 1},
    ms_p50=1500,
    ms_p95=9000,
    messages=5,
    received={"peer": 4, "operator": 1},
    sent=2,
    inbox=7,
    inbox_max=12,
    input_tokens=1000,
    output_tokens=200,
    cost_usd=0.25,
    tool_calls=6,
    tools={"Bash": 4, "mcp__queenpost__send": 2},
    last_turn_at_ms=AT_MS + 1,
    notes_bytes=2048,
    series=statistics.Series(
        turns=[2, 1],
        failed=[0, 1],
        ms_p50=[1500, 900],
        ms_p95=[9000, 900],
        received=[4, 1],
        sent=[2, 0],
        inbox_max=[12, 7],
        tool_calls=[5, 1],
        tokens=[1000, 200],
        cost_usd=[0.25, 0.0],
        notes_bytes=[2000, 2048],
    ),
)
_STORY = finding.Explained(
    id="a3",
    noun="ask",
    state="open",
    waits_for="alice has not answered",
    facts={"asker": "bob"},
    history=[inbox.Happening(at_ms=AT_MS, event="asked", detail="by bob")],
)

OFFICE_OPS: tuple[tuple[Request, Result], ...] = (
    (
        letters.InboxHeld(agent="alice", after="m4", limit=10),
        inbox.InboxListed(items=[], more=False),
    ),
    (letters.InboxRelease(key="k1", ids=["m12"], recipient="alice"), inbox.InboxChanged(changed=["m12/alice"])),
    (
        letters.InboxRecall(key="k1", message="m12", descendants=True),
        letters.InboxRecalled(
            recalled=["m12/alice"],
            beyond=[letters.Beyond(id="m12", recipient="bob", state="in_turn", turn="t7")],
            more=True,
        ),
    ),
    (
        finding.InboxSearch(words="queue", agent="alice", limit=5),
        finding.InboxFound(
            hits=[
                finding.Hit(
                    id="m12", sender="bob", to="alice", kind="peer", sent_at_ms=AT_MS, snippet="look at the queue"
                )
            ],
            more=True,
        ),
    ),
    (
        finding.InboxThread(message="m12"),
        finding.InboxThreaded(
            messages=[
                finding.ThreadMessage(
                    id="m12",
                    parent="m9",
                    sender="bob",
                    to="alice",
                    kind="peer",
                    sent_at_ms=AT_MS,
                    excerpt="hello",
                    states={"alice": "queued"},
                )
            ],
            more=True,
        ),
    ),
    (finding.AgentsExplain(agent="alice"), _STORY.model_copy(update={"id": "alice", "noun": "agent"})),
    (finding.AsksExplain(ask="a3"), _STORY),
    (finding.RemindersExplain(reminder="r4"), _STORY.model_copy(update={"id": "r4", "noun": "reminder"})),
    (
        agents.AgentsRotate(key="k1", agent="alice"),
        agents.AgentsTokenPath(agent="alice", path="/srv/demo/secrets/agents/alice"),
    ),
    (
        asks.AsksAsk(
            key="k1",
            kind="question",
            to="alice",
            question="Which way?",
            options=["left", "right"],
            multi=True,
            ttl_s=3600.0,
        ),
        asks.AsksAsked(
            id="a3",
            to="alice",
            deadline_at_ms=AT_MS,
            state="held",
            warnings=["the storm guard keeps its mail back"],
            duplicate=True,
        ),
    ),
    (
        asks.AsksAnswer(key="k1", ask="a3", answer="left"),
        asks.AsksAnswered(id="a3", asker="bob", message="m13", warnings=["not one of the options"]),
    ),
    (asks.AsksCancel(key="k1", ask="a3"), asks.AsksCancelled(id="a3")),
    (
        asks.AsksList(to_me=True, agent="alice", all=True, after="a1", limit=10),
        asks.AsksListed(asks=[ASK], more=True),
    ),
    (asks.AsksWait(ask="a3", wait_s=2.5), asks.AsksWaited(ask=ASK)),
    (
        reminders.RemindersAdd(
            key="k1",
            message="look",
            delay_s=60.0,
            at="2027-01-15T08:00:00Z",
            cron="0 9 * * 1-5",
            zone="Europe/Berlin",
            agent="alice",
        ),
        reminders.RemindersAdded(id="r4", next_at_ms=AT_MS),
    ),
    (
        reminders.RemindersList(agent="alice", all=True, after="r1", limit=10),
        reminders.RemindersListed(reminders=[_REMINDER], more=True),
    ),
    (reminders.RemindersCancel(key="k1", reminder="r4"), reminders.RemindersChanged(reminder=_REMINDER)),
    (reminders.RemindersRetry(key="k1", reminder="r4"), reminders.RemindersChanged(reminder=_REMINDER)),
    (
        reminders.RemindersStats(agent="alice", since_ms=AT_MS),
        reminders.RemindersCounted(
            since_ms=AT_MS,
            agents=[reminders.ReminderCounts(agent="alice", delivered=7, attempts={"1": 6, "2": 1}, failed=3)],
        ),
    ),
    (
        statistics.AgentsStats(agent="alice", since_ms=AT_MS, buckets=2, after="alfred"),
        statistics.AgentsCounted(
            since_ms=AT_MS, until_ms=AT_MS + 7_200_000, bucket_ms=3_600_000, agents=[_FIGURES], more=True
        ),
    ),
    (office.FleetFreeze(key="k1", agents=["alice"]), _FROZEN),
    (office.FleetThaw(key="k1", agents=["alice"]), _FROZEN),
    (
        office.FleetBackup(key="k1", path="/srv/backup.db"),
        office.FleetBackedUp(path="/srv/backup.db", bytes=4096),
    ),
    (
        office.FleetStats(since_ms=AT_MS),
        office.FleetFigures(
            since_ms=AT_MS,
            messages={"peer": 5},
            deliveries={"acked": 4, "ready": 1},
            turns={"completed": 3},
            turn_ms_p50=1500,
            turn_ms_p95=9000,
            asks={"open": 1},
            reminders_delivered=2,
            jobs={"completed": 1, "running": 2},
            events={"accepted": 5, "refused": 1},
            refused={"denied": 1},
            connections=3,
            database_bytes=8192,
            wal_bytes=4096,
            started_at_ms=AT_MS - 1,
        ),
    ),
    (
        office.FleetProbe(),
        office.FleetProbed(
            commit_ms=0.4,
            wake_ms=0.2,
            sqlite="3.51.3",
            journal_mode="wal",
            file_system="ext4",
            disk_free_bytes=1 << 30,
            clock_step_ms=3,
            quick_check="ok",
            socket="/srv/demo/run/broker.sock",
            pid=4711,
            version="0.1.0",
            python="3.12.1",
        ),
    ),
)
