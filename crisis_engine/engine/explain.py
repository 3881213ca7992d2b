"""Explaining a case: in data that a console puts into words, with the rights and the read log of looking at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crisis_engine.core.decide import check_sight
from crisis_engine.core.explain import Answerer, NextStep, Reason, answerer_of, reasons
from crisis_engine.core.procedure import Procedure

from .look import local
from .reading import LOGGED_FROM, Reading, checked_why
from .worlds import stored_case


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a case stands as it stands. `procedure` is the version that it is pinned to."""

    number: str
    final: str | None
    tier: str
    risk: str
    procedure: Procedure
    answers: Answerer | None
    reasons: tuple[Reason, ...]
    rule: str | None = None      # the rule of supervision that opened it, where no person did

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "number": self.number, "final": self.final, "tier": self.tier, "risk": self.risk,
            "workflow": self.procedure.workflow.id, "policy": self.procedure.policy.id, "procedure": self.procedure.hash,
            "answers": _answerer(self.answers) if self.answers is not None else None, "rule": self.rule,
            "clocks": [self._reason(each) for each in self.reasons],
        }

    def _reason(self, reason: Reason) -> dict[str, Any]:
        clock = reason.clock
        return {
            "clock": clock.name, "n": clock.n, "label": dict(self.procedure.workflow.clocks[clock.name].label),
            "runs": {"because": reason.condition, "of": reason.detail, "since": local(clock.armed_at)},
            "due": {"at": local(clock.due_at), "set_by": reason.set_by, "set_at": local(reason.set_at), "risk": reason.risk.value,
                    "budget": reason.span, "provisional": clock.provisional, "source": reason.rule.source, "mark": reason.rule.mark,
                    "unverified": reason.rule.unverified},
            "who": _answerer(reason.who), "next": _next(reason.next),
        }


def _answerer(one: Answerer) -> dict[str, Any]:
    return {"role": one.role, "unit": one.unit, "person": one.person, "step": one.step, "instead_of": one.instead_of}


def _next(step: NextStep) -> dict[str, Any]:
    return {"at": local(step.at), "kind": step.kind, "raises_to": step.raises_to.value if step.raises_to is not None else None,
            "tells": list(step.tells), "alarm": step.alarm, "held": step.held}


class Explaining(Reading):
    """The face's answer to `why`."""

    def explain(self, number: str, *, by: str, why: str = "") -> Explanation:
        """Return why each clock runs, what set its due time, who must meet it, what comes next. Rights and read log are those of `case`."""
        checked_why(why)
        with self.store.reading() as tx:
            now = self.now()
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            sight = check_sight(world, stored.case, "case.read")
            case, events = stored.case, list(tx.events(stored.case.number))
            explanation = Explanation(
                case.number, case.final, case.tier.value, case.risk.value, world.procedure,
                answerer_of(case, world.procedure, world.resolver) if case.open else None,
                tuple(reasons(case, events, world.procedure, world.resolver)), tx.rule_of(case.number),
            )
        self._write_down(self._entry(by, "explain", case.number, now, min(sight.reads, LOGGED_FROM), why, sight))
        return explanation
