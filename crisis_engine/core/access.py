"""Who may do what to which record: one pure function, deny by default, a forbid wins, the rule always named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from .case import Case
from .errors import NotAllowed, NotFound
from .model import TIERS, Duty, Tier
from .policy import Access, ActionRule, Policy
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
    grant: int = 0           # the event that broke the glass, where only an emergency reading opens the case


HIDDEN = Verdict(allowed=False, rule="hidden: for this person the case does not exist", hidden=True)
SEPARATE = Verdict(allowed=False, rule="one person holds two offices that must be apart")
NO_SIGHT = Verdict(allowed=False, rule="no duty of this person covers this case, or it has not reached their level")
NO_DUTY = Verdict(allowed=False, rule="no running duty of this person allows it")
GLASS_OVER = Verdict(allowed=False, rule="the emergency reading is over")
NO_REASON = Verdict(allowed=False, rule="it needs a reason")
EVERYBODY = Verdict(allowed=True, rule="everybody may")
BY_ENGINE = Verdict(allowed=True, rule=ENGINE, reads=4, as_role=ENGINE)


# ---- which cases: the same rule for one case and, by store/, for a table of them ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """The cases that one duty reaches, as data: `admits` says it of one case, store/ says the same in SQL."""

    unit: str                                        # these and all below
    person: str
    at_least: Tier | None = None                     # only what came to this level, what the person answers for, or a dossier
    dossier: frozenset[tuple[str, str]] = frozenset()    # (workflow, stage) that this level reads as if it had come to it
    addressed: bool = False                          # not by place: only cases that were sent to this unit
    sealed: frozenset[str] = frozenset()             # workflows of which only those cases where the person has something to do
    verdict: Verdict = NO_SIGHT                      # what it comes to, where it admits

    def admits(self, case: Case) -> bool:
        """Whether the case is among them."""
        if self.addressed:
            return case.facts.get("addressee") == self.unit
        unit = self.unit
        if case.unit != unit and not case.unit.startswith(unit + "/"):
            return False
        if case.workflow in self.sealed and self.person != case.answers and all(clock.holder != self.person for clock in case.clocks):
            return False
        return (
            self.at_least is None or reached(case).rank >= self.at_least.rank or case.answers == self.person
            or (case.workflow, case.stage) in self.dossier
        )


@dataclass(frozen=True, slots=True)
class Filter:
    """The cases that any of `terms` admits and none of `but`; never one that concerns the person."""

    person: str
    terms: tuple[Term, ...] = ()
    but: tuple[Term, ...] = ()

    def admits(self, case: Case) -> bool:
        """Whether the case is among them."""
        return (
            self.person not in case.recused and any(term.admits(case) for term in self.terms)
            and not any(term.admits(case) for term in self.but)
        )


NOTHING = Filter("")


def reached(case: Case) -> Tier:
    """Return the highest level that has answered for the case or was told of it."""
    told = case.facts.get("reached")
    return case.tier if told is None or Tier(told).rank < case.tier.rank else Tier(told)


@dataclass(frozen=True, slots=True)
class Rights:
    """What an actor's duties come to at one instant: each stands for itself, and what they allow adds up, never multiplies."""

    actor: Actor
    access: Access
    duties: tuple[Duty, ...]     # those that count
    terms: tuple[Term, ...]      # what they reach, the highest secrecy first
    apart: bool                  # two offices that one person never holds together


def rights_of(access: Access, actor: Actor, resolver: Resolver) -> Rights:
    """Return the actor's rights, worked out once for an instant.

    A duty counts while it runs, for the person whom it names, and at a unit of the kind at which its role is held: a duty that was
    written past the roster's checks gives nothing.
    """
    known: Rights | None = resolver.rights.get(actor.id)
    if known is None or known.actor is not actor or known.access is not access:
        duties = tuple(duty for duty in actor.duties if _counts(access, actor, resolver, duty))
        terms = sorted((term for duty in duties for term in _terms(access, resolver, duty)), key=lambda term: -term.verdict.reads)
        apart = len({duty.role for duty in duties} & access.separate) > 1
        known = resolver.rights[actor.id] = Rights(actor, access, duties, tuple(terms), apart)
    return known


