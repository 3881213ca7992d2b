"""Webhooks: a real receiver that verifies the signature, fails, hangs, asks for patience, answers too late; mail; apprise."""

from __future__ import annotations

import base64
import email
import importlib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from crisis_engine.core.errors import BadInput
from crisis_engine.notify import DeliveryFailed, GatewayChannel, Line, MailChannel, Message, WebhookChannel
from crisis_engine.notify.mail import mailbox_of
from crisis_engine.notify.webhook import id_of

from .receiver import SECRET, Receiver, receiving

# ruff: noqa: ANN401, N802 - aiosmtpd finds its handlers by these names and hands over objects without types

NOW = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
LINE = Line("98Q-SE9-4FE", "acknowledge", "2026-03-02 09:30", NOW, urgent=True, link="crisis show 98Q-SE9-4FE")


def message(key: str = "98Q-SE9-4FE-7:p-11", address: str = "mailto:p-11@example.invalid") -> Message:
    return Message(key, "p-11", address, "[紧急] 个案 98Q-SE9-4FE", "个案：98Q-SE9-4FE", urgent=True, lines=(LINE,), at=NOW, fence=3)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def test_a_webhook_carries_a_cloud_event_with_five_things_and_a_signature_that_its_receiver_verifies(receiver: Receiver) -> None:
    assert WebhookChannel("host", receiver.url, [SECRET]).send(message()) == "host-77"
    assert receiver.wrong == []
    (webhook_id, event), = receiver.requests
    assert (event["specversion"], event["id"], event["fence"]) == ("1.0", webhook_id, 3)
    assert event["time"] == "2026-03-02T09:30:00+08:00"
    assert event["data"]["notices"] == [{
        "number": "98Q-SE9-4FE", "what": "acknowledge", "when": "2026-03-02T09:30:00+08:00", "urgent": True,
        "link": "crisis show 98Q-SE9-4FE",
    }]
    assert set(event["data"]) == {"kind", "to", "urgent", "subject", "text", "notices"}
    assert "example.invalid" not in str(event), "no address goes out"


def test_a_secret_is_changed_by_signing_with_both_for_a_while(receiver: Receiver) -> None:
    new = f"whsec_{base64.b64encode(bytes(32)).decode()}"
    WebhookChannel("host", receiver.url, [new, SECRET]).send(message())
    with pytest.raises(DeliveryFailed, match="401"):
        WebhookChannel("host", receiver.url, [new]).send(message())
    assert len(receiver.accepted) == 1


def test_the_id_of_a_message_is_the_same_over_every_try_and_has_no_dot() -> None:
    assert id_of("98Q-SE9-4FE-7:p.11") == id_of("98Q-SE9-4FE-7:p.11") != id_of("98Q-SE9-4FE-7:p.12")
    assert "." not in id_of("98Q-SE9-4FE-7:p.11")


@pytest.mark.parametrize(("status", "header", "asked", "unsure", "final"), [
    (429, {"retry-after": "120"}, timedelta(minutes=2), False, False),
    (503, {"retry-after": "Mon, 02 Mar 2026 01:40:00 GMT"}, timedelta(minutes=10), False, False),
    (503, {"retry-after": "soon"}, None, False, False),
    (500, {}, None, True, False),
    (400, {}, None, False, False),
    (410, {}, None, False, True),
])
def test_what_a_receiver_answers_says_when_to_try_again(
    receiver: Receiver, status: int, header: dict[str, str], asked: timedelta | None, unsure: bool, final: bool,  # noqa: FBT001 (a parameter)
) -> None:
    receiver.answers, receiver.headers = [status], header
    with pytest.raises(DeliveryFailed, match=str(status)) as failed:
        WebhookChannel("host", receiver.url, [SECRET]).send(message())
    assert (failed.value.retry_after, failed.value.unsure, failed.value.final) == (asked, unsure, final)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [307], {"location": receiver.url}
    with pytest.raises(DeliveryFailed, match="no redirect is followed"):
        WebhookChannel("host", receiver.url, [SECRET]).send(message())
    assert len(receiver.requests) == 1


def test_a_receiver_that_hangs_is_left_and_may_have_taken_it(receiver: Receiver) -> None:
    receiver.answers = ["hang"]
    with pytest.raises(DeliveryFailed, match="in time") as failed:
        WebhookChannel("host", receiver.url, [SECRET], timeout=0.2).send(message())
    assert failed.value.unsure


def test_a_receiver_that_sends_a_byte_now_and_then_is_left_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        let_go = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                while not let_go.wait(0.05):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(DeliveryFailed) as failed:
                WebhookChannel("host", f"http://127.0.0.1:{server.getsockname()[1]}/", [SECRET], timeout=0.2).send(message())
            assert failed.value.unsure
        finally:
            let_go.set()
            thread.join()


def test_nobody_there_is_a_failure_that_surely_did_not_go_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(DeliveryFailed, match="connection to the receiver broke") as failed:
        WebhookChannel("host", f"http://127.0.0.1:{port}/", [SECRET]).send(message())
    assert not failed.value.unsure


# ---- mail ---------------------------------------------------------------------------------------------------------------------------


