"""The matrix of rights for partners: every sort of partner, every state of a referral, every way of looking, against a table by hand.

The table was written from the rule (docs/tracks.md: a partner sees the cases that were sent to its own unit, and nothing else) and reads
nothing of what it checks: whose slip it is at each moment is said by the story that the test tells. Mutants of the rule turn it red.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crisis_engine import CrisisError, Engine
from crisis_engine.core import access
from crisis_engine.core.case import Case
from crisis_engine.core.model import PARTNER_SORTS, Agreement, Duty, Person, Unit
from crisis_engine.roster import RosterSet
from crisis_engine.testing import open_test_engine

from .story import COUNSELOR, PRINCIPAL, VICE_PRINCIPAL, City, Story, copy_city
from .tracks import open_track, opened_by_rules

STATES = ("sent", "accepted", "agreement_ended", "withdrawn", "sent_to_another", "declined", "expired", "finished", "abolished")

# By hand: who sees the slip that the state is about, and its place in the queue. s: sees it, and it waits in the own queue; o: sees it,
# nothing of it waits; -: does not know of it. `sent_to_another`: the slip that left; each partner then has that of its neighbour instead.
#                             sent  accepted  agreement_ended  withdrawn  to_another  declined  expired  finished  abolished
TABLE = """
    hospital_liaison           s      s              s             -           -          -        -        o         -
    centre                     s      s              s             -           -          -        -        o         -
    police_liaison             -      -              -             -           -          -        -        -         -
    health_liaison             s      s              s             -           -          -        -        o         -
    civil_affairs_liaison      s      s              s             -           -          -        -        o         -
    womens_federation_liaison  s      s              s             -           -          -        -        o         -
    youth_league_liaison       s      s              s             -           -          -        -        o         -
    cyberspace_liaison         s      s              s             -           -          -        -        o         -
    political_legal_liaison    s      s              s             -           -          -        -        o         -
