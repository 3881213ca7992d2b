"""A secret text is a text to whoever reads it and a mask to whatever would carry it on."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from crisis_engine.cli import log as console_log
from crisis_engine.core.events import Moved
from crisis_engine.core.model import Person
from crisis_engine.core.secret import MASK, Secret, holds_secret, revealed, sealed
from crisis_engine.engine.log import log

CANARY = Secret("金丝雀 a canary")
EVENT = Moved(case="A", seq=2, at=datetime(2026, 3, 2, tzinfo=UTC), by="p-1", move="note", origin="a", to="a", secret={"text": CANARY})


def test_a_secret_is_the_text_that_it_is() -> None:
    assert CANARY == "金丝雀 a canary"
    assert hash(CANARY) == hash("金丝雀 a canary")
    assert json.loads(json.dumps({"text": CANARY})) == {"text": "金丝雀 a canary"}
    assert (CANARY + "", str(CANARY)) == ("金丝雀 a canary", "金丝雀 a canary")
    assert type(str(CANARY)) is str


def test_a_sentence_that_is_put_together_with_a_secret_says_nothing() -> None:
    assert (f"{CANARY}", f"{CANARY!r}", repr([CANARY]), f"{CANARY:>10}") == (MASK, MASK, f"[{MASK}]", "  [secret]")


def test_sealing_and_revealing_reach_every_text_within() -> None:
    plain: dict[str, Any] = {"a": "x", "b": ["y", {"c": "z"}], "n": 3, "t": None}
    assert holds_secret(sealed(plain))
    assert not holds_secret(revealed(sealed(plain)))
    assert revealed(sealed(plain)) == plain


@pytest.mark.parametrize("value", [
    CANARY, [CANARY], {"x": (1, CANARY)}, {CANARY: 1}, {"deep": [[[{"er": CANARY}]]]}, EVENT, Person("p-1", CANARY), ValueError(CANARY),
    frozenset({CANARY}),
])
def test_the_log_masks_a_secret_wherever_it_hides_and_whatever_it_is_called(value: object, logged: io.StringIO) -> None:
    log("case.odd", number="AAA-BBB-CCC", anything=value)
    assert "金丝雀" not in logged.getvalue()
    assert "canary" not in logged.getvalue()
    assert "AAA-BBB-CCC" in logged.getvalue()
    assert MASK in logged.getvalue()


def test_without_an_entry_point_the_standard_logger_masks_it_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "crisis_engine"):
        log("case.odd", anything=CANARY, more=[CANARY])
    assert "canary" not in caplog.text
    assert MASK in caplog.text


@pytest.fixture(params=["text", "json"])
def logged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Configure the console's log at its loudest, in each of its two shapes, and return what it writes."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    console_log.configure({"CRISIS_LOG": request.param, "CRISIS_LOG_LEVEL": "debug"})
    yield stream
    structlog.reset_defaults()
