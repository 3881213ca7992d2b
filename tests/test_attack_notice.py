"""Attacks on the post: what a receiver answers, a failure that hides another, a crowd before an urgent word, a line in a template."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from crisis_engine import BadInput, CrisisError
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.model import Duty
from crisis_engine.definitions import load_procedure
from crisis_engine.engine import deliver
from crisis_engine.notify import DeliveryFailed, MailChannel, Message, RecordingChannel, Rule, WebhookChannel, load_channels
from crisis_engine.notify.template import load_templates
from crisis_engine.roster import RosterSet
from crisis_engine.store.message import OPEN

from .receiver import SECRET, Receiver, receiving
from .story import CLASS, COUNSELOR, OPERATOR, PEER, SUBJECT_TEACHER, VICE_PRINCIPAL, City
from .test_deliver import cleared, owe, rows, with_channels


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(autouse=True)
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance always gives the longest wait: a test knows when the next try is due."""
    monkeypatch.setattr(deliver, "chance", lambda: 1.0)


class Answering(RecordingChannel):
    """A gateway that calls each message something of its own making."""

    def __init__(self, answer: str) -> None:
        super().__init__(name="answering")
        self.answer = answer

    def send(self, message: Message) -> str:  # type: ignore[override]  # the other one has nothing to say
        super().send(message)
        return self.answer.format(address=message.address)


# ---- what a receiver says --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["\ud800", "a\x00b", "\x1b[2J\r\nsent: all"])
def test_no_answer_of_a_gateway_makes_a_message_go_twice_or_steers_a_terminal(city: City, answer: str) -> None:
    case = cleared(city)
    channel = Answering(answer)
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR, VICE_PRINCIPAL], key="x")
        assert engine.deliver().sent == 2
        city.skip(minutes=10)
        assert engine.deliver().sent == 0
        shown = engine.notices(by=OPERATOR, statuses=["sent"])
    assert len(channel.sent) == 2
    assert all(one.answer.isprintable() for one in shown)


def test_a_receiver_that_answers_half_a_character_gets_each_message_once(city: City, receiver: Receiver) -> None:
    case = cleared(city)
    receiver.answer = b'{"id": "\\ud800"}'
    with with_channels(city, WebhookChannel("host", receiver.url, [SECRET])) as engine:
        owe(city, case, [COUNSELOR], key="x")
        assert engine.deliver().sent == 1
        city.skip(minutes=10)
        engine.deliver()
    assert len(receiver.requests) == 1


def test_an_address_that_a_gateway_answers_with_is_not_kept(city: City) -> None:
    case = cleared(city)
    with with_channels(city, Answering("250 {address} queued as 77")) as engine:
        owe(city, case, [COUNSELOR], key="x")
        engine.deliver()
        shown = [one for one in engine.notices(by=OPERATOR, statuses=["sent"]) if one.channel == "answering"]
    assert [one.answer for one in shown] == ["250 … queued as 77"]


# ---- what is urgent --------------------------------------------------------------------------------------------------------------


def test_an_urgent_notice_behind_one_that_was_passed_on_is_passed_on_itself(city: City) -> None:
    case = cleared(city)
    fallback = RecordingChannel(name="second", rule=Rule(fallback=True))
    down = RecordingChannel(name="first")
    down.fail = "down."
    with with_channels(city, down, fallback) as engine:
        owe(city, case, [COUNSELOR], key="a", urgent=True)
        engine.deliver()
        city.skip(minutes=20)
        engine.deliver()
        assert len(fallback.sent) == 1
        owe(city, case, [COUNSELOR], "danger", key="b", urgent=True)
        for _ in range(5):
            city.skip(minutes=20)
            engine.deliver()
    heard = " ".join(message.body for message in fallback.sent)
    assert "危险" in heard, "what the first channel could not carry goes by the second, also when something before it did"


def test_an_urgent_word_does_not_wait_behind_a_crowd_of_calm_ones(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "BATCH", 3)
    cases = [city.report(PEER, subject=f"stu-{n}") for n in (41, 42, 43, 44)]
    city.messages()
    channel = RecordingChannel(name="slow")
    for turn in range(12):
        owe(city, cases[turn % 3], [COUNSELOR], key=f"n{turn}")
        city.skip(seconds=1)
    owe(city, cases[3], [VICE_PRINCIPAL], key="now", urgent=True)
    with with_channels(city, channel) as engine:
        engine.deliver()
    assert channel.sent[0].urgent


