"""Attachments: taken only for what they are, sealed with their case, proven byte by byte, and read by whoever may read the field."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crisis_engine import Attachment, BadInput, CommandRejected, NotAllowed, NotFound, ProofFailed, StoreError, open_engine
from crisis_engine.cli import main
from crisis_engine.core.attachment import MOST_BYTES, NAME_MOST, SORTS, kept_name, sample, sort_of
from crisis_engine.core.form import check_fields
from crisis_engine.core.secret import holds_secret
from crisis_engine.definitions import load_procedure
from crisis_engine.doctor import examine
from crisis_engine.dossier import verify
from crisis_engine.store.attachment import _padded, _round, _unpadded
from crisis_engine.testing import open_test_engine

from .story import (
    CHILD,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
    copy_city,
)
from .tracks import HOSPITAL_LIAISON, OTHER_LIAISON, open_track, refer

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 20 + b"\n%%EOF\n"
NAME = "家长同意书.pdf"
SCAN = Attachment(NAME, PDF)


@pytest.fixture(params=["sqlite", "postgres"])
def both(request: pytest.FixtureRequest, city_template: Path, tmp_path: Path) -> Iterator[City]:
    """The example city on each database."""
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
    else:
        copy_city(city_template, tmp_path / "city.db")
        url = f"sqlite:///{tmp_path / 'city.db'}"
    with open_test_engine(url=url) as (engine, clock, channel):
        yield City(engine, clock, channel, url)


def told(city: City, **more: Any) -> Story:  # noqa: ANN401 - any field of the form
    """A guardian's track in which the class teacher attached a proof; the case beside it goes on."""
    track = open_track(city, city.report(), "guardian_v1", by=CLASS_TEACHER)
    form = {"who": "母亲", "at": city.clock(), "mode": "face", "told": "学校所见", "proof": SCAN, **more}
    return track.act(CLASS_TEACHER, "tell", **form)


def rows(city: City) -> list[tuple[Any, ...]]:
    with city.engine.store.reading() as tx:
        return tx._rows("SELECT case_id, seq, n, at, size, content FROM crisis_attachment ORDER BY case_id, seq, n")  # noqa: SLF001


# ---- what is taken ----------------------------------------------------------------------------------------------------------------------


PROCEDURE = load_procedure("guardian_v1", "xinyang_v1")
TELL = PROCEDURE.workflow.moves["agree"]


