"""The proof of the log, case by case: chains, commitments, columns, and that each log folds to its row and clocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection

from crisis_engine.core.attachment import descriptions
from crisis_engine.core.errors import CrisisError, KeyFault, StoreError
from crisis_engine.core.events import Event
from crisis_engine.core.evolve import Folding
from crisis_engine.core.procedure import Procedure
from crisis_engine.store.case import CASE_COLUMNS, CLOCK_COLUMNS, clock_values, clocks_of, state_of, values_of
from crisis_engine.store.dialect import dialect_of
from crisis_engine.store.record import GENESIS, SALT_BYTES, RawRecord, open_envelope, proven

CHAIN, FOLD, CLOCKS, RULES, ATTACHED = "chain", "fold", "clocks", "rules", "attached"
"""What can be wrong with a case: its records, its row, its clocks, the promises that its row asks of the database, its attachments."""

CASES_AT_ONCE = 200
"""So many cases are read together: memory is bounded by their logs."""

LEAST_ID, MOST_ID = -(2**63), 2**63 - 1

# By case and place in the log, without a look at the case: a log without a row is seen too.
_RECORDS = (
    'SELECT case_id, seq, at, kind, "by", second, two, header, commitment, secret, prev, hash, deadline, rung, times'
    " FROM crisis_event WHERE case_id > :after AND case_id <= :last ORDER BY case_id, seq"
)
_CASES = f"SELECT {CASE_COLUMNS} FROM crisis_case WHERE id > :after AND id <= :last ORDER BY id"  # noqa: S608 (constants)
_CLOCKS = (
    f"SELECT {CLOCK_COLUMNS} FROM crisis_deadline WHERE status = 'armed' AND case_id > :after AND case_id <= :last"  # noqa: S608 (constants)
    " ORDER BY case_id, name, n"
)
_FILES = (
    "SELECT case_id, seq, n, size, length(content) FROM crisis_attachment WHERE case_id > :after AND case_id <= :last ORDER BY case_id"
)
_DESCRIBES = b'"sha256":"'   # in the JSON of a secret a text has its quotes escaped, so this stands there as a key alone
_NUMBER, _PROCEDURE, _VERSION, _TWO, _SOLE, _HEAD = (
    CASE_COLUMNS.split(", ").index(name) for name in ("number", "procedure", "version", "two", "sole", "head")
)


_SECRET, _HASH = RawRecord._fields.index("secret"), RawRecord._fields.index("hash")


class Flaw(NamedTuple):
    """Where the database is not what was written: the case, the record if it is one, which check, and what is wrong."""

    number: str
    seq: int | None
    check: str
    what: str

    def __str__(self) -> str:
        if not self.number:
            return self.what
        return f"case {self.number}, record {self.seq}: {self.what}" if self.seq is not None else f"case {self.number}: {self.what}"


class Seen(NamedTuple):
    """One case that was walked through: how many records it has, its events as far as they can be read, its flaws."""

    case_id: int
    number: str
    records: int
    events: list[Event]
    flaws: list[Flaw]


class Attached(Protocol):
    """What says which of a case's attachments are not what its records describe (store/attachment.py)."""

    def __call__(
        self, number: str, described: list[Mapping[str, Any]], stored: list[tuple[int, int, int, int]], *, whole: bool,
    ) -> Iterator[Flaw]:
        """Yield the flaws."""


