"""The dead-man ping: an URL elsewhere is fetched after a successful round, and somebody there is alarmed when it stays away."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import IO
from urllib.error import URLError
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from .timeout import cut_after

TIMEOUT, LONGEST = 10.0, 20.0
"""Seconds that each step may take, and all of them: whoever answers byte by byte keeps every step within its own."""


class _Straight(HTTPRedirectHandler):
    """Follows nothing: a switch elsewhere does not say which of our own addresses are fetched."""

    def redirect_request(
        self, _request: Request, _file: IO[bytes], _code: int, _words: str, _headers: HTTPMessage, _url: str,
    ) -> None:
        """Leave the redirect as the failure that it is."""


class _Plain(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        cut_after(self.sock, LONGEST)


class _Sealed(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        cut_after(self.sock, LONGEST)


class _PlainHandler(HTTPHandler):
    def http_open(self, request: Request) -> HTTPResponse:
        return self.do_open(_Plain, request)


class _SealedHandler(HTTPSHandler):
    def https_open(self, request: Request) -> HTTPResponse:
        return self.do_open(_Sealed, request)


def fetch(url: str) -> str:
    """Fetch an URL; return nothing, or why it failed in a word that does not hold the URL, which is a secret."""
    opener = build_opener(_Straight, _PlainHandler, _SealedHandler)
    try:
        with opener.open(Request(url, headers={"User-Agent": "crisis-engine"}), timeout=TIMEOUT) as answer:  # noqa: S310 (is_ping)
            answer.read(1_000)
    except URLError as error:
        reason = getattr(error, "code", None) or error.reason
        return str(reason) if isinstance(reason, int) else type(reason).__name__
    except Exception as error:  # noqa: BLE001 - whatever an answer holds, it must not stop the alarms
        return type(error).__name__
    return ""


def is_ping(url: str) -> bool:
    """Whether an URL can be fetched: by http or https alone."""
    return url.startswith(("https://", "http://"))
