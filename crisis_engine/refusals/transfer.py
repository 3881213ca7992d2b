"""What hand-overs refuse (转学、升学、离开本市), English and Chinese: receivers, sealed dossiers, classes that graduate."""

from __future__ import annotations

from collections.abc import Mapping

TRANSFERS: Mapping[str, str] = {
    # ---- the track -----------------------------------------------------------------------------------------------------------
    "nobody knows yet who the child is: identify it first": "还不知道是哪个学生：请先查明",
    "{unit} is abolished": "{unit} 已撤销",
    "Name another unit, or unknown.": "请写另一个单位，或写 unknown（未定）。",
    "{unit} ends before the child comes": "{unit} 在学生到校之前就已停办",
    "{unit} does not exist yet when the child comes": "学生到校时 {unit} 还没有设立",
    "{unit} is the child's own school: between its classes a child goes by the roster (`crisis roster import`)":
        "{unit} 就是学生现在的学校：校内调班请改名册（`crisis roster import`）",
    "{unit} is not at the school that was asked": "{unit} 不在被请求接收的学校之内",
    "this is not the hash of what was sealed last: the receiver has another file, or one that was changed on the way":
        "这不是最后一次密封的文件的哈希：对方收到的是另一个文件，或途中被改动",
    "this is no SHA-256.": "这不是 SHA-256 值。",
    "Write its 64 digits from 0 to f, with or without blanks.": "请写它的 64 位十六进制数字（0 至 f），有无空格均可。",
    "{unit} is no unit of such a sort: {sorts}.": "{unit} 不是这类单位：{sorts}。",
    "Name a unit of such a sort; the roster says which is which.": "请写这类单位；名册里有各单位的类别。",

    # ---- sealed dossiers -----------------------------------------------------------------------------------------------------
    "This is no key of a receiver.": "这不是接收方的公钥。",
    "Give the line that the receiver's `crisis transfer keygen` printed.": "请给接收方 `crisis transfer keygen` 打印的那一行。",
    "The key file holds no key that opens packets.": "密钥文件里没有可打开密封卷宗的密钥。",
    "Give the file that `crisis transfer keygen` wrote.": "请给 `crisis transfer keygen` 写出的文件。",
    "This is no sealed packet, or one that was cut off.": "这不是密封的卷宗，或已残缺。",
    "Ask the sender for it again, and compare the hash.": "请发送方重发，并核对哈希。",
    "This packet is for another key.": "这份密封卷宗是给另一把密钥的。",
    "It was sealed for the key with the fingerprint {fingerprint}.": "它密封给指纹为 {fingerprint} 的密钥。",
    "This packet was changed or cut off on the way.": "这份密封卷宗在途中被改动或残缺。",
    "The packet cannot be read.": "读不了密封的卷宗。",
    "The file is too large for a packet.": "文件过大，不是密封的卷宗。",
    "Give the file that `crisis transfer seal` wrote.": "请给 `crisis transfer seal` 写出的文件。",
    "This case seals nothing.": "这个个案没有要密封的卷宗。",
    "Give the number of the hand-over (transfer_v1), not of the case.": "请写移交（transfer_v1）的编号，而不是个案的编号。",
    "This is not the key that two persons confirmed.": "这不是两人核对过的密钥。",
    "Compare the fingerprint with the receiver, and confirm that key first (confirm_key).":
        "请先与接收方核对指纹，再确认那把密钥（confirm_key）。",

    # ---- classes that leave --------------------------------------------------------------------------------------------------
    "A form names children, or a unit with all of them.": "表格要么逐个列出学生，要么指明整个单位。",
    "Give a file or --unit.": "请给文件，或写 --unit。",
    "{day} is over.": "{day} 已过。",
    "Name the day from which on the children are at their new school.": "请写学生到新学校的日期。",
    "A form names between 1 and {most} children.": "一份表格列 1 至 {most} 名学生。",
    "Send one form for each school.": "请每所学校一份。",
}
"""Each sentence as code says it, with names for what changes, and its Chinese."""
