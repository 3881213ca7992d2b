"""The small HTTP server for those who watch: /healthz, /readyz and /metrics, on the loopback unless somebody says otherwise."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore, Thread
from typing import Any

from .meter import Meter
from .timeout import cut_after
from .vitals import Vitals

MOST, LONGEST = 16, 10.0
"""Watchers at once, and the seconds that one may take: a crowd must not take the threads and files that the clockwork needs (D)."""


class _Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 64

    def __init__(self, *given: Any) -> None:  # noqa: ANN401 - as of the class above
        self._room = BoundedSemaphore(MOST)
        super().__init__(*given)

    def server_bind(self) -> None:
        """Bind, and ask no name server how this host is called: it may be away, and nobody asks for the name."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as of the class above
        """Answer in a thread where there is room for one, else hang up."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as of the class above
        """Answer, within a time."""
        timer = cut_after(request, LONGEST)
        try:
            super().process_request_thread(request, client_address)
        finally:
            timer.cancel()
            self._room.release()

    def handle_error(self, _request: Any, _client_address: Any) -> None:  # noqa: ANN401 - as of the class above
        """Say nothing of a watcher that hung up."""


class _SixServer(_Server):
    address_family = socket.AF_INET6


class WatchServer:
    """Serves what the vitals and meters say at the moment; it asks the database nothing, so it answers also when that hangs."""

    def __init__(self, host: str, port: int, vitals: Vitals, meter: Meter, *, stuck_after: float, recent: float) -> None:
        """Bind the port; OSError where it is taken."""
        def answer(path: str) -> tuple[int, str, bytes]:
            if path == "/healthz":
                job = vitals.stuck(stuck_after)
                alive = not job and vitals.silent() < stuck_after + (stuck_after if "sweep" in vitals.running else 0)
                return (200 if alive else 503), "text/plain", b"ok\n" if alive else f"stuck: {job or 'loop'}\n".encode()
            if path == "/readyz":
                why = vitals.unready(recent)
                lines = [line for line in (why or "ok", vitals.remark()) if line]
                return (503 if why else 200), "text/plain", "".join(f"{line}\n" for line in lines).encode()
            if path == "/metrics":
                return 200, "text/plain; version=0.0.4; charset=utf-8", meter.text()
            return 404, "text/plain", b"/healthz /readyz /metrics\n"

        class Handler(BaseHTTPRequestHandler):
            server_version, sys_version, timeout = "crisis", "", 10

            def do_GET(self) -> None:
                code, kind, body = answer(self.path.partition("?")[0])
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
                """Log nothing: somebody asks every few seconds."""

        self._server = (_SixServer if ":" in host else _Server)((host, port), Handler)
        self.address = f"{f'[{host}]' if ':' in host else host}:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, name="watch", daemon=True).start()

    def close(self) -> None:
        """Answer nothing more."""
        self._server.shutdown()
        self._server.server_close()
