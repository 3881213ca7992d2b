"""Mail by SMTP: one message to one address, by a server of one's own, with TLS, under a Message-ID that stays the same."""

from __future__ import annotations

import hashlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from crisis_engine.clock import wall_clock
from crisis_engine.notify.channel import DeliveryFailed
from crisis_engine.notify.message import Message
from crisis_engine.notify.rule import EVERYTHING, Rule

SECURITY = ("starttls", "tls", "none")
_STEPS = 8
_PERMANENT = 500
_OK, _TAKEN = 250, (250, 251)
_MOST_ANSWER = 100


class _Bounded(smtplib.SMTP):
    """Shuts the connection after so many seconds: a tarpit sends a line now and then and would keep each step within its timeout."""

    def __init__(self, seconds: float, *given: Any, **more: Any) -> None:  # noqa: ANN401 - as of the class above
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        super().__init__(*given, **more)

    def connect(self, *given: Any, **more: Any) -> tuple[int, bytes]:  # noqa: ANN401 - as of the class above
        self._timer.start()
        return super().connect(*given, **more)

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _cut(self) -> None:
        with suppress(OSError, AttributeError):   # the latter before there is a connection
            self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # see above


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same, with TLS from the first byte."""


class MailChannel:
    """Sends mail by SMTP. `security` is starttls (by default), tls from the first byte, or none, for a server on this machine."""

    def __init__(
        self, name: str, host: str, sender: str, *, port: int = 587, security: str = "starttls", user: str = "", password: str = "",
        timeout: float = 10.0, ca_file: Path | str | None = None, rule: Rule = EVERYTHING,
    ) -> None:
        self.name, self.rule = name, rule
        self._host, self._port, self._sender, self._security = host, port, sender, security
        self._user, self._password = user, password
        self._timeout, self._ca_file = timeout, ca_file

    @property
    def longest(self) -> timedelta:
        """The most that a send takes where each step takes its whole timeout."""
        return timedelta(seconds=_STEPS * self._timeout)

    def send(self, message: Message) -> str | None:
        """Hand the mail to the server; what it answers (often the number in its queue) is returned."""
        to = mailbox_of(message.address)
        if not to:
            raise DeliveryFailed("the person has no mail address.", final=True)
        mail = self._mail(message, to)
        with _told():
            server = self._open()
        try:
            return self._hand_over(server, mail, to)
        finally:
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def _hand_over(self, server: smtplib.SMTP, mail: EmailMessage, to: str) -> str:
        with _told():
            if self._user:
                server.login(self._user, self._password)
            _expect(server.mail(self._sender), (_OK,))
            _expect(server.rcpt(to), _TAKEN)
        with _told(unsure=True):
            code, answer = server.data(mail.as_bytes(policy=SMTP))
            _expect((code, answer), (_OK,))
        return "".join(char for char in answer.decode("ascii", "replace") if char.isprintable())[:_MOST_ANSWER]

    def _open(self) -> smtplib.SMTP:
        bound = self.longest.total_seconds()
        if self._security == "tls":
            return _BoundedTls(bound, self._host, self._port, "localhost", timeout=self._timeout, context=self._context())
        server = _Bounded(bound, self._host, self._port, "localhost", timeout=self._timeout)
        try:
            server.ehlo()
            if self._security == "starttls":
                server.starttls(context=self._context())
                server.ehlo()
        except BaseException:
            server.close()
            raise
        return server

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_file)

    def _mail(self, message: Message, to: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        domain = self._sender.rpartition("@")[2]
        mail["From"], mail["To"], mail["Subject"] = self._sender, to, message.subject
        mail["Date"] = format_datetime(message.at or wall_clock())
        mail["Message-ID"] = f"<{hashlib.sha256(message.key.encode()).hexdigest()[:32]}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        if message.urgent:
            mail["Importance"], mail["X-Priority"] = "high", "1"
        mail.set_content(message.body + "\n")
        return mail


def mailbox_of(contact: str) -> str:
    """Return the mail address of a contact (`mailto:x@y` or `x@y`); empty where it is none."""
    plain = unquote(contact.removeprefix("mailto:").partition("?")[0])
    address = parseaddr(plain)[1]
    name, at, domain = address.rpartition("@")
    return address if address == plain.strip() and at and name and domain and address.isascii() and address.isprintable() else ""


def _expect(answer: tuple[int, bytes], codes: tuple[int, ...]) -> None:
    if answer[0] not in codes:
        raise smtplib.SMTPResponseException(answer[0], b"")


@contextmanager
def _told(*, unsure: bool = False) -> Iterator[None]:
    """Turn what goes wrong into DeliveryFailed with the code alone: a server's words may hold the address."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryFailed("the mail server refused the user or the password.") from error
    except smtplib.SMTPServerDisconnected as error:
        if isinstance(error.__context__, TimeoutError):
            raise DeliveryFailed("the mail server did not answer in time.", unsure=unsure) from error
        raise DeliveryFailed("the connection to the mail server broke.", unsure=unsure) from error
    except smtplib.SMTPResponseException as error:
        raise DeliveryFailed(f"the mail server answered {error.smtp_code}.", final=error.smtp_code >= _PERMANENT) from error
    except smtplib.SMTPException as error:
        raise DeliveryFailed("the mail server does not do what was asked.", way_out="Check `security`, user and port.") from error
    except ssl.SSLError as error:
        raise DeliveryFailed("the mail server's certificate or TLS does not fit.") from error
    except TimeoutError as error:
        raise DeliveryFailed("the mail server did not answer in time.", unsure=unsure) from error
    except OSError as error:
        raise DeliveryFailed("the connection to the mail server broke.", unsure=unsure) from error
