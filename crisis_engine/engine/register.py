"""The register: which cases a person may see, as a list, and how many there are of those that the person may only count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.errors import BadInput
from crisis_engine.core.tally import MERGED, merged
from crisis_engine.core.workflow import Label

from .desk import Desk
from .look import local
from .worlds import no_such_case, stored_case

if TYPE_CHECKING:
    from crisis_engine.store.register import Count

MOST = 1_000


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One case of the register: its number, where it stands and what is due; no child and no fact."""

    number: str
    workflow: str
    unit: str
    stage: str
    stage_label: Label
    tier: str
    risk: str
    danger: bool
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    version: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "number": self.number, "workflow": self.workflow, "unit": self.unit, "stage": self.stage,
            "stage_label": dict(self.stage_label), "tier": self.tier, "risk": self.risk, "danger": self.danger,
            "opened_at": local(self.opened_at), "due_at": local(self.due_at), "closed_at": local(self.closed_at), "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class Cell:
    """How many open cases of a unit have one risk, tier or stage. `count` is None where it is too small to be told.

    `seen` says that the reader may list these cases, so that the number is exact; of all others small cells are merged into `*`.
    """

    seen: bool
    unit: str
    by: str
    value: str
    count: int | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"seen": self.seen, "unit": self.unit, "by": self.by, "value": self.value, "count": self.count}


class Register(Desk):
    """Lists and counts, by the same rule as each single case."""

    def cases(self, *, by: str, after: str | None = None, limit: int = 50, ended: bool = False) -> list[CaseLine]:
        """Return the cases that this person may see, in the order in which they began; `after` is the last number of the page before.

        What an emergency reading opens is not in it. Raises NotAllowed, NotFound (`after` is no case of this person's), BadInput.
        """
        if not 1 <= limit <= MOST:
            raise BadInput(f"A page has 1 to {MOST} lines.", way_out="Give such a limit, and the last number as `after` for the next page.")
        with self.store.reading() as tx:
            now = self.now()
            self._allow(tx, now, by, "case.list")
            sight = self._sight(tx, now, by, "case.list")
            if after is not None:
                before = stored_case(tx, after).case
                if not sight.admits(before):
                    raise no_such_case(after)
                after = before.number

            rows = tx.register(sight, after=after, limit=limit, ended=ended)

            labels = [self._sources.pinned(tx, row.procedure).workflow.stages[row.stage].label for row in rows]
            return [
                CaseLine(row.number, row.workflow, row.unit, row.stage, label, row.tier.value, row.risk.value, row.danger, row.opened_at,
                         row.due_at, row.closed_at, row.version)
                for row, label in zip(rows, labels, strict=True)
            ]

    def counts(self, *, by: str) -> list[Cell]:
        """Return how many open cases there are under this person's units, by the units one level down and by risk, tier and stage.

        Exact where the person may list the cases; of the others, what is smaller than the access file's `at_least` is merged.
        Raises NotAllowed.
        """
        with self.store.reading() as tx:
            now = self.now()
            places = self._places(tx, now, by, "case.count")
            for place in places or ("",):
                self._allow(tx, now, by, "case.count", unit=place)
            seen, unseen = self._sight(tx, now, by, "case.list"), self._counted(tx, now, by)
            least = self._sources.access.least_count

            exact = _by_unit(tx.counted(seen), places)
            hidden = _by_unit(tx.counted(unseen), places)

            cells: list[Cell] = []
            for unit, counts in sorted(exact.items()):
                cells += _cells(unit, counts, lambda one: sorted(one.items()), seen=True)
            for unit, counts in sorted(_merged_units(hidden, least).items()):
                cells += _cells(unit, counts, lambda one: merged(one, least), seen=False)
            return cells


_BY: Mapping[str, Callable[[Count], str]] = {"risk": lambda row: row.risk, "tier": lambda row: row.tier, "stage": lambda row: row.stage}


def _by_unit(rows: list[Count], places: tuple[str, ...]) -> dict[str, list[Count]]:
    """Return the rows by the unit one step below whichever of the places is nearest above."""
    found: dict[str, list[Count]] = {}
    for row in rows:
        above = max((place for place in places if row.unit == place or row.unit.startswith(f"{place}/")), key=len, default="")
        step = row.unit[len(above) + 1:].partition("/")[0] if above else ""
        found.setdefault(f"{above}/{step}" if above and step else above or row.unit, []).append(row)
    return found


def _merged_units(units: dict[str, list[Count]], least: int) -> dict[str, list[Count]]:
    """Return the units with those too small to be told apart as one, called `*`."""
    totals = {unit: sum(row.many for row in rows) for unit, rows in units.items()}
    kept = {unit for unit, _count in merged(totals, least)}
    found: dict[str, list[Count]] = {}
    for unit, rows in units.items():
        found.setdefault(unit if unit in kept else MERGED, []).extend(rows)
    return found


def _cells(
    unit: str, rows: list[Count], shown: Callable[[Counter[str]], list[tuple[str, int]] | list[tuple[str, int | None]]], *, seen: bool,
) -> list[Cell]:
    cells = []
    for by, value_of in _BY.items():
        counted: Counter[str] = Counter()
        for row in rows:
            counted[value_of(row)] += row.many
        cells += [Cell(seen, unit, by, value, count) for value, count in shown(counted)]
    return cells
