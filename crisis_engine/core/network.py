"""The four-level network (四级预警网络) as a table of roles, and the check that names where somebody is missing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Literal

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.model import Absence, Duty, Unit

ROLE_LEVEL: dict[str, str] = {
    "peer": "class",
    "class_teacher": "class",
    "deputy_class_teacher": "class",
    "subject_teacher": "class",
    "grade_head": "grade",
    "counselor": "school",
    "vice_principal": "school",
    "law_vice_principal": "school",
    "leading_group": "school",
    "school_duty": "school",
    "school_doctor": "school",
    "county_officer": "county",
    "county_expert": "county",
    "county_duty": "county",
    "city_officer": "city",
    "city_expert": "city",
    "city_duty": "city",
    "city_leading_group": "city",
    "operator": "city",
    "security_officer": "city",
    "auditor": "city",
    "hospital_liaison": "partner",
    "centre": "partner",
    "hotline": "partner",
    "police_liaison": "partner",
    "health_liaison": "partner",
    "civil_affairs_liaison": "partner",
    "womens_federation_liaison": "partner",
    "youth_league_liaison": "partner",
    "cyberspace_liaison": "partner",
    "political_legal_liaison": "partner",
}
"""Each role and the kind of unit at which it is held."""

ROLE_ZH: dict[str, str] = {
    "peer": "心理委员",
    "class_teacher": "班主任",
    "deputy_class_teacher": "副班主任",
    "subject_teacher": "科任教师",
    "grade_head": "年级组长",
    "counselor": "心理教师",
    "vice_principal": "心理健康教育副校长",
    "law_vice_principal": "法治副校长",
    "leading_group": "危机干预工作领导小组",
    "school_duty": "值班教师",
    "school_doctor": "校医",
    "county_officer": "县区负责人",
    "county_expert": "县区专家",
    "county_duty": "县区值班员",
    "city_officer": "市指导中心",
    "city_expert": "市级专家",
    "city_duty": "市级值班员",
    "city_leading_group": "市领导小组",
    "operator": "系统管理员",
    "security_officer": "安全管理员",
    "auditor": "审计员",
    "hospital_liaison": "医院联络人",
    "centre": "校外心理健康辅导中心",
    "hotline": "心理热线",
    "police_liaison": "公安联络人",
    "health_liaison": "卫健联络人",
    "civil_affairs_liaison": "民政联络人",
    "womens_federation_liaison": "妇联联络人",
    "youth_league_liaison": "共青团联络人",
    "cyberspace_liaison": "网信联络人",
    "political_legal_liaison": "政法委联络人",
}
"""Each role in the field's own words."""

EXPECTED: dict[str, tuple[str, ...]] = {
    "class": ("peer", "class_teacher"),
    "grade": ("grade_head",),
    "school": ("counselor", "vice_principal", "law_vice_principal", "leading_group", "school_duty"),
    "county": ("county_officer", "county_expert"),
    "city": ("city_officer",),
}
"""What each level of the network must have, as the seed document says it; partners are a help and not a level."""

STOPS = frozenset({"class_teacher", "grade_head", "leading_group", "county_officer", "city_officer"})
"""The roles that answer at a level: without one of them a case would have to jump that level."""

SECOND_SIGNERS = frozenset({"counselor", "vice_principal", "law_vice_principal", "leading_group"})
"""The roles of a school whose holders may confirm each other's proposals."""

ENDING_FOR = timedelta(days=14)
"""How long before its end a duty without a successor is named."""

_EVER = datetime.min.replace(tzinfo=UTC)

Severity = Literal["stop", "warn"]
Kind = Literal["vacant", "absent", "ending", "one_person_school"]


@dataclass(frozen=True, slots=True)
class Gap:
    """A place where the network has nobody, or soon has nobody; `stop` where a level would have nobody who answers.

    `kind` is `vacant` (nobody holds the role now), `absent` (everybody who holds it is away now), `ending` (the last holder's
    duty ends within 14 days) or `one_person_school` (fewer than two people who may sign; the second is borrowed from the county).
    """

    unit: str
    kind: Kind
    role: str  # "" for a one_person_school
    text_en: str
    text_zh: str
    severity: Severity


