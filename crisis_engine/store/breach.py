"""What it means to the caller when the database refuses a change: one list for all databases, by the name of what refused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crisis_engine.core.errors import Busy, CrisisError, ProofFailed, StaleVersion
from crisis_engine.store.case import AlreadyOpen

_TWO_SIGN = "The database refused an event that two people must sign and two did not."

BREACHES: Mapping[str, tuple[type[CrisisError], str]] = MappingProxyType({
    "crisis_case_sole": (AlreadyOpen, ""),
    "crisis_case_number": (StaleVersion, "A case of this number exists already."),
    "crisis_event_seq": (StaleVersion, ""),
    "crisis_event_rung": (StaleVersion, "This rung has fired already."),
    "crisis_case_clocked": (ProofFailed, "The database refused an open case without a running clock."),
    "crisis_case_two": (ProofFailed, "The database refused an ending that two people must sign and two did not."),
    "crisis_event_two": (ProofFailed, _TWO_SIGN),
    "crisis_event_danger_two": (ProofFailed, _TWO_SIGN),
    "crisis_erasure_two": (ProofFailed, "The database refused an erasure that two people must sign and two did not."),
    "crisis_hold_active": (ProofFailed, "The database refused to erase what is under legal hold."),
    "append-only": (ProofFailed, "The database refused a change of the log: it is append-only."),
})


class Collided(Busy):
    """Another command changed the same thing at this moment."""