"""
EXPECTED: Mapping[tuple[str, str], str] = {
    (role, state): mark for role, *marks in (line.split() for line in TABLE.strip().splitlines())
    for state, mark in zip(STATES, marks, strict=True)
}
ROLES = {sort: f"{sort}_liaison" if sort != "centre" else sort for sort in PARTNER_SORTS}
PERSON = {sort: f"p-9{place}" for place, sort in enumerate(PARTNER_SORTS)}
CHILDREN = dict(zip(PARTNER_SORTS, (f"stu-{number}" for number in range(101, 110)), strict=True))
OPEN_TO_ALL = 'of = ["hospital", "centre"]', f"of = {list(PARTNER_SORTS)}".replace("'", '"')
"""The shipped slip goes to hospitals and centres; here a city sends it to whatever sort of partner there is."""

ON_SLIP, ABOVE, ON_PARENT = "单上所写", "二级所记", "个案里的话"

WAYS: Mapping[str, Callable[[Engine, str, str], Any]] = {
    "case": lambda engine, number, by: engine.case(number, by=by).to_json(),
    "history": lambda engine, number, by: engine.history(number, by=by),
    "moves": lambda engine, number, by: [move.to_json() for move in engine.moves(number, by=by)],
    "explain": lambda engine, number, by: engine.explain(number, by=by).to_json(),
    "export": lambda engine, number, by: engine.export(number, by=by, because="why"),
    "reads": lambda engine, number, by: engine.reads(number, by=by),
    "reporter": lambda engine, number, by: engine.reporter(number, by=by, why="why"),
    "glass": lambda engine, number, by: engine.break_glass(number, by=by, because="why"),
    "link": lambda engine, number, by: engine.link(number, number, by=by),
    "hold": lambda engine, number, by: engine.place_hold("case", number, because="why", by=by),
    "page": lambda engine, number, by: engine.cases(by=by, after=number),
    "track": lambda engine, number, by: engine.open_case("guardian_v1", parent=number, by=by),
}
"""Each way of asking about one case; those of ANSWERED answer whom the table lets see, the others no partner ever."""
ANSWERED = ("case", "history", "moves", "explain", "page")
WRITES, WRITTEN = ("glass", "link", "hold", "track"), ("sent", "withdrawn", "finished")
"""What would write, and costs most to refuse, is tried in those states in which the sight changes."""

LISTS: Mapping[str, Callable[[Engine, str], Any]] = {
    "queue": lambda engine, by: [item.to_json() for item in engine.queue(by=by)],
    "cases": lambda engine, by: [line.to_json() for line in engine.cases(by=by)],
    "ended": lambda engine, by: [line.to_json() for line in engine.cases(by=by, ended=True)],
    "counts": lambda engine, by: [cell.to_json() for cell in engine.counts(by=by)],
    "own_reads": lambda engine, by: [str(one) for one in engine.own_reads(by=by)],
    "roster": lambda engine, by: engine.roster(by=by),
    "notices": lambda engine, by: engine.notices(by=by),
    "due": lambda engine, by: engine.erasures_due(by=by),
    "backtest": lambda engine, by: engine.backtest("default_v1", by=by),
    "pack": lambda engine, by: engine.compliance_pack(2026, by=by),
    "keys": lambda engine, by: engine.key_status(by=by),
}
"""Each way of asking without a number."""


class Partners:
    """The example city with a partner of every sort, each with one child's slip; the story brings all slips from state to state."""

    def __init__(self, city: City) -> None:
        self.city, self.engine = city, city.engine
        self.units = {sort: f"xinyang/shihe/of-{sort.replace('_', '-')}" for sort in PARTNER_SORTS}
        units = tuple(Unit(unit, "partner", sort, "xinyang/shihe", sort=sort) for sort, unit in self.units.items())
        persons = tuple(Person(person, person) for person in PERSON.values())
        duties = tuple(Duty(ROLES[sort], self.units[sort], PERSON[sort]) for sort in PARTNER_SORTS)
        self.engine.import_roster(RosterSet(units, persons, duties, agreements=self.agreed(days=900)))
        self.parents = {sort: city.report(COUNSELOR, subject=child, facts=ON_PARENT) for sort, child in CHILDREN.items()}
        self.talks = {sort: open_track(city, parent, "guardian_v1") for sort, parent in self.parents.items()}
        self.slips: dict[str, Story] = {}
        for sort, parent in self.parents.items():
            slip = self.slips[sort] = open_track(city, parent, "referral_v1", state=ON_SLIP)
            slip.act(PRINCIPAL, "stamp", state=ON_SLIP).act(COUNSELOR, "no_consent_yet", because=ABOVE)
            slip.act(COUNSELOR, "consent", form="present")
        self.at = dict.fromkeys(PARTNER_SORTS, "")     # with whom each child's slip stands
        self.send()

    def agreed(self, **span: float) -> tuple[Agreement, ...]:
        ends = self.city.clock() + timedelta(**span)
        return tuple(Agreement(f"of-{sort}", unit, "xinyang/shihe", ends - timedelta(days=1000), ends) for sort, unit in self.units.items())

    def send(self, step: int = 0, **more: bool) -> None:
        """Each child's slip goes to the partner so many places on."""
        for place, (sort, slip) in enumerate(self.slips.items()):
            to = PARTNER_SORTS[(place + step) % len(PARTNER_SORTS)]
            slip.act(COUNSELOR, "send", partner=self.units[to], **more)
            self.at[sort] = to

    def each(self, move: str, **fields: str) -> None:
        """Every partner that knows of its slip moves it."""
        for sort, slip in self.slips.items():
            if ROLES[self.at[sort]] != "police_liaison":
                slip.act(PERSON[self.at[sort]], move, **fields)

    def bring_to(self, state: str) -> None:
        """Go on from the state before."""
        {
            "sent": lambda: None,
            "accepted": lambda: self.each("accept"),
            "agreement_ended": lambda: self.engine.import_roster(RosterSet(agreements=self.agreed(days=0))),
            "withdrawn": self.withdraw,
            "sent_to_another": self.send_on,
            "declined": self.decline,
            "expired": self.expire,
            "finished": self.finish,
            "abolished": self.abolish,
        }[state]()

    def withdraw(self) -> None:
        for sort, slip in self.slips.items():
            slip.act(COUNSELOR, "consent_withdrawn" if ROLES[sort] != "police_liaison" else "call_back", because="家长改变主意")

    def send_on(self) -> None:
        self.engine.import_roster(RosterSet(agreements=self.agreed(days=900)))
        for slip in self.slips.values():
            if slip.stage == "consenting":
                slip.act(COUNSELOR, "consent", form="present")
        self.send(1)

    def decline(self) -> None:
        self.each("cannot_take", because="床位已满")
        for sort, slip in self.slips.items():
            if ROLES[self.at[sort]] == "police_liaison":
                slip.act(COUNSELOR, "call_back", because="无人答复")

    def expire(self) -> None:
        self.send(0, again=True)
        self.city.skip(hours=13).sweep()
        assert all(slip.happened("moved", move="expire") for slip in self.slips.values())

    def finish(self) -> None:
        self.send(0, again=True)
        self.each("accept")
        self.each("was_seen")
        self.each("care_ends")
        for sort, slip in self.slips.items():
            if ROLES[self.at[sort]] != "police_liaison":
                slip.agreed(COUNSELOR, VICE_PRINCIPAL, "received", note="已衔接")
                assert slip.case.final == "closed"

    def abolish(self) -> None:
        now, units = self.city.clock(), self.units.items()
        gone = tuple(Unit(unit, "partner", sort, "xinyang/shihe", ends_at=now, sort=sort) for sort, unit in units)
        self.engine.import_roster(RosterSet(gone))
        self.city.sweep()

    # ---- what the table says, and what is heard ---------------------------------------------------------------------------

    def wrong(self, state: str) -> list[tuple[str, ...]]:
        """Return every cell in which the engine says something else than the table."""
        found: list[tuple[str, ...]] = []
        ways = [way for way in WAYS if way not in WRITES or state in WRITTEN]
        for sort, person in PERSON.items():
            mark = EXPECTED[ROLES[sort], state]
            own, other = self.slips[sort], self.slips[PARTNER_SORTS[PARTNER_SORTS.index(sort) - 1]]
            shown = {own.number} if mark in "so" else set()
            if state == "sent_to_another" and EXPECTED[ROLES[sort], "sent"] == "s":
                shown, mark = {other.number}, "s"     # each has the slip of the neighbour's child now
            hidden = [one for one in (own, other, self.parents[sort], self.talks[sort]) if one.number not in shown]
            for number in shown:
                found += [(state, sort, way, "own") for way in ways if (self.hear(way, number, person) is not None) != (way in ANSWERED)]
                if ON_SLIP not in str(self.hear("history", number, person)):
                    found.append((state, sort, "history", "does not say what the slip says"))
            found += [
                (state, sort, way, one.case.workflow) for one in hidden for way in ways if self.hear(way, one.number, person) is not None
            ]
            found += self._lists(state, sort, shown, mark)
        return found

    def hear(self, way: str, number: str, by: str) -> object | None:
        """Return the answer, nothing where it was refused. No answer tells more than the slip."""
        try:
            answer = WAYS[way](self.engine, number, by)
        except CrisisError:
            return None
        self.tells_nothing(str(answer), {number})
        return answer if answer is not None else ""

    def tells_nothing(self, text: str, shown: set[str]) -> None:
        for story in (*self.parents.values(), *self.talks.values(), *self.slips.values()):
            assert story.number in shown or story.number not in text, "another case is named"
        for leak in (ABOVE, ON_PARENT):
            assert leak not in text, f"{leak} is read by a partner"

    def _lists(self, state: str, sort: str, shown: set[str], mark: str) -> list[tuple[str, ...]]:
        waits, over = (shown if mark == one else set() for one in "so")
        wanted = {"queue": waits, "cases": waits, "ended": waits | over}
        found: list[tuple[str, ...]] = []
        for name, ask in LISTS.items():
            try:
                answer = ask(self.engine, PERSON[sort])
            except CrisisError:
                answer = None
            self.tells_nothing(str(answer), shown)
            if name in wanted:
                numbers = {line["number"] for line in answer or []}
                wrong = numbers != wanted[name]
            elif name == "roster":
                wrong = answer is not None and "stu-" in str(answer)
            else:
                wrong = bool(answer) and name != "own_reads"
            if wrong:
                found.append((state, sort, name, str(answer)[:200]))
        return found


