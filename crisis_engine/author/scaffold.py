"""A definition file to begin with: small, commented, and sound as it stands."""

from __future__ import annotations

import re

from crisis_engine.core.parse_table import NAME
from crisis_engine.words import say

KINDS = ("workflow", "policy")

_WORKFLOW = """#:schema {kind}.schema.json
#: scaffold.workflow
format  = 1
name    = "{name}"
version = 1
subject = "student"
start   = "reported"
label   = {{ zh = "待命名流程", en = "a workflow to be named" }}
source  = "our design"

#: scaffold.stage
[stage]
reported = {{ lead = "school", label = {{ zh = "已上报", en = "reported" }} }}
working  = {{ lead = "school", label = {{ zh = "处理中", en = "in hand" }} }}
done     = {{ final = "closed", label = {{ zh = "已办结", en = "done" }} }}

#: scaffold.clock
[clock]
begin   = {{ in = ["reported"], who = "counselor", kind = "safety", label = {{ zh = "开始处理", en = "begin" }} }}
contact = {{ in = ["working"], who = "counselor", kind = "safety", label = {{ zh = "联系学生", en = "be in contact" }} }}

#: scaffold.field
[field_label]
facts   = {{ zh = "看到听到的事实", en = "facts seen or heard" }}
because = {{ zh = "理由", en = "because" }}

#: scaffold.move
[move.report]
from   = []
to     = "reported"
by     = ["class_teacher", "counselor"]
fields = [{{ name = "facts", type = "text", required = true, secrecy = 1 }}]
label  = {{ zh = "上报", en = "report" }}

[move.begin]
from  = ["reported"]
to    = "working"
by    = ["counselor"]
instead = true
meets = ["begin"]
label = {{ zh = "开始处理", en = "begin" }}

[move.contact]
from   = ["working"]
by     = ["counselor"]
instead = true
meets  = ["contact"]
fields = [{{ name = "facts", type = "text", required = true, secrecy = 2 }}]
label  = {{ zh = "联系", en = "contact" }}

#: scaffold.ending
[move.finish]
from   = ["working"]
to     = "done"
by     = ["counselor"]
second = ["vice_principal", "leading_group"]
meets  = ["contact"]
fields = [{{ name = "because", type = "text", required = true, secrecy = 2 }}]
label  = {{ zh = "办结", en = "finish" }}
"""

_POLICY = """#:schema {kind}.schema.json
#: scaffold.policy
format  = 1
name    = "{name}"
version = 1
extends = "default_v1"
label   = {{ zh = "待命名时限", en = "numbers to be named" }}
source  = "our design"
mark    = "D"

#: scaffold.budget
[clock.triage]
within = {{ red = "3h" }}
source = "our design"
mark   = "D"

#: scaffold.cue
[cue]
source = "our design"
mark   = "D"
away_at_night = {{ floor = "yellow", label = {{ zh = "夜不归宿", en = "is away at night" }} }}

#: scaffold.ladder
[ladder]
source = "our design"
mark   = "D"
work = [
  {{ at = "0m", tell = ["vice_principal"] }},
  {{ at = "12h", raise = "county" }},
  {{ at = "48h", raise = "city" }},
  {{ every = "2d", tell = ["tier_holder"] }},
]

#: scaffold.closure
[closure]
sample = {{ yellow = 15 }}
source = "our design"
mark   = "D"
"""

_TEXTS = {"workflow": _WORKFLOW, "policy": _POLICY}
_COMMENT = re.compile(r"^#: (\S+)$", re.MULTILINE)


def scaffold(kind: str, name: str, lang: str) -> str:
    """Return the text of a new file; ValueError for a kind that cannot be begun so, or a name that is none."""
    if kind not in KINDS or not NAME.fullmatch(name):
        raise ValueError(kind if kind not in KINDS else name)

    def comment(found: re.Match[str]) -> str:
        return "\n".join(f"# {line}" for line in say(found[1], lang).splitlines())

    return _COMMENT.sub(comment, _TEXTS[kind].format(kind=kind, name=name))
