"""A small TCP proxy on loopback: it cuts connections, or holds them half open so that nothing passes and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Stands between clients and one port of loopback; `port` is where the clients go."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self.cuts = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._flows.set()
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Close every connection at once, in the middle of whatever passes."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
            self.cuts += 1

    def hold(self) -> None:
        """Let nothing pass from now on; connections stay open."""
        self._flows.clear()

    def flow(self) -> None:
        """Let everything pass again, what was held back too."""
        self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):   # the listener was closed
            while True:
                client, _where = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._to), timeout=10)
                except OSError:   # the server is away: so is the client's connection
                    client.close()
                    continue
                server.settimeout(None)
                with self._lock:
                    self._pairs.append((client, server))
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(65_536):
                self._flows.wait()
                target.sendall(some)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
