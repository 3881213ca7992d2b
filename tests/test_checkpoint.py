"""Checkpoints and signed notes: written as C2SP says, read strictly, signed by keys that fit."""

from __future__ import annotations

import stat
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.checkpoint import COSIGNS, SIGNS, Checkpoint, Key, message_of, note_of, parse_checkpoint, parse_key, parse_note
from crisis_engine.core.errors import BadInput, CrisisError, FileError, StoreError
from crisis_engine.store.signature import SigningKey, signed_at

ROOT = sha256(b"root").digest()
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)

# The example of C2SP tlog-checkpoint and tlog-cosignature.
PUBLISHED = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


def test_the_published_example_is_read_and_written_back() -> None:
    checkpoint, signatures = parse_note(PUBLISHED)
    assert (checkpoint.origin, checkpoint.size, checkpoint.more) == ("example.com/behind-the-sofa", 20852163, ())
    assert [signature.name for signature in signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert signatures[0].key_id.hex() == "033de0ae"
    assert int.from_bytes(signatures[1].signature[:8]) == 1679315147
    assert note_of(checkpoint.text, signatures) == PUBLISHED


def test_the_message_of_a_cosignature_is_the_published_one() -> None:
    checkpoint, _ = parse_note(PUBLISHED)
    assert message_of(checkpoint.text, COSIGNS, 1679315147).decode() == (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )


@given(st.from_regex(r"[a-z./-]{1,20}", fullmatch=True), st.integers(0, 2**60), st.binary(min_size=32, max_size=32),
       st.lists(LINES, max_size=3))
def test_every_checkpoint_comes_back(origin: str, size: int, root: bytes, more: list[str]) -> None:
    checkpoint = Checkpoint(origin, size, root, tuple(more))
    assert parse_checkpoint(checkpoint.text) == checkpoint


@pytest.mark.parametrize("text", [
    "", "a\n", "a\n1\n", "a\n1\n\n", "a\n01\n{root}\n", "a\n-1\n{root}\n", "a\n1_0\n{root}\n", "a\n\u0661\n{root}\n", "a\n1\n{root}",
    "\n1\n{root}\n",
    "a\n1\n{root}\n\n", "a\r\n1\r\n{root}\r\n", "a\n1\nAAAA\n", "a\n1\n{root}=\n", "a\n1\n {root}\n", "a\n" + "9" * 5000 + "\n{root}\n",
])
def test_a_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="no checkpoint"):
        parse_checkpoint(text.format(root=b64encode(ROOT).decode()))


@pytest.mark.parametrize("change", [
    ("\n\n", "\n"), ("\u2014 ", "- "), ("Az3g", "Az3"), ("example.com/behind-the-sofa Az", "example.com/behind+the-sofa Az"),
    ("witness.example.com/w1 ", "witness.example.com/w1  "), ("nA==\n", "nA=="), ("nA==\n", "nB==\n"), ("nA==\n", "nA==\n\n"),
])
def test_a_note_with_a_broken_line_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(FileError, match="no checkpoint"):
        parse_note(PUBLISHED.replace(*change))


@pytest.mark.parametrize("kind", [SIGNS, COSIGNS])
def test_what_a_key_signed_is_known_by_its_public_half_and_nothing_else_is(kind: int, tmp_path: Path) -> None:
    key, other = SigningKey.new("example.org/shihe", kind), SigningKey.new("example.org/shihe", kind)
    text = Checkpoint("example.org/log", 7, ROOT).text
    signature = key.sign(text, 1_772_409_600)
    assert signed_at(key.public, text, signature) == (0 if kind == SIGNS else 1_772_409_600)
    assert signed_at(key.public, text.replace("7", "8"), signature) is None
    assert signed_at(other.public, text, signature) is None
    assert signed_at(Key(key.public.name, kind, bytes(32)), text, signature) is None
    for place in range(len(signature.signature)):
        flipped = bytearray(signature.signature)
        flipped[place] ^= 1
        assert signed_at(key.public, text, type(signature)(signature.name, signature.key_id, bytes(flipped))) is None
    key.write(tmp_path / "key")
    again = SigningKey.read(tmp_path / "key")
    assert again.public == key.public == parse_key(key.public.text)
    assert again.sign(text, 5) == key.sign(text, 5)


def test_the_id_of_a_key_is_that_of_the_signed_note() -> None:
    key = Key("PeterNeumann", SIGNS, bytes(range(32)))
    assert key.key_id == sha256(b"PeterNeumann\n\x01" + bytes(range(32))).digest()[:4]


def test_a_key_file_is_its_owners_alone_and_never_written_over(tmp_path: Path) -> None:
    key = SigningKey.new("example.org/shihe", SIGNS)
    key.write(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    with pytest.raises(StoreError, match="already"):
        key.write(tmp_path / "key")
    with pytest.raises(StoreError, match="cannot be written"):
        key.write(tmp_path / "missing" / "key")
    with pytest.raises(StoreError, match="cannot be read"):
        SigningKey.read(tmp_path / "missing")


def test_a_key_file_that_was_changed_cut_or_is_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    SigningKey.new("example.org/shihe", SIGNS).write(path)
    whole = path.read_text()
    public = SigningKey.read(path).public.text
    others = [whole[:-10], whole.replace("PRIVATE", "PUBLIC"), whole.replace("shihe", "xixian"), whole.replace("+", " "), public]
    for text in ("", "x", *others):
        path.write_text(text)
        with pytest.raises(FileError, match="no key"):
            SigningKey.read(path)
    path.write_bytes(b"\xff" + whole.encode())
    with pytest.raises(FileError, match="no key"):
        SigningKey.read(path)


@pytest.mark.parametrize("text", ["", "a", "a+b", "a b+00000000+AAAA", "a+00000000+" + b64encode(bytes(33)).decode()])
def test_a_public_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="no public key"):
        parse_key(text)


def test_a_public_key_with_a_wrong_letter_is_refused() -> None:
    text = Key("example.org/shihe", COSIGNS, bytes(range(32))).text
    for wrong in (text.replace("shihe", "shihf"), text[:-1] + ("A" if text[-1] != "A" else "B")):
        with pytest.raises(CrisisError):
            parse_key(wrong)


def test_a_key_without_a_proper_name_is_not_made() -> None:
    for name in ("", "a b", "a+b", "a\nb"):
        with pytest.raises(BadInput, match="name"):
            SigningKey.new(name, SIGNS)
