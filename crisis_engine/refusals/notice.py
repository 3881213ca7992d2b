"""Why a message could not be delivered, and what is refused about messages, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping

NOTICES: Mapping[str, str] = {
    # ---- channels --------------------------------------------------------------------------------------------------------
    "the receiver did not answer in time.": "接收方没有及时应答。",
    "the receiver's certificate or TLS does not fit.": "接收方的证书或 TLS 不符。",
    "the receiver's name is not known.": "找不到接收方的主机名。",
    "the connection to the receiver broke.": "与接收方的连接中断。",
    "the receiver answered {status}.": "接收方应答 {status}。",
    "the receiver answered {status}, and no redirect is followed.": "接收方应答 {status}；不跟随跳转。",
    "Give its own address.": "请写最终地址。",
    "the person has no mail address.": "此人没有邮箱地址。",
    "the mail server refused the user or the password.": "邮件服务器拒绝了用户名或密码。",
    "the connection to the mail server broke.": "与邮件服务器的连接中断。",
    "the mail server answered {status}.": "邮件服务器应答 {status}。",
    "the mail server does not do what was asked.": "邮件服务器不支持所需功能。",
    "Check `security`, user and port.": "请检查 `security`、用户名和端口。",
    "the mail server's certificate or TLS does not fit.": "邮件服务器的证书或 TLS 不符。",
    "the mail server did not answer in time.": "邮件服务器没有及时应答。",
    "the person has no address for this gateway.": "此人没有该网关可用的地址。",
    "the gateway failed.": "网关出错。",
    "the gateway did not take it.": "网关没有接受。",
    "the gateway did not end in time.": "网关没有及时结束。",
    "the gateway still hangs over an earlier message.": "网关还卡在前一条消息上。",
    "the channel broke.": "渠道程序出错。",
    "no address": "没有地址",
    "no such channel": "没有这个渠道",
    "Channels of the kind apprise need the package apprise.": "apprise 类渠道需要安装 apprise 包。",
    "Install crisis-engine[notify].": "请安装 crisis-engine[notify]。",
    # ---- messages and digests --------------------------------------------------------------------------------------------
    "{kind} is no kind of digest.": "{kind} 不是汇总的种类。",
    "Use daily or weekly.": "请用 daily 或 weekly。",
    "{status} is no state of a message.": "{status} 不是消息的状态。",
    "Use waiting, sent, dead or dropped.": "请用 waiting、sent、dead 或 dropped。",
    "There is no message {number}.": "没有消息 {number}。",
    "See `crisis notices list`.": "请看 `crisis notices list`。",
    "No such message went to this person.": "没有这样的消息发给此人。",
    "Give the key that came with the message.": "请给消息所带的键。",
}
