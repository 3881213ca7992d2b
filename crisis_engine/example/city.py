"""A whole invented city of any size, the same for the same seed: 941 schools, their network, and a million pupils on demand."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.model import Agreement, Duty, Person, Subject, Unit
from crisis_engine.core.network import ROLE_ZH
from crisis_engine.roster import RosterSet

SCHOOLS = 941
"""Schools with a counselling room (SEED.zh.md, section 2)."""

COUNSELORS = 3263
"""Psychology teachers, full and part time, of all schools (SEED.zh.md, section 2)."""

PUPILS = 1_000_000
"""A round number of our own."""

PUPILS_A_CLASS = 45
"""About what a class has; our own."""

# Rough shares of schools in per cent, by how many people live there; our own, good enough for a demonstration.
COUNTIES: tuple[tuple[str, str, int], ...] = (
    ("shihe", "浉河区", 11),
    ("pingqiao", "平桥区", 12),
    ("luoshan", "罗山县", 8),
    ("guangshan", "光山县", 9),
    ("xinxian", "新县", 5),
    ("shangcheng", "商城县", 8),
    ("gushi", "固始县", 17),
    ("huangchuan", "潢川县", 10),
    ("huaibin", "淮滨县", 9),
    ("xixian", "息县", 11),
)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A kind of school: its share of schools and of pupils in per cent, its grades, when its day pupils leave."""

    word: str
    zh: str
    schools: int
    pupils: int
    grades: tuple[int, ...]
    dismissal: str | None


_STAGES = (
    _Stage("primary", "小学", 65, 52, (1, 2, 3, 4, 5, 6), "17:30"),
    _Stage("junior", "初中", 26, 27, (7, 8, 9), "17:30"),
    _Stage("senior", "高中", 9, 21, (10, 11, 12), None),
)
_GRADE_ZH = ("一", "二", "三", "四", "五", "六", "七", "八", "九", "高一", "高二", "高三")
_AGREED, _AGREED_UNTIL = datetime(2025, 9, 1, tzinfo=CHINA), datetime(2028, 9, 1, tzinfo=CHINA)
_WORKDAY = "mon-fri 08:00-18:00"
_DAY = "mon-sun 06:30-18:30"
_NIGHT = "mon-sun 18:30-06:30"


def generate_city(seed: int = 1, schools: int = SCHOOLS, pupils: int = PUPILS) -> RosterSet:
    """Return units, persons, duties and agreements of a city whose network has no gap; pupils come from `generate_subjects`.

    The ten counties, and psychology teachers in the seed document's ratio (3,263 for 941 schools, at least one each), are the
    same at every size; only `random()` is drawn, which Python promises to keep. ValueError for fewer than one school or pupil.
    """
    if schools < 1 or pupils < 1:
        msg = f"A city needs schools and pupils, not {schools} and {pupils}: ask for at least one of each."
        raise ValueError(msg)
    plans = _plan(random.Random(seed), schools, pupils)  # noqa: S311 (an example that must repeat, not a secret)
    build = _Build()
    build.city()
    for word, name, _ in COUNTIES:
        build.county(word, name)
    for plan in plans:
        build.school(plan)
    return RosterSet(tuple(build.units), tuple(build.persons), tuple(build.duties), agreements=tuple(build.agreements))


def generate_subjects(city: RosterSet, pupils: int = PUPILS) -> Iterator[Subject]:
    """Yield exactly `pupils` pupils, spread evenly over the city's classes; `id` is "" until the store has given a key."""
    classes = [unit.id for unit in city.units if unit.kind == "class"]
    ref = 0
    for place, unit in enumerate(classes, 1):
        last = pupils * place // len(classes)
        while ref < last:
            ref += 1
            yield Subject("", f"s-{ref:07}", unit, f"示例学生{ref}")


# ---- how large everything is ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """One school to build: `classes` holds the number of classes of each grade."""

    county: str
    county_zh: str
    stage: _Stage
    number: int
    classes: tuple[int, ...]
    counselors: int


def _plan(draw: random.Random, schools: int, pupils: int) -> list[_Plan]:
    """Return each school's size; the shares, the classes and the psychology teachers add up exactly."""
    of_county = _share(schools, [share for _, _, share in COUNTIES], at_least=0)
    of_stage = _share(schools, [stage.schools for stage in _STAGES], at_least=0)
    stages = [stage for stage, count in zip(_STAGES, of_stage, strict=True) for _ in range(count)]
    order = sorted(range(schools), key=[draw.random() for _ in range(schools)].__getitem__)
    places = [county for county, count in zip(COUNTIES, of_county, strict=True) for _ in range(count)]
    kinds = [stages[place] for place in order]
    # A school has up to nine times the pupils of another of its kind, and small ones are more frequent.
    sizes = [draw.random() for _ in kinds]
    weights = [stage.pupils / stage.schools * (1 + 8 * size * size) for stage, size in zip(kinds, sizes, strict=True)]
    slots = [(place, weights[place] / len(stage.grades)) for place, stage in enumerate(kinds) for _ in stage.grades]
    rooms = _share(max(len(slots), round(pupils / PUPILS_A_CLASS)), [weight for _, weight in slots], at_least=1)
    classes: list[list[int]] = [[] for _ in kinds]
    for (place, _), count in zip(slots, rooms, strict=True):
        classes[place].append(count)
    counselors = _share(max(schools, round(COUNSELORS * schools / SCHOOLS)), [sum(counts) for counts in classes], at_least=1)
    numbers: dict[tuple[str, str], int] = {}
    plans = []
    for (word, zh, _), stage, counts, teachers in zip(places, kinds, classes, counselors, strict=True):
        numbers[word, stage.word] = numbers.get((word, stage.word), 0) + 1
        plans.append(_Plan(word, zh, stage, numbers[word, stage.word], tuple(counts), teachers))
    return plans


