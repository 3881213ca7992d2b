"""A definition as flat facets: each value with its key in the file, the group that it is told in, and the order it has, if any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from crisis_engine.core.document import LineDef
from crisis_engine.core.model import Risk
from crisis_engine.core.order import Fault, Order, lines_of
from crisis_engine.core.parse_table import MARKS
from crisis_engine.core.policy import Access, ClockRule, Policy, Rung
from crisis_engine.core.retention import Retention
from crisis_engine.core.workflow import FieldDef, MoveDef, Workflow


class Facet(NamedTuple):
    """One value. `kind` says how it is told: role, roles, tier, risk, stages, clocks, moves, ladder, label, source, mark or text."""

    group: str
    value: object
    kind: str = "text"
    order: Order | None = None
    asks: bool = False      # to have it at all is stricter than not to have it


def _not(fault: bool) -> Fault | None:  # noqa: FBT001 (one word long)
    return Fault("", "", "") if fault else None


FEWER = Order("fewer", lambda own, base: _not(not set(own) <= set(base)))
WIDER = Order("superset", lambda own, base: _not(not set(own) >= set(base)))
LOWER = Order("lower", lambda own, base: _not(own > base))
TRUE = Order("true", lambda own, base: _not(bool(base) and not own))
SIGNERS = Order("signers", lambda own, base: _not(bool(base) and not (own and set(own) <= set(base))))
"""Who may confirm: nobody means that one person is enough; fewer who may is stricter."""

GROUPS = (
    "stages", "moves", "clocks", "budgets", "reminders", "ladders", "cues", "closure", "people", "rights", "terms", "words", "sources",
    "marks",
)
"""In which order groups are told."""


def facets_of_policy(policy: Policy) -> dict[str, Facet]:
    """Return every value of a policy, flattened with what it extends."""
    groups = {"clock": "budgets", "ladder": "ladders", "cue": "cues", "closure": "closure", "hold": "budgets", "pause": "budgets",
              "terminal": "budgets"}
    found = {
        line.key: Facet("reminders" if line.key.endswith(".remind") else groups[line.key.partition(".")[0]], line.value,
                        _kind_of_line(line.key, line.value), line.order, asks=True)
        for line in lines_of(policy)
        if ".again." not in line.key or policy.clocks[line.key.split(".")[1]].again
    }
    for name, rule in policy.clocks.items():
        found |= _rule(f"clock.{name}", rule)
    for name, cue in policy.cues.items():
        found[f"cue.{name}.label"] = Facet("words", dict(cue.label), "label")
    for name, items in policy.checklists.items():
        found |= {f"checklist.{name}.{item}": Facet("words", dict(label), "label") for item, label in items.items()}
    for table, (source, mark) in policy.trust.items():
        found |= {f"{table}.source": Facet("sources", source, "source"), f"{table}.mark": _mark(mark)}
    found |= {
        "source": Facet("sources", policy.source, "source"), "mark": _mark(policy.mark),
        "for": Facet("people", policy.applies_to, "text"),
        "risk.unrated_counts_as": Facet("budgets", policy.unrated_counts_as.value, "risk"),
        "risk.second_to_lower_from": Facet("closure", tuple(risk.value for risk in policy.second_to_lower_from), "risk", WIDER),
        "on_site.roles": Facet("people", policy.on_site, "role"), "terminal.to": Facet("people", policy.terminal_to, "role", WIDER),
    }
    found |= {f"instead.{role}": Facet("people", others, "role") for role, others in policy.instead.items()}
    found |= {f"holder.{tier}": Facet("people", role, "role") for tier, role in policy.holder.items()}
    found |= {f"on_duty.{tier}": Facet("people", role, "role") for tier, role in policy.on_duty.items()}
    for role, tiers in policy.counterpart.items():
        found |= {f"counterpart.{role}.{tier}": Facet("people", other, "role") for tier, other in tiers.items()}
    return found


def _kind_of_line(key: str, value: object) -> str:
    return "ladder" if key.startswith("ladder.") else "risk" if isinstance(value, Risk) else "depth" if ".by_peak." in key else "text"


def _mark(mark: str) -> Facet:
    return Facet("marks", mark, "mark", Order("mark", lambda own, base: _not(list(MARKS).index(own) > list(MARKS).index(base))))


def _rule(key: str, rule: ClockRule) -> dict[str, Facet]:
    found = {f"{key}.ladder": Facet("ladders", rule.ladder, "name"), f"{key}.source": Facet("sources", rule.source, "source"),
             f"{key}.mark": _mark(rule.mark)}
    found |= {f"{key}.ladder_for.{risk}": Facet("ladders", name, "name") for risk, name in rule.ladder_by_risk.items()}
    found |= {f"{key}.not_after.{risk}": Facet("budgets", limit, "limit", asks=True) for risk, limit in rule.not_after.items()}
    if rule.before is not None:
        found[f"{key}.before"] = Facet("budgets", rule.before)
    if rule.pause is not None:
        pause = rule.pause
        found |= {
            f"{key}.pause.at_most": Facet("budgets", pause.at_most), f"{key}.pause.times": Facet("budgets", pause.times, "text", LOWER),
            f"{key}.pause.reasons": Facet("budgets", pause.reasons, "text", FEWER),
        }
    return found


def facets_of_workflow(workflow: Workflow) -> dict[str, Facet]:
    """Return every value of a workflow's structure."""
    found: dict[str, Facet] = {
        "start": Facet("stages", (workflow.start,), "stages"),
        "again": Facet("moves", (workflow.again,) if workflow.again else (), "moves"),
        "subject": Facet("stages", workflow.subject), "one_open_per_subject": Facet("stages", workflow.one_open_per_subject),
        "parent": Facet("stages", workflow.parents), "end_with_parent": Facet("stages", workflow.end_with_parent or ""),
        "source": Facet("sources", workflow.source, "source"), "label": Facet("words", dict(workflow.label), "label"),
    }
    found |= {f"graduates.{whereto}": Facet("moves", (move,), "moves") for whereto, move in workflow.graduates.items()}
    for name, stage in workflow.stages.items():
        found |= {
            f"stage.{name}.lead" if stage.lead else f"stage.{name}.final":
                Facet("stages", stage.lead.value, "tier") if stage.lead else Facet("stages", stage.final),
            f"stage.{name}.label": Facet("words", dict(stage.label), "label"),
        }
        flags = {"holds": stage.holds, "settled": stage.settled}
        found |= {f"stage.{name}.{flag}": Facet("stages", value) for flag, value in flags.items() if value}
    for name, clock in workflow.clocks.items():
        key = f"clock.{name}"
        found |= {
            f"{key}.who": Facet("clocks", clock.who, "role"), f"{key}.kind": Facet("clocks", clock.kind),
            f"{key}.label": Facet("words", dict(clock.label), "label"),
        }
        conditions: dict[str, Facet] = {
            "in": Facet("clocks", tuple(sorted(clock.stages)), "stages", WIDER, asks=True), "while": Facet("clocks", clock.flag or ""),
            "once.on": Facet("clocks", clock.once_on, "moves", WIDER, asks=True),
            "toward": Facet("clocks", clock.toward or ""),
            "once.from_risk": Facet("clocks", clock.once_from_risk.value if clock.once_from_risk else "", "risk"),
        }
        found |= {f"{key}.{name}": facet for name, facet in conditions.items() if facet.value}
    for name, move in workflow.moves.items():
        found |= dict(_move(f"move.{name}", move))
    for name, track in workflow.tracks.items():
        found[f"track.{name}.on"] = Facet("moves", track.on, "moves", WIDER, asks=True)
        found[f"track.{name}.cues"] = Facet("moves", track.cues, "text", WIDER, asks=True)
        found[f"track.{name}.from_risk"] = Facet("moves", track.from_risk.value if track.from_risk else "", "risk")
    for name, document in workflow.documents.items():
        found |= {
            f"document.{name}.label": Facet("words", dict(document.label), "label"),
            f"document.{name}.secrecy": Facet("rights", document.secrecy, "text", LOWER),
            f"document.{name}.in": Facet("moves", tuple(sorted(document.stages)), "stages", FEWER),
            f"document.{name}.lines": Facet("moves", tuple(_line(line) for part in document.parts for line in part.lines), "text", FEWER),
            f"document.{name}.source": Facet("sources", document.source, "source"), f"document.{name}.mark": _mark(document.mark),
        }
    if workflow.danger is not None:
        danger = workflow.danger
        found |= {"danger.risk": Facet("clocks", danger.risk.value, "risk"), "danger.tier": Facet("clocks", danger.tier.value, "tier"),
                  "danger.tells": Facet("people", danger.tells, "role", WIDER),
                  "danger.shows": Facet("people", danger.shows, "text", WIDER)}
    return found


