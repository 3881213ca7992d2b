"""An end to a connection as a whole: whoever sends a byte now and then would keep each step within its timeout for ever."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Timer


def cut_after(connection: socket.socket, seconds: float) -> Timer:
    """Shut a connection after so many seconds, unless the timer that is returned is cancelled."""
    def cut() -> None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    return timer
