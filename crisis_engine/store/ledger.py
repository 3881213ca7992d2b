"""What the rules stand on and the house's own notes: definitions, calendar, versions, heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from crisis_engine.core.calendar import Calendar, Vacation
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.statement import Statements, version_step

_PUBLISHED_UNTIL = "calendar_published_until"
_COUNTED = {
    "cases": "crisis_case", "open_cases": "crisis_case WHERE final IS NULL", "armed": "crisis_deadline WHERE status = 'armed'",
    "events": "crisis_event", "waiting": "crisis_notice WHERE status = 'waiting'", "dead": "crisis_notice WHERE status = 'dead'",
    "receipts": "crisis_receipt", "units": "crisis_unit", "persons": "crisis_person", "duties": "crisis_duty",
    "subjects": "crisis_subject", "guardians": "crisis_guardian", "definitions": "crisis_definition",
}
_COUNTS = f"SELECT {', '.join(f'(SELECT count(*) FROM {what})' for what in _COUNTED.values())}"  # noqa: S608 (constants)


class LedgerRows(Statements):
    """Everything else that the database keeps."""

    def definition(self, digest: str) -> str | None:
        """Return the text of the procedure with that hash."""
        body = self._value("SELECT body FROM crisis_definition WHERE hash = :hash", hash=digest)
        return None if body is None else str(body)

    def put_definition(self, digest: str, kind: str, name: str, body: str, signed: Sequence[str] = ()) -> None:
        """Keep a procedure, and which of its moves two people must sign; one that is there stays as it is."""
        self._bulk("INSERT INTO crisis_signed_move (procedure, move) VALUES (?, ?) ON CONFLICT DO NOTHING",
                   [(digest, move) for move in signed])
        self._run("INSERT INTO crisis_definition (hash, kind, name, body) VALUES (:hash, :kind, :name, :body)"
                  " ON CONFLICT DO NOTHING",
                  hash=digest, kind=kind, name=name, body=body)

    def calendar(self) -> Calendar:
        """Return the calendar; before one was put, an empty one that marks every reckoned day provisional."""
        days: dict[str, set[date]] = {"off": set(), "work": set()}
        for day, kind in self._rows("SELECT date, kind FROM crisis_calendar_day"):
            days[kind].add(date.fromisoformat(day))
        vacations = tuple(
            Vacation(unit, date.fromisoformat(first), date.fromisoformat(last))
            for unit, first, last in self._rows("SELECT unit, first, last FROM crisis_vacation ORDER BY unit, first")
        )
        published_until = self.meta(_PUBLISHED_UNTIL)
        return Calendar(frozenset(days["off"]), frozenset(days["work"]),
                        date.fromisoformat(published_until) if published_until else date.min, vacations)

    def put_calendar(self, calendar: Calendar) -> None:
        """Replace the calendar; `calendar_version` is greater afterwards."""
        with self.whole():
            self._run("DELETE FROM crisis_calendar_day")
            self._run("DELETE FROM crisis_vacation")
            days = [(day.isoformat(), "off") for day in calendar.off] + [(day.isoformat(), "work") for day in calendar.work]
            self._bulk("INSERT INTO crisis_calendar_day (date, kind) VALUES (?, ?)", sorted(days))
            vacations = [(each.unit, each.first.isoformat(), each.last.isoformat()) for each in calendar.vacations]
            self._bulk("INSERT INTO crisis_vacation (unit, first, last) VALUES (?, ?, ?) ON CONFLICT (unit, first)"
                       " DO UPDATE SET last ="
                       " CASE WHEN excluded.last > crisis_vacation.last THEN excluded.last ELSE crisis_vacation.last END", vacations)
            self.set_meta(_PUBLISHED_UNTIL, calendar.published_until.isoformat())
            self.set_meta("calendar_version", str(self.calendar_version() + version_step()))

    def calendar_version(self) -> int:
        """Return a number that each write of the calendar makes greater."""
        return int(self.meta("calendar_version") or 0)

    def meta(self, name: str) -> str | None:
        """Return a note about the database, such as `created_at` or `sandbox`."""
        value = self._value("SELECT value FROM crisis_meta WHERE name = :name", name=name)
        return None if value is None else str(value)

    def set_meta(self, name: str, value: str) -> None:
        """Write a note about the database, in the place of an older one of that name."""
        self._run("INSERT INTO crisis_meta (name, value) VALUES (:name, :value)"
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                  name=name, value=value)

    def heartbeat(self, name: str, at: datetime) -> None:
        """Keep that this part of the clockwork was alive then."""
        self._run("INSERT INTO crisis_heartbeat (name, at) VALUES (:name, :at) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
                  name=name, at=micros(at))

    def heartbeats(self) -> dict[str, datetime]:
        """Return when each part of the clockwork last showed life."""
        return {name: instant(at) for name, at in self._rows("SELECT name, at FROM crisis_heartbeat ORDER BY name")}

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of each kind that `crisis doctor` tells about."""
        return dict(zip(_COUNTED, self._rows(_COUNTS)[0], strict=True))
