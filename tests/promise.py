"""Looks at a database from outside and asserts every promise of DESIGN.md section 2; tests/machine.py calls it after every step."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crisis_engine import Engine
from crisis_engine.core import events as ev
from crisis_engine.core.case import Case, Clock
from crisis_engine.core.deadline import Steps
from crisis_engine.core.errors import NotAllowed, NotFound
from crisis_engine.core.evolve import evolve, fold
from crisis_engine.core.model import Absence, Duty, Risk, Tier
from crisis_engine.core.policy import Access
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import level_of, paths
from crisis_engine.definitions import load_access
from crisis_engine.notify import Message
from crisis_engine.store.record import GENESIS, RawRecord, decode, flaws

from .outside import outside

FACT = "示例事实XJQ"
"""Stands in every text that a command carries; whoever finds it outside a sealed payload found a leak."""

_PEERS = {"peer", "student", "guardian", "screening", "subject_teacher", "hotline"}   # they write and never read
_WORD = re.compile(r"[a-z][a-z0-9_]*")
_RECORDS = (
    'SELECT c.number, e.seq, e.at, e.kind, e."by", e.second, e.two, e.header, e.commitment, e.secret, e.prev, e.hash, e.deadline, e.rung,'
    " e.times FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id WHERE e.case_id = ? AND e.seq > ? ORDER BY e.seq"
)
_PROCEDURES: dict[str, Procedure] = {}


class Watch:
    """Follows the log of every case, event by event, and compares it with the rows; nothing is asked of the code under test but to read.

    Only what changed since the last look is looked at, so every look is complete and cheap; `close` looks at everything anew.
    """

    def __init__(self, where: Path | str, engine: Engine, people: Iterable[str]) -> None:
        self.engine, self.people = engine, frozenset(people)
        self.db = outside(where)
        self.access: Access = load_access()
        self.cases: dict[int, Case] = {}
        self._heads: dict[int, bytes] = {}
        self._fired: set[tuple[str, str, int, int]] = set()
        self._alone: dict[int, tuple[int, list[str]]] = {}   # since when nobody answers for a case, and who was to hear of it then
        self._whole = True
        self._notice = 0
        self._version: object = None
        self._duties: list[Duty] = []
        self._absences: list[Absence] = []
        self._roles: dict[str, set[str]] = {}
        self._at: dict[str, list[Duty]] = {}
        self._twice: list[tuple[datetime, datetime]] = []
        self.latest = datetime.min.replace(tzinfo=UTC)

    # ---- what a step may ask ------------------------------------------------------------------------------------------

    def stamp(self) -> int:
        """Return a number that changes when anybody commits anything at all."""
        return self.db.stamp()

    def of(self, number: str) -> Case:
        """Return a case as it stands."""
        return next(case for case in self.cases.values() if case.number == number)

    def procedure(self, case: Case) -> Procedure:
        """Return what the case is pinned to, read back from the database."""
        if case.procedure not in _PROCEDURES:
            bodies = self.db.rows("SELECT body FROM crisis_definition WHERE hash = ?", case.procedure)
            assert bodies, "the procedure of a case is not in its database"
            _PROCEDURES[case.procedure] = Procedure.from_body(bodies[0][0])
        return _PROCEDURES[case.procedure]

    def duties(self) -> list[Duty]:
        """Return all duties of the roster, read again only after the roster changed."""
        version = self.db.rows("SELECT value FROM crisis_meta WHERE name = 'roster_version'")
        if version != self._version:
            with self.engine.store.reading() as tx:
                self._duties, self._absences, self._version = tx.duties_under(), tx.absences(), version
            self._roles, self._at = {}, {}
            for duty in self._duties:
                self._roles.setdefault(duty.person, set()).add(duty.role)
                self._at.setdefault(duty.unit, []).append(duty)
        return self._duties

    # ---- the look -------------------------------------------------------------------------------------------------------

    def look(self, now: datetime, *, swept: bool = False, present: bool = False) -> None:
        """Assert every promise: `swept` says that a whole sweep at `now` was the last thing done, `present` that a handover was."""
        self.latest, self._whole = max(self.latest, now), False
        rows = self.db.rows("SELECT id, number, version FROM crisis_case ORDER BY id")
        changed = [
            (row_id, number) for row_id, number, version in rows
            if row_id not in self.cases or self.cases[row_id].version != version
        ]
        for row_id, number in changed:
            self._follow(row_id)
            with self.engine.store.reading() as tx:
                stored = tx.case(number)
            assert stored is not None
            assert stored.case == self.cases[row_id], f"row and log differ: {stored.case} / {self.cases[row_id]}"
            self._at_rest(row_id, self.cases[row_id])
        for what, sql in self.db.never.items():
            found = self.db.rows(sql)
            assert not found, f"{what}: {found}"
        self._outbox(swept=swept)
        self._left_behind()
        if swept:
            due = self.db.rows("SELECT number FROM crisis_case WHERE final IS NULL AND next_at <= ?", _micros(now))
            assert not due, f"still due after a sweep: {due}"
        self._found_again()
        if (swept or present) and now >= self.latest:   # while the machine's clock stands in the past, presence is a matter of taste
            self._presence(now)
            self._queues()
        self._whole = True

    def close(self) -> None:
        """Assert the whole log once more, from the first record on, by the store's own proof and by a fold."""
        if not self._whole or sys.exc_info()[0] is not None:   # what failed is to be heard, not what follows from it
            self.db.close()
            return
        with self.engine.store.reading() as tx:
            assert list(tx.verify()) == []
            for case in self.cases.values():
                stored = tx.case(case.number)
                assert stored is not None
                events = tx.events(case.number)
                assert fold(events) == case == stored.case
                sql = "SELECT name, n, status, late FROM crisis_deadline WHERE case_id = ? ORDER BY name, n"
                assert self.db.rows(sql, stored.id) == _armings(events), f"a clock was lost or doubled: {case}"
        for case in self.cases.values():
            self._secrecy(case, all_faces=True)
        self.db.close()

    # ---- events ---------------------------------------------------------------------------------------------------------

    def _follow(self, row_id: int) -> None:
        case, head = self.cases.get(row_id), self._heads.get(row_id, GENESIS)
        for row in self.db.rows(_RECORDS, row_id, case.version if case else 0):
            number, seq, at, kind, by, second, two, *rest = row
            record = RawRecord(number, seq, at, kind, by, second, bool(two), *rest)
            with self.engine.store.reading() as tx:
                record = tx.open_record(record)
            assert list(flaws(record, head, case.version + 1 if case else 1)) == []
            assert FACT not in record.header, "a fact stands in the open part of the log"
            event = decode(record.header, record.secret)
            after = evolve(case, event)
            if after.answers is None and (case is None or case.answers is not None or case.tier is not after.tier):
                self._alone[row_id] = record.at, self._terminal(after)
            if case is not None:
                self._event(case, event, after)
            case, head = after, record.hash
        assert case is not None
        self.cases[row_id], self._heads[row_id] = case, head

    def _event(self, before: Case, event: ev.Event, after: Case) -> None:
        said = f"case {event.case}, {event}"
        assert event.at >= before.last_at, f"time ran back: {said}"
        assert event.by in self.people or event.by in {"engine", "reporter"}, said
        two = self._two(event)
        if after.risk.rank < before.risk.rank:
            assert isinstance(event, ev.RiskLowered), said
            assert event.by in self.people, f"software lowered a risk: {said}"
            assert before.risk not in {Risk.RED, Risk.ORANGE} or two, f"one person lowered a high risk: {said}"
        assert after.peak.rank >= max(before.peak.rank, after.risk.rank), said
        if after.tier.rank < before.tier.rank:
            assert isinstance(event, ev.TierLowered), said
            assert event.by in self.people, f"software lowered a tier: {said}"
        if before.danger and not after.danger:
            assert two or after.final is not None, f"one person ended a danger: {said}"
        if after.final is not None and before.final is None:
            assert two or after.final == "merged" or self._with_parent(before, event), f"one person ended a case: {said}"
        assert before.recused <= after.recused, said
        if isinstance(event, ev.Told):
            assert not after.recused & set(event.people), f"a recused person was told: {said}"
        self._clocks(before, event, after, said)

    def _with_parent(self, before: Case, event: ev.Event) -> bool:
        """Whether the engine ended a track beside a case that two persons ended."""
        if not isinstance(event, ev.Moved) or self.procedure(before).workflow.moves[event.move].when != "parent_ended":
            return False
        sql = "SELECT 1 FROM crisis_case WHERE number = ? AND final IS NOT NULL AND (final = 'merged' OR ended_second IS NOT NULL)"
        return bool(self.db.rows(sql, before.parent))

    def _two(self, event: ev.Event) -> bool:
        second = getattr(event, "second", None)
        return bool(getattr(event, "two", False)) and second in self.people and event.by in self.people and second != event.by

    def _clocks(self, before: Case, event: ev.Event, after: Case, said: str) -> None:
        later = isinstance(event, ev.ClockResumed) or (isinstance(event, ev.ClockMoved) and event.why == "calendar")
        left = {clock.key: clock for clock in after.clocks}
        for clock in before.clocks:
            now = left.get(clock.key)
            if now is None:
                assert isinstance(event, (ev.ClockMet, ev.ClockDropped)), f"a clock was lost: {said}"
                standing = self.procedure(before).workflow.clocks[clock.name].standing
                assert isinstance(event, ev.ClockMet) or standing or before.final is not None, f"a duty was dropped: {said}"
            else:
                assert now.due_at <= clock.due_at or later, f"a due time moved away: {said}"
                assert (now.due_at, now.cap_at) == (clock.due_at, clock.cap_at) or isinstance(event, (ev.ClockMoved, ev.ClockResumed)), said
        if isinstance(event, ev.RungFired):
            rung = (event.case, f"{event.clock}.{event.n}", event.rung, event.times)
            assert rung not in self._fired, f"fired twice: {said}"
            self._fired.add(rung)
            assert (event.next_times, event.next_rung) > (event.times, event.rung), said
            assert event.next_at > event.at, f"the next rung is not ahead: {said}"

    # ---- a case at rest ---------------------------------------------------------------------------------------------------

    def _at_rest(self, row_id: int, case: Case) -> None:
        workflow = self.procedure(case).workflow
        if not case.open:
            assert (case.clocks, case.proposals) == ((), ()), case
            return
        assert case.clocks, f"an open case without a clock: {case}"
        for definition in workflow.clocks.values():
            clock = case.clock(definition.name)
            if definition.standing:
                assert (clock is not None) == _stands(case, definition.stages, definition.flag, workflow.stages[case.stage].lead), (
                    f"{definition.name} does not run as its condition says: {case}")
            floor = definition.once_from_risk
            if floor is not None and _counted(self.procedure(case), case.risk).rank >= floor.rank:
                assert definition.name in case.armings, f"{definition.name} never began: {case}"
        for clock in case.clocks:
            assert clock.holder is None or clock.holder in self.people, clock
            assert clock.holder not in case.recused, f"a recused person holds {clock}"
            assert clock.next_at <= self._latest_moment(case, clock), f"the next rung is too far away: {clock}"
        assert case.answers not in case.recused, f"a recused person answers: {case}"
        assert case.answers_unit, f"nobody was ever asked to answer: {case}"
        level = level_of(self.access, case.answers_role)
        assert level.rank >= case.tier.rank, f"{case.answers_role} answers at {case.tier}"
        overdue = case.next_at is not None and case.next_at <= case.last_at   # not swept since: the next sweep alarms whoever is there now
        if case.answers is None and self._terminal(case) and not overdue:
            since, there = self._alone[row_id]   # whoever came to that post later hears of it with the next rung
            sql = "SELECT people FROM crisis_notice WHERE case_id = ? AND at >= ?"
            told = self.db.rows(sql, row_id, since)
            heard = {person for (people,) in told for person in people.split(",")}
            assert heard.issuperset(set(there) - case.recused), f"nobody answers and nobody was alarmed: {case}"
        assert all(case.stage in workflow.moves[proposal.move].from_stages for proposal in case.proposals), case
        self._secrecy(case)

    def _latest_moment(self, case: Case, clock: Clock) -> datetime:
        """Return the moment after which a ladder would be asleep: the plan, or the repeating rung counted from the last event."""
        steps = Steps.of(self.procedure(case).policy, clock.name, case.risk)
        every = steps.ladder[-1].every
        plan = [steps.at(step, clock.armed_at, clock.due_at) for step in (min(clock.rung, steps.last), len(steps.remind))]
        moments = [*plan, case.last_at + (every.wall if every is not None else timedelta()), clock.held_until, clock.paused_until]
        return max(moment for moment in moments if moment is not None)

    def _terminal(self, case: Case) -> list[str]:
        roles = self.procedure(case).policy.terminal_to
        self.duties()
        return [duty.person for duty in self._at.get(paths(case.unit)[-1], ()) if duty.role in roles and duty.person not in case.recused]

    def _secrecy(self, case: Case, *, all_faces: bool = False) -> None:
        """Ask as those who may not know; of the three ways to read a case one in turn, for all of them cost as much as the step."""
        engine, number, blind = self.engine, case.number, self._blind(case)
        faces = (engine.case, engine.history, engine.moves)
        for person in (*case.recused, *blind):
            for ask in faces if all_faces else (faces[case.version % 3],):
                refused = _refusal(ask, number, by=person)
                assert refused is not None, f"{person} may not know of {number} and reads it"
                if person in case.recused:
                    stranger = str(_refusal(ask, "222-222-222", by=person))
                    assert str(refused).replace(number, "222-222-222") == stranger, f"{person} is recused and learns that {number} exists"
            assert _refusal(engine.act, number, "note", by=person) is not None
            if _refusal(engine.queue, by=person) is None:
                assert number not in {line.number for line in engine.queue(by=person)}, f"{number} stands in {person}'s queue"

    def _blind(self, case: Case) -> list[str]:
        """Return somebody near the case who writes and never reads, most often a peer of the class; each in turn."""
        self.duties()
        near = {duty.person for place in paths(case.unit) for duty in self._at.get(place, ())}
        blind = sorted(person for person in near if self._roles[person] <= _PEERS)
        return [blind[case.version % len(blind)]] if blind else []

    def _left_behind(self) -> None:
        """Assert that no case is over while a track holds it: it was ended with the case, or went to the one that took it over."""
        over = {case.number for case in self.cases.values() if case.final is not None}
        for case in self.cases.values():
            if case.open and case.parent in over:
                assert not self.procedure(case).workflow.stages[case.stage].holds, f"a track that holds was left behind: {case}"

    # ---- the outbox ---------------------------------------------------------------------------------------------------------

    def _outbox(self, *, swept: bool) -> None:
        sql = "SELECT id, key, case_id, people, what, why, error FROM crisis_notice WHERE id > ? ORDER BY id"
        rows = self.db.rows(sql, self._notice)
        heard: set[tuple[int, str, str]] = set()
        for self._notice, key, case_id, people, what, why, error in rows:
            case, named = self.cases[case_id], people.split(",")
            assert key.startswith(case.number), key
            assert _WORD.fullmatch(what), f"a notice says more than what is due: {what!r}"
            assert _WORD.fullmatch(why), f"a notice says more than why: {why!r}"
            assert (error, len(set(named))) == ("", len(named))
            assert self.people.issuperset(named), f"a notice names strangers: {named}"
            assert not case.recused & set(named), f"a recused person is told of {case.number}: {named}"
            if swept:
                once = {(case_id, "rung" if why in {"late", "remind"} else f"{what} {why}", person) for person in named}
                assert not heard & once, f"told twice in one sweep: {heard & once}"
                heard |= once

    def messages(self, messages: Iterable[Message]) -> None:
        """Assert that a message says the case's number, what, when, how urgent and where, and that nobody recused got one."""
        recused = {case.number: case.recused for case in self.cases.values()}
        for message in messages:
            text = message.subject + message.body
            number = next((number for number in recused if number in text), None)
            assert number is not None, "a message without a case number"
            assert message.to not in recused[number], f"{message.to} is recused and was sent a message about {number}"
            for leak in (FACT, "示例", "stu-", "xinyang", "p-", "gd-"):
                assert leak not in text, f"a message tells {leak!r}: {text}"

    # ---- presence -------------------------------------------------------------------------------------------------------------

    def ran_back(self, now: datetime) -> None:
        """Remember a stretch of time that passes twice: whoever went within it is handed over once, and may be asked again meanwhile."""
        self._twice.append((now, self.latest))

    def _presence(self, now: datetime) -> None:
        duties, absences = self.duties(), self._absences
        away = {each.person for each in absences if each.begins_at <= now < each.ends_at and not self._passed_twice(each.begins_at)}
        held = {
            (duty.person, duty.role, duty.unit) for duty in duties
            if (duty.begins_at is None or duty.begins_at <= now)
            and (duty.ends_at is None or duty.ends_at > now or self._passed_twice(duty.ends_at))
        }
        for case in self.cases.values():
            if case.open:
                posts = [(clock.key, clock.holder, clock.role, clock.unit) for clock in case.clocks]
                for what, person, role, unit in [*posts, ("the answer", case.answers, case.answers_role, case.answers_unit)]:
                    assert person is None or (person, role, unit) in held, f"{person} is no {role} of {unit} and holds {what} of {case}"
                    assert person not in away, f"{person} is away and holds {what} of {case}"

    def _busy(self) -> dict[str, set[int]]:
        """Return by person the cases that a plain walk over all clocks finds with them, or for which they answer."""
        busy: dict[str, set[int]] = {}
        for row_id, case in self.cases.items():
            for person in {case.answers, *(clock.holder for clock in case.clocks)} - {None} if case.open else ():
                busy.setdefault(str(person), set()).add(row_id)
        return busy

    def _found_again(self) -> None:
        """Assert that whoever goes is found to hold what they hold: by this the work is handed on."""
        with self.engine.store.reading() as tx:
            for person, rows in self._busy().items():
                assert set(tx.armed_for(person)) == rows, f"{person} goes and not all cases are found: {rows}"
            nobody = {row_id for row_id, case in self.cases.items() if case.open
                      and (case.answers is None or any(clock.holder is None for clock in case.clocks))}
            assert set(tx.unheld()) == nobody
            provisional = {row_id for row_id, case in self.cases.items() if any(clock.provisional for clock in case.clocks)}
            assert set(tx.provisional()) == provisional

    def _queues(self) -> None:
        """Assert that everybody's queue holds every case that waits for them."""
        gone = {duty.person for duty in self.duties() if duty.ends_at is not None and self._passed_twice(duty.ends_at)}   # see `ran_back`
        for person, rows in self._busy().items():
            if person in gone:
                continue
            lines = {line.number for line in self.engine.queue(by=person, limit=1_000)}
            missing = {self.cases[row_id].number for row_id in rows} - lines
            assert not missing, f"{missing} wait for {person} and stand in no queue of theirs"

    def _passed_twice(self, at: datetime) -> bool:
        return any(low <= at <= high for low, high in self._twice)


