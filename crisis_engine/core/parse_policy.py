"""From the parsed TOML of a policy file to a Policy: complete, every number with its source and mark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from .calendar import Span, parse_offset
from .model import Risk, Tier
from .parse_table import MARKS, WALL_MOST, Table
from .policy import ClockRule, Cue, Pause, Policy, Rung
from .workflow import Label

DEPTHS = ("county", "city_one", "city_panel")
"""How deep a closure goes, the shallowest first: the county closes, one person of the city does, the city's panel does."""

TRUSTED = ("cue", "risk", "ladder", "hold", "pause", "terminal", "closure")
"""The tables of numbers beside the clocks; each has its own source and mark."""

PUPILS = frozenset({"peer", "student"})
"""Who answers for nothing: no clock, no duty, no stand-in is theirs."""

_RATED = tuple(risk for risk in Risk if risk is not Risk.UNRATED)
_TIERS = tuple(tier.value for tier in Tier)
_ALWAYS_TWO = frozenset({Risk.RED, Risk.ORANGE})
PERCENT_MOST = 100
TIMES_MOST = 9
PUT_OFF_MOST = timedelta(days=30)
"""The longest that any policy may let a hold or a pause put off what comes next; our design."""

T = TypeVar("T")


def parse_policy(doc: Mapping[str, object], file: str) -> Policy:
    """Return the policy of a complete document, one that extends nothing any more.

    DefinitionError with file, key and way out for whatever is unknown, missing, of a wrong type, out of range or without source.
    """
    top = Table(doc, file)
    top.number("format", 1, 1)
    trust = {name: top.table(name).trust() for name in TRUSTED}
    risk = _trusted(top, "risk")
    counts_as = risk.enum("unrated_counts_as", Risk)
    if counts_as is Risk.UNRATED:
        risk.refuse("unrated cannot count as itself.", "unrated_counts_as", way_out='Write a risk, such as "orange".')
    second = tuple(Risk(value) for value in risk.some_of("second_to_lower_from", _RATED))
    if not _ALWAYS_TWO.issubset(second):
        risk.refuse(
            "lowering from red and from orange takes two persons, always.", "second_to_lower_from", way_out="Name red and orange."
        )
    risk.close()

    ladders = _ladders(_trusted(top, "ladder"))
    clock = top.table("clock")
    clocks = {name: _clock(clock.table(name), ladders, counts_as) for name in clock.names()}
    holds, pauses = (_put_off(_trusted(top, name), counts_as) for name in ("hold", "pause"))
    _check_pauses(clock, clocks, pauses)
    terminal = _trusted(top, "terminal")
    terminal_to, terminal_every = _people(terminal, "to"), terminal.wall_span("every")
    terminal.close()
    on_site = top.table("on_site")
    on_site_roles = _people(on_site, "roles")
    on_site.close()
    closure = _trusted(top, "closure")
    by_peak, sample, stable_for = _closure(closure, counts_as)
    checklists, checklist_trust = _checklists(top.table_or_none("checklist"))
    source, mark = top.trust()
    policy = Policy(
        name=top.word("name"),
        version=top.number("version", 1, 9999),
        applies_to=top.words("for"),
        label=top.label(),
        cues=_cues(_trusted(top, "cue")),
        unrated_counts_as=counts_as,
        second_to_lower_from=second,
        clocks=clocks,
        ladders=ladders,
        hold=holds,
        pause=pauses,
        instead=_instead(top.table("instead")),
        holder=_holders(top.table("holder"), complete=True),
        counterpart=_counterparts(top.table("counterpart")),
        on_site=on_site_roles,
        on_duty=_holders(top.table("on_duty"), complete=False),
        terminal_to=terminal_to,
        terminal_every=terminal_every,
        closure_by_peak=by_peak,
        sample=sample,
        stable_for=stable_for,
        closure_source=trust["closure"][0],
        closure_mark=trust["closure"][1],
        source=source,
        mark=mark,
        trust={**trust, **checklist_trust},
        checklists=checklists,
    )
    if not policy.applies_to:
        top.refuse("this policy is for no workflow.", "for", way_out='Name workflows, such as ["school_crisis_v1"].')
    top.close()
    return policy


def _trusted(top: Table, name: str) -> Table:
    """Return a table whose source and mark were read already, so that they are no names of its entries."""
    table = top.table(name)
    table.trust()
    return table


# ---- numbers by risk ----------------------------------------------------------------------------------------------------


def _by_risk(table: Table, counts_as: Risk, read: Callable[[Table, str], T], *, complete: bool = True) -> dict[Risk, T]:
    """Return a value for each risk; `unrated`, where it is not written, is filled in by the risk that it counts as."""
    found = {risk: read(table, risk.value) for risk in Risk if table.has(risk.value) or (complete and risk is not Risk.UNRATED)}
    if counts_as in found:
        found.setdefault(Risk.UNRATED, found[counts_as])
    return found


