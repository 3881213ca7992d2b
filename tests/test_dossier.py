"""Dossiers: what a court gets, checked by the program that comes with it, and every byte that somebody changed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import NotAllowed, NotFound, ProofFailed
from crisis_engine.cli import main
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Tier
from crisis_engine.core.resolve import Found as Holder
from crisis_engine.dossier import verify
from crisis_engine.engine.audit import make_key
from crisis_engine.engine.gather import Sources
from crisis_engine.store import Change
from crisis_engine.store.signature import SigningKey
from crisis_engine.testing import open_test_engine

from .bench.life import case_at, meetings
from .story import (
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PRINCIPAL,
    City,
)

FACTS, COURT = "手臂上有新的划痕", "court order 12/2026"

# RFC 8032 section 7.1, tests 1 to 3: public key, message, signature.
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]


# ---- Ed25519, written by us ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("public", "message", "signature"), VECTORS)
def test_the_published_signatures_are_accepted_and_their_neighbours_refused(public: str, message: str, signature: str) -> None:
    key, text, made = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert verify.ed25519(key, text, made)
    assert not verify.ed25519(key, text + b"x", made)
    for place in (0, 31, 32, 63):
        assert not verify.ed25519(key, text, made[:place] + bytes([made[place] ^ 1]) + made[place + 1:])
    assert not verify.ed25519(key, text, made[:-1])
    order = 2**252 + 27742317777372353535851937790883648493   # a signature has one form only
    more = int.from_bytes(made[32:], "little") + order
    assert not verify.ed25519(key, text, made[:32] + more.to_bytes(32, "little"))
    assert not verify.ed25519(b"\xff" * 32, text, made)


@settings(max_examples=20)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=80))
def test_ours_accepts_what_the_library_signed(seed: bytes, message: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert verify.ed25519(key.public_key().public_bytes_raw(), message, key.sign(message))


# ---- a dossier ----------------------------------------------------------------------------------------------------------------


def story_of(city: City) -> str:
    """A case that went some way, sealed."""
    city.at("09:00")
    case = city.report(facts=FACTS, cues=["suicide_words"], about_staff=["p-19"]).reach("planning")
    city.engine.seal()
    return case.number


def problems(data: bytes, wanted: list[str] | None = None) -> set[tuple[str | int, str]]:
    return set(verify.check(data, wanted or []).problems)


def unzipped(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rebuilt(files: dict[str, bytes], **changed: bytes) -> bytes:
    """A dossier with changed files, its manifest made to fit them."""
    files = {**files, **{name.replace("_", "."): content for name, content in changed.items()}}
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {name: sha256(content).hexdigest() for name, content in files.items() if name != "manifest.json"}
    files["manifest.json"] = verify.canonical(manifest).encode()
    return verify.archive_of(files, manifest["until"])


def test_a_dossier_is_whole_the_same_each_time_and_an_ordinary_zip(city: City) -> None:
    number = story_of(city)
    data = city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT)
    assert problems(data) == set()
    assert data == city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT)
    files = unzipped(data)
    assert sorted(files) == list(files) == [
        "VERIFY.md", "checkpoint.txt", "document.html", "events.jsonl", "keys.txt", "manifest.json", "proof.json", "verify.py",
    ]
    found = verify.check(data)
    assert found.case == number
    assert found.sealed == found.count == len(files["events.jsonl"].splitlines())
    assert found.absent == {"redacted": 0, "withheld": 0}
    assert found.shown >= 4
    assert FACTS in files["events.jsonl"].decode()
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert {info.date_time for info in archive.infolist()} == {(2026, 3, 2, 1, 0, 0)}


def test_the_program_runs_alone_and_says_what_it_found(city: City, tmp_path: Path) -> None:
    number = story_of(city)
    make_key(tmp_path / "county", name="example.org/shihe")
    make_key(tmp_path / "other", name="example.org/shihe")
    city.engine.cosign(tmp_path / "county", by=COUNTY_OFFICER)
    data = city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT)
    (tmp_path / "dossier.zip").write_bytes(data)
    for name, content in unzipped(data).items():
        (tmp_path / name).write_bytes(content)
    keys = [one.key.text for one in city.engine.verifiers(by=OPERATOR)]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "-W", "error", "verify.py", "dossier.zip", *more]   # no site-packages: none of our code
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    done = run("--lang", "en", *(part for key in keys for part in ("--key", key)))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Case {number}: {verify.check(data).count} records" in done.stdout
    assert "Signed by example.org/shihe" in done.stdout
    assert "2026-03-02T01:00:00+00:00" in done.stdout
    assert FACTS in run("--lang", "zh", "--print").stdout
    other = SigningKey.read(tmp_path / "other").public.text
    done = run("--lang", "zh", "--key", other)
    assert (done.returncode, "您指定的公钥没有签过" in done.stdout) == (6, True)
    assert run("--key", "nonsense").returncode == 2
    (tmp_path / "dossier.zip").unlink()
    assert run("--lang", "en").returncode == 2


def test_what_the_exporter_may_not_read_is_withheld_and_the_chain_still_holds(city: City) -> None:
    number = story_of(city)
    data = city.engine.export(number, by=PRINCIPAL)        # reads up to assessment and plan, not who reported, not whom it concerns
    assert problems(data) == set()
    text = b"".join(unzipped(data).values()).decode()
    assert "p-71" not in text, "who reported"
    assert '"person":"p-19"' not in text, "whom it concerns"
    found = verify.check(data)
    assert found.absent["withheld"] >= 2
    assert found.count == verify.check(city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT)).count
    with city.engine.store.reading() as tx:
        read = [(one.who, one.what, one.why) for one in tx.reads_of(number, 99) if one.what == "audit.export"]
    assert read == [(LAW_VICE_PRINCIPAL, "audit.export", COURT), (PRINCIPAL, "audit.export", "")]


def test_a_reporter_is_withheld_even_from_who_reads_all_when_no_reason_is_given(city: City) -> None:
    number = story_of(city)
    assert "p-71" not in b"".join(unzipped(city.engine.export(number, by=LAW_VICE_PRINCIPAL)).values()).decode()


def test_erased_contents_are_said_to_be_erased(city: City) -> None:
    number = story_of(city)
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE crisis_event SET secret = NULL WHERE seq = 1")
    data = city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT)
    assert problems(data) == set()
    assert verify.check(data).absent == {"redacted": 1, "withheld": 0}
    assert FACTS not in unzipped(data)["events.jsonl"].decode()


def test_records_after_the_newest_checkpoint_are_chained_and_said_not_to_be_sealed(city: City) -> None:
    number = story_of(city)
    city.engine.act(number, "note", by=COUNSELOR, fields={"text": "见面"})
    found = verify.check(city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT))
    assert found.problems == []
    assert found.count > found.sealed
    assert any("not sealed yet" in line for line in verify.report(found, "en"))


def test_an_unknown_unsealed_or_broken_case_and_a_stranger_are_refused(city: City) -> None:
    with pytest.raises(NotFound, match="no case"):
        city.engine.export("ABC-DEF-GHJ", by=PRINCIPAL)
    case = city.report()
    with pytest.raises(NotFound, match="not sealed"):
        city.engine.export(case.number, by=PRINCIPAL)
    city.engine.seal()
    with pytest.raises(NotAllowed):
        city.engine.export(case.number, by=CLASS_TEACHER)
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER crisis_event_kept")
        tx.connection.exec_driver_sql("UPDATE crisis_event SET hash = x'00' WHERE seq = 2")
    with pytest.raises(ProofFailed, match="cannot be exported: header and hash"):
        city.engine.export(case.number, by=PRINCIPAL)


def test_the_document_is_bilingual_escaped_and_has_nothing_from_elsewhere(city: City) -> None:
    city.at("09:00")
    case = city.report(facts="<script>alert(1)</script>")
    city.engine.seal()
    page = unzipped(city.engine.export(case.number, by=LAW_VICE_PRINCIPAL, because=COURT))["document.html"].decode()
    assert '<section lang="zh">' in page
    assert '<section lang="en">' in page
    assert "&lt;script&gt;alert(1)" in page
    for wrong in ("<script", "http", "src=", "url(", "@import"):
        assert wrong not in page


# ---- changed dossiers -----------------------------------------------------------------------------------------------------------


def lines_of(files: dict[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files["events.jsonl"].splitlines()]


def written(lines: list[dict[str, Any]]) -> bytes:
    return "".join(f"{verify.canonical(line)}\n" for line in lines).encode()


def another_word(lines: list[dict[str, Any]]) -> None:
    lines[0]["payload"] = lines[0]["payload"].replace("划痕", "擦伤")


def another_salt(lines: list[dict[str, Any]]) -> None:
    lines[0]["salt"] = "00" * 16


def no_payload(lines: list[dict[str, Any]]) -> None:
    del lines[0]["payload"], lines[0]["salt"]


def a_payload_without_commitment(lines: list[dict[str, Any]]) -> None:
    lines[1] |= {"payload": "{}", "salt": "00" * 16}


def another_header(lines: list[dict[str, Any]]) -> None:
    lines[3]["header"] = lines[3]["header"].replace("p-11", "p-12").replace("engine", "enjine")


def two_changed_places(lines: list[dict[str, Any]]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def one_left_out(lines: list[dict[str, Any]]) -> None:
    del lines[2]


def the_end_cut_off(lines: list[dict[str, Any]]) -> None:
    del lines[-1]


def a_header_withheld_with_another_hash(lines: list[dict[str, Any]]) -> None:
    values = json.loads(lines[2]["header"])
    lines[2] = {"absent": "withheld", "hash": "00" * 32, "prev": values["prev"], "seq": 3}


@pytest.mark.parametrize(("change", "expected"), [
    (another_word, (1, "commit")), (another_salt, (1, "commit")), (no_payload, (1, "line")), (a_payload_without_commitment, (2, "commit")),
    (another_header, (4, "hash")), (two_changed_places, (4, "chain")), (one_left_out, (3, "place")),
    (the_end_cut_off, ("events.jsonl", "count")), (a_header_withheld_with_another_hash, (4, "chain")),
])
def test_a_record_that_somebody_changed_with_all_hashes_of_files_is_named(
    city: City, change: Callable[[list[dict[str, Any]]], None], expected: tuple[str | int, str],
) -> None:
    files = unzipped(city.engine.export(story_of(city), by=LAW_VICE_PRINCIPAL, because=COURT))
    lines = lines_of(files)
    change(lines)
    assert expected in problems(rebuilt(files, events_jsonl=written(lines)))


def test_a_chain_written_anew_does_not_stand_in_the_tree(city: City) -> None:
    files = unzipped(city.engine.export(story_of(city), by=LAW_VICE_PRINCIPAL, because=COURT))
    lines = lines_of(files)
    prev = bytes(32)
    for line in lines:
        header = json.loads(line["header"]) | {"prev": prev.hex(), "by": "p-99"}
        line["header"] = verify.canonical(header)
        prev = sha256(prev + line["header"].encode()).digest()
        line["hash"] = prev.hex()
    assert problems(rebuilt(files, events_jsonl=written(lines))) == {("proof.json", "head")}
    proof = json.loads(files["proof.json"])
    proof["leaf"]["head"] = prev.hex()
    forged = rebuilt(files, events_jsonl=written(lines), proof_json=verify.canonical(proof).encode())
    assert problems(forged) == {("proof.json", "included")}


def test_a_checkpoint_or_key_of_another_log_is_named(city: City, tmp_path: Path) -> None:
    files = unzipped(city.engine.export(story_of(city), by=LAW_VICE_PRINCIPAL, because=COURT))
    with open_test_engine(url=f"sqlite:///{tmp_path / 'other.db'}") as (engine, clock, channel):
        others = unzipped(engine.export(story_of(City(engine, clock, channel, "")), by=LAW_VICE_PRINCIPAL, because=COURT))
        key = others["keys.txt"].decode().split(" ")[1].strip()
    assert ("checkpoint.txt", "signature") in problems(rebuilt(files, checkpoint_txt=others["checkpoint.txt"]))
    forged = rebuilt(files, checkpoint_txt=others["checkpoint.txt"], keys_txt=others["keys.txt"])
    assert problems(forged) == {("proof.json", "included")}
    assert problems(verify.archive_of(files, json.loads(files["manifest.json"])["until"]), [key]) == {("checkpoint.txt", "wanted")}
    cosigner = files["keys.txt"].replace(b"sealer", b"cosigner")
    assert problems(rebuilt(files, keys_txt=cosigner)) == {("checkpoint.txt", "unsigned")}


def flipped(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ chance.randrange(1, 256)]) + data[place + 1:]


def test_every_flipped_byte_of_a_dossier_is_found(city: City, tmp_path: Path) -> None:
    number = story_of(city)
    make_key(tmp_path / "city", name="example.org/xinyang")
    city.engine.cosign(tmp_path / "city", by=CITY_OFFICER)
    data = city.engine.export(number, by=LAW_VICE_PRINCIPAL, because=COURT)
    chance = random.Random(5)
    assert [turn for turn in range(500) if not problems(flipped(data, chance))] == []
    for end in (0, 10, len(data) // 2, len(data) - 1):
        assert problems(data[:end]), "a truncated file"
    assert problems(data + b"x")


def test_every_flipped_byte_of_ten_thousand_records_is_found_in_less_than_two_seconds(city: City) -> None:
    sources = Sources()
    with city.engine.store.writing() as tx:
        procedure = sources.procedure_for(tx, "school_crisis_v1", CLASS)
        due_at = datetime.fromisoformat("2026-03-02T09:00+08:00")
        doer = Holder("counselor", "xinyang/shihe/no-3", Tier.SCHOOL, "p-31")
        first = case_at("L00-000-001", CLASS, doer, "p-11", due_at, procedure.hash)
        events = [*first.events, *meetings(first, 3_333, due_at)]
        tx.append([Change(before=None, after=fold(events), events=tuple(events), notices=(), two=True, sole=True)])
    city.engine.seal()
    data = city.engine.export("L00-000-001", by=LAW_VICE_PRINCIPAL)
    assert verify.check(data).count == 10_002
    assert problems(data) == set()
    chance = random.Random(7)
    for _ in range(10):
        harmed = flipped(data, chance)
        begin = time.process_time()
        assert problems(harmed)
        assert time.process_time() - begin < 2


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"\0" * 100, b"PK\5\6" + bytes(18), bytes(range(256)) * 10])
def test_what_is_no_dossier_is_said_to_be_none(data: bytes) -> None:
    assert problems(data)
    assert verify.report(verify.check(data), "en")[-1].startswith("It does not hold")


@given(st.dictionaries(st.sampled_from(["a", "b.txt", "events.jsonl"]), st.binary(max_size=50)))
def test_an_archive_is_read_back_as_it_was_written(files: dict[str, bytes]) -> None:
    data = verify.archive_of(files, "2026-03-02T01:00:00+00:00")
    assert verify.files_of(data) == files
    with zipfile.ZipFile(BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files


def test_every_word_of_the_program_is_in_both_languages() -> None:
    for zh, en in verify.SAID.values():
        assert zh
        assert en.isascii()
        assert zh.count("{") == en.count("{")


def test_the_console_writes_a_new_file_and_never_over_an_old_one(
    city: City, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = story_of(city)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRISIS_NOW", "2026-03-02T09:00+08:00")
    command = ["audit", "export", number, "--out", "dossier.zip", "--as", PRINCIPAL, "--db", city.url, "--lang", "en"]
    assert main(command) == 0
    assert "python3 verify.py dossier.zip" in capsys.readouterr().out
    assert problems(Path("dossier.zip").read_bytes()) == set()
    assert verify.main(["dossier.zip", "--lang", "en"]) == 0
    assert main(command) == 74
    assert "written over" in capsys.readouterr().err
