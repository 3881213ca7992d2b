"""What a daemon refuses to begin with, and what a rehearsal refuses, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

CLOCKWORK: Mapping[str, str] = {
    "A daemon does not run inside a host's transaction.": "守护进程不能在宿主系统的事务里运行。",
    "Give it an engine of its own.": "请给它一个单独的引擎。",
    "This is no address to listen at.": "这不是可以监听的地址。",
    "Nobody can listen at that address.": "无法监听这个地址。",
    "Choose another with --listen, or none.": "请用 --listen 换一个地址，或写 none。",
    "Nobody holds {role} at {unit}.": "{unit} 没有人担任 {role}。",
    "See the roster for roles and units.": "岗位和单位请看名册。",
    "Leave the subject out if nobody knows who it is.": "不知道是谁时请留空。",
    "Name a person of the roster.": "请写名册里的人员。",
}
