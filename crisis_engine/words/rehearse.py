"""What `crisis definitions simulate` and `backtest` say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REHEARSE: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.definitions simulate": (
        "在虚拟时钟上演练：没有人处理、按脚本处理，或让一座示例城市过一个学年；不用数据库。",
        "Rehearse on a virtual clock, without a database: nobody acts, people act as a file says, or a whole city lives a school year."),
    "option.policy": ("时限文件的名称或路径。", "Name or path of a policy."),
    "option.script": ("脚本文件（TOML）：谁在何时做什么。", "Script (TOML): who does what when."),
    "option.people": ("人的反应快慢（TOML），默认用随包提供的。", "How soon people act (TOML); default the shipped one."),
    "option.cases": ("多少个案：演练一个学年。", "How many cases: rehearse a school year."),
    "option.schools": ("示例城市有多少所学校。", "How many schools the example city has."),
    "option.seed": ("随机种子：相同则结果相同。", "Seed: the same gives the same."),
    "option.jobs": ("用几个进程。", "How many processes."),
    "option.days": ("演练多少天。", "How many days to rehearse."),
    "option.chart": ("把图写入这个 SVG 文件。", "Write a chart into this SVG file."),
    "simulate.nobody": ("没有人处理：{policy}，{days} 天。", "Nobody acts: {policy}, {days} days."),
    "simulate.script": ("按脚本：{file}，{policy}。", "By the script {file}, {policy}."),
    "simulate.told": ("通知 {people}：{what}", "told {people}: {what}"),
    "simulate.refused": ("被拒绝 {by} {move}：{why}", "refused {by} {move}: {why}"),
    "simulate.due": ("（{when} 到期）", "(due {when})"),
    "simulate.missed": ("{deadlines} 个时限，逾期 {missed} 个（{share}）。", "{deadlines} deadlines, {missed} missed ({share})."),
    "simulate.busiest": ("最忙的人（编号、通知与办理次数、最忙一天）：", "The busiest (id, notices and moves, most on one day):"),
    "simulate.busy": ("{person}  {load}  {most}（{day}）", "{person}  {load}  {most} ({day})"),
    "simulate.ended": ("结局：{outcomes}", "Outcomes: {outcomes}"),
    "simulate.city": ("因无人处理而到市级的个案 {cases} 个，警报 {alarms} 次。",
                      "{cases} cases reached the city because nobody acted in time; {alarms} alarms sounded."),
    "simulate.kept": ("没有一个被遗忘：{decisions} 次决定之后，每个未结个案都有时限在走、有人负责。",
                      "None forgotten: after each of {decisions} decisions every open case had a running clock and somebody who answers."),
    "simulate.broken": ("承诺被打破 {count} 次：{kinds}", "Promises broken {count} times: {kinds}"),
    "simulate.digest": ("摘要 {digest}", "digest {digest}"),
    "simulate.year": ("{schools} 所学校，{pupils} 名学生，{cases} 个个案，种子 {seed}。",
                      "{schools} schools, {pupils} pupils, {cases} cases, seed {seed}."),
    "simulate.chart": ("图已写入 {file}。", "The chart is in {file}."),
    "simulate.chart_title": ("演练：{policy}", "Rehearsal: {policy}"),
    "simulate.chart_days": ("每天的通知", "notices by day"),
    "simulate.chart_missed": ("各时限的逾期比例 / 时限数", "share of missed deadlines / deadlines, by clock"),
    "simulate.invented": ("人的反应快慢是虚构的（标记 D）：比较不同时限可以，预测不行。",
                          "How soon people act is invented (mark D): good for comparing policies, not for predicting."),
    "head.deadlines": ("时限", "deadlines"),
    "head.missed": ("逾期", "missed"),
    "head.share": ("比例", "share"),
    "usage.simulate_two.message": ("--script 与 --cases 只能选一个。", "Give --script or --cases, not both."),
    "usage.simulate_two.way_out": ("去掉其中一个。", "Leave one of them out."),
    "usage.simulate_bounds.message": ("{name} 要在 {least} 与 {most} 之间。", "{name} must lie between {least} and {most}."),
    "usage.simulate_bounds.way_out": ("请改用这个范围内的整数。", "Give a whole number within these bounds."),
    "usage.chart_file.message": ("图写不进文件：{reason}。", "The chart cannot be written: {reason}."),
    "usage.chart_file.way_out": ("请检查文件夹与权限。", "Check the folder and its rights."),
})
