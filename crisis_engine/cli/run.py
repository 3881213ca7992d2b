"""One run of the console: from the arguments to the exit code, whatever happens in between."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from crisis_engine.cli.console import Given, lang_of
from crisis_engine.cli.failure import Failure, failure_of

BUG, INTERRUPTED, OUTPUT_LOST = 70, 130, 74


def run(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run the console on `argv` (the process' own when None) and return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    env = os.environ if env is None else env
    lang, as_json = lang_of(args, env), "--json" in args
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a test's own stream cannot be reconfigured and need not be
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal of another alphabet must not end a command
    given = Given(lang=lang, env=env)
    try:
        code = _run(args, given)
        sys.stdout.flush()
    except BrokenPipeError:
        with suppress(OSError, ValueError):  # the reader had enough; Python must not complain about it at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        failure = Failure("interrupted", INTERRUPTED, key="interrupted.after" if given.done else "interrupted")
    except Exception as error:  # noqa: BLE001 (the last line of defence: a person gets a sentence, never a traceback)
        failure = failure_of(error, done=given.done)
        if failure.exit_code == BUG:
            _write_down(error, env)
    else:
        return code
    failure.print(sys.stderr, lang, as_json=as_json)
    if failure.exit_code == OUTPUT_LOST and failure.key == "usage.output":
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return failure.exit_code


def _run(args: list[str], given: Given) -> int:
    """Parse and run one command; typer's own `main` is passed by, since it ends the process and speaks English only."""
    import typer

    from crisis_engine.cli.app import build

    if any(not _is_text(arg) for arg in args):
        raise Failure("BadInput", 2, key="usage.utf8")
    command = build(given.lang)
    try:
        with command.make_context("crisis", list(args), obj=given) as context:
            code = command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort as stop:
        raise KeyboardInterrupt from stop
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EIO} and not isinstance(error, BrokenPipeError):
            raise Failure("StoreError", OUTPUT_LOST, key="usage.output") from error
        raise
    return code if isinstance(code, int) else 0


def _is_text(arg: str) -> bool:
    try:
        arg.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write_down(error: Exception, env: Mapping[str, str]) -> None:
    """Log a bug for the maintainers, when they asked for it: the place in the code and no value, for a value may be a fact."""
    if not env.get("CRISIS_DEBUG"):
        return
    import traceback

    import structlog

    from crisis_engine.cli.log import configure

    configure(env)
    places = [f"{os.path.basename(frame.filename)}:{frame.lineno}:{frame.name}" for frame in traceback.extract_tb(error.__traceback__)]  # noqa: PTH119 (as frames name files)
    structlog.get_logger("crisis_engine").error("console.bug", error=type(error).__name__, places=places)
