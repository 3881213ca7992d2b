"""Messages and digests that went out are cleared away after their term; what waits, was given up or is under a hold stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from crisis_engine import open_engine
from crisis_engine.core.retention import KEPT
from crisis_engine.definitions import load_retention
from crisis_engine.notify import DeliveryFailed, Message
from crisis_engine.testing import open_test_engine

from .story import PEER, City

TERM = load_retention().keeps["message"].span.wall


@pytest.fixture(params=["sqlite", "postgresql"])
def both(request: pytest.FixtureRequest) -> Iterator[City]:
    """The example city on either database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("city")
        return
    url = str(request.getfixturevalue("postgres_url"))
    with open_test_engine(url=url) as (engine, clock, channel):
        yield City(engine, clock, channel, url)


class Dead:
    """A channel that takes nothing, ever."""

    name = "recorder"

    def send(self, _message: Message) -> str:
        raise DeliveryFailed("never", final=True)


def rows(city: City, sql: str) -> list[Any]:
    with city.engine.store.reading() as tx:
        return list(tx.connection.execute(text(sql)).all())


def counts(city: City) -> dict[str, int]:
    return {table: rows(city, f"SELECT count(*) FROM crisis_{table}")[0][0]  # noqa: S608 (constants)
            for table in ("message", "message_notice", "digest", "notice", "delivery", "event")}


def test_what_went_out_is_cleared_away_after_its_term_and_who_was_told_stays_on_record(both: City) -> None:
    both.report(PEER)
    both.engine.digest(kind="daily")
    both.engine.deliver()
    sent = counts(both)
    assert sent["message"]
    assert sent["digest"]
    assert both.engine.clear_messages(both.clock() + TERM) == {"messages": 0, "digests": 0}, "not before its term is over"

    gone = both.engine.clear_messages(both.clock() + TERM + timedelta(seconds=1))

    assert gone == {"messages": sent["message"], "digests": sent["digest"]}
    left = counts(both)
    assert (left["message"], left["message_notice"], left["digest"]) == (0, 0, 0)
    assert all(left[table] == sent[table] > 0 for table in ("notice", "delivery", "event"))
    assert both.engine.deliver().sent == 0, "nothing goes again"


def test_what_waits_was_given_up_or_is_under_a_hold_stays(both: City) -> None:
    sent = both.report(PEER)
    both.engine.deliver()
    before = counts(both)["message"]
    held = both.report(PEER, subject="stu-41")
    both.engine.deliver()
    given_up = both.report(PEER, subject="stu-31", unit="xinyang/shihe/no-3/g7/c1")
    with open_engine(both.url, clock=both.clock, channels=[Dead()]) as broken:
        broken.deliver()
    both.report(PEER, subject="stu-32", unit="xinyang/shihe/no-3/g7/c1")
    both.engine.place_hold("case", held.number, because="查", by="p-3")
    states = rows(both, "SELECT status, count(*) FROM crisis_message GROUP BY status ORDER BY status")
    assert dict(states).keys() == {"dead", "sent"}, states
    late = both.clock() + TERM * 3

    assert both.engine.clear_messages(late)["messages"] == before

    numbers = {number for (number,) in rows(
        both, "SELECT DISTINCT c.number FROM crisis_message_notice l JOIN crisis_notice n ON n.id = l.notice_id"
              " JOIN crisis_case c ON c.id = n.case_id")}
    assert numbers == {held.number, given_up.number}
    assert sent.number not in numbers
    assert rows(both, "SELECT count(*) FROM crisis_notice WHERE status = 'waiting'")[0][0] > 0
    assert both.engine.clear_messages(late) == {"messages": 0, "digests": 0}


def test_it_stops_between_two_pages_when_it_is_told_to(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crisis_engine.engine.forget.PAGE", 1)
    city.report(PEER)
    city.engine.deliver()
    late = city.clock() + TERM * 2
    assert counts(city)["message"] > 1
    assert city.engine.clear_messages(late, lambda: False) == {"messages": 1, "digests": 0}
    assert city.engine.clear_messages(late)["messages"] > 0
    assert counts(city)["message"] == 0


def test_every_term_of_keeping_has_its_source_and_mark() -> None:
    keeps = load_retention().keeps
    assert set(keeps) == set(KEPT)
    assert all(keep.source and keep.mark in "VTBD" for keep in keeps.values())
