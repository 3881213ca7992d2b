"""Digests: each duty holder once a day, leaders once a week, however many daemons; small cells merged, nobody recused told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from crisis_engine import open_engine
from crisis_engine.core.errors import BadInput
from crisis_engine.engine.digest import period_of
from crisis_engine.notify import Message

from .story import CITY_OFFICER, CLASS_TEACHER, COUNSELOR, COUNTY_OFFICER, PEER, SECOND_COUNSELOR, VICE_PRINCIPAL, City


def digests(city: City) -> dict[str, Message]:
    """Send all that waits and return the digests by person."""
    city.engine.deliver()
    found = [message for message in city.channel.sent if message.kind in {"daily", "weekly"}]
    assert len(found) == len({message.key for message in found})
    return {message.to: message for message in found}


def test_each_duty_holder_is_told_once_a_day_what_runs_for_them_the_overdue_first(city: City) -> None:
    late = city.report(PEER)
    city.skip(minutes=20)
    fresh = city.report(PEER, subject="stu-41")
    report = city.engine.digest(kind="daily")
    assert (report.period, report.before) == ("2026-03-02", 0)
    assert report.made > 0
    assert report.quiet > 0, "who has nothing is told nothing"
    told = digests(city)
    assert len(told) == report.made
    mine = told[CLASS_TEACHER]
    assert [line.number for line in mine.lines][:2] == [late.number, fresh.number]
    assert mine.body.splitlines()[0].startswith(f"[逾期] {late.number}  确认线索")
    assert "[逾期]" not in mine.body.splitlines()[1]
    assert not any(secret in mine.subject + mine.body for secret in ("示例", "stu-", "七年级", "听到"))

    again = city.engine.digest(kind="daily")
    assert (again.made, again.before) == (0, report.made)
    assert city.engine.deliver().sent == 0
    city.skip(days=1)
    assert city.engine.digest(kind="daily").made > 0


def test_several_daemons_at_once_make_each_digest_once(city: City) -> None:
    city.report(PEER)
    reports: list[Any] = []
    engines = [open_engine(city.url, clock=city.clock) for _ in range(3)]
    threads = [threading.Thread(target=lambda engine=engine: reports.append(engine.digest(kind="daily"))) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.close()
    made = sum(report.made for report in reports)
    assert made == len(digests(city)) > 0
    assert city.engine.digest(kind="daily").before == made


def test_whom_a_case_concerns_finds_it_in_no_digest_even_when_recused_after_it_was_made(city: City) -> None:
    case = city.report(PEER)
    city.messages()
    city.engine.digest(kind="daily")
    case.act(SECOND_COUNSELOR, "exclude_person", person=[COUNSELOR], because="回避")
    told = digests(city)
    assert case.number in told[CLASS_TEACHER].body
    assert COUNSELOR not in told or case.number not in told[COUNSELOR].body
    city.skip(days=1)
    city.engine.digest(kind="daily")
    city.engine.deliver()
    assert not any(case.number in message.body for message in city.channel.sent if message.to == COUNSELOR and message.kind == "daily")


def test_leaders_are_told_weekly_what_is_overdue_below_them_with_small_cells_merged(city: City) -> None:
    case = city.report(PEER)
    city.skip(minutes=20)
    city.sweep()
    city.messages()
    report = city.engine.digest(kind="weekly")
    assert report.period == "2026-W10"
    told = digests(city)
    assert {VICE_PRINCIPAL, COUNTY_OFFICER, CITY_OFFICER} <= set(told)
    assert CLASS_TEACHER not in told
    assert case.number in told[VICE_PRINCIPAL].body
    assert case.number not in told[CITY_OFFICER].body, "it has not come to the city"
    assert told[CITY_OFFICER].body == "其他单位：有少量逾期", "one case is a cell too small to be counted"
    assert city.engine.digest(kind="weekly").made == 0


def test_places_with_enough_overdue_cases_are_counted(city: City) -> None:
    for number in range(41, 46):
        city.report(PEER, subject=f"stu-{number}")
    city.skip(minutes=20)
    city.sweep()
    city.messages()
    city.engine.digest(kind="weekly")
    body = digests(city)[CITY_OFFICER].body
    assert "xinyang/shihe：逾期 5" in body.splitlines()


def test_a_digest_of_an_unknown_kind_is_refused(city: City) -> None:
    with pytest.raises(BadInput, match="no kind of digest"):
        city.engine.digest(kind="hourly")


def test_a_period_is_chinas_day_or_week(city: City) -> None:
    at = city.time("2026-03-02 00:30")
    assert (period_of("daily", at), period_of("weekly", at)) == ("2026-03-02", "2026-W10")


def test_a_city_of_any_size_is_read_in_pieces(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from crisis_engine.engine import digest

    city.report(PEER)
    monkeypatch.setattr(digest, "CHUNK", 3)
    report = city.engine.digest(kind="daily")
    people = {duty["person"] for duty in city.engine.roster(subjects=False)["duties"]}
    assert report.made + report.quiet == len(people)
