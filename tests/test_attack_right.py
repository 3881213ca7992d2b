"""Attacks on rights: one person for two, whom a case concerns, counts that an access file does not give, passwords in what is shown."""

from __future__ import annotations

import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.engine import URL

from crisis_engine import CommandRejected, CrisisError, NotAllowed, NotFound, open_engine
from crisis_engine.daemon import Settings
from crisis_engine.definitions import load_access
from crisis_engine.engine.migrate import MigrationReport
from crisis_engine.roster import RosterSet
from crisis_engine.store.dialect import masked
from crisis_engine.store.home import Files

from . import test_migrate
from .story import CLASS, COUNSELOR, COUNTY_OFFICER, OPERATOR, PEER, VICE_PRINCIPAL, City
from .test_migrate import SECOND, moved, reported, stored

two, nearer = test_migrate.two, test_migrate.nearer   # the fixtures


# ---- one for two -------------------------------------------------------------------------------------------------------------------


def test_after_a_revert_no_operator_moves_the_cases_once_more_alone(two: City, nearer: str) -> None:
    number = reported(two)
    before = stored(two, number).procedure
    done = moved(two, "xinyang_v1", nearer)
    two.engine.apply_migration(two.engine.propose_revert(done, by=OPERATOR), by=SECOND)
    assert stored(two, number).procedure == before
    with pytest.raises(CommandRejected, match="later migration"):
        two.engine.apply_migration(done, by=SECOND)
    assert stored(two, number).procedure == before


def test_after_a_second_migration_no_operator_reverts_it_alone_by_an_older_revert(two: City, nearer: str) -> None:
    number = reported(two)
    back = two.engine.propose_revert(moved(two, "xinyang_v1", nearer), by=OPERATOR)
    two.engine.apply_migration(back, by=SECOND)
    two.skip(minutes=1)
    moved(two, "xinyang_v1", nearer)
    after = stored(two, number).procedure
    with pytest.raises(CommandRejected, match="later migration"):
        two.engine.apply_migration(back, by=SECOND)
    assert stored(two, number).procedure == after


def test_what_somebody_proposed_who_is_no_operator_any_more_counts_no_more(two: City, nearer: str) -> None:
    number = reported(two)
    before = stored(two, number).procedure
    proposed = two.engine.propose_migration("xinyang_v1", nearer, by=SECOND)
    place = next(one for one in two.engine.roster(subjects=False)["duties"] if one["person"] == SECOND and one["role"] == "operator")
    two.engine.end_duty(role="operator", unit=place["unit"], person=SECOND, by=OPERATOR)
    with pytest.raises(CommandRejected, match="no operator any more"):
        two.engine.apply_migration(proposed, by=OPERATOR)
    assert stored(two, number).procedure == before


# ---- whom a case concerns --------------------------------------------------------------------------------------------------------------


def test_an_operator_whom_a_case_concerns_learns_of_it_by_no_rehearsal(two: City, nearer: str) -> None:
    number = reported(two)
    two.engine.act(number, "withhold_from_guardian", by=COUNSELOR, fields={"because": "x"})
    with two.engine.store.writing() as tx:
        tx.connection.execute(text("INSERT INTO crisis_recusal SELECT id, :person FROM crisis_case"), {"person": OPERATOR})
    told = two.engine.rehearse_migration("xinyang_v1", nearer, by=OPERATOR)
    assert told == MigrationReport("xinyang_v1", nearer), "as if there were no such case"
    assert two.engine.rehearse_migration("xinyang_v1", nearer, by=SECOND).stuck == [(number, "proposal", "withhold_from_guardian")]


@pytest.mark.parametrize("look", ["explain", "case", "history", "moves"])
def test_whom_a_case_concerns_hears_what_a_stranger_to_any_number_hears(city: City, look: str) -> None:
    case = city.report(PEER, about_staff=[VICE_PRINCIPAL])
    with pytest.raises(NotFound) as hidden:
        getattr(city.engine, look)(case.number, by=VICE_PRINCIPAL)
    with pytest.raises(NotFound) as none:
        getattr(city.engine, look)("AAA-AAA-AAA", by=VICE_PRINCIPAL)
    assert str(hidden.value).replace(case.number, "AAA-AAA-AAA") == str(none.value)