def _budget(table: Table, name: str, counts_as: Risk) -> dict[Risk, Span]:
    """Return the budget for each risk: one span for all of them, or a table."""
    if isinstance(table.raw(name), str):
        span = _budget_span(table, name)
        return dict.fromkeys(Risk, span)
    budget = table.table(name)
    found = _by_risk(budget, counts_as, _budget_span)
    budget.close()
    return found


def _budget_span(table: Table, name: str) -> Span:
    span = table.span(name)
    if not span.amount:
        table.refuse("a budget of no time.", name, way_out='Write how long it may take, such as "15m".')
    return span


def _put_off(table: Table, counts_as: Risk) -> dict[Risk, Span]:
    """Return for each risk the longest that something may be put off; nowhere so long that a child is out of sight."""
    found = _by_risk(table, counts_as, Table.wall_span)
    for risk, span in found.items():
        if span.wall > PUT_OFF_MOST:
            table.refuse(f"{span} is longer than anything may be put off.", risk.value, way_out=f"Write at most {PUT_OFF_MOST.days}d.")
    table.close()
    return found


def _check_pauses(clocks: Table, rules: Mapping[str, ClockRule], longest: Mapping[Risk, Span]) -> None:
    """Refuse a clock whose pauses could together last longer than the policy lets them at any risk."""
    most = max(longest.values(), key=lambda span: span.wall)
    for name, rule in rules.items():
        if rule.pause is not None and rule.pause.at_most.wall * rule.pause.times > most.wall:
            times = f", {rule.pause.times} times," if rule.pause.times > 1 else ""
            clocks.table(name).table("pause").refuse(f"{rule.pause.at_most}{times} is longer than [pause] allows at any risk.", "at_most",
                                                     way_out=f"Write at most {most} for all pauses of a clock together.")


# ---- clocks and ladders ---------------------------------------------------------------------------------------------------


def _clock(table: Table, ladders: Mapping[str, object], counts_as: Risk) -> ClockRule:
    source, mark = table.trust()
    within = _budget(table, "within", counts_as)
    again = _budget(table, "again", counts_as) if table.has("again") else {}
    cap: dict[Risk, Span] = {}
    if caps := table.table_or_none("cap"):
        cap = _by_risk(caps, counts_as, Table.wall_span, complete=False)
        caps.close()
    for spans in (within, again):
        for risk, span in spans.items():
            if not span.is_wall and risk not in cap:
                table.refuse(
                    f"{span} counts days of a calendar and has no cap.",
                    f"cap.{risk}",
                    way_out=f'Write cap = {{ {risk} = "21d" }}, by the wall clock.',
                )
    not_after: dict[Risk, str] = {}
    if limits := table.table_or_none("not_after"):
        not_after = _by_risk(limits, counts_as, _dismissal, complete=False)
        limits.close()
    by_risk: dict[Risk, str] = {}
    if other := table.table_or_none("ladder_for"):
        by_risk = _by_risk(other, counts_as, lambda own, name: own.one_of(name, ladders), complete=False)
        other.close()
    rule = ClockRule(
        within=within,
        ladder=table.one_of("ladder", ladders),
        source=source,
        mark=mark,
        again=again,
        cap=cap,
        not_after=not_after,
        before=table.wall_span("before") if table.has("before") else None,
        remind=_reminders(table),
        pause=_pause(table.table_or_none("pause")),
        ladder_by_risk=by_risk,
    )
    table.close()
    return rule


def _dismissal(table: Table, name: str) -> str:
    return table.one_of(name, ("dismissal",))


def _reminders(table: Table) -> tuple[str, ...]:
    reminders = table.texts("remind")
    for text in reminders:
        try:
            before = parse_offset(text).before
        except ValueError as error:
            table.refuse(str(error)[:300], "remind")
        if before is not None and before.wall > WALL_MOST:   # a clock could not be armed, and a report would be turned away
            table.refuse(f"{text} is longer than anything here can last.", "remind", way_out=f"Write at most -{WALL_MOST.days}d.")
    return reminders


def _pause(table: Table | None) -> Pause | None:
    if table is None:
        return None
    pause = Pause(
        reasons=table.words("reasons"), at_most=table.wall_span("at_most"), times=table.number("times", 1, TIMES_MOST, 1)
    )
    if not pause.reasons:
        table.refuse("a pause without a reason.", "reasons", way_out='Name reasons, such as ["waiting_for_documents"].')
    table.close()
    return pause


def _ladders(table: Table) -> dict[str, tuple[Rung, ...]]:
    return {name: _ladder(table, name) for name in table.names()}


