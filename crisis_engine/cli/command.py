"""How a command is written: a function that takes the console first; the options of every command come by themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, get_type_hints

import typer

from crisis_engine.cli.console import Console, Given

Run = Callable[..., int | None]
"""A command's function; what it returns is the exit code, None is 0."""

SHARED: Mapping[str, Any] = {
    "shared_db": Annotated[str | None, typer.Option("--db", metavar="URL")],
    "shared_as": Annotated[str | None, typer.Option("--as", metavar="ACTOR")],
    "shared_json": Annotated[bool, typer.Option("--json")],
    "shared_lang": Annotated[str | None, typer.Option("--lang", metavar="zh|en")],
}
"""The options of every command, before or after its name, by the names under which typer hands them over."""


class Written(NamedTuple):
    """A command: its function for typer, and lines that work when pasted after `crisis init --sandbox --example xinyang`."""

    call: Run
    example: str


COMMANDS: dict[str, Written] = {}
"""Every command by its path, such as `roster import`, in the order in which the modules were read."""


def command(path: str, example: str) -> Callable[[Run], Run]:
    """Register a command. Its parameters after the console are typer's; their help stands in the catalogue under their names."""

    def register(run: Run) -> Run:
        def call(ctx: typer.Context, **given: Any) -> int | None:  # noqa: ANN401 (typer reads the types from the signature)
            shared = {name: given.pop(name) for name in SHARED}
            return run(take_shared(ctx, shared).console(), **given)

        hints = get_type_hints(run, include_extras=True)
        asked = inspect.signature(run).parameters.values()
        own = [one.replace(annotation=hints[one.name]) for one in asked if hints[one.name] is not Console]
        COMMANDS[path] = Written(with_shared(call, own), example)
        return run

    return register


def take_shared(ctx: typer.Context, shared: Mapping[str, Any]) -> Given:
    """Keep the shared options of one level of the command line and return all that is known by now."""
    given: Given = ctx.find_root().obj
    given.take(shared["shared_db"], shared["shared_as"], shared["shared_lang"], as_json=shared["shared_json"])
    return given


def with_shared(call: Run, own: Sequence[inspect.Parameter] = ()) -> Run:
    """Give a function the signature from which typer reads its parameters: context, its own, the shared ones."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("ctx", keyword, annotation=typer.Context),
        *(one.replace(kind=keyword) for one in own),
        *(inspect.Parameter(name, keyword, annotation=kind, default=False if name == "shared_json" else None)
          for name, kind in SHARED.items()),
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # the documented way to say it
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call
