"""What migrations of open cases refuse, in Chinese."""

from __future__ import annotations

from collections.abc import Mapping

MIGRATIONS: Mapping[str, str] = {
    "Only a migration that was applied can be reverted.": "只有已应用的换版才能撤回。",
    "Propose a new one.": "请另行提出。",
    "A migration takes two operators.": "换版须两名管理员。",
    "Let another operator apply it.": "请另一名管理员应用。",
    "A later migration stands above this one.": "此后已有另一次换版。",
    "Whoever proposed this migration is no operator any more.": "提出换版的人已不再是管理员。",
    "Propose it anew.": "请重新提出。",
    "There is no migration {number}.": "没有编号为 {number} 的换版。",
    "Check the id that proposing it gave.": "请核对提出时给出的编号。",
    "No case here follows {name}, or it is the same.": "没有在办个案按 {name} 办理，或新旧相同。",
    "See `crisis definitions diff`.": "见 `crisis definitions diff`。",
    "The old and the new version must name the same parts.": "新旧两版必须是同样的部分。",
    "Give two workflows, two policies, or WORKFLOW+POLICY twice.": "请给出两个流程、两个时限，或两次「流程+时限」。",
}
