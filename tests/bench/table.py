"""The README's table: rows as templates over the figures of one run, written between the markers of each language."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .figure import Figure, shown

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
_TOKEN = re.compile(r"<([a-z0-9_.-]+)(?::([a-z0-9_]+))?>")


@dataclass(frozen=True)
class Row:
    """A row: what it is, a template of what was measured, what was asked. `<key>` is a figure, `<key:fact>` one of its facts.

    A template's parts are divided by `; `; a part whose figures the run does not have is left out, and a row without parts too.
    """

    en: str
    zh: str
    cell_en: str
    cell_zh: str
    asked: str = ""


def _databases(template: str) -> str:
    """Return a template for both databases."""
    names = (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))
    return "; ".join(template.replace("DB", key).replace("NAME", name) for key, name in names)


def _row(en: str, zh: str, cell_en: str, cell_zh: str, asked: str = "") -> Row:
    """Return a row about both databases: DB is the key of one, NAME its name."""
    return Row(en, zh, _databases(cell_en), _databases(cell_zh), asked)


ROWS = (
    _row("sweep, escalations a second, one process", "sweep，每秒升级数，一个进程", "<sweep.DB.1> NAME", "NAME <sweep.DB.1>", "12,000"),
    _row("the same, two processes", "同上，两个进程", "<sweep.DB.2> NAME", "NAME <sweep.DB.2>"),
    _row("the same rows by the plain driver", "同样的行由驱动直接写入", "<sweep.DB.1:raw> NAME", "NAME <sweep.DB.1:raw>"),
    Row("APScheduler 3, jobs that do nothing", "APScheduler 3，空任务",
        "<peer.apscheduler.sqlite> SQLite; <peer.apscheduler-normal.sqlite> SQLite, not safe from a power cut",
        "SQLite <peer.apscheduler.sqlite>; SQLite <peer.apscheduler-normal.sqlite>（断电可能丢失）"),
    Row("procrastinate, jobs that do nothing", "procrastinate，空任务",
        "<peer.procrastinate.postgresql> PostgreSQL", "PostgreSQL <peer.procrastinate.postgresql>"),
    _row("DBOS, workflows that do nothing", "DBOS，空流程", "<peer.dbos.DB> NAME", "NAME <peer.dbos.DB>"),
    _row("one process to the fastest equally durable peer", "一个进程与同等持久性的最快同类之比",
         "<peer.ratio.DB>x NAME", "NAME <peer.ratio.DB> 倍", "15x"),
    _row("the daemon, the same backlog by the wall clock", "守护进程按真实时钟清空同样的积压",
         "<daemon.DB.1> NAME", "NAME <daemon.DB.1>", "12,000"),
    _row("the same, two daemons", "同上，两个守护进程", "<daemon.DB.2> NAME", "NAME <daemon.DB.2>", "20,000 PostgreSQL"),
    _row("an operator's command while a backlog drains", "积压清空期间操作员的一条命令",
         "p50 <wait.DB> ms, at most <wait.DB:max> ms NAME", "NAME 中位 <wait.DB> ms，最长 <wait.DB:max> ms", "< 300 ms"),
    _row("lateness of a rung, a steady number due each second", "每秒稳定到期时的迟延",
         "p99 <lateness.DB> ms, at most <lateness.DB:max> ms NAME", "NAME p99 <lateness.DB> ms，最长 <lateness.DB:max> ms",
         "p99 < 250 ms, < 2 s"),
    _row("resident memory of the daemon", "守护进程常驻内存", "<memory.DB> MB NAME", "NAME <memory.DB> MB", "< 200 MB"),
    _row("idle sweep", "空转一次 sweep", "<idle.DB> ms NAME", "NAME <idle.DB> ms", "< 1 ms"),
    _row("idle sweep, most armed to fewest", "空转成本，最多与最少时限之比", "<growth.DB>x NAME", "NAME <growth.DB> 倍", "1.3x"),
    _row("`engine.act`, durable commands a second", "`engine.act`，每秒落盘命令数", "<act.DB> NAME", "NAME <act.DB>", "800"),
    _row("open cases moved to another policy a second, a daemon beside it", "运行中的个案迁到新时限，每秒个数，守护进程同时运行",
         "<migrate.DB> NAME", "NAME <migrate.DB>"),
    Row("`crisis --help`", "`crisis --help`", "<help> ms", "<help> ms", "< 300 ms"),
    _row("`crisis queue` in the whole city", "`crisis queue`，整座城市", "<queue.DB> ms NAME", "NAME <queue.DB> ms", "< 500 ms"),
    Row("access decisions a second", "权限判定，每秒次数", "<access>", "<access>", "500,000"),
    Row("`audit verify`, events a second, two processes", "`audit verify`，每秒事件数，两个进程",
        "<verify.sqlite.2>", "<verify.sqlite.2>", "100,000"),
)

HEADS = {"en": ("figure", "measured", "asked"), "zh": ("指标", "实测", "要求")}
PICTURES = {"en": ("docs/bench.svg", "Figures of the benchmark as a chart"), "zh": ("docs/bench.zh-CN.svg", "基准测试结果图")}
READMES = {"en": "README.md", "zh": "README.zh-CN.md"}


def filled(template: str, figures: Mapping[str, Figure]) -> str:
    """Return the parts of a template whose figures are all there."""
    parts = []
    for part in template.split("; "):
        values = [_value(figures, *found) for found in _TOKEN.findall(part)]
        if None not in values:
            parts.append(_TOKEN.sub("{}", part).format(*(shown(value) for value in values if value is not None)))
    return "; ".join(parts)


def _value(figures: Mapping[str, Figure], key: str, fact: str) -> float | None:
    figure = figures.get(key)
    if figure is None:
        return None
    return float(figure.facts[fact]) if fact else figure.value


def table(figures: Mapping[str, Figure], machine: Mapping[str, str], lang: str) -> str:
    """Return the block between the markers: the table, the chart, and of what machine it is."""
    lines = [f"| {' | '.join(HEADS[lang])} |", "|---|---|---|"]
    for row in ROWS:
        cell = filled(row.cell_en if lang == "en" else row.cell_zh, figures)
        if cell:
            lines.append(f"| {row.en if lang == 'en' else row.zh} | {cell} | {row.asked} |")
    path, alt = PICTURES[lang]
    processor, cores, python, at = (machine.get(name, "?") for name in ("processor", "cores", "python", "at"))
    where = (f"Measured on {processor}, {cores} cores, Python {python}, {at}." if lang == "en"
             else f"测量环境：{processor}，{cores} 核，Python {python}，{at}。")
    return "\n".join([*lines, "", f"![{alt}]({path})", "", where])


def replaced(text: str, block: str) -> str:
    """Return a README with the block between its markers; ValueError where they are not there once each, in this order."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"The README needs {BEGIN} and {END} once each, in this order.")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{block}\n{END}{rest.split(END)[1]}"


def write(root: Path, figures: Mapping[str, Figure], machine: Mapping[str, str]) -> None:
    """Renew the table in the README of each language; both, or neither."""
    texts = {}
    for lang, name in READMES.items():
        try:
            texts[root / name] = replaced((root / name).read_text(encoding="utf-8"), table(figures, machine, lang))
        except (OSError, ValueError) as error:
            sys.exit(f"{root / name}: {error}")
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
