"""The rule of a channel: quiet hours never hold what is urgent, limits never lose, waits grow and stay within bounds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.calendar import CHINA
from crisis_engine.notify.rule import Quiet, Rule

INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001 (a zone follows)
QUIET = st.tuples(st.integers(0, 1439), st.integers(0, 1439)).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: Quiet(*pair))
RULES = st.builds(Rule, quiet=st.none() | QUIET, most=st.integers(0, 5), within=st.timedeltas(timedelta(minutes=1), timedelta(days=1)))


@given(RULES, INSTANTS, st.lists(INSTANTS, max_size=8))
def test_nothing_ever_holds_back_what_is_urgent(rule: Rule, now: datetime, sent: list[datetime]) -> None:
    assert rule.hold(now, sent, urgent=True) == now


@given(RULES, INSTANTS, st.lists(st.timedeltas(timedelta(), timedelta(hours=30)), max_size=8))
def test_what_is_calm_waits_at_most_for_the_limit_and_one_night(rule: Rule, now: datetime, ago: list[timedelta]) -> None:
    at = rule.hold(now, [now - span for span in ago], urgent=False)
    assert now <= at <= now + rule.within + timedelta(days=1)
    assert rule.quiet is None or rule.quiet.until(at) is None, "it goes when nobody sleeps"
    if rule.most:
        within = [span for span in ago if now - span > at - rule.within]
        assert len(within) < rule.most or at >= now + rule.within - max(within)


@given(QUIET, INSTANTS)
def test_quiet_hours_end_at_their_minute_in_chinas_time(quiet: Quiet, now: datetime) -> None:
    until = quiet.until(now)
    local = now.astimezone(CHINA)
    minute = local.hour * 60 + local.minute
    inside = quiet.begins <= minute < quiet.ends if quiet.begins < quiet.ends else minute >= quiet.begins or minute < quiet.ends
    assert (until is not None) is inside
    if until is not None:
        end = until.astimezone(CHINA)
        assert (end.hour * 60 + end.minute, end.second) == (quiet.ends, 0)
        assert now < until <= now + timedelta(days=1)


@given(RULES, INSTANTS, st.integers(1, 200), st.floats(0, 1), st.booleans())
def test_the_next_try_comes_later_and_within_bounds(rule: Rule, now: datetime, tries: int, chance: float, urgent: bool) -> None:  # noqa: FBT001
    at = rule.next_try(now, tries, chance, None, urgent=urgent)
    assert now + timedelta(seconds=1) <= at
    assert at <= now + (timedelta(minutes=5) if urgent else timedelta(hours=25))


@given(INSTANTS, st.timedeltas(timedelta(), timedelta(days=400)))
def test_what_a_gateway_asks_for_is_waited_for_up_to_a_day(now: datetime, asked: timedelta) -> None:
    at = Rule().next_try(now, 1, 0.5, asked, urgent=True)
    assert now + min(asked, timedelta(days=1)) <= at <= now + timedelta(days=1)


def test_whom_a_channel_is_for() -> None:
    rule = Rule(roles=frozenset({"counselor"}), urgency="urgent", address="tel")
    assert rule.takes(frozenset({"counselor", "x"}), urgent=True)
    assert not rule.takes(frozenset({"counselor"}), urgent=False)
    assert not rule.takes(frozenset({"x"}), urgent=True)
    assert (rule.reaches("tel:110"), rule.reaches("mailto:a@b"), rule.reaches("")) == (True, False, False)
    assert Rule(address="mailto").reaches("a@b.invalid")
