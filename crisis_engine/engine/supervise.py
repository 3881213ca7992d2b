"""Supervision by rules (督导): what a rule of a policy finds at a unit the engine opens, once; and the zero report (零报告) as an act."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import ENGINE, Actor
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.commands import Open
from crisis_engine.core.decide import decide_rule
from crisis_engine.core.errors import BadInput, Busy, CrisisError, NotFound, StoreError, said
from crisis_engine.core.model import RISKS, Unit
from crisis_engine.core.occasion import EVER, Place, begin_of, month_of, occasion
from crisis_engine.core.policy import Rule
from crisis_engine.core.resolve import paths
from crisis_engine.core.world import World
from crisis_engine.store import Stored, Tx

from .again import again
from .log import log
from .look import local
from .worlds import Worlds, new_number

if TYPE_CHECKING:
    from crisis_engine.core.case import Case

    from .gather import Sources

_MONTH = re.compile("[0-9]{4}-(0[1-9]|1[0-2])")
_KNOWN = "rule_known."
"""The note since when a rule is known on this database: no month that began before is missed."""

OLDEST = timedelta(days=366)
"""For a month that ended longer ago nobody makes a zero report any more: a school year is looked at together (D: our design)."""

PASSED_BY = 4
"""So many months without a school day are looked past: two vacations in one stretch of months (D: our design)."""


@dataclass(frozen=True, slots=True)
class ZeroReport:
    """What whoever makes a zero report gets: the same whatever else there is, so that it says nothing about any case."""

    unit: str
    month: str
    received_at: datetime

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"unit": self.unit, "month": self.month, "received_at": local(self.received_at)}


@dataclass(frozen=True, slots=True)
class SuperviseReport:
    """What a look at all units came to: rules times units that were looked at, occasions that held, cases opened, and what failed."""

    looked: int = 0
    held: int = 0
    opened: int = 0
    failed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"looked": self.looked, "held": self.held, "opened": self.opened, "failed": self.failed}


class Supervising(Worlds):
    """What the engine opens by rules, and the act that keeps one of them from asking."""

    @again
    def zero_report(self, *, unit: str, month: str, by: str) -> ZeroReport:
        """Say for a school that there was nothing to report in a month that is over ("2026-03", China's months); an act that stays.

        Only who holds a duty at the school that the access file names (`report.zero`) may. It is taken, and answered the same, whether or
        not there was a word in that month: the answer must not say what whoever makes it may not know. Raises NotAllowed, NotFound,
        BadInput. Source: DOMAIN.md 4.2 R14, a zero report must be an act.
        """
        with self.store.writing() as tx:
            now = self.now()
            self._allow(tx, now, by, "report.zero", unit=unit)
            found = tx.units({unit}).get(unit)
            if found is None:
                raise NotFound(f"There is no unit {said(unit)!r}.", way_out="See `crisis roster show` for the units.")
            if found.kind != "school":
                raise BadInput(f"{unit} is no school.", way_out="Name the school; it reports for all its classes.")
            _check_month(month, now)

            tx.put_zero_report(unit, month, by, now)
        log("supervision.zero_report", unit=unit, month=month)
        return ZeroReport(unit, month, now)

    def supervise(self) -> SuperviseReport:
        """Look at every unit by the rules of its policy and open what they find, each occasion once. A plain call; several may run at once.

        The order is that of the units' paths. What cannot be decided at one unit is counted and keeps no other from being looked at.
        """
        with self.store.reading() as tx:
            now = self.now()
            rules = list(_pairs(self._supervised(tx)))
            fresh = [name for name in dict.fromkeys(rule.name for rule, _unit in rules) if tx.meta(_KNOWN + name) is None]
        if fresh:
            self._note_rules(fresh, now)
        with self.store.reading() as tx:
            look = _Look(self._sources, tx, now, [rule for rule, _unit in rules])
            last = tx.orders_by_rule()
            held = [
                (rule, unit) for rule, unit in rules
                if not ((order := last.get((rule.name, unit.id))) is not None and order.open)
                and occasion(rule, look.place(rule, unit, order.at if order is not None else None)) is not None
            ]
        opened = failed = 0
        for rule, unit in held:
            try:
                opened += self._open_by_rule(rule, unit, look.spoke.get(unit.id, frozenset()))
            except CrisisError as error:
                if error.exit_code in {StoreError.exit_code, Busy.exit_code}:
                    raise
                failed += 1
                log("supervision.failed", rule=rule.name, unit=unit.id, error=type(error).__name__)
        log("supervision.looked", looked=len(rules), held=len(held), opened=opened, failed=failed)
        return SuperviseReport(len(rules), len(held), opened, failed)

    def _supervised(self, tx: Tx) -> list[tuple[Unit, Mapping[str, Rule]]]:
        """Return every unit that may be supervised with the rules of the nearest policy that was chosen above it, in the order of paths."""
        units = {unit.id: unit for unit in tx.units_of(("city", "county", "school"))}
        return [
            (unit, self._sources.policy_of([units[path].policy or "" for path in paths(unit.id) if path in units]).rules)
            for unit in units.values()
        ]

    @again
    def _note_rules(self, names: Sequence[str], now: datetime) -> None:
        with self.store.writing() as tx:
            tx.hold_name("rule", "known")
            for name in names:
                if tx.meta(_KNOWN + name) is None:
                    tx.set_meta(_KNOWN + name, now.isoformat())

    @again
    def _open_by_rule(self, rule: Rule, unit: Unit, spoke: Collection[tuple[str, str]]) -> bool:
        """Look again at one unit, nobody writing beside, and open what the rule says; whether it did. `spoke` is as it was seen before."""
        with self.store.writing() as tx:
            tx.hold_name("unit", unit.id)
            now = self.now()
            standing, settled = self._orders_about(tx, rule, unit)
            look = _Look(self._sources, tx, now, [rule], unit.id, spoke)
            found = None if standing else occasion(rule, look.place(rule, unit, settled))
            if found is None:
                return False
            resolver = self._sources.resolver(tx, {unit.id}, now)
            world = World(now=now, actor=Actor(ENGINE), procedure=self._sources.procedure_for(tx, rule.opens, unit.id),
                          resolver=resolver, number=new_number())
            concerned = tx.staff_among(found.concerned)   # a guardian or pupil reads no such case, and would only be named in it

            decision = decide_rule(world, Open(unit.id, None, rule.fields), rule.tier, concerned)

            self._apply(tx, decision, None)
            tx.put_occasion(rule.name, unit.id, found.since, decision.pens[0].number, now)
        log("supervision.opened", case=decision.pens[0].number, rule=rule.name)
        return True

    def _orders_about(self, tx: Tx, rule: Rule, unit: Unit) -> tuple[bool, datetime | None]:
        """Return whether a case about the same thing at the unit is open, and when the last was opened, whoever opened it.

        What people opened counts by its form; one that two people revoked settled nothing. What the rule itself opened counts in any case.
        """
        order = tx.orders_by_rule(unit.id).get((rule.name, unit.id))
        last, standing = (order.at, order.open) if order is not None else (None, False)
        for stored in tx.cases_about(unit.id, rule.opens):
            if self._is_same(tx, rule, stored):
                standing = standing or stored.case.open
                if stored.case.final not in {"ended", "excluded"}:
                    last = max(last, stored.case.opened_at) if last is not None else stored.case.opened_at
        return standing, last

    @staticmethod
    def _is_same(tx: Tx, rule: Rule, stored: Stored) -> bool:
        form = tx.events(stored.case.number)[0].secret
        return all(form.get(name) == rule.fields[name] for name in rule.same)


def _pairs(chosen: Sequence[tuple[Unit, Mapping[str, Rule]]]) -> Iterator[tuple[Rule, Unit]]:
    for unit, rules in chosen:
        yield from ((rule, unit) for rule in rules.values() if rule.unit == unit.kind)


class _Look:
    """Everything that the conditions of these rules look at, read once: of all units, or of one and all under it.

    `spoke` are words of that one unit that were seen before: one that came since stands there, and is found by its place.
    """

    def __init__(
        self, sources: Sources, tx: Tx, now: datetime, rules: Sequence[Rule], unit: str | None = None,
        spoke: Collection[tuple[str, str]] = (),
    ) -> None:
        self.now, self.calendar = now, sources.calendar(tx)
        sealed = sources.access.sealed   # of these no order may say that there is one
        roles = {rule.role for rule in rules if rule.role is not None}
        self._duties = tx.duties_in(roles, unit) if roles else {}
        people = {duty.person for held in self._duties.values() for duty in held}
        self._absences = tx.absences_of(people) if people else {}
        months = max((rule.months for rule in rules if rule.months is not None), default=0)
        self.spoke = _spoke(tx, now, months, sealed, unit) if months else {}
        if unit is not None:
            self.spoke = {unit: self.spoke.get(unit, frozenset()) | frozenset(spoke)}
        self._zero = tx.zero_reports(unit) if months else {}
        self._known = {rule.name: tx.meta(_KNOWN + rule.name) for rule in rules if rule.months is not None}
        self._late: defaultdict[str, list[Case]] = defaultdict(list)
        for case in (one.case for one in _late(tx, now, rules, unit) if one.case.workflow not in sealed):
            for path in paths(case.unit):
                self._late[path].append(case)

    def place(self, rule: Rule, unit: Unit, settled: datetime | None) -> Place:
        """Return what a rule looks at of one unit."""
        known = self._known.get(rule.name)
        return Place(
            unit, self.now, self.calendar, tuple(self._late.get(unit.id, ())), self._duties.get(unit.id, ()), self._absences,
            self.spoke.get(unit.id, frozenset()), self._zero.get(unit.id, frozenset()),
            datetime.fromisoformat(known) if known is not None else self.now if rule.months is not None else EVER, settled,
        )


def _late(tx: Tx, now: datetime, rules: Sequence[Rule], unit: str | None) -> list[Stored]:
    asked = [rule for rule in rules if rule.when == "clock_late" and rule.after is not None and rule.risk is not None]
    if not asked:
        return []
    least = min(rule.risk.rank for rule in asked if rule.risk is not None)
    after = min(rule.after.wall for rule in asked if rule.after is not None)
    return tx.late_cases(now - after, [risk.value for risk in RISKS if risk.rank >= least], unit)


def _spoke(
    tx: Tx, now: datetime, months: int, sealed: Mapping[str, int], unit: str | None,
) -> dict[str, frozenset[tuple[str, str]]]:
    """Return in which months a word came from each unit, by workflow; months that are passed by for a vacation lie further back."""
    since = begin_of(now.astimezone(CHINA).date() - timedelta(days=31 * (months + PASSED_BY)))
    found: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for word in tx.words_since(since, unit):
        if word.workflow not in sealed:
            for path in paths(word.unit):
                found[path].add((word.workflow, month_of(word.at)))
    return {place: frozenset(words) for place, words in found.items()}


def _check_month(month: str, now: datetime) -> None:
    if _MONTH.fullmatch(month) is None:
        raise BadInput(f"{said(month)!r} is no month.", way_out="Write it as 2026-03.")
    begins = begin_of(date.fromisoformat(f"{month}-01"))
    ends = begin_of(begins.date() + timedelta(days=31))
    if ends > now:
        raise BadInput(f"The month {month} is not over.", way_out="Say so when it is over; a word can be reported at any time.")
    if ends + OLDEST < now:
        raise BadInput(f"The month {month} is too long ago.", way_out="Say it for the months of the last year.")
