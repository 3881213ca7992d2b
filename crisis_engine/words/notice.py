"""Words of a notice: case number, what is due, when, urgent or not, link; nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

NOTICES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "notice.urgent": ("紧急", "Urgent"),
    "notice.not_urgent": ("一般", "Not urgent"),
    "notice.at_once": ("立即", "at once"),
    "notice.subject": ("[{urgency}] 个案 {number}", "[{urgency}] case {number}"),
    "notice.body": ("个案：{number}\n待办：{what}\n时限：{when}（北京时间）\n等级：{urgency}\n链接：{link}",
                    "Case: {number}\nDue: {what}\nBy: {when} (China's time)\nUrgency: {urgency}\nLink: {link}"),
    "notice.link": ("crisis show {number}", "crisis show {number}"),
    "notice.what.danger": ("此刻危险", "danger now"),
    "notice.what.nobody_answers": ("各级无人负责", "nobody answers at any level"),
    "notice.what.sweep_failed": ("系统无法处理这个个案，请人工查看", "the system cannot move this case: somebody must look"),
    "notice.what.sweep_gap": ("时限检查曾经停顿", "the clockwork had stood still"),
    "notice.what.clock_stepped": ("服务器时钟跳变，请核对时间", "the machine's clock stepped: check the time"),
    "notice.what.case": ("个案", "the case"),
})
