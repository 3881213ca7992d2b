"""A stand-in for the one choke point until the access file decides: which roles may do what, deny by default."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from crisis_engine.core.access import Verdict
from crisis_engine.core.errors import NotAllowed
from crisis_engine.core.resolve import is_within
from crisis_engine.store import Stored, Tx

from .gather import actor_of
from .worlds import Worlds

_KEEPERS = ("security_officer", "operator")
_ERASERS = ("security_officer", "operator", "city_officer", "city_leading_group")

ROLES: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "key.status": _KEEPERS, "key.rotate": _KEEPERS, "erase.propose": _ERASERS, "erase.confirm": _ERASERS, "hold.place": _ERASERS,
    "hold.lift": _ERASERS, "subject.export": _ERASERS,
})


class Allow(Worlds):
    """The question that every method asks first."""

    def _allow(self, tx: Tx, now: datetime, by: str, action: str, unit: str | None = None, stored: Stored | None = None) -> Verdict:
        """Return the verdict when the actor may; raise NotAllowed when not."""
        place = unit if unit is not None else stored.case.unit if stored is not None else None
        for duty in actor_of(tx, by).duties:
            running = (duty.begins_at or now) <= now and (duty.ends_at is None or duty.ends_at > now)
            if running and duty.role in ROLES.get(action, ()) and (place is None or is_within(place, duty.unit)):
                return Verdict(allowed=True, rule=f"{duty.role} of {duty.unit}", as_role=duty.role)
        roles = ", ".join(ROLES.get(action, ()))
        raise NotAllowed(f"This is not for {by[:60]}: only {roles} may do it.", way_out="Ask somebody of these roles.")
