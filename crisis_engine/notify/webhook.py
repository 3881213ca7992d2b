"""Signed webhooks to host systems: a CloudEvents 1.0 body under the headers of Standard Webhooks; no redirect is followed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crisis_engine.clock import wall_clock
from crisis_engine.core.calendar import CHINA
from crisis_engine.notify.channel import DeliveryFailed
from crisis_engine.notify.message import Line, Message
from crisis_engine.notify.rule import EVERYTHING, Rule

TYPE = "crisis_engine.notice.v1"
"""The CloudEvents type of every message."""

_PREFIX = "whsec_"
_KEY_LEAST, _KEY_MOST = 24, 64
_MOST_READ = 4096
_MOST_ID = 100
_BUSY = frozenset({429, 503})
_GONE = 410
_FEWEST_ERRORS, _SERVER = 400, 500
_OK = range(200, 300)


class WebhookChannel:
    """Posts each message to one URL, signed with HMAC-SHA256 under every secret (the newest first, so that a secret can be changed).

    `timeout` is for each step (connecting, sending, the answer); three times as long it may take together.
    """

    def __init__(
        self, name: str, url: str, secrets: Sequence[str], *, source: str = "/crisis_engine", timeout: float = 10.0,
        ca_file: Path | str | None = None, rule: Rule = EVERYTHING,
    ) -> None:
        self.name, self.rule = name, rule
        self._parts = urlsplit(url)
        self._keys = [key_of(secret) for secret in secrets]
        self._source, self._timeout, self._ca_file = source, timeout, ca_file

    @property
    def longest(self) -> timedelta:
        """The most that a send takes."""
        return timedelta(seconds=3 * self._timeout)

    def send(self, message: Message) -> str | None:
        """Post the message; the receiver's own id of it is returned where it answers `{"id": …}`."""
        at = message.at or wall_clock()
        body = json.dumps(event_of(message, self._source, at), ensure_ascii=False, separators=(",", ":")).encode()
        stamp = int(at.timestamp())
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8", "connection": "close", "user-agent": "crisis-engine",
            "webhook-id": id_of(message.key), "webhook-timestamp": str(stamp),
            "webhook-signature": " ".join(signature(key, id_of(message.key), stamp, body) for key in self._keys),
        }
        target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        connection = self._connection()
        with _told(connection):
            connection.connect()
        with _bounded(connection, 3 * self._timeout), _told(connection, unsure=True):
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            answer = response.read(_MOST_READ)
        return _judged(response, answer, at)

    def _connection(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme == "http":
            return HTTPConnection(host, port, timeout=self._timeout)
        return HTTPSConnection(host, port, timeout=self._timeout, context=ssl.create_default_context(cafile=self._ca_file))


def key_of(secret: str) -> bytes:
    """Return the key of a secret `whsec_` + base64 of 24 to 64 bytes; ValueError for anything else, without a word of it."""
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.strip().startswith(_PREFIX) or not _KEY_LEAST <= len(key) <= _KEY_MOST:
        raise ValueError("a secret is whsec_ and the base64 of 24 to 64 random bytes.")
    return key


def id_of(key: str) -> str:
    """Return the webhook-id of a message's key: the same for every try, and without a dot, which signatures are joined by."""
    return f"msg_{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def signature(key: bytes, webhook_id: str, stamp: int, body: bytes) -> str:
    """Return the Standard-Webhooks signature `v1,…` of a body."""
    digest = hmac.new(key, f"{webhook_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def event_of(message: Message, source: str, at: datetime) -> dict[str, Any]:
    """Return the CloudEvents envelope. `to` is the person's id of the roster; neither name nor address goes out."""
    return {
        "specversion": "1.0", "id": id_of(message.key), "source": source, "type": TYPE, "time": at.astimezone(CHINA).isoformat(),
        "datacontenttype": "application/json", "fence": message.fence,
        "data": {
            "kind": message.kind, "to": message.to, "urgent": message.urgent, "subject": message.subject, "text": message.body,
            "notices": [_noticed(line) for line in message.lines],
        },
    }


def _noticed(line: Line) -> dict[str, Any]:
    due = line.due_at.astimezone(CHINA).isoformat() if line.due_at else None
    return {"number": line.number, "what": line.what, "when": due, "urgent": line.urgent, "link": line.link}


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _told(connection: HTTPConnection, *, unsure: bool = False) -> Iterator[None]:
    """Turn what goes wrong on the way into DeliveryFailed; `unsure` once the receiver may have got it."""
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, TimeoutError):
            raise DeliveryFailed("the receiver did not answer in time.", unsure=unsure) from error
        if isinstance(error, ssl.SSLError):
            raise DeliveryFailed("the receiver's certificate or TLS does not fit.") from error
        if isinstance(error, socket.gaierror):
            raise DeliveryFailed("the receiver's name is not known.") from error
        if isinstance(error, (OSError, HTTPException)):
            raise DeliveryFailed("the connection to the receiver broke.", unsure=unsure) from error
        raise


@contextmanager
def _bounded(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """Shut the socket after so long: a receiver that sends one byte now and then would keep each step within its timeout for ever."""
    sock = connection.sock

    def end() -> None:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        connection.close()


def _judged(response: HTTPResponse, answer: bytes, at: datetime) -> str | None:
    status = response.status
    if status in _OK:
        return _id_in(answer)
    asked = _asked(response.getheader("retry-after"), at) if status in _BUSY else None
    if status < _FEWEST_ERRORS:
        raise DeliveryFailed(f"the receiver answered {status}, and no redirect is followed.", way_out="Give its own address.")
    raise DeliveryFailed(f"the receiver answered {status}.", retry_after=asked, unsure=status >= _SERVER and status not in _BUSY,
                         final=status == _GONE)


def _asked(header: str | None, at: datetime) -> timedelta | None:
    """Return how long a Retry-After asks for: seconds or a date; None where it says nothing readable."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return timedelta(seconds=min(int(text[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - at, timedelta())


def _id_in(answer: bytes) -> str | None:
    try:
        found = json.loads(answer)
    except ValueError:
        return None
    given = found.get("id") if isinstance(found, dict) else None
    return given[:_MOST_ID] if isinstance(given, str) else None
