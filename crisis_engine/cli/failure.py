"""A failure as a person or a program reads it: one sentence and the way out, with the exit code of DESIGN.md section 7."""

from __future__ import annotations

import json
import re
from typing import Any, TextIO

from crisis_engine.core.errors import BadInput, CrisisError
from crisis_engine.words import knows, say

_WORD = re.compile("[a-z-]{1,20}")


class Failure(Exception):
    """Why a command was not done. With `key` the sentence comes from the catalogue, else it is the engine's own `message`."""

    def __init__(self, kind: str, exit_code: int, *, key: str = "", message: str = "", way_out: str = "", command: str = "",
                 near: str = "", **fields: object) -> None:
        super().__init__(key or message)
        self.kind, self.exit_code, self.key = kind, exit_code, key
        self.message, self.way_out = message, way_out
        self.command, self.near = command, near
        self.fields = fields

    def sentences(self, lang: str) -> tuple[str, str]:
        """Return what happened and the way out, which may be empty."""
        if not self.key:
            return self.message, self.way_out
        message = say(self.key if knows(self.key) else f"{self.key}.message", lang, **self.fields)
        if self.near:
            return message, say("usage.did_you_mean", lang, name=self.near)
        if knows(f"{self.key}.way_out"):
            return message, say(f"{self.key}.way_out", lang, **self.fields)
        return message, say("usage.way_out", lang, command=self.command).replace("  ", " ") if self.key.startswith("usage.") else ""

    def print(self, err: TextIO, lang: str, *, as_json: bool) -> None:
        """Write the failure to `err`: to people in their language, to programs as one JSON object that has the engine's own words."""
        message, way_out = self.sentences(lang)
        if as_json:
            error: dict[str, Any] = {"kind": self.kind, "message": message, "way_out": way_out, "exit_code": self.exit_code}
            extra = {} if self.key else {name: value for name, value in self.fields.items() if name not in error}
            err.write(json.dumps({"error": error | extra}, ensure_ascii=False, default=str) + "\n")
            return
        if not self.key:
            message, way_out = spoken(message, lang), spoken(way_out, lang)
        kind = say(f"refused.{self.exit_code}", lang) if knows(f"refused.{self.exit_code}") else self.kind
        err.write(say("refused.frame", lang, kind=kind, message=message) + "\n")
        if way_out:
            err.write(say("refused.way_out", lang, way_out=way_out) + "\n")


def spoken(text: str, lang: str) -> str:
    """Return a sentence of the engine, which speaks English, in the reader's language."""
    if lang != "zh":
        return text
    from crisis_engine.refusals import in_chinese

    return in_chinese(text)


def bad_input(key: str, **fields: object) -> Failure:
    """Return the refusal of a command that is not complete or not well formed: exit code 2, words from the catalogue."""
    failure = Failure(BadInput.__name__, BadInput.exit_code, key=key)
    failure.fields = fields
    return failure


def failure_of(error: Exception, *, done: bool = False) -> Failure:
    """Return what to tell about any exception; one that is none of ours is a bug, of which only the type is told.

    `done` says that the engine had finished and only the telling failed, so that nobody repeats the command for nothing.
    """
    import typer

    if isinstance(error, Failure):
        return error
    if isinstance(error, CrisisError):
        place = {name: value for name in ("file", "line", "key") if (value := getattr(error, name, None))}
        data = {name: value for name, value in error.data.items() if name not in {"kind", "exit_code", "key", "message", "way_out"}}
        failure = Failure(type(error).__name__, error.exit_code, message=_message(error), way_out=error.way_out)
        failure.fields = data | place
        return failure
    if isinstance(error, typer.TyperException):
        return _usage(error)
    return Failure("Bug", 70, key="bug.after" if done else "bug", type=type(error).__name__)


def _message(error: CrisisError) -> str:
    """Return the whole sentence; FileError puts file and line before the message that it keeps."""
    whole = str(error)
    return whole.removesuffix(error.way_out).rstrip() if error.way_out else whole


def _usage(error: Exception) -> Failure:
    """Return typer's complaint in the catalogue's words. Its classes are private, so they are told apart by name."""
    context: Any = getattr(error, "ctx", None)
    command = context.command_path.removeprefix("crisis").strip() if context is not None else ""
    param: Any = getattr(error, "param", None)
    name = str(getattr(error, "option_name", "") or "")
    if param is not None:
        name = " / ".join(param.opts) if param.param_type_name == "option" else param.name.upper()
    text = str(getattr(error, "message", ""))
    near = ", ".join(getattr(error, "possibilities", None) or ())
    match type(error).__name__:
        case "MissingParameter":
            key = "usage.missing"
        case "NoSuchOption":
            key = "usage.no_option"
        case "BadOptionUsage":
            key = "usage.needs_value"
        case "BadParameter":
            key = "usage.bad_value"
        case _ if "No such command" in text:
            key, (name, *hints) = "usage.no_command", text.split("'")[1::2]
            near = ", ".join(hints)
        case _ if "unexpected extra" in text:
            key = "usage.surplus"
        case _:
            key = "usage.other"
    name = name.partition("=")[0]
    if key == "usage.no_command" and not _WORD.fullmatch(name):
        key = "usage.no_such"  # somebody forgot the command: what stands in its place may be a fact
    return Failure(BadInput.__name__, BadInput.exit_code, key=key, command=command, near=near, name=name)