class Walk:
    """Walks through cases by their row ids; keeps what it learned of their procedures."""

    def __init__(self, connection: Connection, opened: Callable[[RawRecord], RawRecord], attached: Attached) -> None:
        """Walk on a connection; `opened` gives a record whose secret can be held against its commitment, `attached` the files' flaws."""
        self._connection, self._opened, self._attached = connection, opened, attached
        self._sql = dialect_of(connection)
        self.closed = 0   # secrets that were not proven, for the master key is not at hand
        self._rules: dict[str, tuple[bool, bool] | None] = {}

    def number(self, number: str) -> Iterator[Seen]:
        """Yield the case of that number, if there is one."""
        for (case_id,) in self._fetch("SELECT id FROM crisis_case WHERE number = :number", number=number):
            yield from self._through(case_id - 1, case_id)

    def every(self, after: int = LEAST_ID, last: int = MOST_ID, *, stride: int = 1) -> Iterator[Seen]:
        """Yield the cases whose row id is above `after` and at most `last`, in their order; with a stride only every so-many-th.

        Without a stride a log whose case has no row is yielded too, in the place of its row.
        """
        while True:
            ids = self._ids(after, last, stride)
            if stride != 1:
                for one in ids:
                    yield from self._through(one - 1, one)
            else:
                yield from self._through(after, ids[-1] if len(ids) == CASES_AT_ONCE else last)
            if len(ids) < CASES_AT_ONCE:
                return
            after = ids[-1]

    def _ids(self, after: int, last: int, stride: int) -> list[int]:
        sql = "SELECT id FROM crisis_case WHERE id > :after AND id <= :last AND id % :stride = 0 ORDER BY id LIMIT :most"
        return [row[0] for row in self._fetch(sql, after=after, last=last, stride=stride, most=CASES_AT_ONCE)]

    def _fetch(self, sql: str, **binds: object) -> list[tuple[Any, ...]]:
        return self._sql.fetch(self._connection, sql, binds)

    def _through(self, after: int, last: int) -> Iterator[Seen]:
        cases, records, clocks, stored = (self._read(sql, after, last) for sql in (_CASES, _RECORDS, _CLOCKS, _FILES))
        files = {case_id: [tuple(row[1:]) for row in found] for case_id, found in groupby(stored, itemgetter(0))}
        rows = {row[0]: row for row in cases}
        running = {case_id: list(found) for case_id, found in groupby(clocks, itemgetter(0))}
        for case_id, log in groupby(records, itemgetter(0)):
            row = rows.pop(case_id, None)
            if row is None:
                yield self._without_row(case_id, log)
            else:
                yield self._one(row, log, running.get(case_id, []), files.pop(case_id, []))
        for row in rows.values():
            yield self._one(row, (), running.get(row[0], []), files.pop(row[0], []))

    def _read(self, sql: str, after: int, last: int) -> list[tuple[Any, ...]]:
        binds = {"after": after, "last": last}
        try:
            return self._sql.fetch(self._connection, sql, binds)
        except StoreError:  # bytes that are no text any more, most likely: kept as they are, they fit nothing
            return self._sql.fetch_bytes(self._connection, sql, binds)

    def _without_row(self, case_id: int, log: Iterator[Sequence[Any]]) -> Seen:
        records = list(log)
        header = str(records[0][7])
        number = header.partition('"case":"')[2].partition('"')[0]
        number = _printable(number) or f"#{case_id}"
        return Seen(case_id, number, len(records), [], [Flaw(number, None, CHAIN, "there is a log but no case")])

    def _one(  # noqa: C901 (one branch for each thing that can be wrong)
        self, row: Sequence[Any], log: Iterator[Sequence[Any]] | Sequence[Sequence[Any]], clocks: Sequence[Sequence[Any]], files: list[Any],
    ) -> Seen:
        number, version, head = row[_NUMBER], row[_VERSION], row[_HEAD]
        said = _printable(number)
        flaws: list[Flaw] = []
        events: list[Event] = []
        folding: Folding | None = Folding()
        prev, seq, records = GENESIS, 0, 0
        described: list[Mapping[str, Any]] = []
        whole = True   # every secret could be looked at
        for values in log:
            record = (number, *values[1:])
            if record[_SECRET] is None:
                event, wrong = proven(record, prev, seq + 1)
            else:
                opened, sealed = self._open(RawRecord._make(record))
                event, wrong = proven(opened, prev, seq + 1)
                wrong += sealed
                whole = whole and not wrong and opened.secret is not None
                described += _described(opened) if whole else ()
            prev, seq, records = record[_HASH], record[1], records + 1
            if wrong:
                flaws += [Flaw(said, seq, CHAIN, what) for what in wrong]
                folding = None
            if event is not None:
                events.append(event)
            if event is not None and folding is not None:
                try:
                    folding.add(event)
                except (ValueError, KeyError):
                    flaws.append(Flaw(said, seq, FOLD, "does not fit the case as it stood then"))
                    folding = None
        if seq != version:
            flaws.append(Flaw(said, None, CHAIN, f"the row says version {version}, the log ends at {seq}"))
        elif prev != head:
            flaws.append(Flaw(said, None, CHAIN, "the row's head is not the last record's hash"))
        elif folding is not None and seq:
            flaws += self._folded(said, folding, row, clocks)
        if described or files:
            flaws += self._attached(number, described, files, whole=whole)
        return Seen(row[0], said, records, events, flaws)

    def _open(self, record: RawRecord) -> tuple[RawRecord, list[str]]:
        """Return the record with its secret open, and what is wrong with that; a copy without its key proves all but the secrets."""
        reasons: list[str] = []
        try:
            opened = self._opened(record)
        except KeyFault:
            self.closed += 1
        except (CrisisError, TypeError, ValueError, AttributeError):   # not what was sealed, or its number is no text any more
            reasons.append("secret and commitment do not fit")
        else:
            if opened.secret is None:   # an erasure by two takes the secrets out too
                reasons.append("the key of its secret is gone, and nobody erased it")
            return opened, reasons
        return record._replace(secret=None), reasons

    def _folded(self, number: str, folding: Folding, row: Sequence[Any], clocks: Sequence[Sequence[Any]]) -> Iterator[Flaw]:
        """Compare the row and the clocks column by column with what the log folds to, derived columns and all."""
        case = folding.case()
        values = values_of(case, row[_HEAD], state_of(case), clocks_of(case), two=row[_TWO], sole=row[_SOLE])
        if values[:-1] != tuple(row[1:-1]):
            yield Flaw(number, None, FOLD, "the row is not what its log comes to")
        if values[-1] != row[-1]:
            yield Flaw(number, None, CLOCKS, "its clocks are not what its log comes to")
        elif [clock_values(row[0], clock) for clock in sorted(case.clocks, key=_place)] != list(clocks):
            yield Flaw(number, None, CLOCKS, "its clocks in the queues are not what its log comes to")
        rules = self._rules_of(case.procedure)
        if rules is not None and rules != (row[_TWO], row[_SOLE]):
            yield Flaw(number, None, RULES, "the row does not ask for the signatures that its procedure asks for")

    def _rules_of(self, digest: str) -> tuple[bool, bool] | None:
        """Return what the pinned procedure says of `two` and `sole`; None where it is missing or unsound, which is a flaw of its own."""
        if digest not in self._rules:
            body = self._fetch("SELECT body FROM crisis_definition WHERE hash = :hash", hash=digest)
            try:
                procedure = Procedure.from_body(body[0][0] if body else "")
                self._rules[digest] = procedure.two, procedure.workflow.one_open_per_subject
            except CrisisError:
                self._rules[digest] = None
        return self._rules[digest]


def _described(opened: RawRecord) -> Iterator[Mapping[str, Any]]:
    """Yield what the open secret of a record describes of its attachments."""
    if opened.secret is not None and _DESCRIBES in opened.secret:
        yield from descriptions(json.loads(open_envelope(opened.secret)[SALT_BYTES:]))


_place = attrgetter("name", "n")


def _printable(number: object) -> str:
    """Return a case number as a sentence may show it, also where its bytes are no text any more."""
    return str(number).encode("ascii", "replace").decode()[:40]
