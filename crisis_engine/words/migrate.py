"""What `crisis definitions migrate` says."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MIGRATE: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.definitions migrate": (
        "把在办个案换到新版流程或时限：默认只演练；一名管理员提出，另一名应用；可撤回。",
        "Move open cases to a new version: rehearsed by default; one operator proposes, another applies; it can be undone.",
    ),
    "option.propose": ("提出换版，供另一名管理员应用。", "Propose it, for another operator to apply."),
    "option.apply": ("应用他人提出的换版（编号）。", "Apply what another operator proposed, by its id."),
    "option.undo": ("提出撤回已应用的换版（编号）。", "Propose to undo a migration that was applied, by its id."),
    "migrate.one": ("请给出旧版和新版，或 --apply、--revert 之一。", "Give the old and the new version, or one of --apply and --revert."),
    "migrate.proposed": ("已提出，编号 {id}。须由另一名管理员运行 crisis definitions migrate --apply {id}。",
                         "Proposed: {id}. Another operator runs crisis definitions migrate --apply {id}."),
    "migrate.would": (
        "演练 {old} -> {new}：{cases} 个在办个案可换，{clocks} 个时限重算，其中 {nearer} 个提前；未作任何更改。",
        "Rehearsed {old} -> {new}: {cases} open cases can move, {clocks} clocks get a new plan, {nearer} come nearer. Nothing was changed.",
    ),
    "migrate.done": ("已换版 {old} -> {new}：{cases} 个在办个案，{clocks} 个时限重算，其中 {nearer} 个提前。",
                     "Moved {old} -> {new}: {cases} open cases, {clocks} clocks got a new plan, {nearer} of them came nearer."),
    "migrate.looser": ("{count} 处要求低于旧版（{keys}），见 crisis definitions diff {old} {new}。",
                       "{count} numbers ask less than before ({keys}): see crisis definitions diff {old} {new}."),
    "migrate.stuck": ("{count} 个个案不能换，仍按旧版办理：", "{count} cases cannot move and stay with the old version:"),
    "migrate.more": ("另有 {count} 个，见 --json。", "and {count} more, see --json."),
    "migrate.next": ("接下来：加 --propose 提出。", "Next: the same with --propose."),
    "migrate.why.stage": ("新版没有阶段 {name}", "the new version has no stage {name}"),
    "migrate.why.clock": ("时限 {name} 在走，新版没有", "the clock {name} runs and the new version has none"),
    "migrate.why.budget": ("时限 {name} 在走，新版没有期限", "the clock {name} runs and the new version has no budget for it"),
    "migrate.why.kind": ("时限 {name} 的种类变了", "the clock {name} is of another kind in the new version"),
    "migrate.why.proposal": ("事项 {name} 等待第二人确认", "the move {name} waits for a second person"),
    "migrate.why.rules": ("新版 {name} 的结案签字规则不同", "{name} has other rules of who signs an ending"),
})
