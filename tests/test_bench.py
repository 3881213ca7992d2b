"""The benchmark itself: its figures, table, chart and command line, a city that is as the store writes it, a tiny run of each part."""

from __future__ import annotations

import json
import sqlite3
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import crisis_engine as ce
from crisis_engine.core.model import Tier
from crisis_engine.core.resolve import Found
from crisis_engine.engine.gather import Sources
from crisis_engine.example.city import generate_city
from crisis_engine.testing import SettableClock

from .bench import __main__ as face
from .bench import chart, daemon, migrate, table
from .bench.city import DAY, City, build, due_times
from .bench.command import bench_access, bench_act, bench_audit, bench_console
from .bench.daemon import bench_daemon
from .bench.database import TABLES, Database, Postgres, Sqlite
from .bench.figure import Figure, load, machine, percentile, save, shown
from .bench.growth import bench_growth
from .bench.life import case_at
from .bench.migrate import bench_migrate
from .bench.peer import PEERS, Peer, bench_peers
from .bench.raw import raw_limit, work_of, write_raw
from .bench.run import CITY, MASTER_KEY, Run, next_monday
from .bench.sweep import bench_sweep
from .postgres import Server

BASE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CASES, DUE, SCHOOLS = 60, 20, 3

FIGURES = {figure.key: figure for figure in (
    Figure("sweep.sqlite.1", "sweep sqlite 100000 due", 12_345.6, "/s", {"raw limit": "107,000 /s", "ratio": "0.12"}, {"raw": 107_000.0}),
    Figure("sweep.sqlite.2", "sweep sqlite 100000 due, two processes", 15_000, "/s", {}, {"raw": 107_000.0}),
    Figure("peer.apscheduler.sqlite", "peer", 800, "/s", {}, {"weaker": ""}),
    Figure("peer.apscheduler-normal.sqlite", "peer", 3_000, "/s", {}, {"weaker": "forgets"}),
    Figure("peer.ratio.sqlite", "ratio", 15.43, "times"),
    Figure("growth.sqlite.10000", "growth", 0.5, "ms", {}, {"armed": 10_000, "idle_ms": 0.5}),
    Figure("growth.sqlite.1000000", "growth", 0.6, "ms", {}, {"armed": 1_000_000, "idle_ms": 0.6}),
    Figure("growth.postgresql.10000", "growth", 0.9, "ms", {}, {"armed": 10_000, "idle_ms": 0.9}),
    Figure("growth.sqlite", "growth", 1.2, "times"),
    Figure("lateness.sqlite", "late", 31.4, "ms", {}, {"p50": 9.0, "max": 75.0}),
)}
WHERE = {"processor": "A & B <processor>", "cores": "2", "python": "3.11.7", "at": "2026-03-02T01:00Z"}


# ---- figures -------------------------------------------------------------------------------------------------------------


def test_a_figure_is_one_line_with_three_digits_or_more() -> None:
    assert FIGURES["sweep.sqlite.1"].line == "sweep sqlite 100000 due: 12,346 /s, raw limit 107,000 /s, ratio 0.12"
    assert [shown(value) for value in (0, 0.0414, 1.5, 15.43, 154.3, 1_543_210.0)] == ["0", "0.041", "1.50", "15.4", "154", "1,543,210"]


