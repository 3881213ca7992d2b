"""Canaries in every field of every form, name, contact and reason; then everything that was ever written or sent is searched for them.

A canary says its secrecy tier, so that it is known of each one who may hear it: `金丝雀T3 note.text` is a counselling note.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from crisis_engine import Attachment, CrisisError
from crisis_engine.cli import log as console_log
from crisis_engine.cli import main
from crisis_engine.definitions import load_procedure
from crisis_engine.doctor import examine
from crisis_engine.example import example_roster
from crisis_engine.roster import RosterSet

from .story import (
    CITY_EXPERT,
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_EXPERT,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
)

CANARY = "金丝雀"
NAMES = f"{CANARY}T9"                 # names and contacts: in no view of a case at all
OTHER_TEACHER, ACCUSED = "p-12", "p-36"

CLEAR_TODAY: set[tuple[str, str]] = set()
"""The columns in which a secret may stand in clear: none."""

READS = {   # by hand: the secrecy tier of each reader of this life
    PEER: -1, "gd-42": -1, OPERATOR: 0, CLASS_TEACHER: 1, "p-21": 1, OTHER_TEACHER: 2, VICE_PRINCIPAL: 2, PRINCIPAL: 2, COUNSELOR: 3,
    SECOND_COUNSELOR: 3, LAW_VICE_PRINCIPAL: 4, COUNTY_OFFICER: 2, COUNTY_EXPERT: 3, CITY_OFFICER: 2, "p-7": 1, ACCUSED: -1,
}


def scan(secrecy: int) -> Attachment:
    """Return a file whose name and content are canaries."""
    return Attachment(f"{CANARY}T{secrecy} scan.pdf", f"%PDF-1.4 {CANARY}T{secrecy} content".encode())


class Life:
    """Acts with a canary in every text field that nobody filled otherwise."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.moves = dict(load_procedure("school_crisis_v1", "xinyang_v1").workflow.moves)
        self.number, self.acts = "", 0
        self.hatched: set[str] = set()
        self.tracks: dict[str, str] = {}   # beside the case: the number, and a file of it
        self.errors: list[str] = []
        self.logs = True

    def form(self, move: str, given: dict[str, Any]) -> dict[str, Any]:
        blank = [f for f in self.moves[move].fields if f.type == "text" and f.name not in given]
        texts = {f.name: f"{CANARY}T{f.secrecy} {move}.{f.name}" for f in blank}
        self.hatched |= {f"{move}.{name}" for name in texts}
        return {**texts, **given}

    def report(self, by: str, **given: Any) -> None:  # noqa: ANN401 - any field of the form
        form = self.form("report", given)
        token = self.city.engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by=by, key=f"{CANARY}T9 key {by}", **form).token
        self.number = self.city.story(token).number

    def act(self, by: str, move: str, **given: Any) -> None:  # noqa: ANN401
        self.acts += 1
        self.city.engine.act(self.number, move, by=by, fields=self.form(move, given), key=f"{CANARY}T9 key {self.acts}")

    def agree(self, by: str, second: str, move: str, **given: Any) -> None:  # noqa: ANN401
        self.act(by, move, **given)
        self.city.engine.act(self.number, "confirm", by=second, fields={"because": f"{CANARY}T2 confirm.because"})

    def report_beside(self) -> None:
        """The law vice-principal makes the mandatory report that opened by itself; it would hold the closure."""
        with self.city.engine.store.reading() as tx:
            track = next(one.case.number for one in tx.tracks_of(self.number) if one.case.workflow == "mandatory_report_v1")
        at, receipt = self.city.clock(), f"{CANARY}T4 report.receipt"
        said = {"category": "family_violence", "at": at, "decided": [LAW_VICE_PRINCIPAL], "receipt": receipt, "file": scan(4)}
        self.city.engine.act(track, "report_to_police", by=LAW_VICE_PRINCIPAL, fields=said)
        self.city.engine.act(track, "tell_supervisor", by=LAW_VICE_PRINCIPAL, fields={"at": at, "receipt": receipt})

    def attach_beside(self) -> None:
        """A guardian's track with a file of secrecy 2, which is read, listed and refused; a slip with one of secrecy 1, printed."""
        engine, at, by = self.city.engine, self.city.clock(), COUNSELOR
        track = engine.open_case("guardian_v1", by=by, parent=self.number).number
        form = {"who": f"{CANARY}T1 tell.who", "at": at, "mode": "face", "told": f"{CANARY}T2 tell.told"}
        for wrong in (replace(scan(2), name=f"{CANARY}T2.exe"), replace(scan(2), content=b"%PDF " + CANARY.encode()), f"{CANARY}T2.pdf",
                      {"name": f"{CANARY}T2.pdf", "n": 1, "seq": 1, "sha256": "", "size": 1, "sort": "pdf"}):
            self.fails(partial(engine.act, track, "tell", by=by, fields={**form, "proof": wrong}))
        engine.act(track, "tell", by=by, fields={**form, "proof": scan(2)}, key=f"{CANARY}T9 key tell")
        (listed,) = engine.attachments(track, by=by)
        assert CANARY in engine.attachment(track, listed.id, by=by).name
        self.fails(partial(engine.attachment, track, listed.id, by=CLASS_TEACHER))
        self.fails(partial(engine.attachment, track, f"{CANARY}T9", by=by))
        slip = engine.open_case("referral_v1", by=by, parent=self.number, fields={"state": f"{CANARY}T1 refer.state"}).number
        engine.act(slip, "stamp", by=VICE_PRINCIPAL, fields={"state": f"{CANARY}T1 stamp.state", "slip": scan(1)})
        assert CANARY in engine.document(slip, by=by)
        self.fails(partial(engine.document, slip, f"{CANARY}T9", by=by))
        engine.act(track, "agree", by=by)
        self.tracks = {track: listed.id, slip: engine.attachments(slip, by=by)[0].id}

    def fails(self, call: Callable[[], object]) -> None:
        """Something is refused; what the refusal says goes to whoever asked, and into a host's log."""
        with pytest.raises(CrisisError) as caught:
            call()
        error = caught.value
        self.errors.append(f"{error!r} {error} {error.message} {error.way_out} {error.data} {error.args}")
        if self.logs:
            structlog.get_logger("host").error("refused", error=error, exc_info=error)


