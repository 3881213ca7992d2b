"""A school year of a whole example city: thousands of cases, school by school, on as many processes as there are.

A case looks at its school and at what stands above it, never at another school: so each school is a rehearsal of its own. Who is away
and which posts are vacant is drawn for each person alone, what happens to a child for each child alone. The tallies add up: the result
depends on the seed, and neither on the number of processes nor on their order. For the same reason a partner has room for every
child: how many stand with it from other schools no school knows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from random import Random

from crisis_engine.almanac import published_calendar
from crisis_engine.core.calendar import CHINA, Calendar, Vacation
from crisis_engine.core.model import Absence, Agreement, Duty, Subject, Unit
from crisis_engine.core.policy import Access
from crisis_engine.core.resolve import paths
from crisis_engine.definitions import load_access
from crisis_engine.engine.sweep import calm_collector
from crisis_engine.example.city import PUPILS, SCHOOLS, generate_city
from crisis_engine.roster import RosterSet
from crisis_engine.simulate.book import Book, Shelf
from crisis_engine.simulate.child import Child
from crisis_engine.simulate.habit import Habits, Year, happens, load_habits, pick
from crisis_engine.simulate.measure import Measure, Tally
from crisis_engine.simulate.people import People
from crisis_engine.simulate.rehearsal import Rehearsal, number_from

_DAY = timedelta(days=1)
_SATURDAY = 5
_AGAIN_WITHIN = 90
_CHUNK = 8
_HUNDRED = 100
_ALWAYS = {"class_teacher", "city_duty"}   # who speaks where the post that would have spoken is vacant


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rehearsed: so many cases in a city of such a size, under one policy; `people` is a file of habits, None the shipped one."""

    cases: int = 20_000
    schools: int = SCHOOLS
    pupils: int = PUPILS
    seed: int = 1
    policy: str = "default_v1"
    workflow: str = "school_crisis_v1"
    people: str | None = None


def live(plan: Plan, jobs: int = 1, progress: Callable[[int, int], None] | None = None) -> Tally:
    """Rehearse the year and return what it came to; `progress` hears how many schools of how many are done. DefinitionError as ever."""
    town = Town(plan)   # whatever is wrong with a definition is said here, before any process begins
    chunks = [town.busy[start:start + _CHUNK] for start in range(0, len(town.busy), _CHUNK)]
    whole, done = Tally(), 0
    for count, tally in _lived(town, plan, chunks, jobs):
        whole.add(tally)
        done += count
        if progress is not None:
            progress(done, len(town.busy))
    return whole


def _lived(town: Town, plan: Plan, chunks: Sequence[Sequence[str]], jobs: int) -> Iterator[tuple[int, Tally]]:
    if jobs == 1:
        for chunk in chunks:
            yield len(chunk), town.live(chunk)
        return
    with get_context().Pool(jobs, initializer=_begin, initargs=(plan,)) as pool:
        yield from pool.imap_unordered(_live_chunk, chunks)


_TOWN: list[Town] = []   # of this process: each makes the same city from the seed, which is quicker than sending it


def _begin(plan: Plan) -> None:
    _TOWN[:] = [Town(plan)]


def _live_chunk(chunk: Sequence[str]) -> tuple[int, Tally]:
    return len(chunk), _TOWN[0].live(chunk)


