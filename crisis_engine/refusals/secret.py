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
    "Give the key it was made with or last rotated to; an old backup needs the key of its time.":
        "请给建库时或最近一次更换后的密钥；旧备份要用当时的密钥。",
    "The master key that was given was rotated away.": "给的主密钥已经被换下。",
    "Give the present one.": "请给现在的密钥。",
    "A secret is sealed under a master key that is not among those given.": "有内容是用另一个主密钥封存的，给的密钥里没有它。",
    "A rotation is not finished: give the old key too, beside the present one.": "更换还没有做完：请把旧密钥也一并给出。",
    "No new master key was given.": "没有给出新的主密钥。",
    "Give the new key and the present one together, the new one first.": "请同时给出新旧两个密钥，新的在前。",
    "There is a file of that name already.": "已经有这个名字的文件。",
    "Choose another name; no key is overwritten.": "请换一个名字；密钥不会被覆盖。",
    # ---- envelopes -------------------------------------------------------------------------------------------------------
    "A secret in the database was changed or moved; it does not open.": "数据库里有一处封存的内容被改动或移动过，打不开了。",
    "Run `crisis doctor`, then compare with a backup.": "请运行 `crisis doctor`，再与备份核对。",
    "A secret in the database is in a form that this version cannot open.": "数据库里有一处封存的内容，本版本打不开。",
    "An index in the database was changed: it leads to another child.": "数据库里有一个索引被改动过：它指向另一个学生。",
    "A key in the database was changed.": "数据库里有一个密钥被改动过。",
    "A guardian belongs to a child who is not in the roster.": "有一位监护人的学生不在名册里。",
    "Import the child first.": "请先导入该学生。",
    # ---- forgetting ------------------------------------------------------------------------------------------------------
    "This is not done inside a host's transaction: it cannot be undone.": "这件事不能放在宿主的事务里：它无法撤销。",
    "Call it on the engine itself.": "请直接在引擎上调用。",
    "This erasure was proposed already.": "这项清除已经有人提议。",
    "Another person confirms it.": "请由另一人确认。",
    "Whoever proposed an erasure does not confirm it.": "提议清除的人不能自己确认。",
    "Ask a second person.": "请找第二个人。",
    "The case moved since the erasure was proposed.": "提议之后个案又有了变动。",
    "Decline it and look again.": "请否决这项提议，重新查看。",
    "This is under legal hold already.": "这里已有留存令。",
    "Nothing more is needed.": "无须再办。",
    "There is no such hold.": "没有这样的留存令。",
    "See `crisis forget due`.": "请看 `crisis forget due`。",
    "The shred ledger does not follow itself at line {number}.": "清除簿第 {number} 行与前文不衔接。",
    "Restore the ledger from a copy.": "请用副本恢复清除簿。",
    "Restore the ledger from a copy; nothing was erased.": "请用副本恢复清除簿；什么都没有清除。",
    "The shred ledger is broken at line {number}.": "清除簿第 {number} 行坏了。",
    "The shred ledger cannot be read: {reason}.": "读不了清除簿：{reason}。",
    "The shred ledger cannot be written: {reason}.": "写不了清除簿：{reason}。",
    "The shred ledger cannot be written: no space left.": "写不了清除簿：没有空间了。",
    "Make room; nothing was erased.": "请腾出空间；什么都没有清除。",
    "Check the file; nothing was erased.": "请检查该文件；什么都没有清除。",
    "{kind} is nothing that can be kept or erased by name.": "{kind} 不能按编号留存或清除。",
    "Say case or subject.": "请写 case 或 subject。",
    "No such child is in the roster.": "名册里没有这个学生。",
    "Give the school's own id, or the key that `crisis forget due` shows.": "请写学校的学生编号，或 `crisis forget due` 显示的编号。",
    "There is no such open proposal.": "没有这样的待确认提议。",
    "This is under legal hold: nothing of it is erased.": "这里有留存令：什么都不清除。",
    "The hold has to be lifted first.": "须先解除留存令。",
    "Case {number} is still open.": "个案 {number} 还没有结案。",
    "Only what is closed is erased.": "只清除已结案的内容。",
    "Case {number} was erased already.": "个案 {number} 已经清除。",
    "This child has an open case.": "这个学生还有未结的个案。",
    "Only when all are closed is the child's row erased.": "全部结案后才清除该学生的名册行。",
    "A reason is needed.": "须写理由。",
    "Say which rule, order or wish it is, without names.": "写明依据哪条规定、命令或谁的要求，不写姓名。",
    "The database refused an erasure that two people must sign and two did not.": "数据库拒绝了只有一人签字的清除。",
    "The database refused to erase what is under legal hold.": "数据库拒绝清除有留存令的内容。",
    # ---- rights ----------------------------------------------------------------------------------------------------------
}
