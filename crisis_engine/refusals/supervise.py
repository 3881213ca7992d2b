"""What supervision, group events and candidates refuse, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

SUPERVISION: Mapping[str, str] = {
    "{unit} is no school.": "{unit} 不是学校。",
    "Name the school; it reports for all its classes.": "请写学校：零报告由学校统一作出。",
    "{month} is no month.": "{month} 不是月份。",
    "Write it as 2026-03.": "请写成 2026-03 的样子。",
    "The month {month} is not over.": "{month} 尚未结束。",
    "Say so when it is over; a word can be reported at any time.": "请在该月结束后再报；有情况随时可以上报。",
    "The month {month} is too long ago.": "{month} 已过去太久。",
    "Say it for the months of the last year.": "只能对最近一年的月份作零报告。",
    "Case {number} is no group event.": "个案 {number} 不是群体事件。",
    "Report the child; link the cases where it helps.": "请直接上报该学生；需要时再关联个案。",
    "The group event {number} is over.": "群体事件 {number} 已结束。",
    "Report the child, or open a new event.": "请直接上报该学生，或启动新的群体事件。",
    "one of the members has {most} open cases or more, and somebody else has fewer": "成员中有人已有 {most} 个以上在办个案，而另有人更少",
}
"""Each sentence as code says it, with names for what changes, and its Chinese."""