def _ladder(table: Table, name: str) -> tuple[Rung, ...]:
    rows = list(table.tables(name))
    rungs = tuple(_rung(row) for row in rows)
    if not rungs or rungs[-1].every is None:
        table.refuse(
            "this ladder ends.", name, way_out='Its last rung repeats for ever: { every = "6h", tell = ["tier_holder"] }.'
        )
    last: Span | None = None
    for row, rung in zip(rows[:-1], rungs[:-1], strict=True):
        if rung.at is None:
            row.refuse("only the last rung repeats.", "every", way_out="Write at = … here.")
        if last is not None and rung.at <= last:
            row.refuse(f"{rung.at} is not after {last}.", "at", way_out="Each rung comes later than the one before it.")
        last = rung.at
    return rungs


def _rung(table: Table) -> Rung:
    rung = Rung(
        at=_at(table) if table.has("at") else None,
        every=table.wall_span("every") if table.has("every") else None,
        raise_to=table.one_of("raise", (*_TIERS[1:], "next")) if table.has("raise") else None,
        tell=table.words("tell"),
        move=table.word("move") if table.has("move") else None,
        alarm=table.flag("alarm"),
    )
    if (rung.at is None) == (rung.every is None):
        table.refuse("a rung says either at or every.", "at", way_out='Write at = "30m", and every = "6h" in the last rung.')
    if not (rung.raise_to or rung.tell or rung.move):
        table.refuse("nobody hears of this rung.", "tell", way_out="Write raise, tell or move.")
    table.close()
    return rung


def _at(table: Table) -> Span:
    span = table.span("at")
    if not span.is_wall:
        table.refuse(f"{span} does not say a time of the wall clock.", "at", way_out="Write minutes, hours or days: 0m, 4h, 7d.")
    return span


# ---- people ----------------------------------------------------------------------------------------------------------------


def _person(table: Table, name: str) -> str:
    role = table.word(name)
    if role in PUPILS:
        table.refuse("a pupil answers for nothing.", name, way_out="Name an adult's role.")
    return role


def _people(table: Table, name: str) -> tuple[str, ...]:
    roles = table.words(name)
    if not roles:
        table.refuse("nobody stands here.", name, way_out='Name roles, such as ["class_teacher"].')
    if PUPILS.intersection(roles):
        table.refuse("a pupil answers for nothing.", name, way_out="Name adults' roles.")
    return roles


def _instead(table: Table) -> dict[str, tuple[str, ...]]:
    return {role: _people(table, role) for role in table.names()}


def _holders(table: Table, *, complete: bool) -> dict[Tier, str]:
    found = {tier: _person(table, tier.value) for tier in Tier if complete or table.has(tier.value)}
    table.close()
    return found


def _counterparts(table: Table) -> dict[str, dict[Tier, str]]:
    return {role: _holders(table.table(role), complete=False) for role in table.names()}


# ---- cues and closure ------------------------------------------------------------------------------------------------------


def _cues(table: Table) -> dict[str, Cue]:
    cues: dict[str, Cue] = {}
    for name in table.names():
        entry = table.table(name)
        cues[name] = Cue(floor=Risk(entry.one_of("floor", _RATED)), label=entry.label())
        entry.close()
    return cues


def _checklists(table: Table | None) -> tuple[dict[str, dict[str, Label]], dict[str, tuple[str, str]]]:
    """Return the items of each checklist (预案) with their words, and where each list comes from."""
    lists: dict[str, dict[str, Label]] = {}
    trust: dict[str, tuple[str, str]] = {}
    for name in table.names() if table is not None else ():
        assert table is not None  # noqa: S101 (mypy does not see that the loop is empty without a table)
        entry = table.table(name)
        trust[f"checklist.{name}"] = entry.trust()
        lists[name] = {item: entry.label(item) for item in entry.names()}
        if not lists[name]:
            entry.refuse("a checklist without an item.", way_out='Write such as safe = { zh = "现场安全", en = "it is safe" }.')
        entry.close()
    return lists, trust


def _closure(table: Table, counts_as: Risk) -> tuple[dict[Risk, str], dict[Risk, int], dict[Risk, Span]]:
    peaks, stable = table.table("by_peak"), table.table("stable_for")
    by_peak = _by_risk(peaks, counts_as, lambda own, name: own.one_of(name, DEPTHS))
    stable_for = _by_risk(stable, counts_as, Table.wall_span)
    sample: dict[Risk, int] = {}
    if samples := table.table_or_none("sample"):
        sample = {risk: samples.number(risk.value, 0, PERCENT_MOST) for risk in Risk if samples.has(risk.value)}
        samples.close()
    for own in (peaks, stable, table):
        own.close()
    return by_peak, sample, stable_for


def weaker_mark(one: str, other: str) -> str:
    """Return the mark that promises less: a number changed on a verified ground is not thereby verified."""
    order = list(MARKS)
    return max(one, other, key=order.index)
