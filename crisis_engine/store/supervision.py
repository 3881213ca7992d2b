"""What supervision (督导) reads and keeps: zero reports (零报告), what rules opened, and what their conditions look at, by the unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from crisis_engine.core.errors import StaleVersion
from crisis_engine.core.model import Duty
from crisis_engine.store.case import Stored
from crisis_engine.store.instant import instant, instant_or_none, micros
from crisis_engine.store.read import CaseReads
from crisis_engine.store.statement import AMONG, listed

# ruff: noqa: S608 - every piece of these statements is a constant of this file or of the store
_LATE = f"SELECT id FROM crisis_case WHERE final IS NULL AND due_at <= :before AND risk {AMONG.format('risks')}"
_WITHIN = " AND ({0} = :unit OR ({0} > :unit || '/' AND {0} < :unit || '0'))"   # "0" follows "/"
_ABOUT = "SELECT id FROM crisis_case WHERE unit = :unit AND workflow = :workflow ORDER BY id"
_DUTIES = f"SELECT role, unit, person, begins_at, ends_at FROM crisis_duty WHERE role {AMONG.format('roles')}"
_STAFF = f"SELECT DISTINCT person FROM crisis_duty WHERE person {AMONG.format('people')}"
# A word about somebody who works there must not be known by the silence of a rule to whoever it is about: it counts as none here.
_UNCONCERNED = " NOT EXISTS (SELECT 1 FROM crisis_recusal r JOIN crisis_duty d ON d.person = r.person WHERE r.case_id = c.id)"
_OPENED = (
    "SELECT json_extract(e.header, '$.unit'), c.workflow, c.opened_at FROM crisis_case c"
    f" JOIN crisis_event e ON e.case_id = c.id AND e.seq = 1 WHERE c.opened_at >= :since AND{_UNCONCERNED}"
)
_SPOKE = (
    "SELECT c.unit, c.workflow, t.made_at FROM crisis_receipt t JOIN crisis_case c ON c.id = t.case_id"
    f" WHERE t.made_at >= :since AND{_UNCONCERNED}"
)
_FOLLOWED = "SELECT DISTINCT procedure FROM crisis_case WHERE final IS NULL{} ORDER BY procedure"
_FOLLOWING = f"SELECT id FROM crisis_case WHERE final IS NULL AND procedure {AMONG.format('procedures')}{{}} ORDER BY id"
_ZERO = "SELECT DISTINCT unit, month FROM crisis_zero_report"
_ORDERS = (
    "SELECT o.rule, o.unit, max(o.at), max(CASE WHEN c.final IS NULL THEN 1 ELSE 0 END) FROM crisis_occasion o"
    " JOIN crisis_case c ON c.number = o.number{} GROUP BY o.rule, o.unit"
)


class Word(NamedTuple):
    """A word that came from a unit: where, into a case of which workflow, when."""

    unit: str
    workflow: str
    at: datetime


class Order(NamedTuple):
    """The last case that a rule opened about a unit: when, and whether one of them is open."""

    at: datetime
    open: bool


class SupervisionRows(CaseReads):
    """Everything about supervision by rules."""

    # ---- zero reports -----------------------------------------------------------------------------------------------

    def put_zero_report(self, unit: str, month: str, by: str, at: datetime) -> None:
        """Keep that somebody said for a unit that there was nothing in a month; each time it is said."""
        self._run('INSERT INTO crisis_zero_report (unit, month, "by", at) VALUES (:unit, :month, :by, :at)',
                  unit=unit, month=month, by=by, at=micros(at))

    def zero_reports(self, unit: str | None = None) -> dict[str, frozenset[str]]:
        """Return the months for which somebody made a zero report, by unit."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        binds = {} if unit is None else {"unit": unit}
        for place, month in self._rows(_ZERO + (" WHERE unit = :unit" if binds else ""), **binds):
            found[place].add(month)
        return {place: frozenset(months) for place, months in found.items()}

    # ---- what rules opened ------------------------------------------------------------------------------------------

    def put_occasion(self, rule: str, unit: str, since: datetime, number: str, at: datetime) -> None:
        """Keep that a rule opened a case about a unit for what began then; StaleVersion where it did so already."""
        if not self._run("INSERT INTO crisis_occasion (rule, unit, since, number, at) VALUES (:rule, :unit, :since, :number, :at)"
                         " ON CONFLICT DO NOTHING", rule=rule, unit=unit, since=micros(since), number=number, at=micros(at)):
            raise StaleVersion

    def orders_by_rule(self, unit: str | None = None) -> dict[tuple[str, str], Order]:
        """Return the last order of each rule at each unit, or at one."""
        binds = {} if unit is None else {"unit": unit}
        rows = self._rows(_ORDERS.format(" WHERE o.unit = :unit" if binds else ""), **binds)
        return {(rule, place): Order(instant(at), bool(standing)) for rule, place, at, standing in rows}

    def rule_of(self, number: str) -> str | None:
        """Return the rule that opened a case; None where a person did."""
        found = self._value("SELECT rule FROM crisis_occasion WHERE number = :number", number=number)
        return None if found is None else str(found)

    def cases_about(self, unit: str, workflow: str) -> list[Stored]:
        """Return the cases of a workflow about this very unit, open or not, in the order in which they began."""
        return self.cases(self._ids(_ABOUT, unit=unit, workflow=workflow))

    # ---- what conditions look at ------------------------------------------------------------------------------------

    def late_cases(self, before: datetime, risks: Collection[str], unit: str | None = None) -> list[Stored]:
        """Return the open cases of these risks with a clock that was due before, of a unit and all under it or of all."""
        binds = {} if unit is None else {"unit": unit}
        sql = _LATE + (_WITHIN.format("unit") if binds else "") + " ORDER BY id"
        return self.cases(self._ids(sql, before=micros(before), risks=listed(risks), **binds))

    def staff_among(self, people: Collection[str]) -> frozenset[str]:
        """Return which of these people hold, held or will hold a duty."""
        return frozenset(person for (person,) in self._rows(_STAFF, people=listed(sorted(people)))) if people else frozenset()

    def duties_in(self, roles: Collection[str], unit: str | None = None) -> dict[str, tuple[Duty, ...]]:
        """Return all duties of these roles by unit, those past and to come too; of all units, or at one."""
        found: defaultdict[str, list[Duty]] = defaultdict(list)
        binds = {} if unit is None else {"unit": unit}
        sql = f"{_DUTIES}{' AND unit = :unit' if binds else ''} ORDER BY unit, role, person"
        for role, place, person, begins_at, ends_at in self._rows(sql, roles=listed(sorted(roles)), **binds):
            found[place].append(Duty(role, place, person, instant_or_none(begins_at), instant_or_none(ends_at)))
        return {place: tuple(duties) for place, duties in found.items()}

    def words_since(self, since: datetime, unit: str | None = None) -> list[Word]:
        """Return every word since then with where it was said; those that are about somebody who works there are left out.

        With `unit` those of cases that stand there now, or under it.
        """
        binds = {} if unit is None else {"unit": unit}
        within = _WITHIN.format("c.unit") if binds else ""
        rows = [row for sql in (_OPENED, _SPOKE) for row in self._rows(sql + within, since=micros(since), **binds)]
        return [Word(str(place), str(workflow), instant(at)) for place, workflow, at in rows]

    # ---- load -------------------------------------------------------------------------------------------------------

    def open_procedures(self, unit: str) -> list[str]:
        """Return which procedures the open cases of a unit, and of all under it, follow."""
        return [str(digest) for (digest,) in self._rows(_FOLLOWED.format(_WITHIN.format("unit")), unit=unit)]

    def open_cases_under(self, unit: str, procedures: Collection[str]) -> list[Stored]:
        """Return the open cases of a unit, and of all under it, that follow one of these procedures."""
        return self.cases(self._ids(_FOLLOWING.format(_WITHIN.format("unit")), unit=unit, procedures=listed(sorted(procedures))))
