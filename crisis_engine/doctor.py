"""The doctor: checks every promise of DESIGN.md section 2 on a live database, reads only, and says case numbers, never facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType

from crisis_engine import machine
from crisis_engine.core import events as ev
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError, StoreError
from crisis_engine.core.evolve import Folding
from crisis_engine.core.guard import is_raised
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.workflow import ClockDef
from crisis_engine.engine import Engine
from crisis_engine.refusals import in_chinese
from crisis_engine.store import Tx
from crisis_engine.store import examine as ask
from crisis_engine.store.prove import ATTACHED, CHAIN, CLOCKS, FOLD, RULES, Seen

__all__ = ["MOST_NUMBERS", "SAMPLE", "Finding", "examine"]

MOST_NUMBERS = 20
"""So many case numbers a finding names; the sentence counts them all."""

SAMPLE = 200
"""So many cases the quick examination folds and verifies."""

PATIENCE = timedelta(minutes=5)
"""What is due and was not done for longer is not merely about to be done (D: our design)."""

SILENCE = timedelta(minutes=10)
"""A last sweep that long ago, with cases open, means that nobody sweeps: the engine's own gap alarm says the same."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one promise: whether it holds, in a sentence, and the numbers of the cases where it does not."""

    promise: int
    name: str
    ok: bool
    text_en: str
    text_zh: str
    cases: tuple[str, ...] = ()


def examine(engine: Engine, *, quick: bool = False) -> list[Finding]:
    """Return one finding for each check, in the order of the promises, all of them seen in one snapshot of the database.

    Nothing is written. `quick` folds and verifies a sample of SAMPLE cases instead of all, and lets SQLite check less. Memory does
    not grow with the number of cases. A damaged database gives broken findings; StoreError only where it cannot be read at all.
    """
    findings: list[Finding] = []
    try:
        with engine.store.reading() as tx:
            findings += _Examination(tx, engine, sandbox=tx.meta("sandbox") == "yes", quick=quick).findings()
    except StoreError:
        if not findings:  # else a damaged file refused the end of the transaction: the findings say so already
            raise
    return sorted(findings, key=lambda finding: (finding.promise, _ORDER[finding.name]))


