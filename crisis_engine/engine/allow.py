"""The choke point: every method of the engine that acts for a person asks here, inside its transaction, before it looks further."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from crisis_engine.core.access import Actor, Filter, Verdict, counts_of, granted, may_do, places_of, sight_of
from crisis_engine.core.resolve import Resolver

from .gather import Sources, actor_of

if TYPE_CHECKING:
    from crisis_engine.store import Stored, Tx


class Allowing:
    """Asks the one rule of core/access for whoever acts; the rights are today's."""

    _sources: Sources

    def _allow(
        self, tx: Tx, now: datetime, by: str, action: str, *, unit: str = "", stored: Stored | None = None, because: str = "",
    ) -> Verdict:
        """Return the verdict that allows it; NotFound where for this person there is no such case, NotAllowed with the rule."""
        return self._admitted(tx, now, by, action, unit=unit, stored=stored, because=because)[0]

    def _admitted(
        self, tx: Tx, now: datetime, by: str, action: str, *, unit: str = "", stored: Stored | None = None, because: str = "",
    ) -> tuple[Verdict, Actor, Resolver]:
        """Return what `_allow` does, with who was asked about and who found people for it: a command goes on with both."""
        actor = actor_of(tx, by)
        case = stored.case if stored is not None else None
        units = {duty.unit for duty in actor.duties} | ({unit} if unit else set()) | ({case.unit} if case is not None else set())
        resolver = self._sources.resolver(tx, units, now)
        verdict = may_do(self._sources.access, action, actor, resolver, unit=unit, case=case, because=because)
        return granted(verdict, by, action, case.number if case is not None else ""), actor, resolver

    def _sight(self, tx: Tx, now: datetime, by: str, action: str) -> Filter:
        """Return the cases that whoever acts may do this to, for a list: the same rule as for each of them alone."""
        actor = actor_of(tx, by)
        return sight_of(self._sources.access, action, actor, self._sources.resolver(tx, {duty.unit for duty in actor.duties}, now))

    def _places(self, tx: Tx, now: datetime, by: str, action: str) -> tuple[str, ...]:
        """Return the units under which whoever acts may do this."""
        actor = actor_of(tx, by)
        return places_of(self._sources.access, action, actor, self._sources.resolver(tx, {duty.unit for duty in actor.duties}, now))

    def _counted(self, tx: Tx, now: datetime, by: str) -> Filter:
        """Return the cases that whoever acts may count and not see."""
        actor = actor_of(tx, by)
        return counts_of(self._sources.access, actor, self._sources.resolver(tx, {duty.unit for duty in actor.duties}, now))
