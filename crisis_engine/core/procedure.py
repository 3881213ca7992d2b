"""A procedure: one workflow with one policy as a case is pinned to them, by the hash of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from .deadline import Steps
from .errors import DefinitionError
from .model import Risk
from .parse_policy import parse_policy
from .parse_workflow import parse_workflow
from .policy import Policy
from .workflow import ClockDef, Graph, TierLadder, Workflow, tier_ladder


@dataclass(frozen=True)
class Procedure:
    """What a case follows until it ends, whatever the files say later.

    `body` is JSON of both documents, the policy flattened with what it extends; comments and layout are gone, the order of the
    file stays, because people see moves and fields in it. `hash` is the SHA-256 of the body in hex.
    """

    workflow: Workflow
    policy: Policy
    body: str
    hash: str

    @classmethod
    def of(
        cls, workflow_doc: Mapping[str, object], policy_doc: Mapping[str, object], *, files: tuple[str, str] = ("", "")
    ) -> Procedure:
        """Return the procedure of two complete documents; DefinitionError with the name of the file when one is wrong."""
        workflow, policy = parse_workflow(workflow_doc, files[0]), parse_policy(policy_doc, files[1])
        body = json.dumps({"workflow": workflow_doc, "policy": policy_doc}, ensure_ascii=False, separators=(",", ":"))
        return cls(workflow, policy, body, hashlib.sha256(body.encode()).hexdigest())

    @classmethod
    def from_body(cls, body: str) -> Procedure:
        """Return the same procedure that had this body; DefinitionError when it is none."""
        try:
            docs = json.loads(body)
            workflow_doc, policy_doc = docs["workflow"], docs["policy"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise DefinitionError(
                "this is no body of a procedure.", way_out="Load the definitions again from their files."
            ) from None
        return cls(
            parse_workflow(workflow_doc, "stored workflow"),
            parse_policy(policy_doc, "stored policy"),
            body,
            hashlib.sha256(body.encode()).hexdigest(),
        )

    @cached_property
    def graph(self) -> Graph:
        """The workflow's stages as a machine, compiled when the first case moves."""
        return Graph(self.workflow)

    @cached_property
    def raised_clocks(self) -> tuple[ClockDef, ...]:
        """The clocks that a raise by a rung touches: it can start those of a flag, and hands on those that go with the tier."""
        return tuple(clock for clock in self.workflow.clocks.values() if clock.flag is not None or clock.who == "tier_holder")

    @cached_property
    def _steps(self) -> dict[tuple[str, Risk], Steps]:
        return {}

    def steps(self, clock: str, risk: Risk) -> Steps:
        """The steps of a clock at a risk."""
        found = self._steps.get((clock, risk))
        if found is None:
            found = self._steps[clock, risk] = Steps.of(self.policy, clock, risk)
        return found

    @cached_property
    def two(self) -> bool:
        """Whether the database must see two signers of every ending; a settled track ends with its parent, who had them."""
        return not any(move.when == "parent_ended" for move in self.workflow.moves.values())

    @cached_property
    def signed_moves(self) -> tuple[str, ...]:
        """The moves that two people must sign each time, in the order of the file.

        One that does nothing but lower the risk is not among them: from which risks it needs a second is the policy's.
        """
        return tuple(move.name for move in self.workflow.moves.values() if move.second and not move.only_lowers and not move.engine_only)

    @property
    def tiers(self) -> TierLadder:
        """The tiers as a machine."""
        return tier_ladder()
