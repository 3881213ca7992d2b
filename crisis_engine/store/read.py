"""Cases read from the database: by number, by due time, by child, by who holds them, and as somebody's queue."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, NamedTuple

from crisis_engine.core.case import Clock
from crisis_engine.core.model import Risk, Tier
from crisis_engine.store.case import CASE_COLUMNS, CLOCK_COLUMNS, Stored, clock_from, stored_from
from crisis_engine.store.instant import instant, instant_or_none, micros
from crisis_engine.store.statement import AMONG, Statements, listed


class QueueRow(NamedTuple):
    """One line of a queue: a case and the clock of it that is due first."""

    number: str
    stage: str
    tier: Tier
    risk: Risk
    danger: bool
    clock: str
    role: str
    unit: str
    holder: str | None
    due_at: datetime
    version: int
    procedure: str


_CASES = f"SELECT {CASE_COLUMNS} FROM crisis_case WHERE id {AMONG.format('ids')} ORDER BY id"  # noqa: S608 (constants)
_NUMBERED = f"SELECT {CASE_COLUMNS} FROM crisis_case WHERE number = :number"  # noqa: S608 (constants)
_QUEUE_COLUMNS = (
    "c.id, c.number, c.stage, c.tier, c.risk, c.danger, d.name, d.role, d.unit, d.holder, d.due_at, c.version, c.procedure"
)
_NOT_RECUSED = " AND NOT EXISTS (SELECT 1 FROM crisis_recusal r WHERE r.case_id = c.id AND r.person = :person)"
_AT_A_POST = (
    # A clock that goes with the tier is found through its case, by who answers.
    f"SELECT {_QUEUE_COLUMNS} FROM crisis_deadline d JOIN crisis_case c ON c.id = d.case_id"  # noqa: S608 (constants)
    f" WHERE d.status = 'armed' AND NOT d.at_tier AND d.unit = :unit AND d.role = :role{_NOT_RECUSED} ORDER BY d.due_at"
)
_ANSWERED = (
    f"SELECT {_QUEUE_COLUMNS} FROM crisis_case c JOIN crisis_deadline d"  # noqa: S608 (constants)
    " ON d.case_id = c.id AND d.status = 'armed' AND d.due_at = c.due_at"
    f" WHERE c.final IS NULL AND c.answers_unit = :unit AND c.answers_role = :role{_NOT_RECUSED}"
)
# A class has few cases and is found by their unit; so an index of who answers has to hold only what was raised above the class.
_AT_A_CLASS = f"{_ANSWERED} AND c.unit = :unit AND c.tier IN ('peer', 'class') ORDER BY c.due_at"
_AT_A_TIER = f"{_ANSWERED} AND c.tier NOT IN ('peer', 'class') ORDER BY c.due_at"
_DUE_COLUMN = 10


class CaseReads(Statements):
    """Everything that reads cases."""

    def case(self, number: str) -> Stored | None:
        """Return the case of that number."""
        return next((stored_from(row) for row in self._rows(_NUMBERED, number=number)), None)

    def cases(self, ids: Sequence[int]) -> list[Stored]:
        """Return the cases of these row ids with their running clocks, in the order of the ids; unknown ids are passed over."""
        if not ids:
            return []
        return [stored_from(row) for row in self._rows(_CASES, ids=listed(ids))]

    def due(self, now: datetime, limit: int, share: tuple[int, int] = (0, 1)) -> list[int]:
        """Return the row ids of at most so many open cases with a rung that is due, the longest overdue first.

        `share` (k, n) leaves to other sweepers the rows that are not the k-th of n: neighbours of 4,096 rows stay together.
        """
        return self._ids("SELECT id FROM crisis_case WHERE final IS NULL AND next_at <= :now AND (id / 4096) % :sweepers = :place"
                         " ORDER BY next_at LIMIT :limit", now=micros(now), limit=limit, place=share[0], sweepers=share[1])

    def next_at(self) -> datetime | None:
        """Return when the next rung of any open case fires."""
        return instant_or_none(self._value("SELECT min(next_at) FROM crisis_case WHERE final IS NULL"))

    def open_case_of(self, workflow: str, subject: str) -> Stored | None:
        """Return the child's open case of that workflow, the oldest if there are several."""
        return self._one("SELECT id FROM crisis_case WHERE workflow = :workflow AND subject = :subject AND final IS NULL"
                         " ORDER BY id LIMIT 1", workflow=workflow, subject=subject)

    def cases_of(self, subject: str) -> list[Stored]:
        """Return all of a child's cases, open or not, in the order in which they began."""
        return self.cases(self._ids("SELECT id FROM crisis_case WHERE subject = :subject", subject=subject))

    def tracks_of(self, number: str) -> list[Stored]:
        """Return the tracks (child cases) of a case, open or not."""
        return self.cases(self._ids("SELECT id FROM crisis_case WHERE parent = :number", number=number))

    def armed_for(self, person: str) -> list[int]:
        """Return the ids of the open cases with a clock that the person holds, or for which the person answers.

        Whoever holds or answers was found among the duties of a post, so the person's own duties name the places to look at.
        """
        return self._ids(
            "SELECT d.case_id AS id FROM crisis_duty h JOIN crisis_deadline d ON d.unit = h.unit AND d.role = h.role"
            " WHERE h.person = :person AND d.status = 'armed' AND NOT d.at_tier AND d.holder = :person UNION"
            " SELECT id FROM crisis_case WHERE final IS NULL AND answers = :person AND tier NOT IN ('peer', 'class')"
            " AND answers_unit IN (SELECT unit FROM crisis_duty WHERE person = :person) UNION"
            " SELECT id FROM crisis_case WHERE final IS NULL AND answers = :person AND tier IN ('peer', 'class')"
            " AND unit IN (SELECT unit FROM crisis_duty WHERE person = :person) ORDER BY id",
            person=person,
        )

    def unheld(self) -> list[int]:
        """Return the ids of the open cases with a clock that nobody holds, or for which nobody answers by name."""
        return self._ids(
            "SELECT case_id AS id FROM crisis_deadline WHERE status = 'armed' AND holder IS NULL UNION"
            " SELECT id FROM crisis_case WHERE final IS NULL AND answers IS NULL ORDER BY id",
        )

    def ended_clocks(self, case_id: int) -> list[tuple[Clock, str, datetime]]:
        """Return the clocks of a case that ended, as they last ran, with how (met, met_late, dropped) and when."""
        how = "CASE WHEN status = 'met' AND late THEN 'met_late' ELSE status END"
        sql = f"SELECT {CLOCK_COLUMNS}, {how}, ended_at FROM crisis_deadline"  # noqa: S608 (constants)
        rows = self._rows(sql + " WHERE case_id = :id AND status <> 'armed' ORDER BY ended_at, id", id=case_id)
        return [(clock_from(row[:-2]), row[-2], instant(row[-1])) for row in rows]

    def provisional(self) -> list[int]:
        """Return the ids of the cases with a running clock that was reckoned on an unpublished calendar."""
        return self._ids("SELECT DISTINCT case_id FROM crisis_deadline WHERE status = 'armed' AND provisional ORDER BY case_id")

    def links(self, number: str) -> list[tuple[str, str]]:
        """Return the relations of a case as (relation, other case's number)."""
        rows = self._rows("SELECT l.link, l.other FROM crisis_link l JOIN crisis_case c ON c.id = l.case_id"
                          " WHERE c.number = :number ORDER BY l.link, l.other", number=number)
        return [(link, other) for link, other in rows]

    def queue(
        self, duties: Sequence[tuple[str, str]], answers: Sequence[tuple[str, str]], recused_person: str, limit: int,
    ) -> list[QueueRow]:
        """Return what waits at the posts (role, unit) of `duties` and what those of `answers` answer for, the soonest due first.

        Each case stands there once, with its clock due first among those that count. Cases that concern `recused_person` are
        left out: that person must not learn that they exist.
        """
        sources = [self._stream(_AT_A_POST, unit=unit, role=role, person=recused_person) for role, unit in dict.fromkeys(duties)]
        sources += [
            self._stream(sql, unit=unit, role=role, person=recused_person)
            for role, unit in dict.fromkeys(answers) for sql in (_AT_A_CLASS, _AT_A_TIER)
        ]
        seen: set[int] = set()
        found: list[QueueRow] = []
        merged: Iterator[Any] = heapq.merge(*sources, key=itemgetter(_DUE_COLUMN, 1))
        for case_id, number, stage, tier, risk, danger, clock, role, unit, holder, due_at, version, procedure in merged:
            if len(found) == limit:
                break
            if case_id not in seen:
                seen.add(case_id)
                found.append(QueueRow(number, stage, Tier(tier), Risk(risk), bool(danger), clock, role, unit, holder,
                                      instant(due_at), version, procedure))
        return found

    def _ids(self, sql: str, **binds: object) -> list[int]:
        return [row[0] for row in self._rows(sql, **binds)]

    def _one(self, sql: str, **binds: object) -> Stored | None:
        return next(iter(self.cases(self._ids(sql, **binds))), None)
