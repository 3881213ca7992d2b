"""Backtest: the logs of past cases replayed under another policy, told in counts alone. Nothing is written but that somebody asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine import definitions
from crisis_engine.core.access import Filter, Term
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.replay import Lived, lived, replay
from crisis_engine.core.resolve import Resolver
from crisis_engine.core.tally import merged

from .log import log
from .worlds import Worlds

if TYPE_CHECKING:
    from crisis_engine.store import Tx
    from crisis_engine.store.register import RegisterRow

Counts = dict[str, Counter[tuple[str, str]]]
"""Counts by measure, then by (group, name)."""

ACTION = "definitions.backtest"
_PAGE = 200

MEASURES = ("before", "after", "missed_before", "missed_after", "now_missed", "now_met", "nearer", "later", "gone", "new")
"""What is counted of deadlines: under the old and the new policy, missed under each, changed from met to missed and back, due nearer or
later, and those that only one of the two has (a level that was or was not raised)."""


@dataclass(frozen=True, slots=True)
class BacktestView:
    """What a policy would have made of the past: counts by group and name, each cell large enough to point at no child.

    A count of None is a whole too small to tell. `cases` were replayed; `skipped` belong to workflows that the policy is not for;
    `failed` could not be replayed.
    """

    policy: str
    cases: int | None
    skipped: int | None
    failed: int | None
    cells: tuple[dict[str, Any], ...]     # {"group", "name", "measure", "count"}; the name "*" stands for several too small ones

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"policy": self.policy, "cases": self.cases, "skipped": self.skipped, "failed": self.failed, "cells": list(self.cells)}


class Backtest(Worlds):
    """The backtest's part of the face."""

    def backtest(self, policy: str, *, by: str) -> BacktestView:
        """Replay every case under this person's units under another policy, a name or a path, and count.

        What a replay is stands in core/replay.py. Cases that concern whoever asks are left out, and no number of a case is told.
        Raises DefinitionError for a faulty policy, NotAllowed.
        """
        counted: Counts = {name: Counter() for name in ("cases", *MEASURES, "told", "rungs", "raised", "alarms")}
        with self.store.reading() as tx:
            now = self.now()
            places = self._places(tx, now, by, ACTION)
            for place in places or ("",):
                self._allow(tx, now, by, ACTION, unit=place)
            sight = Filter(by, tuple(Term(place, by) for place in places))
            doc = definitions.load_policy_doc(policy)   # who may not ask does not learn either which files there are

            procedures: dict[str, Procedure | None] = {}
            for row in _rows(tx, sight):
                if row.procedure not in procedures:
                    procedures[row.procedure] = self._under(tx, row, policy, doc)
                self._count(tx, row, procedures[row.procedure], now, counted)

            least = self._sources.access.least_count
        log("definitions.backtested", by=by)
        cases = counted.pop("cases")
        replayed, skipped, failed = (_whole(cases["cases", name], least) for name in ("replayed", "skipped", "failed"))
        return BacktestView(policy, replayed, skipped, failed, _cells(counted, least))

    def _under(self, tx: Tx, row: RegisterRow, policy: str, doc: dict[str, object]) -> Procedure | None:
        """Return the procedure that the case is pinned to, with the other policy; None where that is not for its workflow."""
        pinned = self._sources.pinned(tx, row.procedure)
        new = Procedure.of(json.loads(pinned.body)["workflow"], doc)
        if row.workflow not in new.policy.applies_to:
            return None
        definitions.load_procedure(row.workflow, policy)   # checks hard that both fit together
        return new

    def _count(self, tx: Tx, row: RegisterRow, procedure: Procedure | None, now: datetime, counted: Counts) -> None:
        if procedure is None:
            counted["cases"]["cases", "skipped"] += 1
            return
        events = tx.events(row.number)
        until = row.closed_at or now

        def resolver_at(unit: str, at: datetime) -> Resolver:
            return self._sources.resolver(tx, {unit, row.unit}, at)

        try:
            old, new = lived(events, until), lived(replay(events, procedure, resolver_at, until), until)
        except Exception as error:  # noqa: BLE001 - one case that cannot be replayed must not hide all others; it is counted and logged
            counted["cases"]["cases", "failed"] += 1
            log("backtest.case_failed", error=type(error).__name__)
            return
        counted["cases"]["cases", "replayed"] += 1
        _compare(old, new, row.risk.value, counted)


def _compare(old: Lived, new: Lived, risk: str, counted: Counts) -> None:
    for key in old.spells.keys() | new.spells.keys():
        was, would = old.spells.get(key), new.spells.get(key)
        role = (was or would).role  # type: ignore[union-attr]  # one of the two has it
        both = was is not None and would is not None
        holds = {
            "before": was is not None, "after": would is not None,
            "missed_before": was is not None and was.missed, "missed_after": would is not None and would.missed,
            "now_missed": both and would.missed and not was.missed, "now_met": both and was.missed and not would.missed,  # type: ignore[union-attr]
            "nearer": both and would.due_at < was.due_at, "later": both and would.due_at > was.due_at,  # type: ignore[union-attr]
            "gone": would is None, "new": was is None,
        }
        for measure, true in holds.items():
            if true:
                counted[measure].update([("all", "all"), ("clock", key[0]), ("role", role), ("risk", risk)])
    for side, life in (("before", old), ("after", new)):
        counted["told"].update({(f"told_{side}", role): many for role, many in life.told.items()})
        counted["raised"].update({(f"raised_{side}", tier): many for tier, many in life.raised.items()})
        counted["rungs"][f"rungs_{side}", "all"] += life.rungs
        counted["alarms"][f"alarms_{side}", "all"] += life.alarms


def _rows(tx: Tx, sight: Filter) -> Iterator[RegisterRow]:
    after = None
    while rows := tx.register(sight, after=after, limit=_PAGE, ended=True):
        yield from rows
        after = rows[-1].number


def _whole(count: int, least: int) -> int | None:
    return count if count >= least or not count else None


def _cells(counted: Counts, least: int) -> tuple[dict[str, Any], ...]:
    """Return the counts by group, those too small merged among their kind."""
    found = []
    for measure, counts in counted.items():
        groups: dict[str, Counter[str]] = {}
        for (group, name), count in counts.items():
            groups.setdefault(group, Counter())[name] += count
        for group in sorted(groups):
            found += [{"group": group, "name": name, "measure": measure, "count": count} for name, count in merged(groups[group], least)]
    return tuple(found)
