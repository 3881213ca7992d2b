"""The prover: shows of a workflow with its policy, by exhaustion and with the real core, that no case can be forgotten or stuck.

What is exhausted is the abstract situation: stage x tier x risk x danger x lead, and beside it one thing that stands open (a
proposal, a new signal, a pause, an unknown child). For each the proof keeps one real case, made by real moves (`decide`, `evolve`,
`settle`, `rung`); there is no second model. Why that is exact:

- Time: a situation is shifted to one instant (situation.py). The core reads differences of times, and the calendar; the proof's calendar
  has no working day for longer than any cap, so each paper clock runs to its cap, which bounds it on every calendar (town.py).
- Standing clocks are a function of stage, danger, tier and lead: `settle` arms what stands and drops what does not, after each decision.
- Once clocks neither start nor stop each other, and no move but by `meets` and a trigger touches one. More of them only add rungs,
  and a rung only raises and tells; so the silence of the situation with its standing clocks alone, each at its longest, is the
  worst (silence.py).
- Facts, duties owed and quiet time are read by guards alone. Where such a guard refuses, what it asks for is first done by real moves
  that leave the situation as it is (prepare.py); guards that look at the situation itself are tried in every situation.
- A move does the same wherever all that it reads is the same, and leaves the rest as it was; so it is tried once for each value of
  what it reads (reading.py), and wherever it would lead to a situation that was not seen yet. Who may make it grows with the tier.
- People: two of each role, and variants of the town that lack a level, a role, or everybody up to a level (town.py, vacancy.py). Who is
  not the first that is found is not missed when absent, so only the absence of those is tried.

What is not proven stands in docs/definitions.md.
"""

from __future__ import annotations

from .proof import Fault, Proof, prove, prove_all, prove_named
from .silence import Worst
from .situation import Step
from .story import as_json, say_fault, say_span, tell

__all__ = ["Fault", "Proof", "Step", "Worst", "as_json", "prove", "prove_all", "prove_named", "say_fault", "say_span", "tell"]