def _counts(access: Access, actor: Actor, resolver: Resolver, duty: Duty) -> bool:
    role, unit = access.roles.get(duty.role), resolver.roster.units.get(duty.unit)
    return (
        role is not None and unit is not None and unit.kind == role.level and duty.person == actor.id
        and (duty.begins_at is None or duty.begins_at <= resolver.now)
        and (duty.ends_at is None or duty.ends_at > resolver.now)
    )


def _terms(access: Access, resolver: Resolver, duty: Duty) -> list[Term]:
    role, level = access.roles[duty.role], level_of(access, duty.role)
    rule = f"{duty.role} of {duty.unit}"
    terms = []
    if role.reads != BLIND and role.scope != "none":
        verdict = Verdict(allowed=True, rule=rule, reads=role.reads, as_role=duty.role, level=level)
        limit = level if role.scope == "reached" else None
        sealed = frozenset(workflow for workflow, least in access.sealed.items() if 1 <= role.reads < least)
        terms.append(Term(duty.unit, duty.person, limit, access.dossiers.get(level, frozenset()), sealed=sealed, verdict=verdict))
    if role.addressed != BLIND and resolver.is_present(duty):
        verdict = Verdict(allowed=True, rule=rule, reads=role.addressed, as_role=duty.role, level=level)
        terms.append(Term(duty.unit, duty.person, addressed=True, verdict=verdict))
    return terms


# ---- the one function --------------------------------------------------------------------------------------------------------------


def may_do(
    access: Access, action: str, actor: Actor, resolver: Resolver, *, unit: str = "", case: Case | None = None,
    move: MoveDef | None = None, roles: Sequence[str] | None = None, policy: Policy | None = None, because: str = "",
    within: str = "",
) -> Verdict:
    """Decide whether the actor may do this to this record, at the resolver's instant.

    `case` is the record; without one, `unit` is the place. `move` says which move of the case is meant, or which word opens one;
    `roles` are those that the workflow names for it (its `by` where None, its `second` for a signature) and `policy` their stand-ins.
    `within` is the unit that a new case is about, where it is about one: only a duty there or above it opens such a case.
    The resolver must know the units of the case and of the actor's duties. An action that nobody wrote down is refused.
    """
    rule = access.actions.get(action)
    if actor.id == ENGINE:
        return _engine(case, move, roles)
    if rule is None:
        return NO_DUTY
    if case is not None and rule.concerned and actor.id in case.recused:
        return HIDDEN
    rights = rights_of(access, actor, resolver)
    if rights.apart and rule.separate:
        return SEPARATE
    if rule.reason and not because.strip():
        return NO_REASON
    if rule.workflow and case is None:
        return _may_open(rights, move, actor, resolver, within)
    found = _in_scope(rule, rights, unit or (case.unit if case is not None else ""), case, resolver)
    if rule.workflow and found.allowed and case is not None and move is not None and policy is not None:
        return _may_move(rights, found, case, move, move.by if roles is None else roles, resolver, policy)
    return found


def _engine(case: Case | None, move: MoveDef | None, roles: Sequence[str] | None) -> Verdict:
    if case is None or move is None:
        return BY_ENGINE
    allowed = ENGINE in (move.by if roles is None else roles)
    return Verdict(allowed=allowed, rule=ENGINE, reads=4, as_role=ENGINE, level=case.tier)


