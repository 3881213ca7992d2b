"""A higher risk never waits longer: the numbers of a policy laid beside each other, risk by risk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise

from crisis_engine.core.calendar import Span
from crisis_engine.core.model import Risk
from crisis_engine.core.parse_policy import DEPTHS
from crisis_engine.core.policy import Policy
from crisis_engine.core.workflow import Workflow

from .law import Broken

RATED = (Risk.RED, Risk.ORANGE, Risk.YELLOW, Risk.BLUE)


def disorder(workflow: Workflow, policy: Policy) -> Iterator[Broken]:
    """Yield each number by which a lower risk is looked after sooner, or closed after a longer or deeper look, than a higher one."""
    for name in workflow.clocks:
        rule = policy.clocks[name]
        for key, spans in (("within", rule.within), ("again", rule.again), ("cap", rule.cap)):
            yield from _rising(f"clock.{name}.{key}", {risk: _length(span, rule.cap.get(risk)) for risk, span in spans.items()})
    for key, longest in (("hold", policy.hold), ("pause", policy.pause)):
        yield from _rising(key, {risk: span.wall for risk, span in longest.items()})
    yield from _rising("closure.stable_for", {risk: -span.wall for risk, span in policy.stable_for.items()})
    yield from _rising("closure.by_peak", {risk: timedelta(-DEPTHS.index(depth)) for risk, depth in policy.closure_by_peak.items()})


def _length(span: Span, cap: Span | None) -> timedelta:
    """Return how long a span can last at the worst; one in days of a calendar, as long as its cap."""
    if span.is_wall:
        return min(span.wall, cap.wall) if cap is not None else span.wall
    return cap.wall if cap is not None else timedelta(days=span.amount)


def _rising(key: str, lengths: Mapping[Risk, timedelta]) -> Iterator[Broken]:
    known = [risk for risk in RATED if risk in lengths]
    for higher, lower in pairwise(known):
        if lengths[higher] > lengths[lower]:
            yield Broken("order", f"{key}.{higher.value}")
