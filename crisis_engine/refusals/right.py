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
    "These offices check each other: name two people.": "这些岗位互相监督，请由两人分别担任。",
}
"""English as it stands where it is raised, with a name for each value, and the Chinese that says the same."""