def _in_scope(rule: ActionRule, rights: Rights, unit: str, case: Case | None, resolver: Resolver) -> Verdict:
    for term in rights.terms:
        if term.verdict.as_role in rule.sight and (
                term.admits(case) if case is not None else not unit or is_within(unit, term.unit)):
            if rule.glass and case is not None and case.grants:
                return max(term.verdict, _by_grant(rights, case, resolver), key=attrgetter("reads"))
            return term.verdict
    if rule.everybody:
        return EVERYBODY
    for duty in rights.duties:
        role = duty.role
        if role in rule.anywhere or (unit and (
            (role in rule.unit and is_within(unit, duty.unit)) or (role in rule.near and _is_near(unit, duty.unit, resolver))
        )):
            seen = max((term.verdict.reads for term in rights.terms if case is not None and term.admits(case)), default=BLIND)
            return Verdict(allowed=True, rule=f"{role} of {duty.unit}", reads=seen, as_role=role, level=level_of(rights.access, role))
    if rule.glass and case is not None:
        return _by_grant(rights, case, resolver)
    return NO_SIGHT if rule.sight and case is not None else NO_DUTY


def _is_near(unit: str, other: str, resolver: Resolver) -> bool:
    """Whether both lie in one county, or in one city where there is no county, or the other stands above."""
    chain = resolver.chain(unit)
    place = chain.get(Tier.COUNTY) or chain.get(Tier.CITY) or unit
    return is_within(other, place) or is_within(place, other)


def _by_grant(rights: Rights, case: Case, resolver: Resolver) -> Verdict:
    """Return what an emergency reading opens: as long as it runs, and no longer than a duty by which the glass can be broken."""
    mine = [grant for grant in case.grants if grant.person == rights.actor.id]
    running = [grant for grant in mine if grant.until > resolver.now]
    if running and (most := glass_of(rights.access, rights.actor, resolver, case)) != BLIND:
        best = max(running, key=attrgetter("reads", "until"))
        return Verdict(allowed=True, rule="emergency reading", reads=min(most, best.reads), grant=best.seq)
    return GLASS_OVER if mine else NO_SIGHT


def granted(verdict: Verdict, by: str, action: str, number: str = "") -> Verdict:
    """Return a verdict that allows; raise NotFound where for this person there is no such case, else NotAllowed with the rule."""
    if verdict.allowed:
        return verdict
    if verdict.hidden:
        raise NotFound(f"There is no case {number}.", way_out="Check the number.")
    if number:
        raise NotAllowed(f"{by} may not do this to case {number}: {verdict.rule}.",
                         way_out="Ask whoever answers for the case; a new word can always be reported.")
    raise NotAllowed(f"{by} may not do this ({action}): {verdict.rule}.", way_out="Ask whoever holds the duty.")


def glass_of(access: Access, actor: Actor, resolver: Resolver, case: Case) -> int:
    """Return the secrecy that the actor's duties near the case read behind broken glass, BLIND for none."""
    rule, rights = access.actions.get("glass.break"), rights_of(access, actor, resolver)
    return max((
        access.roles[duty.role].glass for duty in rights.duties
        if rule is not None and duty.role in rule.near and _is_near(case.unit, duty.unit, resolver)
    ), default=BLIND)


def sight_of(access: Access, action: str, actor: Actor, resolver: Resolver) -> Filter:
    """Return which cases `may_do` would allow this action on, by the roles of its `sight`, for a list; nothing where a forbid stands."""
    rule, rights = access.actions.get(action), rights_of(access, actor, resolver)
    if rule is None or (rights.apart and rule.separate):
        return NOTHING
    return Filter(actor.id, tuple(term for term in rights.terms if term.verdict.as_role in rule.sight))


def places_of(access: Access, action: str, actor: Actor, resolver: Resolver) -> tuple[str, ...]:
    """Return the units at and below which `may_do` would allow this action by the roles of its `unit`."""
    rule, rights = access.actions.get(action), rights_of(access, actor, resolver)
    if rule is None or (rights.apart and rule.separate):
        return ()
    return tuple(dict.fromkeys(duty.unit for duty in rights.duties if duty.role in rule.unit))