def live(life: Life) -> None:
    """One child's whole life with everything that may happen in it."""
    city, clock = life.city, life.city.clock
    life.report(PEER, cues=["means"], about_staff=[ACCUSED])
    life.report("p-17", cues=["suicide_words"])
    life.act(CLASS_TEACHER, "danger_now")
    life.act(CLASS_TEACHER, "child_is_safe", until=city.time("08:50"))
    life.act(CLASS_TEACHER, "acknowledge")
    life.act(CLASS_TEACHER, "attempt", mode="phone")
    life.attach_beside()     # before the talk opens by itself
    life.act(CLASS_TEACHER, "guardian_unreachable")
    life.act(CLASS_TEACHER, "guardian_told", at=clock(), answer="partly")
    life.agree(COUNSELOR, VICE_PRINCIPAL, "danger_over")
    life.act(COUNSELOR, "note")
    life.act(COUNSELOR, "signal_handled")
    life.agree(LAW_VICE_PRINCIPAL, PRINCIPAL, "withhold_from_guardian")
    life.act(LAW_VICE_PRINCIPAL, "mandatory_reported", category="family_violence")
    life.report_beside()
    life.act(COUNSELOR, "exclude_person", person=["p-37"])
    city.wait(minutes=105)
    life.act(COUNTY_OFFICER, "take_in_hand", clock="county_told", until=clock() + timedelta(minutes=20))
    city.engine.break_glass(life.number, by=OTHER_TEACHER, because=f"{CANARY}T2 glass.because", hours=8)
    life.act(PRINCIPAL, "report_to_county")
    life.act(COUNTY_OFFICER, "keep_watching")
    life.act(COUNTY_OFFICER, "take_over")
    life.act(COUNSELOR, "assess", risk="red", ideation="yes", plan="yes", means="yes", attempt="no")
    life.act(COUNTY_OFFICER, "triage", risk="orange", members=[COUNSELOR, PRINCIPAL, VICE_PRINCIPAL])
    city.engine.act(life.number, "decline", by=COUNTY_EXPERT, fields={"because": f"{CANARY}T2 decline.because"})
    city.wait(minutes=1)
    life.agree(COUNTY_OFFICER, COUNTY_EXPERT, "triage", risk="orange", members=[COUNSELOR, PRINCIPAL, VICE_PRINCIPAL])
    life.agree(COUNTY_EXPERT, COUNTY_OFFICER, "plan", review_on="2026-04-01")
    life.act(COUNSELOR, "contact", on=clock(), mode="face")
    life.act(VICE_PRINCIPAL, "review", risk="orange")
    life.act(CLASS_TEACHER, "raise_risk", risk="red")
    life.agree(COUNSELOR, VICE_PRINCIPAL, "lower_risk", risk="orange")
    life.act(COUNSELOR, "step_down")
    city.engine.history(life.number, by=COUNSELOR, why=f"{CANARY}T2 history.why")


