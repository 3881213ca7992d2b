"""Drafted dataclasses are what `dataclass` made, only made faster."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, dataclass, field, replace
from typing import Any

import pytest

from crisis_engine.core.draft import drafted
from crisis_engine.core.events import RungFired


@dataclass(frozen=True, slots=True)
class _Plain:
    name: str
    seen: list[int] = field(default_factory=list)
    times: int = 3


@drafted
@dataclass(frozen=True, slots=True)
class _Fast:
    name: str
    seen: list[int] = field(default_factory=list)
    times: int = 3


def test_a_drafted_object_is_of_its_class_and_holds_what_it_was_given() -> None:
    one = _Fast("a", times=4)
    assert type(one) is _Fast
    assert (one.name, one.seen, one.times) == ("a", [], 4)
    assert one == _Fast("a", [], 4) != _Fast("b")
    assert replace(one, name="b") == _Fast("b", [], 4)
    assert repr(one) == repr(_Plain("a", times=4)).replace("_Plain", "_Fast")
    assert _Fast("a").seen is not _Fast("a").seen


def test_nobody_can_write_on_a_drafted_object() -> None:
    one = _Fast("a")
    with pytest.raises(FrozenInstanceError):
        one.name = "b"  # type: ignore[misc]  # that is the question
    with pytest.raises(FrozenInstanceError):
        del one.name
    with pytest.raises(FrozenInstanceError):
        RungFired(case="A", seq=1, at=None, by="engine", clock="c", n=1, rung=0, times=0, next_rung=0, next_times=0,  # type: ignore[arg-type]
                  next_at=None).seq = 2  # type: ignore[arg-type, misc]  # no time is asked for here


def test_a_wrong_call_is_refused_as_before_and_the_signature_stays() -> None:
    made: Any = _Fast
    for values, named in (((), {}), (("a", [], 1, 2), {}), (("a",), {"color": 1})):
        with pytest.raises(TypeError):
            made(*values, **named)
    assert list(inspect.signature(_Fast).parameters) == list(inspect.signature(_Plain).parameters)


def test_a_class_that_looks_at_itself_when_made_is_not_drafted() -> None:
    @dataclass(frozen=True, slots=True)
    class Looking:
        name: str

        def __post_init__(self) -> None:
            assert self.name

    with pytest.raises(TypeError, match="looks at itself"):
        drafted(Looking)
