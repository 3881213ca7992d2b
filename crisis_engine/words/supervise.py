"""What supervision, group events and candidates say on the console."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SUPERVISE: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.supervise": ("按时限文件里的督导规则查看各单位，查到的即下达督导；每件事只下达一次。",
                       "Look at every unit by the rules of supervision and open what they find, each once."),
    "help.zero-report": ("学校对已结束的月份作零报告：该月无情况可报。",
                         "Say for a school that a month that is over had nothing to report."),
    "help.incident": ("群体事件：一张表，涉及的每名学生各得回执。", "Group events: one form, a receipt for each child."),
    "help.incident open": ("启动群体事件，并为每名学生上报；要么全部成功，要么都不做。",
                           "Open a group event and take a word about each child, all of it or nothing."),
    "help.incident add": ("向进行中的群体事件补充学生。", "Take a word about further children of a group event that runs."),
    "help.candidates": ("谁可被指派办理这一事项，各人手上有多少个案；须回避或不在岗的人不列出。",
                        "Who can be named in a move, and the open cases of each; who is concerned or away is left out."),
    "option.month": ("月份，如 2026-02。", "The month, as 2026-02."),
    "option.event-kind": ("事件类别，如 attempt、bullying。", "The kind of event, as attempt or bullying."),
    "option.child": ("学生编号，可重复。", "A pupil's id; may be repeated."),
    "option.children": ("学生名单 CSV：subject、facts、cues、danger_now、with_child、about_staff。",
                        "A CSV file of children: subject, facts, cues, danger_now, with_child, about_staff."),
    "supervise.done": ("查看 {looked} 处，符合规则 {held} 处，下达督导 {opened} 件。",
                       "Looked {looked} times, the rule held {held} times, {opened} opened."),
    "supervise.failed": ("{failed} 处未能处理，下次再查。", "{failed} could not be decided; they are looked at again."),
    "zero_report.done": ("已收到 {unit} 对 {month} 的零报告。", "The zero report of {unit} for {month} is received."),
    "incident.done": ("群体事件 {number} 已记录。每名学生的回执：", "The group event {number} is recorded. A receipt for each child:"),
    "incident.receipt": ("  {receipt}", "  {receipt}"),
    "candidates.none": ("没有可指派的人。", "Nobody can be named."),
    "head.cases": ("在办", "open cases"),
})