def test_a_receiver_that_asks_for_a_days_patience_does_not_silence_what_is_urgent(city: City, receiver: Receiver) -> None:
    case = cleared(city)
    receiver.answers, receiver.headers = [429], {"retry-after": "86400"}
    second = RecordingChannel(name="second", rule=Rule(fallback=True))
    with with_channels(city, WebhookChannel("host", receiver.url, [SECRET]), second) as engine:
        owe(city, case, [COUNSELOR], key="a", urgent=True)
        for _ in range(5):
            engine.deliver()
            city.skip(minutes=5)
    assert [message.to for message in second.sent] == [COUNSELOR]


def test_a_channel_that_may_take_longer_than_a_claim_is_used_all_the_same(city: City) -> None:
    case = cleared(city)
    slow = RecordingChannel(name="slow")
    slow.longest = MailChannel("mail", "localhost", "crisis@example.invalid", timeout=60).longest  # type: ignore[attr-defined]
    with with_channels(city, slow) as engine:
        owe(city, case, [COUNSELOR], key="a", urgent=True)
        assert engine.deliver().sent == 1


@pytest.mark.parametrize("said", [b"", b"220-", b"220 here\r\n250-"])
def test_a_tarpit_of_a_mail_server_is_left_in_the_time_that_a_send_may_take(said: bytes) -> None:
    let_go = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.send(said)
                while not let_go.wait(0.02):
                    try:
                        connection.send(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        mail = MailChannel("mail", "127.0.0.1", "a@example.invalid", port=listening.getsockname()[1], security="none", timeout=0.1)
        message = Message("k", "p-1", "mailto:p-1@example.invalid", "x", "y", urgent=True)
        failed: list[DeliveryFailed] = []

        def send() -> None:
            try:
                mail.send(message)
            except DeliveryFailed as error:
                failed.append(error)

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        sending.join(4)
        let_go.set()
        thread.join()
    assert failed
    assert not failed[0].unsure


# ---- what is told to whom --------------------------------------------------------------------------------------------------------


def test_the_key_of_a_list_does_not_name_a_case_that_its_reader_may_not_hear_of(city: City) -> None:
    first, second = (city.report(PEER, subject=subject) for subject in ("stu-41", "stu-42"))
    city.messages()
    channel = RecordingChannel(name="other")
    channel.fail = "down."
    with with_channels(city, channel) as engine:
        owe(city, first, [COUNSELOR], key="a")
        owe(city, second, [COUNSELOR], key="b")
        engine.deliver()
        with city.engine.store.writing() as tx:
            tx.connection.execute(text("INSERT INTO crisis_recusal SELECT id, :person FROM crisis_case WHERE number = :number"),
                                  {"person": COUNSELOR, "number": first.number})
        channel.fail = ""
        city.skip(hours=2)
        engine.deliver()
    told, = channel.sent
    assert [line.number for line in told.lines] == [second.number]
    assert first.number not in repr(told)


def test_of_somebody_who_is_not_reached_no_one_hears_who_may_not_know_of_the_case(city: City) -> None:
    city.engine.import_roster(RosterSet(duties=(
        Duty("subject_teacher", CLASS, COUNSELOR), Duty("subject_teacher", CLASS, SUBJECT_TEACHER),   # both teach the class
    )))
    case = cleared(city)
    channel = RecordingChannel(name="other", rule=Rule(tries=1))
    with with_channels(city, channel) as engine:
        channel.fail = "down."
        owe(city, case, [COUNSELOR], key="a", urgent=True)
        engine.deliver()
    told = rows(city, "SELECT people FROM crisis_notice WHERE what = 'delivery_failed'")[0][0].split(",")
    assert SUBJECT_TEACHER not in told
    assert OPERATOR in told


# ---- what an operator gives ------------------------------------------------------------------------------------------------------


def test_a_page_of_messages_has_an_end_and_no_number_is_too_large(city: City) -> None:
    for limit in (0, -1, 10**7):
        with pytest.raises(BadInput):
            city.engine.notices(by=OPERATOR, limit=limit)
    for number in (2**63, -(2**70)):
        with pytest.raises(Exception, match="no message"):
            city.engine.notice(number, by=OPERATOR)


def test_trying_a_message_again_that_was_sent_opens_no_notice_for_ever(city: City) -> None:
    case = cleared(city)
    channel = RecordingChannel(name="one", rule=Rule(tries=1))
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR], key="x")
        engine.deliver()
        sent = next(one for one in engine.notices(by=OPERATOR, statuses=["sent"]) if one.channel == "one")
        with city.engine.store.writing() as tx:   # another person's message of the same notice was given up
            tx.connection.exec_driver_sql("UPDATE crisis_notice SET status = 'dead' WHERE status = 'sent'")
        assert engine.retry_notices([sent.id], by=OPERATOR) == 0
    assert rows(city, "SELECT count(*) FROM crisis_notice WHERE status = 'waiting'") == [(0,)]


