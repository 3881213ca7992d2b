"""Telling people: what a notice may say, and the channels that carry it; a failed delivery is data, never a lost notice."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crisis_engine.notify.channel import Channel, DeliveryFailed, LogFileChannel, RecordingChannel
from crisis_engine.notify.message import Line, Message, compose
from crisis_engine.notify.rule import Quiet, Rule

if TYPE_CHECKING:
    from crisis_engine.notify.gateway import GatewayChannel
    from crisis_engine.notify.mail import MailChannel
    from crisis_engine.notify.setting import load_channels
    from crisis_engine.notify.webhook import WebhookChannel

__all__ = [
    "Channel", "DeliveryFailed", "GatewayChannel", "Line", "LogFileChannel", "MailChannel", "Message", "Quiet", "RecordingChannel", "Rule",
    "WebhookChannel", "compose", "load_channels",
]

_HOME = {"GatewayChannel": "gateway", "MailChannel": "mail", "WebhookChannel": "webhook", "load_channels": "setting"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of __all__
    """Import a channel's room at its first use: whoever writes notices into a file needs neither TLS nor mail."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
