"""What keys, envelopes and forgetting refuse with, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

SECRETS: Mapping[str, str] = {
    # ---- the master key --------------------------------------------------------------------------------------------------
    "The master key is missing or wrong.": "主密钥缺失或不对。",
    "The master key that the caller gave is no key of 32 bytes.": "宿主程序给的主密钥不是 32 字节的密钥。",
    "Give 32 random bytes as base64 or hex; `crisis keys new FILE` makes them.":
        "请给 32 个随机字节的 base64 或十六进制；可用 `crisis keys new FILE` 生成。",
    "{variable} gives no whole key of 32 bytes.": "{variable} 没有给出完整的 32 字节密钥。",
    "The file with the master key is missing.": "主密钥文件不见了。",
    "Put it back beside the database, or set CRISIS_MASTER_KEY_FILE; a backup holds it apart.":
        "请把它放回数据库旁边，或设置 CRISIS_MASTER_KEY_FILE；备份时它是另存的。",
    "The file with the master key cannot be read: {reason}.": "读不了主密钥文件：{reason}。",
    "Check the file and its rights.": "请检查该文件及其权限。",
    "The file with the master key may be read by others.": "主密钥文件能被别的用户读取。",
    "Take their rights away (chmod 600); if it may have been copied, run `crisis keys rotate`.":
        "请收回他人的权限（chmod 600）；若可能已被复制，请运行 `crisis keys rotate`。",
    "The file with the master key holds no whole key of 32 bytes.": "主密钥文件里没有完整的 32 字节密钥。",
    "The file for the master key cannot be written: {reason}.": "写不了主密钥文件：{reason}。",
    "Make its folder writable for this user, or set CRISIS_MASTER_KEY_FILE.":
        "请让本用户可以写入该文件夹，或设置 CRISIS_MASTER_KEY_FILE。",
    "The command of CRISIS_MASTER_KEY_COMMAND took longer than {seconds} seconds.":
        "CRISIS_MASTER_KEY_COMMAND 的命令超过 {seconds} 秒没有结束。",
    "The command of CRISIS_MASTER_KEY_COMMAND cannot be run.": "CRISIS_MASTER_KEY_COMMAND 的命令无法运行。",
    "The command of CRISIS_MASTER_KEY_COMMAND ended with code {code}.": "CRISIS_MASTER_KEY_COMMAND 的命令以代码 {code} 结束。",
    "Run it by hand.": "请手工运行一次看看。",
    "The database has no master key yet.": "数据库还没有主密钥。",
    "The master key that was given is not the key of this database.": "给的主密钥不是这个数据库的密钥。",
    "Give the key that the database was made with, or that it was last rotated to.": "请给建库时的密钥，或最近一次更换后的密钥。",
    "A secret is sealed under a master key that is not among those given.": "有内容是用另一个主密钥封存的，给的密钥里没有它。",
    "Give that key too, beside the present one: another database's, or one that was rotated away.":
        "请把那个密钥也一并给出：它可能属于另一个数据库，或已被换下。",
    "No new master key was given.": "没有给出新的主密钥。",
    "Give the new key and the present one together, the new one first.": "请同时给出新旧两个密钥，新的在前。",
    "There is a file of that name already.": "已经有这个名字的文件。",
    "Choose another name; no key is overwritten.": "请换一个名字；密钥不会被覆盖。",
    # ---- envelopes -------------------------------------------------------------------------------------------------------
    "A secret in the database was changed or moved; it does not open.": "数据库里有一处封存的内容被改动或移动过，打不开了。",
    "Run `crisis doctor`, then compare with a backup.": "请运行 `crisis doctor`，再与备份核对。",
    "A secret in the database is in a form that this version cannot open.": "数据库里有一处封存的内容，本版本打不开。",
    "A key in the database was changed.": "数据库里有一个密钥被改动过。",
    "A guardian belongs to a child who is not in the roster.": "有一位监护人的学生不在名册里。",
    "Import the child first.": "请先导入该学生。",
    # ---- rights ----------------------------------------------------------------------------------------------------------
    "This is not for {name}: only {roles} may do it.": "{name} 不能办理：只有{roles}可以。",
    "Ask somebody of these roles.": "请找这些岗位的人。",
}
