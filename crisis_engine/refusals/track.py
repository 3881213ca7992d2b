"""What the rules of tracks and partners refuse, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

TRACKS: Mapping[str, str] = {
    "Such a track stands beside case {number} already.": "个案 {number} 旁已有一个未结的此类子流程。",
    "nothing is withheld from the guardian": "没有对监护人暂不告知的决定",
    "it is withheld from the guardian: lift that first": "已决定暂不告知监护人：请先恢复告知",
    "only danger to the child or to others goes without consent: the risk must be red, or danger declared":
        "只有危及学生本人或他人时才可不经同意：须为红色，或已声明此刻危险",
    "these tracks hold the case and do not end with it: {names}": "有子流程未完，且不随个案结束：{names}",
    "an authorisation names who goes along (field escort)": "书面授权须写明陪同人（escort 一栏）",
    "nobody escorts the child without the guardian's written authorisation (field form)":
        "没有监护人的书面授权，任何人不得陪同送诊（form 一栏）",
    "{unit} is a partner no more": "{unit} 已不再是协作单位",
    "no agreement with {unit} runs today for {place}": "与 {unit} 没有今日有效、适用于 {place} 的协议",
    "{unit} has no room: {many} children are with it": "{unit} 名额已满：已有 {many} 名学生",
    "{unit} was asked before: name another, or say so (field again)": "此前已请求过 {unit}：请另选，或注明再次发往（again 一栏）",
    "The case beside which this one stands is over: nothing opens there.": "所属个案已结，不能在其旁启动子流程。",
    "Report anew.": "请重新上报。",
    "These tracks hold the case: {names}.": "有子流程未完：{names}。",
    "End them first; `crisis show` has their numbers.": "请先办结；用 `crisis show` 查看编号。",
}
"""Each sentence as code says it, with names for what changes, and its Chinese."""
