"""The difference between two versions of a definition: each value that changed, added or gone, and whether it is stricter now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from crisis_engine.author.facet import (
    GROUPS,
    Facet,
    facets_of_access,
    facets_of_policy,
    facets_of_retention,
    facets_of_workflow,
    rungs_of,
)
from crisis_engine.core.model import Risk
from crisis_engine.core.order import Verdict
from crisis_engine.core.policy import Access, Policy
from crisis_engine.core.retention import Retention
from crisis_engine.core.workflow import Workflow

Definition = Workflow | Policy | Access | Retention


@dataclass(frozen=True, slots=True)
class Change:
    """One value that is not as it was. None as `old` says that it was not there, as `new` that it is gone."""

    key: str
    group: str
    kind: str
    old: Any
    new: Any
    verdict: Verdict | None      # None: this key has no order
    affects: int | None = None   # open cases to which it applies; None where nobody counted

    @property
    def clock(self) -> str | None:
        """The clock of a policy that it is about."""
        parts = self.key.split(".")
        return parts[1] if parts[0] == "clock" and self.group in {"budgets", "reminders", "ladders"} else None

    @property
    def risk(self) -> str | None:
        """The one risk that it is about, where it is about one."""
        last = self.key.rpartition(".")[2]
        return last if last in set(Risk) else None

    @property
    def stage(self) -> str | None:
        """The stage that it is about."""
        parts = self.key.split(".")
        return parts[1] if parts[0] == "stage" else None

    def affecting(self, cases: int | None) -> Change:
        """Return the same change with how many open cases it is about."""
        return replace(self, affects=cases)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"key": self.key, "group": self.group, "old": plain(self.old), "new": plain(self.new),
                "verdict": self.verdict.value if self.verdict is not None else None, "affects": self.affects}


def differences(old: Definition, new: Definition) -> tuple[Change, ...]:
    """Return what changed from one version to the other, by group and in the order of the files. Both are of one kind."""
    before, after = _facets(old), _facets(new)
    found = [
        change for key in [*before, *(key for key in after if key not in before)]
        if (change := _change(key, before.get(key), after.get(key))) is not None
    ]
    return tuple(sorted(_joined(found), key=lambda change: GROUPS.index(change.group)))


def _joined(changes: Iterable[Change]) -> Iterator[Change]:
    """Yield the changes, one for all risks where it is the same at each."""
    for above, members in groupby(changes, key=lambda change: change.key.rpartition(".")[0] if change.risk else change.key):
        same = list(members)
        if len(same) == len(Risk) and len({(str(each.old), str(each.new), each.verdict) for each in same}) == 1:
            yield replace(same[0], key=above)
        else:
            yield from same


def _facets(definition: Definition) -> Mapping[str, Facet]:
    if isinstance(definition, Workflow):
        return facets_of_workflow(definition)
    if isinstance(definition, Policy):
        return facets_of_policy(definition)
    return facets_of_access(definition) if isinstance(definition, Access) else facets_of_retention(definition)


def _change(key: str, old: Facet | None, new: Facet | None) -> Change | None:
    facet = new or old
    if facet is None or (old is not None and new is not None and old.value == new.value):
        return None
    verdict: Verdict | None = None
    if old is not None and new is not None:
        verdict = new.order.compare(new.value, old.value) if new.order is not None else None
    elif facet.asks:
        verdict = Verdict.STRICTER if old is None else Verdict.LOOSER
    if verdict is Verdict.SAME and facet.kind != "ladder":   # written otherwise, and the same: 60m and 1h
        return None
    if facet.group == "marks" or verdict is Verdict.SAME:    # a mark promises more or less; nothing is stricter by it
        verdict = None
    return Change(key, facet.group, facet.kind, old.value if old else None, new.value if new else None, verdict)


def plain(value: Any) -> Any:  # noqa: ANN401 (whatever a definition may hold)
    """Return a value as JSON has it."""
    if isinstance(value, tuple):
        return rungs_of(value) if value and hasattr(value[0], "raise_to") else [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | dict):
        return value
    return str(value)
