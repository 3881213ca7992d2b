"""Rights in the life of a roster: offices that must be apart, forged posts, who may change what, and what a file of rights may say."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from crisis_engine import BadInput, DefinitionError, NotAllowed, NotFound, RosterError
from crisis_engine.core.model import Duty, Person, Subject, Unit
from crisis_engine.core.parse_access import parse_access
from crisis_engine.definitions import load_access
from crisis_engine.roster import RosterSet, read_roster

from .story import (
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_DUTY,
    COUNTY_OFFICER,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SCHOOL,
    City,
)

# ---- offices that one person never holds together ----------------------------------------------------------------------------------------


def duties_file(folder: Path, *rows: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "duties.csv"
    path.write_text("role,unit,person,begins_at,ends_at\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_an_import_names_file_and_line_of_a_second_office(city: City, tmp_path: Path) -> None:
    path = duties_file(tmp_path / "roster", "auditor,xinyang,p-901,,", "security_officer,xinyang,p-901,,")
    (tmp_path / "roster" / "persons.csv").write_text("id,name\np-901,示例\n", encoding="utf-8")
    with pytest.raises(RosterError, match="p-901 would be auditor and security_officer at once") as caught:
        read_roster([path.parent], city.engine.known_roster())
    assert (Path(caught.value.file).name, caught.value.line) == ("duties.csv", 3)


def test_an_office_that_the_database_knows_counts_too(city: City, tmp_path: Path) -> None:
    path = duties_file(tmp_path / "roster", f"auditor,xinyang,{OPERATOR},,")
    with pytest.raises(RosterError, match="operator and auditor at once"):
        read_roster([path.parent], city.engine.known_roster())


def test_one_office_after_the_other_is_nobodys_conflict(city: City, tmp_path: Path) -> None:
    city.engine.end_duty(role="operator", unit="xinyang", person=OPERATOR, by=OPERATOR)
    path = duties_file(tmp_path / "roster", f"auditor,xinyang,{OPERATOR},2026-03-02 08:00,")
    assert city.engine.import_roster(read_roster([path.parent], city.engine.known_roster()))["duties"] == 1


def test_a_host_that_imports_past_the_files_is_refused_and_nothing_is_written(city: City) -> None:
    with pytest.raises(BadInput, match="at once"):
        city.engine.import_roster(RosterSet(duties=(Duty("auditor", "xinyang", OPERATOR), Duty("peer", CLASS, "p-72"))))
    assert ("auditor", OPERATOR) not in [(duty["role"], duty["person"]) for duty in city.engine.roster("xinyang")["duties"]]


def test_two_offices_that_were_written_past_the_engine_give_neither(city: City) -> None:
    case = city.report(PEER)
    assert city.engine.case(case.number, by=OPERATOR).stage == "reported"
    with city.engine.store.writing() as tx:
        tx.import_roster(RosterSet(duties=(Duty("auditor", "xinyang", OPERATOR),)))

    for call in (
        lambda: city.engine.case(case.number, by=OPERATOR), lambda: city.engine.cases(by=OPERATOR),
        lambda: city.engine.counts(by=OPERATOR), lambda: city.engine.reads(case.number, by=OPERATOR),
        lambda: city.engine.end_duty(role="peer", unit=CLASS, person=PEER, by=OPERATOR), lambda: city.engine.roster(by=OPERATOR),
    ):
        with pytest.raises(NotAllowed):
            call()
    assert city.engine.queue(by=OPERATOR) == []


# ---- posts that do not count ---------------------------------------------------------------------------------------------------


def test_a_post_at_a_unit_of_another_kind_gives_nothing(city: City) -> None:
    """A forged scope: a counselor "of the whole city" was written past the roster's checks."""
    case = city.report(PEER)
    with city.engine.store.writing() as tx:
        tx.import_roster(RosterSet(persons=(Person("p-901"),), duties=(Duty("counselor", "xinyang", "p-901"),)))
    for call in (
        lambda: city.engine.case(case.number, by="p-901"), lambda: city.engine.cases(by="p-901"), lambda: city.report("p-901"),
        lambda: city.engine.break_glass(case.number, by="p-901", because="x"), lambda: city.engine.roster(by="p-901"),
    ):
        with pytest.raises(NotAllowed):
            call()


def test_a_duty_counts_from_its_first_to_its_last_moment(city: City) -> None:
    case = city.report(PEER)
    duty = Duty("counselor", SCHOOL, "p-901", begins_at=city.time("09:00"), ends_at=city.time("10:00"))
    city.engine.import_roster(RosterSet(persons=(Person("p-901"),), duties=(duty,)))
    seen = []
    for time in ("08:59", "09:00", "09:59", "10:00"):
        city.clock.set(city.time(time))
        try:
            seen.append(city.engine.case(case.number, by="p-901").number == case.number)
        except NotAllowed:
            seen.append(False)
    assert seen == [False, True, True, False]