def _armings(events: Iterable[ev.Event]) -> list[tuple[str, int, str, bool | None]]:
    """Return every arming that the log tells of, wherever it stands there, and how it ended."""
    ended: dict[tuple[str, int], tuple[str, bool | None]] = {}
    for event in events:
        for armed in (event,) if isinstance(event, ev.ClockArmed) else (event.armed or ()) if isinstance(event, ev.RungFired) else ():
            assert (armed.clock, armed.n) not in ended, f"armed twice: {armed}"
            ended[armed.clock, armed.n] = ("armed", None)
        if isinstance(event, (ev.ClockMet, ev.ClockDropped)):
            ended[event.clock, event.n] = ("met", event.late) if isinstance(event, ev.ClockMet) else ("dropped", None)
    return sorted((name, n, status, late) for (name, n), (status, late) in ended.items())


def _stands(case: Case, stages: frozenset[str], flag: str | None, lead: Tier | None) -> bool:
    if flag == "danger":
        return case.danger
    if flag == "raised":
        return case.tier.rank > max((case.lead or lead or Tier.SCHOOL).rank, Tier.CLASS.rank)
    return case.stage in stages


def _counted(procedure: Procedure, risk: Risk) -> Risk:
    return procedure.policy.unrated_counts_as if risk is Risk.UNRATED else risk


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _refusal(ask: Callable[..., object], *args: object, **named: object) -> Exception | None:
    try:
        ask(*args, **named)
    except (NotFound, NotAllowed) as error:
        return error
    return None
