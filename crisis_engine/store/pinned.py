"""Which open cases follow a procedure, how many of them a change of it would touch, and the migrations that two people signed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from crisis_engine.store.instant import instant, instant_or_none, micros
from crisis_engine.store.statement import AMONG, Statements, listed

_OPEN = f"SELECT count(*) FROM crisis_case c WHERE c.final IS NULL AND c.procedure {AMONG.format('procedures')}"  # noqa: S608 (constants)
_RUNNING = (
    f"SELECT count(DISTINCT c.id) FROM crisis_case c JOIN crisis_deadline d ON d.case_id = c.id AND d.status = 'armed'"  # noqa: S608 (constants)
    f" WHERE c.final IS NULL AND c.procedure {AMONG.format('procedures')} AND d.name = :clock"
)


_COLUMNS = "id, origin, target, pairs, proposed_by, proposed_at, confirmed_by, confirmed_at, reverts"


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration: from which definition to which, by pairs of hashes; who proposed and who confirmed it, what it reverts."""

    id: str
    origin: str
    target: str
    pairs: Mapping[str, str]
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    reverts: str | None = None


class PinnedRows(Statements):
    """Open cases by what they are pinned to, and migrations."""

    def procedures_of(self, definition: str) -> list[str]:
        """Return the hashes of the procedures that a workflow or a policy, by name and version, is a part of."""
        return [digest for digest, name in self._rows("SELECT hash, name FROM crisis_definition WHERE kind = 'procedure' ORDER BY hash")
                if definition in name.split("+")]

    def count_pinned(
        self, procedures: Iterable[str], *, clock: str | None = None, risk: str | None = None, stage: str | None = None,
    ) -> int:
        """Return how many open cases follow one of these: all, or those in which a clock runs, at a risk, in a stage."""
        binds: dict[str, object] = {"procedures": listed(procedures)}
        sql = _OPEN if clock is None else _RUNNING
        for name, value in (("clock", clock), ("risk", risk), ("stage", stage)):
            if value is not None:
                binds[name] = value
                sql += "" if name == "clock" else f" AND c.{name} = :{name}"
        return int(self._value(sql, **binds) or 0)

    def pinned_ids(self, procedure: str, after: int, limit: int) -> list[int]:
        """Return the rows of open cases that follow this procedure, in their order, behind one of them."""
        return [row[0] for row in self._rows(
            "SELECT id FROM crisis_case WHERE final IS NULL AND procedure = :procedure AND id > :after ORDER BY id LIMIT :limit",
            procedure=procedure, after=after, limit=limit)]

    def put_migration(self, one: Migration) -> None:
        """Keep a migration that was proposed."""
        self._run(
            f"INSERT INTO crisis_migration ({_COLUMNS}) VALUES"  # noqa: S608 (constants)
            " (:id, :origin, :target, :pairs, :proposed_by, :proposed_at, NULL, NULL, :reverts)",
            id=one.id, origin=one.origin, target=one.target, pairs=json.dumps(dict(one.pairs)), proposed_by=one.proposed_by,
            proposed_at=micros(one.proposed_at), reverts=one.reverts,
        )

    def migration(self, number: str) -> Migration | None:
        """Return a migration by its id."""
        row = self._row(f"SELECT {_COLUMNS} FROM crisis_migration WHERE id = :id", id=number)  # noqa: S608 (constants)
        if row is None:
            return None
        known, origin, target, pairs, proposed_by, proposed_at, confirmed_by, confirmed_at, reverts = row
        return Migration(known, origin, target, json.loads(pairs), proposed_by, instant(proposed_at), confirmed_by,
                         instant_or_none(confirmed_at), reverts)

    def overtaken(self, one: Migration) -> bool:
        """Whether a migration that was applied has been reverted, or another of the same procedures was applied after it."""
        if one.confirmed_at is None:
            return False
        mine = {*one.pairs, *one.pairs.values()}
        later = self._rows("SELECT pairs FROM crisis_migration WHERE confirmed_by IS NOT NULL AND (reverts = :id OR confirmed_at > :at)",
                           id=one.id, at=micros(one.confirmed_at))
        return any(mine & {*pairs, *pairs.values()} for pairs in (json.loads(row[0]) for row in later))

    def confirm_migration(self, number: str, by: str, at: datetime) -> None:
        """Keep who confirmed it; one that was confirmed stays as it is."""
        self._run("UPDATE crisis_migration SET confirmed_by = :by, confirmed_at = :at WHERE id = :id AND confirmed_by IS NULL",
                  id=number, by=by, at=micros(at))