def _move(key: str, move: MoveDef) -> Iterator[tuple[str, Facet]]:
    yield f"{key}.label", Facet("words", dict(move.label), "label")
    yield f"{key}.second", Facet("moves", move.second, "role", SIGNERS)
    yield f"{key}.needs", Facet("moves", move.needs, "text", WIDER)
    plain: dict[str, Facet] = {
        "from": Facet("moves", tuple(sorted(move.from_stages)), "stages"), "to": Facet("moves", (move.to,) if move.to else (), "stages"),
        "by": Facet("moves", move.by, "role"), "meets": Facet("moves", move.meets, "clocks"),
        "opens": Facet("moves", move.opens), "meets_parent": Facet("moves", move.meets_parent),
        "sets_parent": Facet("moves", tuple(f"{name} = {str(value).lower()}" for name, value in move.sets_parent.items())),
        "tells": Facet("moves", move.tells, "role", WIDER), "shows": Facet("moves", move.shows, "text", WIDER),
        "fields": Facet("moves", tuple(_field(field) for field in move.fields)),
        "sets": Facet("moves", tuple(f"{name} = {str(value).lower()}" for name, value in move.sets.items())),
        "tier": Facet("moves", move.tier or ""), "lead": Facet("moves", move.lead or ""), "when": Facet("moves", move.when or ""),
        "checklist": Facet("moves", move.checklist or ""), "prints": Facet("moves", move.prints or ""),
        "instead": Facet("moves", move.instead), "up": Facet("moves", move.up), "signal": Facet("moves", move.signal),
    }
    yield from ((f"{key}.{name}", facet) for name, facet in plain.items() if facet.value)


