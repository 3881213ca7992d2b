"""What of a situation a move reads: where all of it is the same, the move does the same to it and leaves the rest as it was."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.policy import Access
from crisis_engine.core.workflow import MoveDef, Workflow

from .situation import Key

_SCHOOL = frozenset({"class", "grade", "school"})
_AT_ANY_RISK, _AT_ANY_TIER = Risk.UNRATED, Tier.PEER


def parts_of(flag: str) -> tuple[str, str]:
    """Return what stands open, and of a proposal its move."""
    name, _, rest = flag.partition(":")
    return name, rest.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Reads:
    """Which parts of a situation a move reads or writes beside its stage."""

    risk: bool
    danger: bool
    tier: bool
    nothing: bool      # it only writes a line into the log


@dataclass(slots=True)
class Reading:
    """What each move of a workflow reads, found out once."""

    workflow: Workflow
    access: Access
    _known: dict[str, Reads] = field(default_factory=dict)

    def of(self, move: MoveDef) -> Reads:
        """Return what the move reads."""
        known = self._known.get(move.name)
        if known is None:
            known = self._known[move.name] = self._reads(move)
        return known

    def _reads(self, move: MoveDef) -> Reads:
        needs = {need.partition(":")[0] for need in move.needs}
        flags = {clock.flag for clock in self.workflow.clocks.values() if clock.name in move.meets}
        holder = any(clock.who == "tier_holder" for clock in self.workflow.clocks.values() if clock.name in move.meets)
        dangerous = "danger" in move.sets
        above = bool(move.tier or move.lead or move.up or "tier" in move.sets or "tier_holder" in move.by or "raised" in needs)
        roles = (self.access.roles.get(role) for role in move.by)   # somebody of the school sees the case at every tier
        near = any(role is not None and role.level in _SCHOOL and role.scope == "unit" and role.reads >= 0 for role in roles)
        return Reads(
            risk=dangerous or "risk" in move.sets or bool(needs & {"rated", "risk_below"}) or move.only_lowers or "hold" in move.sets,
            danger=dangerous or "risk" in move.sets or bool(needs & {"danger", "no_danger"}) or "danger" in flags,
            tier=above or dangerous or holder or "raised" in flags or not near,
            nothing=not (move.to or move.sets or move.meets or move.tier or move.lead or move.opens or move.second or move.signal
                         or move.needs),
        )

    def scope(self, move: MoveDef, key: Key) -> tuple[object, ...]:
        """Return all of a situation that the move reads."""
        reads = self.of(move)
        if reads.nothing:
            return move.name, key.stage
        return (move.name, key.stage, key.flag, (key.tier, key.lead) if reads.tier else None, key.risk if reads.risk else None,
                key.danger if reads.danger else None)

    def carried(self, to: Key, here: Key, move: MoveDef) -> Key:
        """Return where a move leads from here, which led elsewhere to `to`: what it does not read stays as it is."""
        reads = self.of(move)
        return self.narrowed(replace(
            to, risk=to.risk if reads.risk else here.risk, danger=to.danger if reads.danger else here.danger,
            tier=to.tier if reads.tier else here.tier, lead=to.lead if reads.tier else here.lead,
        ))

    def narrowed(self, key: Key) -> Key:
        """Return the key of a flagged situation without what nothing reads that is tried there."""
        flag, of = parts_of(key.flag)
        if flag == "proposed":
            reads = self.of(self.workflow.moves[of])
            return replace(
                key, risk=key.risk if reads.risk else _AT_ANY_RISK, danger=key.danger and reads.danger,
                tier=key.tier if reads.tier else _AT_ANY_TIER, lead=key.lead if reads.tier else None,
            )
        return replace(key, risk=_AT_ANY_RISK, tier=_AT_ANY_TIER, lead=None) if flag in {"signal", "paused"} else key