def _share(total: int, weights: list[float] | list[int], *, at_least: int) -> list[int]:
    """Return whole parts in the ratio of `weights`, each `at_least` as large, that add up to `total` (largest remainders)."""
    spare = total - at_least * len(weights)
    whole = math.fsum(weights)  # exact, so that a later Python's sum cannot round otherwise
    exact = [spare * weight / whole for weight in weights]
    parts = [int(part) for part in exact]
    by_remainder = sorted(range(len(weights)), key=lambda place: (parts[place] - exact[place], place))
    for place in by_remainder[: spare - sum(parts)]:
        parts[place] += 1
    return [part + at_least for part in parts]


# ---- building ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Build:
    """The roster while it grows; each duty brings an invented person of its own."""

    units: list[Unit] = field(default_factory=list)
    persons: list[Person] = field(default_factory=list)
    duties: list[Duty] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)

    def unit(self, unit_id: str, kind: str, name: str, dismissal: str | None = None, sort: str = "") -> str:
        self.units.append(Unit(unit_id, kind, name, unit_id.rpartition("/")[0] or None, dismissal=dismissal, sort=sort))
        return unit_id

    def partner(self, place: str, sort: str, name: str) -> str:
        """A partner that takes the children of this place for three school years; how many at a time nobody agreed."""
        unit = self.unit(f"{place}/{sort}", "partner", name, sort=sort)
        self.agreements.append(Agreement(f"agr-{place.rpartition('/')[2]}-{sort}", unit, place, _AGREED, _AGREED_UNTIL))
        return unit

    def duty(self, role: str, unit: str, rank: int = 1, *, hours: str = "", on_call: bool = False) -> None:
        number = len(self.persons) + 1
        person = f"p-{number:06}"
        self.persons.append(Person(person, f"示例{ROLE_ZH[role]}{number}", f"mailto:{person}@example.invalid"))
        self.duties.append(Duty(role, unit, person, rank=rank, hours=hours, on_call=on_call))

    def city(self) -> None:
        city = self.unit("xinyang", "city", "信阳市")
        for rank in (1, 2):
            self.duty("city_officer", city, rank, hours=_WORKDAY)
            self.duty("city_expert", city, rank)
            self.duty("city_leading_group", city, rank, on_call=True)
        self.duty("city_duty", city, on_call=True)
        self.duty("operator", city, on_call=True)
        self.duty("security_officer", city)
        self.duty("auditor", city)
        self.duty("hotline", self.unit("xinyang/hotline", "partner", "信阳市示例心理热线"), on_call=True)

    def county(self, word: str, name: str) -> None:
        county = self.unit(f"xinyang/{word}", "county", name)
        self.duty("county_officer", county, hours=_WORKDAY)
        self.duty("county_duty", county, on_call=True)
        self.duty("county_expert", county, 1)
        self.duty("county_expert", county, 2)
        self.duty("hospital_liaison", self.partner(county, "hospital", f"{name}示例医院"))
        self.duty("centre", self.partner(county, "centre", f"{name}示例校外心理健康辅导中心"))

    def school(self, plan: _Plan) -> None:
        stage = plan.stage
        name = f"{plan.county_zh}第{plan.number}示例{stage.zh}"
        school = self.unit(f"xinyang/{plan.county}/{stage.word}-{plan.number:03}", "school", name, stage.dismissal)
        for rank in range(1, plan.counselors + 1):
            self.duty("counselor", school, rank, hours=_WORKDAY)
        self.duty("vice_principal", school)
        self.duty("law_vice_principal", school)
        for rank in (1, 2, 3):
            self.duty("leading_group", school, rank, on_call=rank == 1)
        self.duty("school_duty", school, 1, hours=_DAY)
        self.duty("school_duty", school, 2, hours=_NIGHT, on_call=True)
        for number, classes in zip(stage.grades, plan.classes, strict=True):
            zh = f"{_GRADE_ZH[number - 1]}年级"
            grade = self.unit(f"{school}/g{number}", "grade", zh)
            self.duty("grade_head", grade)
            for place in range(1, classes + 1):
                room = self.unit(f"{grade}/c{place}", "class", f"{zh}{place}班")
                self.duty("class_teacher", room)
                self.duty("peer", room)
