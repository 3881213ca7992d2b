"""Which files belong to a database: its keys and its shred ledger lie beside a SQLite file, else in a folder that is named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy.engine import URL

from crisis_engine.store.master import Given, Masters, key_file_of
from crisis_engine.store.shred import ledger_of

HOME = "CRISIS_HOME"
"""Names the folder of the files that belong to a PostgreSQL database: DATABASE.key, DATABASE.seal and DATABASE.shreds."""


class Files(NamedTuple):
    """Where the files of one database lie. None where it has none: in memory, or on a server without a folder named."""

    stem: Path | None
    ledger: Path | None
    server: bool

    @classmethod
    def of(cls, url: URL, home: Path | None = None) -> Files:
        """Return the files of the database at a URL; on a server those in `home`, or in the folder that CRISIS_HOME names."""
        if url.get_backend_name() == "sqlite":
            key = key_file_of(url.database)
            return cls(key.with_suffix("") if key is not None else None, ledger_of(url.database), server=False)
        folder = home or (Path(os.environ[HOME]) if os.environ.get(HOME) else None)
        stem = folder / quote(url.database or url.username or "postgres", safe="") if folder is not None else None   # never a path
        shreds = os.environ.get("CRISIS_SHREDS")
        return cls(stem, Path(shreds) if shreds else stem and stem.with_name(f"{stem.name}.shreds"), server=True)

    @property
    def seal(self) -> Path | None:
        """Return the file of the sealer's key."""
        return self.stem and self.stem.with_name(f"{self.stem.name}.seal")

    def masters(self, given: Given | None) -> Masters:
        """Return the master keys: from the caller, the environment, or the file of this database."""
        return Masters(given, self.stem and self.stem.with_name(f"{self.stem.name}.key"), homeless=self.server and self.stem is None)
