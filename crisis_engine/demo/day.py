"""School H's day (DOMAIN.md 1.5) three ways: nobody acts, as people acted then, as the policy asks. Names and places are invented.

The times are those of the real Tuesday, 2023-02-07; here it is a Tuesday too, 2026-03-03.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.calendar import CHINA

from .watch import Day, Sandbox, Step, replay

TUESDAY_END = datetime(2026, 3, 3, 20, 34, tzinfo=CHINA)
CHILD, CLASS = "stu-42", "xinyang/shihe/no-3/g7/c2"
PEER, TEACHER, GRADE_HEAD, COUNSELOR, VICE_PRINCIPAL, LEADER, COUNTY = "p-71", "p-11", "p-21", "p-31", "p-33", "p-35", "p-101"
PANEL = (VICE_PRINCIPAL, COUNSELOR, TEACHER)

THE_WORD = Step("14:30", "note_found", PEER, "report", {"facts": "课桌里有一张字条。", "cues": ("suicide_words",)})


def _for(minutes: int, **fields: str) -> Callable[[datetime], Mapping[str, Any]]:
    return lambda now: {**fields, "until": now + timedelta(minutes=minutes)}


def _told(now: datetime) -> Mapping[str, Any]:
    return {"who": "示例家长42", "at": now, "told": "所见的字条，以及现在谁陪着孩子", "answer": "agreed"}


ASSESSED = {"risk": "red", "ideation": "yes", "plan": "unknown", "means": "unknown", "attempt": "no"}

AS_THEN: tuple[Step, ...] = (
    Step("16:00", "grade_head_hears", GRADE_HEAD, "acknowledge"),
    Step("17:30", "first_talk", TEACHER, "note", {"text": "第一次谈话"}),
    Step("18:14", "second_talk", TEACHER, "note", {"text": "第二次谈话"}),
    Step("20:25", "farewell"),
    Step("20:34", "record_ends"),
)
"""What is known of that day. Nobody told the guardians; nobody told the county."""

AS_ASKED: tuple[Step, ...] = (
    Step("14:32", "acknowledges", TEACHER, "acknowledge"),
    Step("14:33", "declares_danger", TEACHER, "danger_now", {"place": "教室", "with_child": "班主任"}),
    Step("14:36", "not_alone", TEACHER, "child_is_safe", _for(54, with_child="班主任")),
    Step("14:45", "tells_guardian", TEACHER, "guardian_told", _told),
    Step("14:50", "tells_county", LEADER, "report_to_county"),
    Step("15:10", "assesses", COUNSELOR, "assess", ASSESSED),
    Step("15:25", "still_not_alone", COUNSELOR, "child_is_safe", _for(55, with_child="心理教师")),
    Step("16:00", "panel_proposes", VICE_PRINCIPAL, "triage", {"risk": "red", "members": PANEL, "minutes": "研判会纪要"}),
    Step("16:05", "panel_confirms", COUNSELOR, "confirm"),
    Step("16:10", "danger_over_asked", COUNSELOR, "danger_over", {"because": "监护人已到校，陪同离校", "handed_to": "示例家长42"}),
    Step("16:10", "danger_over_alone", COUNSELOR, "confirm", refused=True),
    Step("16:12", "danger_over_by_two", VICE_PRINCIPAL, "confirm"),
    Step("16:20", "county_looks", COUNTY, "keep_watching", {"note": "县区跟进"}),
    Step("17:00", "plan_proposed", COUNSELOR, "plan", {"goals": "安全", "measures": "每日见面", "safety_plan": "陪护与联系人"}),
    Step("17:05", "plan_signed", VICE_PRINCIPAL, "confirm"),
)
"""What the procedure and its clocks ask for; every move is made by somebody who may."""

WAYS: Mapping[str, tuple[Step, ...]] = {"nobody": (), "then": AS_THEN, "policy": AS_ASKED}


def live(sandbox: Sandbox, way: str) -> Day:
    """Play the day in one of WAYS on a fresh sandbox."""
    return replay(sandbox, way, THE_WORD, WAYS[way], TUESDAY_END, subject=CHILD, unit=CLASS)
