"""The history checker: what clients were told and what the database holds must fit. Pure functions, no database of their own."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crisis_engine.core import events as ev
from crisis_engine.core.events import Notice

OK, FAIL, UNKNOWN = "ok", "fail", "unknown"

_CARRIES = (ev.Opened, ev.Moved, ev.Proposed)   # the events in which a command's own words stand


@dataclass(frozen=True, slots=True)
class Call:
    """One try of one command as its client saw it: invoked under a key, ended `ok`, `fail` (nothing was done) or `unknown`.

    A client that died before it heard an answer leaves `unknown`. `answer` is what an acknowledgement said.
    """

    key: str
    outcome: str
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message as its receiver saw it: under which key, to whom, and whether the receiver took it and said so.

    `by`, `fence` and `claimed` say who sent it under which claim, and since when that held.
    """

    key: str
    to: str
    taken: bool = True
    answered: bool = True
    by: str = ""
    fence: int = 0
    claimed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Life:
    """One case as the database holds it: its log, in order, and the notices that it owes or owed."""

    number: str
    events: Sequence[ev.Event]
    notices: Sequence[Notice] = field(default=())


def verdicts(calls: Iterable[Call]) -> dict[str, str]:
    """Return what is known of each key after all tries: one acknowledgement is enough, and a single unknown try leaves doubt."""
    tries: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        tries[call.key].add(call.outcome)
    return {key: next(each for each in (OK, UNKNOWN, FAIL) if each in seen) for key, seen in tries.items()}


def lost_or_doubled(calls: Sequence[Call], found: Mapping[str, int]) -> list[str]:
    """Compare the clients' history with how often the words of each key stand in the log.

    Acknowledged: exactly once, every time with the same answer. Unknown: at most once. Refused: never.
    """
    flaws = []
    for key, verdict in verdicts(calls).items():
        times = found.get(key, 0)
        if verdict == OK and times == 0:
            flaws.append(f"acknowledged and lost: {key}")
        if verdict == FAIL and times:
            flaws.append(f"refused and yet there: {key}")
        if times > 1:
            flaws.append(f"done {times} times: {key}")
    answers: dict[str, set[str]] = defaultdict(set)
    for call in calls:
        if call.outcome == OK:
            answers[call.key].add(call.answer)
    flaws += [f"answered in {len(said)} ways: {key}" for key, said in answers.items() if len(said) > 1]
    flaws += [f"nobody ever said this: {key}" for key in found if key not in {call.key for call in calls}]
    return flaws


def words(lives: Iterable[Life], key_of: Callable[[str], str | None]) -> Counter[str]:
    """Count in how many records the words of each command stand; `key_of` finds the key in a text, None where it has none."""
    found: Counter[str] = Counter()
    for life in lives:
        for event in life.events:
            if isinstance(event, _CARRIES):
                found.update({key for value in event.secret.values() if (key := key_of(str(value))) is not None})
    return found


def places(lives: Iterable[Life], key: str) -> list[str]:
    """Return where the words of a key stand: case, number of the record, kind, by whom, when."""
    return [f"{life.number} #{event.seq} {event.kind} {event.by} {event.at}" for life in lives for event in life.events
            if any(f"<{key}>" in str(value) for value in event.secret.values())]


def rungs(life: Life, reminders: Callable[[str], int]) -> list[str]:
    """Follow the ladders of a case: each rung fires exactly once, in its turn, and none is passed over.

    `reminders` says how many steps of a clock come before its ladder: these may be left out where their moment is past.
    """
    flaws: list[str] = []
    stands: dict[tuple[str, int], tuple[int, int]] = {}   # where each running clock's ladder stands: (rung, times)
    fired: set[tuple[str, int, int, int]] = set()
    for event in life.events:
        said = f"{life.number} #{event.seq}"
        for armed in (event,) if isinstance(event, ev.ClockArmed) else (event.armed or ()) if isinstance(event, ev.RungFired) else ():
            if armed.rung > reminders(armed.clock):
                flaws.append(f"{said}: {armed.clock} begins above its first rung")
            stands[armed.clock, armed.n] = (armed.rung, 0)
        if isinstance(event, (ev.ClockMet, ev.ClockDropped)):
            stands.pop((event.clock, event.n), None)
        elif isinstance(event, (ev.ClockMoved, ev.ClockResumed)):
            rung, times = stands.get((event.clock, event.n), (0, 0))
            if event.rung > max(rung, reminders(event.clock)):
                flaws.append(f"{said}: moving {event.clock} passed rungs over")
            stands[event.clock, event.n] = (event.rung, times)
        elif isinstance(event, ev.RungFired):
            flaws += [f"{said}: {what}" for what in _fired(event, stands.get((event.clock, event.n)), fired, reminders(event.clock))]
            stands[event.clock, event.n] = (event.next_rung, event.next_times)
    return flaws