class Town:
    """The city of a plan, with its year and its people's habits; `busy` are the schools in which cases come up."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.habits: Habits = load_habits(plan.people)
        self.access: Access = load_access()
        self.shelf = Shelf(plan.policy)
        self.shelf.procedure(plan.workflow)
        for opening in self.habits.opens:
            self.shelf.procedure(opening.track, track=True)
        city = generate_city(plan.seed, plan.schools, plan.pupils)
        self.top = next(unit.id for unit in city.units if unit.kind == "city")
        year = self.habits.year
        vacations = tuple(Vacation(self.top, first, last) for first, last in year.vacations)
        self.calendar: Calendar = replace(published_calendar(), vacations=vacations)
        self.units = {unit.id: unit for unit in city.units}
        self._below: dict[str, list[Unit]] = defaultdict(list)
        self._duties: dict[str, list[Duty]] = defaultdict(list)
        for unit in city.units:
            school = next((path for path in paths(unit.id) if self.units[path].kind == "school"), unit.id)
            self._below[school].append(unit)
        self._beside: dict[str, list[Unit]] = defaultdict(list)       # partners, by the unit to which they belong
        self._agreements: dict[str, list[Agreement]] = defaultdict(list)
        for unit in city.units:
            if unit.kind == "partner" and unit.parent is not None:
                self._beside[unit.parent].append(unit)
        for agreement in city.agreements:
            self._agreements[agreement.partner].append(agreement)
        self._roles: dict[str, str] = {}
        for duty in city.duties:
            self._duties[duty.unit].append(duty)
            self._roles.setdefault(duty.person, duty.role)
        classes = [unit.id for unit in city.units if unit.kind == "class"]
        self._arrivals = self._spread(classes)
        self.busy = sorted(self._arrivals)
        self._weights = _day_weights(year, self.calendar)

    def _spread(self, classes: Sequence[str]) -> dict[str, list[tuple[int, str, str]]]:
        """Return the cases of each school: their place in the city's list, the class and the pupil."""
        found: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        pupils, rooms = self.plan.pupils, len(classes)
        for case in range(self.plan.cases):
            chance = self._chance("child", case)
            place = int(chance.random() * rooms)
            first, last = pupils * place // rooms, pupils * (place + 1) // rooms   # as `generate_subjects` spreads them
            room = classes[place]
            school = next(path for path in paths(room) if self.units[path].kind == "school")
            found[school].append((case, room, f"s-{first + 1 + int(chance.random() * max(1, last - first)):07}"))
        return found

    def _chance(self, *what: object) -> Random:
        return Random(":".join(map(str, (self.plan.seed, *what))))  # noqa: S311 - must repeat, and is no secret

    # ---- one school -----------------------------------------------------------------------------------------------------

    def live(self, schools: Iterable[str]) -> Tally:
        """Live the year in these schools."""
        whole = Tally()
        with calm_collector():
            for school in schools:
                whole.add(self._live_school(school))
        return whole

    def _live_school(self, school: str) -> Tally:
        year = self.habits.year
        start, until = _midnight(year.first), _midnight(year.last + _DAY)
        arrivals = self._arrivals[school]
        book = Book(self._roster(school, {(room, ref) for _case, room, ref in arrivals}), self.access, self.calendar, self.shelf)
        measure = Measure(self.units, school, self._roles)
        rehearsal = Rehearsal(book, start, keep=False)
        people = People(rehearsal, self.habits)
        rehearsal.watch += [people, measure]
        rehearsal.looks.append(measure.look)
        for case, room, ref in arrivals:
            self._word_comes(rehearsal, people, case, room, ref)
        rehearsal.run(until)
        tally = measure.finish(book.cases.values(), until)
        tally.refused.update(people.refused)
        return tally

    def _roster(self, school: str, pupils: set[tuple[str, str]]) -> RosterSet:
        above = [self.units[path] for path in paths(school)[1:]]
        partners = [partner for unit in above for partner in self._beside[unit.id]]
        units = [*above, *partners, *self._below[school]]
        year, duties, absences = self.habits.year, [], []
        for unit in units:
            for duty in self._duties[unit.id]:
                chance = self._chance("staff", duty.person)
                if unit not in above and unit not in partners and happens(self.habits.vacant, chance):
                    continue
                duties.append(duty)
                absences += self._away(duty.person, chance, year)
        subjects = tuple(Subject(ref, ref, room) for room, ref in sorted(pupils))
        agreements = [replace(one, capacity=None) for unit in partners for one in self._agreements[unit.id]]
        return RosterSet(tuple(units), (), tuple(duties), tuple(absences), subjects, agreements=tuple(agreements))

    def _away(self, person: str, chance: Random, year: Year) -> list[Absence]:
        """Return when the person is away: as often as the habits say on average, each time from a morning on."""
        found = []
        for _time in range(2 * self.habits.absences):
            if chance.random() * 2 < 1:
                begins = _midnight(year.first + int(chance.random() * (year.last - year.first).days) * _DAY) + timedelta(hours=7)
                found.append(Absence(person, begins, begins + self.habits.away.draw(chance)))
        return found

    # ---- words ------------------------------------------------------------------------------------------------------------

    def _word_comes(self, rehearsal: Rehearsal, people: People, case: int, room: str, ref: str) -> None:
        words, chance = self.habits.words, self._chance("case", case)
        truth = pick(words.truth, chance)
        child = Child(ref, truth, chance)
        at = self._some_time(chance)
        rehearsal.plan(at, partial(self._speak, rehearsal, people, child, room, unknown=happens(words.unknown, chance)))
        if happens(words.again, chance):
            rehearsal.plan(at + timedelta(hours=1, seconds=int(chance.random() * _AGAIN_WITHIN * 86400)),
                           partial(self._speak, rehearsal, people, child, room, unknown=False))

    def _speak(self, rehearsal: Rehearsal, people: People, child: Child, room: str, *, unknown: bool) -> None:
        """Somebody of the class, the school or the city says a word about the child."""
        words, chance = self.habits.words, child.chance
        by = self._speaker(rehearsal.book, room, pick(words.by, chance))
        cue = words.cue.get(child.truth)
        ticked = cue is not None and not happens(words.silent, chance)
        danger = child.truth == "red" and happens(words.danger, chance)
        rehearsal.numbers, people.coming = (lambda _workflow: number_from(chance)), child
        rehearsal.report(unit=room, by=by, subject=None if unknown else child.ref, workflow=self.plan.workflow,
                         cues=[cue] if ticked else [], danger_now=danger)
        people.coming = None

    def _speaker(self, book: Book, room: str, role: str) -> str:
        """Return who holds that role for the class, or whoever else there may speak for it."""
        near = [duty for path in paths(room) for duty in book.duties.get(path, ())]
        fits = [duty for duty in near if duty.role == role] or [duty for duty in near if duty.role in _ALWAYS]
        return fits[0].person

    def _some_time(self, chance: Random) -> datetime:
        """Return a moment of the year: by its day's weight, mostly in the hours of school, now and then at night."""
        days, weights = self._weights
        at = chance.random() * weights[-1]
        low, high = 0, len(weights) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if weights[middle] <= at else (low, middle)
        hour = 7.5 + 10 * chance.random() if chance.random() < 0.8 else 24 * chance.random()  # noqa: PLR2004 - invented, as all of it
        return _midnight(days[low]) + timedelta(seconds=int(hour * 3600))


def _day_weights(year: Year, calendar: Calendar) -> tuple[list[date], list[int]]:
    """Return the days of the year and the sum of their weights so far."""
    days, sums, total = [], [], 0
    for place in range((year.last - year.first).days + 1):
        day = year.first + place * _DAY
        in_vacation = any(first <= day <= last for first, last in year.vacations)
        total += year.vacation_words if in_vacation else _HUNDRED if calendar.is_working_day(day) else year.weekend_words
        days.append(day)
        sums.append(total)
    return days, sums


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CHINA).astimezone(UTC)
