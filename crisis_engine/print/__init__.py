"""Paper: a document of a case as one page of HTML that prints by itself, and as PDF where WeasyPrint is there."""

from __future__ import annotations

from .page import page_of
from .pdf import pdf_of, refuse_pdf
from .sheet import Entry, Section, Sheet

__all__ = ["Entry", "Section", "Sheet", "page_of", "pdf_of", "refuse_pdf"]
