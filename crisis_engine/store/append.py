"""Changes of cases written to the database: one bulk statement for each kind of write, all of them or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import count
from operator import attrgetter
from typing import Any

from crisis_engine.core.attachment import Kept
from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError, StaleVersion
from crisis_engine.core.events import ClockArmed, ClockDropped, ClockMet, Event, Linked, Migrated, Notice, PersonRecused, RungFired
from crisis_engine.core.evolve import clock_of
from crisis_engine.store.attachment import PUT, sealed_row
from crisis_engine.store.case import CASE_COLUMNS, CLOCK_COLUMNS, Change, Stored, clock_values, clocks_of, state_fields, state_of, values_of
from crisis_engine.store.instant import micros, micros_or_none
from crisis_engine.store.key import CASE, KeyRows
from crisis_engine.store.record import AT, GENESIS, HASH, SECRET, SEQ, row_of, seal_envelope
from crisis_engine.store.seal import DataKey
from crisis_engine.store.statement import AMONG, listed

Values = list[tuple[Any, ...]]

AT_ONCE = 0
"""The first try of a notice that waits for nothing."""


def _marks(columns: str) -> str:
    return ", ".join("?" * len(columns.split(",")))


def _sets(columns: str) -> str:
    return ", ".join(f"{column.strip()} = ?" for column in columns.split(","))


def _insert(table: str, columns: str, end: str = "") -> str:
    return f"INSERT INTO {table} ({columns}) VALUES ({_marks(columns)}){end}"  # noqa: S608 (constants of this file)


def _update(table: str, columns: str, where: str) -> str:
    return f"UPDATE {table} SET {_sets(columns)} WHERE {where}"  # noqa: S608 (constants of this file)


_EVENT_COLUMNS = 'case_id, seq, at, kind, "by", second, two, header, commitment, secret, prev, hash, deadline, rung, times'
_NOTICE_COLUMNS = "key, case_id, people, what, why, due_at, urgent, at, not_before, status, tries, next_try_at, error"

_OPEN = _insert("crisis_case", CASE_COLUMNS)
# An index is written anew for every column that an UPDATE names, changed or not: so a rung names only what it moved.
_SEEN = "id = ? AND version = ?"
_TICK = _update("crisis_case", "version, last_at, next_at, head, clocks", _SEEN)
_CHANGE = _update("crisis_case", CASE_COLUMNS.removeprefix("id, number, "), _SEEN)
_NOTE = _update("crisis_case", "version, last_at, next_at, head, clocks, state", _SEEN)
_RAISE = _update("crisis_case", "version, last_at, next_at, head, clocks, tier, answers_role, answers_unit, answers, state", _SEEN)
_ARM = _insert("crisis_deadline", f"{CLOCK_COLUMNS}, status, ended_at, late")
_RUNNING = "case_id = ? AND name = ? AND n = ? AND status = 'armed'"
_MOVE = _update("crisis_deadline", CLOCK_COLUMNS.removeprefix("case_id, name, n, "), _RUNNING)
_END = _update("crisis_deadline", "status, ended_at, late", _RUNNING)
_LOG = _insert("crisis_event", _EVENT_COLUMNS).replace("INSERT", "INSERT OR FAIL")  # see the trigger crisis_event_never_replaced
_OWE = _insert("crisis_notice", _NOTICE_COLUMNS)
_LINK = _insert("crisis_link", "case_id, link, other", " ON CONFLICT DO NOTHING")
_RECUSE = _insert("crisis_recusal", "case_id, person", " ON CONFLICT DO NOTHING")

_NUMBERED = f"SELECT number, id FROM crisis_case WHERE number {AMONG.format('numbers')}"  # noqa: S608 (constants)
_HEADS = f"SELECT id, head FROM crisis_case WHERE id {AMONG.format('ids')}"  # noqa: S608 (constants)

_settled = attrgetter("workflow", "procedure", "unit", "subject", "parent", "stage", "risk", "peak", "danger", "lead", "final",
                      "opened_at", "closed_at", "ended_by", "ended_second")
_answering = attrgetter("tier", "answers_role", "answers_unit", "answers")
_posted = attrgetter("kind", "role", "unit", "holder", "armed_at", "due_at", "cap_at", "provisional", "at_tier")


_ENDS = (ClockMet, ClockDropped)  # `A | B` would be made anew for each event


class Batch:
    """The rows that a number of changes come to, sorted by the statement that writes them."""

    def __init__(self, first_id: int) -> None:
        self._new_id = count(first_id)
        self.changes: list[Change] = []
        self.ids: dict[str, int] = {}
        self.opened: Values = []
        self.ticked: Values = []
        self.noted: Values = []
        self.raised: Values = []
        self.changed: Values = []
        self.armed: Values = []
        self.moved: Values = []
        self.ended: Values = []
        self.logged: Values = []
        self.secret: list[tuple[int, str]] = []   # which of these rows have a secret, and their case
        self.attached: list[tuple[int, str, int, Kept]] = []   # case row, number, time of its record, and the file
        self.linked: Values = []
        self.recused: Values = []
        self.log_first = False   # a row changes its procedure only behind the event that says so

    def add(self, change: Change) -> None:
        """Sort one change into the rows that it comes to."""
        before, after = change.before, change.after
        self.changes.append(change)
        case_id = before.id if before else next(self._new_id)
        self.ids[after.number] = case_id
        if not change.events:
            return
        head = self._log(case_id, change)
        self._clocks(case_id, before, after, change.events)
        if before is None:
            self.opened.append((case_id, *values_of(after, head, state_of(after), clocks_of(after), two=change.two, sole=change.sole)))
        else:
            self._case(before, change, head)

    def _log(self, case_id: int, change: Change) -> bytes:
        """Chain the events to the log and return the hash of the last."""
        before, after, events = change.before, change.after, change.events
        head, seq = (before.head, before.case.version) if before else (GENESIS, 0)
        for event in events:
            seq += 1
            if event.seq != seq or event.case != after.number:
                raise CrisisError(f"Event {event.seq} of case {event.case} is not the next one, {seq} of case {after.number}.")
            row = row_of(event, case_id, micros(event.at), head)
            head = row[HASH]
            if event.secret:
                self.secret.append((len(self.logged), after.number))
            self.logged.append(row)
            if isinstance(event, Linked):
                self.linked.append((case_id, event.link, event.other))
            elif isinstance(event, PersonRecused):
                self.recused.append((case_id, event.person))
            elif isinstance(event, Migrated):
                self.log_first = True
        times = {event.seq: event.at for event in events} if change.attached else {}
        self.attached += [(case_id, after.number, micros(times[one.seq]), one) for one in change.attached]
        if after.version != seq:
            raise CrisisError(f"Case {after.number} says version {after.version}, its log ends at {seq}.")
        return head

    def _case(self, before: Stored, change: Change, head: bytes) -> None:
        was, now = before.case, change.after
        seen = (before.id, was.version)
        clocks = clocks_of(now)
        ticked = (now.version, micros(now.last_at), micros_or_none(now.next_at), head, clocks)
        if _settled(was) != _settled(now) or was.due_at != now.due_at or before.two != change.two or before.sole != change.sole:
            self.changed.append((*values_of(now, head, state_of(now), clocks, two=change.two, sole=change.sole)[1:], *seen))
        elif _answering(was) == _answering(now):
            if state_fields(was) == state_fields(now):
                self.ticked.append((*ticked, *seen))
            else:
                self.noted.append((*ticked, state_of(now), *seen))
        else:
            self.raised.append((*ticked, now.tier.value, now.answers_role, now.answers_unit, now.answers, state_of(now), *seen))

    def _clocks(self, case_id: int, before: Stored | None, after: Case, events: Sequence[Event]) -> None:
        """Compare the clocks of before and after; a clock armed and ended by the same change has its row too."""
        old = {(was.name, was.n): was for was in before.case.clocks} if before else {}
        for clock in after.clocks:
            was = old.pop((clock.name, clock.n), None)
            if was is None:
                self.armed.append((*clock_values(case_id, clock), "armed", None, None))
            elif was is not clock and _posted(was) != _posted(clock):
                self.moved.append((*clock_values(case_id, clock)[3:], case_id, clock.name, clock.n))
        ends = {(event.clock, event.n): event for event in events if isinstance(event, _ENDS)}
        for key in old:
            self.ended.append((*_end(ends.get(key), after), case_id, *key))
        for armed in _armed_in(events) if ends else ():
            if (armed.clock, armed.n) in ends:
                self.armed.append((*clock_values(case_id, clock_of(armed)), *_end(ends[armed.clock, armed.n], after)))


def prepare(changes: Sequence[Change], first_id: int = 0) -> Batch:
    """Return the rows that the changes come to: encoded and hashed, for `write`. Cases that begin get ids from `first_id` on."""
    batch = Batch(first_id)
    for change in changes:
        if change.before is None and first_id < 1:
            raise CrisisError(f"Case {change.after.number} begins here: only `append` can give it a row.")
        batch.add(change)
    return batch


def _end(event: Event | None, after: Case) -> tuple[str, int, bool | None]:
    """Return status, time and lateness of a clock that ended by an event."""
    if isinstance(event, ClockMet):
        return "met", micros(event.at), event.late
    return "dropped", micros(event.at if event else after.last_at), None


def _first_try(notice: Notice) -> int:
    """Return when a notice may go out: at once, where nothing says otherwise; a case's own time may be that of a clock which ran ahead."""
    return AT_ONCE if notice.not_before is None else micros(notice.not_before)


