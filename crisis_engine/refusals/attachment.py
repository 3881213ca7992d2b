"""What is refused of files and papers, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

ATTACHMENTS: Mapping[str, str] = {
    "a file is wanted, not {given_type}.": "这里要附文件，不是{given_type}。",
    "Give --field {field}=@PATH, or ce.Attachment with name and content.":
        "写成 --field {field}=@路径，程序里用 `ce.Attachment`，给出文件名和内容。",
    "the file has a name that cannot be kept.": "文件名无法保存。",
    "Rename it: up to 120 characters that can be seen, as consent.pdf.": "请改名：最多 120 个可见字符，如 `consent.pdf`。",
    "the file is empty.": "文件是空的。",
    "Attach the file itself.": "请附文件本身。",
    "the file has {size} bytes; at most {most} are kept.": "文件有 {size} 字节，最多保存 {most} 字节。",
    "Make it smaller, or divide it.": "请压缩，或分成几个。",
    "no file of this sort is taken here.": "这里不收这类文件。",
    "Attach one of these sorts: {sorts_names}.": "可附的类型：{sorts_names}。",
    "the file is not what its name says ({sort}).": "文件内容与文件名所示的类型（{sort}）不符。",
    "Save it anew as what it is to be, and attach that.": "请另存为应有的类型再附。",
    "An attachment of this case is missing in the database.": "数据库中缺少此个案的一个附件。",
    "An attachment in the database is not what was attached.": "数据库中的一个附件不是当初所附的内容。",
    "an attachment was cut": "有一个附件被截断",
    "there is an attachment that no record names": "有一个附件不属于任何记录",
    "an attachment is missing": "缺少一个附件",
    "an attachment is not what was attached": "有一个附件不是当初所附的内容",
    "There is no such attachment of this case.": "此个案没有这个附件。",
    "See `crisis attachment` for those that you may read.": "用 `crisis attachment` 查看您可以查阅的附件。",
    "There is no language {language} for a document.": "文书没有语言 {language}。",
    "Choose zh, en or both.": "可选 `zh`、`en` 或 `both`。",
    "The document {document} holds more than {by} may read.": "文书 {document} 中有 {by} 不能查阅的内容。",
    "Let whoever may read it print it.": "请由可以查阅的人打印。",
    "{document} cannot be printed yet: first comes {moves_names}.": "{document} 还不能打印：先要办理 {moves_names}。",
    "{document} is not printed in the stage {stage}.": "阶段 {stage} 不打印 {document}。",
    "See `crisis print` for what can be printed.": "用 `crisis print` 查看可打印的文书。",
    "It is not said which document.": "没有写明是哪种文书。",
    "This workflow prints no document.": "此流程没有可打印的文书。",
    "Name one: {known_names}.": "请写明：{known_names}。",
    "There is no document {document} here.": "这里没有文书 {document}。",
    "Known documents: {known_names}.": "已有的文书：{known_names}。",
    "No font of this machine has all characters of this page: the PDF would have holes.": "本机没有包含这些文字的字体，PDF 会缺字。",
    "Install a font with Chinese, such as Noto Serif CJK, or write an .html and print it with a browser.":
        "请安装中文字体，如 `Noto Serif CJK`，或存为 `.html`，用浏览器打印。",
    "WeasyPrint is not installed, so no PDF can be made.": "没有安装 `WeasyPrint`，不能生成 PDF。",
    "Install crisis-engine[print] and Pango, or write an .html and print it with a browser.":
        "请安装 `crisis-engine[print]` 和 `Pango`，或存为 `.html`，用浏览器打印。",
}
"""Each sentence as code says it, with names for what changes, and its Chinese."""
