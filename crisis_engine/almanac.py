"""The published calendar of China's working days, read from the chinesecalendar package; no other file knows that package."""

from __future__ import annotations

from datetime import date

from crisis_engine.core.calendar import Calendar

_SATURDAY = 5


def published_calendar() -> Calendar:
    """Return the working days that the State Council's yearly notices fix, as far as the installed package knows them.

    `published_until` is the 31st of December of the last year in the package, which is how far the package itself answers;
    beyond that nothing is guessed. School vacations are not in it: they come from the roster (`dataclasses.replace`).
    """
    from chinese_calendar import holidays, workdays  # noqa: PLC0415 (only a command that counts days pays for it)

    return Calendar(
        off=frozenset(day for day in holidays if day.weekday() < _SATURDAY),  # the package's table names weekends too
        work=frozenset(workdays),
        published_until=date(max(holidays).year, 12, 31),
    )
