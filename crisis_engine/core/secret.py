"""A secret text: a text like any other to whoever may read it, and a mask to every log, message and error that would carry it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

MASK = "[secret]"
"""What stands in the place of a secret."""

_DEEPEST = 8


class Secret(str):
    """A text that came from a form or from under a key. It compares, joins and encodes as the text it is.

    Formatted or shown for debugging it is a mask: a sentence that is put together with it (`f"{text}"`, `f"{text!r}"`) says nothing,
    so that what must not be said does not depend on who writes the sentence. `str(text)` gives the plain text, on purpose.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)


def sealed(value: object) -> object:
    """Return a value with every text in it made a secret; keys and numbers stay."""
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, Mapping):
        return {key: sealed(inner) for key, inner in value.items()}
    return [sealed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def revealed(value: object) -> object:
    """Return a value with every secret in it as the plain text that it is: for whoever was found to be allowed to read it."""
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, Mapping):
        return {key: revealed(inner) for key, inner in value.items()}
    return [revealed(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def holds_secret(value: object, depth: int = 0) -> bool:
    """Whether a value is a secret or holds one anywhere; one that is too deep to be looked through counts as one."""
    if isinstance(value, Secret):
        return True
    if value is None or isinstance(value, (str, bytes, int, float)):
        return False
    if depth > _DEEPEST:
        return True
    if isinstance(value, Mapping):
        return any(holds_secret(inner, depth + 1) for pair in value.items() for inner in pair)
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(holds_secret(inner, depth + 1) for inner in value)
    if isinstance(value, BaseException):
        return any(holds_secret(inner, depth + 1) for inner in (*value.args, *vars(value).values()))
    return is_dataclass(value) and any(holds_secret(getattr(value, each.name), depth + 1) for each in fields(value))
