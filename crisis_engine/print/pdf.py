"""A page as PDF by WeasyPrint, which is an extra of its own and is loaded only here, when somebody asks for it."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

from crisis_engine.core.errors import BadInput

_TALKERS = ("weasyprint", "fontTools")
"""The loggers of what draws: they name each character that a font lacks, which are those of a child's name."""

_ALONE = Lock()   # their logging is one for the whole process


def pdf_of(page: str) -> bytes:
    """Return the PDF of a page that `page_of` made.

    Nothing is fetched while it is drawn, for a page needs nothing from elsewhere, and nothing of it is logged. BadInput where
    WeasyPrint, or what it stands on (Pango), is not installed, and where no font has the page's characters.
    """
    weasyprint: Any = _weasyprint()
    nothing = weasyprint.urls.URLFetcher(allowed_protocols=(), allow_redirects=False)
    with _unlogged() as listener:
        data = bytes(weasyprint.HTML(string=page, url_fetcher=nothing).write_pdf(pdf_tags=True, pdf_identifier=b"crisis-engine"))
    if listener.lacking:
        raise BadInput("No font of this machine has all characters of this page: the PDF would have holes.",
                       way_out="Install a font with Chinese, such as Noto Serif CJK, or write an .html and print it with a browser.")
    return data


def refuse_pdf() -> None:
    """Refuse now what `pdf_of` would refuse for lack of WeasyPrint. Raises BadInput."""
    _weasyprint()


def _weasyprint() -> ModuleType:
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):   # it speaks of libraries that a later version of it will need
            warnings.simplefilter("ignore")
            return import_module("weasyprint")   # 200 ms and 40 MB that only a PDF needs
    except (ImportError, OSError):   # the latter where the library is there and Pango is not
        raise BadInput("WeasyPrint is not installed, so no PDF can be made.",
                       way_out="Install crisis-engine[print] and Pango, or write an .html and print it with a browser.") from None


class _Listener(logging.Handler):
    """Hears what would be logged, keeps whether a character was lacking, and passes nothing on."""

    lacking = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep whether this says that a character has no glyph (`.notdef`)."""
        self.lacking = self.lacking or ".notdef" in str(record.msg)


@contextmanager
def _unlogged() -> Iterator[_Listener]:
    """Let nothing reach a log of the host while a page is drawn; afterwards all is as the host set it up."""
    listener = _Listener()
    loggers = [logging.getLogger(name) for name in _TALKERS]
    with _ALONE:
        before = [(logger, logger.handlers, logger.propagate, logger.level) for logger in loggers]
        for logger in loggers:
            logger.handlers, logger.propagate = [listener], False
            logger.setLevel(logging.WARNING)
        try:
            yield listener
        finally:
            for logger, handlers, propagate, level in before:
                logger.handlers, logger.propagate = handlers, propagate
                logger.setLevel(level)
