"""Words of files and papers: what is attached to a case, and what is printed of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DOCUMENTS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.attachment": ("列出个案的附件；写明编号和 --out 则存成文件（不覆盖，仅本人可读）。",
                        "List what is attached to a case; with an ID and --out write that file (a new one, for its owner alone)."),
    "help.print": ("列出可打印的文书；加 --out 则存成 .html 或 .pdf。",
                   "List the documents that a case prints; with --out write one as .html or .pdf."),
    "option.which": ("附件编号，如 7.1。", "The attachment's id, as 7.1."),
    "option.document": ("文书名；只有一种时可不写。", "Name of the document; not needed where there is one."),
    "option.sheet": ("纸上的语言：zh、en 或 both。", "Language on the paper: zh, en or both."),
    "attachment.written": ("已存为 {file}（{size} 字节）。请妥善保管，用后销毁。",
                           "Written: {file} ({size} bytes). Keep it safe, destroy it when it is no longer needed."),
    "attachment.count": ("共 {count} 个附件。", "{count} attachments."),
    "head.attachment": ("编号", "id"),
    "head.size": ("字节", "bytes"),
    "print.now": ("现在可以打印", "can be printed now"),
    "print.none": ("没有您可以打印的文书。", "There is no document that you may print."),
    "print.written": ("已存为 {file}。含个人信息，请妥善保管。", "Written: {file}. It holds personal data: keep it safe."),
    "case.prints": ("可以打印：{names}（crisis print {number} --out 文件.html）。",
                    "Can be printed: {names} (crisis print {number} --out FILE.html)."),
    "read.attachment": ("附件", "an attachment"),
    "read.attachments": ("附件目录", "which attachments there are"),
    "read.document": ("打印文书", "a printed document"),
    "usage.attached": ("无法读取要附的文件：{reason}。", "The file to attach cannot be read: {reason}."),
    "usage.attached.way_out": (
        "检查路径和权限；文件写成 --field 名称=@路径。", "Check the path and its rights; a file is written --field NAME=@PATH."),
    "usage.attached_kind": ("要附的不是普通文件。", "What is to be attached is no plain file."),
    "usage.attached_kind.way_out": ("请附文件本身，不要写文件夹或管道。", "Attach the file itself, no folder and no pipe."),
    "usage.attached_long": (
        "要附的文件有 {size} 字节；最多 {most} 字节。", "The file to attach has {size} bytes; at most {most} are kept."),
    "usage.attached_long.way_out": ("请压缩、降低扫描精度，或分成几个。", "Make it smaller, scan it coarser, or divide it."),
    "usage.attachment_out": ("附件编号和 --out 要一起写。", "An attachment's ID and --out go together."),
    "usage.attachment_out.way_out": (
        "只看目录就都不写；要文件就写 7.1 --out 文件。", "Leave both out for the list; for the file write 7.1 --out FILE."),
    "usage.print_out": ("文书只存为 .html 或 .pdf。", "A document is written as .html or .pdf."),
    "usage.print_out.way_out": ("把 --out 的文件名改成这样结尾。", "Let the name after --out end so."),

    # ---- on the paper ------------------------------------------------------------------------------------------------------
    "sheet.number": ("编号", "No."),
    "sheet.cut": ("沿此线剪开，填好后交回", "cut here, fill in and give back"),
    "sheet.date": ("年　月　日", "year    month    day"),
    "sheet.signature": ("（签名）", "(signature)"),
    "sheet.stamp": ("（盖章）", "(stamp)"),
    "sheet.care": ("本件含未成年人个人信息，仅供所列用途，请妥善保管，用后销毁或归档。",
                   "This paper holds a minor's personal data: use it for its purpose alone, keep it safe, then file or destroy it."),
})
