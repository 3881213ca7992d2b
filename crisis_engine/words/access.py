"""Words of rights: lists and counts, emergency reading, the read log."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ACCESS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.cases": ("我可以看到的个案（不含学生和事实）。", "The cases that you may see; no child and no fact."),
    "help.counts": ("按单位统计在办个案；看不到的只给合并后的数。", "Open cases counted by unit; those out of your sight merged."),
    "help.reporter": ("谁上报的：仅限一个岗位，须写理由，留有记录。", "Who reported: for one role alone, with a reason, written down."),
    "help.glass": ("应急查阅。", "Emergency reading."),
    "help.glass break": ("紧急时限时查阅个案：须写理由，立即通报，事后由上一级复核。",
                         "Read a case in an emergency for some hours: with a reason, told at once, reviewed afterwards."),
    "help.audit": ("查阅记录和核查。", "Who read what, and proofs."),
    "help.audit reads": ("谁在何时为何查阅了这个个案。", "Who read this case, when and why."),
    "help.audit own": ("我自己的查阅记录。", "What you have read yourself."),
    "option.after": ("上一页最后一个编号。", "The last number of the page before."),
    "option.ended": ("也列出已终结的。", "List those that are over too."),
    "option.csv": ("输出 CSV，供电子表格使用。", "Print CSV for a spreadsheet."),
    "option.because": ("理由，不写姓名。", "Why, without names."),
    "option.hours": ("多少小时，默认 4。", "For how many hours; default 4."),
    "option.why": ("查阅理由，记入查阅记录。", "Why you read it, for the read log."),
    "cases.count": ("共 {count} 个。", "{count} cases."),
    "counts.few": ("少", "few"),
    "counts.seen": ("可查阅", "in your sight"),
    "counts.unseen": ("仅统计", "counted only"),
    "counts.merged": ("* 是合并的小数目，避免指向某个学生。", "* merges what is too small to be told without pointing at a child."),
    "head.count": ("数量", "count"),
    "head.when": ("时间", "when"),
    "head.why": ("理由", "why"),
    "head.secrecy": ("密级", "secrecy"),
    "glass.broken": ("个案 {number} 可查阅至 {until}。已通报负责人和上一级，事后复核。",
                     "You may read case {number} until {until}. Whoever answers and the next level were told; it will be reviewed."),
    "audit.count": ("共 {count} 条。", "{count} entries."),
    "read.case": ("个案", "case"),
    "read.history": ("记录", "history"),
    "read.act": ("办理后所见", "shown after acting"),
    "read.open": ("开启后所见", "shown after opening"),
    "read.reporter": ("上报人", "who reported"),
    "read.audit.reads": ("查阅记录", "the read log"),
    "event.glass_broken": ("应急查阅", "the glass was broken"),
    "notice.what.glass": ("有人应急查阅，请关注", "somebody broke the glass: please look"),
})
