"""Delivery: once a person and case, by one deliverer at a time, over channels that fail, hang and ask for patience; nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from crisis_engine import NotAllowed, NotFound, open_engine
from crisis_engine.core.errors import BadInput
from crisis_engine.core.events import Notice
from crisis_engine.doctor import examine
from crisis_engine.engine import Engine, deliver
from crisis_engine.notify import Channel, DeliveryFailed, Message, RecordingChannel, Rule, WebhookChannel
from crisis_engine.notify.rule import Quiet
from crisis_engine.store import Change

from .receiver import SECRET, Receiver, receiving
from .story import (
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    OPERATOR,
    PEER,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
    Story,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(autouse=True)
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always gives the longest wait: a test knows when the next try is due."""
    monkeypatch.setattr(deliver, "chance", lambda: 1.0)


@contextmanager
def with_channels(city: City, *channels: Channel) -> Iterator[Engine]:
    """Open another engine on the city's database, with these channels and the same clock: another daemon."""
    with open_engine(city.url, clock=city.clock, channels=channels) as engine:
        yield engine


def owe(city: City, case: Story, people: Sequence[str], what: str = "note", *, key: str, urgent: bool = False) -> None:
    """Put one more notice about a case into the outbox."""
    with city.engine.store.writing() as tx:
        stored = tx.case(case.number)
        assert stored is not None
        notice = Notice(f"{case.number}-{key}", case.number, tuple(people), what, "late", None, urgent=urgent, at=city.clock())
        tx.append([Change(before=stored, after=stored.case, events=(), notices=(notice,), two=stored.two, sole=stored.sole)])


def rows(city: City, sql: str) -> list[Any]:
    with city.engine.store.reading() as tx:
        return [tuple(row) for row in tx.connection.execute(text(sql))]


def cleared(city: City) -> Story:
    """A case whose first notices went out: what follows is about others."""
    case = city.report(PEER)
    city.messages()
    return case


# ---- once a person and case, lists, limits, quiet hours -----------------------------------------------------------------------------


def test_what_waits_about_one_case_goes_to_a_person_as_one_message(city: City) -> None:
    case = cleared(city)
    before = len(city.channel.sent)
    for what in ("acknowledge", "assessment", "note"):
        owe(city, case, [COUNSELOR], what, urgent=what == "assessment", key=what)
    city.engine.deliver()
    told, = city.channel.sent[before:]
    assert told.urgent
    assert [line.number for line in told.lines] == [case.number]
    assert "确认线索" in told.body
    assert rows(city, "SELECT DISTINCT status FROM crisis_notice") == [("sent",)]


def test_what_is_not_urgent_goes_as_one_list_and_what_is_goes_alone(city: City) -> None:
    cases = [city.report(PEER, subject=subject) for subject in ("stu-41", "stu-42", "stu-43")]
    city.messages()
    before = len(city.channel.sent)
    owe(city, cases[0], [COUNSELOR], key="a")
    owe(city, cases[1], [COUNSELOR], key="b")
    owe(city, cases[2], [COUNSELOR], key="c", urgent=True)
    city.engine.deliver()
    urgent, listed = city.channel.sent[before:]
    assert [line.number for line in urgent.lines] == [cases[2].number]
    assert {line.number for line in listed.lines} == {cases[0].number, cases[1].number}
    assert (urgent.kind, listed.kind) == ("notice", "bundle")
    assert all(case.number in listed.body for case in cases[:2])


def test_after_an_outage_of_the_gateway_each_person_is_told_once_a_case(city: City) -> None:
    case = cleared(city)
    city.channel.fail = "the gateway is down"
    for turn in range(4):
        owe(city, case, [COUNSELOR, VICE_PRINCIPAL], key=f"r{turn}", urgent=turn == 2)
        city.engine.deliver()
        city.skip(minutes=20)
    city.channel.fail = ""
    before = len(city.channel.sent)
    city.skip(hours=1)
    city.engine.deliver()
    told = [message.to for message in city.channel.sent[before:]]
    assert sorted(told) == sorted(set(told))
    assert {COUNSELOR, VICE_PRINCIPAL, OPERATOR} <= set(told), "the operator heard of what was urgent and did not arrive"
    assert rows(city, "SELECT count(*) FROM crisis_notice WHERE status <> 'sent'") == [(0,)]


