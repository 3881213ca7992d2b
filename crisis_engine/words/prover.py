"""What the prover says: each law as a sentence that does not hold, and the words of its stories."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PROVER: Mapping[str, tuple[str, str]] = MappingProxyType({
    "prover.holds": ("{workflow} 配 {policy}：已证明，{situations} 种情形，{decisions} 次决定。",
                     "{workflow} with {policy}: proven, {situations} situations, {decisions} decisions."),
    "prover.fails": ("{workflow} 配 {policy}：未能证明，{faults} 处不成立。",
                     "{workflow} with {policy}: not proven, {faults} laws do not hold."),
    "prover.worst": ("无人处理时，最迟多久上报到市级：", "If nobody acts, the city hears of it after at most:"),
    "prover.story": ("最短的经过：", "The shortest way there:"),
    "prover.step": ("{who}：{move}", "{who}: {move}"),
    "prover.silence": ("此后无人处理", "from here on nobody acts"),
    "prover.confirm": ("确认「{move}」", "confirms: {move}"),
    "prover.decline": ("不同意「{move}」", "declines: {move}"),
    "prover.withdraw": ("撤回「{move}」", "withdraws: {move}"),
    "prover.lack.levels": ("该单位没有这一级：{what}", "this unit has no such level: {what}"),
    "prover.lack.empty": ("这些层级无人：{what}", "nobody is at these levels: {what}"),
    "prover.lack.roles": ("无人担任：{what}", "nobody holds: {what}"),
    # ---- the laws ------------------------------------------------------------------------------------------------------------
    "prover.law.clock": ("个案仍开着，却没有任何时限在走。", "The case is open and no clock runs."),
    "prover.law.answers": ("个案仍开着，却无人负责，也没有及时告警。", "The case is open, nobody answers, and no alarm rings in time."),
    "prover.law.standing": ("这一时限本该在走：{what}。", "This clock should run here: {what}."),
    "prover.law.over": ("个案已终结，却还有时限或提议。", "The case is over and still has a clock or a proposal."),
    "prover.law.below": ("负责的层级低于办理的层级：{what}。", "Whoever answers stands below whoever does the work: {what}."),
    "prover.law.danger": ("此刻有危险，却不是红色，或不到学校一级。", "There is danger now, and it is not red or not at the school."),
    "prover.law.danger_told": ("宣布危险时无人得知，或没有显示求助电话：{what}。",
                               "Danger was declared and nobody was told, or no number was shown: {what}."),
    "prover.law.two_lower": ("一个人就降低了红色或橙色：{what}。", "One person lowered red or orange: {what}."),
    "prover.law.two_danger": ("一个人就解除了危险：{what}。", "One person ended a danger: {what}."),
    "prover.law.two_withhold": ("一个人就决定不告知监护人：{what}。", "One person withheld from the guardian: {what}."),
    "prover.law.two_end": ("一个人就终结了个案：{what}。", "One person ended the case: {what}."),
    "prover.law.same": ("提议的人自己确认了：{what}。", "Whoever proposed could confirm: {what}."),
    "prover.law.withdraw": ("提议的人不能撤回：{what}。", "Whoever proposed cannot withdraw: {what}."),
    "prover.law.withheld": ("不告知监护人，监护人却没有回避：{what}。", "The guardian is not told and yet not recused: {what}."),
    "prover.law.void": ("新线索来了，先前的提议却仍有效：{what}。", "A new word came and an earlier proposal still stands: {what}."),
    "prover.law.unheard": ("新线索来了，却没有人须处理：{what}。", "A new word came and nobody has to look at it: {what}."),
    "prover.law.end_danger": ("危险未解除就终结了个案：{what}。", "The case ended under danger: {what}."),
    "prover.law.end_signal": ("新线索未处理就终结了个案：{what}。", "The case ended over a signal that nobody handled: {what}."),
    "prover.law.end_track": ("子流程未了结就终结了个案：{what}。", "The case ended while a track holds it: {what}."),
    "prover.law.software": ("软件自行降级、降低层级或终结了个案。", "Software by itself lowered a risk or a tier, or ended a case."),
    "prover.law.ending": ("从这里到不了任何结局：{what}。", "No ending can be reached from here: {what}."),
    "prover.law.closing": ("最高曾到此风险的个案无法结案：{what}。", "A case whose peak was this cannot be closed: {what}."),
    "prover.law.meet": ("这一时限在走，却没有办法完成：{what}。", "This clock runs and nothing that can be done meets it: {what}."),
    "prover.law.holder": ("时限落到此人，此人却无权完成：{what}。",
                          "The clock falls to somebody who may do nothing that meets it: {what}."),
    "prover.law.absent": ("时限落到了不在的人：{what}。", "The clock falls to somebody who is not there: {what}."),
    "prover.law.silence": ("无人处理时，永远报不到市级：{what}。", "If nobody acts, the city never hears of it: {what}."),
    "prover.law.skipped": ("无人处理时，这一级被越过：{what}。", "If nobody acts, this level is passed over: {what}."),
    "prover.law.no_alarm": ("危险中无人处理，终端告警却不响：{what}。", "In danger, if nobody acts, the alarm never rings: {what}."),
    "prover.law.order": ("风险越高，等得反而越久：{what}。", "A higher risk waits longer than a lower one: {what}."),
})
"""Every text of the prover."""
