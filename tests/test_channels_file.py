"""The file of channels: the example loads, and whatever is wrong is named with file and key, and no secret with it."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Person
from crisis_engine.notify import GatewayChannel, LogFileChannel, MailChannel, WebhookChannel, compose, load_channels
from crisis_engine.notify.rule import Quiet, rule_of
from crisis_engine.notify.template import FIELDS, WORDING, load_templates

from .receiver import SECRET

EXAMPLES = Path(__file__).parent.parent / "examples"
ENV = {
    "COUNTY_WEBHOOK_SECRET": SECRET, "SMS_GATEWAY_URL": "jsons://gateway.example.invalid/{address}?token=HUSH", "MAIL_PASSWORD": "HUSH",
    "HOOK": SECRET, "BAD": "whsec_HUSH", "EMPTY": "",
}
LOG = '[[channel]]\nname = "log"\nkind = "log"\nfile = "notices.jsonl"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "channels.toml"
    path.write_text("format = 1\n" + text, encoding="utf-8")
    return path


def test_the_example_file_loads_as_it_stands() -> None:
    hook, sms, mail = load_channels(EXAMPLES / "channels.toml", env=ENV)
    assert (type(hook), type(sms), type(mail)) == (WebhookChannel, GatewayChannel, MailChannel)
    assert [channel.name for channel in (hook, sms, mail)] == ["county_system", "sms", "mail"]
    assert rule_of(hook).quiet == Quiet(22 * 60, 6 * 60 + 30)
    assert (rule_of(hook).most, rule_of(sms).urgency, rule_of(mail).fallback, rule_of(mail).address) == (12, "urgent", True, "mailto")
    assert rule_of(hook).wording["zh"].subject.startswith("【{urgency}】")


def test_a_channel_without_a_rule_takes_everything_at_once(tmp_path: Path) -> None:
    channel, = load_channels(written(tmp_path, LOG), env={})
    assert isinstance(channel, LogFileChannel)
    assert channel.path == tmp_path / "notices.jsonl"


HOOK = '[[channel]]\nname = "hook"\nkind = "webhook"\n'
MAIL = '[[channel]]\nname = "mail"\nkind = "smtp"\nsender = "a@b.invalid"\n'


@pytest.mark.parametrize(("text", "key", "says"), [
    ("", "channel", "there is no channel"),
    (LOG + LOG, "channel", "two channels are called 'log'"),
    ('[[channel]]\nname = "x"\nkind = "webhok"\n', "channel[1].kind", 'Did you mean "webhook"?'),
    (LOG + 'quit = "22:00-06:00"\n', "channel[1].quit", 'Did you mean "quiet"?'),
    (LOG + 'roles = ["counsellor"]\n', "channel[1].roles", 'Did you mean "counselor"?'),
    (LOG + 'quiet = "22-6"\n', "channel[1].quiet", "22:00-06:30"),
    (LOG + 'quiet = "22:00-22:00"\n', "channel[1].quiet", "would never end"),
    (LOG + 'urgency = "always"\n', "channel[1].urgency", "any, normal, urgent"),
    (LOG + 'language = "fr"\n', "channel[1].language", "en, zh"),
    (LOG + 'at_most = { messages = 0, within = "1h" }\n', "channel[1].at_most.messages", "whole number"),
    (LOG + 'urgency = "urgent"\n', "channel", "where it is not urgent"),
    (LOG + "fallback = true\n", "channel", "nobody may be left out"),
    (LOG + 'roles = ["counselor"]\n', "channel", "nobody may be left out"),
    (HOOK + 'url = "not a url HUSH"\nsecret_env = "HOOK"\n', "channel[1].url", "no URL to post to"),
    (HOOK + 'url = "https://[HUSH"\nsecret_env = "HOOK"\n', "channel[1].url", "no URL to post to"),
    (HOOK + 'url = "ftp://x.invalid/HUSH"\nsecret_env = "HOOK"\n', "channel[1].url", "no URL to post to"),
    (HOOK + 'url = "https://user:HUSH@x.invalid/"\nsecret_env = "HOOK"\n', "channel[1].url", "no URL to post to"),
    (HOOK + 'url = "http://x.invalid/HUSH"\nsecret_env = "HOOK"\n', "channel[1].url", "leave this machine"),
    (HOOK + 'url = "https://x.invalid/"\nsecret = "whsec_HUSH"\n', "channel[1].secret", "does not stand in this file"),
    (HOOK + 'url = "https://x.invalid/"\nsecret_env = "BAD"\n', "channel[1].secret", "24 to 64 random bytes"),
    (HOOK + 'url = "https://x.invalid/"\nsecret_env = "EMPTY"\n', "channel[1].secret_env", "not set"),
    (HOOK + 'url = "https://x.invalid/"\nsecret_file = "none"\n', "channel[1].secret_file", "cannot be read"),
    (HOOK + 'url = "https://x.invalid/"\n', "channel[1].secret_env", "missing"),
    (HOOK + 'url = "https://x.invalid/"\nsecret_env = "HOOK"\ntimeout = 0\n', "channel[1].timeout", "1 to 60"),
    (HOOK + 'url = "https://x.invalid/"\nsecret_env = "HOOK"\nca_file = "none.pem"\n', "channel[1].ca_file", "no such file"),
    (MAIL + 'host = "x.invalid"\nsecurity = "none"\n', "channel[1].security", "without TLS"),
    (MAIL + 'host = "x.invalid"\nuser = "u"\n', "channel[1].password_env", "missing"),
    ('[[channel]]\nname = "mail"\nkind = "smtp"\nhost = "x"\nsender = "nobody"\n', "channel[1].sender", "no mail address"),
    ('[[channel]]\nname = "bot"\nkind = "apprise"\nurl = "nosuch://HUSH"\n', "channel[1].url", "apprise does not know"),
    ('[[channel]]\nname = "bot"\nkind = "apprise"\nurl = "json://HUSH/{address}"\n', "channel[1].address", "belong together"),
    ('templates = "none.toml"\n' + LOG, "", "there is no such file"),
    ('template = "none.toml"\n' + LOG, "template", 'Did you mean "templates"?'),
])
def test_what_is_wrong_is_named_with_file_and_key_and_without_a_secret(tmp_path: Path, text: str, key: str, says: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_channels(written(tmp_path, text), env=ENV)
    assert refused.value.key == key
    assert refused.value.file in {"channels.toml", "none.toml"}
    assert says in str(refused.value)
    assert "HUSH" not in str(refused.value)


def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "hook.secret").write_text(f"{SECRET}\n", encoding="utf-8")
    hook, = load_channels(written(tmp_path, HOOK + 'url = "http://127.0.0.1:1/"\nsecret_file = "hook.secret"\n'), env={})
    assert isinstance(hook, WebhookChannel)


# ---- wording --------------------------------------------------------------------------------------------------------------------------


def templates(folder: Path, text: str) -> Path:
    path = folder / "words.toml"
    path.write_text("format = 1\n" + text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("text", "key", "says"), [
    ('[zh]\nsubject = "{name}"\n', "zh.subject", "no field of a notice"),
    ('[zh]\nsubject = "{numbr}"\n', "zh.subject", 'Did you mean "number"?'),
    ('[en]\nbody = "{number} {what} {when} {urgency}"\n', "en.body", "link must be said here"),
    ('[en]\nline = "{number}"\n', "en.line", "what, when, urgency, link must be said"),
    ('[en]\nsubject = "{number.real}"\n', "en.subject", "no field of a notice"),
    ('[en]\nsubject = "{number!r}"\n', "en.subject", "written plain"),
    ('[en]\nsubject = "{number:>99}"\n', "en.subject", "written plain"),
    ('[en]\nsubject = "{number"\n', "en.subject", "braces do not fit"),
    ('[en]\nsubject = "{}"\n', "en.subject", "no field of a notice"),
    ('[en]\nsubjct = "x"\n', "en.subjct", 'Did you mean "subject"?'),
    ('[fr]\nsubject = "x"\n', "fr", "not known"),
])
def test_a_template_with_an_unknown_or_missing_field_is_refused_with_file_and_key(tmp_path: Path, text: str, key: str, says: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        load_templates(templates(tmp_path, text))
    assert (refused.value.file, refused.value.key) == ("words.toml", key)
    assert says in str(refused.value)


@given(st.text(max_size=30))
def test_no_text_in_a_template_becomes_more_than_its_five_fields(text: str) -> None:
    body = "".join(f"{{{field}}}" for field in FIELDS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.toml"
        quoted = text.encode("unicode_escape").decode().replace("\\x", "\\u00").replace('"', '\\"')
        path.write_text(f'format = 1\n[en]\nbody = "{quoted}{body}"\n', encoding="utf-8")
        try:
            wording = load_templates(path)
        except DefinitionError:
            return
    said = wording["en"].body.format(**dict.fromkeys(FIELDS, ""))
    assert len(said) <= len(text) * 2


def test_a_hosts_words_are_said_and_the_rest_stays_as_shipped(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "notice_templates.toml", tmp_path)
    wording = load_templates(tmp_path / "notice_templates.toml")
    assert wording["en"].body == WORDING["en"].body
    assert wording["en"].subject != WORDING["en"].subject
    told = compose(Notice("A-1", "98Q-SE9-4FE", ("p-1",), "note", "late", None, urgent=False, at=datetime(2026, 3, 2, tzinfo=UTC)),
                   Person("p-1"), "p-1", None, "zh", "")
    assert told.subject == "[一般] 个案 98Q-SE9-4FE"