@pytest.fixture
def partners(city_template: Path, tmp_path: Path) -> Iterator[Partners]:
    """The city of this file, its slips sent."""
    folder = tmp_path / "definitions"
    copy_city(city_template, tmp_path / "partners.db")
    with opened_by_rules(folder, ""), open_test_engine(url=f"sqlite:///{tmp_path / 'partners.db'}") as (engine, clock, channel):
        slip = folder / "workflows" / "referral_v1.toml"
        text = slip.read_text(encoding="utf-8")
        assert OPEN_TO_ALL[0] in text
        slip.write_text(text.replace(*OPEN_TO_ALL), encoding="utf-8")
        yield Partners(City(engine, clock, channel, ""))


def test_the_table_knows_every_sort_of_partner_and_every_role_that_is_held_there() -> None:
    from crisis_engine.definitions import load_access

    held = {name for name, role in load_access().roles.items() if role.level == "partner"}
    assert {role for role, _state in EXPECTED} == set(ROLES.values())
    assert held - set(ROLES.values()) == {"hotline"}, "a hotline takes words and is sent nothing"


def test_a_partner_sees_its_own_slip_and_nothing_else_whatever_it_calls(partners: Partners) -> None:
    heard: set[str] = set()
    for state in STATES:
        partners.bring_to(state)
        assert partners.wrong(state) == []
        if state == "accepted":
            partners.engine.digest()
        for message in partners.city.messages():
            if message.to in PERSON.values():
                heard.add(message.to)
                partners.tells_nothing(message.subject + message.body, {slip.number for slip in partners.slips.values()})
    assert heard == {person for sort, person in PERSON.items() if ROLES[sort] != "police_liaison"}