def _fired(event: ev.RungFired, stood: tuple[int, int] | None, fired: set[tuple[str, int, int, int]], before: int) -> list[str]:
    name, flaws = f"{event.clock}.{event.n} rung {event.rung}.{event.times}", []
    if stood is None:
        flaws.append(f"{name} fired and does not run")
    elif (event.rung, event.times) != stood and not (event.rung < stood[0] and event.times == stood[1] + 1):
        # a case whose risk rose may stand beyond the end of its new ladder: then the last rung of that one comes
        flaws.append(f"{name} fired, {stood[0]}.{stood[1]} was next")
    if (event.clock, event.n, event.rung, event.times) in fired:
        flaws.append(f"{name} fired twice")
    fired.add((event.clock, event.n, event.rung, event.times))
    passed = [step for step in range(event.rung + 1, event.next_rung) if step >= before]
    if passed:
        flaws.append(f"{name} is followed by {event.next_rung}: {passed} passed over")
    if (event.next_times, event.next_rung) <= (event.times, event.rung):
        flaws.append(f"{name} is followed by itself or an earlier one")
    return flaws


def untold(life: Life) -> list[str]:
    """Whom a rung calls on is told: the doer of its clock, and who answers from then on, stand in a notice of the same moment."""
    named: dict[datetime, set[str]] = defaultdict(set)
    for notice in life.notices:
        named[notice.at].update(notice.people)
    flaws = []
    doer: dict[tuple[str, int], str | None] = {}
    for event in life.events:
        for armed in (event,) if isinstance(event, ev.ClockArmed) else (event.armed or ()) if isinstance(event, ev.RungFired) else ():
            doer[armed.clock, armed.n] = armed.holder
        if isinstance(event, ev.HandedOver):
            doer[event.clock, event.n] = event.holder
        if isinstance(event, ev.RungFired) and event.told:
            called = {person for person in (doer.get((event.clock, event.n)), event.answers) if person is not None}
            flaws += [f"{life.number} #{event.seq}: {person} was not told" for person in sorted(called - named[event.at])]
    return flaws


def still_due(lives: Iterable[tuple[str, datetime | None]], now: datetime) -> list[str]:
    """Return the open cases (number, next rung) of which something is due and did not fire."""
    return [f"{number}: due at {next_at}, not fired at {now}" for number, next_at in lives if next_at is None or next_at <= now]


def messages(sent: Sequence[Sent], owed: Mapping[str, str], *, absent: Collection[str] = (), finished: bool) -> list[str]:
    """Compare what the receivers took with what was owed (key -> receiver).

    A message may come again, always under its key: then its receiver takes it once. A key that nobody owes is
    a message made up, or one that was sent before its reason was written. When all is `finished`, everybody was reached; `absent`
    are keys that need not come any more.
    """
    taken: dict[str, str] = {}
    flaws = [f"one key, two receivers: {one.key}" for one in sent if one.taken and taken.setdefault(one.key, one.to) != one.to]
    flaws += [f"nobody owes this message: {key}" for key in taken if key not in owed]
    flaws += [f"{to} got what is for {owed[key]}: {key}" for key, to in taken.items() if owed.get(key, to) != to]
    if finished:
        flaws += [f"never arrived: {key}" for key in owed if key not in taken and key not in absent]
    return flaws


def sent_again(sent: Iterable[Sent], lease: timedelta) -> list[str]:
    """Return the messages that somebody sent although another claim of them held, or had come through."""
    flaws = []
    last: dict[str, Sent] = {}
    for one in sent:
        before = last.get(one.key)
        late = before is not None and one.fence < before.fence   # a claim that had run out: the receiver sees the smaller fence
        if before is not None and not late and one.claimed is not None and before.claimed is not None \
                and before.taken and before.answered and one.claimed < before.claimed + lease:
            flaws.append(f"sent by {before.by} and again by {one.by} within the lease: {one.key}")
        if not late:
            last[one.key] = one
    return flaws
