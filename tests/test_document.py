"""Printed documents: declared in the file, filled in up to their own secrecy, and nothing on the paper but text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from crisis_engine import BadInput, CommandRejected, DefinitionError, NotAllowed, NotFound, StoreError
from crisis_engine.cli import main
from crisis_engine.core.document import FACTS
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.definitions import load_access, shipped
from crisis_engine.print import Entry, Section, Sheet, page_of, pdf
from crisis_engine.words import say

from .story import (
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PARENT,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
)
from .tracks import HOSPITAL, HOSPITAL_LIAISON, open_track

ROOT = Path(__file__).parent.parent
STATE = "三天未眠，自述想伤害自己"


class Page(HTMLParser):
    """What a browser makes of a page: its tags with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def slip(city: City) -> Story:
    """A referral whose slip is stamped."""
    case = city.report(PEER, cues=["old_scars"], facts="听同学说的").reach("intervening")
    return open_track(city, case, "referral_v1", state="提出时").act(PRINCIPAL, "stamp", state=STATE)


# ---- the slip ---------------------------------------------------------------------------------------------------------------------------


def test_the_slip_is_printed_once_it_was_stamped_and_says_what_the_hospital_needs(city: City, slip: Story) -> None:
    assert city.engine.case(slip.number, by=COUNSELOR).prints == ("referral_slip",)
    slip.act(COUNSELOR, "consent", form="authorisation", escort=[CLASS_TEACHER]).act(COUNSELOR, "send", partner=HOSPITAL)
    page = Page(city.engine.document(slip.number, by=COUNSELOR))
    for words in ("学生心理健康转介单", slip.number, "示例学生42", "浉河区第三示例中学", "七年级2班", STATE, "浉河区示例医院",
                  "示例班主任11", "书面授权", "委托书", "（盖章）", "回执", "gd-42@example.invalid"):
        assert words in page.text, words
    for words in ("听同学说的", "提出时", "red", "红色", "旧伤", "old_scars", "[secret]"):
        assert words not in page.text, words


def test_it_is_printed_in_either_language_or_in_both_on_one_sheet(city: City, slip: Story) -> None:
    zh, en, both = (Page(city.engine.document(slip.number, by=COUNSELOR, lang=lang)).text for lang in ("zh", "en", "both"))
    assert ("转介单" in zh, "Referral" in zh) == (True, False)
    assert ("转介单" in en.replace(STATE, ""), "Referral of a pupil" in en) == (False, True)
    assert ("转介单" in both, "Referral of a pupil" in both) == (True, True)
    assert both.count(STATE) == 1
    with pytest.raises(BadInput):
        city.engine.document(slip.number, by=COUNSELOR, lang="fr")


def test_before_the_stamp_and_after_the_end_there_is_nothing_to_print(city: City, slip: Story) -> None:
    other = open_track(city, city.report(subject="stu-41").reach("intervening"), "referral_v1")
    assert city.engine.case(other.number, by=COUNSELOR).prints == ()
    with pytest.raises(CommandRejected, match="first comes stamp"):
        city.engine.document(other.number, by=COUNSELOR)
    slip.agreed(COUNSELOR, VICE_PRINCIPAL, "stop", because="家长另行安排")
    assert city.engine.case(slip.number, by=COUNSELOR).prints == ()
    (one,) = city.engine.documents(slip.number, by=COUNSELOR)
    assert (one.possible, one.why_not) == (False, "referral_slip is not printed in the stage stopped.")
    with pytest.raises(CommandRejected):
        city.engine.document(slip.number, by=COUNSELOR)


def test_a_guardian_whom_the_case_concerns_does_not_stand_on_the_paper(city: City) -> None:
    """The hospital must not call whoever may be the one who harms."""
    case = city.report(PEER, cues=["old_scars"], about_staff=[PARENT]).reach("intervening")
    slip = open_track(city, case, "referral_v1").act(PRINCIPAL, "stamp", state=STATE)
    text = Page(city.engine.document(slip.number, by=COUNSELOR)).text
    assert "gd-42@" not in text
    assert "gd-42b@" in text
    case.agreed(LAW_VICE_PRINCIPAL, PRINCIPAL, "withhold_from_guardian", because="另一位家长")
    assert "gd-42" not in Page(city.engine.document(slip.number, by=COUNSELOR)).text