def gaps(units: Iterable[Unit], duties: Iterable[Duty], absences: Iterable[Absence], now: datetime) -> tuple[Gap, ...]:
    """Return every gap at `now` in the order of unit, kind and role; the order of the input does not matter.

    Units that have ended or not begun are passed over with everything below them. A level that a place does not have (a school
    directly under the city, classes without grades) is no gap; somebody off hours is no gap either.
    """
    living = _living(units, now)
    away = {absence.person for absence in absences if absence.begins_at <= now < absence.ends_at}
    posts: defaultdict[str, defaultdict[str, list[Duty]]] = defaultdict(lambda: defaultdict(list))
    for duty in duties:
        if duty.unit in living and (duty.ends_at is None or duty.ends_at > now):
            posts[duty.unit][duty.role].append(duty)

    found: list[Gap] = []
    for unit in living.values():
        at_unit: Mapping[str, list[Duty]] = posts.get(unit.id, {})
        held = {role: [duty for duty in all_of_role if _begun(duty, now)] for role, all_of_role in at_unit.items()}
        found += [_vacant(unit, role) for role in EXPECTED.get(unit.kind, ()) if not held.get(role)]
        for role, holders in held.items():
            if holders and all(duty.person in away for duty in holders):
                found.append(_absent(unit, role))
            last = _last_end(at_unit[role])
            if holders and last is not None and last <= now + ENDING_FOR and not (unit.ends_at and unit.ends_at <= last):
                found.append(_ending(unit, role, last))
        if unit.kind == "school":
            signers = {duty.person for role in SECOND_SIGNERS for duty in held.get(role, ())}
            if len(signers) < 2:  # noqa: PLR2004 (a proposal and its confirmation need two people)
                found.append(_one_person(unit, len(signers)))
    return tuple(sorted(found, key=lambda gap: (gap.unit, gap.kind, gap.role)))


def _living(units: Iterable[Unit], now: datetime) -> dict[str, Unit]:
    """Return the units in force at `now` whose every unit above, as far as it is listed, is in force too."""
    by_id = {unit.id: unit for unit in units}
    verdict: dict[str, bool] = {}
    for unit in by_id.values():
        chain: list[Unit] = []
        step: Unit | None = unit
        while step is not None and step.id not in verdict:
            verdict[step.id] = False  # also ends the walk in a tree that a careless caller made cyclic
            chain.append(step)
            step = by_id.get(step.parent) if step.parent else None
        lives = verdict[step.id] if step is not None else True
        for link in reversed(chain):
            lives = lives and (link.begins_at is None or link.begins_at <= now) and (link.ends_at is None or now < link.ends_at)
            verdict[link.id] = lives
    return {unit_id: unit for unit_id, unit in by_id.items() if verdict[unit_id]}


def _begun(duty: Duty, now: datetime) -> bool:
    return duty.begins_at is None or duty.begins_at <= now


def _last_end(of_role: list[Duty]) -> datetime | None:
    """Return when these duties, none of which has ended, first leave the role empty; None if they never do.

    A duty that begins only after such a moment is no successor: the role would stand empty in between.
    """
    last: datetime | None = None
    for begins_at, duty in sorted(((duty.begins_at or _EVER, duty) for duty in of_role), key=itemgetter(0)):
        if last is not None and begins_at > last:
            break
        if duty.ends_at is None:
            return None
        last = duty.ends_at if last is None else max(last, duty.ends_at)
    return last


def _severity(role: str) -> Severity:
    return "stop" if role in STOPS else "warn"


def _role_zh(role: str) -> str:
    return ROLE_ZH.get(role, role)


def _vacant(unit: Unit, role: str) -> Gap:
    text_en = f"{unit.name} ({unit.id}): nobody is {role}."
    return Gap(unit.id, "vacant", role, text_en, f"{unit.name}（{unit.id}）：没有{_role_zh(role)}。", _severity(role))


def _absent(unit: Unit, role: str) -> Gap:
    text_en = f"{unit.name} ({unit.id}): every {role} is absent now and nobody stands in."
    text_zh = f"{unit.name}（{unit.id}）：{_role_zh(role)}目前请假或外出，无人代理。"
    return Gap(unit.id, "absent", role, text_en, text_zh, _severity(role))


def _ending(unit: Unit, role: str, last: datetime) -> Gap:
    day = last.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    text_en = f"{unit.name} ({unit.id}): the duty of {role} ends at {day} and has no successor."
    text_zh = f"{unit.name}（{unit.id}）：{_role_zh(role)}的任期于 {day} 结束，尚无接任者。"
    return Gap(unit.id, "ending", role, text_en, text_zh, "warn")


def _one_person(unit: Unit, signers: int) -> Gap:
    people = "person" if signers == 1 else "people"
    text_en = f"{unit.name} ({unit.id}): {signers} {people} may sign; the second signer is borrowed from the county."
    text_zh = f"{unit.name}（{unit.id}）：有签字资格者仅 {signers} 人，第二签字人由县区派出。"
    return Gap(unit.id, "one_person_school", "", text_en, text_zh, "warn")
