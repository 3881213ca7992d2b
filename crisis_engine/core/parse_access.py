"""From the parsed TOML of an access file to the rights of all roles: every role and action known, every number with its source."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Tier
from .parse_policy import PUPILS
from .parse_table import Table, nearest
from .policy import Access, AccessRole, ActionRule

ACTIONS: tuple[str, ...] = (
    "case.read", "case.list", "case.count", "case.act", "case.open", "case.link", "case.reporter", "case.print", "roster.read",
    "roster.change", "calendar.publish", "glass.break", "audit.reads", "audit.own", "audit.verify", "audit.seal",
    "audit.cosign", "audit.export", "key.status", "key.rotate", "erase.propose", "erase.confirm", "hold.place", "hold.lift",
    "subject.export", "compliance.pack", "notice.manage", "procedure.migrate", "definitions.backtest", "clock.trust",
)
"""Everything that a person can ask of the engine; an access file says of each who may."""

LEVELS = ("class", "grade", "school", "county", "city", "partner", "subject")
SCOPES = ("none", "unit", "reached")
FORBIDS = ("concerned", "separate")
READER, STAFF = "reader", "staff"
_TRUSTED = ("separate", "glass", "counts")
_BY_ROLE = ("sight", "unit", "near", "anywhere")
_FLAGS = ("everybody", "workflow", "glass", "reason")
READS_MOST = 4
COUNT_LEAST, COUNT_MOST = 2, 100


def parse_access(doc: Mapping[str, object], file: str) -> Access:
    """Return the rights of all roles; DefinitionError with file, key and way out for whatever is unknown, missing or without source."""
    top = Table(doc, file)
    top.number("format", 1, 1)
    table = top.table("role")
    roles = {name: _role(table.table(name), name) for name in table.names()}
    trust = {name: top.table(name).trust() for name in _TRUSTED}
    separate, glass, counts = (_trusted(top, name) for name in _TRUSTED)
    apart = frozenset(separate.some_of("roles", roles))
    at_most, least = glass.wall_span("at_most"), counts.number("at_least", COUNT_LEAST, COUNT_MOST)
    for each in (separate, glass, counts):
        each.close()
    dossiers = _dossiers(top, trust)
    sealed = _sealed(top, trust)
    actions = _actions(top.table("action"), roles)
    source, mark = top.trust()
    access = Access(
        roles=roles, actions=actions, separate=apart, dossiers=dossiers, sealed=sealed, glass_at_most=at_most, least_count=least,
        trust=trust, name=top.word("name"), version=top.number("version", 1, 9999), source=source, mark=mark,
    )
    top.close()
    return access


def _trusted(top: Table, name: str) -> Table:
    table = top.table(name)
    table.trust()
    return table


def _role(table: Table, name: str) -> AccessRole:
    role = AccessRole(
        name=name,
        level=table.one_of("level", LEVELS),
        label=table.label(),
        reads=table.number("reads", -1, READS_MOST),
        scope=table.one_of("scope", SCOPES, "unit"),
        addressed=table.number("addressed", -1, READS_MOST, -1),
        glass=table.number("glass", -1, READS_MOST, -1),
    )
    for key in ("reads", "addressed", "glass"):
        if name in PUPILS and getattr(role, key) != -1:
            table.refuse("a pupil writes blind and never reads.", key, way_out=f"Write {key} = -1.")
    table.close()
    return role


def _dossiers(top: Table, trust: dict[str, tuple[str, str]]) -> dict[Tier, frozenset[tuple[str, str]]]:
    """Return which stages of which workflow each level reads as if the case had come to it."""
    found: dict[Tier, frozenset[tuple[str, str]]] = {}
    dossier = top.table_or_none("dossier")
    for workflow in dossier.names() if dossier else ():
        table = top.table("dossier").table(workflow)
        trust[f"dossier.{workflow}"] = table.trust()
        level, stages = table.enum("level", Tier), table.words("stages")
        if not stages:
            table.refuse("no stage stands here.", "stages", way_out='Name stages, such as ["closure_requested"].')
        found[level] = found.get(level, frozenset()) | {(workflow, stage) for stage in stages}
        table.close()
    return found


def _sealed(top: Table, trust: dict[str, tuple[str, str]]) -> dict[str, int]:
    """Return of which workflows' cases those alone know who read so secret a thing, or have something to do there."""
    found: dict[str, int] = {}
    sealed = top.table_or_none("sealed")
    for workflow in sealed.names() if sealed else ():
        table = top.table("sealed").table(workflow)
        trust[f"sealed.{workflow}"] = table.trust()
        found[workflow] = table.number("reads", 2, READS_MOST)
        table.close()
    return found


def _actions(table: Table, roles: Mapping[str, AccessRole]) -> dict[str, ActionRule]:
    """Return the rule of every action; one that is not known is refused, and so is a file that forgets one."""
    found: dict[str, ActionRule] = {}
    for noun in table.names():
        verbs = table.table(noun)
        for verb in verbs.names():
            name = f"{noun}.{verb}"
            if name not in ACTIONS:
                verbs.refuse("there is no such action.", verb, way_out=nearest(name, ACTIONS))
            found[name] = _action(verbs.table(verb), name, roles)
    for name in ACTIONS:
        if name not in found:
            table.refuse("nothing says who may do this.", name, way_out=f"Write [action.{name}]; without a role in it nobody may.")
    return found


def _action(table: Table, name: str, roles: Mapping[str, AccessRole]) -> ActionRule:
    by_role = {scope: _expanded(table.some_of(scope, {*roles, READER, STAFF}), roles) for scope in _BY_ROLE}
    flags = {flag: table.flag(flag) for flag in _FLAGS}
    forbid = table.some_of("forbid", FORBIDS)
    if (by_role["sight"] or by_role["near"]) and "concerned" not in forbid:
        table.refuse("whom a case concerns must not learn that it exists.", "forbid", way_out='Write forbid = ["concerned"].')
    rule = ActionRule(
        name, by_role["sight"], by_role["unit"], by_role["near"], by_role["anywhere"], flags["everybody"], flags["workflow"],
        flags["glass"], flags["reason"], concerned="concerned" in forbid, separate="separate" in forbid,
    )
    table.close()
    return rule


def _expanded(names: tuple[str, ...], roles: Mapping[str, AccessRole]) -> frozenset[str]:
    """Return the roles that a list means: "reader" is every role that reads anything of a case, "staff" every role that reads facts."""
    found = set(names) - {READER, STAFF}
    if READER in names:
        found |= {role.name for role in roles.values() if max(role.reads, role.addressed) >= 0}
    if STAFF in names:
        found |= {role.name for role in roles.values() if role.reads >= 1}
    return frozenset(found)
