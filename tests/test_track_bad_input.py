"""What may go wrong with a partner, on both databases: two accept at once, consent withdrawn late, no authorisation, a unit gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from crisis_engine import CommandRejected, CrisisError, Engine, NotAllowed, StaleVersion, open_engine
from crisis_engine.core.model import Duty, Person
from crisis_engine.roster import RosterSet
from crisis_engine.testing import open_test_engine

from .story import COUNSELOR, COUNTY_OFFICER, PEER, City, Story, copy_city
from .test_track_referral import (
    case,
    slip,
    test_a_partner_that_is_abolished_while_it_holds_a_child_leaves_it_to_the_county,
    test_an_escort_needs_a_written_authorisation_and_an_authorisation_an_escort,
    test_consent_may_be_withdrawn_after_the_hospital_accepted,
)
from .tracks import CENTRE, CENTRE_LIAISON, HOSPITAL, HOSPITAL_LIAISON

__all__ = [
    "case",
    "slip",
    "test_a_partner_that_is_abolished_while_it_holds_a_child_leaves_it_to_the_county",
    "test_an_escort_needs_a_written_authorisation_and_an_authorisation_an_escort",
    "test_consent_may_be_withdrawn_after_the_hospital_accepted",
]

COLLEAGUE = "p-9105"     # the second liaison of the hospital


@pytest.fixture(params=["sqlite", "postgresql"])
def city(request: pytest.FixtureRequest, city_template: Path, tmp_path: Path) -> Iterator[City]:
    """Give the example city on either database."""
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
    else:
        copy_city(city_template, tmp_path / "city.db")
        url = f"sqlite:///{tmp_path / 'city.db'}"
    with open_test_engine(url=url) as (engine, clock, channel):
        yield City(engine, clock, channel, url)


@pytest.fixture
def engines(city: City) -> Iterator[list[Engine]]:
    """Two engines on the city's database, as two machines have them."""
    both = [open_engine(city.url, clock=city.clock, create=False) for _ in range(2)]
    yield both
    for engine in both:
        engine.close()


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Let each call run in a thread of its own, all of them from the same moment; return their answers, an error as itself."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        barrier.wait()
        try:
            return call()
        except CrisisError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_two_hospitals_accept_at_once_and_only_the_one_that_was_asked_has_the_child(slip: Story, engines: list[Engine]) -> None:
    one, other = at_once(lambda: engines[0].act(slip.number, "accept", by=HOSPITAL_LIAISON),
                         lambda: engines[1].act(slip.number, "accept", by=CENTRE_LIAISON))
    assert not isinstance(one, CrisisError)
    assert isinstance(other, NotAllowed)
    assert (slip.stage, slip.case.facts["addressee"]) == ("accepted", HOSPITAL)


def test_two_people_of_one_hospital_accept_at_once_and_it_is_accepted_once(city: City, slip: Story, engines: list[Engine]) -> None:
    city.engine.import_roster(RosterSet(persons=(Person(COLLEAGUE),), duties=(Duty("hospital_liaison", HOSPITAL, COLLEAGUE, rank=2),)))
    for _engine in engines:
        _engine.moves(slip.number, by=COLLEAGUE)      # both have read it before
    answers = at_once(lambda: engines[0].act(slip.number, "accept", by=HOSPITAL_LIAISON),
                      lambda: engines[1].act(slip.number, "accept", by=COLLEAGUE))
    refused = [answer for answer in answers if isinstance(answer, CrisisError)]
    assert len(refused) == 1
    assert isinstance(refused[0], (CommandRejected, StaleVersion))
    assert len(slip.happened("moved", move="accept")) == 1
    assert slip.stage == "accepted"


def test_a_hospital_accepts_while_the_school_calls_the_slip_back_and_one_of_the_two_holds(slip: Story, engines: list[Engine]) -> None:
    """Whichever comes first: never is a child both accepted by one partner and on its way to another."""
    def elsewhere() -> None:
        engines[1].act(slip.number, "call_back", by=COUNSELOR, fields={"because": "家长改选"})
        engines[1].act(slip.number, "send", by=COUNSELOR, fields={"partner": CENTRE})

    accepted, _sent = at_once(lambda: engines[0].act(slip.number, "accept", by=HOSPITAL_LIAISON), elsewhere)
    assert (slip.stage, slip.case.facts["addressee"]) == ("sent", CENTRE)     # the school may call back what was accepted, too
    assert len(slip.happened("moved", move="accept")) == (0 if isinstance(accepted, CrisisError) else 1)
    slip.refused(NotAllowed, HOSPITAL_LIAISON, "accept")
    slip.act(CENTRE_LIAISON, "accept")


def test_consent_is_withdrawn_while_the_hospital_accepts_and_no_child_stays_there(slip: Story, engines: list[Engine]) -> None:
    at_once(lambda: engines[0].act(slip.number, "accept", by=HOSPITAL_LIAISON),
            lambda: engines[1].act(slip.number, "consent_withdrawn", by=COUNSELOR, fields={"because": "家长改变主意"}))
    assert (slip.stage, slip.case.facts["addressee"]) == ("consenting", "")
    slip.refused(NotAllowed, HOSPITAL_LIAISON, "was_seen")


def test_a_partner_is_abolished_at_the_moment_at_which_it_is_asked(city: City, case: Story) -> None:
    """The agreement runs and the unit does not: nobody is asked who is not there, and the case is where it was."""
    from crisis_engine.core.model import Unit

    from .tracks import refer

    slip = refer(city, case, to=None)
    gone = Unit(HOSPITAL, "partner", "浉河区示例医院", "xinyang/shihe", ends_at=city.clock(), sort="hospital")
    city.engine.import_roster(RosterSet((gone,)))
    assert "partner no more" in str(slip.refused(CommandRejected, COUNSELOR, "send", partner=HOSPITAL))
    slip.act(COUNSELOR, "send", partner=CENTRE).act(CENTRE_LIAISON, "accept")


def test_a_partner_without_anybody_is_the_countys_matter_at_once(city: City, slip: Story) -> None:
    city.engine.end_duty(role="hospital_liaison", unit=HOSPITAL, person=HOSPITAL_LIAISON, by="p-9")
    city.sweep()
    assert slip.who("acceptance") == COUNTY_OFFICER
    assert slip.tier == "county"
    assert PEER not in slip.heard()
