"""What the demo says, in Chinese and English: its own sentences; the words of the field come from crisis_engine.words."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crisis_engine.words import LANGUAGES


def tell(key: str, lang: str, **fields: object) -> str:
    """Return the sentence of `key` in `lang`, its placeholders filled; KeyError for a key that is not there."""
    return TEXTS[key][LANGUAGES.index(lang)].format(**fields)


# ruff: noqa: ISC004 - a pair of sentences, each as long as it is
# No character that terminals draw one or two cells wide: no curly quotes, arrows, dashes, ellipses or dots in the middle.
TEXTS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "title": ("一个孩子的一天，三遍", "One child's day, three times over"),
    "source": (
        "时刻取自一起公开报道的真实事件：某校，2023 年 2 月 7 日，星期二（fx361.cc）。人名、校名都是虚构的，日期移到 {day}，同样是星期二。"
        "我们不写细节。我们只问：哪一分钟，谁本可以知道。",
        "The times are those of a real Tuesday, 7 February 2023, at a school that was reported on in public (fx361.cc). People and places "
        "are invented, the day is moved to {day}, a Tuesday too. We tell no details. We ask one thing: who could have known, and when.",
    ),
    "marks": (
        "时限后的字母说明依据：[V] 已核实，[T] 取自模板，[B] [D] 未核实的默认值。",
        "The letter after a clock says where its number comes from: [V] verified, [T] a template, [B] [D] an unverified default.",
    ),
    "way.nobody": ("第一遍：没有人行动", "First: nobody acts"),
    "way.then": ("第二遍：那天人们所做的", "Second: as people acted then"),
    "way.policy": ("第三遍：制度所要求的", "Third: as the policy asks"),
    "about.nobody": (
        "心理委员把看到的写进系统，勾选「说过或写过想死」。此后没有人动手。系统不判断，只计时；到点没有人做，就告诉上一级。",
        "A peer enters what was seen and ticks: words about dying. After that nobody does anything. The system judges nothing; it keeps "
        "the clocks, and what nobody does in time is told to the next level.",
    ),
    "about.then": (
        "同一句话，同一分钟。16:00 年级组长得知，17:30 和 18:14 两次谈话；学生请老师保密，家长始终没有被告知。",
        "The same words at the same minute. The head of grade hears at 16:00, talks follow at 17:30 and 18:14; the pupil asked the "
        "teacher to keep it secret, and the guardians were never told.",
    ),
    "about.policy": (
        "同一句话，同一分钟。这一次有人确认，有人陪着孩子，有人告诉家长和县区，解除紧急状态要两个人决定。",
        "The same words at the same minute. This time somebody takes them up, somebody stays with the child, guardian and county are "
        "told, and it takes two to say that the danger is over.",
    ),

    # ---- what people do ------------------------------------------------------------------------------------------------------
    "note_found": ("同学发现一张字条，告诉系统。", "A classmate finds a note and tells the system."),
    "grade_head_hears": ("年级组长从微信得知，在系统里确认。", "The head of grade hears by a chat message and acknowledges."),
    "first_talk": ("第一次谈话，记录在案。", "A first talk, noted in the case."),
    "second_talk": ("第二次谈话，记录在案。", "A second talk, noted in the case."),
    "farewell": ("告别的字条。没有录入系统。", "A note of farewell. Nobody entered it."),
    "record_ends": ("那一天的记录到此为止。", "Here the record of that day ends."),
    "acknowledges": ("班主任确认收到。", "The class teacher takes it up."),
    "declares_danger": ("班主任宣布：此刻危险。", "The class teacher declares: danger now."),
    "not_alone": ("班主任确认：有人陪着孩子，到 15:30。", "The class teacher confirms who is with the child until 15:30."),
    "tells_guardian": ("班主任告知监护人，监护人同意并赶来。", "The class teacher tells the guardian, who agrees and is on the way."),
    "tells_county": ("领导小组上报县级。", "The leading group reports to the county."),
    "assesses": ("心理教师完成评估，风险维持红色。", "The counselor assesses; the risk stays red."),
    "still_not_alone": ("心理教师确认：由她陪着，到 16:20。", "The counselor confirms: she is with the child until 16:20."),
    "panel_proposes": ("研判会定级，副校长提出。", "The panel decides; the vice principal proposes its decision."),
    "panel_confirms": ("心理教师第二人确认研判。", "The counselor confirms the panel's decision as the second person."),
    "danger_over_asked": ("监护人到校，心理教师提出解除紧急状态。", "The guardian is here; the counselor proposes to end the danger."),
    "danger_over_alone": (
        "心理教师想自己确认自己的提议，系统拒绝：要两个不同的人。",
        "The counselor tries to confirm her own proposal and is refused: two different people are due.",
    ),
    "danger_over_by_two": ("副校长确认，紧急状态解除。", "The vice principal confirms; the danger is over."),
    "county_looks": ("县区看过，继续督办。", "The county looks and goes on watching."),
    "plan_proposed": ("心理教师提出一生一策。", "The counselor proposes the child's plan."),
    "plan_signed": ("副校长签字：每日见面。", "The vice principal signs it: somebody meets the child every day."),

    # ---- what the engine answers ---------------------------------------------------------------------------------------------
    "word.people": ("有人", "people"),
    "word.record": ("那天", "that day"),
    "word.refused": ("拒绝", "refused"),
    "word.armed": ("计时", "clock"),
    "word.late": ("超时", "LATE"),
    "word.remind": ("提醒", "remind"),
    "word.met": ("完成", "met"),
    "word.raised": ("上升", "raised"),
    "word.told": ("通知", "told"),
    "armed": ("{clock}，{due} 前，{who}", "{clock}, by {due}, {who}"),
    "late": ("{clock}，到 {due} 没有人做，{who}", "{clock}, not done by {due}, {who}"),
    "met": ("{clock}，按时", "{clock}, in time"),
    "met_late": ("{clock}，迟到，本应在 {due} 前", "{clock}, but late: it was due {due}"),
    "raised": ("到{tier}，由{who} 负责", "to the {tier}: {who} answers now"),
    "remind": ("{clock}：{roles}", "{clock}: {roles}"),
    "comma": ("、", ", "),
    "who_knew": ("谁在几点得知", "Who was told when"),
    "messages": (
        "系统共发出 {count} 条通知，发给 {people} 个人；通知里没有孩子的姓名，也没有事由。发给{who} 的一条，全文如下：",
        "{count} notices went to {people} people; none names the child or says what happened. One to the {who}, in full:",
    ),
    "still_late": ("到 {at} 仍然超时", "Still late at {at}"),
    "late_line": ("{clock}：自 {due} 起，已 {span}，{who}", "{clock}: since {due}, {span}, {who}"),
    "none_late": ("到 {at}，从头到尾没有一个时限超时。", "Until {at} no clock was ever late."),
    "some_late": ("曾经超时：{clocks}", "Late for a while: {clocks}"),
    "now": ("此刻：{stage}，由{tier}负责。接下来", "Now: {stage}, the {tier} answers. What comes next"),
    "next_line": ("{clock}：{due} 前，{who}", "{clock}: by {due}, {who}"),
    "then_end": (
        "县区在 {county} 就会得知，比那张告别的字条早 {early}。告知家长的时限在 {guardian} 已经超时。",
        "The county would have been told at {county}, {early} before the note of farewell. The clock to tell the guardian was late "
        "from {guardian} on.",
    ),
    "policy_end": (
        "我们不知道结局会不会不同。但这一次，每一分钟都有一个有名有姓的人负责。",
        "We do not know whether it would have ended otherwise. But this time somebody with a name answered for every minute.",
    ),
    "hours": ("{h}小时", "{h}h"),
    "minutes": ("{m}分", "{m}m"),
    "nobody": ("无人", "nobody"),
    "reporter": ("上报人（身份保密）", "the reporter (kept secret)"),

    # ---- the life ---------------------------------------------------------------------------------------------------------------
    "life": ("一个个案的一生：从一句话到市级结案评估", "A case's whole life: from a word to the city's closure evaluation"),
    "about.life": (
        "另一个孩子，同一个春天。个案 {number}，从第一句话到结案 {days} 天。",
        "Another child, the same spring. Case {number}, {days} days from the first word to its closure.",
    ),
    "by_two": ("{who}，第二人{second}", "{who}, with {second}"),
    "rhythm": (
        "随访 {contacts} 次，其中按时 {kept} 次；复评 {reviews} 次。频率随风险走：{risks}。",
        "{contacts} contacts with the child, {kept} of them in time; {reviews} reviews. The rhythm follows the risk: {risks}.",
    ),
    "risk_since": ("{day} 起{risk}", "{risk} from {day}"),
    "missed": (
        "一次迟到：本应在 {due} 前，实际 {made}；其间已通知{roles}。随访补上，迟到留在记录里。",
        "One came late: due {due}, made {made}; meanwhile these were told: {roles}. It was made up for, and the lateness stays on record.",
    ),
    "ended": ("结案由{who} 作出，第二人是{second}；缺一不可。", "{who} closed it, and {second} is the other person; neither could alone."),

    # ---- the queues ----------------------------------------------------------------------------------------------------------------
    "queues": ("{at}，四个人各自打开待办", "{at}: four people open their queues"),
    "about.queues": (
        "这个下午进来三句话，第一句没有人理会。每个人只看到自己该办、该负责的。",
        "Three words came in this afternoon, and nobody took up the first. Each person sees what is theirs to do or to answer for.",
    ),
    "queue_empty": ("没有待办。", "Nothing waits."),
    "queue_late": ("超时 {span}", "late {span}"),
    "queue_left": ("还有 {span}", "{span} left"),
    "days": ("{d}天", "{d}d"),

    # ---- the end ----------------------------------------------------------------------------------------------------------------
    "honest": (
        "以上用到 {count} 种时限，其中 {unverified} 种的时长标有 [B] 或 [D]：是未核实的默认值，不是国家标准，也未经信阳市确认。",
        "{count} kinds of clock ran here; the durations of {unverified} are marked [B] or [D]: unverified defaults, neither a national "
        "standard nor confirmed by the city.",
    ),
    "no_diagnosis": ("风险颜色只说明要多快有人处理，不是诊断。", "A colour says how soon somebody must act. It is no diagnosis."),
    "next": ("接下来可以试试（先 . .venv/bin/activate）：", "Try these three next (after: . .venv/bin/activate):"),
    "facts": ("课桌里有一张字条", "A note in the desk"),
})  # fmt: skip
