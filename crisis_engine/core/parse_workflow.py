"""From the parsed TOML of a workflow file to a Workflow: every key known, every name found, every label in both languages."""

from __future__ import annotations

from collections.abc import Mapping

from .attachment import BYTES_LIMIT, SORTS
from .model import PARTNER_SORTS, UNIT_KINDS, Risk, Tier
from .parse_document import document_names, parse_documents
from .parse_table import Table
from .workflow import ClockDef, DangerDef, FieldDef, Label, MoveDef, Stage, TrackDef, Workflow

FIELD_TYPES = frozenset(
    [
        "text",
        "bool",
        "choice",
        "choices",
        "time",
        "date",
        "risk",
        "tier",
        "persons",
        "person",
        "subject",
        "clock",
        "move",
        "unit",
        "case",
        "cues",
        "items",
        "attachment",
        "hash",
    ]
)
FINALS = ("closed", "excluded", "ended", "merged")
KINDS = ("safety", "paper")
FLAGS = ("danger", "raised")
SUBJECTS = ("student", "parent", "unit")
PARENT_ENDS = ("close", "hold")
OWN_ENGINE = ("signal", "parent_ended")
RATED = tuple(risk.value for risk in Risk if risk is not Risk.UNRATED)
RESERVED = frozenset({"confirm", "decline", "withdraw"})
"""What can be said to an open proposal in every workflow; no move may be called so."""

SETS: Mapping[str, tuple[tuple[object, ...], frozenset[str]]] = {
    "tier": (("origin",), frozenset({"tier"})),
    "risk": (("cue_floor", "peak_or_yellow", *RATED), frozenset({"risk"})),
    "danger": ((True, False), frozenset({"bool"})),
    "recused": (("guardians",), frozenset({"persons", "person"})),
    "guardian": (("told", "agreed", "partly", "refused", "unreachable", "withheld"), frozenset({"choice"})),
    "subject": ((), frozenset({"subject"})),
    "merged_into": ((), frozenset({"case"})),
    "hold": ((), frozenset({"time"})),
    "pause": ((), frozenset({"time"})),
    "resume": ((True,), frozenset()),
    "stay_until": ((), frozenset({"time"})),
    "addressee": (("none",), frozenset({"unit", "person", "persons"})),
    "recipient": ((), frozenset({"hash"})),
    "sealed": ((), frozenset({"hash"})),
}
"""What a move may set: the fixed values of each key, and the types of field that it may be taken from."""

SETS_PARENT = {**{key: SETS[key] for key in ("guardian", "recused")}, "unit": ((), frozenset({"unit"}))}
"""What a track's move may set on its parent: facts and recusals of the child, which both cases share, and to which unit the child went."""

GRADUATES = ("unit", "unknown", "leaves_city")
"""Where a child of a leaving class can go: to a unit, nobody knows yet, out of the city."""

_TIERS = tuple(tier.value for tier in Tier)
_ABOUT_ONE_CLOCK = ("hold", "pause", "resume")
SECRECY_MOST = 4
ITEMS_MOST = 100
CHARACTERS_MOST = 100_000
SORTS_OF: Mapping[str, tuple[str, ...]] = {"unit": (*PARTNER_SORTS, *UNIT_KINDS), "attachment": tuple(SORTS)}
"""Types of field whose `of` is a list: of which sorts a partner, of which kinds a unit, of which sorts a file may be."""