@pytest.mark.parametrize("subject", ["{number}\\nBcc: someone@example.invalid", "{number}\\u001b[2J", "{number}\\u2028x"])
def test_a_subject_is_one_line(tmp_path: Path, subject: str) -> None:
    file = tmp_path / "words.toml"
    file.write_text(f'format = 1\n[zh]\nsubject = "{subject}"\n', encoding="utf-8")
    with pytest.raises(DefinitionError, match="one line"):
        load_templates(file)


@pytest.mark.parametrize("url", ["https://h.invalid/\\u0001", "https://:pw@h.invalid/", "https://h.invalid/a\\r\\nX: y"])
def test_a_url_has_neither_a_password_nor_a_control_character(tmp_path: Path, url: str) -> None:
    file = tmp_path / "channels.toml"
    file.write_text(f'format = 1\n[[channel]]\nname = "host"\nkind = "webhook"\nurl = "{url}"\nsecret_env = "S"\n', encoding="utf-8")
    with pytest.raises(DefinitionError, match="no URL") as refused:
        load_channels(file, env={"S": SECRET})
    assert "pw" not in str(refused.value)


def test_a_limit_for_one_person_or_quiet_hours_hold_no_danger_back(city: City) -> None:
    case = cleared(city)
    channel = RecordingChannel(name="limited", rule=Rule(most=1, within=timedelta(hours=9)))
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR], key="a")
        engine.deliver()
        owe(city, case, [COUNSELOR], key="b")
        engine.deliver()
        owe(city, case, [COUNSELOR], "danger", key="c")   # not marked as urgent: it is about danger
        engine.deliver()
    assert len(channel.sent) == 2
    assert channel.sent[-1].urgent


def test_a_case_that_nobody_can_read_makes_no_message_go_twice(city: City) -> None:
    broken, sound = (city.report(PEER, subject=subject) for subject in ("stu-41", "stu-42"))
    city.messages()
    channel = RecordingChannel(name="other")
    with with_channels(city, channel) as engine:
        owe(city, broken, ["p-nobody"], key="a", urgent=True)
        owe(city, sound, [COUNSELOR], key="b", urgent=True)
        channel.rule = Rule(tries=1)
        send = channel.send

        def half(message: Message) -> None:
            if message.to != COUNSELOR:
                raise DeliveryFailed("gone.", final=True)
            send(message)

        channel.send = half  # type: ignore[method-assign]  # a gateway that knows one of two
        with city.engine.store.writing() as tx:
            tx.connection.execute(text("UPDATE crisis_case SET clocks = '[{' WHERE number = :number"), {"number": broken.number})
        for _ in range(3):
            with suppress(CrisisError, ValueError):
                engine.deliver()
            city.skip(minutes=10)
    assert len(channel.sent) == 1


def test_the_long_past_of_a_person_is_not_searched_for_each_word(city: City) -> None:
    case = cleared(city)
    channel = RecordingChannel(name="other")
    channel.fail = "down."
    with with_channels(city, channel) as engine:
        owe(city, case, [COUNSELOR], key="a")
        engine.deliver()
    city.skip(days=4)
    with city.engine.store.reading() as tx:
        assert tx.open_messages(COUNSELOR, "other", city.clock()) == []
        plan = tx.connection.execute(text(
            "EXPLAIN QUERY PLAN " + OPEN.replace(":person", "'x'").replace(":channel", "'y'").replace(":since", "1").replace(":now", "1")))
        assert any("person=? AND channel=? AND made_at>?" in str(row) for row in plan) or tx.locks


@pytest.mark.parametrize(("name", "text_"), [("label", '{ zh = "第一行\\n第二行", en = "x" }'), ("source", '"a\\u001b[2Jb"')])
def test_a_label_and_a_source_of_a_definition_stand_on_one_line(tmp_path: Path, name: str, text_: str) -> None:
    lines = {"format": "1", "name": '"near"', "version": "1", "extends": '"default_v1"', "label": '{ zh = "x", en = "x" }',
             "source": '"x"', "mark": '"D"'}
    file = tmp_path / "near_v1.toml"
    file.write_text("".join(f"{key} = {value}\n" for key, value in {**lines, name: text_}.items()), encoding="utf-8")
    with pytest.raises(DefinitionError, match="one line"):
        load_procedure("school_crisis_v1", str(file))
