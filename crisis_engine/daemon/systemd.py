"""What systemd wants to hear of a service of Type=notify: that it is ready, lives, reloads, stops; one datagram each."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress


class Systemd:
    """The socket that systemd named in the environment; without one nothing is said."""

    def __init__(self, env: Mapping[str, str], pid: int) -> None:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC, the latter only if it is for this process."""
        self._address = env.get("NOTIFY_SOCKET", "")
        usec = env.get("WATCHDOG_USEC", "")
        mine = env.get("WATCHDOG_PID", str(pid)) == str(pid)
        self.every = int(usec) / 2_000_000 if self._address and usec.isdecimal() and mine else None

    def tell(self, *lines: str) -> None:
        """Say something such as READY=1; a systemd that does not listen is no reason to stop."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto("\n".join(lines).encode(), address)
