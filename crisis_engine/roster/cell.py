"""How one cell of a roster file is read: text, ids, kinds, roles, days and hours, in English and in Chinese."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from crisis_engine.core.calendar import CHINA, parse_hours
from crisis_engine.core.model import PARTNER_SORTS, UNIT_KINDS
from crisis_engine.core.network import ROLE_LEVEL, ROLE_ZH
from crisis_engine.roster.fault import did_you_mean

LONGEST_CELL = 1000
"""No name, id or address is longer (in characters); a longer cell is a quote that was never closed, or an attack."""

KIND_WORDS: dict[str, str] = {kind: kind for kind in UNIT_KINDS} | {
    "市": "city", "地级市": "city", "城市": "city",
    "县区": "county", "县(区)": "county", "区县": "county", "县": "county", "区": "county",
    "学校": "school", "校": "school",
    "年级": "grade",
    "班级": "class", "班": "class",
    "合作单位": "partner", "协作单位": "partner", "伙伴单位": "partner", "伙伴": "partner",
}  # fmt: skip
"""What may stand in the column of kinds."""

ROLE_WORDS: dict[str, str] = {role: role for role in ROLE_LEVEL} | {zh: role for role, zh in ROLE_ZH.items()} | {
    "班级心理委员": "peer", "朋辈": "peer", "朋辈心理委员": "peer",
    "任课教师": "subject_teacher", "任课老师": "subject_teacher", "科任老师": "subject_teacher",
    "年级主任": "grade_head", "年级长": "grade_head",
    "心理老师": "counselor", "心理健康教师": "counselor", "心理健康教育教师": "counselor", "心理辅导教师": "counselor",
    "心理副校长": "vice_principal", "心理健康副校长": "vice_principal", "分管副校长": "vice_principal",
    "法制副校长": "law_vice_principal",
    "领导小组": "leading_group", "学校领导小组": "leading_group", "危机干预领导小组": "leading_group",
    "值班老师": "school_duty", "学校值班": "school_duty",
    "县级负责人": "county_officer", "县(区)负责人": "county_officer",
    "县级专家": "county_expert", "县(区)专家": "county_expert",
    "县区值班": "county_duty", "县级值班": "county_duty",
    "市指导中心负责人": "city_officer", "市危机干预指导中心": "city_officer", "市级负责人": "city_officer",
    "市专家": "city_expert", "市值班": "city_duty", "市级值班": "city_duty", "市级领导小组": "city_leading_group",
    "医院联络员": "hospital_liaison", "辅导中心": "centre", "热线": "hotline", "公安联络员": "police_liaison",
}  # fmt: skip
"""What may stand in the column of roles."""

SORT_WORDS: dict[str, str] = {sort: sort for sort in PARTNER_SORTS} | {
    "医院": "hospital", "定点医院": "hospital", "诊治机构": "hospital", "中心": "centre", "辅导中心": "centre", "辅导站": "centre",
    "公安": "police", "派出所": "police", "卫健": "health", "卫健委": "health", "民政": "civil_affairs", "妇联": "womens_federation",
    "共青团": "youth_league", "团委": "youth_league", "网信": "cyberspace", "网信办": "cyberspace", "政法委": "political_legal",
}  # fmt: skip
"""What may stand in the column of sorts."""

_YES = frozenset({"yes", "y", "true", "1", "是", "有"})
_NO = frozenset({"no", "n", "false", "0", "否", "无"})
RESERVED = frozenset({"engine", "operator", "reporter"})
"""What the log calls the engine, whoever imports without a name, and whoever spoke: nobody else may have these ids."""

_ID = re.compile(r"\w\S*")
_MOMENT = re.compile(
    r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?"
    r"(?:[T ]\s*([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?\s*(?:(Z)|([+-])([0-9]{2}):?([0-9]{2}))?)?"
)
_TIME_OF_DAY = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_EXAMPLE = 'Write such as "2026-03-02" or "2026-03-02 08:00"; without a zone it is China\'s time.'


class BadCell(ValueError):
    """A cell that cannot be read: what is wrong, and the way out."""

    def __init__(self, message: str, way_out: str = "") -> None:
        """Keep both sentences apart."""
        self.message, self.way_out = message, way_out
        super().__init__(message)


def plain(text: str) -> str:
    """Return the text with full-width signs, as a Chinese keyboard makes them, as plain ones, in lower case."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def read_text(text: str) -> str:
    """Return the text as it stands: a name or telephone may begin with `+` or `=`, it is text and never a formula."""
    return text


