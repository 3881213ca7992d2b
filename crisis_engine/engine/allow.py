"""The choke point: every method of the engine that acts for a person asks here, inside its transaction, before it looks further."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from crisis_engine.core.access import Verdict, may_read
from crisis_engine.core.errors import NotAllowed, NotFound
from crisis_engine.core.resolve import is_within

from .gather import Sources, actor_of

if TYPE_CHECKING:
    from crisis_engine.store import Stored, Tx

ALLOWED: Mapping[str, frozenset[str]] = MappingProxyType({
    "audit.verify": frozenset({"auditor", "operator"}),
    "audit.seal": frozenset({"auditor", "operator"}),
    "audit.cosign": frozenset({"county_officer", "city_officer"}),
    "audit.export": frozenset({"auditor", "law_vice_principal", "leading_group", "county_officer", "city_officer"}),
    "case.reporter": frozenset({"law_vice_principal"}),
    "compliance.pack": frozenset({"auditor", "security_officer", "city_officer"}),
})
"""Who may, until the access file says it: a role held at the case's unit or above it, anywhere where there is no case."""


class Allowing:
    """Asks whether whoever acts may."""

    _sources: Sources

    def _allow(
        self, tx: Tx, now: datetime, by: str, action: str, *, unit: str = "", stored: Stored | None = None, because: str = "",
    ) -> Verdict:
        """Return the verdict that allows it; NotFound where for this person there is no such case, NotAllowed with the rule."""
        del because
        actor = actor_of(tx, by)
        case = stored.case if stored is not None else None
        reads = 0
        if case is not None:
            units = {duty.unit for duty in actor.duties} | {case.unit}
            sight = may_read(case, actor, self._sources.resolver(tx, units, now))
            if sight.hidden:
                raise NotFound(f"There is no case {case.number}.", way_out="Check the number.")
            reads = max(0, sight.reads)
        place = unit or (case.unit if case is not None else "")
        for duty in actor.duties:
            if duty.role in ALLOWED[action] and (not place or is_within(place, duty.unit)):
                return Verdict(allowed=True, rule=f"{duty.role} of {duty.unit}", reads=reads, as_role=duty.role)
        rule = f"only {', '.join(sorted(ALLOWED[action]))} may"
        raise NotAllowed(f"{by} may not do this: {rule}.", way_out="Ask somebody who holds such a role.")
