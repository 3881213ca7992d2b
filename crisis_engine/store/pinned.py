"""Which open cases follow a procedure, and how many of them a change of it would touch."""

from __future__ import annotations

from collections.abc import Iterable

from crisis_engine.store.statement import AMONG, Statements, listed

_OPEN = f"SELECT count(*) FROM crisis_case c WHERE c.final IS NULL AND c.procedure {AMONG.format('procedures')}"  # noqa: S608 (constants)
_RUNNING = (
    f"SELECT count(DISTINCT c.id) FROM crisis_case c JOIN crisis_deadline d ON d.case_id = c.id AND d.status = 'armed'"  # noqa: S608 (constants)
    f" WHERE c.final IS NULL AND c.procedure {AMONG.format('procedures')} AND d.name = :clock"
)


class PinnedReads(Statements):
    """Counts of open cases by what they are pinned to."""

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