@lru_cache(maxsize=4096)
def read_id(text: str) -> str:
    """Return an id: a letter or digit, then anything without spaces; so it is neither a formula nor an option."""
    if not _ID.fullmatch(text) or text[0] == "_":
        raise BadCell(f'"{text}" is no id.', "An id begins with a letter or digit and has no spaces.")
    if text in RESERVED:
        raise BadCell(f'"{text}" stands in the log for something else.', "Give this person or unit another id.")
    return text


def read_kind(text: str) -> str:
    """Return one of UNIT_KINDS."""
    return _read_word(text, KIND_WORDS, "kind of unit")


def read_sort(text: str) -> str:
    """Return one of PARTNER_SORTS."""
    return _read_word(text, SORT_WORDS, "sort of partner")


def read_role(text: str) -> str:
    """Return one of the roles of the network."""
    return _read_word(text, ROLE_WORDS, "role")


@lru_cache(maxsize=4096)
def read_moment(text: str) -> datetime:
    """Return an aware datetime in UTC+8; without a zone it is China's time, and a bare date is local midnight."""
    match = _MOMENT.fullmatch(unicodedata.normalize("NFKC", text))
    if match is None:
        raise BadCell(f'"{text}" is no date.', _EXAMPLE)
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    fraction, utc, sign, off_hours, off_minutes = match.groups()[6:]
    zone = CHINA
    try:
        if utc or sign:
            offset = timedelta(hours=int(off_hours or 0), minutes=int(off_minutes or 0))
            zone = timezone(-offset if sign == "-" else offset)
        moment = datetime(year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")), zone).astimezone(CHINA)
    except (ValueError, OverflowError) as error:
        raise BadCell(f'"{text}" is no date of the calendar.', _EXAMPLE) from error
    if moment.year < 1900:  # noqa: PLR2004 (nobody on a roster is older; it is a slip of the hand)
        raise BadCell(f'"{text}" lies before 1900.', _EXAMPLE)
    return moment


@lru_cache(maxsize=1024)
def read_hours(text: str) -> str:
    """Return the hours as written, after calendar.parse_hours has understood them."""
    try:
        parse_hours(text)
    except ValueError as error:
        raise BadCell(str(error)) from error
    return text


def read_time_of_day(text: str) -> str:
    """Return "HH:MM"."""
    match = _TIME_OF_DAY.fullmatch(plain(text))
    if match is None:
        raise BadCell(f'"{text}" is no time of day.', 'Write such as "17:30", or nothing where pupils board.')
    return f"{int(match[1]):02}:{match[2]}"


def read_rank(text: str) -> int:
    """Return a rank from 1 on."""
    number = plain(text)
    if not (number.isascii() and number.isdigit() and len(number) <= 4 and int(number) >= 1):  # noqa: PLR2004 (9999 deputies are plenty)
        raise BadCell(f'"{text}" is no rank.', "Write 1 for who answers first, 2 for the deputy, and so on.")
    return int(number)


def read_yes(text: str) -> bool:
    """Return whether the cell says yes."""
    word = plain(text)
    if word not in _YES | _NO:
        raise BadCell(f'"{text}" is neither yes nor no.', "Write yes or no (是 or 否).")
    return word in _YES


def refuse_control(text: str) -> None:
    """Refuse what no cell may hold: line breaks, control signs, and texts beyond 1,000 characters."""
    if len(text) > LONGEST_CELL:
        raise BadCell(f"the cell has {len(text)} characters, more than {LONGEST_CELL}.", "Shorten it, or close an open quote.")
    if not text.isprintable() and any(unicodedata.category(sign) in {"Cc", "Zl", "Zp", "Cs"} for sign in text):
        raise BadCell("the cell holds a line break or a control character.", "Remove it, or close an open quote.")


def _read_word(text: str, words: dict[str, str], noun: str) -> str:
    word = words.get(text) or words.get(plain(text))
    if word is None:
        every = ", ".join(dict.fromkeys(words.values()))
        raise BadCell(f'"{text}" is no {noun}.', did_you_mean(plain(text), words, f"Write one of {every}."))
    return word