def parse_workflow(doc: Mapping[str, object], file: str) -> Workflow:
    """Return the workflow; DefinitionError with file, key and way out for whatever is not known, missing or of a wrong type.

    What the parts mean together (paths, clocks that nobody meets, endings by one person) is for `check_workflow`.
    """
    top = Table(doc, file)
    top.number("format", 1, 1)
    choices = {name: _choice(top, name) for name in _names(top, "choice")}
    stages = {name: _stage(top.table("stage").table(name)) for name in _names(top, "stage")}
    sets = _sets_of_stages(top, stages)
    move_names, clock_names = _names(top, "move"), _names(top, "clock")
    for name in RESERVED.intersection(move_names):
        top.table("move").refuse("this word answers a proposal in every workflow.", name, way_out="Give the move another name.")
    clocks = {name: _clock(top.table("clock").table(name), name, stages, sets, move_names) for name in clock_names}
    reader = _MoveReader(top, stages=stages, sets=sets, clocks=clock_names, choices=choices, documents=document_names(top))
    moves = {name: reader.move(top.table("move").table(name), name) for name in move_names}
    workflow = Workflow(
        name=top.word("name"),
        version=top.number("version", 1, 9999),
        label=top.label(),
        source=top.text("source"),
        subject=top.one_of("subject", SUBJECTS),
        start=top.one_of("start", stages),
        stages=stages,
        clocks=clocks,
        moves=moves,
        choices=choices,
        danger=_danger(top.table_or_none("danger")),
        again=top.one_of("again", move_names) if top.has("again") else None,
        one_open_per_subject=top.flag("one_open_per_subject"),
        parents=top.words("parent"),
        end_with_parent=top.one_of("end_with_parent", PARENT_ENDS) if top.has("end_with_parent") else None,
        tracks=_tracks(top.table_or_none("track"), move_names),
        documents=parse_documents(top, moves, sets["open"], stages),
        graduates=_graduates(top.table_or_none("graduates"), move_names),
    )
    top.close()
    return workflow


def _names(top: Table, name: str) -> tuple[str, ...]:
    """Return the names under [stage], [clock], [move] or [choice]; all but choices must be there."""
    table = top.table_or_none(name) if name == "choice" else top.table(name)
    names = table.names() if table else ()
    if not names and name != "choice":
        top.refuse("nothing stands here.", name, way_out=f"A workflow has at least one [{name}].")
    return names


def _choice(top: Table, name: str) -> Mapping[str, Label]:
    table = top.table("choice").table(name)
    values = {value: table.label(value) for value in table.names()}
    if not values:
        table.refuse("a choice without a value.", way_out='Write such as yes = { zh = "是", en = "yes" }.')
    return values


def _stage(table: Table) -> Stage:
    stage = Stage(
        name=table.key.rpartition(".")[2],
        label=table.label(),
        lead=table.enum("lead", Tier) if table.has("lead") else None,
        final=table.one_of("final", FINALS) if table.has("final") else None,
        holds=table.flag("holds"),
        settled=table.flag("settled"),
    )
    if (stage.lead is None) == (stage.final is None):
        table.refuse(
            "a stage has either a lead or a final.",
            "lead",
            way_out="An open stage says whose people work in it, a final one how it ended.",
        )
    table.close()
    return stage


def _sets_of_stages(top: Table, stages: Mapping[str, Stage]) -> Mapping[str, frozenset[str]]:
    sets = {"open": frozenset(name for name, stage in stages.items() if stage.final is None)}
    table = top.table_or_none("sets_of_stages")
    for name in table.names() if table else ():
        assert table is not None  # noqa: S101 (mypy does not see that the loop is empty without a table)
        if name in stages:
            table.refuse("a stage has this name already.", name, way_out="Give the set another name.")
        sets[name] = frozenset(table.some_of(name, stages))
    return sets


