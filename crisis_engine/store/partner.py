"""Partners in the database: the sort of a unit, agreements, and how many open cases stand with each partner now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from crisis_engine.core.model import Agreement, Unit
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.statement import AMONG, Statements, listed

PUT_SORT = "INSERT INTO crisis_partner (unit, sort) VALUES (?, ?) ON CONFLICT (unit) DO UPDATE SET sort = excluded.sort"
PUT_AGREEMENT = (
    "INSERT INTO crisis_agreement (id, partner, place, begins_at, ends_at, capacity) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET partner = excluded.partner, place = excluded.place, begins_at = excluded.begins_at,"
    " ends_at = excluded.ends_at, capacity = excluded.capacity"
)
_AGREEMENTS = "SELECT id, partner, place, begins_at, ends_at, capacity FROM crisis_agreement"
_LOADS = (
    "SELECT json_extract(c.state, '$.facts.addressee'), count(*) FROM crisis_case c WHERE c.final IS NULL AND c.parent IS NOT NULL"  # noqa: S608 (constants)
    " AND json_extract(c.state, '$.facts.addressee') " + AMONG.format("partners") + " GROUP BY json_extract(c.state, '$.facts.addressee')"
)


class PartnerRows(Statements):
    """What is asked of partners before a case is sent to one."""

    def agreements_of(self, partners: Collection[str]) -> dict[str, tuple[Agreement, ...]]:
        """Return all agreements of these partners, those past and to come too."""
        found: defaultdict[str, list[Agreement]] = defaultdict(list)
        for row in self._rows(f"{_AGREEMENTS} WHERE partner {AMONG.format('partners')} ORDER BY id", partners=listed(partners)):
            found[row[1]].append(agreement(row))
        return {partner: tuple(agreements) for partner, agreements in found.items()}

    def agreements(self) -> list[Agreement]:
        """Return all agreements."""
        return [agreement(row) for row in self._rows(_AGREEMENTS + " ORDER BY partner, begins_at, id")]

    def loads_of(self, partners: Collection[str]) -> dict[str, int]:
        """Return how many open cases stand with each of these partners now."""
        return {partner: int(many) for partner, many in self._rows(_LOADS, partners=listed(partners))}


def rows_of_sorts(units: Iterable[Unit]) -> Iterable[tuple[Any, ...]]:
    """Return what is written of the sorts of units."""
    return ((unit.id, unit.sort) for unit in units if unit.sort)


def rows_of_agreements(agreements: Iterable[Agreement]) -> Iterable[tuple[Any, ...]]:
    """Return what is written of agreements."""
    return ((one.id, one.partner, one.place, micros(one.begins_at), micros(one.ends_at), one.capacity) for one in agreements)


def agreement(row: Any) -> Agreement:  # noqa: ANN401 - a row of the database
    """Return an agreement from its row."""
    return Agreement(row[0], row[1], row[2], instant(row[3]), instant(row[4]), row[5])
