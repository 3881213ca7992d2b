"""The tree of commands, built for one language: typer parses, the catalogue speaks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from crisis_engine.cli.command import COMMANDS, Run, take_shared, with_shared
from crisis_engine.cli.page import help_page
from crisis_engine.words import say

PARTS = (
    "database", "person", "case", "attachment", "document", "access", "clockwork", "notice", "daemon", "definition", "rehearse",
    "keys", "forget", "audit", "compliance", "drawing", "author", "explain", "migrate", "transfer",
)
"""The modules that hold commands."""

ORDER = [
    "init", "roster", "report", "open", "act", "moves", "queue", "show", "explain", "history", "attachment", "print", "cases",
    "counts", "glass", "transfer", "graduate", "audit", "reporter", "compliance", "sweep", "deliver", "notices", "daemon",
    "definitions", "keys", "forget", "hold", "doctor", "demo",
]
"""The commands as the help lists them: along a case's life."""


class Command(TyperCommand):
    """A command whose help speaks the reader's language."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (typer's own types are private)
        """Write the page that `--help` shows."""
        formatter.write(_page(ctx))

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 (typer's own types are private)
        """Return `--help`, which typer makes when the command is first used."""
        return _eased(super().get_help_option(ctx))


class Group(TyperGroup):
    """A command with commands below it; without one of them it shows its help and ends as a usage error."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 (typer's own types are private)
        """Write the page that `--help` shows."""
        formatter.write(_page(ctx))

    def get_help_option(self, ctx: Any) -> Any:  # noqa: ANN401 (typer's own types are private)
        """Return `--help`, which typer makes when the command is first used."""
        return _eased(super().get_help_option(ctx))


def build(lang: str) -> Any:  # noqa: ANN401 (a click command, whose type typer keeps private)
    """Return the whole console; `lang` is the language of its help."""
    for part in PARTS:
        import_module(f"crisis_engine.cli.{part}")
    groups = {"": _group("crisis")}
    heads = {path.rpartition(" ")[0] for path in COMMANDS}
    for path, written in COMMANDS.items():
        above, _, name = path.rpartition(" ")
        if above not in groups:
            groups[above] = _group(above, COMMANDS[above].call if above in COMMANDS else None)
            groups[""].add_typer(groups[above])
        if path not in heads:
            groups[above].command(name, cls=Command)(written.call)
    root: Any = typer.main.get_command(groups[""])
    root.commands = {name: root.commands[name] for name in ORDER}
    _speak(root, "", lang)
    return root


def _group(name: str, own: Run | None = None) -> typer.Typer:
    """Return a group; `own` is what its bare name does where that is more than to show its help."""
    app = typer.Typer(name=name, cls=Group, add_completion=False, rich_markup_mode=None, invoke_without_command=True)

    def bare(ctx: typer.Context, **given: Any) -> int | None:  # noqa: ANN401 (typer reads the types from the signature)
        shared = {name: value for name, value in given.items() if name.startswith("shared_")}
        if ctx.invoked_subcommand is not None or own is None:
            take_shared(ctx, shared)
            return None
        code = own(ctx, **given)
        if code:
            raise typer.Exit(code)
        return None

    if own is not None:
        bare.__signature__ = inspect.signature(own)  # type: ignore[attr-defined]  # the documented way to say it
        bare.__annotations__ = dict(own.__annotations__)
        app.callback()(bare)
        return app

    def root(ctx: typer.Context, **shared: Any) -> None:  # noqa: ANN401 (typer reads the types from the signature)
        take_shared(ctx, shared)
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())
            raise typer.Exit(2)

    app.callback()(with_shared(root))
    return app


def _page(ctx: Any) -> str:  # noqa: ANN401 (typer's own types are private)
    path = ctx.command_path.removeprefix("crisis").strip()
    return help_page(ctx.command, path, ctx.find_root().obj.lang, COMMANDS[path].example if path in COMMANDS else "")


def _speak(command: Any, path: str, lang: str) -> None:  # noqa: ANN401 (typer's own types are private)
    """Put the catalogue's words on a command, its options and all below it."""
    command.help = say(f"help.{path or 'crisis'}", lang)
    for param in command.params:
        _eased(param).help = say(f"option.{param.name.removeprefix('shared_').strip('_').replace('_', '-')}", lang)
    for name, below in getattr(command, "commands", {}).items():
        _speak(below, f"{path} {name}".strip(), lang)


class _Plain:
    """Hands over what needs no conversion: typer would load pydantic (100 ms) to find that a text is a text."""

    def __init__(self, own: Callable[[], Any]) -> None:
        self._own = own

    def __call__(self) -> _Plain:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401 (typer's own types are private)
        """Return a value of the parameter's type, by typer's own means where it is not one yet."""
        wanted = param.type_descriptor.annotation
        if param.multiple or param.nargs == -1:
            if not value or wanted == list[str]:
                return list(value or ())
        elif not isinstance(value, str) or wanted is str:
            return value
        return self._own().coerce(value, param=param, ctx=ctx)


def _eased(param: Any) -> Any:  # noqa: ANN401 (typer's own types are private)
    """Return the parameter, which from now on converts only what needs it."""
    if not isinstance(param.get_runtime_param, _Plain):
        param.get_runtime_param = _Plain(param.get_runtime_param)
    return param
