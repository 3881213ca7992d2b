"""Hand-overs on a real PostgreSQL server: the stories that touch its locks and tables, and two receivers at one moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crisis_engine.core.case import Case
from crisis_engine.core.errors import CommandRejected, StaleVersion
from crisis_engine.testing import open_test_engine

from .story import PEER, City
from .test_contract_store import at_once, engine_at
from .test_graduation import june, test_one_form_hands_over_every_case_and_moves_every_child_on_the_day
from .test_packet import key, test_a_dossier_goes_sealed_its_receipt_comes_back_and_the_case_ends_by_two
from .test_track_transfer import (
    FAR,
    FAR_CLASS,
    FAR_HEAD,
    FAR_SECOND,
    case,
    offered,
    test_a_case_goes_with_the_child_when_the_new_school_accepts_and_not_before,
    test_a_class_that_ends_leaves_its_clocks_to_whoever_answers_next_at_that_moment,
    test_between_classes_of_one_school_the_case_follows_the_roster_at_once,
)

__all__ = [
    "case", "june", "key", "test_a_case_goes_with_the_child_when_the_new_school_accepts_and_not_before",
    "test_a_class_that_ends_leaves_its_clocks_to_whoever_answers_next_at_that_moment",
    "test_a_dossier_goes_sealed_its_receipt_comes_back_and_the_case_ends_by_two",
    "test_between_classes_of_one_school_the_case_follows_the_roster_at_once",
    "test_one_form_hands_over_every_case_and_moves_every_child_on_the_day",
]


@pytest.fixture
def city(postgres_url: str) -> Iterator[City]:
    """Give the example city at 08:00 on Monday, 2 March 2026, on the server."""
    with open_test_engine(url=postgres_url) as (engine, clock, channel):
        yield City(engine, clock, channel, postgres_url)


def test_of_two_receivers_at_one_moment_one_wins_and_the_other_hears(city: City) -> None:
    story = city.report(PEER, cues=["old_scars"])
    move = offered(city, story)
    homes = {FAR_HEAD: FAR_CLASS, FAR_SECOND: f"{FAR}/g11/c1"}
    with engine_at(city.url) as one, engine_at(city.url) as other:
        found = at_once(*(
            lambda engine=engine, by=by: engine.act(move.number, "accept", by=by, fields={"home": homes[by]}).final
            for engine, by in ((one, FAR_HEAD), (other, FAR_SECOND))
        ))
    assert found.count("closed") == 1
    assert sum(isinstance(one, CommandRejected | StaleVersion) for one in found) == 1
    after: Case = story.case
    assert after.unit == homes[move.case.ended_by or ""]
    assert len(story.happened("unit_set")) == 1
