"""What the console says of keys and of forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

SECRETS: Mapping[str, tuple[str, str]] = MappingProxyType({
    # ---- keys ---------------------------------------------------------------------------------------------------------------
    "help.keys": ("主密钥：状态、更换、封存。", "The master key: how it stands, a new one, sealing."),
    "help.keys status": ("显示在用的主密钥、它能打开什么、还有什么没有封存。",
                         "Show which master key is in use, what it opens, what is not sealed yet."),
    "help.keys rotate": ("换用新的主密钥；中断过的，接着做完。", "Take a new master key; one that was broken off is finished."),
    "help.keys seal": ("把旧版本以明文写下的内容封存起来。", "Seal what an older version wrote in plain."),
    "help.keys new": ("新建一个主密钥文件；密钥本身不会显示。", "Make a file with a fresh master key, which is never shown."),
    "option.file": ("文件", "a file"),
    "keys.master": ("主密钥 {master}，来自{source}。", "Master key {master}, from {source}."),
    "keys.source.caller": ("宿主程序", "the host program"),
    "keys.source.environment": ("环境变量", "the environment"),
    "keys.source.file": ("指定的文件", "the file that was named"),
    "keys.source.command": ("指定的命令", "the command that was named"),
    "keys.source.beside": ("数据库旁边的文件", "the file beside the database"),
    "keys.source.memory": ("内存", "memory"),
    "keys.kinds": ("数据密钥：个案 {case}，学生 {subject}。", "Data keys: cases {case}, pupils {subject}."),
    "keys.rotating": ("主密钥更换没有做完：运行 crisis keys rotate 接着做。",
                      "A rotation was broken off: `crisis keys rotate` finishes it."),
    "keys.plain": ("还有 {count} 行没有封存：运行 crisis keys seal。", "{count} rows are not sealed yet: run `crisis keys seal`."),
    "keys.sealed_all": ("全部已封存。", "Everything is sealed."),
    "keys.sealed": ("已封存 {count} 行。", "Sealed {count} rows."),
    "keys.rotated": ("已换用主密钥 {master}，重新包装数据密钥 {count} 个。",
                     "Master key {master} is in use; {count} data keys were wrapped anew."),
    "keys.retired": ("旧密钥已移到以 .retired 结尾的文件：旧备份还需要它，请与备份分开保存，备份销毁后一并销毁。",
                     "The old key lies in a file that ends in .retired, for old backups: keep it apart from them, destroy it after them."),
    "keys.new": ("新主密钥 {master} 已写入文件，只有本用户可读。", "The new master key {master} is in the file, for this user alone."),
    "keys.beside": ("主密钥在数据库旁边、以 .key 结尾的文件里：没有它谁也读不了。请另存一份，与数据库及其备份分开保管。",
                    "The master key is the file beside it that ends in .key. Keep a copy, apart from the database and its backups."),
})