def _armed_in(events: Sequence[Event]) -> Iterator[ClockArmed]:
    for event in events:
        if isinstance(event, ClockArmed):
            yield event
        elif isinstance(event, RungFired):
            yield from event.armed or ()


class CaseWrites(KeyRows):
    """Everything that writes cases."""

    def append(self, changes: Sequence[Change], *, whole: bool = True) -> None:
        """Write the changes: rows of cases and clocks, log, links, recusals and outbox; all of them, or nothing.

        Raises StaleVersion when a case is no longer as `before` says, and AlreadyOpen when a child would have a second open case
        of a workflow that allows one. `whole` is as in `write`.
        """
        self.write(prepare(changes, self._first_id(sum(1 for change in changes if change.before is None))), whole=whole)

    def _first_id(self, many: int) -> int:
        """Return a row id from which on so many are free."""
        if self._sql.ONE_WRITER:
            return 1 + int(self._value("SELECT max(id) FROM crisis_case") or 0)
        if not many:
            return 1
        # The last of a row of numbers that only grow; another writer may take some in between, so each is looked at.
        taken = [row[0] for row in self._rows("SELECT nextval(pg_get_serial_sequence('crisis_case', 'id')) FROM generate_series(1, :many)",
                                              many=many)]
        return int(taken[0]) if taken == list(range(taken[0], taken[0] + many)) else self._first_id(many)

    def write(self, batch: Batch, *, whole: bool = True) -> None:
        """Write what was prepared, as `append` does. What takes time by the row was done before, outside the lock.

        `whole=False` is for whoever undoes the whole transaction when this fails: it spares the savepoint, a copy of every page.
        """
        with self.whole() if whole else nullcontext():
            if batch.log_first:
                self._log(batch)
            self._bulk(_OPEN, batch.opened)
            updates = ((_TICK, batch.ticked), (_NOTE, batch.noted), (_RAISE, batch.raised), (_CHANGE, batch.changed))
            if sum(self._bulk(sql, rows) for sql, rows in updates) != sum(len(rows) for _, rows in updates):
                raise StaleVersion(numbers=self._stale(batch))
            self._bulk(_ARM, batch.armed)   # before ending: the database refuses to end the last clock of an open case
            self._bulk(_MOVE, batch.moved)   # a row that other hands took away must not keep the case from moving: the doctor names it
            self._bulk(_END, batch.ended)
            if not batch.log_first:
                self._log(batch)
            self._attach(batch)
            self._bulk(_LINK, batch.linked)
            self._bulk(_RECUSE, batch.recused)
            self._bulk(_OWE, self._owed(batch))
            self._call(batch)

    def _log(self, batch: Batch) -> None:
        self._seal(batch)
        self._bulk(_LOG, batch.logged)

    def _call(self, batch: Batch) -> None:
        """Call whoever sleeps until the next deadline, if this made the nearest of all nearer; the call goes out with the commit."""
        if self._sql.ONE_WRITER:
            return
        nearer = [change.after.next_at for change in batch.changes if change.after.next_at is not None and (
            change.before is None or change.before.case.next_at is None or change.after.next_at < change.before.case.next_at)]
        if nearer:
            self._rows("SELECT pg_notify('crisis_due', '') WHERE NOT EXISTS"
                       " (SELECT 1 FROM crisis_case WHERE final IS NULL AND next_at < :least)", least=micros(min(nearer)))

    def _seal(self, batch: Batch) -> None:
        """Seal the secrets of the batch under their cases' keys, which a case gets with its first secret."""
        keys: dict[str, DataKey] = {}
        for where, number in batch.secret:
            row = batch.logged[where]
            if number not in keys:
                keys[number] = self._key_to_seal(CASE, number, row[AT])
            sealed = seal_envelope(keys[number], row[SECRET], number, row[SEQ])
            batch.logged[where] = (*row[:SECRET], sealed, *row[SECRET + 1:])
        batch.secret = []

    def _attach(self, batch: Batch) -> None:
        """Seal the files of the batch under their cases' keys, one after the other: one is in memory twice at a time."""
        for case_id, number, at, one in batch.attached:
            self._bulk(PUT, [sealed_row(self._key_to_seal(CASE, number, at), number, case_id, at, one)])

    def _owed(self, batch: Batch) -> Values:
        """Return the rows of the outbox."""
        ids = batch.ids
        notices: list[Notice] = [notice for change in batch.changes for notice in change.notices]
        if any(not notice.key.startswith(f"{notice.case}-") for notice in notices):   # so a key of one case is none of another
            raise CrisisError("A notice's key does not begin with its case's number.")
        strangers = {notice.case for notice in notices}.difference(ids)
        if strangers:
            ids = {**ids, **dict(self._rows(_NUMBERED, numbers=listed(strangers)))}
        return [
            (each.key, ids[each.case], ",".join(each.people), each.what, each.why, micros_or_none(each.due_at), each.urgent,
             micros(each.at), micros_or_none(each.not_before), "waiting", 0, _first_try(each), "")
            for each in notices
        ]

    def _stale(self, batch: Batch) -> tuple[str, ...]:
        """Return the numbers of the cases that are neither as they were nor as this batch has just written them."""
        seen = {change.before.id: change for change in batch.changes if change.before and change.events}
        heads = {row[0]: row[HASH] for row in batch.logged}  # the last record of each case wins
        found = dict(self._rows(_HEADS, ids=listed(seen)))
        return tuple(change.after.number for case_id, change in seen.items() if found.get(case_id) != heads[case_id])
