"""Where the master key comes from: the caller, the environment, a file, a command, or the file beside the database; read when needed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import shlex
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from crisis_engine.core.errors import KeyFault

Given = bytes | Sequence[bytes] | Callable[[], bytes | Sequence[bytes]]
"""A master key as a host hands it over: 32 bytes, several of them (the newest first), or what returns these."""

KEY_BYTES = 32
COMMAND_SECONDS = 20
"""How long CRISIS_MASTER_KEY_COMMAND may take."""

_NAMES = ("CRISIS_MASTER_KEY", "CRISIS_MASTER_KEY_FILE", "CRISIS_MASTER_KEY_COMMAND")
_OTHERS = 0o077
_MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key; its id is a fingerprint that tells nothing of it."""

    id: str
    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: bytes) -> MasterKey:
        """Return the key of these 32 bytes."""
        if not isinstance(secret, bytes) or len(secret) != KEY_BYTES:
            raise KeyFault("The master key that the caller gave is no key of 32 bytes.",
                           way_out="Give 32 random bytes as base64 or hex; `crisis keys new FILE` makes them.")
        return cls(hashlib.sha256(b"crisis_engine master key\0" + secret).hexdigest()[:16], secret)

    def check(self) -> str:
        """Return the value by which a database knows its key again."""
        return hmac.digest(self.secret, b"crisis_engine master key check", "sha256").hex()


class Masters:
    """The master keys of one database. They are read at the first need, and anew when a row names one that is not among them."""

    def __init__(
        self, given: Given | None = None, beside: Path | None = None, environ: Mapping[str, str] | None = None, *, homeless: bool = False,
    ) -> None:
        """Take keys from the caller, else from the environment, else from the file beside the database, else make one for memory.

        `homeless` says that the database is on a server and no folder was named for its files: then there is nothing to fall back on.
        """
        self.homeless = homeless
        self._given = given
        self._environ = os.environ if environ is None else environ
        self._beside = beside
        self._memory = b"" if beside is not None or homeless else secrets.token_bytes(KEY_BYTES)
        self._keys: tuple[MasterKey, ...] = ()

    @property
    def source(self) -> str:
        """Return where the keys come from: caller, environment, file, command, beside or memory."""
        if self._given is not None:
            return "caller"
        named = next((name for name in _NAMES if self._environ.get(name)), None)
        if named is not None:
            return {_NAMES[0]: "environment", _NAMES[1]: "file", _NAMES[2]: "command"}[named]
        return "memory" if self._beside is None and not self.homeless else "beside"

    @property
    def file(self) -> Path | None:
        """Return the file that holds the keys, where they are ours to change."""
        source = self.source
        return Path(self._environ[_NAMES[1]]) if source == "file" else self._beside if source == "beside" else None

    def keys(self, *, anew: bool = False) -> tuple[MasterKey, ...]:
        """Return all keys, the newest first; `anew` reads their source again. KeyFault when there is none or one is no key."""
        if anew or not self._keys:
            self._keys = tuple(dict.fromkeys(MasterKey.of(secret) for secret in self._read()))
        return self._keys

    def named(self, key_id: str) -> MasterKey | None:
        """Return the key of that id, None when it is not among them even after they were read again."""
        for anew in (False, True):
            for key in self.keys(anew=anew):
                if key.id == key_id:
                    return key
        return None

    def make(self) -> None:
        """Make the file beside a new database, unless there is one or the keys come from elsewhere. KeyFault where it has no place."""
        if self.source == "beside" and self._beside is None:
            raise _homeless()
        if self.source == "beside" and self._beside is not None and not self._beside.exists():
            write_keys(self._beside, [secrets.token_bytes(KEY_BYTES)], new=True)

    def _read(self) -> list[bytes]:
        source = self.source
        if source == "caller":
            given = self._given() if callable(self._given) else self._given
            return [given] if isinstance(given, bytes) else list(given or ())
        if source == "memory":
            return [self._memory]
        if source == "beside" and self._beside is None:
            raise _homeless()
        file = self.file
        if file is not None:
            return read_keys(file)
        name = _NAMES[0] if source == "environment" else _NAMES[2]
        found = _secrets_in(self._environ[name] if name == _NAMES[0] else _output_of(self._environ[name]))
        if not found:
            raise KeyFault(f"{name} gives no whole key of 32 bytes.",
                           way_out="Give 32 random bytes as base64 or hex; `crisis keys new FILE` makes them.")
        return found


