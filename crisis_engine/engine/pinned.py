"""What open cases are pinned to: how many a change of their procedure would touch."""

from __future__ import annotations

from collections.abc import Sequence

from .worlds import Worlds


class Pinned(Worlds):
    """What the face says of the procedures that cases follow."""

    def affected(
        self, definition: str, wanted: Sequence[tuple[str | None, str | None, str | None]], *, by: str,
    ) -> list[int | None]:
        """Return for each (clock, risk, stage) how many open cases that follow this workflow or policy it is about.

        None where nothing is asked (neither clock nor stage), and where the number is too small to be told. Raises NotAllowed.
        """
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "procedure.migrate")
            procedures, least = tx.procedures_of(definition), self._sources.access.least_count

            counts = [
                None if clock is None and stage is None else tx.count_pinned(procedures, clock=clock, risk=risk, stage=stage)
                for clock, risk, stage in wanted
            ]

            return [count if count is None or count == 0 or count >= least else None for count in counts]
