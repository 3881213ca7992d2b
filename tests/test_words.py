"""The catalogue: two languages that say the same, words that exist for everything a screen may show."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path
from string import Formatter

import pytest

from crisis_engine import words
from crisis_engine.core.events import EVENTS
from crisis_engine.core.model import RISKS, TIERS
from crisis_engine.core.network import ROLE_LEVEL
from crisis_engine.definitions import load_access
from crisis_engine.words import LANGUAGES, keys, knows, say
from crisis_engine.words.access import ACCESS
from crisis_engine.words.audit import AUDIT
from crisis_engine.words.author import AUTHOR
from crisis_engine.words.daemon import DAEMON
from crisis_engine.words.document import DOCUMENTS
from crisis_engine.words.draw import DRAW
from crisis_engine.words.explain import EXPLAIN
from crisis_engine.words.field import FIELD
from crisis_engine.words.help import HELP
from crisis_engine.words.migrate import MIGRATE
from crisis_engine.words.notice import NOTICES
from crisis_engine.words.prover import PROVER
from crisis_engine.words.refusal import REFUSALS
from crisis_engine.words.rehearse import REHEARSE
from crisis_engine.words.screen import SCREENS
from crisis_engine.words.secret import SECRETS
from crisis_engine.words.transfer import TRANSFER

ROOT = Path(words.__file__).parent.parent
SPEAKERS = [*(path for room in ("cli", "notify", "prover", "draw", "print") for path in sorted((ROOT / room).glob("*.py"))),
            ROOT / "engine" / "brief.py", ROOT / "engine" / "graduation.py", ROOT / "author" / "tell.py"]

FAMILIES = ("tier.", "risk.", "role.", "status.", "event.", "mark.", "count.", "option.", "help.", "refused.", "number.", "notice.what.",
            "read.", "roster.stop", "roster.warn", "definitions.workflows", "definitions.policies", "definitions.access",
            "definitions.retention", "backtest.", "keys.source.", "duty.", "dossier.", "pack.", "clockwork.", "message.", "digest.daily",
            "digest.weekly",
            "draw.short.", "draw.while.", "draw.on.", "diff.group.", "diff.verdict.", "diff.depth.", "diff.limit.", "diff.key.",
            "scaffold.", "explain.runs.", "explain.due.", "explain.step.", "migrate.why.", "prover.law.", "prover.confirm",
            "prover.decline", "prover.withdraw", "sheet.")
"""Keys that are put together from a name at run time."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def texts(key: str) -> dict[str, str]:
    return dict(zip(LANGUAGES, words.CATALOGUE[key], strict=True))


@pytest.mark.parametrize("key", keys())
def test_every_text_says_the_same_in_both_languages(key: str) -> None:
    zh, en = texts(key)["zh"], texts(key)["en"]
    assert zh.strip()
    assert en.strip()
    assert placeholders(zh) == placeholders(en)
    assert [say(key, lang, **dict.fromkeys(placeholders(zh), "x")) for lang in LANGUAGES]


@pytest.mark.parametrize("key", keys())
def test_no_text_has_a_character_that_terminals_draw_one_or_two_cells_wide(key: str) -> None:
    for text in texts(key).values():
        assert [char for char in text if unicodedata.east_asian_width(char) == "A"] == []


def test_a_key_stands_in_one_part_only() -> None:
    parts = (FIELD, NOTICES, REFUSALS, HELP, SCREENS, ACCESS, SECRETS, AUDIT, DAEMON, REHEARSE, PROVER, DRAW, AUTHOR, EXPLAIN, MIGRATE,
             DOCUMENTS, TRANSFER)
    assert sum(map(len, parts)) == len(words.CATALOGUE)


def test_an_unknown_key_language_or_placeholder_is_a_key_error() -> None:
    for wrong in (("no.such.key", "zh"), ("queue.empty", "fr"), ("sweep.next", "en")):
        with pytest.raises(KeyError):
            say(*wrong)
    assert not knows("no.such.key")


def test_the_english_column_is_english_and_the_chinese_one_chinese() -> None:
    plain = {"number.110", "number.120", "number.12356", "notice.link"}
    for key in set(keys()) - plain:
        bare = re.sub(r"\{\w+\}", "", texts(key)["zh"])
        assert re.search(r"[\u4e00-\u9fff]", bare) or not re.search("[A-Za-z]{4}", bare), key
        assert not re.search(r"[\u3000-\u9fff]", texts(key)["en"]), key


def test_every_tier_risk_role_and_event_has_its_word() -> None:
    wanted = {f"tier.{tier}" for tier in TIERS} | {f"risk.{risk}" for risk in RISKS}
    wanted |= {f"event.{kind}" for kind in EVENTS} | {f"role.{role}" for role in ROLE_LEVEL}
    assert wanted - set(keys()) == set()


def test_roles_are_called_as_the_access_file_calls_them() -> None:
    for role in load_access().roles.values():
        assert texts(f"role.{role.name}") == dict(role.label)


def test_every_text_is_used_and_every_text_that_is_used_exists() -> None:
    constants = {
        node.value
        for path in SPEAKERS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    known = set(keys())
    heads = {key.partition(".")[0] for key in known}
    heads -= {"roster", "case"}  # these begin names of modules too
    shaped = {text for text in constants if re.fullmatch(r"[a-z]+(\.[a-z_]+)+", text) and text.partition(".")[0] in heads}
    assert {text for text in shaped if text not in known and f"{text}.message" not in known} == set()

    spoken = {key for key in known if not key.startswith(FAMILIES)}
    used = constants | {f"{text}.way_out" for text in constants} | {f"{text}.message" for text in constants}
    assert spoken - used == set()


def test_no_text_reads_as_a_diagnosis() -> None:
    for key in set(keys()) - {"show.no_diagnosis"}:
        for text in texts(key).values():
            assert not re.search("诊断|患者|抑郁症|精神病|diagnos|patient|depressi|disorder|mentally ill", text, re.IGNORECASE), key
