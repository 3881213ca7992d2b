"""Who may do what to which record: one pure function, deny by default, the reason always given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .case import Case
from .model import TIERS, Duty, Tier
from .policy import Policy
from .resolve import Resolver, is_within, level_of
from .workflow import MoveDef

BLIND = -1
"""The secrecy tier of somebody who writes and never reads: the peer (心理委员)."""

ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something: a person of the roster with duties, a pupil, a guardian, or the engine itself."""

    id: str
    duties: tuple[Duty, ...] = ()
    pupil: str | None = None      # key of the subject that this actor is
    wards: tuple[str, ...] = ()   # keys of the subjects whose guardian this actor is

    @property
    def is_engine(self) -> bool:
        """Whether no person stands behind it."""
        return self.id == ENGINE


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome: allowed or not, by which rule, and what the reader may see up to."""

    allowed: bool
    rule: str
    reads: int = BLIND
    as_role: str = ""
    level: Tier | None = None
    hidden: bool = False     # for this person the record does not exist


HIDDEN = Verdict(allowed=False, rule="hidden: for this person the case does not exist", hidden=True)


def roles_at(resolver: Resolver, actor: Actor, unit: str) -> list[Duty]:
    """Return the actor's running duties whose unit is the case's unit or above it: one's own class, grade, school and so on."""
    return [
        duty for duty in actor.duties
        if is_within(unit, duty.unit)
        and (duty.begins_at is None or duty.begins_at <= resolver.now)
        and (duty.ends_at is None or duty.ends_at > resolver.now)
    ]


def reached(case: Case) -> Tier:
    """Return the highest level that has answered for the case or was told of it."""
    told = case.facts.get("reached")
    return case.tier if told is None or Tier(told).rank < case.tier.rank else Tier(told)


def may_read(case: Case, actor: Actor, resolver: Resolver) -> Verdict:
    """Decide whether the actor may see this case, and up to which secrecy tier.

    Rules: whom the case concerns never learns of it; a peer writes blind; own class, grade, school; county and city what
    reached them; the addressee of a referral sees what it was asked.
    """
    if actor.is_engine:
        return Verdict(allowed=True, rule="engine", reads=4)
    if actor.id in case.recused:
        return HIDDEN
    best: Verdict | None = None
    for duty in [*roles_at(resolver, actor, case.unit), *addressed(case, actor, resolver)]:
        role, level = resolver.access.roles.get(duty.role), level_of(resolver.access, duty.role)
        if role is None or role.reads == BLIND or role.scope == "none":
            continue
        if role.scope == "reached" and is_within(case.unit, duty.unit) and level.rank > reached(case).rank and case.answers != actor.id:
            continue
        reads = role.reads
        if best is None or reads > best.reads:
            best = Verdict(allowed=True, rule=f"{duty.role} of {duty.unit}", reads=reads, as_role=duty.role, level=level)
    return best or Verdict(allowed=False, rule="no duty of this person covers this case, or it has not reached their level")


def addressed(case: Case, actor: Actor, resolver: Resolver) -> list[Duty]:
    """Return the actor's duties at the unit that the case is addressed to (a hospital, a centre), if any."""
    addressee = case.facts.get("addressee")
    if addressee is None:
        return []
    return [duty for duty in actor.duties if duty.unit == addressee and resolver.is_present(duty)]


def may_open(move: MoveDef, actor: Actor, resolver: Resolver) -> Verdict:
    """Decide whether the actor may say the first word. Anybody known in one of the move's roles may, about any child."""
    if actor.pupil is not None and "student" in move.by:
        return Verdict(allowed=True, rule="a pupil may always speak", as_role="student", level=Tier.PEER)
    if actor.wards and "guardian" in move.by:
        return Verdict(allowed=True, rule="a guardian may always speak", as_role="guardian", level=Tier.CLASS)
    for duty in sorted(actor.duties, key=lambda one: -level_of(resolver.access, one.role).rank):
        running = (duty.begins_at is None or duty.begins_at <= resolver.now) and (duty.ends_at is None or duty.ends_at > resolver.now)
        if running and duty.role in move.by:
            unit = resolver.roster.units.get(duty.unit)
            level = Tier.SCHOOL if unit is not None and unit.kind == "partner" else level_of(resolver.access, duty.role)
            if duty.role == "peer":   # a pupil has spoken and no adult has taken it yet
                level = Tier.PEER
            return Verdict(allowed=True, rule=f"{duty.role} may report", as_role=duty.role, level=level)
    return Verdict(allowed=False, rule="no running duty of this person may report")


def may_move(case: Case, move: MoveDef, roles: Sequence[str], actor: Actor, resolver: Resolver, policy: Policy) -> Verdict:
    """Decide whether the actor may make this move (`roles` = its `by`) or confirm it (`roles` = its `second`).

    Stand-ins count where the move allows them (`instead`), higher holders where it says `up`; reading comes before acting.
    """
    if actor.is_engine:
        allowed = "engine" in roles
        return Verdict(allowed=allowed, rule="engine", reads=4, as_role="engine", level=case.tier)
    sight = may_read(case, actor, resolver)
    if not sight.allowed:
        return sight
    wanted = set(roles)
    if "tier_holder" in wanted:
        wanted |= {case.answers_role, policy.holder[resolver.level_from(case.unit, case.tier)]}
        if move.up:
            wanted |= {policy.holder[tier] for tier in TIERS if tier.rank > case.tier.rank}
    if move.instead:
        wanted |= {other for role in roles for other in policy.instead.get(role, ())}
    if case.lead is not None:
        wanted |= {policy.counterpart.get(role, {}).get(case.lead, role) for role in roles}
    if "addressee" in wanted and addressed(case, actor, resolver):
        return Verdict(allowed=True, rule="addressee", reads=sight.reads, as_role="addressee", level=Tier.COUNTY)
    fitting = [duty for duty in roles_at(resolver, actor, case.unit) if duty.role in wanted]
    fitting = [
        duty for duty in fitting
        if level_of(resolver.access, duty.role).rank <= max(reached(case).rank, Tier.SCHOOL.rank) or case.answers == actor.id
    ]
    if fitting:
        duty = max(fitting, key=lambda one: level_of(resolver.access, one.role).rank)
        return Verdict(allowed=True, rule=f"{duty.role} of {duty.unit}", reads=sight.reads, as_role=duty.role,
                       level=level_of(resolver.access, duty.role))
    if case.answers == actor.id and "tier_holder" in roles:
        return Verdict(allowed=True, rule="answers for the case", reads=sight.reads, as_role=case.answers_role, level=case.tier)
    return Verdict(allowed=False, rule=f"only {', '.join(sorted(wanted))} may", reads=sight.reads)
