"""The small HTTP server for those who watch: /healthz, /readyz and /metrics, on the loopback unless somebody says otherwise."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from .meter import Meter
from .vitals import Vitals


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
                return (503 if why else 200), "text/plain", f"{why or 'ok'}\n".encode()
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

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self._server = Server((host, port), Handler)
        self.address = f"{host}:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, name="watch", daemon=True).start()

    def close(self) -> None:
        """Answer nothing more."""
        self._server.shutdown()
        self._server.server_close()
