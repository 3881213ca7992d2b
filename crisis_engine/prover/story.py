"""A counterexample as a story: who did what after how long, in a person's words, in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from crisis_engine.core.errors import said
from crisis_engine.words import LANGUAGES, knows, say

from .proof import Fault, Proof
from .situation import Step
from .town import Lack

_LETTERS = {"1": {"zh": "甲", "en": "A"}, "2": {"zh": "乙", "en": "B"}}
_ANSWERS = frozenset({"confirm", "decline", "withdraw"})


def tell(proof: Proof, fault: Fault, lang: str) -> list[str]:
    """Return the story of a fault, line by line: what happened before, when, and last what law does not hold."""
    lines, at = [], timedelta()
    for step in fault.story:
        at += step.waited
        lines.append(f"{say_span(at, lang)}  {_step(proof, step, lang)}")
    if fault.lack is not None and (lack := _lack(proof, fault.lack, lang)):
        lines.append(lack)
    return lines


def say_fault(proof: Proof, fault: Fault, lang: str) -> str:
    """Return the law that does not hold, as a sentence."""
    return say(f"prover.law.{fault.law}", lang, what=_name(proof, fault.what, lang))


def say_span(span: timedelta, lang: str) -> str:
    """Return a length of time in its two largest units."""
    minutes = int(span.total_seconds() // 60)
    parts = [("time.days", minutes // 1440), ("time.hours", minutes % 1440 // 60), ("time.minutes", minutes % 60)]
    while len(parts) > 1 and not parts[0][1]:
        parts.pop(0)
    return "".join(say(key, lang, n=n) for key, n in parts[:2] if n or key == parts[0][0]).strip()


def as_json(proof: Proof) -> dict[str, Any]:
    """Return the proof as a document for programs; each text in both languages."""
    return {
        "workflow": proof.workflow, "policy": proof.policy, "holds": proof.holds, "situations": proof.situations,
        "decisions": proof.decisions,
        "faults": [{
            "law": fault.law, "what": fault.what,
            "says": {lang: say_fault(proof, fault, lang) for lang in LANGUAGES},
            "story": {lang: tell(proof, fault, lang) for lang in LANGUAGES},
        } for fault in proof.faults],
        "worst": [{"stage": one.stage, "risk": one.risk.value, "seconds": int(one.after.total_seconds()), "from": one.tier.value}
                  for one in proof.worst],
    }


def _step(proof: Proof, step: Step, lang: str) -> str:
    if step.move == "silence":
        return say("prover.silence", lang)
    who = _person(proof, step.who, lang)
    if step.move in _ANSWERS:
        move = say(f"prover.{step.move}", lang, move=_label(proof, f"move.{step.of}", step.of, lang))
    else:
        move = _label(proof, f"move.{step.move}", step.move, lang)
    form = ", ".join(f"{name} {_value(proof, name, value, lang)}" for name, value in step.form.items())
    return say("prover.step", lang, who=who, move=f"{move} ({form})" if form else move)


def _value(proof: Proof, name: str, value: object, lang: str) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if name == "clock":
        return _label(proof, f"clock.{value}", str(value), lang)
    for kind in ("risk", "tier"):
        if knows(f"{kind}.{value}"):
            return say(f"{kind}.{value}", lang)
    return str(value)


def _person(proof: Proof, person: str, lang: str) -> str:
    role, _, number = person.rpartition(".")
    if not role:
        return person
    return f"{_label(proof, f'role.{role}', role, lang)} {_LETTERS.get(number, {}).get(lang, number)}"


def _lack(proof: Proof, lack: Lack, lang: str) -> str:
    named = [say(f"tier.{tier.value}", lang) for tier in sorted(lack.levels, key=lambda tier: tier.rank)]
    if named:
        return say("prover.lack.levels", lang, what=", ".join(named))
    named = [say(f"tier.{tier.value}", lang) for tier in sorted(lack.empty, key=lambda tier: tier.rank)]
    if named:
        return say("prover.lack.empty", lang, what=", ".join(named))
    named = [_label(proof, f"role.{role}", role, lang) for role in sorted(lack.roles)]
    return say("prover.lack.roles", lang, what=", ".join(named)) if named else ""


def _name(proof: Proof, what: str, lang: str) -> str:
    """Return what a law names by its label: a stage, a clock, a move, a level, a risk; of `clock:role` both."""
    first, _, role = what.partition(":")
    for kind in ("stage", "clock", "move", "role"):
        if f"{kind}.{first}" in proof.labels:
            label = proof.labels[f"{kind}.{first}"].get(lang, first)
            return f"{label} ({first})" + (f", {_label(proof, f'role.{role}', role, lang)}" if role else "")
    for kind in ("tier", "risk"):
        if knows(f"{kind}.{first}"):
            return say(f"{kind}.{first}", lang)
    return said(first)


def _label(proof: Proof, key: str, name: str, lang: str) -> str:
    labels: Mapping[str, str] = proof.labels.get(key, {})
    return labels.get(lang, name)
