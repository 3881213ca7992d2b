"""The catalogue: every text that a person reads on the console or in a notice, in Chinese and English.

Labels of stages, clocks, moves and fields come from the definitions; logs and the texts of exceptions speak English only.
No text here uses a character that terminals draw one or two cells wide, and none says what a child has: risk is urgency.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .access import ACCESS
from .audit import AUDIT
from .author import AUTHOR
from .daemon import DAEMON
from .document import DOCUMENTS
from .draw import DRAW
from .explain import EXPLAIN
from .field import FIELD
from .help import HELP
from .migrate import MIGRATE
from .notice import NOTICES
from .prover import PROVER
from .refusal import REFUSALS
from .rehearse import REHEARSE
from .screen import SCREENS
from .secret import SECRETS
from .transfer import TRANSFER

LANGUAGES: tuple[str, ...] = ("zh", "en")
"""The languages of the catalogue, in the order of its columns."""


def say(key: str, lang: str, **fields: object) -> str:
    """Return the text of `key` in `lang` with its placeholders filled; KeyError for a key, language or placeholder unknown."""
    return CATALOGUE[key][_COLUMN[lang]].format(**fields)


def knows(key: str) -> bool:
    """Whether the catalogue has this key."""
    return key in CATALOGUE


def keys() -> tuple[str, ...]:
    """Return every key of the catalogue."""
    return tuple(CATALOGUE)


_COLUMN = {lang: column for column, lang in enumerate(LANGUAGES)}

CATALOGUE: Mapping[str, tuple[str, str]] = MappingProxyType({
    **FIELD, **NOTICES, **REFUSALS, **HELP, **SCREENS, **ACCESS, **SECRETS, **AUDIT, **DAEMON, **REHEARSE, **PROVER,
    **DRAW, **AUTHOR, **EXPLAIN, **MIGRATE, **DOCUMENTS, **TRANSFER,
})
"""Every key with its text in each language; a key stands in one part only."""
