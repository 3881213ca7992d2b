"""The world: everything that one decision may look at, gathered before, so that deciding is a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .access import Actor
from .case import Case
from .draft import drafted
from .model import Partner, Subject
from .procedure import Procedure
from .resolve import Resolver


@drafted
@dataclass(frozen=True, slots=True)
class World:
    """What a command is decided on. `now` is the resolver's; within a case it is never before the case's last event."""

    now: datetime
    actor: Actor
    procedure: Procedure
    resolver: Resolver
    case: Case | None = None
    number: str = ""                          # a fresh random number, for a case that may be opened
    subject: Subject | None = None            # the child that the command names
    others: tuple[Case, ...] = ()             # that child's other cases, open or over
    parent: Case | None = None                # the case beside which a track stands or is opened
    parent_procedure: Procedure | None = None
    siblings: tuple[tuple[Case, Procedure], ...] = ()                 # of a track: the open tracks of its parent, itself left out
    target: Case | None = None                # the child's open case that this one may be merged into
    target_procedure: Procedure | None = None
    tracks: tuple[tuple[Case, Procedure], ...] = ()                   # the case's open tracks
    target_tracks: tuple[tuple[Case, Procedure], ...] = ()            # and those of the case that this one may be merged into
    openable: Mapping[str, tuple[str, Procedure]] = field(default_factory=dict)  # tracks that a move may open: number, procedure
    guardians: tuple[str, ...] = ()           # ids of the child's guardians
    proposed: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)   # the fields of the open proposals, by id
    partners: Mapping[str, Partner] = field(default_factory=dict)     # the units that the form names, by id
    loads: Mapping[str, int] = field(default_factory=dict)            # open cases of everybody whom a move may name, where it looks at that
    tried: frozenset[str] = frozenset()       # units that this case was sent to before
    erased: bool = False                      # two people had the case's secrets erased
