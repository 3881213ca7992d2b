"""The channels' TOML file: what each is, whom it is for, where its secrets lie; parsed hard, and no secret is ever said again."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from crisis_engine.core.parse_table import LANGUAGES, Table
from crisis_engine.definitions import load_access, read_document
from crisis_engine.notify.channel import Channel, LogFileChannel
from crisis_engine.notify.gateway import PLACE, GatewayChannel
from crisis_engine.notify.mail import SECURITY, MailChannel, mailbox_of
from crisis_engine.notify.rule import URGENCIES, Quiet, Rule
from crisis_engine.notify.template import WORDING, Template, load_templates
from crisis_engine.notify.webhook import WebhookChannel, is_loopback, key_of

_QUIET = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_PLAIN = re.compile(r"[!-~]+")
_MOST_SECRET = 10_000
_MOST_TIMEOUT = 60


def load_channels(path: Path | str, *, env: Mapping[str, str] = os.environ) -> tuple[Channel, ...]:
    """Return the channels of a file in their order.

    DefinitionError with file and key for an unknown kind or key, a URL that cannot be used, a secret written into the file, a missing
    variable, and for a set of channels that leaves somebody without any. BadInput when a package is missing.
    """
    file = Path(path)
    top = Table(read_document(file), file.name)
    top.number("format", 1, 1)
    wording = load_templates(file.parent / top.text("templates")) if top.has("templates") else WORDING
    reader = _Reader(file.parent, env, wording, frozenset(load_access().roles))
    channels = tuple(reader.channel(table) for table in top.tables("channel"))
    top.close()
    _check(top, channels)
    return channels


def _check(top: Table, channels: tuple[Channel, ...]) -> None:
    names = [channel.name for channel in channels]
    if not names:
        top.refuse("there is no channel.", "channel", way_out="Write [[channel]] with name and kind.")
    for name in names:
        if names.count(name) > 1:
            top.refuse(f"two channels are called {name!r}.", "channel", way_out="Give each a name of its own.")
    for urgent in (True, False):
        rules = [channel.rule for channel in channels if isinstance(channel, (LogFileChannel, GatewayChannel, MailChannel, WebhookChannel))]
        if not any(not rule.fallback and rule.takes(frozenset(), urgent=urgent) for rule in rules):
            kind = "urgent" if urgent else "not urgent"
            top.refuse(f"nobody may be left out: no channel is for everybody where it is {kind}.", "channel",
                       way_out='Let one have no roles, urgency = "any" and no fallback.')


class _Reader:
    """Reads one channel after another: folder, environment and what else each needs."""

    def __init__(self, folder: Path, env: Mapping[str, str], wording: Mapping[str, Template], roles: frozenset[str]) -> None:
        self._folder, self._env, self._wording, self._roles = folder, env, wording, roles

    def channel(self, table: Table) -> Channel:
        """Return the channel that a table describes."""
        name = table.word("name")
        kinds: dict[str, Callable[[Table, str], Channel]] = {
            "log": self._log, "webhook": self._webhook, "smtp": self._smtp, "apprise": self._apprise,
        }
        channel = kinds[table.one_of("kind", kinds)](table, name)
        table.close()
        return channel

    # ---- kinds ----------------------------------------------------------------------------------------------------------------

    def _log(self, table: Table, name: str) -> Channel:
        return LogFileChannel(self._folder / table.text("file"), name=name, rule=self._rule(table))

    def _webhook(self, table: Table, name: str) -> Channel:
        url = self._secret(table, "url", inline=True)
        plain = table.flag("allow_plain_http")
        self._check_url(table, url, plain=plain)
        secrets = self._secret(table, "secret").split()
        try:
            for secret in secrets:
                key_of(secret)
        except ValueError as error:
            table.refuse(str(error), "secret", way_out="Make one: whsec_ and the output of `openssl rand -base64 32`.")
        return WebhookChannel(name, url, secrets, source=table.text("source", "/crisis_engine"), timeout=self._timeout(table),
                              ca_file=self._file(table, "ca_file"), rule=self._rule(table))

    def _smtp(self, table: Table, name: str) -> Channel:
        host, sender = table.text("host"), table.text("sender")
        if not mailbox_of(sender):
            table.refuse("this is no mail address.", "sender", way_out="Write such as crisis@example.invalid.")
        security = table.one_of("security", SECURITY, "starttls")
        plain = table.flag("allow_plain_smtp")
        if security == "none" and not plain and not is_loopback(host):
            table.refuse("mail without TLS leaves this machine.", "security", way_out="Write starttls or tls; or allow_plain_smtp = true.")
        user = table.text("user") if table.has("user") else ""
        password = self._secret(table, "password", optional=not user)
        return MailChannel(
            name, host, sender, port=table.number("port", 1, 65_535, 465 if security == "tls" else 587), security=security, user=user,
            password=password, timeout=self._timeout(table), ca_file=self._file(table, "ca_file"), rule=self._rule(table, address="mailto"),
        )

    def _apprise(self, table: Table, name: str) -> Channel:
        url = self._secret(table, "url", inline=True)
        address = table.word("address") if table.has("address") else ""
        if (PLACE in url) != bool(address):
            table.refuse(f"`address` and {PLACE} in the URL belong together.", "address",
                         way_out=f'Write address = "tel" or "mailto" where the URL has {PLACE}, and else nothing.')
        timeout, rule = self._timeout(table), self._rule(table, address=address)
        try:
            return GatewayChannel(name, url, timeout=timeout, rule=rule)
        except ValueError as error:
            table.refuse(str(error), "url", way_out="See the list of apprise for how this gateway's URL is written.")

    # ---- what kinds share -----------------------------------------------------------------------------------------------------

    def _rule(self, table: Table, *, address: str = "") -> Rule:
        roles = frozenset(table.some_of("roles", self._roles))
        most, within = 0, timedelta(hours=1)
        if (limit := table.table_or_none("at_most")) is not None:
            most, within = limit.number("messages", 1, 10_000), limit.wall_span("within").wall
            limit.close()
        usual = Rule()
        tries, after, pass_on = usual.tries, usual.give_up, usual.pass_on
        if (give_up := table.table_or_none("give_up")) is not None:
            tries = give_up.number("tries", 1, 1000, usual.tries)
            after = give_up.wall_span("after").wall if give_up.has("after") else after
            pass_on = give_up.wall_span("urgent_also_next_after").wall if give_up.has("urgent_also_next_after") else pass_on
            give_up.close()
        return Rule(
            roles=roles, urgency=table.one_of("urgency", URGENCIES, "any"), fallback=table.flag("fallback"), address=address,
            quiet=table.parsed("quiet", _quiet) if table.has("quiet") else None, most=most, within=within,
            lang=table.one_of("language", LANGUAGES) if table.has("language") else "", tries=tries, give_up=after, pass_on=pass_on,
            wording=self._wording,
        )

    def _secret(self, table: Table, name: str, *, inline: bool = False, optional: bool = False) -> str:
        """Return what a variable (`NAME_env`) or a file (`NAME_file`) holds; `inline` allows it in the file itself."""
        by_env, by_file = f"{name}_env", f"{name}_file"
        if table.has(name) and not inline:
            table.refuse("a secret does not stand in this file.", name, way_out=f"Write {by_env} or {by_file}.")
        if not any(table.has(one) for one in (name, by_env, by_file)) and not optional:
            table.refuse("this key is missing.", by_env, way_out=f"Write {by_env} or {by_file}{f', or {name}' if inline else ''}.")
        if table.has(by_file):
            return self._held(table, by_file)
        if not table.has(by_env):
            return table.text(name) if table.has(name) else ""
        value = self._env.get(table.text(by_env), "").strip()
        if not value:
            table.refuse("this variable is not set.", by_env, way_out="Set it where crisis runs.")
        return value

    def _held(self, table: Table, name: str) -> str:
        try:
            with (self._folder / table.text(name)).open(encoding="utf-8") as stream:
                value = stream.read(_MOST_SECRET).strip()
        except (OSError, ValueError):
            table.refuse("this file cannot be read.", name, way_out="Check the path and its rights.")
        if not value:
            table.refuse("this file is empty.", name, way_out="Write the secret into it.")
        return value

    def _file(self, table: Table, name: str) -> Path | None:
        if not table.has(name):
            return None
        path = self._folder / table.text(name)
        if not path.is_file():
            table.refuse("there is no such file.", name, way_out="Check the path.")
        return path

    def _check_url(self, table: Table, url: str, *, plain: bool) -> None:
        """Refuse what cannot be posted to, without a word of it: a URL may hold a token."""
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.scheme not in {"https", "http"} or "@" in parts.netloc or parts.fragment or not _PLAIN.fullmatch(url):
            table.refuse("this is no URL to post to.", "url", way_out="Write it such as https://host.example.invalid/notices.")
        if parts.scheme == "http" and not plain and not is_loopback(host):
            table.refuse("a notice would leave this machine unsealed.", "url", way_out="Write https; or allow_plain_http = true.")

    def _timeout(self, table: Table) -> float:
        return float(table.number("timeout", 1, _MOST_TIMEOUT, 10))


def _quiet(value: object) -> Quiet:
    found = _QUIET.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError('quiet hours are written as "22:00-06:30".')
    hours = [int(found[place]) * 60 + int(found[place + 1]) for place in (1, 3)]
    if hours[0] == hours[1]:
        raise ValueError("quiet hours that begin when they end would never end.")
    return Quiet(*hours)


