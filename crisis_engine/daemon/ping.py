"""The dead-man ping: an URL elsewhere is fetched after a successful round, and somebody there is alarmed when it stays away."""

from __future__ import annotations

from urllib.error import URLError
from urllib.request import Request, build_opener

TIMEOUT = 10.0


def fetch(url: str) -> str:
    """Fetch an URL; return nothing, or why it failed in a word that does not hold the URL, which is a secret."""
    try:
        with build_opener().open(Request(url, headers={"User-Agent": "crisis-engine"}), timeout=TIMEOUT) as answer:  # noqa: S310 (is_ping)
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
