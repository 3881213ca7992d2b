"""The register of cases (在册台账) read by a filter of core/access: the one rule of rights as a WHERE clause with bound parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from crisis_engine.core.access import Filter, Term
from crisis_engine.core.model import TIERS, Risk, Tier
from crisis_engine.store.instant import instant, instant_or_none
from crisis_engine.store.statement import AMONG, Statements, listed


class RegisterRow(NamedTuple):
    """One line of the register; no child and no fact stands in it."""

    number: str
    workflow: str
    procedure: str
    unit: str
    stage: str
    tier: Tier
    risk: Risk
    danger: bool
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    version: int


class Count(NamedTuple):
    """How many cases of one unit stand alike."""

    unit: str
    procedure: str
    stage: str
    tier: str
    risk: str
    many: int


_COLUMNS = (
    "c.number, c.workflow, c.procedure, c.unit, c.stage, c.tier, c.risk, c.danger, c.opened_at, c.due_at, c.closed_at, c.version"
)
_NOT_RECUSED = "NOT EXISTS (SELECT 1 FROM crisis_recusal r WHERE r.case_id = c.id AND r.person = :person)"
_FACT = "json_extract(c.state, '$.facts.{}')"


class RegisterReads(Statements):
    """Lists and counts of cases."""

    def register(self, sight: Filter, *, after: str | None = None, limit: int = 50, ended: bool = False) -> list[RegisterRow]:
        """Return at most so many cases that the filter admits, in the order in which they began, those after a number first left out."""
        where, binds = where_of(sight)
        sql = f"SELECT {_COLUMNS} FROM crisis_case c WHERE {where}"  # noqa: S608 (constants; every value is bound)
        if not ended:
            sql += " AND c.final IS NULL"
        if after is not None:
            sql += " AND c.id > (SELECT id FROM crisis_case WHERE number = :after)"
            binds["after"] = after
        rows = self._rows(sql + " ORDER BY c.id LIMIT :limit", **binds, limit=limit)
        return [_row(row) for row in rows]

    def counted(self, sight: Filter) -> list[Count]:
        """Return the open cases that the filter admits, counted by unit, stage, tier and risk."""
        where, binds = where_of(sight)
        sql = (
            f"SELECT c.unit, c.procedure, c.stage, c.tier, c.risk, count(*) FROM crisis_case c WHERE {where}"  # noqa: S608 (as above)
            " AND c.final IS NULL GROUP BY c.unit, c.procedure, c.stage, c.tier, c.risk ORDER BY 1, 2, 3, 4, 5"
        )
        return [Count(*row) for row in self._rows(sql, **binds)]


def where_of(sight: Filter) -> tuple[str, dict[str, Any]]:
    """Return a condition on `crisis_case c` that holds for exactly the cases that the filter admits, and its bound values."""
    binds: dict[str, Any] = {"person": sight.person}
    any_of, none_of = (
        " OR ".join(_condition(term, f"{name}{place}", binds) for place, term in enumerate(terms)) or "FALSE"
        for name, terms in (("t", sight.terms), ("b", sight.but))
    )
    return f"({any_of}) AND NOT ({none_of}) AND {_NOT_RECUSED}", binds


def _condition(term: Term, name: str, binds: dict[str, Any]) -> str:
    """Return what `Term.admits` says of a case."""
    binds[f"{name}_unit"] = term.unit
    if term.addressed:
        return f"coalesce({_FACT.format('addressee')} = :{name}_unit, FALSE)"
    place = f"(c.unit = :{name}_unit OR (c.unit > :{name}_unit || '/' AND c.unit < :{name}_unit || '0'))"  # "0" follows "/"
    if term.sealed:
        binds[f"{name}_sealed"], binds[f"{name}_answers"] = listed(sorted(term.sealed)), term.person
        held = "SELECT 1 FROM crisis_deadline d WHERE d.case_id = c.id AND d.status = 'armed' AND d.holder"
        does = f"coalesce(c.answers = :{name}_answers, FALSE) OR EXISTS ({held} = :{name}_answers)"
        place = f"({place} AND (NOT (c.workflow {AMONG.format(f'{name}_sealed')}) OR {does}))"
    if term.at_least is None:
        return place
    binds[f"{name}_tiers"] = listed(tier.value for tier in TIERS if tier.rank >= term.at_least.rank)
    binds[f"{name}_answers"] = term.person
    binds[f"{name}_dossier"] = listed(f"{workflow}/{stage}" for workflow, stage in sorted(term.dossier))
    tiers = AMONG.format(f"{name}_tiers")
    return (
        f"({place} AND (c.tier {tiers} OR coalesce({_FACT.format('reached')} {tiers}, FALSE)"
        f" OR coalesce(c.answers = :{name}_answers, FALSE)"
        f" OR c.workflow || '/' || c.stage {AMONG.format(f'{name}_dossier')}))"
    )


def _row(row: tuple[Any, ...]) -> RegisterRow:
    number, workflow, procedure, unit, stage, tier, risk, danger, opened_at, due_at, closed_at, version = row
    return RegisterRow(number, workflow, procedure, unit, stage, Tier(tier), Risk(risk), bool(danger), instant(opened_at),
                       instant_or_none(due_at), instant_or_none(closed_at), version)