class Mailbox:
    """What a real SMTP server took; `refuse` is its answer to the next recipient, `at_end` to the next mail."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuse = self.at_end = ""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        if self.at_end:
            return self.at_end
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 2.0.0 queued as 4711"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


def mail_channel(port: int, **more: Any) -> MailChannel:
    return MailChannel("mail", "127.0.0.1", "crisis@example.invalid", port=port, security="none", timeout=5, **more)


def test_a_mail_is_really_received_with_the_words_and_the_same_message_id_each_time(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    assert mail_channel(port).send(message()) == "2.0.0 queued as 4711"
    mail_channel(port).send(message())
    sender, to, content = box.mails[0]
    assert (sender, to) == ("crisis@example.invalid", ["p-11@example.invalid"])
    first, second = (email.message_from_bytes(one[2], policy=default) for one in box.mails)
    assert first["message-id"] == second["message-id"]
    assert (first["subject"], first["importance"]) == ("[紧急] 个案 98Q-SE9-4FE", "high")
    assert first["date"] == "Mon, 02 Mar 2026 01:30:00 +0000"
    assert first.get_content().strip() == "个案：98Q-SE9-4FE"
    assert b"stu-" not in content


@pytest.mark.parametrize(("answer", "final"), [("550 no such user p-11@example.invalid", True), ("451 later", False)])
def test_a_refused_recipient_is_final_with_5xx_and_the_address_is_in_no_error(
    mailbox: tuple[Mailbox, int], answer: str, final: bool,  # noqa: FBT001 (a parameter)
) -> None:
    box, port = mailbox
    box.refuse = answer
    with pytest.raises(DeliveryFailed, match=answer[:3]) as failed:
        mail_channel(port).send(message())
    assert failed.value.final is final
    assert "example.invalid" not in str(failed.value)


def test_mail_is_not_sent_in_the_clear_where_tls_was_asked_for(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    with pytest.raises(DeliveryFailed, match="does not do what was asked"):
        MailChannel("mail", "127.0.0.1", "crisis@example.invalid", port=port, timeout=5).send(message())
    assert box.mails == []


def test_a_mail_server_that_is_not_there_or_hangs_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = MailChannel("mail", "127.0.0.1", "crisis@example.invalid", port=silent.getsockname()[1], security="none", timeout=0.2)
        with pytest.raises(DeliveryFailed, match="in time"):
            channel.send(message())
        port = silent.getsockname()[1]
    with pytest.raises(DeliveryFailed, match="broke"):
        mail_channel(port).send(message())


@pytest.mark.parametrize(("contact", "address"), [
    ("mailto:a@b.invalid", "a@b.invalid"), ("a@b.invalid", "a@b.invalid"), ("tel:110", ""), ("", ""), ("mailto:a@b\r\nBcc: c@d", ""),
    ("mailto:a@b.invalid, c@d.invalid", ""), ("mailto:<a@b.invalid>", ""),
])
def test_only_one_plain_address_is_an_address(contact: str, address: str) -> None:
    assert mailbox_of(contact) == address


def test_a_certificate_that_does_not_fit_is_said_plainly(receiver: Receiver) -> None:
    with pytest.raises(DeliveryFailed, match="certificate or TLS"):
        WebhookChannel("host", receiver.url.replace("http:", "https:"), [SECRET], timeout=2).send(message())
    assert ssl.create_default_context().check_hostname


# ---- apprise ------------------------------------------------------------------------------------------------------------------------


def test_a_gateway_of_apprise_reaches_the_same_receiver_with_the_persons_address(receiver: Receiver) -> None:
    url = receiver.url.replace("http:", "json:") + "/{address}"
    channel = GatewayChannel("bot", url, timeout=2)
    assert channel.send(message(address="tel:+8613800000000")) is None
    (_id, event), = receiver.requests
    assert (event["title"], event["message"]) == ("[紧急] 个案 98Q-SE9-4FE", "个案：98Q-SE9-4FE")
    receiver.answers = [500]
    with pytest.raises(DeliveryFailed, match="did not take it") as failed:
        channel.send(message(address="tel:+8613800000000"))
    assert failed.value.unsure
    assert "13800000000" not in str(failed.value) + repr(channel)
    with pytest.raises(DeliveryFailed, match="no address"):
        channel.send(message(address=""))


@contextmanager
def dripping(seconds: float) -> Iterator[tuple[int, threading.Event]]:
    """Run a receiver that answers byte by byte, each within every timeout, until `seconds` are over or the event says so."""
    release = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _where = server.accept()
                    with client:
                        client.recv(65_536)
                        client.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                        for _ in range(int(seconds / 0.02)):
                            client.sendall(b"a")
                            if release.wait(0.02):
                                break
                        client.sendall(b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], release
        finally:
            release.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def test_a_gateway_that_answers_byte_by_byte_ends_in_time_and_what_came_through_late_is_not_sent_again() -> None:
    with dripping(30) as (port, release):
        channel = GatewayChannel("bot", f"json://127.0.0.1:{port}/", timeout=0.1)
        with pytest.raises(DeliveryFailed, match="did not end in time") as failed:
            channel.send(message())
        assert failed.value.unsure, "it may have gone out"
        with pytest.raises(DeliveryFailed, match="still hangs") as refused:
            channel.send(message("98Q-SE9-4FE-8:p-11"))
        assert not refused.value.unsure
        hanging = channel._late  # noqa: SLF001 (the thread itself: nothing else says when it ends)
        assert hanging is not None
        release.set()
        hanging.join(10)
        assert channel.send(message()) is None
        assert channel._late is None  # noqa: SLF001 (as above)


def test_without_apprise_the_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(BadInput, match=r"crisis-engine\[notify\]"):
        GatewayChannel("bot", "json://127.0.0.1/")


def test_apprise_is_imported_only_when_a_gateway_is_asked_for() -> None:
    source = Path(importlib.import_module("crisis_engine.notify.gateway").__file__ or "").read_text(encoding="utf-8")
    assert "\nimport apprise" not in source
