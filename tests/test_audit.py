"""Sealing, cosigning and verifying as people and schedulers do it: batches, keys that go missing, the console's words and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import sqlalchemy as sa

from crisis_engine import BadInput, Engine, NotAllowed, NotFound, ProofFailed, StoreError, open_engine
from crisis_engine.cli import main
from crisis_engine.core.checkpoint import SIGNS, parse_key, parse_note
from crisis_engine.core.errors import FileError
from crisis_engine.core.merkle import is_included, leaf_hash, root_of
from crisis_engine.engine import audit
from crisis_engine.engine.audit import make_key
from crisis_engine.store import Store
from crisis_engine.store.signature import SigningKey
from crisis_engine.testing import open_test_engine

from .story import CITY_OFFICER, CLASS_TEACHER, COUNSELOR, COUNTY_OFFICER, OPERATOR, City, copy_city


def grow(city: City, count: int = 3) -> None:
    """So many cases, of which each grows a little."""
    for place in range(count):
        city.report(subject=f"stu-{41 + place}", unit="xinyang/shihe/no-3/g7/c2")


def leaves(engine: Engine) -> list[tuple[str, int]]:
    with engine.store.reading() as tx:
        return [(leaf.number, leaf.seq) for leaf in tx.leaves(0, 10_000)]


# ---- seal -------------------------------------------------------------------------------------------------------------------


def test_each_case_that_grew_has_one_leaf_a_batch_and_nothing_is_sealed_twice(city: City) -> None:
    grow(city)
    first = city.engine.seal()
    assert (first.batches, first.leaves) == (1, 3)
    assert city.engine.seal() == type(first)(0, 0, 0, first.sealed)
    case = city.report(subject="stu-42")
    second = city.engine.seal()
    assert (second.batches, second.leaves, second.sealed and second.sealed.checkpoint.size) == (1, 1, 4)
    assert leaves(city.engine)[-1] == (case.number, case.case.version)
    with city.engine.store.reading() as tx:
        assert second.sealed is not None
        assert second.sealed.checkpoint.root == root_of([leaf_hash(leaf.data) for leaf in tx.leaves(0, 4)])


def test_a_large_growth_is_sealed_in_bounded_batches_a_checkpoint_each(city: City) -> None:
    grow(city)
    report = city.engine.seal(batch=7)
    assert report.batches == 3
    with city.engine.store.reading() as tx:
        assert report.events == tx.last_event_id()
        assert len(list(tx.all_sealed())) == report.batches
    assert city.engine.verify(by=OPERATOR).ok
    grow(city)
    assert city.engine.seal(batch=3, limit=1).batches == 1
    assert city.engine.verify(by=OPERATOR).unsealed > 0


def test_an_empty_database_seals_nothing_and_is_whole(city: City) -> None:
    report = city.engine.seal()
    assert report.to_json() == {"batches": 0, "leaves": 0, "events": 0, "size": 0, "root": None, "short": None}
    assert city.engine.verify(by=OPERATOR).to_json()["ok"]
    with pytest.raises(NotFound, match="Nothing is sealed"):
        city.engine.checkpoint(by=OPERATOR)


def test_a_full_look_finds_what_the_newest_events_did_not_tell(city: City) -> None:
    grow(city)
    with city.engine.store.writing() as tx:   # as if lower ids had become visible after higher ones were sealed
        tx.set_meta("sealed_event", str(tx.last_event_id()))
    assert city.engine.seal().leaves == 0
    assert city.engine.seal(reconcile=True).leaves == 3
    assert city.engine.seal(reconcile=True).leaves == 0
    grow(city)
    assert city.engine.seal(reconcile=True).leaves == 3
    assert city.engine.seal().leaves == 0, "what the full look sealed is not sealed again"
    assert city.engine.verify(by=OPERATOR).ok


def test_two_sealers_at_once_seal_everything_once(city: City) -> None:
    grow(city)
    city.engine.seal(limit=1, batch=1)
    grow(city)
    other = Engine(Store.open(city.url), city.engine._sources, city.clock, (), lang="en", link="")  # noqa: SLF001 (a second process would)
    threads = [Thread(target=engine.seal, kwargs={"batch": 5}) for engine in (city.engine, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    assert len(leaves(city.engine)) == len(set(leaves(city.engine)))
    report = city.engine.verify(by=OPERATOR)
    assert (report.ok, report.unsealed) == (True, 0)


def test_a_database_in_memory_has_a_key_that_ends_with_it() -> None:
    with open_test_engine() as (engine, clock, channel):
        grow(City(engine, clock, channel, "sqlite://"))
        engine.seal()
        grow(City(engine, clock, channel, "sqlite://"))
        engine.seal()
        assert engine.verify(by=OPERATOR).ok
        assert [one.duty for one in engine.verifiers(by=OPERATOR)] == ["sealer"]


def test_a_host_may_seal_inside_its_own_transaction(city: City) -> None:
    grow(city)
    host = sa.create_engine(city.url)
    with host.begin() as connection, city.engine.join(connection) as joined:
        assert joined.seal().leaves == 3
    host.dispose()
    assert city.engine.verify(by=OPERATOR).leaves == 3


# ---- the sealer's key -------------------------------------------------------------------------------------------------------


def key_file(city: City) -> Path:
    return Path(city.url.removeprefix("sqlite:///") + ".seal")


def test_the_sealers_key_lies_beside_the_database_for_its_owner_alone(city: City) -> None:
    grow(city)
    city.engine.seal()
    assert stat.S_IMODE(key_file(city).stat().st_mode) == 0o600
    (known,) = city.engine.verifiers(by=OPERATOR)
    assert known.key == SigningKey.read(key_file(city)).public == parse_key(known.key.text)
    assert (known.duty, known.by) == ("sealer", "engine")


def test_a_key_that_is_missing_wrong_or_a_cosigners_is_refused_and_changes_nothing(city: City, tmp_path: Path) -> None:
    grow(city)
    city.engine.seal()
    grow(city)
    before = leaves(city.engine)
    kept = key_file(city).read_bytes()
    key_file(city).unlink()
    with pytest.raises(StoreError, match="not where it was"):
        city.engine.seal()
    key_file(city).write_bytes(kept[:30])
    with pytest.raises(FileError, match="holds no key"):
        city.engine.seal()
    SigningKey.new("somebody/else", SIGNS).write(tmp_path / "other")
    make_key(tmp_path / "cosigner", name="example.org/shihe")
    for name in ("other", "cosigner"):
        with pytest.raises(StoreError, match="not the sealer's"):
            city.engine.seal(key_file=tmp_path / name)
    assert leaves(city.engine) == before
    key_file(city).write_bytes(kept)
    assert city.engine.seal().leaves == 3


def test_a_lost_key_is_followed_by_a_new_one_of_the_same_name_and_old_checkpoints_stay_true(city: City) -> None:
    grow(city)
    city.engine.seal()
    key_file(city).rename(key_file(city).with_suffix(".old"))
    grow(city)
    city.engine.seal(new_key=True)
    first, second = city.engine.verifiers(by=OPERATOR)
    assert first.key.name == second.key.name
    assert first.key != second.key
    assert city.engine.verify(by=OPERATOR).ok


def test_a_key_kept_elsewhere_is_taken_from_there(city: City, tmp_path: Path) -> None:
    grow(city)
    city.engine.seal(key_file=tmp_path / "safe")
    assert not key_file(city).exists()
    assert (tmp_path / "safe").is_file()
    make_key(tmp_path / "cosigner", name="example.org/shihe")


def test_a_first_key_that_cosigns_is_refused(city: City, tmp_path: Path) -> None:
    make_key(tmp_path / "cosigner", name="example.org/shihe")
    with pytest.raises(StoreError, match="needs a key of its own"):
        city.engine.seal(key_file=tmp_path / "cosigner")


# ---- cosign -----------------------------------------------------------------------------------------------------------------


def test_county_and_city_cosign_with_keys_of_their_own(city: City, tmp_path: Path) -> None:
    grow(city)
    city.engine.seal()
    make_key(tmp_path / "county", name="example.org/shihe")
    make_key(tmp_path / "city", name="example.org/xinyang")
    first = city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)
    city.clock.advance(timedelta(minutes=5))
    second = city.engine.cosign(tmp_path / "city", by=CITY_OFFICER, kept=first.note)
    assert [one.name for one in second.signatures[1:]] == ["example.org/shihe", "example.org/xinyang"]
    assert city.engine.cosign(tmp_path / "city", by=CITY_OFFICER).note == second.note, "twice is once"
    assert parse_note(second.note)[0] == second.checkpoint
    report = city.engine.verify(by=OPERATOR, kept=second.note)
    assert (report.ok, report.signatures) == (True, 3)
    assert [(one.duty, one.by) for one in city.engine.verifiers(by=OPERATOR)] == [
        ("sealer", "engine"), ("cosigner", COUNTY_OFFICER), ("cosigner", CITY_OFFICER),
    ]
    grow(city)
    assert len(city.engine.seal().sealed.signatures) == 1  # type: ignore[union-attr]  # it was sealed just now
    assert len(city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER).signatures) == 2


def test_nobody_cosigns_a_log_that_does_not_continue_what_they_saw(city: City, tmp_path: Path) -> None:
    make_key(tmp_path / "county", name="example.org/shihe")
    with pytest.raises(NotFound, match="Nothing is sealed"):
        city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)
    grow(city)
    city.engine.seal()
    seen = city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)
    with pytest.raises(BadInput, match="own"):
        city.engine.cosign(key_file(city), by=COUNTY_OFFICER)
    with pytest.raises(NotAllowed):
        city.engine.cosign(tmp_path / "county", by=CLASS_TEACHER)
    with pytest.raises(FileError):
        city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER, kept="nothing")
    with pytest.raises(ProofFailed, match="another log"):
        city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER, kept=seen.note.replace("crisis-engine/", "other/"))
    with city.engine.store.writing() as tx:
        for trigger in ("crisis_tile_only_grows", "crisis_checkpoint_never_updated"):
            tx.connection.exec_driver_sql(f"DROP TRIGGER {trigger}")
        tx.connection.exec_driver_sql("UPDATE crisis_tile SET hashes = zeroblob(length(hashes))")
    with pytest.raises(ProofFailed, match="does not begin with what this key cosigned"):
        city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE crisis_checkpoint SET note = replace(note, 'crisis-engine', 'crisis-engyne')")
    with pytest.raises(ProofFailed, match="not signed by the sealer"):
        city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)


def test_the_database_refuses_to_change_what_was_sealed(city: City, tmp_path: Path) -> None:
    grow(city)
    city.engine.seal()
    make_key(tmp_path / "county", name="example.org/shihe")
    city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)
    for sql in (
        "UPDATE crisis_leaf SET seq = 9", "DELETE FROM crisis_leaf", "INSERT INTO crisis_leaf VALUES (7, 'A', 1, zeroblob(32))",
        "INSERT OR REPLACE INTO crisis_leaf VALUES (1, 'A', 1, zeroblob(32))", "DELETE FROM crisis_tile",
        "UPDATE crisis_tile SET hashes = zeroblob(96)", "UPDATE crisis_tile SET place = 1", "UPDATE crisis_checkpoint SET note = ''",
        "DELETE FROM crisis_checkpoint", "INSERT INTO crisis_checkpoint VALUES (9, 0, '')", "DELETE FROM crisis_cosignature",
        "UPDATE crisis_cosignature SET line = ''", "DELETE FROM crisis_verifier", "UPDATE crisis_verifier SET duty = 'sealer'",
    ):
        with pytest.raises(Exception, match="append-only"), city.engine.store.writing() as tx:
            tx.connection.exec_driver_sql(sql)
    assert city.engine.verify(by=OPERATOR).ok


# ---- verify -----------------------------------------------------------------------------------------------------------------


def test_several_processes_find_what_one_finds(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(city)
    city.engine.seal()
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER crisis_event_never_deleted")
        tx.connection.exec_driver_sql("DELETE FROM crisis_event WHERE case_id = 2 AND seq = 3")
    alone = city.engine.verify(by=OPERATOR)
    monkeypatch.setattr(audit, "ALONE", 0)
    seen: list[int] = []
    together = city.engine.verify(by=OPERATOR, processes=2, progress=seen.append)
    assert together == alone
    assert not alone.ok
    assert max(seen) == 3


def test_a_teacher_may_not_verify_and_everything_says_who_may(city: City) -> None:
    for act in (city.engine.verify, city.engine.checkpoint, city.engine.verifiers, city.engine.seal):
        with pytest.raises(NotAllowed, match=r"may not do this \(audit"):
            act(by=CLASS_TEACHER)


def test_a_proof_of_one_leaf_leads_to_the_signed_root(city: City) -> None:
    grow(city)
    sealed = city.engine.seal().sealed
    assert sealed is not None
    from crisis_engine.core.merkle import inclusion

    with city.engine.store.reading() as tx:
        for place, leaf in enumerate(tx.leaves(0, 3)):
            found = tx.last_leaf(leaf.number, 3)
            assert found == (place, leaf)
            assert is_included(leaf_hash(leaf.data), place, 3, inclusion(tx.node(), place, 3), sealed.checkpoint.root)
        assert tx.last_leaf("no such", 3) is None


# ---- the console --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def console(city_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with the example city and one case, in English."""
    for name in [name for name in os.environ if name.startswith("CRISIS_")]:
        monkeypatch.delenv(name)
    for name, value in {"CRISIS_LANG": "en", "CRISIS_NOW": "2026-03-02T08:00+08:00"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    copy_city(city_template, tmp_path / "crisis.db")
    assert main(["report", "--as", "p-71", "--unit", "xinyang/shihe/no-3/g7/c2", "--subject", "stu-42", "--facts", "…"]) == 0
    yield tmp_path
    assert list(tmp_path.glob("*.pyc")) == []


@pytest.mark.usefixtures("console")
def test_the_console_seals_cosigns_verifies_and_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "seal"]) == 0
    assert "1 cases had grown" in capsys.readouterr().out
    assert main(["audit", "keygen", "--name", "example.org/shihe", "--out", "county.key"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("example.org/shihe+")
    assert main(["audit", "cosign", "--key", "county.key", "--as", COUNTY_OFFICER]) == 0
    capsys.readouterr()
    assert main(["audit", "checkpoint", "--as", OPERATOR]) == 0
    note = capsys.readouterr().out
    Path("kept.txt").write_text(note.replace("\n", "\r\n"), encoding="utf-8")
    assert len(parse_note(note)[1]) == 2
    assert main(["audit", "keys", "--as", OPERATOR, "--json"]) == 0
    assert [one["duty"] for one in json.loads(capsys.readouterr().out)] == ["sealer", "cosigner"]
    assert main(["audit", "verify", "--as", OPERATOR, "--checkpoint", "kept.txt"]) == 0
    out = capsys.readouterr().out
    assert "Walked through 1 cases" in out
    assert "Newest checkpoint 1:" in out
    assert main(["audit", "verify", "--as", OPERATOR, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_broken_record_ends_the_console_with_six_and_its_name(console: Path, capsys: pytest.CaptureFixture[str], lang: str) -> None:
    assert main(["audit", "seal"]) == 0
    store = Store.open(f"sqlite:///{console / 'crisis.db'}")
    with store.writing() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER crisis_event_kept")
        tx.connection.exec_driver_sql("UPDATE crisis_event SET header = replace(header, 'reported', 'repoRted') WHERE seq = 1")
        number = tx.connection.exec_driver_sql("SELECT number FROM crisis_case").scalar()
    store.close()
    capsys.readouterr()
    assert main(["audit", "verify", "--as", OPERATOR, "--lang", lang]) == 6
    said = capsys.readouterr().out
    sentences = {"zh": f"个案 {number} 第 1 条：记录内容与它的哈希不符", "en": f"case {number}, record 1: header and hash do not fit"}
    assert sentences[lang] in said
    assert main(["audit", "verify", "--as", OPERATOR, "--json"]) == 6
    found = json.loads(capsys.readouterr().out)
    assert found["flaws"][0] == {"case": number, "seq": 1, "check": "chain", "what": "header and hash do not fit"}


@pytest.mark.parametrize(("code", "args"), [
    (2, ("audit", "verify")), (4, ("audit", "verify", "--as", CLASS_TEACHER)), (3, ("audit", "checkpoint", "--as", OPERATOR)),
    (65, ("audit", "verify", "--as", OPERATOR, "--checkpoint", "missing.txt")),
    (65, ("audit", "verify", "--as", OPERATOR, "--checkpoint", "crisis.db")),
    (65, ("audit", "verify", "--as", OPERATOR, "--checkpoint", "x.txt")),
    (74, ("audit", "cosign", "--key", "missing", "--as", COUNTY_OFFICER)),
    (65, ("audit", "cosign", "--key", "x.txt", "--as", COUNTY_OFFICER)),
    (2, ("audit", "keygen", "--name", "a b", "--out", "k")), (74, ("audit", "keygen", "--name", "a", "--out", "x.txt")),
])
def test_what_is_wrong_has_its_own_exit_code_and_no_traceback(
    console: Path, capsys: pytest.CaptureFixture[str], code: int, args: tuple[str, ...],
) -> None:
    (console / "x.txt").write_text("not a checkpoint\n", encoding="utf-8")
    capsys.readouterr()
    assert main(list(args)) == code
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 2, said


def test_a_missing_seal_key_is_told_with_its_way_out(
    console: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CRISIS_SEAL_KEY_FILE", str(console / "elsewhere.seal"))
    assert main(["audit", "seal"]) == 0
    assert not (console / "crisis.db.seal").exists()
    monkeypatch.delenv("CRISIS_SEAL_KEY_FILE")
    assert main(["audit", "seal", "--json"]) == 74
    assert "CRISIS_SEAL_KEY_FILE" in json.loads(capsys.readouterr().err)["error"]["way_out"]


def test_a_proof_does_not_name_a_case_to_whom_it_concerns(city: City) -> None:
    case = city.report(about_staff=[OPERATOR])
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE crisis_case SET risk = 'blue', peak = 'blue'")
    for by, named in ((OPERATOR, False), ("p-52", True)):
        report = city.engine.verify(by=by)
        assert not report.ok
        assert (case.number in str(report.to_json())) is named


# ---- secrets that are sealed, shredded, or have no key at hand -------------------------------------------------------------------


def test_a_copy_without_its_master_key_proves_all_but_the_secrets_and_counts_them(city: City, tmp_path: Path) -> None:
    grow(city)
    city.engine.close()
    shutil.copyfile(city.url.removeprefix("sqlite:///"), tmp_path / "copy.db")
    store = Store.open(f"sqlite:///{tmp_path / 'copy.db'}", create=False)
    with store.reading() as tx:
        walk = tx.walk()
        assert [seen.flaws for seen in walk.every()] == [[], [], []]
        assert walk.closed == tx.connection.exec_driver_sql("SELECT count(secret) FROM crisis_event").scalar()
    store.close()
    assert city.engine.verify(by=OPERATOR).closed == 0
    with open_engine(store.url, clock=city.clock, create=False) as copy:
        report = copy.verify(by=OPERATOR)   # nothing sealed is asked of somebody with a duty
        assert (report.ok, report.cases, report.closed) == (True, 3, walk.closed)
        for read in (copy.case, copy.history):
            with pytest.raises(StoreError, match="master key is missing"):
                read(copy.cases(by=OPERATOR)[0].number, by=COUNSELOR)


def test_another_key_in_the_place_of_a_secrets_own_is_named(city: City) -> None:
    grow(city, 2)
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE crisis_event SET secret = (SELECT secret FROM crisis_event WHERE case_id = 2 AND seq = 1)"
                                      " WHERE case_id = 1 AND seq = 1")
    assert [str(flaw).partition(", ")[2] for flaw in city.engine.verify(by=OPERATOR).flaws] == [
        "record 1: secret and commitment do not fit",
    ]
