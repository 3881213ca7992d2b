"""The check of the four-level network: who is missing, who is away, whose duty ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.model import UNIT_KINDS, Absence, Duty, Unit
from crisis_engine.core.network import EXPECTED, ROLE_LEVEL, STOPS, Gap, gaps

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=CHINA)
DAY = timedelta(days=1)
PATHS = {"city": "市", "county": "市/县", "school": "市/县/校", "grade": "市/县/校/级", "class": "市/县/校/级/班"}
UNITS = tuple(Unit(path, kind, kind, path.rpartition("/")[0] or None) for kind, path in PATHS.items())
DUTIES = tuple(
    Duty(role, PATHS[kind], f"{role}-1") for kind, roles in EXPECTED.items() for role in roles
)  # fmt: skip


def without(role: str) -> tuple[Duty, ...]:
    return tuple(duty for duty in DUTIES if duty.role != role)


def changed(role: str, **what: datetime) -> tuple[Duty, ...]:
    return tuple(replace(duty, **what) if duty.role == role else duty for duty in DUTIES)  # type: ignore[arg-type]  # only dates are given


def only(found: tuple[Gap, ...]) -> Gap:
    assert len(found) == 1, found
    return found[0]


def test_a_complete_network_has_no_gap() -> None:
    assert gaps(UNITS, DUTIES, (), NOW) == ()


@pytest.mark.parametrize(("kind", "role"), [(kind, role) for kind, roles in EXPECTED.items() for role in roles])
def test_each_role_that_the_network_expects_is_missed_at_its_level(kind: str, role: str) -> None:
    gap = only(gaps(UNITS, without(role), (), NOW))

    assert (gap.unit, gap.kind, gap.role) == (PATHS[kind], "vacant", role)
    assert gap.severity == ("stop" if role in STOPS else "warn")
    assert role in gap.text_en
    assert "没有" in gap.text_zh


def test_a_duty_that_has_ended_or_not_begun_leaves_the_place_empty() -> None:
    assert only(gaps(UNITS, changed("counselor", ends_at=NOW), (), NOW)).kind == "vacant"
    assert only(gaps(UNITS, changed("counselor", begins_at=NOW + DAY), (), NOW)).kind == "vacant"
    assert gaps(UNITS, changed("counselor", begins_at=NOW), (), NOW) == ()


def test_somebody_off_hours_is_no_gap() -> None:
    asleep = tuple(replace(duty, hours="sat 08:00-12:00") for duty in DUTIES)

    assert gaps(UNITS, asleep, (), NOW) == ()


def test_a_level_that_does_not_exist_is_no_gap() -> None:
    units = (Unit("市", "city", "市", None), Unit("市/直", "school", "直", "市"), Unit("市/直/班", "class", "班", "市/直"))
    place = {"city": "市", "school": "市/直", "class": "市/直/班"}
    duties = [replace(duty, unit=place[ROLE_LEVEL[duty.role]]) for duty in DUTIES if ROLE_LEVEL[duty.role] in place]

    assert gaps(units, duties, (), NOW) == ()


def test_a_school_with_one_person_in_all_roles_borrows_the_second_signer() -> None:
    alone = tuple(replace(duty, person="p-1") if duty.unit == PATHS["school"] else duty for duty in DUTIES)

    gap = only(gaps(UNITS, alone, (), NOW))

    assert (gap.unit, gap.kind, gap.role, gap.severity) == (PATHS["school"], "one_person_school", "", "warn")
    assert "1 person" in gap.text_en


def test_an_absent_holder_without_a_deputy_is_a_gap_and_one_with_a_deputy_is_none() -> None:
    away = Absence("class_teacher-1", NOW - DAY, NOW + DAY)
    deputy = Duty("class_teacher", PATHS["class"], "p-2", rank=2)

    gap = only(gaps(UNITS, DUTIES, (away,), NOW))

    assert (gap.kind, gap.role, gap.severity) == ("absent", "class_teacher", "stop")
    assert gaps(UNITS, (*DUTIES, deputy), (away,), NOW) == ()
    assert gaps(UNITS, DUTIES, (away,), away.ends_at) == ()
    assert only(gaps(UNITS, DUTIES, (away,), away.begins_at)).kind == "absent"


@pytest.mark.parametrize(
    ("successor_begins_at", "successor_ends_at", "is_gap"),
    [
        (NOW + 10 * DAY, None, False),
        (NOW + 5 * DAY, NOW + 100 * DAY, False),
        (NOW + 11 * DAY, None, True),  # a day in between without anybody
        (NOW + 5 * DAY, NOW + 12 * DAY, True),  # ends soon as well
    ],
)
def test_a_duty_that_ends_within_a_fortnight_needs_a_successor_without_a_break(
    successor_begins_at: datetime, successor_ends_at: datetime | None, *, is_gap: bool
) -> None:
    duties = changed("counselor", ends_at=NOW + 10 * DAY)
    successor = Duty("counselor", PATHS["school"], "p-2", successor_begins_at, successor_ends_at)

    assert only(gaps(UNITS, duties, (), NOW)).kind == "ending"
    assert bool(gaps(UNITS, (*duties, successor), (), NOW)) is is_gap


def test_a_duty_that_ends_later_or_with_its_unit_is_no_gap_yet() -> None:
    soon = NOW + 3 * DAY
    graduating = tuple(replace(unit, ends_at=soon) if unit.kind == "class" else unit for unit in UNITS)
    duties = tuple(replace(duty, ends_at=soon) if duty.unit == PATHS["class"] else duty for duty in DUTIES)

    assert gaps(UNITS, changed("counselor", ends_at=NOW + 15 * DAY), (), NOW) == ()
    assert gaps(graduating, duties, (), NOW) == ()
    assert {gap.kind for gap in gaps(UNITS, duties, (), NOW)} == {"ending"}


def test_units_that_have_ended_are_passed_over_with_all_below_them() -> None:
    closed = tuple(replace(unit, ends_at=NOW) if unit.kind == "school" else unit for unit in UNITS)

    assert gaps(closed, [duty for duty in DUTIES if ROLE_LEVEL[duty.role] in {"city", "county"}], (), NOW) == ()


def test_the_order_of_the_input_does_not_matter() -> None:
    found = gaps(UNITS, (), (), NOW)

    assert found == gaps(reversed(UNITS), (), (), NOW)
    assert [gap.unit for gap in found] == sorted(gap.unit for gap in found)
    assert len(found) == sum(len(roles) for roles in EXPECTED.values()) + 1


def test_every_expected_role_is_held_at_that_level() -> None:
    assert all(ROLE_LEVEL[role] == kind for kind, roles in EXPECTED.items() for role in roles)
    assert set(ROLE_LEVEL.values()) == set(UNIT_KINDS)
    assert ROLE_LEVEL.keys() > STOPS


def test_a_cyclic_tree_ends_the_check_all_the_same() -> None:
    units = (Unit("a", "school", "a", "b"), Unit("b", "school", "b", "a"))

    assert gaps(units, (), (), NOW) == ()