def test_one_person_gets_no_more_than_the_limit_and_nothing_is_lost(city: City) -> None:
    channel = RecordingChannel(name="limited", rule=Rule(most=2, within=timedelta(hours=1)))
    cases = [city.report(PEER, subject=f"stu-{n}") for n in (41, 42, 43, 44)]
    city.messages()
    with with_channels(city, channel) as engine:
        for turn, case in enumerate(cases):
            owe(city, case, [COUNSELOR], key=f"l{turn}")
            engine.deliver()
            city.skip(minutes=1)
        assert len(channel.sent) == 2
        owe(city, cases[0], [COUNSELOR], key="now", urgent=True)
        engine.deliver()
        assert channel.sent[-1].urgent, "what is urgent waits for no limit"
        city.skip(minutes=61)
        engine.deliver()
    assert {line.number for message in channel.sent for line in message.lines} == {case.number for case in cases}
    assert len(channel.sent) == 4, "the last two went as one list"


def test_quiet_hours_hold_what_is_not_urgent_until_the_morning_and_danger_never(city: City) -> None:
    channel = RecordingChannel(rule=Rule(quiet=Quiet(22 * 60, 6 * 60 + 30)))
    case, other = cleared(city), city.report(PEER, subject="stu-41")
    city.messages()
    city.clock.set(city.time("23:00"))
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR], key="calm")
        owe(city, other, [COUNSELOR], "danger", key="danger")
        assert engine.deliver().waiting == 1
        assert [message.lines[0].number for message in channel.sent] == [other.number]
        city.clock.set(city.time("2026-03-03 06:29"))
        engine.deliver()
        assert len(channel.sent) == 1
        city.clock.set(city.time("2026-03-03 06:30"))
        engine.deliver()
    assert [message.lines[0].number for message in channel.sent] == [other.number, case.number]


# ---- ways to a person ---------------------------------------------------------------------------------------------------------------


def test_roles_and_urgency_choose_the_channel(city: City) -> None:
    sms = RecordingChannel(name="sms", rule=Rule(roles=frozenset({"vice_principal"}), urgency="urgent"))
    bot = RecordingChannel(name="bot", rule=Rule())
    case = cleared(city)
    with with_channels(city, sms, bot) as engine:
        owe(city, case, [VICE_PRINCIPAL, COUNSELOR], key="u", urgent=True)
        engine.deliver()
        owe(city, case, [VICE_PRINCIPAL], key="n")
        engine.deliver()
    assert [message.to for message in sms.sent] == [VICE_PRINCIPAL]
    assert [message.to for message in bot.sent] == [VICE_PRINCIPAL, COUNSELOR, VICE_PRINCIPAL]


def test_what_one_channel_gives_up_the_next_gets_under_the_same_key(city: City) -> None:
    class Refusing(RecordingChannel):
        def send(self, message: Message) -> None:
            self.sent.append(message)
            raise DeliveryFailed("no such number.", final=True)

    first, second = Refusing(name="sms"), RecordingChannel(name="mail", rule=Rule(fallback=True))
    case = cleared(city)
    with with_channels(city, first, second) as engine:
        owe(city, case, [COUNSELOR], key="x")
        report = engine.deliver()
    assert (report.sent, report.failed, report.dead, report.waiting) == (1, 1, 1, 0)
    assert [message.key for message in first.sent] == [message.key for message in second.sent] == [f"{case.number}-x:{COUNSELOR}"]
    assert rows(city, "SELECT status FROM crisis_notice WHERE key LIKE '%-x'") == [("sent",)]


