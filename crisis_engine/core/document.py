"""A printed document (转介单、告知书) as data: what a workflow's file says that is to stand on the paper, and how secret that may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

Words = Mapping[str, str]
"""What a person reads, by language: {"zh": …, "en": …}."""


class Fact(NamedTuple):
    """Something that a document can print of the case itself, beside the fields of its forms."""

    secrecy: int
    label: Words


FACTS: Mapping[str, Fact] = MappingProxyType({
    "number": Fact(0, {"zh": "个案编号", "en": "case"}),
    "school": Fact(0, {"zh": "学校", "en": "school"}),
    "class": Fact(0, {"zh": "班级", "en": "class"}),
    "opened": Fact(0, {"zh": "开启日期", "en": "opened on"}),
    "printed": Fact(0, {"zh": "打印日期", "en": "printed on"}),
    "printed_by": Fact(0, {"zh": "打印人", "en": "printed by"}),
    "child": Fact(1, {"zh": "学生姓名", "en": "pupil's name"}),
    "ref": Fact(1, {"zh": "学生编号", "en": "pupil's id"}),
    "guardians": Fact(1, {"zh": "监护人及联系方式", "en": "guardians and how to reach them"}),
    "addressee": Fact(1, {"zh": "接收机构", "en": "addressee"}),
})
"""The facts by name, each with the secrecy tier that it needs. No rating is among them: a paper is read as a judgement."""

BLANKS: tuple[str, ...] = ("line", "lines", "date", "signature", "stamp", "box")
"""What is left to be filled in by hand: a line, some lines, a date (日期), a signature (签名), a stamp (盖章), a box to tick."""


@dataclass(frozen=True, slots=True)
class LineDef:
    """One line: a `fact` by name, a `field` as MOVE.FIELD, a `blank` by kind, or a `text`."""

    kind: str             # "fact", "field", "blank" or "text"
    name: str             # of the fact, the field, the blank; empty for a text
    label: Words          # what stands before it, or the text itself


@dataclass(frozen=True, slots=True)
class PartDef:
    """A part of a document under a heading; `cut` begins one that is torn off and comes back (回执)."""

    label: Words
    lines: tuple[LineDef, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class DocumentDef:
    """A document: its title, its parts, the stages in which it may be printed, and the most secret that may stand on it.

    `secrecy` is a limit twice over: no line of a higher tier is taken into the file, and who reads less does not print it at all,
    for a paper with holes goes out as if it were whole.
    """

    name: str
    label: Words
    secrecy: int
    stages: frozenset[str]
    parts: tuple[PartDef, ...]
    source: str
    mark: str
