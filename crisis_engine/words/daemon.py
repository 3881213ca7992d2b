"""What `crisis daemon` and its status say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DAEMON: Mapping[str, tuple[str, str]] = MappingProxyType({
    "help.daemon": ("常驻运行：到点即检查、送出通知、生成摘要、封存和清理，直到收到停止信号。",
                    "Run on: sweep when something is due, deliver, make digests, seal and clear away, until a signal says stop."),
    "help.daemon status": ("各台机器上的守护进程、逾期未动的时限和待发通知；不可依赖时退出码为 6。",
                           "The daemons of all machines and what waits; exit code 6 when nobody can rely on them."),
    "help.daemon trust-clock": ("确认本机时钟正确：因时钟跳变而停下的守护进程随即继续。",
                                "Say that this machine's clock is right: daemons that did not believe theirs go on."),
    "option.listen": ("健康检查与指标的地址（CRISIS_LISTEN），默认 127.0.0.1:9300；none 为不开。",
                      "Where health and metrics are served (CRISIS_LISTEN); default 127.0.0.1:9300, none for nowhere."),
    "option.ping": ("每轮成功后访问的网址（CRISIS_PING_URL），停访即告警。",
                    "URL fetched after successful rounds (CRISIS_PING_URL): its silence is an alarm elsewhere."),
    "option.ping-every": ("两次访问至少间隔几秒（CRISIS_PING_EVERY），默认 60。",
                          "Seconds between two pings (CRISIS_PING_EVERY); default 60."),
    "option.workers": ("积压很多时用几个进程（CRISIS_WORKERS），默认为处理器核数。",
                       "Processes that drain a large backlog (CRISIS_WORKERS); default: cores."),
    "option.stuck-after": ("一轮多少秒没有进展即退出，退出码 70（CRISIS_STUCK_AFTER），默认 60。",
                           "Seconds without progress after which it ends with 70 (CRISIS_STUCK_AFTER); default 60."),
    "option.once": ("各项任务做一遍即结束。", "Do everything once and end."),
    "option.trust": ("启动时相信本机时钟。", "Believe this machine's clock at the start."),
    "option.leave": ("有更新的守护进程时退出（退出码 6），而不是等候。", "End with 6 where a newer daemon lives, instead of waiting."),
    "option.late-after": ("逾期多少秒未动即为故障，默认 60。", "Seconds after which something due and unfired is a fault; default 60."),
    "daemon.head.where": ("机器/进程", "host/process"),
    "daemon.head.state": ("状态", "state"),
    "daemon.head.since": ("启动于", "started"),
    "daemon.head.version": ("版本 结构 定义", "version schema definitions"),
    "clockwork.working": ("运行中", "working"),
    "clockwork.schema": ("让位：数据库结构更新", "steps aside: newer schema"),
    "clockwork.definitions": ("让位：有更新的定义", "steps aside: newer definitions"),
    "clockwork.clock": ("停下：时钟不可信，请核对后运行 crisis daemon trust-clock",
                           "stopped: its clock is not believed; check it, then run crisis daemon trust-clock"),
    "clockwork.apart": ("停下：与数据库时钟相差 2 秒以上", "stopped: 2 s or more away from the database's clock"),
    "clockwork.database": ("停下：数据库不可用", "stopped: the database is away"),
    "daemon.once": ("已做一轮。{state}。", "One round was made. State: {state}."),
    "daemon.silent": ("{when} 起没有动静", "silent since {when}"),
    "daemon.none": ("没有守护进程在运行。", "No daemon works on this database."),
    "daemon.oldest_due": ("最早一项已到点未动：{span}。", "The oldest rung is due and unfired: {span}."),
    "daemon.outbox": ("待发通知 {waiting} 条，无法送达 {dead} 条。", "{waiting} notices wait, {dead} could not be delivered."),
    "daemon.lock": ("进程 {pid} 占着数据库的写锁，别人无法写入；最近一次写入在 {when}。",
                    "Process {pid} keeps the database's write lock: nobody else can write. The last write was at {when}."),
    "daemon.lock_stopped": (
        "进程 {pid} 占着数据库的写锁而且已被暂停，别人无法写入；最近一次写入在 {when}。让它继续（kill -CONT）或结束它。",
        "Process {pid} keeps the database's write lock and is stopped; nobody else can write. Last write: {when}. Continue or end it.",
    ),
    "daemon.trusted_by": ("最近由 {by} 确认过时钟：{when}。", "{by} said last that a clock is right, when it was {when}."),
    "daemon.trusted": (
        "已确认：现在是 {when}（北京时间），十分钟内有效。",
        "Noted: it is {when} (China's time). This holds for ten minutes.",
    ),
})
