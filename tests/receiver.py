"""A real HTTP receiver on loopback that checks signatures by its own means, and can fail, hang, ask for patience or answer too late."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


class Receiver:
    """What came in; `answers` says what to do with the next requests: a status, "hang" (never answer) or "late" (take it, answer later)."""

    def __init__(self) -> None:
        self.accepted: dict[str, dict[str, Any]] = {}    # by webhook-id: what a host does with a message
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[int | str] = []
        self.headers: dict[str, str] = {}
        self.wrong: list[str] = []
        self.release = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.lock = threading.Lock()
        self.answer = b'{"id": "host-77"}'
        self.url = ""

    def take(self, headers: dict[str, str], body: bytes) -> int | str:
        """Check a request as a host would and return what to answer."""
        with self.lock:
            event = json.loads(body) if body.startswith(b"{") else {}
            self.requests.append((headers.get("webhook-id", ""), event))
            self.arrived.release()
            if "webhook-signature" in headers:
                signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
                mine = "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
                if mine not in headers["webhook-signature"].split(" "):
                    self.wrong.append(headers["webhook-id"])
                    return 401
            todo = self.answers.pop(0) if self.answers else 200
            if todo in {200, "late"}:
                self.accepted.setdefault(headers.get("webhook-id", str(len(self.requests))), event)
            return todo


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver; what hangs is let go at the end."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            todo = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            if isinstance(todo, str):
                receiver.release.wait(30)
                self.close_connection = True
                return
            self.send_response(todo)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            answer = receiver.answer if todo == 200 else b""
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/notices"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