def end(life: Life) -> None:
    """Closure, a new life, another ending."""
    city, clock = life.city, life.city.clock
    slip = list(life.tracks)[1]
    city.engine.act(slip, "stop", by=COUNSELOR, fields={"because": f"{CANARY}T2 stop.because"})
    city.engine.act(slip, "confirm", by=VICE_PRINCIPAL)
    life.act(city.engine.case(life.number, by=COUNTY_OFFICER).answers or "", "hand_back")
    city.skip(days=181)
    life.act(COUNSELOR, "contact", on=clock(), mode="home_visit")
    life.act(VICE_PRINCIPAL, "request_closure")
    life.act(COUNTY_OFFICER, "county_return")
    life.act(VICE_PRINCIPAL, "request_closure")
    life.act(COUNTY_OFFICER, "county_agree")
    life.act(CITY_OFFICER, "city_return")
    life.act(VICE_PRINCIPAL, "request_closure")
    life.act(COUNTY_OFFICER, "county_agree")
    life.act(CITY_OFFICER, "city_pass", members=[CITY_OFFICER, CITY_EXPERT, "p-6"])
    life.act(COUNSELOR, "reopen")
    life.act(PRINCIPAL, "request_end", why="left_city")
    life.act(COUNTY_OFFICER, "refuse_end")
    life.act(PRINCIPAL, "request_end", why="left_city")
    life.act(COUNTY_OFFICER, "confirm_end")


def stumble(life: Life) -> None:
    """Everything that people get wrong, with a fact where it does not belong."""
    engine, number, fact = life.city.engine, life.number, f"{CANARY}T9 她说不想活了"
    for field in ("risk", "subject", "members", "until", "text", "mode", "nonsense"):
        life.fails(partial(engine.act, number, "note", by=COUNSELOR, fields={field: scan(9)}))
    fields = ("mode", "on", "risk", "until", "clock", "members", "danger_now", "subject", fact)
    for move in ("contact", "assess", "child_is_safe", "triage", "identify", "note"):
        for name in fields:
            life.fails(partial(engine.act, number, move, by=COUNSELOR, fields={name: fact}))
    for by in (PEER, CLASS_TEACHER, ACCUSED, "p-111", OPERATOR):
        life.fails(partial(engine.act, number, "assess", by=by, fields={"protective": fact}))
        life.fails(partial(engine.break_glass, "X" if by == CLASS_TEACHER else number, by=by, because=fact))
    life.fails(lambda: engine.act(number, "note", by=COUNSELOR, fields={"text": fact + "\x00"}))
    life.fails(lambda: engine.act(number, "note", by=COUNSELOR, fields={"text": fact * 9_999}))
    life.fails(lambda: engine.act(number, "confirm", by=COUNSELOR, fields={"because": fact}))
    life.fails(lambda: engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by="p-31", facts=fact, cues=[fact]))
    life.fails(lambda: engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by=PEER, facts=fact, key=f"{CANARY}T9 key {PEER}"))
    life.fails(lambda: engine.reporter(number, by=COUNSELOR, why=fact))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Leave no log behind that writes to a stream of this test."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Configure the log at its loudest and return what it writes."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    console_log.configure({"CRISIS_LOG_LEVEL": "debug"})
    return stream