def test_two_duties_in_two_schools_each_read_their_own(city: City) -> None:
    """The union of what each allows, never their product: a counselor elsewhere reads no notes where they are class teacher."""
    city.engine.import_roster(RosterSet(duties=(Duty("counselor", "xinyang/exp-1", CLASS_TEACHER),)))
    case = city.report(PEER).reach("intervening").act(COUNSELOR, "note", text="咨询内容一二三")
    assert "咨询内容" not in str(case.history(by=CLASS_TEACHER))
    case.refused(NotAllowed, CLASS_TEACHER, "step_down")
    other = city.report("p-35", subject=None, unit="xinyang/exp-1")
    assert other.number in [line.number for line in city.engine.cases(by=CLASS_TEACHER)]


# ---- the roster itself -----------------------------------------------------------------------------------------------------------


def test_a_leader_imports_for_the_own_school_and_not_beyond(city: City) -> None:
    own = RosterSet(persons=(Person("p-901"),), duties=(Duty("school_doctor", SCHOOL, "p-901"),))
    assert city.engine.import_roster(own, by=PRINCIPAL)["duties"] == 1
    for beyond in (
        RosterSet(duties=(Duty("county_officer", "xinyang/shihe", "p-901"),)), RosterSet(duties=(Duty("operator", "xinyang", "p-901"),)),
        RosterSet(persons=(Person("p-101", contact="mailto:me@example.invalid"),)), RosterSet(units=(Unit("xinyang", "city", "x", None),)),
        RosterSet(subjects=(Subject("", "stu-1", "xinyang/exp-1"),)),
    ):
        with pytest.raises(NotAllowed):
            city.engine.import_roster(beyond, by=PRINCIPAL)
    for nobody in (CLASS_TEACHER, COUNSELOR, PEER):
        with pytest.raises(NotAllowed):
            city.engine.import_roster(own, by=nobody)


def test_nobody_gives_themselves_a_duty(city: City) -> None:
    """Whoever may change the roster would else read whatever they like: the duty that reads it is theirs to write."""
    for by, duty in (
        (PRINCIPAL, Duty("law_vice_principal", SCHOOL, PRINCIPAL)), (OPERATOR, Duty("counselor", SCHOOL, OPERATOR)),
        (COUNTY_DUTY, Duty("county_expert", "xinyang/shihe", COUNTY_DUTY)),
    ):
        with pytest.raises(NotAllowed, match="themselves"):
            city.engine.import_roster(RosterSet(duties=(duty,)), by=by)
    with city.engine.store.reading() as tx:
        as_it_is = tuple(tx.duties_of(PRINCIPAL))
    assert city.engine.import_roster(RosterSet(duties=as_it_is), by=PRINCIPAL)["duties"] == len(as_it_is)


def test_a_unit_elsewhere_is_not_taken_by_naming_another_parent(city: City) -> None:
    for unit in (Unit("xinyang/exp-1", "school", "x", SCHOOL), Unit("xinyang/exp-1/g9", "grade", "x", SCHOOL)):
        with pytest.raises(NotAllowed):
            city.engine.import_roster(RosterSet(units=(unit,)), by=PRINCIPAL)


def test_a_number_of_cases_handed_over_tells_nobody_of_cases_that_they_do_not_see(city: City) -> None:
    """A class teacher's leave that the county records would count the cases of one class; a principal whom one concerns would miss it."""
    city.report(PEER, about_staff=[PRINCIPAL])
    leave = {"begins_at": city.clock(), "ends_at": city.time("17:00")}
    assert city.engine.add_absence(person=CLASS_TEACHER, by=COUNTY_DUTY, **leave) == 0
    assert city.engine.end_duty(role="deputy_class_teacher", unit=CLASS, person="p-17", by=PRINCIPAL) == 0
    assert city.engine.end_duty(role="grade_head", unit=f"{SCHOOL}/g7", person="p-21", by=OPERATOR) == 1


def test_the_next_page_of_a_list_begins_after_a_number_however_it_is_spelled(city: City) -> None:
    numbers = [city.report(PEER).number, city.report("p-12", subject="stu-31").number]
    for spelled in (numbers[0], numbers[0].lower().replace("-", " ")):
        assert [line.number for line in city.engine.cases(by=COUNSELOR, after=spelled)] == numbers[1:]


