"""What `crisis transfer` and `crisis graduate` say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TRANSFER: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.transfer": ("离开本市的学生：为接收方密封卷宗，或打开收到的卷宗。",
                      "Children who leave the city: seal the dossier for whoever receives it, or open one."),
    "help.transfer keygen": ("生成接收方的密钥；公钥和指纹交给发送方。",
                             "Make a receiver's key; public line and fingerprint go to the sender."),
    "help.transfer fingerprint": ("显示接收方公钥的指纹，由两人与对方核对。",
                                  "Print the fingerprint of a receiver's key, to be compared by two persons."),
    "help.transfer seal": ("把个案及其子流程的卷宗密封给接收方，并登记其哈希（NUMBER 为移交的编号）。",
                           "Seal the dossiers of a case and its tracks for the receiver and note the hash (NUMBER is the hand-over's)."),
    "help.transfer open": ("用自己的密钥打开密封的卷宗，并显示回执要写的哈希；不需要数据库。",
                           "Open a sealed dossier with one's own key and print the hash for the receipt; no database is needed."),
    "help.graduate": ("毕业班离校：有个案的逐一移交，名册在到校之日更新；--dry-run 只看不改。",
                      "Leaving classes: a hand-over for each child with a case, the roster on the day; --dry-run only shows it."),
    "option.public": ("接收方公钥的文件（一行 crisis-recipient-1 ...）。",
                      "File with the receiver's public key (one line crisis-recipient-1 ...)."),
    "option.packet": ("密封的卷宗文件。", "The sealed dossier."),
    "option.leavers": ("CSV：学号（subject）、去向（to：单位编号、unknown 未定、leaves_city 离开本市）。",
                       "CSV with subject and to: a unit, unknown, or leaves_city."),
    "option.begins": ("到校日期，如 2026-09-01。", "The day from which on they are at the new school, as 2026-09-01."),
    "option.dry-run": ("只显示会发生什么，不作改动。", "Show what would happen, and change nothing."),
    "usage.no_date": ("--begins 不是日期，请写成 2026-09-01。", "--begins is no date: write it as 2026-09-01."),
    "usage.leavers": ("请给学生去向文件，或用 --unit 指明整个班级。", "Give a file of children, or a unit with --unit."),
    "transfer.key_made": ("密钥已写入 {file}，请妥善保管；下面一行公钥交给发送方：",
                          "The key is in {file}: keep it safe. Give this public line to the sender:"),
    "transfer.fingerprint": ("指纹（请以另一途径核对）：{fingerprint}", "Fingerprint (compare it over another way): {fingerprint}"),
    "transfer.sealed": ("卷宗已密封写入 {file}（{size} 字节，{cases} 个个案）。",
                        "The sealed dossier is in {file} ({size} bytes, {cases} cases)."),
    "transfer.opened": ("卷宗已写入 {file}（{size} 字节）：内有各个案的卷宗压缩包，请逐个核对。",
                        "The content is in {file} ({size} bytes): a dossier for each case, to be checked one by one."),
    "transfer.hash": ("密封文件的哈希（写在回执上）：{hash}", "Hash of the sealed file (for the receipt): {hash}"),
    "graduate.state": ("毕业升学移交：详情请与原学校联系。", "Handed over at graduation: ask the old school for all else."),
    "graduate.authority": ("接收方待定", "receiver still to be named"),
    "graduate.dry_run": ("以下只是预演，没有改动：", "This is what would happen; nothing was changed:"),
    "graduate.done": ("学生 {children} 人，其中 {moves} 人于 {begins} 转入新单位。",
                      "{children} children, {moves} of them are at home at a new unit from {begins} on."),
    "graduate.transfers": ("您可见的个案中，启动移交 {count} 个。", "Hand-overs begun among the cases that you may see: {count}"),
})
"""Keys with Chinese and English; graduate.state and graduate.authority stand in forms."""