# ---- what an access file does not give -------------------------------------------------------------------------------------------------


def test_a_leader_who_may_not_count_is_told_no_counts(city: City) -> None:
    for subject in ("stu-41", "stu-42", "stu-43", "stu-44"):
        city.report(PEER, subject=subject, unit=CLASS)
    city.skip(days=5)
    city.sweep()
    shipped = load_access()
    count = shipped.actions["case.count"]
    strict = replace(shipped, actions={**shipped.actions, "case.count": replace(count, unit=count.unit - {"county_officer"})})
    for access, told in ((strict, False), (shipped, True)):
        with open_engine(city.url, clock=city.clock, access=access) as engine:
            engine.digest(kind="weekly")
        with city.engine.store.writing() as tx:
            lines = [one.lines for one in tx.waiting_digests(1000) if one.person == COUNTY_OFFICER]
            tx.connection.exec_driver_sql("DELETE FROM crisis_digest")
        assert any(one["units"] for one in lines) is told


@pytest.mark.parametrize("policy", ["default_v1", "no_such_v1", "/etc/hostname"])
def test_whoever_may_not_replay_the_past_learns_of_no_file_whether_it_is_there(city: City, policy: str) -> None:
    with pytest.raises(NotAllowed):
        city.engine.backtest(policy, by=COUNSELOR)


# ---- what is shown of a URL --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [
    "postgresql://u:s3cr@3t@h/db", "postgresql+psycopg://u:s3cret@h:54x/db", "postgresql:/u:s3cret@h/db", "u:s3cret@h/db",
    "postgresql://h/db?password=s3cret", "postgresql://h/db?sslpassword=s3cret", "mysql://u:s3@cr@3t@h",
    "sqlite:///postgresql:/u:s3cret@h/db",
])
def test_no_part_of_a_password_is_shown(url: str) -> None:
    shown = masked(url)
    assert all(part not in shown for part in ("s3", "cret", "3t", "cr@")), shown


def test_a_database_whose_name_is_a_path_has_its_files_in_its_folder_all_the_same(tmp_path: Path) -> None:
    for name in ("../../elsewhere", "/etc/elsewhere", "..", "plain"):
        files = Files.of(URL.create("postgresql", host="h", database=name), tmp_path)
        for file in (files.seal, files.ledger, files.masters(None).file):
            assert file is not None
            assert file.resolve().parent == tmp_path.resolve()
    assert Files.of(make_url("postgresql://h/plain"), tmp_path).seal == tmp_path / "plain.seal"


def test_what_a_daemon_is_told_shows_no_secret_url() -> None:
    assert "s3cret" not in repr(Settings(ping_url="https://example.invalid/s3cret"))


def test_a_refusal_of_the_server_carries_no_value_in_any_traceback(postgres_url: str) -> None:
    with open_engine(postgres_url) as engine:
        engine.import_roster(RosterSet())
        for sql in ("INSERT INTO crisis_digest (kind, period, person, at, lines) VALUES ('s3cret', 'x', 'y', 1, 'z')",
                    "SELECT 's3cret'::bigint", "SELECT * FROM json_to_recordset('[{\"a\": \"s3cret\"}]') AS v(a bigint)"):
            with pytest.raises(CrisisError) as refused, engine.store.writing() as tx:
                tx._run(sql)  # noqa: SLF001 - no row that the engine writes breaks a rule
            assert "s3cret" not in "".join(traceback.format_exception(refused.value)).replace(sql, "")


def test_a_url_without_a_password_is_shown_as_it_is(tmp_path: Path) -> None:
    for url in ("postgresql://u@h:5432/db", f"sqlite:///{tmp_path}/crisis.db", "sqlite:///crisis.db"):
        assert masked(url) == url
