"""What people do with reminders: set them in every way, take them back, try again; and disks that damage them."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from broker.services import reminders as services
from broker.services.callers import Caller
from tests.fakes import reminding
from tests.fakes.office import OPERATOR_CALLER, Call, by_token, kept
from tests.model import paper_reminders as on_paper
from tests.model.choices import NAMES, SECONDS, Digits
from tests.model.chooser import Chooser
from tests.model.desk import Act
from tests.model.paper_calendar import LINES, ZONES, next_change
from tests.model.paper_reminders import Reminder, Wish
from wire.reminders import RemindersCancel, RemindersChanged, RemindersRetry

DELAYS = (0, 0.0009, *SECONDS, 86_400, 7_776_000, 1e9)
CIVIL = (
    ("2027-03-28T02:30:00", "Europe/Berlin"), ("2027-10-31T02:30:00", "Europe/Berlin"),
    ("2027-04-04T01:45", "Australia/Lord_Howe"), ("2027-10-03T02:15", "Australia/Lord_Howe"),
    ("2027-03-14T02:00", "America/New_York"), ("2026-12-31T00:00:00Z", None), ("2090-01-01", None), ("tomorrow", None),
    ("2027-02-30T00:00", None),
)  # fmt: skip
ODD_LINES = ("0 0 30 2 *", "* * *", "61 * * * *", "*/20  0-3  *  * * ", "hourly")
ODD_ZONES = ("Mars/Base", "Europe", "")
AT_ONCE = 17


class ReminderActs(Chooser):
    """One method an act; None where there is nothing to do it with."""

    # --- setting ------------------------------------------------------------------------------------

    def reminding(self, caller: Caller, wish: Wish, key: str) -> Act:
        """Make a reminder."""
        fields = {name: value for name, value in wish._asdict().items() if value is not None}
        call = reminding.adding(self.desk.office, caller, key=key, **fields)
        act = partial(on_paper.add, self.desk.paper, caller, wish)
        told = {name: value for name, value in fields.items() if name != "message"}
        words = f"{caller.name}/{caller.epoch} sets {wish.message[:20]!r}, {told}, {key}"
        return self.keyed(
            Act(words, call, self.under_key("reminders.add", caller, key, wish, act)),
            lambda: self.reminding(caller, wish, key),
        )

    def when(self, digits: Digits) -> dict[str, Any]:
        """Choose a delay, an instant or a cron line; now and then nothing of it, or too much."""
        choice = digits.below(32)
        if choice == 0:
            return digits.pick(({}, {"delay_s": 5.0, "cron": "30 2 * * *"}, {"delay_s": 5.0, "zone": "UTC"}))
        if choice < 12:
            return {"delay_s": digits.pick(DELAYS)}
        zone = digits.pick((None, *ZONES))
        if choice < 20:
            return self._at(zone, digits)
        line = digits.pick(tuple(LINES)) if digits.below(8) else digits.pick(ODD_LINES)
        return {"cron": line, "zone": zone}

    def _at(self, zone: str | None, digits: Digits) -> dict[str, Any]:
        if digits.below(4) == 0:
            at, zone = digits.pick(CIVIL)
            return {"at": at, "zone": zone}
        instant = self.desk.office.clock.now_ms() // 1000 + int(digits.pick(SECONDS)) * (
            -1 if digits.below(8) == 0 else 1
        )
        written = datetime.fromtimestamp(instant, ZoneInfo(zone) if zone else UTC)
        if digits.below(2):
            written = written.replace(tzinfo=None, fold=0)
        return {"at": written.isoformat(), "zone": zone}

    def act_remind(self, digits: Digits) -> Act:
        """Somebody sets a reminder for itself; the operator for anybody."""
        caller = self.caller(digits) if digits.below(4) else OPERATOR_CALLER
        whom = digits.pick((None, *NAMES)) if caller is OPERATOR_CALLER else None
        if caller is not OPERATOR_CALLER and digits.below(16) == 0:
            whom = digits.pick((*NAMES, "nobody"))
        message = f"reminder {len(self.desk.paper.reminders)}"
        if digits.below(16) == 0:
            message = "x" * digits.pick((12_000, 25_000))
        when = self.when(digits)
        if digits.below(32) == 0:
            when["zone"] = digits.pick(ODD_ZONES) or None
        return self.reminding(caller, Wish(message, agent=whom, **when), self.key("remind", digits))

    def alone_pile_up_reminders(self, digits: Digits) -> None:
        """Somebody sets more than may wait; or the operator does for somebody, all due at about the same time."""
        caller, paper = self.caller(digits), self.desk.paper
        waiting = [one.agent.name for one in paper.reminders if one.state in on_paper.WAITING]
        whom = max(waiting, key=waiting.count) if waiting and digits.below(4) else caller.name
        caller = OPERATOR_CALLER if digits.below(2) else by_token(whom)
        agent = whom if caller is OPERATOR_CALLER else None
        delay_s = digits.pick((3600.0, 60.0, 90_000.0))
        wishes = [Wish(f"pile {number}", delay_s=delay_s + number // 4, agent=agent) for number in range(AT_ONCE)]
        self.desk.commit(*(self.reminding(caller, wish, self.fresh("key")) for wish in wishes))

    # --- taking back, trying again ------------------------------------------------------------------

    def a_reminder(self, digits: Digits, *, parked: bool = False) -> tuple[Caller, str] | None:
        """Mostly one that waits, with its owner or the operator; sometimes one that is over, or another's."""
        known = self.desk.paper.reminders
        found = [one for one in known if one.state == "parked" or (not parked and one.state == "pending")]
        if not found or digits.below(4) == 0:
            found = known
        if not found:
            return None
        one = found[-1 - digits.below(8) % len(found)]
        who = digits.pick((one.agent.name, one.agent.name, one.agent.name, "operator", digits.pick(NAMES)))
        current = self.desk.caller_of(who)
        caller = OPERATOR_CALLER if who == "operator" else current or by_token(who)
        return caller, one.name if digits.below(16) else digits.pick(("r999", "m1", "r"))

    def changing(self, act: str, caller: Caller, name: str, key: str) -> Act:
        """Make a cancel or a retry."""
        if act == "cancel":
            command = kept(services.cancel, caller, RemindersCancel(key=key, reminder=name), RemindersChanged)
        else:
            command = kept(services.retry, caller, RemindersRetry(key=key, reminder=name), RemindersChanged)
        done = partial(on_paper.cancel if act == "cancel" else on_paper.retry, self.desk.paper, caller, name)
        verb = "cancels" if act == "cancel" else "retries"
        words = f"{caller.name}/{caller.epoch} {verb} {name}, {key}"
        call = Call(self.desk.office, command)
        return self.keyed(
            Act(words, call, self.under_key(f"reminders.{act}", caller, key, name, done)),
            lambda: self.changing(act, caller, name, key),
        )

    def act_cancel_reminder(self, digits: Digits) -> Act | None:
        """Somebody takes a reminder back."""
        found = self.a_reminder(digits)
        return None if found is None else self.changing("cancel", *found, self.key("cancel_reminder", digits))

    def act_retry_reminder(self, digits: Digits) -> Act | None:
        """Somebody tries a parked one again."""
        found = self.a_reminder(digits, parked=True)
        return None if found is None else self.changing("retry", *found, self.key("retry_reminder", digits))

    # --- what nobody asked for ----------------------------------------------------------------------

    def alone_damage_reminder(self, digits: Digits) -> None:
        """The disk damages a reminder, or somebody mends one."""
        waiting = [one for one in self.desk.paper.reminders if one.state in on_paper.WAITING]
        if waiting:
            one = waiting[-1 - digits.below(8) % len(waiting)]
            one.attempts = digits.pick((one.attempts, one.attempts, 4)) if one.state == "pending" else one.attempts
            self._write(one, body=digits.below(2) == 0)

    def _write(self, one: Reminder, *, body: bool) -> None:
        one.damaged = not one.damaged
        words = f"the disk damages {one.name}" if one.damaged else f"somebody mends {one.name}"
        self.desk.story.append(f"{words}, which has failed {one.attempts} times")
        cron, text = one.cron, one.body
        if one.damaged and cron is not None and not body:
            cron = "\x00 at noon"
        elif one.damaged:
            text = f"{one.body}?"
        sql = "UPDATE reminders SET body = :body, cron = :cron, attempts = :attempts WHERE id = :id"
        self.desk.office.damage(sql, body=text, cron=cron, attempts=one.attempts, id=one.id)

    def alone_wait_for_reminder(self, digits: Digits) -> None:
        """Time passes until a reminder is due."""
        now = self.desk.office.clock.now_ms()
        due = [one.due for one in self.desk.paper.reminders if one.due is not None and one.due - now <= 200_000_000]
        if due:
            self.desk.advance(max(digits.pick(due) - now, 0) / 1000, suspended=digits.below(8) == 0)

    def alone_night(self, digits: Digits) -> None:
        """Time passes until shortly before the clocks change somewhere; somebody has an eye on that night."""
        now, zone = self.desk.office.clock.now_ms(), digits.pick(ZONES)
        change = next_change(zone, now)
        if change is None:
            return
        before = digits.pick((86_400_000, 7_200_000, 3_600_000, 1_200_000, 0, -1_800_000))
        wish = Wish("night", cron=digits.pick(("30 2 * * *", "*/20 0-3 * * *", "0 0,3 * * *")), zone=zone)
        self.desk.advance(max(change - before - now, 0) / 1000)
        self.desk.commit(self.reminding(OPERATOR_CALLER, wish, self.fresh("key")))