def test_what_was_filled_in_is_text_whatever_somebody_typed(city: City, slip: Story) -> None:
    evil = "</dd><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202egnihton\x07\n第二行"
    other = open_track(city, city.report(subject="stu-41").reach("intervening"), "referral_v1").act(PRINCIPAL, "stamp", state=evil)
    html = city.engine.document(other.number, by=COUNSELOR)
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "section", "dl", "div", "dt", "dd", "span", "br"}
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name in {"src", "href"}]
    assert "<script>alert(1)</script>" in page.text
    assert "<202E>" in page.text
    assert "\u202e" not in html
    assert not re.search(r"url\(|@import|https?:", html)
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert slip.number not in html


# ---- who prints -------------------------------------------------------------------------------------------------------------------------


def test_a_partner_prints_nothing_and_neither_does_whoever_only_counts_or_is_concerned(city: City, slip: Story) -> None:
    slip.act(COUNSELOR, "consent", form="present").act(COUNSELOR, "send", partner=HOSPITAL)
    for by in (HOSPITAL_LIAISON, OPERATOR, PEER, "p-111", "p-52"):
        with pytest.raises(NotAllowed):
            city.engine.document(slip.number, by=by)
        with pytest.raises(NotAllowed):
            city.engine.documents(slip.number, by=by)
    assert city.engine.case(slip.number, by=HOSPITAL_LIAISON).prints == ()
    slip.act(CLASS_TEACHER, "consent_withdrawn")
    assert city.engine.case(slip.number, by=CLASS_TEACHER).prints == ("referral_slip",)   # tier 1, as the slip itself


def test_whoever_reads_less_than_the_document_holds_does_not_print_it_with_holes(city: City) -> None:
    track = open_track(city, city.report(), "guardian_v1", by=CLASS_TEACHER)
    track.act(CLASS_TEACHER, "tell", who="母亲", at=city.clock(), mode="face", told="学校所见").act(COUNSELOR, "refuse", because="不接受")
    track.act(COUNSELOR, "still_refuses", note="再谈").act(VICE_PRINCIPAL, "meeting_failed", note="母亲情绪激动", notice="请尽快就诊")
    with pytest.raises(NotAllowed, match="holds more than p-11 may read"):
        city.engine.document(track.number, by=CLASS_TEACHER)
    assert city.engine.documents(track.number, by=CLASS_TEACHER) == []
    assert city.engine.case(track.number, by=CLASS_TEACHER).prints == ()
    text = Page(city.engine.document(track.number, by=COUNTY_OFFICER)).text
    assert "请尽快就诊" in text
    assert "母亲情绪激动" not in text
    assert "12356" in text


def test_the_record_of_a_mandatory_report_is_for_whoever_reads_tier_4(city: City) -> None:
    case = city.report(cues=["suicide_words"])
    track = open_track(city, case, "mandatory_report_v1", by=LAW_VICE_PRINCIPAL, facts="身上有伤")
    form = {"category": "family_violence", "at": city.clock(), "decided": [LAW_VICE_PRINCIPAL], "receipt": "A-1"}
    track.act(LAW_VICE_PRINCIPAL, "report_to_police", **form)
    text = Page(city.engine.document(track.number, "report_form", by=LAW_VICE_PRINCIPAL)).text
    assert "家庭暴力、虐待" in text
    assert "A-1" in text
    for by in (COUNSELOR, VICE_PRINCIPAL):
        with pytest.raises((NotAllowed, NotFound)):
            city.engine.document(track.number, "report_form", by=by)


