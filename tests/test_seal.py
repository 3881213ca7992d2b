"""Envelopes and keys: the frozen format, what a moved or changed secret does, where the master key comes from and how it can be wrong."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.errors import CrisisError, KeyFault, StoreError
from crisis_engine.store.master import MasterKey, Masters, key_file_of, read_keys, write_keys
from crisis_engine.store.seal import AES_256_GCM, data_key, place, seal, seal_text, unseal, unseal_text
from crisis_engine.store.vault import Vault

SECRET = bytes(range(32))
KEY = data_key(AES_256_GCM, SECRET)
HERE = place("crisis_subject", "name", "key-1")


def masters(variable: str = "", value: str = "", *, beside: Path | None = None) -> Masters:
    return Masters(None, beside, {f"CRISIS_{variable}": value})


# ---- envelopes ----------------------------------------------------------------------------------------------------------------


def test_the_format_of_an_envelope_is_frozen() -> None:
    kept = bytes.fromhex("01" + "000102030405060708090a0b" + "af9b4cfd5b6122d16deb46d6dfc45a814b290189d8ba")
    assert unseal(KEY, kept, HERE) == "虚构".encode()
    made = seal(KEY, "虚构".encode(), HERE)
    assert (made[0], len(made)) == (kept[0], len(kept))


def test_the_wrapping_of_a_data_key_is_frozen_and_is_rfc_3394() -> None:
    vault = Vault(Masters(bytes.fromhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")))
    master = vault.masters.keys()[0]
    secret = bytes.fromhex("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f")
    wrapped = bytes.fromhex("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21")   # RFC 3394, 4.6
    assert vault.wrap(secret, master) == wrapped
    assert vault.unwrap(wrapped, master.id) == secret
    assert master.id == "2e80b655f3cf51c0"


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_at_its_place_and_no_two_envelopes_are_alike(body: bytes) -> None:
    one, other = seal(KEY, body, HERE), seal(KEY, body, HERE)
    assert unseal(KEY, one, HERE) == unseal(KEY, other, HERE) == body
    assert one != other
    assert len(body) < 4 or body not in one


@pytest.mark.parametrize("elsewhere", [
    place("crisis_subject", "name", "key-2"), place("crisis_subject", "ref", "key-1"), place("crisis_guardian", "name", "key-1"),
])
def test_a_secret_that_was_moved_to_another_row_column_or_table_does_not_open(elsewhere: bytes) -> None:
    with pytest.raises(StoreError, match="changed or moved"):
        unseal(KEY, seal(KEY, b"x", HERE), elsewhere)


@given(st.data())
def test_a_secret_with_one_changed_bit_or_a_cut_end_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, b"something", HERE))
    at = data.draw(st.integers(8, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    for broken in (bytes(sealed), bytes(sealed[: at // 8])):
        if broken[1:]:
            with pytest.raises(StoreError):
                unseal(KEY, broken, HERE)


def test_a_secret_under_another_key_does_not_open_and_one_whose_key_is_gone_is_absent() -> None:
    sealed = seal_text(KEY, "虚构", HERE)
    with pytest.raises(StoreError):
        unseal_text(data_key(AES_256_GCM, bytes(32)), sealed, HERE)
    assert unseal_text(None, sealed, HERE) == ""
    assert seal_text(KEY, "", HERE) == b""
    assert unseal_text(KEY, b"", HERE) == ""


def test_an_algorithm_of_a_later_version_is_refused_and_not_misread() -> None:
    for wrong in (lambda: unseal(KEY, b"\x07" + bytes(40), HERE), lambda: data_key(7, SECRET)):
        with pytest.raises(StoreError, match="form that this version"):
            wrong()


def test_half_a_character_is_refused_before_it_is_sealed() -> None:
    with pytest.raises(CrisisError, match="half a character"):
        seal_text(KEY, "\ud83d", HERE)


# ---- where the master key comes from --------------------------------------------------------------------------------------------


def test_the_caller_comes_before_the_environment_and_the_environment_before_the_file(tmp_path: Path) -> None:
    beside, named = tmp_path / "crisis.db.key", tmp_path / "named.key"
    keys = [secrets.token_bytes(32) for _ in range(5)]
    write_keys(beside, [keys[0]])
    write_keys(named, [keys[1]])
    hexed, command = keys[2].hex(), f'{sys.executable} -c "print(bytes({list(keys[3])}).hex())"'
    environ = {"CRISIS_MASTER_KEY": hexed, "CRISIS_MASTER_KEY_FILE": str(named), "CRISIS_MASTER_KEY_COMMAND": command}

    def found(given: bytes | None, *names: str) -> tuple[str, bytes]:
        source = Masters(given, beside, {name: environ[name] for name in names})
        return source.source, source.keys()[0].secret

    assert found(None) == ("beside", keys[0])
    assert found(None, "CRISIS_MASTER_KEY_COMMAND") == ("command", keys[3])
    assert found(None, "CRISIS_MASTER_KEY_COMMAND", "CRISIS_MASTER_KEY_FILE") == ("file", keys[1])
    assert found(None, *environ) == ("environment", keys[2])
    assert found(keys[4], *environ) == ("caller", keys[4])
    assert Masters(lambda: [keys[4], keys[3]], beside, environ).named(MasterKey.of(keys[3]).id) == MasterKey.of(keys[3])


def test_keys_are_written_as_base64_or_hex_several_of_them_the_newest_first() -> None:
    one, other = secrets.token_bytes(32), secrets.token_bytes(32)
    for text in (f"{one.hex()},{base64.b64encode(other).decode()}", f"{base64.urlsafe_b64encode(one).decode().rstrip('=')}\n{other.hex()}"):
        found = masters("MASTER_KEY", text).keys()
        assert [key.secret for key in found] == [one, other]


def test_a_database_in_memory_has_a_key_in_memory_and_a_file_one_beside_it() -> None:
    assert key_file_of(None) is key_file_of(":memory:") is key_file_of("file:x?mode=memory&uri=true") is None
    assert key_file_of("crisis.db") == Path("crisis.db.key")
    assert key_file_of("file:/x/crisis.db?mode=ro&uri=true") == Path("/x/crisis.db.key")
    assert Masters().source == "memory"
    assert Masters().keys() != Masters().keys()


def test_the_key_file_is_for_its_owner_alone_and_one_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "crisis.db.key"
    masters(beside=path).make()
    first = read_keys(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    masters(beside=path).make()
    write_keys(path, [bytes(32)], new=True)
    assert read_keys(path) == first
    assert os.listdir(tmp_path) == ["crisis.db.key"], "no draft is left behind"  # noqa: PTH208 (names are enough)


GOOD = bytes(range(7, 39))


@pytest.mark.parametrize(("variable", "value", "says"), [
    ("MASTER_KEY", "too-short", "CRISIS_MASTER_KEY gives no whole key"),
    ("MASTER_KEY", GOOD.hex()[:-2], "CRISIS_MASTER_KEY gives no whole key"),
    ("MASTER_KEY", f"{GOOD.hex()} {GOOD.hex()[:20]}", "CRISIS_MASTER_KEY gives no whole key"),
    ("MASTER_KEY_FILE", "{folder}/absent.key", "is missing"),
    ("MASTER_KEY_FILE", "{folder}", "cannot be read"),
    ("MASTER_KEY_FILE", "{folder}/truncated.key", "holds no whole key"),
    ("MASTER_KEY_FILE", "{folder}/open.key", "may be read by others"),
    ("MASTER_KEY_COMMAND", "{folder}/no-such-program", "cannot be run"),
    ("MASTER_KEY_COMMAND", "false", "ended with code 1"),
    ("MASTER_KEY_COMMAND", "true", "COMMAND gives no whole key"),
    ("MASTER_KEY_COMMAND", "'", "cannot be run"),
])
def test_a_key_that_is_wrong_missing_truncated_or_open_to_others_is_said_without_key_or_path(
    variable: str, value: str, says: str, tmp_path: Path,
) -> None:
    write_keys(tmp_path / "open.key", [GOOD])
    (tmp_path / "open.key").chmod(0o644)
    write_keys(tmp_path / "truncated.key", [GOOD[:20]])
    with pytest.raises(KeyFault, match=says) as caught:
        masters(variable, value.format(folder=tmp_path)).keys()
    told = f"{caught.value} {caught.value.data}"
    assert caught.value.exit_code == 74
    assert caught.value.way_out
    assert not any(part in told for part in (str(tmp_path), GOOD.hex()[:12], base64.b64encode(GOOD).decode()[:12], value))


def test_a_command_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crisis_engine.store.master.COMMAND_SECONDS", 0.05)
    with pytest.raises(KeyFault, match="took longer"):
        masters("MASTER_KEY_COMMAND", f'{sys.executable} -c "import time; time.sleep(30)"').keys()


def test_a_caller_that_gives_no_key_is_refused() -> None:
    for wrong in (b"short", [b"short"], lambda: b""):
        with pytest.raises(KeyFault, match="32 bytes"):
            Masters(wrong).keys()


def test_a_key_shows_nothing_of_itself() -> None:
    key = MasterKey.of(GOOD)
    assert GOOD.hex() not in key.check()
    assert "secret" not in repr(key)
    assert len(key.id) == 16
