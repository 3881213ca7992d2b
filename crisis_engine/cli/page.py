"""The page that `--help` shows: usage, purpose, a working example, parameters; plain text, measured as terminals draw it."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from crisis_engine.words import say

WIDEST = 100
"""Columns beyond which lines are hard to read."""


def help_page(command: Any, path: str, lang: str, example: str) -> str:  # noqa: ANN401 (typer's own type is private)
    """Return the page of a command or group; `path` is what stands after `crisis`, `example` lines that work when pasted."""
    shared = [param for param in command.params if param.name.startswith("shared_")]
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option" and param not in shared]
    below = getattr(command, "commands", {})

    usage = " ".join(["crisis", path, *(_shape(param) for param in arguments), "[OPTIONS]" if not below else "COMMAND"]).replace("  ", " ")
    lines = [say("help.usage", lang) + " " + usage, "", *_wrapped(command.help, 0)]
    if example:
        lines += ["", say("help.example", lang), *(f"  {line}" for line in example.splitlines())]
    lines += _section("help.commands", [(name, one.help) for name, one in below.items()], lang)
    lines += _section("help.arguments", [(_shape(param), _about(param, lang)) for param in arguments], lang)
    lines += _section("help.options", [(_named(param), _about(param, lang)) for param in options], lang)
    lines += _section("help.shared", [*((_named(param), param.help) for param in shared), ("--help", say("option.help", lang))], lang)
    return "\n".join(lines) + "\n"


def width(text: str) -> int:
    """Return how many columns a terminal gives to a text; Chinese takes two a character."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _shape(param: Any) -> str:  # noqa: ANN401 (typer's own type is private)
    name = (param.metavar or param.name).upper()
    name = f"{name}..." if param.nargs != 1 else name
    return name if param.required else f"[{name}]"


def _named(param: Any) -> str:  # noqa: ANN401 (typer's own type is private)
    return ", ".join(param.opts) + ("" if param.is_flag else f" {param.metavar or param.name.upper()}")


def _about(param: Any, lang: str) -> str:  # noqa: ANN401 (typer's own type is private)
    notes = [say("help.required", lang)] * (param.required and param.param_type_name == "option")
    notes += [say("help.repeated", lang)] * bool(getattr(param, "multiple", False))
    return f"{param.help} [{', '.join(notes)}]" if notes else str(param.help)


def _section(head: str, rows: Sequence[tuple[str, str]], lang: str) -> list[str]:
    if not rows:
        return []
    indent = max(width(name) for name, _ in rows) + 4
    lines = ["", say(head, lang)]
    for name, text in rows:
        first, *rest = _wrapped(text, indent)
        lines += [f"  {name}".ljust(indent) + first.lstrip(), *rest]
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    """Break a text at blanks and between Chinese characters; `indent` columns stay free on the left."""
    room = max(20, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns) - indent)
    lines, line = [], ""
    for word in _words(text):
        if line and width(line) + width(word.rstrip()) > room:
            lines.append(" " * indent + line.rstrip())
            line = ""
        line += word
    return [*lines, " " * indent + line.rstrip()]


def _words(text: str) -> Iterator[str]:
    """Yield the pieces between which a line may end; punctuation never begins one."""
    piece = ""
    for place, char in enumerate(text):
        piece += char
        following = text[place + 1:place + 2]
        wide = width(char) > 1 and following and width(following) > 1 and following not in "，。；：、？！）」"
        if char == " " or wide:
            yield piece
            piece = ""
    if piece:
        yield piece