def counts_of(access: Access, actor: Actor, resolver: Resolver) -> Filter:
    """Return which cases the actor may count and not see: under a duty that counts, and not reached by one that reads."""
    places = places_of(access, "case.count", actor, resolver)
    reads = max((access.roles[duty.role].reads for duty in rights_of(access, actor, resolver).duties), default=BLIND)
    sealed = frozenset(workflow for workflow, least in access.sealed.items() if 1 <= reads < least)   # a sealed case is not counted either
    but = sight_of(access, "case.list", actor, resolver).terms
    return Filter(actor.id, tuple(Term(unit, actor.id, sealed=sealed) for unit in places), but)


# ---- the first word, and the workflow's moves ----------------------------------------------------------------------------------------


def _may_open(rights: Rights, move: MoveDef | None, actor: Actor, resolver: Resolver, within: str) -> Verdict:
    """Decide whether the actor may say the first word. Anybody known in one of the move's roles may, about any child."""
    by = move.by if move is not None else ()
    if actor.pupil is not None and "student" in by:
        return Verdict(allowed=True, rule="a pupil may always speak", as_role="student", level=Tier.PEER)
    if actor.wards and "guardian" in by:
        return Verdict(allowed=True, rule="a guardian may always speak", as_role="guardian", level=Tier.CLASS)
    fitting = [duty for duty in rights.duties if duty.role in by and (not within or is_within(within, duty.unit))]
    if not fitting:
        return Verdict(allowed=False, rule="no running duty of this person may report")
    duty = max(fitting, key=lambda one: level_of(rights.access, one.role).rank)
    level = Tier.SCHOOL if resolver.roster.units[duty.unit].kind == "partner" else level_of(rights.access, duty.role)
    if duty.role == "peer":   # a pupil has spoken and no adult has taken it yet
        level = Tier.PEER
    return Verdict(allowed=True, rule=f"{duty.role} may report", as_role=duty.role, level=level)


def _may_move(
    rights: Rights, sight: Verdict, case: Case, move: MoveDef, roles: Sequence[str], resolver: Resolver, policy: Policy,
) -> Verdict:
    """Decide whether the actor may make this move (`roles` = its `by`) or confirm it (`roles` = its `second`).

    Stand-ins count where the move allows them (`instead`), higher holders where it says `up`. The duty that makes the move must
    itself reach the case: one duty's sight never lends itself to another.
    """
    wanted = _wanted(case, move, roles, resolver, policy)
    highest = max(reached(case).rank, Tier.SCHOOL.rank)
    best: Verdict | None = None
    for term in rights.terms:
        found = term.verdict
        if not term.admits(case):
            continue
        if term.addressed and "addressee" in wanted:
            return Verdict(allowed=True, rule="addressee", reads=sight.reads, as_role="addressee", level=Tier.COUNTY)
        level = found.level or Tier.CITY
        if not term.addressed and found.as_role in wanted and (level.rank <= highest or case.answers == rights.actor.id) and (
                best is None or best.level is None or level.rank > best.level.rank):
            best = Verdict(allowed=True, rule=found.rule, reads=sight.reads, as_role=found.as_role, level=level)
    if best is not None:
        return best
    if case.answers == rights.actor.id and "tier_holder" in roles:
        return Verdict(allowed=True, rule="answers for the case", reads=sight.reads, as_role=case.answers_role, level=case.tier)
    return Verdict(allowed=False, rule=f"only {', '.join(sorted(wanted))} may", reads=sight.reads)


def _wanted(case: Case, move: MoveDef, roles: Sequence[str], resolver: Resolver, policy: Policy) -> set[str]:
    """Return every role that may make the move now: those named, who answers, their stand-ins, their counterparts of the lead."""
    wanted = set(roles)
    if "tier_holder" in wanted:
        wanted |= {case.answers_role, policy.holder[resolver.level_from(case.unit, case.tier)]}
        if move.up:
            wanted |= {policy.holder[tier] for tier in TIERS if tier.rank > case.tier.rank}
    if move.instead:
        wanted |= {other for role in roles for other in policy.instead.get(role, ())}
    if case.lead is not None:
        wanted |= {policy.counterpart.get(role, {}).get(case.lead, role) for role in roles}
    return wanted