def test_an_urgent_message_is_passed_on_after_a_quarter_of_an_hour_and_tried_on(city: City) -> None:
    first, second = RecordingChannel(name="sms"), RecordingChannel(name="mail", rule=Rule(fallback=True))
    first.fail = "down."
    case = cleared(city)
    with with_channels(city, first, second) as engine:
        owe(city, case, [COUNSELOR], key="x", urgent=True)
        engine.deliver()
        city.skip(minutes=14)
        engine.deliver()
        assert second.sent == []
        city.skip(minutes=5)
        engine.deliver()
        assert [message.to for message in second.sent] == [COUNSELOR]
        first.fail = ""
        city.skip(minutes=6)
        engine.deliver()
    assert [message.key for message in first.sent] == [message.key for message in second.sent]


def test_when_no_channel_is_left_the_operator_and_whoever_stands_next_are_told_the_number_alone(city: City) -> None:
    class DeadFor(RecordingChannel):
        def send(self, message: Message) -> None:
            if message.to == COUNSELOR:
                raise DeliveryFailed("gone.", final=True)
            super().send(message)

    channel = DeadFor()
    case = cleared(city)
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR], key="x")
        engine.deliver()
        dead = engine.dead_notices(by=OPERATOR)
    assert {message.to for message in channel.sent} == {OPERATOR, SECOND_COUNSELOR}
    for message in channel.sent:
        assert case.number in message.body
        assert COUNSELOR not in message.body
        assert message.urgent
    assert [(one.person, one.cases, one.status) for one in dead] == [(COUNSELOR, (case.number,), "dead")]


def test_a_person_without_an_address_is_passed_by_at_once_and_the_operator_is_told(city: City) -> None:
    sms = RecordingChannel(name="sms", rule=Rule(address="tel"))
    log = RecordingChannel(name="log", rule=Rule(roles=frozenset({"operator"})))
    case = cleared(city)
    with with_channels(city, sms, log) as engine:
        owe(city, case, [COUNSELOR], key="x")
        engine.deliver()
        city.skip(seconds=1)
        engine.deliver()
        assert [message.to for message in log.sent] == [OPERATOR]
        assert "请补登" in log.sent[0].body
        dead, *_ = engine.dead_notices(by=OPERATOR)
        assert (dead.channel, dead.error) == ("-", "no address")
    assert rows(city, "SELECT status FROM crisis_notice WHERE key LIKE '%-x'") == [("dead",)]
    mended = RecordingChannel(name="post")
    with with_channels(city, mended) as engine:
        assert engine.retry_notices([dead.id], by=OPERATOR) == 1
        engine.deliver()
    assert [message.to for message in mended.sent] == [COUNSELOR]
    assert rows(city, "SELECT status FROM crisis_notice WHERE key LIKE '%-x'") == [("sent",)]


def test_a_notice_about_a_notice_that_fails_too_makes_no_third(city: City) -> None:
    class Dead(RecordingChannel):
        def send(self, message: Message) -> None:
            super().send(message)
            raise DeliveryFailed("gone.", final=True)

    case = cleared(city)
    with with_channels(city, Dead()) as engine:
        owe(city, case, [COUNSELOR], key="x")
        for _ in range(5):
            engine.deliver()
            city.skip(seconds=5)
    assert rows(city, "SELECT count(*) FROM crisis_notice WHERE what = 'delivery_failed'") == [(1,)]


def test_whoever_was_recused_while_a_message_waited_gets_nothing_and_the_rest_of_the_list_goes(city: City) -> None:
    case, other = city.report(PEER), city.report(PEER, subject="stu-41")
    city.messages()
    city.channel.fail = "down."
    owe(city, case, [COUNSELOR], key="a")
    owe(city, other, [COUNSELOR], key="b")
    city.engine.deliver()
    case.act(SECOND_COUNSELOR, "exclude_person", person=[COUNSELOR], because="回避")
    city.channel.fail = ""
    before = len(city.channel.sent)
    city.skip(minutes=2)
    city.engine.deliver()
    to_counselor = [message for message in city.channel.sent[before:] if message.to == COUNSELOR]
    assert to_counselor
    assert not any(case.number in message.body + message.subject for message in to_counselor)
    assert any(other.number in message.body for message in to_counselor)


