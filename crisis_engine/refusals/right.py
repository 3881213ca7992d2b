"""Refusals in Chinese: rights, reading logs and emergency reading."""

from __future__ import annotations

from collections.abc import Mapping

RIGHTS: Mapping[str, str] = {
    "{by} may not do this ({action}): {rule}.": "{by} 不能这样做（{action}）：{rule}。",
    "one person holds two offices that must be apart": "一人兼任了必须分开的两个岗位",
    "no running duty of this person allows it": "此人没有在任岗位可以这样做",
    "the emergency reading is over": "应急查阅已经结束",
    "it needs a reason": "必须写明理由",
    "{person} would be {one} and {other} at once.": "{person} 会同时兼任 {one} 和 {other}。",
    "Nobody gives themselves a duty.": "任何人不能给自己派岗位。",
    "Let somebody else import it.": "请由别人导入。",
    "These offices check each other: name two people.": "这些岗位互相监督，请由两人分别担任。",
    "The glass hides nothing more from this person.": "应急查阅不会让此人看到更多内容。",
    "Read the case as it is.": "请直接查阅个案。",
    "An emergency reading needs a reason.": "应急查阅必须写明理由。",
    "Say in a sentence why you must read this case now.": "请用一句话写明为何现在必须查阅。",
    "An emergency reading lasts at most {span}.": "应急查阅最长 {span}。",
    "Give fewer hours; break the glass again if it must be.": "请写少一些小时；确有必要时再次应急查阅。",
    "A reason has at most {most} characters.": "理由最多 {most} 个字符。",
    "Say it shorter.": "请写短一些。",
    "A page has 1 to {most} lines.": "一页有 1 到 {most} 行。",
    "Give such a limit.": "请写这样的行数。",
    "Give such a limit, and the last number as `after` for the next page.": "请写这样的行数；下一页用 `after` 写上一页最后的编号。",
}
"""English as it stands where it is raised, with a name for each value, and the Chinese that says the same."""