def test_whoever_reads_the_roster_sees_the_children_of_the_own_units_alone(city: City) -> None:
    assert {child["unit"] for child in city.engine.roster(by=CLASS_TEACHER)["subjects"]} == {CLASS}
    assert all(child["unit"].startswith("xinyang/shihe/") for child in city.engine.roster(by=COUNTY_OFFICER)["subjects"])
    assert city.engine.roster(by=OPERATOR)["subjects"] == []
    assert len(city.engine.roster(by=CITY_OFFICER)["subjects"]) == len(city.engine.roster()["subjects"]) > 50
    for blind in (PEER, "stu-42", "gd-42"):
        with pytest.raises(NotAllowed):
            city.engine.roster(by=blind)


def test_a_link_shows_only_a_case_that_the_reader_sees_too(city: City) -> None:
    one, other = city.report(PEER), city.report("p-12", subject="stu-31")
    city.engine.link(one.number, other.number, by=COUNSELOR)
    assert city.engine.case(one.number, by=COUNSELOR).links == (("related", other.number),)
    assert city.engine.case(one.number, by=CLASS_TEACHER).links == ()
    assert other.number not in str(one.history(by=CLASS_TEACHER))
    with pytest.raises(NotAllowed):
        city.engine.link(one.number, other.number, by=OPERATOR)


def test_a_number_that_was_read_over_the_telephone_finds_the_whole_history(city: City) -> None:
    case = city.report(PEER)
    assert city.engine.history(case.number.replace("-", "").lower(), by=COUNSELOR) == case.history(by=COUNSELOR)
    with pytest.raises(NotFound):
        city.engine.history("zzz", by=COUNSELOR)


# ---- the file of rights ----------------------------------------------------------------------------------------------------------

GONE = object()


def document() -> dict[str, Any]:
    from crisis_engine import definitions

    return definitions._read(definitions._find("access_v1", "policies"), "access_v1.toml")  # noqa: SLF001 (there is no public document)


@pytest.mark.parametrize(("path", "value", "key", "says"), [
    ("action.case.raed", {}, "action.case.raed", 'Did you mean "case.read"'),
    ("action.case.read.sight", ["conselor"], "action.case.read.sight", 'Did you mean "counselor"'),
    ("action.case.read.forbid", ["concernd"], "action.case.read.forbid", 'Did you mean "concerned"'),
    ("action.case.read.forbid", [], "action.case.read.forbid", "must not learn"),
    ("action.case.read.sihgt", ["reader"], "action.case.read.sihgt", 'Did you mean "sight"'),
    ("action.glass", GONE, "action.glass.break", "nothing says who may do this"),
    ("role.peer.glass", 2, "role.peer.glass", "writes blind"),
    ("role.student.addressed", 0, "role.student.addressed", "writes blind"),
    ("separate.roles", ["operator", "auditer"], "separate.roles", 'Did you mean "auditor"'),
    ("separate.mark", GONE, "separate.mark", "without source and mark"),
    ("glass.at_most", "3wd", "glass.at_most", "wall clock"),
    ("glass.source", GONE, "glass.source", "without source and mark"),
    ("counts.at_least", 1, "counts.at_least", "from 2 to 100"),
    ("dossier.school_crisis_v1.level", "town", "dossier.school_crisis_v1.level", "not known here"),
    ("dossier.school_crisis_v1.stages", [], "dossier.school_crisis_v1.stages", "no stage"),
])
def test_a_broken_file_of_rights_is_refused_with_file_key_and_reason(path: str, value: object, key: str, says: str) -> None:
    doc = deepcopy(document())
    *above, last = path.split(".")
    table: Any = doc
    for name in above:
        table = table[name]
    if value is GONE:
        del table[last]
    else:
        table[last] = value
    with pytest.raises(DefinitionError, match=says) as caught:
        parse_access(doc, "access_v1.toml")
    assert (caught.value.file, caught.value.key) == ("access_v1.toml", key)


def test_a_dossier_names_stages_that_the_workflow_has(tmp_path: Path) -> None:
    from importlib.resources import files

    from crisis_engine.definitions import load_procedure

    text = files("crisis_engine.policies").joinpath("access_v1.toml").read_text(encoding="utf-8")
    path = tmp_path / "access_v1.toml"
    path.write_text(text.replace('"county_reviewed", ', '"county_revewed", '), encoding="utf-8")
    with pytest.raises(DefinitionError, match='Did you mean "county_reviewed"'):
        load_procedure(access=str(path))
    assert load_access().dossiers


def test_nobody_in_the_roster_is_called_as_whoever_imports_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "persons.csv").write_text("id,name\noperator,示例\n", encoding="utf-8")
    with pytest.raises(RosterError, match="something else"):
        read_roster([tmp_path / "persons.csv"])