def _stages(table: Table, name: str, stages: Mapping[str, Stage], sets: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the stages of `from` or `in`: a list of stages, or the name of a set of them."""
    if isinstance(table.raw(name), str):
        return sets[table.one_of(name, sets)]
    return frozenset(table.some_of(name, stages))


def _clock(
    table: Table, name: str, stages: Mapping[str, Stage], sets: Mapping[str, frozenset[str]], moves: tuple[str, ...]
) -> ClockDef:
    once_on: tuple[str, ...] = ()
    once_from_risk = None
    conditions = [condition for condition in ("in", "while", "once") if table.has(condition)]
    if len(conditions) != 1:
        table.refuse("a clock says exactly once when it runs.", way_out='Write one of in = […], while = "danger", once = { … }.')
    if once := table.table_or_none("once"):
        once_on = once.some_of("on", (*moves, "proposed", "unidentified"))
        once_from_risk = Risk(once.one_of("from_risk", RATED)) if once.has("from_risk") else None
        if bool(once_on) == bool(once_from_risk):
            once.refuse(
                "a once clock starts on moves or from a risk on.", way_out='Write one of on = ["signal"], from_risk = "orange".'
            )
        once.close()
    clock = ClockDef(
        name=name,
        who=_who(table),
        kind=table.one_of("kind", KINDS),
        label=table.label(),
        stages=_stages(table, "in", stages, sets) if table.has("in") else frozenset(),
        flag=table.one_of("while", FLAGS) if table.has("while") else None,
        once_on=once_on,
        once_from_risk=once_from_risk,
        toward=table.word("toward") if table.has("toward") else None,
    )
    if conditions == ["in"] and not clock.stages:
        table.refuse("a clock that runs in no stage.", "in", way_out="Name at least one stage.")
    table.close()
    return clock


def _who(table: Table) -> str:
    who = table.text("who")
    role, at, place = who.partition("@")
    if at and place != "addressee":
        table.refuse(f"{who[:80]!r} is nobody.", "who", way_out="Write a role, or ROLE@addressee.")
    table.check_word(role, "who")
    return who


def _tracks(table: Table | None, moves: tuple[str, ...]) -> Mapping[str, TrackDef]:
    """Return what stands under [track.NAME]; each says at least one reason to open."""
    tracks: dict[str, TrackDef] = {}
    for name in table.names() if table else ():
        assert table is not None  # noqa: S101 (mypy does not see that the loop is empty without a table)
        entry = table.table(name)
        track = TrackDef(
            name=name,
            from_risk=Risk(entry.one_of("from_risk", RATED)) if entry.has("from_risk") else None,
            cues=entry.words("cues"),
            on=entry.some_of("on", moves),
        )
        if not (track.from_risk or track.cues or track.on):
            entry.refuse("this track never opens.", way_out='Write from_risk = "red", cues = [...] or on = ["MOVE"].')
        entry.close()
        tracks[name] = track
    return tracks


def _graduates(table: Table | None, moves: tuple[str, ...]) -> Mapping[str, str]:
    if table is None:
        return {}
    found = {name: table.one_of(name, moves) for name in GRADUATES}
    table.close()
    return found


def _danger(table: Table | None) -> DangerDef | None:
    if table is None:
        return None
    danger = DangerDef(
        risk=Risk(table.one_of("risk", RATED)),
        tier=table.enum("tier", Tier),
        tells=table.words("tells"),
        shows=table.texts("shows"),
    )
    for name, said in (("tells", danger.tells), ("shows", danger.shows)):
        if not said:
            table.refuse("a danger of which nobody hears, or without a number to call.", name, way_out="Name roles, and numbers such as 110.")
    table.close()
    return danger


class _MoveReader:
    """Reads moves: knows the stages, clocks, choices, forms and shared labels that a move may name."""

    def __init__(
        self,
        top: Table,
        *,
        stages: Mapping[str, Stage],
        sets: Mapping[str, frozenset[str]],
        clocks: tuple[str, ...],
        choices: Mapping[str, object],
        documents: tuple[str, ...],
    ) -> None:
        self.stages, self.sets, self.clocks, self.choices, self.documents = stages, sets, clocks, choices, documents
        labels = top.table_or_none("field_label")
        self.labels = {name: labels.label(name) for name in labels.names()} if labels else {}
        forms = top.table_or_none("forms")
        self.forms = {name: self._form(forms.table(name)) for name in forms.names()} if forms else {}

    def move(self, table: Table, name: str) -> MoveDef:
        """Return one move."""
        form = self.forms[table.one_of("form", self.forms)] if table.has("form") else ()
        fields = form + self._fields(table)
        names = {item.name: item for item in fields}
        if len(names) != len(fields):
            table.refuse("two fields have one name.", "fields", way_out="Give each field of a move its own name.")
        if not table.has("by") or not table.texts("by"):
            table.refuse("nobody can make this move.", "by", way_out='Name roles, or ["engine"].')
        from_stages = _stages(table, "from", self.stages, self.sets)
        if isinstance(table.raw("from"), str) and not from_stages:
            table.refuse("this set has no stage.", "from", way_out="A move that opens a case writes from = [].")
        move = MoveDef(
            name=name,
            label=table.label(),
            from_stages=from_stages,
            to=table.one_of("to", self.stages) if table.has("to") else None,
            by=table.words("by"),
            second=table.texts("second"),
            needs=table.texts("needs"),
            fields=fields,
            sets=self._sets(table, names),
            meets=table.some_of("meets", self.clocks),
            tier=table.one_of("tier", (*_TIERS, "own", "lead")) if table.has("tier") else None,
            lead=table.one_of("lead", ("own", "stage")) if table.has("lead") else None,
            opens=table.texts("opens"),
            tells=table.words("tells"),
            shows=table.texts("shows"),
            prints=table.one_of("prints", self.documents) if table.has("prints") else None,
            checklist=table.word("checklist") if table.has("checklist") else None,
            instead=table.flag("instead"),
            up=table.flag("up"),
            signal=table.flag("signal"),
            when=table.one_of("when", OWN_ENGINE) if table.has("when") else None,
            meets_parent=table.words("meets_parent"),
            sets_parent=self._sets_parent(table, names),
        )
        for opened in move.opens:
            if opened.startswith("field:"):
                table.check_known(opened.removeprefix("field:"), frozenset(names), "opens")
            else:
                table.check_word(opened, "opens")
        table.close()
        return move

    def _form(self, table: Table) -> tuple[FieldDef, ...]:
        fields = self._fields(table)
        table.close()
        return fields

    def _fields(self, table: Table) -> tuple[FieldDef, ...]:
        return tuple(self._field(item) for item in table.tables("fields"))

    def _field(self, table: Table) -> FieldDef:
        name = table.word("name")
        if table.has("label") or name not in self.labels:
            label: Label = table.label()
        else:
            label = self.labels[name]
        kind = table.one_of("type", FIELD_TYPES)
        sorts = table.some_of("of", SORTS_OF[kind]) if kind in SORTS_OF else ()
        if kind == "items":
            of: str | None = table.word("of")   # a checklist of the policy
        else:
            of = table.one_of("of", self.choices) if kind not in SORTS_OF and (table.has("of") or kind in {"choice", "choices"}) else None
        field = FieldDef(
            name=name,
            type=kind,
            label=label,
            of=of,
            sorts=sorts,
            required=table.flag("required"),
            secrecy=table.number("secrecy", 0, SECRECY_MOST),
            least=table.number("min", 1, ITEMS_MOST) if table.has("min") else None,
            most=table.number("max", 1, BYTES_LIMIT if kind == "attachment" else CHARACTERS_MOST) if table.has("max") else None,
        )
        table.close()
        return field

    def _sets(self, table: Table, fields: Mapping[str, FieldDef]) -> Mapping[str, str | bool]:
        sets = table.table_or_none("sets")
        if sets is None:
            return {}
        found: dict[str, str | bool] = {}
        for key, (fixed, types) in SETS.items():
            if sets.has(key):
                found[key] = self._value(sets, key, fixed, types, fields)
        sets.close()
        if any(key in found for key in _ABOUT_ONE_CLOCK) and not any(field.type == "clock" for field in fields.values()):
            table.refuse(
                "this move does not say about which clock.",
                "fields",
                way_out='Add { name = "clock", type = "clock", required = true }.',
            )
        return found

    def _sets_parent(self, table: Table, fields: Mapping[str, FieldDef]) -> Mapping[str, str | bool]:
        sets = table.table_or_none("sets_parent")
        if sets is None:
            return {}
        found = {
            key: self._value(sets, key, fixed, types, fields) for key, (fixed, types) in SETS_PARENT.items() if sets.has(key)
        }
        sets.close()
        return found

    @staticmethod
    def _value(
        sets: Table, key: str, fixed: tuple[object, ...], types: frozenset[str], fields: Mapping[str, FieldDef]
    ) -> str | bool:
        value = sets.raw(key)
        if isinstance(value, str) and value.startswith("field:"):
            name = value.removeprefix("field:")
            of_type = frozenset(field.name for field in fields.values() if field.type in types)
            sets.check_known(name, of_type, key)
            return value
        if not isinstance(value, bool | str) or value not in fixed:
            possible = [str(one).lower() if isinstance(one, bool) else f'"{one}"' for one in fixed]
            possible += ['"field:NAME"'] if types else []
            sets.refuse(f"{str(value)[:80]!r} cannot be set here.", key, way_out=f"Write one of {', '.join(possible)}.")
        return value
