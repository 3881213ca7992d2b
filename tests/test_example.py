"""The example city as its documentation says it, and the generated city at full size."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from itertools import islice
from time import process_time

import pytest

from crisis_engine.core.network import ROLE_LEVEL, gaps
from crisis_engine.example import EXAMPLE_NOW, INTENDED_GAPS, example_roster
from crisis_engine.example.city import COUNTIES, generate_city, generate_subjects
from crisis_engine.roster import RosterSet

CLASS = "xinyang/shihe/no-3/g7/c2"


@pytest.fixture(scope="module")
def example() -> RosterSet:
    return example_roster()


@pytest.fixture(scope="module")
def city() -> RosterSet:
    return generate_city()


def holders(roster: RosterSet, role: str, unit: str) -> list[str]:
    return [duty.person for duty in roster.duties if (duty.role, duty.unit) == (role, unit)]


def test_the_roster_check_shows_exactly_the_intended_gaps(example: RosterSet) -> None:
    found = gaps(example.units, example.duties, example.absences, EXAMPLE_NOW)

    assert tuple((gap.unit, gap.kind, gap.role) for gap in found) == INTENDED_GAPS


def test_the_ids_of_the_documented_class_are_there(example: RosterSet) -> None:
    assert {subject.ref: subject.unit for subject in example.subjects}["stu-42"] == CLASS
    assert holders(example, "peer", CLASS) == ["p-71", "p-72"]
    assert holders(example, "class_teacher", CLASS) == ["p-11"]
    assert holders(example, "counselor", "xinyang/shihe/no-3") == ["p-31", "p-32"]
    assert len(holders(example, "leading_group", "xinyang/shihe/no-3")) == 3


def test_every_county_has_its_officer_duty_experts_hospital_and_centre(example: RosterSet) -> None:
    names = {unit.id: unit.name for unit in example.units if unit.kind == "county"}

    assert names == {f"xinyang/{word}": name for word, name, _ in COUNTIES}
    for county in names:
        assert len(holders(example, "county_officer", county)) == 1
        assert len(holders(example, "county_duty", county)) == 1
        assert len(holders(example, "county_expert", county)) == 2
        assert len(holders(example, "hospital_liaison", f"{county}/hospital")) == 1
        assert len(holders(example, "centre", f"{county}/centre")) == 1


def test_only_the_boarding_school_has_no_dismissal(example: RosterSet) -> None:
    dismissals = {unit.id: unit.dismissal for unit in example.units if unit.kind == "school"}

    assert dismissals.pop("xinyang/gushi/boarding-1") is None
    assert set(dismissals.values()) == {"17:30"}


def test_nobody_in_the_example_can_be_taken_for_real(example: RosterSet) -> None:
    names = [who.name for kind in (example.persons, example.guardians, example.subjects) for who in kind]
    contacts = [who.contact for kind in (example.persons, example.guardians) for who in kind]

    assert all(name.startswith("示例") for name in names)
    assert all(contact.endswith("@example.invalid") for contact in contacts)


def test_the_generated_city_has_the_seeds_numbers(city: RosterSet) -> None:
    kinds = Counter(unit.kind for unit in city.units)
    schools = [unit.id for unit in city.units if unit.kind == "school"]
    counselors = Counter(duty.unit for duty in city.duties if duty.role == "counselor")
    peers = Counter(duty.unit for duty in city.duties if duty.role == "peer")

    assert (kinds["city"], kinds["county"], kinds["school"]) == (1, 10, 941)
    assert kinds["class"] == 22_222  # a million pupils in classes of 45
    assert counselors.total() == 3263
    assert set(counselors) == set(schools)
    assert peers == Counter(unit.id for unit in city.units if unit.kind == "class")
    assert {school.split("/")[1] for school in schools} == {word for word, _, _ in COUNTIES}


def test_the_generated_city_has_no_gap(city: RosterSet) -> None:
    assert gaps(city.units, city.duties, city.absences, EXAMPLE_NOW) == ()


def test_the_generated_city_hangs_together(city: RosterSet) -> None:
    kinds = {unit.id: unit.kind for unit in city.units}

    assert len(kinds) == len(city.units)
    assert all(unit.parent is None or unit.parent in kinds for unit in city.units)
    assert all(kinds[duty.unit] == ROLE_LEVEL[duty.role] for duty in city.duties)
    assert {duty.person for duty in city.duties} == {person.id for person in city.persons}


def test_one_seed_makes_one_city_and_another_seed_another() -> None:
    assert generate_city(7, schools=30, pupils=30_000) == generate_city(7, schools=30, pupils=30_000)
    assert generate_city(7, schools=30, pupils=30_000).units != generate_city(8, schools=30, pupils=30_000).units


def test_the_city_of_seed_1_is_the_same_on_every_machine_and_python() -> None:
    city = generate_city(1, schools=30, pupils=30_000)
    ids = "\n".join([*(unit.id for unit in city.units), *(f"{duty.role} {duty.unit} {duty.person}" for duty in city.duties)])

    assert sha256(ids.encode()).hexdigest()[:16] == "ff54b5ffbd2d45c9"


@pytest.mark.parametrize(("schools", "pupils"), [(1, 1), (3, 50), (40, 40_000)])
def test_a_small_city_is_whole(schools: int, pupils: int) -> None:
    city = generate_city(schools=schools, pupils=pupils)

    assert sum(unit.kind == "school" for unit in city.units) == schools
    assert gaps(city.units, city.duties, (), EXAMPLE_NOW) == ()
    assert len(list(generate_subjects(city, pupils))) == pupils


def test_a_city_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        generate_city(schools=0)


def test_pupils_come_one_by_one_in_classes_of_about_45(city: RosterSet) -> None:
    first = list(islice(generate_subjects(city), 450))
    sizes = Counter(subject.unit for subject in first)

    assert len({subject.ref for subject in first}) == 450
    assert {sizes[unit] for unit in list(sizes)[:-1]} <= {44, 45, 46}
    assert {subject.id for subject in first} == {""}


def test_the_whole_city_is_made_in_less_than_three_seconds() -> None:
    begun = process_time()

    generate_city(seed=2)

    assert process_time() - begun < 3