class _Examination:
    """One examination: the transaction, the instant, and what was found so far by check."""

    def __init__(self, tx: Tx, engine: Engine, *, sandbox: bool, quick: bool) -> None:
        self.tx, self.store, self.quick, self.sandbox = tx, engine.store, quick, sandbox
        self.swept, self.clock = tx.heartbeats().get("sweep"), engine.now()
        self.now = max(self.clock, self.swept or self.clock)
        self.procedures: dict[str, Procedure | None] = {}
        self.numbers: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}
        self.seen = 0

    def findings(self) -> Iterator[Finding]:
        """Yield the findings, a check that could not be made among the broken ones."""
        yield from self._guarded("file", self._file)
        yield from self._guarded("settings", self._settings)
        yield from self._guarded("guardians", self._guardians)
        for name in ask.QUERIES:
            if name not in _ELSEWHERE:
                yield from self._guarded(name, lambda name=name: self._asked(name))  # type: ignore[misc]
        yield from self._guarded("gone_holders", self._gone)
        yield from self._guarded("leaks", lambda: self._told("leaks", (leak.number for leak in ask.leaks(self.tx))))
        yield from self._guarded("undelivered", self._undelivered)
        yield from self._guarded("definitions", self._definitions)
        yield from self._guarded("sweeps", self._sweeps)
        for name in machine.CHECKS:
            yield from self._guarded(name, lambda name=name: self._of_machine(name))  # type: ignore[misc]
        yield from self._guarded("chain", self._walk)

    def _guarded(self, name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
        try:
            yield from list(check())
        except CrisisError as error:
            yield Finding(_WORDS[name][0], name, ok=False, text_en=f"{name} could not be checked: {error.message}",
                          text_zh=f"无法检查（{name}）：{in_chinese(error.message)}")

    def _say(self, name: str, cases: Iterable[str], count: int, variant: str = "", **fields: object) -> Finding:
        """Put a result into words; a variant is another sentence of the same check, for something that is no broken promise."""
        promise, *texts = _WORDS[name + variant]
        zh, en = texts[-2:] if count else texts[:2]
        return Finding(promise, name, ok=not count or bool(variant), text_en=en.format(count=count, **fields),
                       text_zh=zh.format(count=count, **fields), cases=tuple(cases))

    def _told(self, name: str, numbers: Iterable[str]) -> list[Finding]:
        """Count what a stream of numbers holds and keep the first few; a number that comes again at once counts once."""
        kept: list[str] = []
        count, last = 0, ""
        for number in numbers:
            if number != last:
                count += 1
                kept += [number][:MOST_NUMBERS - len(kept)]
            last = number
        return [self._say(name, kept, count)]

    def _asked(self, name: str) -> list[Finding]:
        return self._told(name, ask.broken(self.tx, name, now=self.now, swept=self.swept or self.now, patience=self.now - PATIENCE))

    # ---- the database itself ------------------------------------------------------------------------------------------------

    def _file(self) -> list[Finding]:
        return [self._say("file", (), sum(1 for _ in ask.damages(self.tx, quick=self.quick)))]

    def _settings(self) -> list[Finding]:
        found = ask.settings(self.tx)
        ok = found["synchronous"] in {"2", "full"} and found["journal_mode"] in {"wal", "memory"}
        return [self._say("settings", (), int(not ok), sync=found["synchronous"], journal=found["journal_mode"])]

    def _guardians(self) -> list[Finding]:
        missing = ask.missing_guardians(self.tx)
        return [self._say("guardians", (), len(missing), names=", ".join(missing))]

    def _definitions(self) -> list[Finding]:
        wrong = 0
        for digest, body in ask.definitions(self.tx):
            try:
                sound = sha256(body.encode()).hexdigest() == digest and Procedure.from_body(body).hash == digest
            except CrisisError:
                sound = False
            wrong += not sound
        return [self._say("definitions", (), wrong)]

    # ---- time ---------------------------------------------------------------------------------------------------------------

    def _gone(self) -> list[Finding]:
        """Whoever left after the last sweep may still hold a clock: the next sweep hands it over."""
        if self.swept is None:
            return [self._say("gone_holders", (), 0)]
        return self._asked("gone_holders")

    def _undelivered(self) -> list[Finding]:
        """In a sandbox nobody waits for a message; elsewhere an outbox that nobody empties is a broken promise."""
        finding = self._asked("undelivered")[0]
        if finding.ok or not self.sandbox:
            return [finding]
        return [self._say("undelivered", (), len(finding.cases), "_sandbox")]

    def _sweeps(self) -> list[Finding]:
        if self.swept is None:
            return [self._say("sweeps", (), 0, "_none")]
        at = _clock(self.swept)
        if self.tx.counts()["open_cases"] and not self.sandbox and self.now - self.swept > SILENCE:
            return [self._say("sweeps", (), 1, at=at)]
        since, _, until = (self.tx.meta("last_gap") or "").partition("/")
        if until:
            since, until = (_clock(datetime.fromisoformat(one)) for one in (since, until))
            return [self._say("sweeps", (), 0, "_gap", at=at, since=since, until=until)]
        return [self._say("sweeps", (), 0, at=at)]

    def _of_machine(self, name: str) -> list[Finding]:
        wrong, fields = machine.CHECKS[name](self.store, self.tx, self.clock)
        return [self._say(name, (), wrong, **fields)]

    # ---- case by case -------------------------------------------------------------------------------------------------------

    def _stride(self) -> int:
        return max(1, self.tx.counts()["cases"] // SAMPLE) if self.quick else 1

    def _walk(self) -> list[Finding]:
        """Prove each case as `crisis audit verify` does, and hold it against what its pinned procedure asks of a case that stands so."""
        for seen in self.tx.walk().every(stride=self._stride()):
            for check in dict.fromkeys(_CHECKS[flaw.check] for flaw in seen.flaws):
                self._note(check, seen.number)
            self._one(seen)
            self.seen += 1
        found = [self._say(name, self.numbers.get(name, ()), self.counts.get(name, 0), seen=self.seen) for name in ("chain", *_WALKED)]
        return found if not found[0].ok or self.tx.opens() else [self._say("chain", (), 0, "_sealed"), *found[1:]]

    def _note(self, name: str, number: str) -> None:
        kept = self.numbers.setdefault(name, [])
        self.counts[name] = self.counts.get(name, 0) + 1
        if len(kept) < MOST_NUMBERS:
            kept.append(number)

    def _one(self, seen: Seen) -> None:
        folding = Folding()
        procedure: Procedure | None = None
        lowered = True
        try:
            for event in seen.events:
                procedure = self._procedure(event.procedure) if isinstance(event, ev.Opened) else procedure
                lowered = lowered and _signed(folding.risk, event, procedure)
                folding.add(event)
        except (ValueError, KeyError):  # a flaw of the fold, which was noted
            pass
        if not lowered and not any(flaw.check == RULES for flaw in seen.flaws):
            self._note("lowered", seen.number)
        case = self._stored(seen.case_id) if seen.flaws else folding.case() if seen.events else None
        if case is not None and procedure is not None and case.open and _silent(case, procedure):
            self._note("standing", seen.number)

    def _stored(self, case_id: int) -> Case | None:
        """Return the case as its row says, where row and log differ; None where the row makes no sense as a case."""
        try:
            return next((stored.case for stored in self.tx.cases([case_id])), None)
        except (CrisisError, ValueError, KeyError, TypeError):
            return None

    def _procedure(self, digest: str) -> Procedure | None:
        """Return the pinned procedure; one that is missing or unsound is a finding of its own."""
        if digest not in self.procedures:
            body = self.tx.definition(digest)
            try:
                self.procedures[digest] = None if body is None else Procedure.from_body(body)
            except CrisisError:
                self.procedures[digest] = None
        return self.procedures[digest]


def _settles_with_parent(procedure: Procedure) -> bool:
    return any(move.when == "parent_ended" for move in procedure.workflow.moves.values())


def _silent(case: Case, procedure: Procedure) -> bool:
    """Whether a standing clock of this stage, or of a flag that holds, does not run."""
    running = {clock.name for clock in case.clocks}
    return any(_stands(clock, case, procedure) and clock.name not in running for clock in procedure.workflow.clocks.values())


def _stands(clock: ClockDef, case: Case, procedure: Procedure) -> bool:
    stage = procedure.workflow.stages.get(case.stage)
    if stage is None:
        return True
    if clock.flag == "danger":
        return case.danger
    if clock.flag == "raised":
        return is_raised(case.tier, case.lead or stage.lead or Tier.SCHOOL)
    return case.stage in clock.stages


def _signed(risk: Risk | None, event: ev.Event, procedure: Procedure | None) -> bool:
    """Whether two different people stand behind an event that lowers, from this risk, or ends."""
    if isinstance(event, ev.DangerEnded):
        return event.second is not None and event.second != event.by
    if isinstance(event, ev.RiskLowered):
        from_risks = {Risk.RED, Risk.ORANGE} | set(procedure.policy.second_to_lower_from if procedure is not None else ())
        return risk not in from_risks or (event.second is not None and event.second != event.by)
    if isinstance(event, ev.Moved) and event.final is not None and event.final != "merged":
        settled = procedure is not None and _settles_with_parent(procedure)
        return settled or (event.second is not None and event.second != event.by)
    return True


def _clock(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")


_ELSEWHERE = frozenset({"gone_holders", "undelivered"})
_CHECKS = {CHAIN: "chain", FOLD: "fold", CLOCKS: "clocks", RULES: "lowered", ATTACHED: "attachments"}
_WALKED = ("standing", "lowered", "fold", "clocks", "attachments")

# name -> promise, then Chinese and English when it holds, then Chinese and English when it does not (the same where it cannot fail)
_WORDS: Mapping[str, tuple[int, *tuple[str, ...]]] = MappingProxyType({
    "clocked": (1,
        "每个未结个案都有自己的时限在走。", "Every open case has a clock of its own running.",
        "{count} 个未结个案没有时限在走。", "{count} open cases have no clock running."),
    "next": (1,
        "每个个案的下一次到点与它的时限一致。", "Every case's next moment is that of its clocks.",
        "{count} 个个案的下一次到点与时限不符，可能不再提醒。",
        "{count} cases' next moment differs from their clocks', so that they may stay silent."),
    "standing": (1,
        "{seen} 个个案所处阶段的时限都在走。", "All clocks that the stage asks for run, in {seen} cases.",
        "{count} 个个案缺少所处阶段的时限（共查 {seen} 个）。", "{count} of {seen} cases lack a clock that their stage asks for."),
    "queues": (1,
        "每个时限都在负责人的待办里。", "Every running clock stands in the queue of whoever must meet it.",
        "{count} 个个案的时限与待办不一致。", "The clocks of {count} cases are not those of the queues."),
    "pauses": (1,
        "每次暂停都有到期时间。", "Every pause has an end, which is its next moment.",
        "{count} 个个案的暂停没有到期时间。", "{count} cases are paused without an end."),
    "answered": (1,
        "每个未结个案都有人负责，或已发出最终警报。", "Somebody answers for every open case, or the terminal alarm was raised.",
        "{count} 个个案无人负责，也没有发出最终警报。", "Nobody answers for {count} cases, and no terminal alarm was raised."),
    "file": (2,
        "数据库文件完好。", "The database file is whole.",
        "数据库文件有 {count} 处损坏。", "The database file is damaged in {count} places."),
    "settings": (2,
        "写入落盘后才确认（synchronous=FULL，日志方式 {journal}）。",
        "What is acknowledged is on the disk (synchronous=FULL, journal {journal}).",
        "确认的写入可能因断电丢失（synchronous={sync}，日志方式 {journal}）。",
        "Acknowledged writes may be lost (synchronous={sync}, journal {journal})."),
    "guardians": (2,
        "数据库自身的约束和触发器齐全。", "The database's own constraints and triggers are in place.",
        "数据库缺少 {count} 个约束或触发器：{names}。", "{count} constraints or triggers are missing: {names}."),
    "rungs": (2,
        "每一级提醒只触发一次。", "Every rung fired once.",
        "{count} 个个案有提醒重复触发。", "{count} cases have a rung that fired twice."),
    "notice_keys": (2,
        "每条通知只有一个编号。", "Every notice has a key of its own.",
        "{count} 个个案的通知编号重复。", "{count} cases have notices under one key."),
    "notice_cases": (2,
        "每条通知都属于一个个案。", "Every notice belongs to a case.",
        "{count} 条通知找不到个案（列出的是通知编号）。", "{count} notices have no case (their keys are listed)."),
    "recused_holders": (3,
        "应回避的人不承担任何时限。", "Nobody whom a case concerns holds a clock of it.",
        "{count} 个个案仍由应回避的人承担。", "{count} cases are held by somebody whom they concern."),
    "gone_holders": (3,
        "离岗或缺勤的人没有仍在承担的时限。", "Nobody who has left or is absent still holds a clock.",
        "{count} 个个案仍由已离岗或缺勤的人承担。", "{count} cases are held by somebody who was gone at the last sweep."),
    "endings": (4,
        "每个终结都有两人签字。", "Two people signed every ending.",
        "{count} 个终结没有两人签字。", "{count} endings lack two signers."),
    "signers": (4,
        "每个须两人签字的记录都有两人签字。", "Two people signed every record that asks for two.",
        "{count} 个个案有须两人签字而只有一人的记录。", "{count} cases have a record that asks for two signers and has one."),
    "lowered": (4,
        "{seen} 个个案中，降级与终结都由两人决定。", "Two people decided every lowering and ending, in {seen} cases.",
        "{count} 个个案的降级或终结不是两人决定（共查 {seen} 个）。", "{count} of {seen} cases were lowered or ended by fewer than two."),
    "chain_sealed": (5,
        "日志链完整；没有密钥，封存的内容没有核对。", "The log's chain is whole; without a key its secrets were not compared."),
    "chain": (5,
        "日志链完整。", "The log's chain is whole.",
        "{count} 个个案的日志链断裂或被改动。", "The chain of {count} cases is broken or was changed."),
    "fold": (5,
        "{seen} 个个案的日志与现状一致。", "The log folds to the row, in {seen} cases.",
        "{count} 个个案的日志与现状不一致（共查 {seen} 个）。", "The log of {count} of {seen} cases does not fold to the row."),
    "attachments": (5,
        "附件齐全，且是当初所附的内容。", "Every attachment is there, and is what was attached.",
        "{count} 个个案的附件缺失或被改动（共查 {seen} 个）。", "Attachments of {count} of {seen} cases are missing or were changed."),
    "clocks": (5,
        "{seen} 个个案的时限与日志一致。", "The clocks are those of the log, in {seen} cases.",
        "{count} 个个案的时限与日志不一致（共查 {seen} 个）。", "The clocks of {count} of {seen} cases are not those of the log."),
    "leaks": (6,
        "回避之后没有通知送给应回避的人。", "No notice went to somebody whom its case concerns.",
        "{count} 个个案在回避之后仍通知了应回避的人。", "{count} cases had a notice to somebody after the recusal."),
    "notice_words": (6,
        "通知里只有编号、事项和时间。", "Notices carry identifiers and times, nothing else.",
        "{count} 个个案的通知含有编号以外的内容。", "Notices of {count} cases carry more than identifiers."),
    "unfired": (7,
        "到点的提醒都已触发。", "Nothing that is due waits unfired.",
        "{count} 个个案到点超过 5 分钟仍未触发，请运行 crisis sweep。", "{count} cases are due for more than 5 minutes: run crisis sweep."),
    "undelivered": (7,
        "没有积压的通知。", "No notice is stuck in the outbox.",
        "{count} 个个案有超过 5 分钟未送出的通知，请运行 crisis deliver。",
        "Notices of {count} cases wait for more than 5 minutes: run crisis deliver."),
    "undelivered_sandbox": (7,
        "沙箱里有通知未送出；沙箱不算积压。", "Notices wait; in a sandbox nobody waits for them."),
    "dead_notices": (7,
        "没有放弃投递的通知。", "No notice was given up.",
        "{count} 个个案有放弃投递的通知。", "Notices of {count} cases were given up."),
    "unpinned": (8,
        "每个个案所用的流程都在库中。", "Every case's procedure is in the database.",
        "{count} 个个案所用的流程不在库中。", "The procedure of {count} cases is not in the database."),
    "definitions": (8,
        "库中流程与其指纹一致。", "Every procedure is what its hash says.",
        "{count} 个流程与其指纹不符。", "{count} procedures are not what their hash says."),
    "backwards": (9,
        "个案内的时间从不倒退。", "Time never runs back within a case.",
        "{count} 个个案内的时间倒退。", "Time runs back within {count} cases."),
    "sweeps": (9,
        "最近一次检查在 {at}。", "The last sweep was at {at}.",
        "最近一次检查在 {at}，已超过 10 分钟：没有人在检查时限。", "The last sweep was at {at}, more than 10 minutes ago: nobody sweeps."),
    "sweeps_gap": (9,
        "最近一次检查在 {at}；{since} 至 {until} 曾中断，到点的提醒随后一次补齐。",
        "The last sweep was at {at}; nobody swept from {since} to {until}, what fell due was then fired at once."),
    "sweeps_none": (9,
        "还没有检查过时限。", "Nobody has swept so far."),
    **machine.WORDS,
})  # fmt: skip

_ORDER = {name: place for place, name in enumerate(_WORDS)}
