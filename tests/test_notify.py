"""Notices: exactly five things in a message, no way in for a fact, and channels that lose nothing."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import open_engine
from crisis_engine.core.errors import BadInput
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Person
from crisis_engine.core.secret import Secret
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.notify import DeliveryFailed, Line, LogFileChannel, Message, RecordingChannel, compose

DUE = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
PERSON = Person("p-11", "示例班主任11", "mailto:p-11@example.invalid")
LABEL = {"zh": "确认线索", "en": "acknowledge"}
WOUND = "伤口在左臂 fresh cut QX7"


def notice(*, case: str = "98Q-SE9-4FE", what: str = "acknowledge", due_at: datetime | None = DUE, urgent: bool = True) -> Notice:
    return Notice(key="98Q-SE9-4FE-7", case=case, people=("p-11",), what=what, why="armed", due_at=due_at, urgent=urgent, at=DUE)


def message(key: str = "k:p-11", body: str = "x") -> Message:
    return Message(key=key, to="p-11", address="", subject="s", body=body, urgent=False)


def test_a_notice_says_case_number_what_when_urgency_and_link_and_nothing_else() -> None:
    told = compose(notice(), PERSON, "p-11", LABEL, "en", "https://crisis.example.invalid/cases/")
    assert told.subject == "[Urgent] case 98Q-SE9-4FE"
    assert told.body.splitlines() == [
        "Case: 98Q-SE9-4FE", "Due: acknowledge", "By: 2026-03-02 09:30 (China's time)", "Urgency: Urgent",
        "Link: https://crisis.example.invalid/cases/98Q-SE9-4FE",
    ]
    assert (told.key, told.to, told.address, told.urgent) == ("98Q-SE9-4FE-7:p-11", "p-11", "mailto:p-11@example.invalid", True)


def test_a_notice_speaks_chinese_and_names_no_person() -> None:
    told = compose(notice(urgent=False), PERSON, "p-11", LABEL, "zh", "")
    assert told.body.splitlines() == [
        "个案：98Q-SE9-4FE", "待办：确认线索", "时限：2026-03-02 09:30（北京时间）", "等级：一般", "链接：crisis show 98Q-SE9-4FE",
    ]
    assert PERSON.name not in told.subject + told.body


def test_a_notice_of_danger_is_due_at_once_and_a_clock_without_label_is_called_by_its_name() -> None:
    assert "Due: danger now\nBy: at once" in compose(notice(what="danger", due_at=None), PERSON, "p-11", None, "en", "").body
    assert "Due: county_told\n" in compose(notice(what="county_told"), PERSON, "p-11", None, "en", "").body


def test_a_channel_gets_the_address_in_plain_and_no_log_of_the_message_says_it() -> None:
    told = compose(notice(), Person("p-11", "示例", Secret("mailto:p-11@example.invalid")), "p-11", LABEL, "en", "")
    assert f"https://gateway.example.invalid/?to={told.address}" == "https://gateway.example.invalid/?to=mailto:p-11@example.invalid"
    assert "example.invalid" not in repr(told)


def test_a_person_whom_the_roster_lost_still_gets_a_message_without_address() -> None:
    told = compose(notice(), None, "p-gone", LABEL, "en", "")
    assert (told.to, told.address) == ("p-gone", "")


@settings(max_examples=200)
@given(st.text(min_size=1))
def test_free_text_has_no_way_into_a_notice(text: str) -> None:
    for made in ({"what": text}, {"case": text}):
        try:
            told = compose(notice(**made), PERSON, "p-11", None, "en", "")  # type: ignore[arg-type]  # both are texts
        except BadInput:
            continue
        assert text.isascii()
        assert text.replace("_", "").replace("-", "").isalnum()
        assert len(told.body.splitlines()) == 5


def test_a_notice_has_no_field_that_could_carry_a_fact() -> None:
    assert {field.name for field in fields(Notice)} == {"key", "case", "people", "what", "why", "due_at", "urgent", "at", "not_before"}
    assert {field.name for field in fields(Message)} == {
        "key", "to", "address", "subject", "body", "urgent", "kind", "lines", "at", "fence",
    }
    assert {field.name for field in fields(Line)} == {"number", "what", "when", "due_at", "urgent", "link"}


def test_a_report_goes_out_to_people_without_a_word_of_what_was_seen(tmp_path: Path) -> None:
    log, listening = LogFileChannel(tmp_path / "notices.jsonl"), RecordingChannel()
    with open_engine(f"sqlite:///{tmp_path}/crisis.db", clock=lambda: EXAMPLE_NOW, channels=[log, listening]) as engine:
        engine.import_roster(example_roster(), by="operator")
        engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by="p-71", facts=WOUND, cues=["fresh_injury"],
                      danger_now=True, with_child=WOUND, about_staff=["p-17"])
        report = engine.deliver()
    assert report.sent > 0
    assert "p-11" in {one.to for one in listening.sent}
    assert "p-17" not in {one.to for one in listening.sent}, "whom it is about is not told"
    said = (tmp_path / "notices.jsonl").read_text(encoding="utf-8")
    for secret in (*WOUND.split(), "stu-42", "fresh_injury", "示例", "p-71"):
        assert secret not in said
    assert [json.loads(line)["key"] for line in said.splitlines()] == [one.key for one in listening.sent]


def test_each_message_is_one_line_of_json_that_only_its_owner_reads(tmp_path: Path) -> None:
    channel = LogFileChannel(tmp_path / "notices.jsonl")
    channel.send(message("a", "one\ntwo"))
    channel.send(message("b", "三"))
    lines = [json.loads(line) for line in channel.path.read_text(encoding="utf-8").splitlines()]
    assert [(line["key"], line["body"]) for line in lines] == [("a", "one\ntwo"), ("b", "三")]
    assert stat.S_IMODE(channel.path.stat().st_mode) == 0o600


def test_half_a_line_left_by_a_crash_does_not_swallow_the_next_message(tmp_path: Path) -> None:
    path = tmp_path / "notices.jsonl"
    path.write_text('{"key": "half', encoding="utf-8")
    LogFileChannel(path).send(message("whole"))
    assert json.loads(path.read_text(encoding="utf-8").splitlines()[-1])["key"] == "whole"


def test_a_message_is_on_the_disk_before_send_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = os.fsync

    def watched(handle: int) -> None:
        sizes.append(os.fstat(handle).st_size)
        real(handle)

    monkeypatch.setattr(os, "fsync", watched)
    channel = LogFileChannel(tmp_path / "notices.jsonl")
    channel.send(message())
    assert sizes == [channel.path.stat().st_size]


def test_a_notice_file_that_cannot_be_written_is_a_failed_delivery_with_a_short_reason(tmp_path: Path) -> None:
    with pytest.raises(DeliveryFailed) as refused:
        LogFileChannel(tmp_path / "missing" / "notices.jsonl").send(message(body=WOUND))
    assert "No such file" in refused.value.message
    assert WOUND not in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_a_failed_delivery() -> None:
    with pytest.raises(DeliveryFailed, match="No space left"):
        LogFileChannel("/dev/full").send(message())


def test_a_recording_channel_keeps_messages_or_refuses_them() -> None:
    channel = RecordingChannel()
    channel.send(message("a"))
    channel.fail = "the gateway is down."
    with pytest.raises(DeliveryFailed, match="gateway is down"):
        channel.send(message("b"))
    assert [one.key for one in channel.sent] == ["a"]
