"""Telling people: what a notice may say, and the channels that carry it; a failed delivery is data, never a lost notice."""

from __future__ import annotations

from crisis_engine.notify.channel import Channel, DeliveryFailed, LogFileChannel, RecordingChannel
from crisis_engine.notify.message import Message, compose

__all__ = ["Channel", "DeliveryFailed", "LogFileChannel", "Message", "RecordingChannel", "compose"]
