"""Refusals in the reader's language: the engine's finished English sentence in, the Chinese one out.

Exceptions and logs speak English, and so does JSON, on which programs rely. A console gives a finished sentence to `in_chinese`, which
finds the template that it was made from (as gettext finds a msgid) and fills the Chinese one. Nothing at the place of the raise knows of
it; tests/test_refusals.py reads every such place and fails where a counterpart is missing. What the loaders of definitions and roster
files say is not here yet: operators read it beside the English file that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from itertools import islice

from crisis_engine.core.calendar import CHINA
from crisis_engine.refusals.attachment import ATTACHMENTS
from crisis_engine.refusals.clockwork import CLOCKWORK
from crisis_engine.refusals.database import DATABASE
from crisis_engine.refusals.migration import MIGRATIONS
from crisis_engine.refusals.notice import NOTICES
from crisis_engine.refusals.proof import PROOF
from crisis_engine.refusals.right import RIGHTS
from crisis_engine.refusals.rule import RULES
from crisis_engine.refusals.secret import SECRETS
from crisis_engine.refusals.track import TRACKS
from crisis_engine.refusals.transfer import TRANSFERS
from crisis_engine.words import knows, say

__all__ = ["TABLE", "in_chinese"]

TABLE: Mapping[str, str] = {
    **RULES, **DATABASE, **RIGHTS, **SECRETS, **PROOF, **NOTICES, **MIGRATIONS, **CLOCKWORK, **TRACKS, **ATTACHMENTS, **TRANSFERS,
}
"""Each sentence of the engine with its values named, and its Chinese."""

_HOLE = re.compile(r"\{(\w+)\}")
_JOINT = re.compile(r"; |(?<=[.?]) ")
"""What joins one sentence or reason to the next; some sentences hold one."""


def in_chinese(text: str) -> str:
    """Return the Chinese for a sentence of the engine, or for several in a row; a sentence that the table does not know stays."""
    if (whole := _sentence(text)) is not None:
        return whole
    chinese, rest = "", text
    while rest:
        known, joint, rest = _first(rest)
        chinese += known + ("；" if joint == "; " else "" if known.endswith(("。", "？")) else joint)
    return chinese


def _first(text: str) -> tuple[str, str, str]:
    """Return the Chinese for the first sentence, what joins it to the rest, and the rest."""
    joints = list(islice(_JOINT.finditer(text), 2))
    for joint in joints:  # at most one stands inside a sentence
        if (known := _sentence(text[:joint.start()])) is not None:
            return known, joint[0], text[joint.end():]
    if len(joints) <= 1 and (known := _sentence(text)) is not None:
        return known, "", ""
    return (text[:joints[0].start()], joints[0][0], text[joints[0].end():]) if joints else (text, "", "")


def _sentence(text: str) -> str | None:
    for pattern, chinese in _patterns():
        found = pattern.fullmatch(text)
        if found is not None:
            said = chinese.format(**{name: _value(name, value) for name, value in found.groupdict().items()})
            return re.sub(r" ?(「[^」]*」) ?", r"\1", said)  # a bracket brings its own space
    return None


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return the table as patterns: what begins with its own words first, then what holds other sentences, then whoever says most."""
    found = []
    for english, chinese in TABLE.items():
        words, names = _HOLE.split(english)[::2], _HOLE.findall(english)
        nested = any(_kind(name) in _NESTED for name in names)
        found.append((words[0] != "", nested, sum(map(len, words)), _pattern(words, names), chinese))
    return tuple((pattern, chinese) for *_, pattern, chinese in sorted(found, key=lambda one: one[:3], reverse=True))


def _pattern(words: list[str], names: list[str]) -> re.Pattern[str]:
    """Return a pattern whose time is linear in the text: a value ends where the next words first stand, and is not tried again."""
    parts = [f"(?P<{name}>{_shape(name)}){re.escape(after)}" for name, after in zip(names, words[1:], strict=True)]
    return re.compile(re.escape(words[0]) + "".join(f"(?>{part})" for part in parts[:-1]) + "".join(parts[-1:]), re.DOTALL)


# ---- what stands in a placeholder: its name, or the part after its last "_", says what it is ---------------------------------------


def _kind(name: str) -> str:
    return name.rpartition("_")[2]


def _shape(name: str) -> str:
    """Return the pattern of a value; lists and times, which end a reason, never reach into the next one."""
    return "[^;]+?" if _kind(name) in {"names", "roles", "at"} else ".+?"


def _value(name: str, value: str) -> str:
    if _kind(name) in _KINDS:
        return _KINDS[_kind(name)](value)
    quoted = re.fullmatch(r"""(['"])(.*)\1""", value, re.DOTALL)
    return f"「{quoted[2]}」" if quoted else value


def _word(family: str, name: str) -> str:
    return say(f"{family}.{name}", "zh") if knows(f"{family}.{name}") else name


def _roles(value: str) -> str:
    return "、".join(_word("role", role) for role in value.split(", ") if role)


def _names(value: str) -> str:
    return "无" if value in {"none", "nothing"} else "、".join(value.split(", "))


def _span(value: str) -> str:
    found = re.fullmatch("([0-9]+)([a-z]+)", value)
    return f"{found[1]} {_UNITS[found[2]]}" if found and found[2] in _UNITS else value


def _instant(value: str) -> str:
    try:
        return datetime.fromisoformat(value).astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return value


_UNITS = {"m": "分钟", "h": "小时", "d": "天", "wd": "个工作日", "sd": "个上课日"}
_ANSWERS = {"confirm": "确认", "decline": "否决", "withdraw": "撤回"}
_TYPES = {
    "text": "文字", "bool": "是或否", "choice": "单选", "choices": "多选", "cues": "所见情形", "items": "清单事项", "time": "时间",
    "date": "日期", "risk": "风险等级", "tier": "层级", "persons": "人员编号，可多个", "person": "人员编号", "subject": "学生编号",
    "clock": "时限名", "move": "办理事项", "unit": "单位编号", "case": "个案编号", "attachment": "附件",
    "list": "列表", "str": "文字", "bytes": "内容", "int": "数字", "float": "数字", "dict": "表",
}
_NESTED = {"rule", "reasons", "says"}
_KINDS: Mapping[str, Callable[[str], str]] = {
    **dict.fromkeys(_NESTED, in_chinese), "roles": _roles, "names": _names, "span": _span, "at": _instant,
    "risk": lambda value: _word("risk", value), "tier": lambda value: _word("tier", value),
    "type": lambda value: _TYPES.get(value, value), "answer": lambda value: _ANSWERS.get(value, value),
}
