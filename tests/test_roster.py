"""Roster files: what is read, what is refused with place and way out, and that writing and reading give the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import RosterError
from crisis_engine.core.model import Absence, Duty, Guardian, Person, Subject, Unit
from crisis_engine.core.network import ROLE_LEVEL, ROLE_ZH
from crisis_engine.example import example_roster
from crisis_engine.roster import RosterSet, read_roster, write_roster
from crisis_engine.roster.cell import KIND_WORDS, ROLE_WORDS
from crisis_engine.roster.column import LAYOUTS
from crisis_engine.roster.sheet import LARGEST_FILE

UNITS = "id,kind,name,parent\n市,city,市,\n市/县,county,县,市\n市/县/校,school,校,市/县\n市/县/校/一,class,一班,市/县/校\n"
PERSONS = "id,name\np-1,甲\np-2,乙\n"
DUTIES = "role,unit,person\ncounselor,市/县/校,p-1\n"
COUNSELOR = "counselor,市/县/校,p-1"
ABSENCES = "person,begins_at,ends_at\np-1,"
SUBJECTS = "ref,unit\nstu-1,市/县/校/一\n"
SOUND = {"units": UNITS, "persons": PERSONS, "duties": DUTIES, "subjects": SUBJECTS}


def put(folder: Path, files: dict[str, str | bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def refusal(folder: Path, files: dict[str, str | bytes]) -> RosterError:
    with pytest.raises(RosterError) as caught:
        read_roster([put(folder, {**SOUND, **files})])
    return caught.value


# ---- what is refused --------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[str, str | bytes, int | None, str, list[str]]] = {
    # name: file, content, line, column, words of the message and the way out
    "a byte that is neither encoding": (
        "persons", b"id,name\np-1,ok\np-2,\xff\xff\n", 3, "",
        ["neither UTF-8 nor GB18030", "CSV UTF-8"],
    ),
    "UTF-8 with one broken byte": ("persons", "id,name\np-1,示例教师甲\np-2,".encode() + b"\xe4\xbd,\n", 3, "", ["no UTF-8"]),
    "a BOM and then a broken byte": ("persons", b"\xef\xbb\xbfid,name\np-1,\xd6\xd0\n", 2, "", ["no UTF-8"]),
    "UTF-16": ("persons", "id,name\np-1,甲\n".encode("utf-16"), 1, "", ["NUL bytes", "UTF-16"]),
    "a NUL byte": ("persons", "id,name\np-1,甲\np-2,\0\n", 3, "", ["NUL bytes"]),
    "an empty file": ("persons", "", None, "", ["empty", "columns"]),
    "a file of blank lines": ("persons", "\n,,\n\n", None, "", ["empty"]),
    "a missing column": ("units", "id,kind,name\n市,city,市\n", 1, "parent", ['"parent" is missing', "上级"]),
    "an unknown column": ("persons", "id,name,contct\np-1,甲,x\n", 1, "contct", ["unknown column", 'Did you mean "contact"?']),
    "an unknown column like nothing": ("persons", "id,zzz\np-1,甲\n", 1, "zzz", ["unknown column", "id, name, contact"]),
    "a column without a name": ("persons", "id,,name\np-1,x,甲\n", 1, "", ["unknown column"]),
    "a column twice": ("persons", "id,name,姓名\np-1,甲,乙\n", 1, "姓名", ['the same as "name"', "Keep one"]),
    "an unclosed quote": ("persons", 'id,name\np-1,"甲\np-2,乙\n', 2, "", ["no CSV", "quotes"]),
    "signs after a quote": ("persons", 'id,name\np-1,"甲"乙\n', 2, "", ["no CSV"]),
    "a line break in a cell": ("persons", 'id,name\np-1,"甲\n乙"\n', 2, "name", ["line break"]),
    "a cell of 10 MB": ("persons", f"id,name\np-1,{'x' * 10_000_000}\n", 2, "", ["field limit"]),
    "a cell of 2,000 characters": ("persons", f"id,name\np-1,{'x' * 2000}\n", 2, "name", ["2000 characters"]),
    "more cells than columns": ("persons", "id,name\np-1,甲,乙\n", 2, "", ["3 cells, the header 2", "comma"]),
    "an empty cell that must be filled": ("duties", f"{DUTIES},市/县/校,p-1\n", 3, "role", ["empty", "Every row"]),
    "a formula for an id": ("persons", "id,name\n=1+1,甲\n", 2, "id", ['"=1+1" is no id', "letter or digit"]),
    "the engine's own name for an id": ("persons", "id,name\nengine,甲\n", 2, "id", ["stands in the log", "another id"]),
    "an option for an id": ("persons", "id,name\n-rf,甲\n", 2, "id", ["is no id"]),
    "a unit twice": ("units", f"{UNITS}市/县,county,县,市\n", 6, "id", ["stands already in line 3"]),
    "a person twice": ("persons", f"{PERSONS}p-1,丙\n", 4, "id", ["p-1 stands already in line 2"]),
    "a duty twice": ("duties", f"{DUTIES}心理教师,市/县/校,p-1\n", 3, "person", ["stands already in line 2"]),
    "a pupil twice": ("subjects", f"{SUBJECTS}stu-1,市/县/校\n", 3, "ref", ["stands already", "学籍号"]),
    "an absence twice": (
        "absences", f"{ABSENCES}2026-03-02,2026-03-03\np-1,2026-03-02,2026-03-03\n", 3, "person",
        ["stands already"],
    ),
    "a guardian twice": ("guardians", "id,subject\ng,stu-1\ng,stu-1\n", 3, "id", ["stands already"]),
    "a circle of units": ("units", f"{UNITS}a/b,school,b,b/a\nb/a,school,a,a/b\n", 6, "parent", ["cyclic"]),
    "a unit that is its own parent": ("units", f"{UNITS}市/县/乙,school,乙,市/县/乙\n", 6, "parent", ["cyclic"]),
    "an unknown parent": (
        "units", f"{UNITS}市/县/校/二/乙,class,乙,市/县/校/二\n", 6, "parent",
        ["there is no unit", "Did you mean"],
    ),
    "an id beside its parent": ("units", f"{UNITS}市/乙,school,乙,市/县\n", 6, "id", ["not one step below 市/县", '"市/县/乙"']),
    "an id two steps below its parent": ("units", f"{UNITS}市/县/x/乙,school,乙,市/县\n", 6, "id", ["not one step below"]),
    "an id with an empty segment": ("units", f"{UNITS}市/县/,school,乙,市/县\n", 6, "id", ["not one step below"]),
    "a deep id without a parent": ("units", f"{UNITS}市/乙,county,乙,\n", 6, "parent", ["has no parent", '"市"']),
    "a class without a parent": ("units", f"{UNITS}乙,class,乙,\n", 6, "parent", ["grade or a school"]),
    "a county under a school": (
        "units", f"{UNITS}市/县/校/乙,county,乙,市/县/校\n", 6, "kind",
        ["cannot hang under a school", "under a city"],
    ),
    "a city under a city": ("units", f"{UNITS}市/乙,city,乙,市\n", 6, "kind", ["cannot hang under a city", "under nothing"]),
    "a class directly under a county": ("units", f"{UNITS}市/县/乙,class,乙,市/县\n", 6, "kind", ["grade or a school"]),
    "an unknown kind": ("units", f"{UNITS}市/县/乙,scool,乙,市/县\n", 6, "kind", ["no kind of unit", 'Did you mean "school"?']),
    "an unknown role": ("duties", f"{DUTIES}counsellor,市/县/校,p-1\n", 3, "role", ["no role", 'Did you mean "counselor"?']),
    "an unknown Chinese role": ("duties", f"{DUTIES}心里教师,市/县/校,p-1\n", 3, "role", ["no role", 'Did you mean "心理教师"?']),
    "a role like nothing": ("duties", f"{DUTIES}zzz,市/县/校,p-1\n", 3, "role", ["Write one of peer, class_teacher"]),
    "a duty of an unknown person": (
        "duties", f"{DUTIES}counselor,市/县/校,p-11\n", 3, "person",
        ['no person "p-11"', 'Did you mean "p-1"?'],
    ),
    "a duty at an unknown unit": (
        "duties", f"{DUTIES}counselor,市/县/小,p-1\n", 3, "unit",
        ['no unit "市/县/小"', "Did you mean"],
    ),
    "a role at the wrong kind of unit": ("duties", f"{DUTIES}peer,市/县/校,p-1\n", 3, "role", ["held at a class", "is a school"]),
    "an absence of nobody": ("absences", "人员,开始,结束\nx-9,2026-03-02,2026-03-03\n", 2, "人员", ["no person", "persons.csv"]),
    "a pupil of no class": ("subjects", "ref,unit\nstu-1,市/县/校/二班\n", 2, "unit", ["no unit"]),
    "a pupil at home in a county": ("subjects", "ref,unit\nstu-1,市/县\n", 2, "unit", ["no pupil is at home there"]),
    "a guardian of nobody": ("guardians", "id,subject\ng-1,stu-9\n", 2, "subject", ["no pupil", 'Did you mean "stu-1"?']),
    "a word for a date": ("duties", f"role,unit,person,begins_at\n{COUNSELOR},soon\n", 2, "begins_at", ["no date", "2026-03-02"]),
    "a 30th of February": ("absences", f"{ABSENCES}2026-02-30,2026-03-03\n", 2, "begins_at", ["no date of the calendar"]),
    "a date at the end of time": ("absences", f"{ABSENCES}2026-02-03,9999-12-31T23:00-10:00\n", 2, "ends_at", ["no date"]),
    "a date before 1900": ("absences", f"{ABSENCES}0026-02-03,2026-03-03\n", 2, "begins_at", ["before 1900"]),
    "an end before the begin": ("absences", f"{ABSENCES}2026-03-03,2026-03-02\n", 2, "ends_at", ["not after the begin"]),
    "an end at the begin": ("absences", f"{ABSENCES}2026-03-03,2026-03-02T16:00Z\n", 2, "ends_at", ["not after the begin"]),
    "rank 0": ("duties", f"role,unit,person,rank\n{COUNSELOR},0\n", 2, "rank", ["no rank", "answers first"]),
    "rank one and a half": ("duties", f"role,unit,person,顺位\n{COUNSELOR},1.5\n", 2, "顺位", ["no rank"]),
    "hours that are none": ("duties", f"role,unit,person,hours\n{COUNSELOR},always\n", 2, "hours", ["mon-fri 08:00-18:00"]),
    "neither yes nor no": ("duties", f"role,unit,person,on_call\n{COUNSELOR},maybe\n", 2, "on_call", ["neither yes nor no"]),
    "a dismissal at 25 o'clock": (
        "units", "id,kind,name,parent,dismissal\n市,city,市,,25:00\n", 2, "dismissal",
        ["no time of day", "17:30"],
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_wrong_file_is_refused_with_file_line_column_and_way_out(name: str, tmp_path: Path) -> None:
    file, content, line, column, words = FAULTS[name]

    error = refusal(tmp_path, {file: content})

    assert error.exit_code == 65
    assert error.file == str(tmp_path / f"{file}.csv")
    assert (error.line, error.key) == (line, column)
    first = str(error).splitlines()[0]
    assert f"{file}.csv" in first
    for word in words:
        assert word in first


def test_each_fault_of_several_files_stands_on_its_own_line_and_causes_no_others(tmp_path: Path) -> None:
    error = refusal(tmp_path, {
        "units": UNITS.replace("市/县/校,school", "市/县/校,scool"),  # everything that refers to this school is not wrong for it
        "persons": "id,name\np-1,甲,乙\np-2,乙\n",
        "duties": f"{DUTIES}counselor,市/县/校,p-3\n",
    })  # fmt: skip

    lines = str(error).splitlines()
    assert [line.partition(".csv:")[2].partition(":")[0] for line in lines] == ["4, key kind", "2", "3, key person"]


def test_reading_stops_at_twenty_faults_and_says_so(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"persons": "id,name\n" + "".join(f"-{number},甲\n" for number in range(500))})

    lines = str(error).splitlines()
    assert len(lines) == 21
    assert "Reading stopped after 20 faults" in lines[-1]


def test_a_missing_file_names_itself_and_no_follow_up_faults(tmp_path: Path) -> None:
    folder = put(tmp_path, {"duties": DUTIES})

    with pytest.raises(RosterError, match=r"units\.csv: there is no such file") as caught:
        read_roster([folder / "units.csv", folder / "duties.csv"])

    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_roster_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n")

    with pytest.raises(RosterError, match="holds no roster file"):
        read_roster([tmp_path])


def test_a_file_over_200_megabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "persons.csv"
    with path.open("wb") as stream:
        stream.truncate(LARGEST_FILE + 1)  # sparse: it takes no space

    with pytest.raises(RosterError, match="more than 200000000"):
        read_roster([path])


def test_a_file_of_unknown_name_and_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(RosterError, match=r"neither name nor header.*units\.csv"):
        read_roster([path])


def test_the_kind_of_a_known_unit_does_not_change(tmp_path: Path) -> None:
    known = RosterSet(units=(Unit("市", "county", "县", None),))

    with pytest.raises(RosterError, match="is a county in the database"):
        read_roster([put(tmp_path, {"units": UNITS})], known)


def test_no_message_repeats_a_name_or_an_address(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"persons": "id,name,contact\n-1,示例秘密,mailto:secret@example.invalid\n"})

    assert "秘密" not in str(error)
    assert "secret" not in str(error)


# ---- what is read -----------------------------------------------------------------------------------------------


def test_a_gb18030_roster_with_chinese_headers_says_the_same_as_the_english_one(tmp_path: Path) -> None:
    chinese = {
        "单位": "单位编号,类型,名称,上级,放学时间,备注\nx,市,示例市,,,\n"
                "x/y,县（区）,示例县,x,,\nx/y/z,学校,示例校,x/y,17：30,略\n",
        "人员": "工号,姓名,联系方式\np-1,示例教师甲,mailto:p-1@example.invalid\n",
        "岗位": "角色,单位,人员,开始,结束,顺位,时段,值班\n"
                "心理教师,x/y/z,p-1,2026年3月1日,2026/7/1 8:00,２,mon-fri 08:00-18:00,是\n",
        "请假": "人员,开始,结束\np-1,2026-03-02 08:00,2026-03-03\n",
        "学生": "学号,单位,姓名\nstu-1,x/y/z,示例学生甲\n",
        "监护人": "监护人编号,学号,姓名,联系方式\ng-1,stu-1,示例家长甲,+86 000\n",
    }
    english = RosterSet(
        (
            Unit("x", "city", "示例市", None),
            Unit("x/y", "county", "示例县", "x"),
            Unit("x/y/z", "school", "示例校", "x/y", dismissal="17:30"),
        ),
        (Person("p-1", "示例教师甲", "mailto:p-1@example.invalid"),),
        (
            Duty(
                "counselor", "x/y/z", "p-1",
                datetime(2026, 3, 1, tzinfo=CHINA), datetime(2026, 7, 1, 8, tzinfo=CHINA), 2, "mon-fri 08:00-18:00", on_call=True,
            ),
        ),
        (Absence("p-1", datetime(2026, 3, 2, 8, tzinfo=CHINA), datetime(2026, 3, 3, tzinfo=CHINA)),),
        (Subject("", "stu-1", "x/y/z", "示例学生甲"),),
        (Guardian("g-1", "stu-1", "示例家长甲", "+86 000"),),
    )  # fmt: skip

    for encoding in ("gb18030", "utf-8", "utf-8-sig"):
        folder = put(tmp_path / encoding, {name: text.encode(encoding) for name, text in chinese.items()})
        assert read_roster([folder]) == english


def test_a_file_is_recognised_by_its_header_when_its_name_says_nothing(tmp_path: Path) -> None:
    write_roster(example_roster(), tmp_path)
    paths = [path.rename(path.with_stem(f"part-{number}")) for number, path in enumerate(sorted(tmp_path.iterdir()))]

    assert read_roster(paths) == example_roster()


def test_the_parts_of_a_roster_may_come_in_several_files_and_any_order(tmp_path: Path) -> None:
    one = put(tmp_path / "one", {"duties": DUTIES})
    two = put(tmp_path / "two", {"persons": PERSONS, "units": UNITS})

    assert len(read_roster([one, two / "persons.csv", two / "units.csv"]).duties) == 1


def test_references_may_point_to_what_the_database_has(tmp_path: Path) -> None:
    known = read_roster([put(tmp_path / "all", dict(SOUND))])
    later = put(tmp_path / "later", {"duties": DUTIES, "guardians": "id,subject\ng-1,stu-1\n"})

    assert read_roster([later], known).guardians == (Guardian("g-1", "stu-1"),)
    with pytest.raises(RosterError):
        read_roster([later])


def test_a_known_pupil_may_come_again_in_another_class(tmp_path: Path) -> None:
    known = RosterSet(subjects=(Subject("key", "stu-1", "市/县"),))

    assert read_roster([put(tmp_path, dict(SOUND))], known).subjects == (Subject("", "stu-1", "市/县/校/一"),)


def test_a_school_may_hang_under_the_city_and_a_class_under_a_school(tmp_path: Path) -> None:
    units = f"{UNITS}市/直,school,直,市\n市/直/一,class,一,市/直\n市/院,partner,院,市\n"

    assert len(read_roster([put(tmp_path, {"units": units})]).units) == 7


def test_dates_without_a_zone_are_chinas_and_a_bare_date_is_local_midnight(tmp_path: Path) -> None:
    absences = "person,begins_at,ends_at\np-1,2026-03-02,2026-03-02T18:00\np-1,2026-03-02T00:00Z,2026-03-02T10:00:30.5+0900\n"

    bare, zoned = read_roster([put(tmp_path, {**SOUND, "absences": absences})]).absences

    assert bare.begins_at == datetime(2026, 3, 1, 16, tzinfo=UTC)
    assert bare.ends_at == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert zoned.begins_at == datetime(2026, 3, 2, tzinfo=UTC)
    assert zoned.ends_at == datetime(2026, 3, 2, 1, 0, 30, 500_000, tzinfo=UTC)
    assert bare.begins_at.utcoffset() == zoned.ends_at.utcoffset() == timedelta(hours=8)


def test_names_and_contacts_that_look_like_formulas_stay_text(tmp_path: Path) -> None:
    rows = 'id,name,contact\np-1,=cmd|1,+86 000\np-2,-甲,"@x, y"\n'

    persons = read_roster([put(tmp_path, {**SOUND, "persons": rows})]).persons

    assert persons == (Person("p-1", "=cmd|1", "+86 000"), Person("p-2", "-甲", "@x, y"))


def test_blank_lines_trailing_commas_windows_line_ends_and_spaces_are_forgiven(tmp_path: Path) -> None:
    rows = "id,name,,\r\n\r\n p-1 ,\u3000甲\u3000,,\r\n,,,\r\np-2\r\n"

    assert read_roster([put(tmp_path, {**SOUND, "persons": rows})]).persons == (Person("p-1", "甲"), Person("p-2"))


def test_every_role_and_kind_has_a_chinese_word_and_no_two_columns_of_a_file_share_a_header() -> None:
    assert ROLE_LEVEL.keys() == ROLE_ZH.keys() == set(ROLE_WORDS.values())
    assert all(ROLE_WORDS[zh] == role for role, zh in ROLE_ZH.items())
    assert len(set(ROLE_ZH.values())) == len(ROLE_ZH)
    assert {KIND_WORDS[zh] for zh in ("市", "县区", "学校", "年级", "班级")} == {"city", "county", "school", "grade", "class"}
    for layout in LAYOUTS.values():
        headers = [header for column in layout.columns for header in column.headers]
        assert len(headers) == len(set(headers)), layout.kind


# ---- writing ----------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12).map(str.strip)
NAME = TEXT.filter(bool)
SEGMENT = st.from_regex(r"[a-z0-9\u4e00-\u4eff][a-z0-9.\-]{0,5}", fullmatch=True)
MOMENT = st.datetimes(datetime(1950, 1, 1), datetime(2200, 1, 1), timezones=st.sampled_from([CHINA, UTC]))  # noqa: DTZ001 (hypothesis adds the zone)
HOURS = st.sampled_from(["", "mon-fri 08:00-18:00", "mon-sun 18:30-06:30; sat 08:00-12:00"])


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime, datetime]:
    begins_at, ends_at = sorted(draw(st.lists(MOMENT, min_size=2, max_size=2, unique=True)))
    return begins_at, ends_at


@st.composite
def rosters(draw: st.DrawFn) -> RosterSet:
    """Draw a sound roster: a tree with a city, its schools and classes, and what refers to them."""
    units = [Unit(draw(SEGMENT), "city", draw(NAME), None, policy=draw(st.none() | NAME))]
    hangs = (("county", "city"), ("school", "county"), ("school", "city"), ("class", "school"), ("partner", "county"))
    for kind, parents in hangs:
        for parent in [unit for unit in units if unit.kind == parents]:
            for segment in draw(st.lists(SEGMENT, max_size=2, unique=True)):
                begins_at, ends_at = draw(st.tuples(st.none(), st.none()) | spans())
                unit_id, dismissal = f"{parent.id}/{segment}", draw(st.sampled_from([None, "07:05", "17:30"]))
                if all(unit.id != unit_id for unit in units):
                    units.append(Unit(unit_id, kind, draw(NAME), parent.id, begins_at, ends_at, dismissal))
    persons = [Person(person, draw(TEXT), draw(TEXT)) for person in draw(st.lists(SEGMENT, max_size=4, unique=True))]
    duties, absences, subjects = [], [], []
    for person in persons:
        unit = draw(st.sampled_from(units))
        role = draw(st.sampled_from([role for role, level in ROLE_LEVEL.items() if level == unit.kind]))
        begins_at, ends_at = draw(st.tuples(st.none() | MOMENT, st.none()) | spans())
        rank, hours, on_call = draw(st.integers(1, 99)), draw(HOURS), draw(st.booleans())
        duties.append(Duty(role, unit.id, person.id, begins_at, ends_at, rank, hours, on_call))
        absences.append(Absence(person.id, *draw(spans())))
    homes = [unit.id for unit in units if unit.kind in {"class", "school"}]
    if homes:
        refs = draw(st.lists(SEGMENT, max_size=3, unique=True))
        subjects = [Subject("", ref, draw(st.sampled_from(homes)), draw(TEXT)) for ref in refs]
    guardians = [Guardian(f"g-{number}", subject.ref, draw(TEXT), draw(TEXT)) for number, subject in enumerate(subjects)]
    shuffled = draw(st.permutations(units))
    return RosterSet(tuple(shuffled), tuple(persons), tuple(duties), tuple(absences), tuple(subjects), tuple(guardians))


@settings(max_examples=60, deadline=None)
@given(rosters(), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_what_is_written_is_read_back_equal(roster: RosterSet, encoding: str) -> None:
    with TemporaryDirectory() as folder:
        for path in write_roster(roster, Path(folder) / "new"):
            path.write_bytes(path.read_text(encoding="utf-8").encode(encoding))
        assert read_roster([Path(folder) / "new"]) == roster


def test_a_folder_that_cannot_be_written_is_a_roster_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(RosterError, match="cannot be written"):
        write_roster(RosterSet(), tmp_path / "taken")
