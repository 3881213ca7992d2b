"""A random city: commands, moves, tracks, absences, outages and clocks that run back, on two engines over one database; see promise.py."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, ClassVar, TypeVar
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from crisis_engine import CrisisError, Engine, open_engine
from crisis_engine.almanac import published_calendar
from crisis_engine.core.attachment import sample
from crisis_engine.core.case import Case
from crisis_engine.core.model import RISKS, TIERS, Absence, Duty, Risk, Subject
from crisis_engine.core.resolve import paths
from crisis_engine.core.workflow import FieldDef, MoveDef
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.notify import RecordingChannel
from crisis_engine.roster import RosterSet
from tests.promise import FACT, Watch
from tests.story import OPERATOR, copy_city
from tests.tracks import shipped, shipped_tracks

Call = Callable[[], object]
T = TypeVar("T")
PICK = st.integers(0, 999)      # chooses from whatever there is by then: `pick(things, 7)`
SEED = st.integers(0, 99_999)   # of the fields of a form
WEEK = timedelta(days=7)
LAST = datetime(2034, 1, 1, tzinfo=UTC)
ONWARD = frozenset({
    "acknowledge", "start_assessment", "assess", "triage", "plan", "step_down", "request_closure", "county_agree", "close_at_county",
    "city_pass", "confirm_end"})
JUNK: tuple[object, ...] = (
    None, "", "nonsense", [], ["x"], 5, 3.5, True, {"a": 1}, b"bytes", "\x00", "\ud800", "9" * 30, "字" * 30_000,
    datetime(2026, 3, 2, 8, 0),  # noqa: DTZ001 - without a zone, as a host may send it
    "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", timedelta(1), ["p-31", "p-31", None], "2026-02-30", -1, object(),
)


@cache
def template() -> Path:
    """Return a database with the example city in it; each example begins with a copy."""
    path = Path(tempfile.mkdtemp(prefix="crisis-machine-")) / "template.db"
    with open_engine(f"sqlite:///{path}", clock=lambda: EXAMPLE_NOW) as engine:
        engine.import_roster(example_roster())
    return path


class Listener(logging.Handler):
    """Fails the step in which the library logs a fact."""

    def emit(self, record: logging.LogRecord) -> None:
        assert not any(leak in record.getMessage() for leak in (FACT, "示例", "stu-")), f"the log tells a fact: {record.getMessage()}"


class City(RuleBasedStateMachine):
    """Everything that may happen. `children` says how many cases there may be, and so how deep one life goes."""

    children: ClassVar[tuple[str, ...]] = (
        "stu-41", "stu-42", "stu-31", "stu-101", "stu-121", "stu-125", "stu-131", "stu-139", "stu-141", "stu-143")
    commands: ClassVar[int] = 0   # how many were really given: a run that did nothing proves nothing
    seen: ClassVar[Counter[str]] = Counter()   # what came about at all

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="crisis-machine-"))
        url, where = self.place()
        self.now = EXAMPLE_NOW.astimezone(UTC)
        self.channel = RecordingChannel()
        self._sent = 0
        self.engines = [open_engine(url, clock=lambda: self.now, channels=(self.channel,), create=False) for _ in range(2)]
        roster = self.roster = example_roster()
        self.kids: list[Subject] = [kid for kid in roster.subjects if kid.ref in self.children]
        places = {place for kid in self.kids for place in paths(kid.unit)}
        self.partners = [unit.id for unit in roster.units if unit.kind == "partner" and unit.sort and unit.parent in places]
        self.posts: list[Duty] = [duty for duty in roster.duties if duty.unit in places or duty.unit in self.partners]
        self.staff = sorted({duty.person for duty in self.posts})
        self.family = [guardian.id for guardian in roster.guardians if guardian.subject in self.children]
        self.cast = [*self.staff, *self.family, *self.children, "p-nobody", "engine"]
        known = [*(person.id for person in roster.persons), *(guardian.id for guardian in roster.guardians)]
        self.watch = Watch(where, self.engines[0], [*known, *(kid.ref for kid in roster.subjects)])
        self.keys: list[tuple[Call, object]] = []
        self._there: set[str] = set()
        # Case numbers are drawn from a seed, so that a failure comes again: which cases the city samples (抽查) goes by the number.
        self._tokens = patch("secrets.choice", Random(0).choice)
        self._tokens.start()
        self._listener = Listener()
        logging.getLogger("crisis_engine").addHandler(self._listener)
        logging.getLogger("crisis_engine").setLevel(logging.INFO)

    def place(self) -> tuple[str, Path | str]:
        """Make the city's database, a copy of the template; return its URL, and where it is looked at from outside."""
        path = self.folder / "city.db"
        copy_city(template(), path)
        return f"sqlite:///{path}", path

    def teardown(self) -> None:
        type(self).seen.update(self._there)
        try:
            self.watch.close()
        finally:
            self._tokens.stop()
            logging.getLogger("crisis_engine").removeHandler(self._listener)
            for engine in self.engines:
                engine.close()
            shutil.rmtree(self.folder)

    # ---- how a step is made -------------------------------------------------------------------------------------------

    def attempt(self, call: Call, *, present: bool = False) -> object | None:
        """Do something that may be refused: then nothing was written, and the refusal tells no fact. Look at everything."""
        type(self).commands += 1
        stamp, refused = self.watch.stamp(), None
        try:
            answer = call()
        except CrisisError as error:
            answer, refused = None, error
        if refused is not None:
            assert self.watch.stamp() == stamp, f"refused and yet written: {refused}"
            assert FACT not in f"{refused} {refused.data}", "a refusal tells a fact"
        self.watch.look(self.now, present=present and answer is not None)
        self._see()
        return answer

    def _see(self) -> None:
        """Remember what came about in this life: whoever reads the counts knows what the lives were about."""
        beside = Counter(case.parent for case in self.watch.cases.values() if case.open and case.parent is not None)
        over = {case.number: case.final for case in self.watch.cases.values() if case.final is not None}
        there = {
            "two tracks of one case": any(many > 1 for many in beside.values()),
            "a track with a partner": any(case.open and case.facts.get("addressee") for case in self.watch.cases.values()),
            "a track that ended with its case": any(
                not case.open and over.get(case.parent or "") == "ended" for case in self.watch.cases.values()),
            "a case merged into another": "merged" in over.values(),
        }
        self._there |= {what for what, is_so in there.items() if is_so}


    def sweep(self, which: int) -> None:
        type(self).commands += 1
        assert self.engine(which).sweep().failed == 0, "a case could not be decided"
        self.watch.look(self.now, swept=True)

    def engine(self, which: int) -> Engine:
        return pick(self.engines, which)

    def case(self, which: int) -> Case:
        cases = [case for case in self.watch.cases.values() if case.open] or list(self.watch.cases.values())
        return pick(cases, which) if which % 8 else pick(list(self.watch.cases.values()), which // 8)

    def actors(self, case: Case, roles: tuple[str, ...]) -> list[str]:
        """Return who holds one of the roles on the path of the case, the holder of the tier where that is asked, and stand-ins."""
        policy = self.watch.procedure(case).policy
        wanted = {*roles, *(other for role in roles for other in policy.instead.get(role, ()))}
        found = [duty.person for duty in self.posts if duty.unit in paths(case.unit) and duty.role in wanted]
        if "addressee" in roles:
            found += [duty.person for duty in self.posts if duty.unit == case.facts.get("addressee")] * 3
        return [*([case.answers] if "tier_holder" in roles and case.answers else []), *found] or ["p-31"]

    def make(self, case: Case, move: MoveDef, actor: str, seed: int, *, junk: bool = False) -> object | None:
        fields = self.form(case, move, Random(seed), junk=junk)
        version = case.version - 1 if seed % 17 == 0 else case.version if seed % 3 == 0 else None
        return self.attempt(lambda: self.engine(seed).act(case.number, move.name, by=actor, fields=fields, version=version))

    def form(self, case: Case, move: MoveDef, rnd: Random, *, junk: bool) -> dict[str, Any]:
        form = {field.name: self.value(case, field, rnd) for field in move.fields if field.required or rnd.random() < 0.5}
        role = next((need.partition(":")[2] for need in move.needs if need.startswith("members_hold:")), None)
        if role is not None and "members" in form and rnd.random() < 0.8:
            form["members"] = [duty.person for duty in self.posts if duty.role == role and duty.unit in paths(case.unit)][:1]
        fits = {
            "hold": [clock.name for clock in case.clocks if clock.due_at <= self.now],
            "pause": [clock.name for clock in case.clocks if clock.kind == "paper"],
            "resume": [clock.name for clock in case.clocks if clock.paused_at is not None],
        }
        for key, names in fits.items():
            if key in move.sets and names:
                form["clock"] = rnd.choice(names)
        if junk:
            form[rnd.choice(["risk", "nonsense", "second", "版本", *form, *form, *form])] = rnd.choice(JUNK)
        return form

    def value(self, case: Case, field: FieldDef, rnd: Random) -> object:
        procedure = self.watch.procedure(case)
        if field.type in {"choice", "choices"}:
            options = list(procedure.policy.cues if field.of == "cue" else procedure.workflow.choices.get(field.of or "", {}))
            return rnd.choice(options) if field.type == "choice" else rnd.sample(options, rnd.randint(0, 2))
        if field.type == "items":
            return rnd.sample(items := list(procedure.policy.checklists[field.of or ""]), rnd.choice([1, len(items)]))
        if field.type == "clock":
            return rnd.choice([*(clock.name for clock in case.clocks), "nonsense"])
        made: Mapping[str, Callable[[], object]] = {
            "text": lambda: FACT + "字" * rnd.randint(0, 5),
            "bool": lambda: rnd.random() < 0.3,
            "cues": lambda: rnd.sample(list(procedure.policy.cues), rnd.choice([0, 0, 1, 2])),
            "time": lambda: self.now + rnd.choice([-60, 5, 25, 25, 100, 60 * 20, 60 * 24 * 6, 60 * 24 * 20]) * timedelta(minutes=1),
            "date": lambda: (self.now + timedelta(days=rnd.randint(0, 60))).date().isoformat(),
            "risk": lambda: rnd.choice(RISKS[1:]),
            "tier": lambda: rnd.choice(TIERS),
            "persons": lambda: rnd.sample(self.staff, rnd.randint(1, 4)),
            "person": lambda: rnd.choice(self.cast),
            "subject": lambda: rnd.choice(self.kids).ref,
            "attachment": lambda: sample([rnd.choice(field.sorts)] if field.sorts else []),
            "unit": lambda: rnd.choice([*self.partners, rnd.choice(self.posts).unit]),
            "case": lambda: pick([each.number for each in self.watch.cases.values()], rnd.randint(0, 99)),
        }
        return made.get(field.type, made["text"])()

    # ---- words and moves ------------------------------------------------------------------------------------------------

    @initialize(kid=PICK, seed=SEED, depth=st.integers(0, 30), tracks=st.sampled_from([2, 3, 1, 0]))
    def begin(self, kid: int, seed: int, depth: int, tracks: int) -> None:
        """Begin with a case that has come some way already, tracks beside it: left to chance, nearly none would see its closure."""
        self.report(kid, seed, seed, unknown=False, danger=False, about=0, junk=False)
        if self.watch.cases:
            self.work_on(1, seed, depth)
            for track in Random(seed).sample(shipped_tracks(), tracks):
                self.begin_track(0, seed, track)

    @rule(kid=PICK, by=PICK, seed=SEED, unknown=st.sampled_from([False, False, False, True]), danger=st.sampled_from([False] * 9 + [True]),
          about=st.sampled_from([0, 0, 0, 1, 2]), junk=st.sampled_from([False] * 9 + [True]))
    def report(self, kid: int, by: int, seed: int, unknown: bool, danger: bool, about: int, junk: bool) -> None:  # noqa: FBT001
        rnd, child = Random(seed), pick(self.kids, kid)
        cues = rnd.sample(["suicide_words", "old_scars", "withdrawn", "means", "bullied"], rnd.choice([0, 0, 1, 2]))
        near = [duty.person for duty in self.posts if duty.unit in paths(child.unit)]
        form: dict[str, Any] = {
            "unit": child.unit, "subject": None if unknown else child.ref, "by": pick(self.cast if by % 4 == 0 else near, by),
            "facts": FACT, "cues": cues, "danger_now": danger, "about_staff": rnd.sample([*near, *self.family], about),
            "key": f"k-{seed}-{by}",
        }
        if junk:
            words = ("nonsense", "", "字" * 30_000, "\x00", "\ud800")
            form |= rnd.choice([{name: word} for name in ("unit", "subject", "by", "facts") for word in words]
                               + [{"cues": ["nonsense"]}, {"cues": "means"}, {"about_staff": ["p-nobody"]}, {"about_staff": [""]}])
            form["key"] = None
        engine = self.engine(seed)
        receipt = self.attempt(lambda: engine.report(**form))
        if receipt is not None and form["key"] is not None:
            self.keys.append((lambda: engine.report(**form), receipt))

    @precondition(lambda self: self.keys)
    @rule(which=PICK)
    def send_again(self, which: int) -> None:
        """The same command under the same key is answered the same, and nothing is written."""
        call, answer = pick(self.keys, which)
        stamp = self.watch.stamp()
        assert (call(), self.watch.stamp()) == (answer, stamp), "a command was done twice"

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, by=PICK, seed=SEED, junk=st.sampled_from([False, False, True]))
    def move_at_random(self, which: int, by: int, seed: int, junk: bool) -> None:  # noqa: FBT001
        case = self.case(which)
        moves = self.watch.procedure(case).workflow.moves
        actor = pick(self.cast if by % 5 == 0 else self.actors(case, tuple({duty.role for duty in self.posts} - {"peer"})), by)
        possible = list(moves.values())
        if seed % 5:
            with suppress(CrisisError):
                possible = [moves[view.name] for view in self.engine(by).moves(case.number, by=actor) if view.possible] or possible
        self.make(case, pick(possible, seed), actor, seed, junk=junk)

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, seed=SEED, times=st.integers(1, 6))
    def work_on(self, which: int, seed: int, times: int) -> None:
        """People do their work: the case comes some moves nearer to its end."""
        number, rnd = self.case(which).number, Random(seed)
        for _turn in range(times):
            self.bring_on(self.watch.of(number), rnd)

    def bring_on(self, case: Case, rnd: Random) -> None:
        """Confirm what waits, meet what is owed, or go to the next stage; wait when it is too early for that."""
        if rnd.random() < 0.25:
            self.move_at_random(1 + 8 * rnd.randrange(99), rnd.randrange(999), rnd.randrange(999), junk=False)
            return
        workflow = self.watch.procedure(case).workflow
        if case.proposals:
            for actor in rnd.sample(self.actors(case, workflow.moves[case.proposals[0].move].second), 2):
                self.attempt(lambda actor=actor: self.engine(0).act(case.number, "confirm", by=actor))  # type: ignore[misc]
            return
        possible = [move for move in workflow.moves.values() if case.stage in move.from_stages and not move.engine_only]
        if not possible:
            return
        once = {clock.name for clock in case.clocks if not workflow.clocks[clock.name].standing}
        owed = [move for move in possible if once & set(move.meets)]
        onward = [move for move in possible if move.name in ONWARD] or [move for move in possible if move.to is not None]
        lower = [move for move in possible if case.risk is Risk.RED and move.name == "lower_risk"]
        move = rnd.choice(owed or lower or onward or possible)
        actors = self.actors(case, move.by)
        if not any(self.make(case, move, rnd.choice(actors), rnd.randrange(9_999) * 51 + 1) is not None for _try in range(3)):
            self.now = min(self.now + rnd.choice([0, 0, 1, 60]) * timedelta(days=1), LAST)

    @precondition(lambda self: any(case.proposals for case in self.watch.cases.values()))
    @rule(which=PICK, by=PICK, word=st.sampled_from(["confirm", "confirm", "decline", "withdraw"]))
    def answer(self, which: int, by: int, word: str) -> None:
        case = pick([case for case in self.watch.cases.values() if case.proposals], which)
        proposal = pick(case.proposals, which)
        move = self.watch.procedure(case).workflow.moves[proposal.move]
        actor = proposal.by if word == "withdraw" or by % 7 == 0 else pick(self.actors(case, move.second), by)
        self.attempt(lambda: self.engine(by).act(case.number, word, by=actor, fields={"proposal": proposal.move, "because": FACT}))

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, whom=PICK, by=PICK)
    def recuse(self, which: int, whom: int, by: int) -> None:
        case = self.case(which)
        above = self.actors(case, ("county_officer", "city_officer", "leading_group"))
        person = pick([each for each in (case.answers, *(clock.holder for clock in case.clocks), *above) if each], whom)
        actor = pick(self.actors(case, ("law_vice_principal", "vice_principal", "city_officer")), by)
        fields = {"person": [person], "because": FACT}
        self.attempt(lambda: self.engine(by).act(case.number, "exclude_person", by=actor, fields=fields))

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, by=PICK, seed=SEED)
    def oversee(self, which: int, by: int, seed: int) -> None:
        """Those above take a late clock in hand, pause one, take the case over, look at it, or give it back."""
        case = self.case(which)
        moves = [move for move in self.watch.procedure(case).workflow.moves.values() if {"hold", "pause", "resume"} & set(move.sets)
                 or move.tier in {"own", "lead"} or move.lead is not None or "oversight" in move.meets]
        if not moves:   # a review of an emergency reading has none of these
            return
        move = pick(moves, seed)
        self.make(case, move, pick([*self.actors(case, ("tier_holder",)), *self.actors(case, move.by)], by), seed)

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, by=PICK, track=st.sampled_from(shipped_tracks()))
    def begin_track(self, which: int, by: int, track: str) -> None:
        """Somebody opens a track beside a case; from then on it lives by chance as any case does, and holds its parent or ends with it."""
        case = self.case(which)
        opening = shipped()[track].opening
        fields = {field.name: self.value(case, field, Random(by)) for field in opening.fields if field.required}
        actor = pick(self.actors(case, opening.by), by)
        self.attempt(lambda: self.engine(which).open_case(track, by=actor, parent=case.number, fields=fields))

    @precondition(lambda self: any(case.open and case.parent is None for case in self.watch.cases.values()))
    @rule(which=PICK, by=PICK, seed=SEED)
    def end_otherwise(self, which: int, by: int, seed: int) -> None:
        """Two persons end a case that runs beside tracks by another way than its closure: whatever the file calls it."""
        case = pick([case for case in self.watch.cases.values() if case.open and case.parent is None], which)
        moves = self.watch.procedure(case).workflow.moves.values()
        ends = [move for move in moves if "tracks_handed_over_or_ended" in move.needs]
        asked = {word.partition(":")[2] for move in ends for word in move.second if ":" in word}
        for move in (*(move for move in moves if move.name in asked), *ends):
            now = self.watch.of(case.number)
            if now.stage in move.from_stages:
                self.make(now, move, pick(self.actors(now, move.by), by), seed * 51 + 1)

    @precondition(lambda self: any(case.open and case.subject is None and case.parent is None for case in self.watch.cases.values()))
    @rule(which=PICK, by=PICK, kid=PICK)
    def know(self, which: int, by: int, kid: int) -> None:
        """Somebody finds out who the child is; where it has a case already the two become one, with all their tracks."""
        case = pick([case for case in self.watch.cases.values() if case.open and case.subject is None and case.parent is None], which)
        kids = [each for each in self.kids if each.unit == case.unit] or self.kids
        actor = pick(self.actors(case, ("class_teacher", "counselor", "vice_principal")), by)
        self.attempt(lambda: self.engine(by).act(case.number, "identify", by=actor, fields={"subject": pick(kids, kid).ref}))

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, by=PICK, hours=st.sampled_from([0, 1, 4, 8]), key=st.sampled_from([None, "g-1", "g-2"]))
    def break_glass(self, which: int, by: int, hours: int, key: str | None) -> None:
        """Somebody reads in an emergency, and somebody else has to look at that: a track beside the case, which outlives it."""
        case = self.case(which)
        near = [duty.person for duty in self.posts if duty.unit in paths(case.unit)]
        actor = pick(self.cast if by % 6 == 0 else near, by)
        self.attempt(lambda: self.engine(by).break_glass(case.number, by=actor, because=FACT, hours=hours, key=key))

    @precondition(lambda self: len(self.watch.cases) > 1)
    @rule(one=PICK, other=PICK, by=PICK, relation=st.sampled_from(["related", "part_of", "merged_into"]))
    def link(self, one: int, other: int, by: int, relation: str) -> None:
        here, there = self.case(one), self.case(other)
        actor = pick(self.actors(here, ("counselor", "vice_principal", "city_officer")), by)
        self.attempt(lambda: self.engine(by).link(here.number, there.number, by=actor, relation=relation))

    # ---- people come and go ---------------------------------------------------------------------------------------------

    @rule(who=PICK, begins=st.sampled_from([-300, 0, 0, 20, 600]), lasts=st.sampled_from([1, 90, 60 * 24, 60 * 24 * 30]))
    def is_away(self, who: int, begins: int, lasts: int) -> None:
        start = self.now + timedelta(minutes=begins)
        self.attempt(lambda: self.engine(who).add_absence(
            person=self.somebody(who), begins_at=start, ends_at=start + timedelta(minutes=lasts), by=OPERATOR), present=True)

    @rule(which=PICK, later=st.sampled_from([None, 0, 45, 60 * 24]))
    def leaves(self, which: int, later: int | None) -> None:
        person = self.somebody(which)
        duty = pick([duty for duty in self.posts if duty.person == person] or self.posts, which)
        at = None if later is None else self.now + timedelta(minutes=later)
        post = {"role": duty.role, "unit": duty.unit, "person": duty.person}
        self.attempt(lambda: self.engine(which).end_duty(**post, at=at, by=OPERATOR), present=True)

    def somebody(self, which: int) -> str:
        """Return a person, most often one who holds a clock or answers."""
        living = [case for case in self.watch.cases.values() if case.open]
        busy = [person for case in living for person in (case.answers, *(clock.holder for clock in case.clocks)) if person]
        return pick(busy if which % 3 and busy else self.staff, which // 3)

    @rule(what=st.sampled_from(["all", "child", "deputy", "successor", "hours", "flu", "flu"]), which=PICK)
    def import_roster(self, what: str, which: int) -> None:
        empty = RosterSet((), (), (), (), (), ())
        kid, duty, other = pick(self.kids, which), pick(self.posts, which), pick(self.staff, which // 7)
        ill_places = paths(kid.unit)[-1 - which % 6:]   # the city alone, or the county too, or everybody down to the class
        ill = {post.person for post in self.posts if post.unit in ill_places}
        changed = {
            "flu": lambda: replace(empty, absences=tuple(Absence(person, self.now, self.now + WEEK) for person in sorted(ill))),
            "all": lambda: replace(self.roster, absences=(*self.roster.absences, Absence(other, self.now, self.now + timedelta(hours=3)))),
            "child": lambda: replace(empty, subjects=(replace(kid, unit=pick(self.kids, which // 7).unit),)),
            "deputy": lambda: replace(empty, duties=(replace(duty, person=other, rank=2),)),
            "successor": lambda: replace(empty, duties=(replace(duty, ends_at=self.now), replace(duty, person=other, begins_at=self.now))),
            "hours": lambda: replace(empty, duties=(replace(duty, hours="mon-fri 08:00-12:00"),)),
        }[what]()
        self.attempt(lambda: self.engine(which).import_roster(changed))

    @rule(years=st.integers(0, 3), by=PICK)
    def publish_calendar(self, years: int, by: int) -> None:
        calendar = published_calendar()
        longer = replace(calendar, published_until=calendar.published_until.replace(year=calendar.published_until.year + years))
        self.attempt(lambda: self.engine(by).publish_calendar(longer, by=pick(self.staff, by)))

    # ---- time -----------------------------------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 5, 10, 30, 60, 180, 60 * 24, 60 * 24 * 3, 60 * 24 * 15, 60 * 24 * 40]))
    def time_passes(self, minutes: int) -> None:
        """Nobody sweeps meanwhile: a minute, or an outage of 40 days."""
        self.now = min(self.now + timedelta(minutes=minutes), LAST)

    @rule(minutes=st.sampled_from([1, 7, 60, 60 * 24]))
    def clock_runs_back(self, minutes: int) -> None:
        self.now -= timedelta(minutes=minutes)
        self.watch.ran_back(self.now)

    @rule(which=PICK)
    def sweep_once(self, which: int) -> None:
        self.sweep(which)

    @precondition(lambda self: any(case.open for case in self.watch.cases.values()))
    @rule(which=PICK, times=st.integers(1, 5))
    def live(self, which: int, times: int) -> None:
        """The daemon runs: sweep at the very moments at which something is due."""
        for turn in range(times):
            self.sweep(which + turn)
            moments = [case.next_at for case in self.watch.cases.values() if case.open and case.next_at is not None]
            if not moments or min(moments) > LAST:
                return
            self.now = max(self.now, min(moments))
        self.sweep(which)

    @rule(which=PICK, down=st.sampled_from([False, False, True]))
    def deliver(self, which: int, down: bool) -> None:  # noqa: FBT001
        self.channel.fail = "the gateway is down" if down else ""
        self.engine(which).deliver()
        self.watch.messages(self.channel.sent[self._sent:])
        self._sent = len(self.channel.sent)
        self.watch.look(self.now)

    @precondition(lambda self: self.watch.cases)
    @rule(which=PICK, by=PICK)
    def read(self, which: int, by: int) -> None:
        """Reading changes nothing of a case, whoever reads."""
        case, engine, actor = self.case(which), self.engine(by), pick(self.cast, by)
        versions = {each.number: each.version for each in self.watch.cases.values()}
        for ask in (engine.case, engine.history, engine.moves):
            self.attempt(lambda ask=ask: ask(case.number, by=actor))  # type: ignore[misc]
        self.attempt(lambda: engine.queue(by=actor))
        assert {each.number: each.version for each in self.watch.cases.values()} == versions


class OneLife(City):
    """One class, three children: few cases that live long."""

    children: ClassVar[tuple[str, ...]] = ("stu-41", "stu-42", "stu-43")


def pick(things: Sequence[T], which: int) -> T:
    """Return one of them; which, only the number says."""
    return things[which % len(things)]
