"""The seven kinds of roster file and their columns, with the Chinese headers that are read as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crisis_engine.core.model import Absence, Agreement, Duty, Guardian, Person, Subject, Unit
from crisis_engine.roster.cell import (
    read_hours,
    read_id,
    read_kind,
    read_moment,
    read_rank,
    read_role,
    read_sort,
    read_text,
    read_time_of_day,
    read_yes,
)

Record = Unit | Person | Duty | Absence | Subject | Guardian | Agreement


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in the record, its other headers, how a cell is read, and whether each row must fill it."""

    name: str
    also: str  # headers, separated by spaces
    read: Callable[[str], object]
    required: bool = False

    @property
    def headers(self) -> tuple[str, ...]:
        """Every header that means this column."""
        return (self.name, *self.also.split())


@dataclass(frozen=True, slots=True)
class Layout:
    """A kind of roster file: the record of a row, the stems of file names, the columns."""

    kind: str
    record: Callable[..., object]
    stems: str
    columns: tuple[Column, ...]

    @property
    def by_header(self) -> dict[str, Column]:
        """Every header that this kind of file may have."""
        return {header: column for column in self.columns for header in column.headers}

    @property
    def required(self) -> tuple[Column, ...]:
        """The columns that the file must have."""
        return tuple(column for column in self.columns if column.required)


IGNORED = frozenset({"备注", "说明", "序号", "note", "remark"})
"""Headers of columns that people keep for themselves; they are not read."""

_BEGINS = "开始 开始时间 开始日期 起 起始 起始时间 起始日期 生效日期 启用日期 任职日期"
_ENDS = "结束 结束时间 结束日期 止 截止 截止时间 截止日期 失效日期 停用日期 离任日期"
_PERSON = "人员 工号 人员编号 职工号 教师编号 人员工号"
_CONTACT = "联系方式 联系地址 通知地址 电话 手机 手机号 邮箱"
_UNIT = "单位 单位编号 所在单位 单位代码"

LAYOUTS: dict[str, Layout] = {
    layout.kind: layout
    for layout in (
        Layout("units", Unit, "units unit 单位 单位表 机构", (
            Column("id", "单位编号 编号 单位代码 代码 单位id", read_id, required=True),
            Column("kind", "类型 单位类型 类别 级别", read_kind, required=True),
            Column("name", "名称 单位名称 单位", read_text, required=True),
            Column("parent", "上级 上级单位 上级编号 上级单位编号 所属单位", read_id, required=True),
            Column("begins_at", _BEGINS, read_moment),
            Column("ends_at", _ENDS, read_moment),
            Column("dismissal", "放学时间 放学 离校时间", read_time_of_day),
            Column("policy", "政策 策略 制度", read_text),
            Column("sort", "协作类别 合作类别 单位性质", read_sort),
        )),
        Layout("persons", Person, "persons person people 人员 人员表 教师", (
            Column("id", f"{_PERSON} 编号 人员id", read_id, required=True),
            Column("name", "姓名 名称", read_text),
            Column("contact", _CONTACT, read_text),
        )),
        Layout("duties", Duty, "duties duty 岗位 岗位表 职责 岗位职责 值班", (
            Column("role", "角色 岗位 职责 职务 岗位职责", read_role, required=True),
            Column("unit", _UNIT, read_id, required=True),
            Column("person", _PERSON, read_id, required=True),
            Column("begins_at", _BEGINS, read_moment),
            Column("ends_at", _ENDS, read_moment),
            Column("rank", "顺位 顺序 排序 次序", read_rank),
            Column("hours", "时段 值班时段 工作时段 在岗时段", read_hours),
            Column("on_call", "值班 夜间值守 夜间待命 待命 随叫随到", read_yes),
        )),
        Layout("absences", Absence, "absences absence 请假 缺勤 请假表", (
            Column("person", _PERSON, read_id, required=True),
            Column("begins_at", f"{_BEGINS} 请假开始", read_moment, required=True),
            Column("ends_at", f"{_ENDS} 请假结束", read_moment, required=True),
        )),
        Layout("subjects", Subject, "subjects subject 学生 学生表 pupils students", (
            Column("ref", "学号 学籍号 学生编号 学生学号 编号 id", read_id, required=True),
            Column("unit", f"{_UNIT} 班级 班级编号 所在班级", read_id, required=True),
            Column("name", "姓名 学生姓名 名称", read_text),
        )),
        Layout("guardians", Guardian, "guardians guardian 监护人 监护人表 家长", (
            Column("id", "监护人编号 监护人 编号 监护人id", read_id, required=True),
            Column("subject", "学号 学籍号 学生 学生编号 学生学号 被监护人", read_id, required=True),
            Column("name", "姓名 监护人姓名 名称", read_text),
            Column("contact", f"{_CONTACT} 监护人联系方式 监护人电话", read_text),
        )),
        Layout("agreements", Agreement, "agreements agreement 协议 合作协议 协议表", (
            Column("id", "协议编号 编号 协议号", read_id, required=True),
            Column("partner", "协作单位 合作单位 机构 机构编号", read_id, required=True),
            Column("place", "服务范围 适用单位 范围", read_id, required=True),
            Column("begins_at", _BEGINS, read_moment, required=True),
            Column("ends_at", _ENDS, read_moment, required=True),
            Column("capacity", "名额 容量 可接收人数", read_rank),
        )),
    )
}  # fmt: skip
"""The kinds of roster file in the order in which they refer to each other."""

MAY_BE_EMPTY = frozenset({("units", "parent")})
"""Required columns with an empty cell in some row: the root has no parent."""