def test_a_partner_is_told_of_no_other_slip_than_its_own(partners: Partners) -> None:
    partners.each("accept")
    partners.engine.digest()
    for message in partners.city.messages():
        sorts = [sort for sort, person in PERSON.items() if person == message.to]
        for sort in sorts:
            partners.tells_nothing(message.subject + message.body, {partners.slips[sort].number})


def everything(_term: access.Term, _case: Case) -> bool:
    return True


def whatever_is_addressed(term: access.Term, case: Case) -> bool:
    return bool(case.facts.get("addressee")) if term.addressed else ADMITS(term, case)


def the_place_of_the_partner(term: access.Term, case: Case) -> bool:
    return case.unit.startswith(term.unit.rpartition("/")[0]) if term.addressed else ADMITS(term, case)


def nothing_at_all(term: access.Term, case: Case) -> bool:
    return not term.addressed and ADMITS(term, case)


ADMITS = access.Term.admits


@pytest.mark.parametrize("mutant", [everything, whatever_is_addressed, the_place_of_the_partner, nothing_at_all])
def test_a_mutant_of_the_rule_turns_the_table_red(
    partners: Partners, mutant: Callable[[access.Term, Case], bool], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access.Term, "admits", mutant)
    try:
        wrong = partners.wrong("sent")
    except AssertionError:
        return    # it told of another case, which no answer may do
    assert wrong


def test_a_rule_that_remembers_who_was_asked_turns_the_table_red(partners: Partners, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever once was sent a slip and is not any more must not see it: a rule that looked at the past would be found."""
    sent = {slip.number: partners.units[sort] for sort, slip in partners.slips.items()}
    partners.bring_to("accepted")
    partners.bring_to("withdrawn")
    assert partners.wrong("withdrawn") == []
    monkeypatch.setattr(
        access.Term, "admits", lambda term, case: sent.get(case.number) == term.unit if term.addressed else ADMITS(term, case))
    assert partners.wrong("withdrawn")
