"""What `crisis audit` and the compliance pack say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

AUDIT: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.audit": ("记录的证明：封存、会签、校验、导出。", "The proof of the log: seal, cosign, verify, export."),
    "help.audit seal": ("把新增的记录封存进总账，并签出一张校验点。", "Seal what is new in the log of all cases and sign a checkpoint."),
    "help.audit checkpoint": ("打印最新的校验点，供另处保存。", "Print the newest checkpoint, to be kept elsewhere."),
    "help.audit keys": ("列出本库认得的公钥及其登记人。", "Print the public keys known here and who added them."),
    "help.audit keygen": ("生成一把会签用的密钥，文件只有本人可读。", "Make a key to cosign with; only its owner can read the file."),
    "help.audit cosign": ("县区或市用自己的密钥会签最新的校验点。", "Sign the newest checkpoint with a key of the county's or city's own."),
    "help.audit verify": ("逐条校验全部记录；有一处不符，退出码为 6。",
                          "Prove every record; exit code 6 when one is not what was written."),
    "option.reconcile": ("逐个核对全部个案，而不只看新增记录。", "Look at every case, not only at what is new."),
    "option.new-key": ("原密钥已丢失：改用新的封存密钥。", "The sealer's key is lost: begin a new one."),
    "option.key-name": ("密钥名称，如 example.org/shihe。", "Name of the key, as example.org/shihe."),
    "option.key-file": ("密钥文件。", "Key file."),
    "option.out": ("写入的新文件。", "The new file to write."),
    "option.kept": ("另处保存的校验点文件：总账必须以它开头。", "File with a checkpoint kept elsewhere: the log must begin with it."),
    "audit.sealed": ("已封存：{leaves} 个个案有新记录（{events} 条），签出 {batches} 张校验点。",
                     "Sealed: {leaves} cases had grown ({events} events), {batches} checkpoints signed."),
    "audit.newest": ("最新校验点 {short}", "Newest checkpoint {short}"),
    "audit.cosigned": ("已会签校验点 {short}，现有 {signatures} 个签名。",
                       "Checkpoint {short} cosigned; it has {signatures} signatures now."),
    "audit.key_made": ("密钥已写入 {file}，请妥善保管；下面的公钥可以公开：",
                       "The key is in {file}: keep it safe. This is its public half:"),
    "audit.no_keys": ("本库还没有公钥。", "No public key is known here yet."),
    "duty.sealer": ("封存", "sealer"),
    "duty.cosigner": ("会签", "cosigner"),
    "audit.progress": ("已校验 {cases} 个个案", "{cases} cases proven"),
    "audit.walked": ("校验了 {cases} 个个案、{events} 条记录、{leaves} 个封存项、{checkpoints} 张校验点及 {signatures} 个签名。",
                     "Walked through {cases} cases, {events} events, {leaves} leaves, {checkpoints} checkpoints, {signatures} signatures."),
    "audit.flaw_record": ("[不符] 个案 {number} 第 {seq} 条：{what}", "[broken] case {number}, record {seq}: {what}"),
    "audit.flaw_case": ("[不符] 个案 {number}：{what}", "[broken] case {number}: {what}"),
    "audit.flaw_log": ("[不符] 总账：{what}", "[broken] the log of all cases: {what}"),
    "audit.broken": ("共 {count} 处不是当初写下的样子。", "{count} places are not what was written."),
    "audit.clean": ("每一条都是当初写下的样子（每秒 {rate} 条）。", "Everything is what was written ({rate} events a second)."),
    "audit.unsealed": ("其中 {events} 条在最新校验点之后，尚未封存。",
                       "{events} events came after the newest checkpoint and are not sealed yet."),
    "audit.no_file.message": ("读不了文件 {name}。", "The file {name} cannot be read."),
    "audit.no_file.way_out": ("请核对文件名和权限。", "Check its name, and who may read it."),
    "audit.no_text.message": ("文件 {name} 不是 UTF-8 文本。", "The file {name} is no UTF-8 text."),
    "audit.no_text.way_out": ("请给出 `crisis audit checkpoint` 打印的文本。", "Give the text that `crisis audit checkpoint` printed."),
})