def _line(line: LineDef) -> str:
    return f"{line.kind} {line.name or line.label['en']}"


def _field(field: FieldDef) -> str:
    of = field.of or " ".join(field.sorts)
    rest = [f"of {of}"] * bool(of) + ["required"] * field.required + [f"secrecy {field.secrecy}"]
    rest += [f"min {field.least}"] * (field.least is not None) + [f"max {field.most}"] * (field.most is not None)
    return f"{field.name}: {field.type} ({', '.join(rest)})"


def facets_of_access(access: Access) -> dict[str, Facet]:
    """Return every right."""
    found: dict[str, Facet] = {"separate.roles": Facet("rights", tuple(sorted(access.separate)), "role", WIDER),
                               "counts.at_least": Facet("rights", access.least_count)}
    if access.glass_at_most is not None:
        found["glass.at_most"] = Facet("rights", access.glass_at_most)
    for name, role in access.roles.items():
        found |= {f"role.{name}.{key}": Facet("rights", getattr(role, key), "text", LOWER) for key in ("reads", "addressed", "glass")}
        found |= {f"role.{name}.{key}": Facet("rights", getattr(role, key)) for key in ("level", "scope")}
        found[f"role.{name}.label"] = Facet("words", dict(role.label), "label")
    for name, rule in access.actions.items():
        found |= {f"action.{name}.{scope}": Facet("rights", tuple(sorted(getattr(rule, scope))), "role", FEWER)
                  for scope in ("sight", "unit", "near", "anywhere")}
        found |= {f"action.{name}.{flag}": Facet("rights", getattr(rule, flag), "text", TRUE)
                  for flag in ("reason", "concerned", "separate")}
        found |= {f"action.{name}.{flag}": Facet("rights", getattr(rule, flag)) for flag in ("everybody", "workflow", "glass")}
    for level, stages in access.dossiers.items():
        found[f"dossier.{level}"] = Facet("rights", tuple(sorted(f"{workflow}/{stage}" for workflow, stage in stages)), "text", FEWER)
    found |= {f"sealed.{workflow}.reads": Facet("rights", least, asks=True) for workflow, least in access.sealed.items()}
    for table, (source, mark) in access.trust.items():
        found |= {f"{table}.source": Facet("sources", source, "source"), f"{table}.mark": _mark(mark)}
    return found


def facets_of_retention(retention: Retention) -> dict[str, Facet]:
    """Return every term. Neither a shorter nor a longer one is stricter: what is kept too long and what is lost too soon both harm."""
    found: dict[str, Facet] = {}
    for what, keep in retention.keeps.items():
        found |= {f"keep.{what}.for": Facet("terms", keep.span), f"keep.{what}.source": Facet("sources", keep.source, "source"),
                  f"keep.{what}.mark": _mark(keep.mark)}
    return found


def rungs_of(rungs: tuple[Rung, ...]) -> list[dict[str, object]]:
    """Return a ladder as plain data, as its file has it."""
    found: list[dict[str, object]] = []
    for rung in rungs:
        values = {"at": rung.at and str(rung.at), "every": rung.every and str(rung.every), "raise": rung.raise_to,
                  "tell": list(rung.tell), "move": rung.move, "alarm": rung.alarm}
        found.append({name: value for name, value in values.items() if value})
    return found
