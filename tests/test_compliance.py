"""The yearly audit's pack: what it counts, and that no fact, name or formula is in it."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from crisis_engine import BadInput, NotAllowed
from crisis_engine.cli import main
from crisis_engine.core.model import Person
from crisis_engine.roster import RosterSet

from .story import CITY_OFFICER, CLASS_TEACHER, COUNSELOR, COUNTY_OFFICER, OPERATOR, PRINCIPAL, SECOND_CITY_OFFICER, City

FACT, NAME = "她写下的话谁也不该在这里看见", "示例姓名不得外传"


def year_of(city: City) -> str:
    """A year with a case, readings, an emergency, a failed proof and a seal; return the case's number."""
    city.engine.import_roster(RosterSet(persons=(Person("p-31", NAME, "13800000000"),)))
    city.at("09:00")
    number = city.report(facts=FACT, cues=["suicide_words"]).reach("planning").number
    city.engine.history(number, by=COUNSELOR)
    city.engine.break_glass(number, by="p-103", because=FACT)
    city.engine.seal()
    assert city.engine.verify(by=OPERATOR).ok
    city.engine.export(number, by=PRINCIPAL, because=FACT)
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER crisis_event_kept")
        tx.connection.exec_driver_sql("UPDATE crisis_event SET rung = 99 WHERE seq = 1")
    assert not city.engine.verify(by=OPERATOR).ok
    return number


def tables_of(data: bytes) -> dict[str, list[list[str]]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {
            name: list(csv.reader(io.StringIO(archive.read(name).decode("utf-8-sig"))))[1:]
            for name in archive.namelist() if name.endswith(".csv")
        }


def test_a_pack_counts_rights_readings_incidents_and_checkpoints(city: City) -> None:
    number = year_of(city)
    tables = tables_of(city.engine.compliance_pack(2026, by=CITY_OFFICER))
    assert ["counselor", "school", "3", "unit"] in tables["roles.csv"]
    assert any(row[0] == "audit.export" for row in tables["actions.csv"])
    assert ["xinyang/shihe/no-3", "counselor", COUNSELOR] in [row[:3] for row in tables["holders.csv"]]
    reads = {tuple(row[:4]): row[4:] for row in tables["reads.csv"]}
    assert reads["2026-03", "operator", "audit.verify", "0"] == ["2", "1", "0"]
    assert ("2026-03", "counselor", "history", "2") in reads or ("2026-03", "counselor", "history", "3") in reads
    assert [row[1:] for row in tables["incidents.csv"]] == [["emergency reading", number], ["proof failed", ""]]
    assert [row[1] for row in tables["checkpoints.csv"]] == ["2"]
    assert len(tables["keys.csv"]) == 1
    assert tables["erasures.csv"] == tables["holds.csv"] == []


def test_a_pack_holds_no_fact_no_name_and_no_reason(city: City) -> None:
    year_of(city)
    data = city.engine.compliance_pack(2026, by=CITY_OFFICER)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        text = "".join(archive.read(name).decode() for name in archive.namelist())
    for secret in (FACT, NAME, "13800000000", "stu-42"):
        assert secret not in text
    for wrong in ("<script", "src=", "http"):
        assert wrong not in text


def test_a_pack_is_silent_about_a_case_that_concerns_whoever_asks(city: City) -> None:
    """Its number would say that there is one, and that nobody may show it to this person would say the rest."""
    case = city.report(about_staff=[CITY_OFFICER])
    city.engine.break_glass(case.number, by="p-12", because="roof")
    city.engine.place_hold("case", case.number, because="a court asks", by=SECOND_CITY_OFFICER)
    held = {by: case.number in str(tables_of(city.engine.compliance_pack(2026, by=by))) for by in (CITY_OFFICER, SECOND_CITY_OFFICER)}
    assert held == {CITY_OFFICER: False, SECOND_CITY_OFFICER: True}


def test_a_year_without_anything_and_a_year_that_is_none(city: City) -> None:
    tables = tables_of(city.engine.compliance_pack(2031, by=CITY_OFFICER))
    assert tables["reads.csv"] == tables["incidents.csv"] == tables["checkpoints.csv"] == []
    assert tables["roles.csv"]
    for year in (0, 2019, 2120, 10**9):
        with pytest.raises(BadInput, match="no year"):
            city.engine.compliance_pack(year, by=CITY_OFFICER)


def test_the_pack_is_the_same_each_time_but_for_the_note_of_the_one_before(city: City) -> None:
    year_of(city)
    city.clock.advance(timedelta(days=400))   # the next year's reading of the pack is the next year's
    assert city.engine.compliance_pack(2026, by=CITY_OFFICER) == city.engine.compliance_pack(2026, by=CITY_OFFICER)


def test_only_those_may_have_it_whom_the_access_file_names(city: City) -> None:
    for by in (CLASS_TEACHER, COUNTY_OFFICER, OPERATOR):
        with pytest.raises(NotAllowed):
            city.engine.compliance_pack(2026, by=by)


def test_a_cell_that_would_be_a_formula_is_text(city: City) -> None:
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("INSERT INTO crisis_access_log (who, what, number, at, why, tier, glass)"
                                      " VALUES ('=cmd|calc', '=1+1', NULL, 1772409600000000, '', 2, 0)")
    (row,) = tables_of(city.engine.compliance_pack(2026, by=CITY_OFFICER))["reads.csv"]
    assert row[2] == "'=1+1"


def test_the_console_writes_the_pack(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRISIS_NOW", "2026-12-31T09:00+08:00")
    command = ["compliance", "pack", "--year", "2026", "--out", "pack.zip", "--as", CITY_OFFICER, "--db", city.url]
    assert main([*command, "--lang", "zh"]) == 0
    assert "已写入 pack.zip" in capsys.readouterr().out
    assert Path("pack.zip").stat().st_size > 1000
    assert Path("pack.zip").stat().st_mode & 0o077 == 0
    assert main([*command, "--json"]) == 74