@pytest.fixture(autouse=True)
def _own_log() -> Iterator[None]:
    """Give the log back as it was: the console of a test writes into that test's own stream."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def life(city: City) -> Life:
    """Give the example city canaries for names and contacts, and a life to lead."""
    known = example_roster()
    city.engine.import_roster(RosterSet(
        persons=tuple(replace(one, name=f"{NAMES} {one.id}", contact=f"mailto:{NAMES}-{one.id}@example.invalid") for one in known.persons),
        subjects=tuple(replace(one, name=f"{NAMES} {one.ref}") for one in known.subjects),
        guardians=tuple(replace(one, name=f"{NAMES} {one.id}", contact=f"mailto:{NAMES}-{one.id}") for one in known.guardians),
    ))
    return Life(city)


def test_no_canary_leaves_the_house_by_another_door(life: Life, logged: io.StringIO) -> None:
    live(life)
    stumble(life)
    city = life.city
    city.engine.deliver()
    end(life)
    city.sweep()
    city.engine.deliver()
    findings = examine(city.engine)

    texts = {f"{move.name}.{f.name}" for move in life.moves.values() for f in move.fields if f.type == "text"}
    not_in_this_life = {"signal.facts", "signal.with_child", "exclude.because", "close_at_county.opinion", "correct_subject.because"}
    assert texts - life.hatched == not_in_this_life, "say in which life this text is written"
    for what, said in (
        ("log", logged.getvalue()), ("errors", "\n".join(life.errors)), ("doctor", str(findings)),
        ("notices", "".join(one.subject + one.body + one.key + one.to for one in city.channel.sent)),
    ):
        assert said, what
        assert CANARY not in said, (what, re.findall(f".{{60}}{CANARY}.{{40}}", said)[:3])
        assert "stu-42" not in said, what
        if what != "errors":   # whoever is refused is named in the refusal, which this host logs
            assert not re.search(rf"\b{PEER}\b", re.sub(".*event=refused.*", "", said)), what
    assert city.channel.sent
    city.engine.close()
    assert columns_with(CANARY, Path(city.url.removeprefix("sqlite:///"))) == CLEAR_TODAY
    assert columns_with(f'"{PEER}"', Path(city.url.removeprefix("sqlite:///"))) <= {("crisis_event", "secret")}


def columns_with(text: str, path: Path) -> set[tuple[str, str]]:
    """Return every (table, column) of a database in which the text stands anywhere."""
    found = set()
    with closing(sqlite3.connect(path)) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            cursor = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names that the database itself gave
            names = [column[0] for column in cursor.description]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    if text.encode() in raw or json.dumps(text)[1:-1].encode() in raw:
                        found.add((table, name))
    return found


def highest(text: str) -> int:
    """Return the highest tier of the canaries in a text, -1 for none."""
    return max((int(tier) for tier in re.findall(rf"{CANARY}T(\d)", text)), default=-1)


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_hears_a_canary_above_the_own_tier_on_the_console(
    life: Life, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path,  # noqa: FBT001 - a parameter
) -> None:
    monkeypatch.chdir(tmp_path)
    life.logs = False     # a host's own log of refusals is another story's, and takes most of a minute with all it shows
    live(life)
    capsys.readouterr()
    monkeypatch.setenv("CRISIS_NOW", life.city.clock().isoformat())
    monkeypatch.setenv("CRISIS_DEBUG", "1")
    heard: dict[str, int] = {}
    files = [("attachment", track) for track in life.tracks] if as_json else [
        *(("attachment", track, which, "--out", f"{track}.pdf") for track, which in life.tracks.items()),
        ("print", list(life.tracks)[1], "--out", "slip.html"),
    ]
    once = {tier: by for by, tier in READS.items()}.values()    # what takes seconds and says the same to all: one of each tier
    readers = READS if as_json else {by: READS[by] for by in once}
    for by, tier in readers.items():
        for command in (
            ("show", life.number), ("history", life.number), ("moves", life.number), ("queue",), ("cases",), ("cases", "--csv"),
            ("counts",), ("roster", "show"), ("audit", "own"), ("audit", "reads", life.number),
            *([("doctor",), ("sweep",)] if by in once else []),
            ("act", life.number, "keep_watching"), ("show", "XXX-XXX-XXX"), ("reporter", life.number, "--why", "x"),
            *files,
        ):
            main(["--db", life.city.url, "--lang", "en", "--as", by, *(["--json"] if as_json else []), *command])
            said = "".join(capsys.readouterr())
            for saved in (*tmp_path.glob("*.pdf"), *tmp_path.glob("*.html")):
                said += saved.read_text(encoding="utf-8")
                saved.unlink()
            assert highest(said.replace(NAMES, "")) <= tier if command[0] == "print" else highest(said) <= tier, (by, command)
            assert by == PEER or command[0] in {"roster", "reporter"} or not re.search(rf"\b{PEER}\b", said), (by, command)
            if command == ("history", life.number):
                heard[by] = highest(said)
    assert {by: tier for by, tier in heard.items() if tier >= 0} == {by: tier for by, tier in readers.items() if tier > 0}