def taken(attachment: object) -> Attachment:
    """Fill a form in with it, as a move does."""
    return check_fields(TELL, {"proof": attachment}, PROCEDURE.workflow, PROCEDURE.policy)["proof"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("sort", SORTS)
def test_a_tiny_one_of_each_sort_is_taken_and_under_no_other_name(sort: str) -> None:
    one = sample([sort])
    assert taken(one) == one
    for other in set(SORTS) - {sort, "txt" if sort in {"mp3", "pdf"} else ""}:
        with pytest.raises(BadInput, match=f"not what its name says \\({other}\\)"):
            taken(Attachment(f"x.{other}", one.content))


@pytest.mark.parametrize(("given_", "says"), [
    ("consent.pdf", "a file is wanted, not str"),
    (b"%PDF-1.4", "a file is wanted, not bytes"),
    ({"seq": 2, "n": 1, "name": "x.txt", "sha256": "0" * 64, "size": 1, "sort": "txt"}, "a file is wanted, not dict"),
    ([SCAN], "a file is wanted, not list"),
    (Attachment("x.txt", "text"), "a file is wanted"),  # type: ignore[arg-type]
    (Attachment(5, b"x"), "a file is wanted"),  # type: ignore[arg-type]
    (Attachment("consent.pdf", b""), "the file is empty"),
    (Attachment("x.txt", b"a" * (MOST_BYTES + 1)), f"has {MOST_BYTES + 1} bytes; at most {MOST_BYTES} are kept"),
    (Attachment("run.exe", b"MZ"), "no file of this sort"),
    (Attachment("page.html", b"<html>"), "no file of this sort"),
    (Attachment("consent", PDF), "a name that cannot be kept"),
    (Attachment("", PDF), "a name that cannot be kept"),
    (Attachment("..", PDF), "a name that cannot be kept|no file of this sort"),
    (Attachment("scans/", PDF), "a name that cannot be kept"),
    (Attachment(".pdf", PDF), "a name that cannot be kept"),
    (Attachment("a\x00.pdf", PDF), "a name that cannot be kept"),
    (Attachment("a\x1b[2J.pdf", PDF), "a name that cannot be kept"),
    (Attachment("fdp.\u202egpj.pdf", PDF), "a name that cannot be kept"),
    (Attachment("a\ud800.pdf", PDF), "a name that cannot be kept"),
    (Attachment("a" * NAME_MOST + ".pdf", PDF), "a name that cannot be kept"),
    (Attachment("photo.jpg", PDF), "not what its name says"),
    (Attachment("note.txt", b"\xff\xfe\x00"), "not what its name says"),
    (Attachment("note.txt", b"a\x00b"), "not what its name says"),
    (Attachment("paper.docx", b"PK\x03\x04" + b"word/ [Content_Types].xml"), "not what its name says"),
    (Attachment("table.xlsx", sample(["docx"]).content), "not what its name says"),
])
def test_what_is_no_file_or_not_what_its_name_says_is_refused(given_: object, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        taken(given_)
    assert "Field 'proof'" in refused.value.message
    assert refused.value.way_out
    assert "家长" not in str(refused.value)


def test_a_real_office_file_is_taken_and_one_with_a_macro_is_not() -> None:
    def office(*names: str) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, "<x/>" * 100)
        return packed.getvalue()

    assert taken(Attachment("a.docx", office("[Content_Types].xml", "word/document.xml"))).sort == "docx"
    assert taken(Attachment("a.xlsx", office("[Content_Types].xml", "xl/workbook.xml"))).sort == "xlsx"
    with pytest.raises(BadInput):
        taken(Attachment("a.docx", office("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin")))
    whole = office("[Content_Types].xml", "word/document.xml")
    for cut in range(0, len(whole) - 1, 7):   # a download that broke off
        with pytest.raises(BadInput):
            taken(Attachment("a.docx", whole[:cut]))


@pytest.mark.parametrize(("name", "kept"), [
    ("/etc/passwd/consent.pdf", "consent.pdf"), ("C:\\Users\\wang\\consent.pdf", "consent.pdf"), ("../../consent.PDF", "consent.PDF"),
    (" consent.pdf ", "consent.pdf"), ("同意书.pdf", "同意书.pdf"),
])
def test_of_a_name_with_path_parts_the_last_is_kept(name: str, kept: str) -> None:
    assert taken(Attachment(name, PDF)).name == kept


def test_a_field_may_narrow_sorts_and_size() -> None:
    referral = load_procedure("referral_v1", "xinyang_v1")
    with pytest.raises(BadInput, match="no file of this sort") as refused:
        check_fields(referral.workflow.moves["accept"], {"receipt": sample(["txt"])}, referral.workflow, referral.policy)
    assert refused.value.way_out == "Attach one of these sorts: pdf, jpg, png."


def test_an_attachment_says_nothing_of_itself_to_a_log_or_a_sentence() -> None:
    assert f"{SCAN}{SCAN!r}{SCAN!s}{[SCAN]}" == "[secret][secret][secret][[secret]]"
    assert holds_secret(SCAN)
    assert holds_secret({"proof": SCAN})
    assert NAME not in f"{SCAN.name}"


# ---- at rest ----------------------------------------------------------------------------------------------------------------------------


def test_it_is_read_back_as_it_was_attached_and_stands_nowhere_in_clear(both: City) -> None:
    track = told(both)
    (listed,) = both.engine.attachments(track.number, by=COUNSELOR)
    assert (listed.name, listed.sort, listed.size, listed.field, listed.secrecy) == (NAME, "pdf", len(PDF), "proof", 2)
    found = both.engine.attachment(track.number, listed.id, by=COUNSELOR, why="before the meeting")
    assert (found.name, found.sort, found.content) == (NAME, "pdf", PDF)
    ((_, seq, n, _, size, content),) = rows(both)
    assert f"{seq}.{n}" == listed.id
    assert size == len(content) > len(PDF)
    for clear in (PDF[:40], SCAN.sha256.encode(), bytes.fromhex(SCAN.sha256), "同意书".encode()):
        assert clear not in content
    (line,) = [line for line in both.engine.history(track.number, by=COUNSELOR) if "proof" in line.get("fields", {})]
    assert line["fields"]["proof"] == {"attachment": listed.id, "name": NAME, "sort": "pdf", "size": len(PDF)}


def test_the_same_file_twice_looks_like_two_files(city: City) -> None:
    """Neither hash nor length tells that two children's files are the same one."""
    told(city)
    told_again = open_track(city, city.report(subject="stu-41"), "guardian_v1", by=CLASS_TEACHER)
    longer = Attachment(NAME, PDF + bytes(10))
    told_again.act(CLASS_TEACHER, "tell", who="父亲", at=city.clock(), mode="face", told="x", proof=longer)
    one, other = rows(city)
    assert one[4] == other[4]            # ten bytes more, and nobody can tell
    assert one[5] != other[5]


@given(st.integers(0, 3 * MOST_BYTES))
@example(MOST_BYTES)
def test_padding_gives_back_what_went_in_and_adds_an_eighth_at_most(length: int) -> None:
    assert length <= _round(length) <= max(1024, length * 1.125)
    assert _round(_round(length)) == _round(length)
    short = length % 5_000
    assert _unpadded(_padded(b"x" * short)) == b"x" * short


def test_a_refused_move_keeps_no_file(city: City) -> None:
    track = open_track(city, city.report(), "guardian_v1", by=CLASS_TEACHER)
    track.refused(BadInput, CLASS_TEACHER, "tell", who="母亲", at=city.clock(), mode="face", proof=SCAN)   # `told` is missing
    track.refused(CommandRejected, CLASS_TEACHER, "agree", proof=SCAN)      # not from this stage
    track.refused(NotAllowed, OPERATOR, "tell", who="母亲", at=city.clock(), mode="face", told="x", proof=SCAN)
    assert rows(city) == []


def test_a_key_answers_the_same_file_once_and_refuses_another(city: City) -> None:
    track = open_track(city, city.report(), "guardian_v1", by=CLASS_TEACHER)
    form = {"who": "母亲", "at": city.clock(), "mode": "face", "told": "x", "proof": SCAN}
    city.engine.act(track.number, "tell", by=CLASS_TEACHER, fields=form, key="once")
    city.engine.act(track.number, "tell", by=CLASS_TEACHER, fields=form, key="once")
    assert len(rows(city)) == 1
    for other in (Attachment(NAME, PDF + b"x"), Attachment("b.pdf", PDF)):
        with pytest.raises(CommandRejected, match="another command"):
            city.engine.act(track.number, "tell", by=CLASS_TEACHER, fields={**form, "proof": other}, key="once")
    assert len(rows(city)) == 1


def test_what_was_proposed_with_a_file_is_confirmed_with_it_and_it_stands_once(both: City) -> None:
    track = told(both).act(COUNSELOR, "refuse", because="不接受")
    track.act(COUNSELOR, "still_refuses", note="再谈").act(VICE_PRINCIPAL, "meeting_failed", note="未成", notice="书面告知")
    track.act(COUNTY_OFFICER, "refusal_stands", safety_plan="每日看护", proof=Attachment("signed.pdf", PDF + b"2"))
    assert len(rows(both)) == 2
    track.act(PRINCIPAL, "confirm")
    assert track.stage == "standing_refusal"
    assert len(rows(both)) == 2
    listed = both.engine.attachments(track.number, by=COUNSELOR)
    assert [one.move for one in listed] == ["tell", "refusal_stands"]
    with both.engine.store.reading() as tx:
        (moved,) = [event for event in tx.events(track.number) if getattr(event, "move", "") == "refusal_stands" and event.kind == "moved"]
        assert list(tx.verify()) == []
    assert f"{moved.secret['proof']['seq']}.{moved.secret['proof']['n']}" == listed[1].id
    assert both.engine.attachment(track.number, listed[1].id, by=COUNSELOR).content == PDF + b"2"


def test_the_database_takes_no_file_without_its_record_and_lets_none_go(both: City) -> None:
    track = told(both)
    wrong = {
        "delete": "DELETE FROM crisis_attachment", "update": "UPDATE crisis_attachment SET at = at + 1",
        "stray": "INSERT INTO crisis_attachment (case_id, seq, n, at, size, content) SELECT case_id, seq + 999, n, at, size, content"
                 " FROM crisis_attachment",
        "late": "INSERT INTO crisis_attachment (case_id, seq, n, at, size, content) SELECT case_id, seq, n + 1, at + 1, size, content"
                " FROM crisis_attachment",
    }
    for what, sql in wrong.items():
        with pytest.raises(ProofFailed), both.engine.store.writing() as tx:
            tx._run(sql)  # noqa: SLF001 - past every method
        assert len(rows(both)) == 1, what
    assert both.engine.attachment(track.number, f"{rows(both)[0][1]}.1", by=COUNSELOR).content == PDF


def test_an_attachment_stays_with_its_case_when_that_is_merged(city: City) -> None:
    first = city.report()
    second = city.report("p-12", subject=None, unit="xinyang/shihe/no-3/g7/c2")
    track = open_track(city, second, "guardian_v1", by=COUNSELOR)
    track.act(COUNSELOR, "tell", who="母亲", at=city.clock(), mode="face", told="x", proof=SCAN)
    second.act(CLASS_TEACHER, "identify", subject=CHILD)
    assert track.case.parent == first.number
    (listed,) = city.engine.attachments(track.number, by=COUNSELOR)
    assert city.engine.attachment(track.number, listed.id, by=COUNSELOR).content == PDF


# ---- proof ------------------------------------------------------------------------------------------------------------------------------


def broken(city: City) -> tuple[list[str], bool]:
    """Return what a proof finds, and whether the doctor says the same."""
    with city.engine.store.reading() as tx:
        flaws = list(tx.verify())
    (finding,) = [one for one in examine(city.engine) if one.name == "attachments"]
    return flaws, finding.ok


def tamper(city: City, sql: str, *values: object) -> None:
    """Change the file as somebody would who can write it past every rule."""
    with closing(sqlite3.connect(city.url.removeprefix("sqlite:///"), isolation_level=None)) as raw:
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'crisis_attachment'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("PRAGMA ignore_check_constraints = 1")
        raw.execute(sql, values)


def test_a_whole_one_is_whole(both: City) -> None:
    told(both)
    assert broken(both) == ([], True)
    both.engine.seal()
    assert both.engine.verify(by=OPERATOR).ok


@pytest.mark.parametrize(("sql", "says"), [
    ("DELETE FROM crisis_attachment", "an attachment is missing"),
    ("UPDATE crisis_attachment SET content = substr(content, 1, 100)", "an attachment was cut"),
    ("UPDATE crisis_attachment SET content = substr(content, 1, 100), size = 100", "an attachment is not what was attached"),
    ("UPDATE crisis_attachment SET seq = seq + 1", "an attachment is missing|no record names"),
    ("UPDATE crisis_attachment SET content = CAST(x'00' || content AS BLOB), size = size + 1", "not what was attached|was cut"),
    ("INSERT INTO crisis_attachment SELECT case_id, seq, 7, at, size, content FROM crisis_attachment", "no record names"),
])
def test_a_missing_a_cut_and_a_strange_one_are_found(city: City, sql: str, says: str) -> None:
    track = told(city)
    tamper(city, sql)
    flaws, ok = broken(city)
    assert flaws
    assert not ok
    assert all(flaw.startswith(f"case {track.number}, record ") for flaw in flaws)
    assert any(part in flaw for flaw in flaws for part in says.split("|"))
    assert "家长" not in "".join(flaws)


shared = settings(derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(shared, max_examples=25)
@given(st.data())
def test_any_single_flipped_byte_of_stored_content_is_found(city: City, data: st.DataObject) -> None:
    if not city.cases():
        told(city)
        tamper(city, "SELECT 1")              # from here on no trigger keeps us
    ((case_id, seq, _, _, _, content),) = rows(city)
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    with city.engine.store.reading() as tx:
        (track,) = [one for one in tx.cases([case_id]) if one.case.parent is not None]
    change = "UPDATE crisis_attachment SET content = ?"
    tamper(city, change, content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1:])
    with city.engine.store.reading() as tx:
        assert [flaw.partition(": ")[2] for flaw in tx.verify(track.case.number)] == ["an attachment is not what was attached"]
    with pytest.raises(StoreError):
        city.engine.attachment(track.case.number, f"{seq}.1", by=COUNSELOR)
    tamper(city, change, content)


names = st.one_of(
    st.text(max_size=NAME_MOST + 5), st.sampled_from(["a.pdf", "a.jpg", "a.txt", "A.DOCX", "../x.png", "x.wav", "x.mp3", "x.xlsx"]),
    st.tuples(st.text(max_size=20), st.sampled_from(sorted(SORTS))).map(".".join),
)
heads = st.sampled_from([b"", *(sample([sort]).content for sort in SORTS)])


@settings(shared, max_examples=40)
@given(name=names, head=heads, rest=st.binary(max_size=300))
def test_whatever_bytes_are_given_they_are_refused_or_read_back_identical(city: City, name: str, head: bytes, rest: bytes) -> None:
    if not city.cases():
        told(city).act(CLASS_TEACHER, "agree")
    track = next(one.number for one in city.engine.queue(by=CLASS_TEACHER) if one.stage in {"agreed", "partly"})
    before = len(rows(city))
    refusal = ""
    try:
        city.engine.act(track, "agree_in_part", by=CLASS_TEACHER, fields={"what": "x", "proof": Attachment(name, head + rest)})
    except BadInput as refused:
        refusal = str(refused)
    if refusal:
        assert len(rows(city)) == before
        assert len(name) < 12 or name not in refusal
        return
    city.engine.act(track, "agree", by=CLASS_TEACHER)
    last = city.engine.attachments(track, by=COUNSELOR)[-1]
    found = city.engine.attachment(track, last.id, by=COUNSELOR)
    assert (found.content, found.name, found.sort) == (head + rest, kept_name(name), sort_of(name))


# ---- who reads --------------------------------------------------------------------------------------------------------------------------


def test_who_may_not_read_the_field_hears_neither_name_nor_that_it_is_there(city: City) -> None:
    track = told(city)                        # the proof is of secrecy 2; a class teacher reads 1
    (listed,) = city.engine.attachments(track.number, by=COUNSELOR)
    assert city.engine.attachments(track.number, by=CLASS_TEACHER) == []
    with pytest.raises(NotFound) as there:
        city.engine.attachment(track.number, listed.id, by=CLASS_TEACHER)
    with pytest.raises(NotFound) as nowhere:
        city.engine.attachment(track.number, "999.9", by=CLASS_TEACHER)
    assert str(there.value) == str(nowhere.value)
    assert NAME not in json.dumps(city.engine.history(track.number, by=CLASS_TEACHER), ensure_ascii=False)
    for by in (PEER, "p-111", HOSPITAL_LIAISON):
        with pytest.raises(NotAllowed):
            city.engine.attachment(track.number, listed.id, by=by)
        with pytest.raises(NotAllowed):
            city.engine.attachments(track.number, by=by)
    for by in (OPERATOR,):                    # sees that something is due, and no fact
        assert city.engine.attachments(track.number, by=by) == []


def test_whom_the_case_concerns_hears_what_an_unknown_number_gives(city: City) -> None:
    case = city.report(about_staff=["p-36"])
    track = open_track(city, case, "guardian_v1", by=CLASS_TEACHER)
    track.act(CLASS_TEACHER, "tell", who="母亲", at=city.clock(), mode="face", told="x", proof=SCAN)
    with pytest.raises(NotFound) as concerned:
        city.engine.attachment(track.number, f"{rows(city)[0][1]}.1", by="p-36")
    with pytest.raises(NotFound) as unknown:
        city.engine.attachment("ABC-DEF-GHJ", "1.1", by="p-36")
    assert str(concerned.value).replace(track.number, "…") == str(unknown.value).replace("ABC-DEF-GHJ", "…")


def test_a_partner_reads_the_files_of_its_own_referral_and_only_while_it_is_its_own(both: City) -> None:
    slip = refer(both, both.report(PEER, cues=["old_scars"]).reach("intervening"))
    slip.act(HOSPITAL_LIAISON, "accept", receipt=Attachment("receipt.pdf", PDF))
    slip.act(HOSPITAL_LIAISON, "was_seen", when=both.clock())
    slip.act(HOSPITAL_LIAISON, "feed_back", document="医院文书", file=Attachment("document.pdf", PDF + b"2"))
    (own,) = both.engine.attachments(slip.number, by=HOSPITAL_LIAISON)   # `file` is of secrecy 2, addressed partners read 1
    assert own.name == "receipt.pdf"
    assert both.engine.attachment(slip.number, own.id, by=HOSPITAL_LIAISON).content == PDF
    assert {one.name for one in both.engine.attachments(slip.number, by=COUNSELOR)} == {"receipt.pdf", "document.pdf"}
    with pytest.raises(NotAllowed):
        both.engine.attachment(slip.number, own.id, by=OTHER_LIAISON)
    slip.act(COUNSELOR, "call_back", because="另择机构")
    with pytest.raises(NotAllowed):
        both.engine.attachment(slip.number, own.id, by=HOSPITAL_LIAISON)


def test_what_a_form_asks_for_does_not_tell_whether_a_case_or_a_child_exists(city: City) -> None:
    case = city.report(about_staff=["p-36"])
    form = city.engine.form
    assert "file" in {field.name for field in form("leave_v1", by=COUNSELOR, parent=case.number)}
    assert "file" in {field.name for field in form("leave_v1", by=COUNSELOR, subject=CHILD)}
    for by in ("p-36", PEER, "p-111", "nobody"):
        assert form("leave_v1", by=by, parent=case.number) == form("leave_v1", by=by, parent="ABC-DEF-GHJ") == ()
    assert form("leave_v1", by=COUNSELOR, subject="stu-0") == ()


def test_nobody_reads_through_a_form_what_somebody_else_attached(city: City) -> None:
    """A form that names a stored file, as the log does, must not make it one's own."""
    track = told(city)
    (listed,) = city.engine.attachments(track.number, by=COUNSELOR)
    with city.engine.store.reading() as tx:
        (event,) = [one for one in tx.events(track.number) if "proof" in one.secret]
    described = event.secret["proof"]
    for shape in (described, dict(described), str(described), listed):
        with pytest.raises(BadInput, match="a file is wanted"):
            city.engine.act(track.number, "agree", by=CLASS_TEACHER, fields={"proof": shape})
    assert len(rows(city)) == 1


def test_every_reading_is_written_down_before_the_content_is_given(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    track = told(city)
    (listed,) = city.engine.attachments(track.number, by=COUNSELOR, why="which are there")
    city.engine.attachment(track.number, listed.id, by=COUNSELOR, why="before the meeting")
    seen = [(one.who, one.what, one.tier, one.why) for one in city.engine.reads(track.number, by=PRINCIPAL) if one.what.startswith("att")]
    assert seen == [(COUNSELOR, "attachment", 2, "before the meeting"), (COUNSELOR, "attachments", 2, "which are there")]

    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(type(city.engine.store), "writing", full)
    with pytest.raises(StoreError):
        city.engine.attachment(track.number, listed.id, by=COUNSELOR)


# ---- forgotten --------------------------------------------------------------------------------------------------------------------------


def closed_with_file(city: City) -> Story:
    """A track with two attachments, closed with its case."""
    track = told(city)
    case = Story(city, str(track.case.parent))
    case.act(CLASS_TEACHER, "acknowledge").act(COUNSELOR, "start_assessment").assess("blue", ideation="no")
    track.act(CLASS_TEACHER, "agree", proof=Attachment("second.pdf", PDF + b"2"))
    case.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="no danger was found")
    assert track.case.final is not None
    return track


def test_an_attachment_goes_with_its_case_and_not_without_two(both: City) -> None:
    track = closed_with_file(both)
    (first, _second) = both.engine.attachments(track.number, by=COUNSELOR)
    both.engine.place_hold("case", track.number, because="a court", by=COUNTY_OFFICER)
    with pytest.raises(CommandRejected):
        both.engine.propose_erasure("case", track.number, because="the term is over", by="p-51")
    both.engine.lift_hold("case", track.number, by=COUNTY_OFFICER)
    erasure = both.engine.propose_erasure("case", track.number, because="the term is over", by="p-51")
    assert len(rows(both)) == 2
    both.engine.confirm_erasure(erasure, by="p-3")
    assert rows(both) == []
    assert broken(both) == ([], True)
    assert both.engine.attachments(track.number, by=COUNSELOR) == []
    with pytest.raises(NotFound):
        both.engine.attachment(track.number, first.id, by=COUNSELOR)
    if both.engine.store.dialect == "sqlite":
        raw = Path(both.url.removeprefix("sqlite:///"))
        assert PDF[9:60] not in raw.read_bytes()


def test_a_restored_backup_loses_the_attachment_again(city: City, tmp_path: Path) -> None:
    track = closed_with_file(city)
    path = Path(city.url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        source.backup(copy)
    erasure = city.engine.propose_erasure("case", track.number, because="the term is over", by="p-51")
    city.engine.confirm_erasure(erasure, by="p-3")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as source, closing(sqlite3.connect(path)) as target:
        source.backup(target)
    with open_engine(city.url, clock=city.clock, create=False) as engine, engine.store.reading() as tx:
        assert tx._value("SELECT count(*) FROM crisis_attachment") == 0  # noqa: SLF001
        assert list(tx.verify()) == []


def test_a_new_master_key_opens_it_too(city: City) -> None:
    track = told(city)
    city.engine.rotate_key(by="p-51")
    (listed,) = city.engine.attachments(track.number, by=COUNSELOR)
    assert city.engine.attachment(track.number, listed.id, by=COUNSELOR).content == PDF


def test_the_copy_of_all_that_is_held_on_a_child_has_its_files(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    track = told(city)
    monkeypatch.setenv("CRISIS_NOW", city.clock().isoformat())
    assert main(["--db", city.url, "forget", "export", CHILD, "--out", str(tmp_path / "child.zip"), "--as", LAW_VICE_PRINCIPAL]) == 0
    with zipfile.ZipFile(tmp_path / "child.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.startswith("attachments/")]
        assert name == f"attachments/{track.number}-{rows(city)[0][1]}.1.pdf"
        assert archive.read(name) == PDF
        data = json.loads(archive.read("data.json"))
    assert [one["attachments"] for one in data["cases"] if one["number"] == track.number] == [[name.partition(f"{track.number}-")[2]]]


# ---- a court's dossier ------------------------------------------------------------------------------------------------------------------


def test_a_dossier_carries_what_its_reader_may_read_and_proves_it(both: City) -> None:
    track = told(both)
    both.engine.seal()
    data = both.engine.export(track.number, by=LAW_VICE_PRINCIPAL)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    (name,) = [name for name in files if name.startswith("attachments/")]
    assert files[name] == PDF
    assert NAME in files["document.html"].decode()
    found = verify.check(data)
    assert (found.problems, len(found.attached)) == ([], 1)
    assert any("1 attachments" in line for line in verify.report(found, "en"))

    def again(**changed: bytes | None) -> set[tuple[str | int, str]]:
        other = {key: value for key, value in {**files, name: changed.get("file", PDF)}.items() if value is not None}
        if "stray" in changed:
            other["attachments/9-9.pdf"] = PDF
        manifest = json.loads(other["manifest.json"])
        manifest["files"] = {key: sha256(value).hexdigest() for key, value in other.items() if key != "manifest.json"}
        other["manifest.json"] = verify.canonical(manifest).encode()
        return {(str(where), what) for where, what in verify.check(verify.archive_of(other, manifest["until"])).problems}

    record = str(next(iter(found.attached.values()))[0])
    assert again() == set()
    assert again(file=PDF[:-1]) == {(record, "attached")}
    assert again(file=None) == {(record, "attached")}
    assert again(stray=PDF) == {("attachments/9-9.pdf", "stray")}


def test_a_dossier_withholds_the_file_with_the_record(city: City) -> None:
    case = city.report(cues=["suicide_words"])
    track = open_track(city, case, "mandatory_report_v1", by=LAW_VICE_PRINCIPAL)
    form = {"category": "family_violence", "at": city.clock(), "decided": [LAW_VICE_PRINCIPAL], "receipt": "1", "file": SCAN}
    track.act(LAW_VICE_PRINCIPAL, "report_to_police", **form)
    city.engine.seal()
    for by, files in ((LAW_VICE_PRINCIPAL, 1), ("p-52", 0)):
        found = verify.check(city.engine.export(track.number, by=by))
        assert (found.problems, len(found.attached)) == ([], files)


# ---- the console ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:  # noqa: ANN401
    """Call the console on a city in which a guardian's track waits; return code, output and refusal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRISIS_NOW", city.clock().isoformat())
    monkeypatch.setenv("CRISIS_DB", city.url)
    monkeypatch.setenv("CRISIS_LANG", "en")
    track = open_track(city, city.report(), "guardian_v1", by=CLASS_TEACHER)

    def run(*args: str) -> tuple[int, str, str]:
        code = main(list(args))
        said = capsys.readouterr()
        return code, said.out, said.err

    run.number = track.number  # type: ignore[attr-defined]
    return run


TOLD = ("--as", CLASS_TEACHER, "--field", "who=mother", "--field", "at=2026-03-02T07:50+08:00", "--field", "mode=face")


def test_the_console_attaches_lists_and_saves(shell: Any, tmp_path: Path, city: City) -> None:  # noqa: ANN401
    (tmp_path / "consent.pdf").write_bytes(PDF)
    # a text that begins with @ stays a text
    code, _, _ = shell("act", shell.number, "tell", *TOLD, "--field", "told=@p-31 spoke", "--field", "proof=@consent.pdf")
    assert code == 0
    assert "told: @p-31 spoke" in shell("history", shell.number, "--as", COUNSELOR)[1].replace("what was told", "told")
    code, out, _ = shell("attachment", shell.number, "--as", COUNSELOR)
    assert code == 0
    assert "consent.pdf" in out
    listed = json.loads(shell("attachment", shell.number, "--as", COUNSELOR, "--json")[1])
    assert shell("attachment", shell.number, listed[0]["id"], "--out", "saved.pdf", "--as", COUNSELOR)[0] == 0
    assert (tmp_path / "saved.pdf").read_bytes() == PDF
    assert (tmp_path / "saved.pdf").stat().st_mode & 0o777 == 0o600
    before = len(city.engine.reads(shell.number, by=PRINCIPAL))
    code, _, err = shell("attachment", shell.number, listed[0]["id"], "--out", "saved.pdf", "--as", COUNSELOR)
    assert (code, "There is a file of that name" in err) == (2, True)
    assert len(city.engine.reads(shell.number, by=PRINCIPAL)) == before      # nothing was read for nothing
    assert shell("attachment", shell.number, listed[0]["id"], "--as", COUNSELOR)[0] == 2
    assert shell("attachment", shell.number, listed[0]["id"], "--out", "other.pdf", "--as", CLASS_TEACHER)[0] == 3
    assert not (tmp_path / "other.pdf").exists()


def test_the_console_refuses_what_is_no_file_before_it_is_read(shell: Any, tmp_path: Path, city: City) -> None:  # noqa: ANN401
    (tmp_path / "folder.pdf").mkdir()
    os.mkfifo(tmp_path / "pipe.pdf")
    (tmp_path / "empty.pdf").touch()
    with (tmp_path / "huge.pdf").open("wb") as huge:
        huge.truncate(40 * 1024**3)           # 40 GB that nobody reads
    (tmp_path / "page.pdf").write_bytes(b"<html>")
    version = Story(city, shell.number).case.version
    for lang, says in {
        "en": {"missing.pdf": "cannot be read", "folder.pdf": "no plain file", "pipe.pdf": "no plain file",
               "empty.pdf": "the file is empty", "huge.pdf": "has 42,949,672,960 bytes; at most 10,485,760 are kept",
               "page.pdf": "not what its name says"},
        "zh": {"missing.pdf": "无法读取要附的文件", "folder.pdf": "不是普通文件", "pipe.pdf": "不是普通文件", "empty.pdf": "文件是空的",
               "huge.pdf": "最多 10,485,760 字节", "page.pdf": "文件内容与文件名所示的类型（pdf）不符"},
    }.items():
        for name, words in says.items():
            code, _, err = shell("--lang", lang, "act", shell.number, "tell", *TOLD, "--field", "told=x", "--field", f"proof=@{name}")
            assert code == 2, (name, err)
            assert words in err, (name, err)
            assert len(err.splitlines()) == 2, err
    code, _, err = shell("act", shell.number, "tell", *TOLD, "--field", "told=x", "--field", "proof=consent.pdf")
    assert (code, "a file is wanted, not str" in err) == (2, True)
    assert Story(city, shell.number).case.version == version
    assert rows(city) == []


def test_a_case_is_opened_with_a_file(shell: Any, tmp_path: Path, city: City) -> None:  # noqa: ANN401
    (tmp_path / "rest.pdf").write_bytes(PDF)
    parent = str(Story(city, shell.number).case.parent)
    code, out, err = shell("open", "leave_v1", "--parent", parent, "--as", CLASS_TEACHER, "--field", "document=rest", "--field",
                           "file=@rest.pdf")
    assert code == 0, err
    number = out.split()[1].rstrip(":")
    assert [one.name for one in city.engine.attachments(number, by=COUNSELOR)] == ["rest.pdf"]


def test_an_attachment_outlives_a_second_reader_in_the_hosts_own_transaction(city: City) -> None:
    """A host that rolls back keeps neither the move nor the file."""
    import sqlalchemy as sa

    track = open_track(city, city.report(), "guardian_v1", by=CLASS_TEACHER)
    form = {"who": "母亲", "at": city.clock(), "mode": "face", "told": "x", "proof": SCAN}
    host = sa.create_engine(city.url)
    with host.connect() as connection, connection.begin() as begun, city.engine.join(connection) as joined:
        joined.act(track.number, "tell", by=CLASS_TEACHER, fields=form)
        begun.rollback()
    assert rows(city) == []
    with host.begin() as connection, city.engine.join(connection) as joined:
        joined.act(track.number, "tell", by=CLASS_TEACHER, fields=form)
    assert len(rows(city)) == 1
    host.dispose()
