"""A page as PDF by WeasyPrint, which is an extra of its own and is loaded only here, when somebody asks for it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

from crisis_engine.core.errors import BadInput


def pdf_of(page: str) -> bytes:
    """Return the PDF of a page that `page_of` made; the same bytes for the same page and fonts.

    Nothing is fetched while it is drawn: a page needs nothing from elsewhere. BadInput where WeasyPrint, or what it stands on
    (Pango), is not installed.
    """
    html: Any = _weasyprint().HTML(string=page, url_fetcher=_refuse)
    return bytes(html.write_pdf(pdf_tags=True, pdf_identifier=b"crisis-engine"))


def refuse_pdf() -> None:
    """Refuse now what `pdf_of` would refuse. Raises BadInput."""
    _weasyprint()


def _weasyprint() -> ModuleType:
    try:
        return import_module("weasyprint")   # 200 ms and 40 MB that only a PDF needs
    except (ImportError, OSError):   # the latter where the library is there and Pango is not
        raise BadInput("WeasyPrint is not installed, so no PDF can be made.",
                       way_out="Install crisis-engine[print] and Pango, or write an .html and print it with a browser.") from None


def _refuse(url: str, *_more: Any, **_named: Any) -> NoReturn:  # noqa: ANN401 - as WeasyPrint calls it
    del url
    msg = "nothing is fetched"
    raise ValueError(msg)
