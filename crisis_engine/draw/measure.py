"""How wide a text is when it is drawn, without a font: reckoned wide, so that what is laid out by it never overlaps."""

from __future__ import annotations

import unicodedata

FONT = "'Noto Sans CJK SC','Source Han Sans SC','Microsoft YaHei','PingFang SC','DejaVu Sans',sans-serif"
_WIDE, _CAPITAL, _THIN, _OTHER = 1.0, 0.80, 0.36, 0.65   # of the font's size; DejaVu Sans, the widest that is common, stays below


def width_of(text: str, size: float) -> float:
    """Return the width of a line at a font size."""
    return size * sum(_share(char) for char in text)


def _share(char: str) -> float:
    if unicodedata.east_asian_width(char) in "WFA":
        return _WIDE
    if char in " ilj.,:;|!'()[]":
        return _THIN
    return _CAPITAL if char.isupper() or char in "mwMW%+=>" else _OTHER


def folded(text: str, size: float, most: float) -> list[str]:
    """Return the text in lines of at most that width, broken at blanks and between Chinese characters; nothing is left out."""
    lines: list[str] = []
    line = ""
    for word in _words(text):
        if line and width_of((line + word).rstrip(), size) > most:
            lines.append(line.rstrip())
            line = word.lstrip()
        else:
            line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _words(text: str) -> list[str]:
    words: list[str] = []
    for char in text:
        joins = not _is_wide(char) and words and not words[-1].endswith(" ") and not _is_wide(words[-1])
        if joins or (words and char == " "):
            words[-1] += char
        else:
            words.append(char)
    return words


def _is_wide(word: str) -> bool:
    return unicodedata.east_asian_width(word[-1]) in "WF"