# ---- several deliverers, crashes ------------------------------------------------------------------------------------------------------


def test_whoever_is_recused_while_the_messages_before_theirs_go_out_gets_nothing(city: City) -> None:
    case = city.report(by=VICE_PRINCIPAL)

    class Slow:
        name = "slow"

        def __init__(self) -> None:
            self.to: list[str] = []

        def send(self, message: Message) -> None:
            if not self.to:
                city.wait(seconds=5)
                case.act(VICE_PRINCIPAL, "exclude_person", person=["p-36"], because="示例")
                city.wait(seconds=20)
            self.to.append(message.to)

    slow = Slow()
    with with_channels(city, slow) as daemon:
        daemon.deliver()
    assert "p-37" in slow.to
    assert "p-36" not in slow.to
    assert all(finding.ok for finding in examine(city.engine))


def test_two_deliverers_at_once_send_each_message_once(city: City) -> None:
    cases = [city.report(PEER, subject=f"stu-{n}") for n in (41, 42, 43, 44)]
    channel = RecordingChannel()
    with with_channels(city, channel) as one, with_channels(city, channel) as two:
        for turn in range(5):
            for case in cases:
                owe(city, case, [COUNSELOR, VICE_PRINCIPAL, COUNTY_OFFICER], key=f"t{turn}", urgent=turn % 2 == 0)
            threads = [threading.Thread(target=engine.deliver) for engine in (one, two, one, two)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            city.skip(seconds=1)
    keys = [message.key for message in channel.sent]
    assert len(keys) == len(set(keys))
    assert rows(city, "SELECT count(*) FROM crisis_notice WHERE status <> 'sent'") == [(0,)]
    assert all(message.fence == 1 for message in channel.sent)


def test_nobody_sends_what_another_is_sending(city: City) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x")

    class Meeting(RecordingChannel):
        def send(self, message: Message) -> None:
            other.deliver()   # the second daemon comes while the first sends
            super().send(message)

    channel = Meeting()
    second = RecordingChannel()
    with with_channels(city, channel) as one, with_channels(city, second) as other:
        one.deliver()
    assert [message.to for message in channel.sent] == [COUNSELOR]
    assert second.sent == []


def test_a_crash_between_sending_and_marking_sends_the_same_key_again_and_the_receiver_takes_it_once(
    city: City, receiver: Receiver, monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x")
    with with_channels(city, WebhookChannel("host", receiver.url, [SECRET])) as engine:
        with monkeypatch.context() as crash:
            crash.setattr(deliver.Delivery, "_mark", _killed)
            with pytest.raises(KeyboardInterrupt):
                engine.deliver()
        assert engine.deliver().sent == 0, "its lease still holds"
        city.skip(minutes=6)
        assert engine.deliver().sent == 1
    ids = [webhook_id for webhook_id, _event in receiver.requests]
    assert (len(ids), len(set(ids)), len(receiver.accepted)) == (2, 1, 1)
    assert [event["fence"] for _id, event in receiver.requests] == [1, 2]
    assert receiver.wrong == []


def test_nothing_is_added_to_a_message_that_may_have_been_taken(city: City, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receiver drops a second message under one key, and what was added would be lost with it."""
    case, other = cleared(city), city.report(PEER, subject="stu-41")
    city.messages()
    owe(city, case, [COUNSELOR], key="x")
    with with_channels(city, WebhookChannel("host", receiver.url, [SECRET])) as engine:
        with monkeypatch.context() as crash:
            crash.setattr(deliver.Delivery, "_mark", _killed)
            with pytest.raises(KeyboardInterrupt):
                engine.deliver()
        city.skip(minutes=6)
        owe(city, other, [COUNSELOR], key="y")
        engine.deliver()
    numbers = {line["number"] for event in receiver.accepted.values() for line in event["data"]["notices"]}
    assert numbers == {case.number, other.number}


def _killed(*_args: object) -> None:
    raise KeyboardInterrupt


def test_whoever_lost_the_lease_marks_nothing(city: City) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x")

    class Slow(RecordingChannel):
        def send(self, message: Message) -> None:
            city.skip(minutes=6)   # longer than the lease, though it said that it would not be
            other.deliver()
            super().send(message)
            raise DeliveryFailed("too late.")

    channel, second = Slow(), RecordingChannel()
    with with_channels(city, channel) as one, with_channels(city, second) as other:
        assert one.deliver().failed == 0
    assert [message.fence for message in channel.sent + second.sent] == [1, 2]
    assert rows(city, "SELECT status, error FROM crisis_message WHERE key LIKE '%-x:%'") == [("sent", "")]


@pytest.mark.parametrize("answers", [[500], [503], ["hang"], ["late"], [429, 429], [500, "late", 429, "hang"]])
def test_a_receiver_that_fails_hangs_asks_for_patience_or_answers_too_late_takes_one_message_once(
    city: City, receiver: Receiver, answers: list[int | str],
) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x", urgent=True)
    receiver.answers, receiver.headers = list(answers), {"retry-after": "90"}
    with with_channels(city, WebhookChannel("host", receiver.url, [SECRET], timeout=0.25)) as engine:
        for _ in range(len(answers) + 1):
            engine.deliver()
            city.skip(minutes=3)
    mine = [event for _id, event in receiver.requests]
    assert {event["id"] for event in mine} == set(receiver.accepted)
    assert len(receiver.accepted) == 1
    assert receiver.wrong == []
    assert rows(city, "SELECT status, answer FROM crisis_message WHERE key LIKE '%-x:%'") == [("sent", "host-77")]


def test_as_long_as_a_receiver_asks_for_nothing_is_sent(city: City, receiver: Receiver) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x", urgent=True)
    receiver.answers, receiver.headers = [429], {"retry-after": "90"}
    with with_channels(city, WebhookChannel("host", receiver.url, [SECRET])) as engine:
        assert engine.deliver().failed == 1
        city.skip(seconds=89)
        assert engine.deliver().sent == 0
        city.skip(seconds=1)
        assert engine.deliver().sent == 1


def test_a_channel_that_hangs_rests_after_three_failures_and_keeps_nobody_else_waiting(city: City) -> None:
    cases = [city.report(PEER, subject=f"stu-{n}") for n in (41, 42, 43, 44)]
    city.messages()
    tries: list[str] = []

    class Hanging(RecordingChannel):
        def send(self, message: Message) -> None:
            tries.append(message.key)
            raise DeliveryFailed("in time.", unsure=True)

    well = RecordingChannel(name="well")
    with with_channels(city, Hanging(name="hanging"), well) as engine:
        for case in cases:
            owe(city, case, [COUNSELOR, VICE_PRINCIPAL], key="x", urgent=True)
        report = engine.deliver()
    assert len(tries) == 3
    assert (len(well.sent), report.sent, report.failed, report.waiting) == (8, 8, 3, 8)
    assert rows(city, "SELECT count(*) FROM crisis_message WHERE channel = 'hanging' AND tries = 1") == [(3,)]


def test_a_daemon_sees_when_the_next_try_is_due_and_what_waits(city: City) -> None:
    case = cleared(city)
    assert pulse(city) == (None, 0, None)
    owe(city, case, [COUNSELOR], key="x")
    assert pulse(city) == (datetime.fromtimestamp(0, UTC), 1, city.clock()), "at once, whatever the clock of the case says"
    city.channel.fail = "down."
    began = city.clock()
    city.engine.deliver()
    assert pulse(city) == (began + timedelta(minutes=1), 1, began), "chance gave the longest wait"
    city.channel.fail = ""
    city.skip(minutes=1)
    city.engine.deliver()
    assert pulse(city) == (None, 0, None)
    city.engine.digest(kind="daily")
    assert pulse(city)[0] == city.clock()


def pulse(city: City) -> tuple[Any, ...]:
    with city.engine.store.reading() as tx:
        backlog = tx.backlog(city.clock())
        return tx.pulse().try_at, backlog.waiting, backlog.oldest_waiting


def test_after_so_long_a_message_is_given_up(city: City) -> None:
    channel = RecordingChannel(rule=Rule(give_up=timedelta(hours=2)))
    channel.fail = "down."
    case = cleared(city)
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR], key="x")
        for _ in range(4):
            engine.deliver()
            city.skip(hours=1)
        dead = [one for one in engine.dead_notices(by=OPERATOR) if one.person == COUNSELOR]
    assert [one.cases for one in dead] == [(case.number,)]


# ---- what operators do ----------------------------------------------------------------------------------------------------------------


def test_only_an_operator_looks_tries_again_and_drops(city: City) -> None:
    case = cleared(city)
    city.channel.fail = "down."
    owe(city, case, [COUNSELOR], key="x")
    city.engine.deliver()
    waiting, = city.engine.notices(by=OPERATOR)
    assert (waiting.tries, waiting.error, waiting.person) == (1, "down.", COUNSELOR)
    for asked in (lambda: city.engine.notices(by=COUNSELOR), lambda: city.engine.drop_notices([waiting.id], by=CITY_OFFICER),
                  lambda: city.engine.retry_notices(by=CLASS_TEACHER)):
        with pytest.raises(NotAllowed):
            asked()
    with pytest.raises(NotFound):
        city.engine.notice(999, by=OPERATOR)
    with pytest.raises(BadInput):
        city.engine.notices(by=OPERATOR, statuses=["lost"])
    assert city.engine.drop_notices([waiting.id], by=OPERATOR) == 1
    dropped, = city.engine.notices(by=OPERATOR, statuses=["dropped"])
    assert dropped.error == f"dropped by {OPERATOR}"
    city.channel.fail = ""
    city.skip(hours=2)
    assert city.engine.deliver().sent == 0


def test_an_operator_whom_a_case_concerns_does_not_see_its_messages(city: City) -> None:
    case = cleared(city)
    city.channel.fail = "down."
    owe(city, case, [COUNSELOR], key="x")
    city.engine.deliver()
    message, = city.engine.notices(by=OPERATOR)
    with city.engine.store.writing() as tx:
        tx.connection.exec_driver_sql("INSERT INTO crisis_recusal SELECT id, 'p-9' FROM crisis_case")
    assert city.engine.notices(by=OPERATOR) == []
    with pytest.raises(NotFound):
        city.engine.notice(message.id, by=OPERATOR)


def test_a_person_confirms_what_was_sent_to_them_and_nobody_elses(city: City) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x")
    city.engine.deliver()
    key = city.channel.sent[-1].key
    with pytest.raises(NotFound):
        city.engine.confirm_receipt(key, by=VICE_PRINCIPAL)
    city.engine.confirm_receipt(key, by=COUNSELOR)
    seen = [one for one in city.engine.notices(by=OPERATOR, statuses=["sent"]) if one.key == key]
    assert seen[0].received_at == city.clock()


def test_a_channel_that_was_renamed_takes_its_messages_along(city: City) -> None:
    case = cleared(city)
    old, new = RecordingChannel(name="old"), RecordingChannel(name="new")
    old.fail = "down."
    with with_channels(city, old) as engine:
        owe(city, case, [COUNSELOR], key="x")
        engine.deliver()
    city.skip(minutes=2)
    with with_channels(city, new) as engine:
        engine.deliver()
    assert [message.to for message in new.sent] == [COUNSELOR]


def test_a_limit_of_messages_is_kept(city: City) -> None:
    case = cleared(city)
    owe(city, case, [COUNSELOR, VICE_PRINCIPAL, CLASS_TEACHER], key="x")
    assert [city.engine.deliver(limit=2).sent, city.engine.deliver(limit=2).sent] == [2, 1]


def test_the_doctor_is_content_and_names_what_is_stuck_and_nothing_that_rests(city: City) -> None:
    if city.engine.store.dialect != "sqlite":
        pytest.skip("the doctor looks at SQLite files")
    case = cleared(city)
    owe(city, case, [COUNSELOR], key="x", urgent=True)
    city.engine.deliver()
    assert stuck(city) == []
    with with_channels(city, RecordingChannel(name="night", rule=Rule(quiet=Quiet(0, 23 * 60)))) as engine:
        owe(city, case, [COUNSELOR], key="calm")
        engine.deliver()
    city.skip(hours=2)
    city.sweep()
    city.engine.deliver()
    assert stuck(city) == [], "it rests"
    city.channel.fail = "down."
    owe(city, case, [COUNSELOR], key="y", urgent=True)
    city.engine.deliver()
    city.skip(minutes=10)
    city.sweep()
    assert "undelivered" in stuck(city)


def stuck(city: City) -> list[str]:
    with city.engine.store.writing() as tx:
        tx.set_meta("sandbox", "no")
    return [finding.name for finding in examine(city.engine) if not finding.ok]


def test_a_channel_of_the_hosts_own_that_breaks_holds_up_no_other(city: City) -> None:
    class Broken(RecordingChannel):
        def send(self, message: Message) -> None:
            raise ZeroDivisionError(message.address)

    well = RecordingChannel(name="well")
    case = cleared(city)
    with with_channels(city, Broken(name="broken"), well) as engine:
        owe(city, case, [COUNSELOR, VICE_PRINCIPAL], key="x")
        report = engine.deliver()
    assert (len(well.sent), report.failed, report.reason) == (2, 2, "the channel broke.")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(
    st.sampled_from(["owe", "owe", "fail", "mend", "deliver", "deliver", "skip", "crash"]), st.integers(0, 2),
    st.sampled_from([(COUNSELOR,), (COUNSELOR, VICE_PRINCIPAL), (VICE_PRINCIPAL, COUNTY_OFFICER)]), st.booleans(),
), max_size=14))
def test_whatever_happens_on_the_way_nobody_misses_a_case_they_were_to_be_told_of(city: City, steps: list[Any]) -> None:
    channel = RecordingChannel(name="gateway", rule=Rule(most=2, within=timedelta(minutes=30), quiet=Quiet(12 * 60, 13 * 60)))
    cases = [city.story(city.engine.report(unit=CLASS, subject=f"stu-{n}", by=PEER, facts="x").token) for n in (41, 42, 43)]
    city.messages()
    owed: set[tuple[str, str, bool]] = set()
    with with_channels(city, channel) as engine:
        for turn, (step, which, people, urgent) in enumerate(steps):
            if step == "owe":
                owe(city, cases[which], people, key=f"h{city.clock().timestamp():.0f}x{turn}", urgent=urgent)
                owed |= {(cases[which].number, person, urgent) for person in people}
            elif step in {"fail", "mend"}:
                channel.fail = "down." if step == "fail" else ""
            elif step == "skip":
                city.skip(minutes=7)
            elif step == "deliver":
                engine.deliver()
            else:
                with pytest.MonkeyPatch.context() as crash, suppress(KeyboardInterrupt):
                    crash.setattr(deliver.Delivery, "_mark", _killed)
                    engine.deliver()
        channel.fail = ""
        for _ in range(6):
            city.skip(hours=2)
            engine.deliver()
    accepted = {message.key: message for message in reversed(channel.sent)}.values()   # a receiver keeps the first under each key
    told = {(line.number, message.to) for message in accepted for line in message.lines}
    assert {(number, person) for number, person, _ in owed} <= told
    assert rows(city, "SELECT count(*) FROM crisis_notice WHERE status <> 'sent'") == [(0,)]
    at_noon = [message for message in channel.sent if message.at is not None and message.at.hour == 12]
    assert all(message.urgent for message in at_noon)


def test_a_word_about_a_case_that_a_clock_ahead_touched_is_told_at_once(city: City) -> None:
    story = city.report()
    city.skip(hours=10)
    story.act(COUNSELOR, "note", text="x")
    city.skip(hours=-10)
    city.skip(minutes=1)
    city.engine.sweep()
    before = len(city.messages())
    story.act(COUNSELOR, "danger_now")
    assert len(city.messages()) > before