def test_each_printing_is_written_down_before_the_page_is_given(city: City, slip: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    city.engine.document(slip.number, by=CLASS_TEACHER, why="家长来取")
    (entry,) = [one for one in city.engine.reads(slip.number, by=PRINCIPAL) if one.what == "document"]
    assert (entry.who, entry.tier, entry.why) == (CLASS_TEACHER, 1, "家长来取")

    def full(*_: object) -> None:
        raise StoreError("no space left")

    monkeypatch.setattr(type(city.engine.store), "writing", full)
    with pytest.raises(StoreError):
        city.engine.document(slip.number, by=CLASS_TEACHER)


def test_no_role_of_a_partner_and_no_role_that_reads_no_fact_may_print() -> None:
    access = load_access()
    for role in access.actions["case.print"].sight:
        assert access.roles[role].level != "partner", role
        assert access.roles[role].reads >= 1, role
    assert not access.actions["case.print"].glass   # nothing is put on paper behind broken glass


# ---- the file is checked hard -----------------------------------------------------------------------------------------------------------


def referral(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    doc = tomllib.loads((ROOT / "workflows" / "referral_v1.toml").read_text(encoding="utf-8"))
    change(doc)
    return doc


def line(doc: dict[str, Any]) -> dict[str, Any]:
    return doc["document"]["referral_slip"]["part"][1]["lines"][0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(("change", "key", "says"), [
    (lambda doc: line(doc).update(field="stamp.stat"), "document.referral_slip.part[2].lines[1].field", 'Did you mean "stamp.state"?'),
    (lambda doc: line(doc).update(field="stampp.state"), "document.referral_slip.part[2].lines[1].field", 'Did you mean "stamp.state"?'),
    (lambda doc: line(doc).update(field="feed_back.document"), "document.referral_slip.part[2].lines[1].field",
     "feed_back.document is of secrecy 2, the document of 1"),
    (lambda doc: line(doc).update(fact="child"), "document.referral_slip.part[2].lines[1]", "exactly one thing"),
    (lambda doc: (line(doc).pop("field"), line(doc).update(fact="chlid")), "document.referral_slip.part[2].lines[1].fact",
     'Did you mean "child"?'),
    (lambda doc: (line(doc).pop("field"), line(doc).update(blank="stmp")), "document.referral_slip.part[2].lines[1].blank",
     'Did you mean "stamp"?'),
    (lambda doc: line(doc).pop("label"), "document.referral_slip.part[2].lines[1].label", "missing"),
    (lambda doc: line(doc)["label"].pop("en"), "document.referral_slip.part[2].lines[1].label.en", "missing"),
    (lambda doc: line(doc).update(size=3), "document.referral_slip.part[2].lines[1].size", "not known"),
    (lambda doc: doc["move"]["stamp"].update(prints="referal_slip"), "move.stamp.prints", 'Did you mean "referral_slip"?'),
    (lambda doc: doc["move"]["stamp"].pop("prints"), "document.referral_slip", "no move prints"),
    (lambda doc: doc["document"]["referral_slip"].update(secrecy=0), "document.referral_slip.part[1].lines[1].fact",
     "child is of secrecy 1"),
    (lambda doc: doc["document"]["referral_slip"].update(part=[]), "document.referral_slip.part", "nothing stands"),
    (lambda doc: doc["document"]["referral_slip"].update({"in": ["snet"]}), "document.referral_slip.in", 'Did you mean "sent"?'),
    (lambda doc: doc["document"]["referral_slip"].update({"in": []}), "document.referral_slip.in", "no stage"),
    (lambda doc: doc["document"]["referral_slip"].pop("mark"), "document.referral_slip.mark", "source and mark"),
    (lambda doc: doc["document"].update(other={}), "document.other", "no move prints"),
])
def test_a_document_that_cannot_be_meant_is_refused_with_its_key(change: Callable[[dict[str, Any]], object], key: str, says: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        parse_workflow(referral(change), "referral_v1.toml")
    assert (refused.value.key, says in str(refused.value)) == (key, True), str(refused.value)


@pytest.mark.parametrize(("of", "most", "says"), [
    (["pdf", "exe"], None, "'exe' is not known"), ("pdf", None, "list of texts"), (["pdf"], 50 * 1024 * 1024 + 1, "whole number"),
    (["hospital"], None, "'hospital' is not known"),
])
def test_a_field_that_takes_files_is_checked_too(of: object, most: int | None, says: str) -> None:
    field = {"name": "slip", "type": "attachment", "secrecy": 1, "of": of, **({"max": most} if most else {})}
    with pytest.raises(DefinitionError, match=re.escape(says)):
        parse_workflow(referral(lambda doc: doc["move"]["stamp"].update(fields=[field, *doc["move"]["stamp"]["fields"][:1]])), "x.toml")


def test_no_shipped_document_prints_a_rating_or_calls_itself_a_diagnosis() -> None:
    assert not {"risk", "peak", "tier", "danger"} & set(FACTS)
    for name in shipped()["workflows"]:
        workflow = parse_workflow(tomllib.loads((ROOT / "workflows" / f"{name}.toml").read_text(encoding="utf-8")), name)
        for document in workflow.documents.values():
            fields = {f"{move.name}.{field.name}": field for move in workflow.moves.values() for field in move.fields}
            lines = [one for part in document.parts for one in part.lines]
            assert all(fields[one.name].type not in {"risk", "cues"} for one in lines if one.kind == "field")
            assert all(fields[one.name].secrecy <= document.secrecy for one in lines if one.kind == "field")
            labels = [document.label, *(part.label for part in document.parts), *(one.label for one in lines)]
            assert not re.search("患者|抑郁|病人|patient|depress|disorder", str(labels), re.IGNORECASE)


# ---- HTML and PDF -----------------------------------------------------------------------------------------------------------------------

SHEET = Sheet({"zh": "单", "en": "Slip"}, "ABC-DEF-GHJ", (
    Section({"zh": "一", "en": "one"}, tuple(
        Entry(kind, {"zh": f"甲{kind}", "en": f"a {kind}"}, {"zh": "值", "en": "value"} if kind == "value" else {})
        for kind in ("text", "value", "line", "lines", "date", "signature", "stamp", "box"))),
    Section({"zh": "二", "en": "two"}, (Entry("box", {"zh": "是", "en": "yes"}, {}),), cut=True),
))


def test_a_page_holds_every_kind_of_line_and_its_tags_close() -> None:
    html = page_of(SHEET, ("zh", "en"))
    for tag in ("section", "dl", "div", "dt", "dd", "p", "h2"):
        assert html.count(f"<{tag}") == html.count(f"</{tag}>"), tag
    assert say("sheet.cut", "zh") in html
    assert 'class="whole"' in html


def test_without_weasyprint_a_pdf_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (ImportError, OSError):
        def missing(name: str, error: type[Exception] = error) -> None:
            raise error(name)

        monkeypatch.setattr(pdf, "import_module", missing)
        with pytest.raises(BadInput) as refused:
            pdf.pdf_of("<p>")
        assert "crisis-engine[print]" in refused.value.way_out


def test_a_pdf_is_made_where_weasyprint_is_there_fetches_nothing_and_logs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:
    try:
        pdf.refuse_pdf()
    except BadInput:
        pytest.skip("the extra `print`, or Pango, is not installed")
    caplog.set_level("DEBUG")
    made = pdf.pdf_of(page_of(SHEET, ("en",)))
    assert made[:5] == b"%PDF-"
    secret = tmp_path / "secret.txt"
    secret.write_text("never", encoding="utf-8")
    stolen = pdf.pdf_of(f'<img src="{secret.as_uri()}"><link rel=attachment href="{secret.as_uri()}"><p>x</p>')
    assert b"never" not in stolen
    with pytest.raises(BadInput, match="No font of this machine"):
        pdf.pdf_of("<p>\U000107ff示例学生\U0001033f</p>")   # letters that no font has; a warning would name every one
    assert [record for record in caplog.records if record.name.startswith(("weasyprint", "fontTools"))] == []


# ---- the console ------------------------------------------------------------------------------------------------------------------------


def test_the_console_lists_prints_and_never_writes_over(
    city: City, slip: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRISIS_NOW", city.clock().isoformat())
    monkeypatch.setenv("CRISIS_DB", city.url)
    monkeypatch.setenv("CRISIS_LANG", "zh")
    assert main(["print", slip.number, "--as", COUNSELOR]) == 0
    assert "referral_slip  学生心理健康转介单: 现在可以打印" in capsys.readouterr().out
    assert main(["print", slip.number, "--as", COUNSELOR, "--out", "slip.html", "--sheet", "both"]) == 0
    assert (tmp_path / "slip.html").stat().st_mode & 0o777 == 0o600
    assert "Referral of a pupil" in (tmp_path / "slip.html").read_text(encoding="utf-8")
    for args, code in {
        ("--out", "slip.html"): 2, ("--out", "slip.doc"): 2, ("--out", "no/slip.html"): 74, ("--out", "x.html", "--document", "slip"): 3,
        ("--out", "x.html", "--sheet", "fr"): 2,
    }.items():
        assert main(["print", slip.number, "--as", COUNSELOR, *args]) == code, args
        assert len(capsys.readouterr().err.splitlines()) == 2, args
    assert not (tmp_path / "x.html").exists()
    assert main(["show", slip.number, "--as", COUNSELOR, "--json"]) == 0
    assert '"prints": [\n    "referral_slip"' in capsys.readouterr().out
