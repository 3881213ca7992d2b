"""Gateways by apprise: bots of WeCom, DingTalk and Feishu, SMS, mail and some hundred more; imported when the first is asked for."""

from __future__ import annotations

import logging
import warnings
from datetime import timedelta
from threading import Thread
from typing import Any
from urllib.parse import quote

from crisis_engine.core.errors import BadInput
from crisis_engine.notify.channel import DeliveryFailed
from crisis_engine.notify.message import Message
from crisis_engine.notify.rule import EVERYTHING, Rule

PLACE = "{address}"
"""Where a gateway's URL takes the address of the person; without it the gateway knows whom it tells (a bot in a group)."""


class _Attempt(Thread):
    """One message on its way through apprise, in a thread of its own: apprise has no time limit over all that one message asks for."""

    def __init__(self, plugin: Any, message: Message) -> None:  # noqa: ANN401 - a plugin of apprise, which has no types
        super().__init__(name="gateway", daemon=True)
        self.key, self.sent = message.key, False
        self.error: Exception | None = None
        self._plugin, self._message = plugin, message

    def run(self) -> None:
        """Notify, and keep what came of it."""
        message = self._message
        try:
            self.sent = bool(self._plugin.notify(title=message.subject, body=message.body,
                                                 notify_type="failure" if message.urgent else "info"))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is told by whoever waits for it
            self.error = error


class GatewayChannel:
    """Sends by one apprise URL, which may hold tokens and is never shown, logged or put into an error.

    A send ends by `longest`, whatever the gateway does: a lease holds for longer. What hangs cannot be ended from here, so that no
    second message goes while the first is on its way; and one that came through late is not sent again.
    """

    def __init__(self, name: str, url: str, *, timeout: float = 10.0, rule: Rule = EVERYTHING) -> None:
        self.name, self.rule = name, rule
        self._url, self._timeout = url, timeout
        self._fixed = None if PLACE in url else self._made(url)
        self._late: _Attempt | None = None
        if PLACE in url:
            self._made(url.replace(PLACE, "13800000000"))

    @property
    def longest(self) -> timedelta:
        """The most that a send takes, held by a thread of its own: a gateway may be asked more than once, for a token first."""
        return timedelta(seconds=4 * self._timeout)

    def send(self, message: Message) -> str | None:
        """Notify; apprise says only whether it went well, so that a failure may have gone out."""
        if (late := self._late) is not None:
            if late.is_alive():
                raise DeliveryFailed("the gateway still hangs over an earlier message.")
            self._late = None
            if late.sent and late.key == message.key:
                return None
        plugin = self._fixed
        if plugin is None:
            address = message.address.partition(":")[2] or message.address
            if not address:
                raise DeliveryFailed("the person has no address for this gateway.", final=True)
            plugin = self._made(self._url.replace(PLACE, quote(address, safe="")))
        attempt = _Attempt(plugin, message)
        attempt.start()
        attempt.join(self.longest.total_seconds())
        if attempt.is_alive():
            self._late = attempt
            raise DeliveryFailed("the gateway did not end in time.", unsure=True)
        if attempt.error is not None:
            raise DeliveryFailed("the gateway failed.", unsure=True) from attempt.error
        if not attempt.sent:
            raise DeliveryFailed("the gateway did not take it.", unsure=True)
        return None

    def _made(self, url: str) -> Any:  # noqa: ANN401 - a plugin of apprise, which has no types
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)   # it loads its plugins here, and some of them old modules
            plugin = _apprise().Apprise.instantiate(url, suppress_exceptions=True)
        if plugin is None:
            raise ValueError("apprise does not know this URL.")
        plugin.socket_connect_timeout = plugin.socket_read_timeout = self._timeout
        return plugin


def _apprise() -> Any:  # noqa: ANN401 - a module without types
    try:
        import apprise  # noqa: PLC0415 - an extra, and 105 ms
    except ImportError:
        raise BadInput("Channels of the kind apprise need the package apprise.", way_out="Install crisis-engine[notify].") from None
    if not (shown := logging.getLogger("apprise")).handlers:
        shown.addHandler(logging.NullHandler())   # else its warnings, which may name an address, go to the standard error
    return apprise
