"""What a proof of the log finds wrong, and what sealing and cosigning refuse with, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

PROOF: Mapping[str, str] = {
    # ---- a case is not what was written ------------------------------------------------------------------------------------
    "the log jumps from {before} to {after}": "记录从第 {before} 条跳到了第 {after} 条",
    "does not follow the record before it": "与前一条记录接不上",
    "header and hash do not fit": "记录内容与它的哈希不符",
    "the key of its secret is gone, and nobody erased it": "保密内容的密钥已不在，却没有人销毁过",
    "secret and commitment do not fit": "保密内容与当时的承诺值不符",
    "header cannot be read": "记录内容无法读取",
    "columns and header do not fit": "数据库各列与记录内容不符",
    "does not fit the case as it stood then": "与个案当时的情形对不上",
    "the row says version {version}, the log ends at {seq}": "个案行写着版本 {version}，记录却止于第 {seq} 条",
    "the row's head is not the last record's hash": "个案行的链头不是最后一条记录的哈希",
    "the row is not what its log comes to": "个案行与按记录重算的结果不符",
    "its clocks are not what its log comes to": "时限与按记录重算的结果不符",
    "its clocks in the queues are not what its log comes to": "待办中的时限与按记录重算的结果不符",
    "the row does not ask for the signatures that its procedure asks for": "个案行要求的签名与其流程规定的不符",
    "there is a log but no case": "有记录，却没有个案行",
    "its procedure is not in the database, or not what it was": "所依流程已不在库中，或已被改动",
    "was sealed, and the case is gone": "曾经封存，现在整个个案不见了",
    "was sealed, and its log is shorter now": "曾经封存，现在记录被截短了",
    "was sealed with another hash: the chain was written anew": "封存时的哈希不是这个：整条链被重写过",
    # ---- the log of all chains ---------------------------------------------------------------------------------------------
    "leaf {place} is missing": "缺少第 {place} 个封存项",
    "the checkpoint of {size} leaves has another root than its leaves": "含 {size} 个封存项的校验点，其根与封存项不符",
    "the checkpoint of {size} leaves has more leaves than there are: {count}": "含 {size} 个封存项的校验点多于现存的 {count} 个",
    "the checkpoint of {size} leaves cannot be read": "含 {size} 个封存项的校验点无法读取",
    "the checkpoint of {size} leaves is of another log: {origin}": "含 {size} 个封存项的校验点属于另一本总账：{origin}",
    "the checkpoint of {size} leaves has a signature that no known key made: {name}":
        "含 {size} 个封存项的校验点上有一个签名不是已知密钥所签：{name}",
    "the checkpoint of {size} leaves was not signed by the sealer": "含 {size} 个封存项的校验点没有封存人的签名",
    "the checkpoint that was kept is of another log: {origin}": "另处保存的校验点属于另一本总账：{origin}",
    "the checkpoint that was kept has {size} leaves, the log only {count}: its end was cut off":
        "另处保存的校验点含 {size} 个封存项，总账只有 {count} 个：尾部被截去了",
    "the log does not begin with the {size} leaves of the checkpoint that was kept":
        "总账的开头与另处保存的校验点（{size} 个封存项）不一致",
    "a public key that is kept cannot be read: {says}": "库中有一把公钥无法读取：{says}",
    "tile {level}/{place} does not hold the hashes below it": "哈希块 {level}/{place} 与其下的哈希不符",
    "tile {level}/{place} belongs to no tree of {size} leaves": "哈希块 {level}/{place} 不属于含 {size} 个封存项的树",
    # ---- keys --------------------------------------------------------------------------------------------------------------
    "A key needs a name without blanks or plus signs.": "密钥要有名称，名称中不能有空格或加号。",
    "Name it such as example.org/shihe-county.": "可取名如 example.org/shihe-county。",
    "The key file cannot be read.": "读不了密钥文件。",
    "Check its name, and who may read it.": "请核对文件名和读取权限。",
    "The key file holds no key that signs.": "密钥文件里没有可用来签名的密钥。",
    "Give the file that `crisis audit keygen` wrote.": "请给出 `crisis audit keygen` 写的文件。",
    "There is a key file of that name already.": "已有同名的密钥文件。",
    "Choose another name; no key is ever written over.": "请另取名称；密钥从不覆盖。",
    "The key file cannot be written.": "写不了密钥文件。",
    "Check its folder, and who may write there.": "请核对所在文件夹和写入权限。",
    "This is no public key of a sealer or cosigner.": "这不是封存或会签用的公钥。",
    "The public key does not fit its own id: a letter of it is wrong.": "公钥与自带的编号不符：有字符写错了。",
    "Take the line that `crisis audit keygen` printed.": "请用 `crisis audit keygen` 打印的那一行。",
    "This key is not the sealer's of this database.": "这把密钥不是本库的封存密钥。",
    "Name the right file in CRISIS_SEAL_KEY_FILE, or begin anew with `crisis audit seal --new-key`.":
        "请在 CRISIS_SEAL_KEY_FILE 中写对文件名，或用 `crisis audit seal --new-key` 改用新密钥。",
    "The sealer's key is not where it was: nothing can be signed.": "封存密钥不在原处，无法签名。",
    "Bring the file back or name it in CRISIS_SEAL_KEY_FILE; if lost: `crisis audit seal --new-key`.":
        "请放回密钥文件，或在 CRISIS_SEAL_KEY_FILE 中写明；若已丢失，用 `crisis audit seal --new-key`。",
    "This key cosigns; a sealer needs a key of its own.": "这是会签密钥；封存须用另一把。",
    "Leave the sealer's key file to `crisis audit seal`.": "封存密钥文件由 `crisis audit seal` 自行生成。",
    "This key seals; whoever cosigns needs a key of their own.": "这是封存密钥；会签须用自己的密钥。",
    "Make one with `crisis audit keygen`.": "用 `crisis audit keygen` 生成一把。",
    # ---- seal and cosign ---------------------------------------------------------------------------------------------------
    "This checkpoint cannot be cosigned: {says}.": "这张校验点不能会签：{says}。",
    "Run `crisis audit verify`, and ask who changed the log.": "运行 `crisis audit verify`，并查明谁改过记录。",
    "the newest checkpoint was not signed by the sealer": "最新校验点没有封存人的签名",
    "the log does not begin with what this key cosigned": "总账的开头与这把密钥会签过的不一致",
    "Nothing is sealed yet.": "还没有封存过。",
    "Run `crisis audit seal`.": "运行 `crisis audit seal`。",
    "A checkpoint is kept under another size than its own.": "有一张校验点存放的位置与它自己写的大小不符。",
    "Run `crisis audit verify`.": "运行 `crisis audit verify`。",
    "Somebody else sealed at this moment.": "此刻另有人正在封存。",
    "Seal again.": "请再封存一次。",
    "This is no checkpoint: it has no blank line with signature lines below it.": "这不是校验点：缺少空行及其下的签名行。",
    "This is no checkpoint: it needs a line each for origin, size and root.": "这不是校验点：来源、大小、根要各占一行。",
    "This is no checkpoint: its second line is no size.": "这不是校验点：第二行不是大小。",
    "This is no checkpoint: its third line is no root.": "这不是校验点：第三行不是根。",
    "This is no checkpoint: a line below the blank one is no signature.": "这不是校验点：空行下有一行不是签名。",
    "Take the whole text, as `crisis audit checkpoint` prints it.": "请取 `crisis audit checkpoint` 打印的全文。",
    "{year} is no year of this database.": "{year} 不是本库的年份。",
    "Give a year such as 2026.": "请给出年份，如 2026。",
    # ---- export ------------------------------------------------------------------------------------------------------------
    "This case is not sealed yet.": "这个个案还没有封存。",
    "Run `crisis audit seal`, then export it again.": "运行 `crisis audit seal`，然后再导出。",
    "This case cannot be exported: {says}.": "这个个案不能导出：{says}。",
}