def _homeless() -> KeyFault:
    return KeyFault("Nobody said where the master key of this database lies: beside a server there is no place for it.",
                    way_out="Set CRISIS_HOME to a folder for its files, or CRISIS_MASTER_KEY_FILE.")


def key_file_of(database: str | None) -> Path | None:
    """Return the file that holds the key beside a SQLite database; None for one in memory."""
    if not database or ":memory:" in database or "mode=memory" in database:
        return None
    name = database.removeprefix("file:").partition("?")[0] if database.startswith("file:") else database
    return Path(f"{name}.key")


def read_keys(path: Path) -> list[bytes]:
    """Return the keys of a file, one a line. KeyFault when it is missing, may be read by others, or holds something else."""
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(_MOST_BYTES)
    except FileNotFoundError:
        raise KeyFault("The file with the master key is missing.",
                       way_out="Put it back beside the database, or set CRISIS_MASTER_KEY_FILE; a backup holds it apart.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file name"
        raise KeyFault(f"The file with the master key cannot be read: {reason}.", way_out="Check the file and its rights.") from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & _OTHERS:
        raise KeyFault("The file with the master key may be read by others.",
                       way_out="Take their rights away (chmod 600); if it may have been copied, run `crisis keys rotate`.")
    found = _secrets_in(raw.decode("ascii", "replace"))
    if not found:
        raise KeyFault("The file with the master key holds no whole key of 32 bytes.",
                       way_out="Give 32 random bytes as base64 or hex; `crisis keys new FILE` makes them.")
    return found


def write_keys(path: Path, keys: Sequence[bytes], *, new: bool = False) -> None:
    """Afterwards the file holds these keys, readable by its owner alone: whole, or as it was. With `new` one that exists stays."""
    text = "".join(f"{base64.b64encode(key).decode()}\n" for key in keys)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            if new:
                with suppress(FileExistsError):  # another program was faster: its key counts
                    os.link(draft, path)
            else:
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        if os.name == "posix":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise KeyFault(f"The file for the master key cannot be written: {error.strerror}.",
                       way_out="Make its folder writable for this user, or set CRISIS_MASTER_KEY_FILE.") from None


def _secrets_in(text: str) -> list[bytes]:
    """Return the keys of a text: base64 or hex, apart by blanks, lines or commas; nothing when one of them is no key."""
    found = [_secret(word) for word in text.replace(",", " ").split()]
    good = [secret for secret in found if secret is not None]
    return good if len(good) == len(found) else []


def _secret(word: str) -> bytes | None:
    try:
        if len(word) == 2 * KEY_BYTES:
            return bytes.fromhex(word)
        secret = base64.b64decode(word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return secret if len(secret) == KEY_BYTES else None


def _output_of(command: str) -> str:
    """Return what a command prints; no shell reads it, and what it says on stderr is kept from every log."""
    try:
        done = subprocess.run(shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,  # noqa: S603 (the operator's own command, without a shell)
                              timeout=COMMAND_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise KeyFault(f"The command of CRISIS_MASTER_KEY_COMMAND took longer than {COMMAND_SECONDS} seconds.",
                       way_out="Run it by hand.") from None
    except (OSError, ValueError, IndexError):
        raise KeyFault("The command of CRISIS_MASTER_KEY_COMMAND cannot be run.", way_out="Run it by hand.") from None
    if done.returncode:
        raise KeyFault(f"The command of CRISIS_MASTER_KEY_COMMAND ended with code {done.returncode}.", way_out="Run it by hand.")
    return done.stdout.decode("ascii", "replace")