@pytest.mark.parametrize(("share", "found"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_value_that_so_many_do_not_exceed(share: float, found: int) -> None:
    assert percentile(reversed(range(1, 101)), share) == found


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


def test_a_result_file_comes_back_as_it_was(tmp_path: Path) -> None:
    save(tmp_path / "bench.json", list(FIGURES.values()), machine(), {"cases": 60})
    figures, where = load(tmp_path / "bench.json")
    assert figures == FIGURES
    assert set(where) >= set(WHERE)


@pytest.mark.parametrize("body", [
    "", "[]", "{}", '{"form": 99, "machine": {}, "figures": []}', '{"form": 1, "machine": {}, "figures": [{}]}',
])
def test_a_file_that_is_no_result_is_named_with_a_way_out(tmp_path: Path, body: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(SystemExit, match=r"bench\.json.*make bench"):
        load(path)
    with pytest.raises(SystemExit, match="no such file"):
        load(tmp_path / "none.json")


# ---- table and chart -----------------------------------------------------------------------------------------------------


def test_a_row_shows_what_was_measured_and_leaves_out_what_was_not() -> None:
    assert table.filled("<sweep.sqlite.1> SQLite; <sweep.postgresql.1> PostgreSQL", FIGURES) == "12,346 SQLite"
    assert table.filled("p99 <lateness.sqlite> ms, at most <lateness.sqlite:max> ms", FIGURES) == "p99 31.4 ms, at most 75.0 ms"
    assert table.filled("<sweep.postgresql.1>", FIGURES) == ""


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_table_of_each_language_has_the_same_rows_and_the_machine(lang: str) -> None:
    block = table.table(FIGURES, WHERE, lang)
    assert block.count("\n|") == 8, block
    assert "12,346" in block
    assert "3,000" in block
    assert "A & B <processor>" in block
    assert table.PICTURES[lang][0] in block
    assert all(line.count("|") == 4 for line in block.splitlines() if line.startswith("|"))


def test_both_readmes_are_renewed_between_their_markers_or_neither(tmp_path: Path) -> None:
    for name in table.READMES.values():
        (tmp_path / name).write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n", encoding="utf-8")
    table.write(tmp_path, FIGURES, WHERE)
    for lang, name in table.READMES.items():
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text == f"before\n{table.BEGIN}\n{table.table(FIGURES, WHERE, lang)}\n{table.END}\nafter\n"

    english = (tmp_path / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.zh-CN.md").write_text("no marker\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"README\.zh-CN\.md"):
        table.write(tmp_path, {}, WHERE)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == english


def test_the_readmes_of_this_clone_have_their_markers() -> None:
    for name in table.READMES.values():
        text = (face.ROOT / name).read_text(encoding="utf-8")
        assert table.replaced(text, "block").count("block") >= 1


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_chart_is_sound_xml_with_both_themes_and_stays_inside_its_frame(lang: str) -> None:
    text = chart.chart(FIGURES, lang)
    assert "prefers-color-scheme: dark" in text
    root = ET.fromstring(text)  # noqa: S314 - our own text
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    shapes = [shape for shape in root.iter() if shape.tag.endswith("}rect") and shape.attrib["class"] != "card"]
    assert len(shapes) == len(chart.bars(FIGURES, lang)) == 5
    for shape in shapes:
        x, y, wide, tall = (float(shape.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + tall <= height
    for shape in root.iter():
        if shape.tag.endswith("}text"):
            assert 0 <= float(shape.attrib["x"]) <= width
            assert 0 <= float(shape.attrib["y"]) <= height
    assert len([shape for shape in root.iter() if shape.tag.endswith("}polyline")]) == 2


def test_the_bars_are_sorted_and_say_which_peer_is_weaker() -> None:
    drawn = chart.bars(FIGURES, "en")
    assert [bar.value for bar in drawn] == sorted((bar.value for bar in drawn), reverse=True)
    assert [bar.label for bar in drawn if bar.kind == "peer"] == ["apscheduler, SQLite (not safe from a power cut)", "apscheduler, SQLite"]


def test_a_run_without_bars_or_lines_still_is_a_chart() -> None:
    assert ET.fromstring(chart.chart({}, "en")).tag.endswith("svg")  # noqa: S314 - our own text


# ---- the command line ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--only", "seep"], ["--cases", "10", "--due", "10"], ["--cases", "0"], ["--databases", "mysql"]])
def test_what_makes_no_sense_is_refused_before_anything_is_measured(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        face.main(arguments)
    assert refused.value.code == 2
    assert "usage: make bench" in capsys.readouterr().err


def test_the_plan_says_what_will_be_done_and_how_long_it_takes(tmp_path: Path) -> None:
    text = face.plan(face.PARTS, Run(tmp_path, [Sqlite(tmp_path)]))
    assert all(name in text for name in face.PARTS)
    assert "1,000,000 cases, 100,000 due" in text
    assert "minutes" in text


def test_the_results_of_a_file_are_printed_and_nothing_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "bench.json", list(FIGURES.values()), WHERE, {})
    face.main(["--from", str(tmp_path / "bench.json")])
    assert capsys.readouterr().out.splitlines() == [figure.line for figure in FIGURES.values()]


def test_a_peer_that_is_missing_or_a_full_disk_stops_the_run_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="may be needed"):
        face.refuse_full(tmp_path, 10**15)
    monkeypatch.setattr(face, "find_spec", lambda name: None if name == "dbos" else name)
    with pytest.raises(SystemExit, match=r"dbos cannot be imported.*\[bench\]"):
        face.main(["--only", "peers"])


def test_a_result_file_is_written_after_each_part_and_its_folder_is_looked_for_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(_run: Run, _figures: dict[str, Figure]) -> Iterator[Figure]:
        yield FIGURES["sweep.sqlite.1"]
        sys.exit("the disk is full")

    def first(_run: Run, _figures: dict[str, Figure]) -> Iterator[Figure]:
        yield FIGURES["lateness.sqlite"]

    monkeypatch.setattr(face, "PARTS", {"access": face.Part("one", 0.1, first), "act": face.Part("two", 0.1, broken)})
    for name in ("CRISIS_HOME", "CRISIS_MASTER_KEY"):   # the run sets them for its processes: they are set back afterwards
        monkeypatch.setenv(name, "")
    chosen = ["--only", "access", "act", "--databases", "sqlite", "--cases", "30", "--due", "10", "--sizes", "10", "--json"]
    with pytest.raises(SystemExit):
        face.main([*chosen, str(tmp_path / "none" / "bench.json")])
    assert "no such folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="full"):
        face.main([*chosen, str(tmp_path / "bench.json")])
    assert list(load(tmp_path / "bench.json")[0]) == ["lateness.sqlite"]


def test_the_next_monday_is_a_day_away_at_least() -> None:
    start = datetime(2026, 2, 23, 0, 0, tzinfo=UTC)
    for hours in range(24 * 8):
        now = start + timedelta(hours=hours)
        found = next_monday(now)
        assert (found.weekday(), found.hour) == (0, 1)
        assert timedelta(days=1) <= found - now <= timedelta(days=8)


def test_a_kept_city_of_another_size_is_refused(tmp_path: Path) -> None:
    note = {"cases": 7, "due": 3, "schools": None, "base": BASE.isoformat()}
    (tmp_path / f"{CITY}.json").write_text(json.dumps(note), encoding="utf-8")
    assert Run(tmp_path, [], keep=tmp_path, cases=7, due=3).base == BASE
    with pytest.raises(SystemExit, match="7 cases, 3 due"):
        Run(tmp_path, [], keep=tmp_path, cases=8, due=3)


# ---- the city ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Give a run of a few cases on SQLite."""
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRISIS_MASTER_KEY", MASTER_KEY)
        yield _run(folder, Sqlite(folder))


@pytest.fixture(params=["sqlite", "postgresql"])
def each(request: pytest.FixtureRequest, run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give a run of a few cases on either database."""
    if request.param == "sqlite":
        return run
    server: Server = request.getfixturevalue("postgres_server")
    monkeypatch.setenv("CRISIS_HOME", str(run.folder))
    return _run(run.folder, Postgres(server.url("postgres")))


def _run(folder: Path, database: Database) -> Run:
    return Run(folder, [database], cases=CASES, due=DUE, rounds=1, lives=3, moved=CASES, sizes=(20, 40), growth_due=10, peer_due=4, peer_future=6,
               rate=5, seconds=1, schools=SCHOOLS)


def _schema(path: Path) -> list[tuple[str, ...]]:
    with sqlite3.connect(path) as connection:
        return sorted(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"))


def _rows(database: Database, base: str, table_name: str) -> list[dict[str, object]]:
    """Return the rows in their order; a server's own numbers have gaps where a transaction was undone."""
    with database.session(base) as session:
        names, rows = session.table(f"SELECT * FROM {table_name} ORDER BY id")  # noqa: S608 - our own names
    left_out = set() if table_name == "crisis_case" else {"id"}
    return [{name: value for name, value in zip(names, row, strict=True) if name not in left_out} for row in rows]


def test_a_city_holds_the_rows_that_the_store_itself_writes(each: Run) -> None:
    (databases,) = each.databases
    city = build(databases, "written", BASE, CASES, DUE, schools=SCHOOLS)
    databases.make("appended")
    with ce.open_engine(databases.url("appended"), clock=SettableClock(BASE - 2 * DAY)) as engine:
        engine.import_roster(generate_city(seed=1, schools=SCHOOLS, pupils=50 * SCHOOLS))
        duties = engine.roster(subjects=False)["duties"]
        counselors = {duty["unit"]: duty["person"] for duty in reversed(duties) if duty["role"] == "counselor"}
        with engine.store.writing() as tx:
            procedure = Sources().procedure_for(tx, "school_crisis_v1", "xinyang")
            changes = []
            for place, due_at in enumerate(due_times(BASE, CASES, DUE)):
                unit = city.unit_of(place)
                school = next(path for path in (unit.rsplit("/", 1)[0], unit.rsplit("/", 2)[0]) if path in counselors)
                doer = Found("counselor", school, Tier.SCHOOL, counselors[school])
                changes.append(case_at(f"B{place:08}", unit, doer, city.teachers[unit], due_at, procedure.hash))
            tx.append(changes)
    for name in TABLES:
        assert _rows(databases, "written", name) == _rows(databases, "appended", name)
    if isinstance(databases, Sqlite):
        assert _schema(databases.path("written")) == _schema(databases.path("appended"))
    for name in ("written", "appended"):
        databases.drop(name)


def test_the_log_of_a_city_is_proven_before_and_after_it_was_swept(each: Run) -> None:
    (databases,) = each.databases
    build(databases, "proven", BASE, CASES, DUE, schools=SCHOOLS)
    with ce.open_engine(databases.url("proven"), clock=SettableClock(BASE + timedelta(seconds=1))) as engine:
        operator = next(duty["person"] for duty in engine.roster(subjects=False)["duties"] if duty["role"] == "operator")
        assert (engine.verify(by=operator).ok, engine.verify(by=operator).events) == (True, 3 * CASES)
        assert (engine.sweep().raised, engine.sweep().cases) == (DUE, 0)
        assert engine.verify(by=operator).ok
    databases.drop("proven")


def test_cases_can_be_added_to_a_city_that_is_there(run: Run) -> None:
    (databases,) = run.databases
    with databases.copied(run.city(databases), "added") as url:
        with ce.open_engine(url, clock=SettableClock(BASE)) as engine:
            patterns = City(engine)
        with databases.session("added", fill=True) as session:
            assert patterns.fill(session, [BASE + timedelta(milliseconds=20 * place) for place in range(7)], prefix="S") == 7
        with ce.open_engine(url, clock=SettableClock(BASE)) as engine:
            operator = next(duty["person"] for duty in engine.roster(subjects=False)["duties"] if duty["role"] == "operator")
            assert engine.verify(by=operator).events == 3 * (CASES + 7)


# ---- a tiny run of each part ---------------------------------------------------------------------------------------------


def test_commands_console_rights_and_proofs_are_measured(run: Run) -> None:
    figures = [*bench_access(run, decisions=2_000), *bench_act(run, reports=3), *bench_audit(run), *bench_console(run, rounds=1)]
    assert [figure.key for figure in figures] == [
        "access", "report.sqlite", "act.sqlite", "seal.sqlite", "verify.sqlite.1", "verify.sqlite.2", "help", "queue.sqlite"]
    assert all(figure.value > 0 for figure in figures)


def test_the_sweep_is_measured_beside_the_same_rows_written_raw(run: Run) -> None:
    figures = {figure.key: figure for figure in bench_sweep(run)}
    assert list(figures) == ["sweep.sqlite.1", "sweep.sqlite.2", "idle.sqlite"]
    assert figures["sweep.sqlite.1"].line.startswith(f"sweep sqlite {DUE} due among {CASES}: ")
    assert figures["sweep.sqlite.1"].facts["raw"] > 0


def test_the_raw_limit_writes_every_row_that_the_sweep_wrote(each: Run) -> None:
    (databases,) = each.databases
    city = each.city(databases)
    try:
        with databases.copied(city, "swept") as url:
            with ce.open_engine(url, clock=SettableClock(each.now)) as engine:
                assert engine.sweep().raised == DUE
            work = work_of(databases, city, "swept")
            swept = {name: _rows(databases, "swept", name) for name in TABLES}
        with databases.copied(city, "written") as url, ce.open_engine(url) as engine:
            write_raw(databases, engine, work)
            assert {name: _rows(databases, "written", name) for name in TABLES} == swept
        assert raw_limit(databases, city, work) > 0
    finally:
        if databases.name != "sqlite":
            databases.drop(city)


def test_growth_is_measured_from_the_smallest_city_to_the_largest(run: Run) -> None:
    figures = list(bench_growth(run))
    assert [figure.key for figure in figures] == ["growth.sqlite.20", "growth.sqlite.40", "growth.sqlite"]
    assert chart.idle_lines({figure.key: figure for figure in figures})["sqlite"][0][0] == 20


def test_a_real_daemon_drains_beside_an_operator_and_then_fires_in_time(each: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "READY_SECONDS", 2.0)
    monkeypatch.setattr(daemon, "AFTER_SECONDS", 2.0)
    name = each.databases[0].name
    figures = {figure.key: figure for figure in bench_daemon(each)}
    two = [] if name == "sqlite" else [f"daemon.{name}.2"]
    assert list(figures) == [*two, f"daemon.{name}.1", f"wait.{name}", f"lateness.{name}", f"memory.{name}"]
    late, wait, memory = (figures[f"{what}.{name}"] for what in ("lateness", "wait", "memory"))
    assert -1 <= late.facts["p50"] <= late.value <= late.facts["max"] < 3_000
    assert late.extra["rungs"] == "5"
    assert 0 < wait.value <= wait.facts["max"]
    assert memory.value > 10


def test_every_case_is_moved_there_and_back_while_a_real_daemon_runs(each: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "READY", timedelta(seconds=1))
    (figure,) = bench_migrate(each)
    assert figure.facts["cases"] == CASES
    assert figure.value > 0
    assert not each.databases[0].exists(migrate.MIGRATED)


def test_a_daemon_that_ends_is_no_figure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "command", lambda _url, _notices: [sys.executable, "-c", "import sys; sys.exit('no database')"])
    with pytest.raises(SystemExit, match="ended with 1: no database"):
        list(bench_daemon(run))
    assert not run.databases[0].exists(daemon.OVERDUE)


@pytest.mark.parametrize(
    ("peer", "each"), [(peer, name) for peer in PEERS for name in peer.databases], indirect=["each"],
    ids=lambda of: getattr(of, "name", of),
)
def test_a_peer_drains_what_is_due_and_leaves_the_rest(each: Run, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    name = each.databases[0].name
    monkeypatch.setattr(sys.modules[bench_peers.__module__], "PEERS", (peer,))
    figures = list(bench_peers(each, {f"sweep.{name}.1": FIGURES["sweep.sqlite.1"]}))
    assert figures[0].key == f"peer.{peer.name}.{name}"
    assert figures[0].value > 0
    assert [figure.key for figure in figures[1:]] == ([] if peer.weaker else [f"peer.ratio.{name}"])
    assert ("power cut" in figures[0].line) == bool(peer.weaker)
