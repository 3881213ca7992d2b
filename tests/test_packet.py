"""A child leaves the city (离开本市): a sealed dossier that only the receiver opens, its key confirmed by two, its receipt by hash."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed
from crisis_engine.cli import main
from crisis_engine.core.errors import FileError, StoreError
from crisis_engine.dossier.verify import check
from crisis_engine.engine.packet import make_recipient_key, open_packet
from crisis_engine.store.packet import MAGIC, Recipient

from .story import COUNTY_OFFICER, LAW_VICE_PRINCIPAL, PEER, PRINCIPAL, VICE_PRINCIPAL, City, Story
from .tracks import open_track, track_beside

FACT = "听到的话"


@pytest.fixture
def key(tmp_path: Path) -> str:
    """The receiver's public line; the private half lies in receiver.key."""
    return make_recipient_key(tmp_path / "receiver.key")[0]


@pytest.fixture
def case(city: City) -> Story:
    return city.report(PEER, cues=["old_scars"]).reach("intervening")


def leaving(city: City, case: Story) -> Story:
    return open_track(city, case, "transfer_v1", by=VICE_PRINCIPAL).act(VICE_PRINCIPAL, "to_another_city", authority="示例市教育局")


def keyed(city: City, case: Story, key: str) -> Story:
    spaced = " ".join(Recipient.parse(key).fingerprint.upper()[place:place + 4] for place in range(0, 64, 4))
    return leaving(city, case).agreed(VICE_PRINCIPAL, LAW_VICE_PRINCIPAL, "confirm_key", fingerprint=spaced, how="电话逐组核对")


def test_a_dossier_goes_sealed_its_receipt_comes_back_and_the_case_ends_by_two(city: City, case: Story, key: str, tmp_path: Path) -> None:
    talk = track_beside(city, case, "guardian_v1")
    move = keyed(city, case, key)
    city.engine.seal()
    packet = city.engine.seal_packet(move.number, key, by=LAW_VICE_PRINCIPAL)
    assert (move.stage, move.case.facts["sealed"], packet.cases) == ("sealed", packet.sha256, (case.number, talk.number))
    assert FACT.encode() not in packet.data

    (tmp_path / "packet").write_bytes(packet.data)
    content, digest = open_packet(tmp_path / "packet", tmp_path / "receiver.key")
    assert digest == packet.sha256
    with zipfile.ZipFile(io.BytesIO(content)) as outer:
        assert set(outer.namelist()) == {f"{case.number}.zip", f"{talk.number}.zip"}
        dossier = outer.read(f"{case.number}.zip")
    assert check(dossier).problems == []
    with zipfile.ZipFile(io.BytesIO(dossier)) as inner:
        events = inner.read("events.jsonl").decode()
    assert "每周面谈" in events                                      # the plan
    assert FACT not in events                                       # the word itself says who reported: withheld without a reason

    assert "another file" in str(move.refused(CommandRejected, PRINCIPAL, "receipt", receipt="0" * 64, received_by="对方"))
    move.refused(BadInput, PRINCIPAL, "receipt", receipt="abc", received_by="对方")
    move.act(PRINCIPAL, "receipt", receipt=digest.upper(), received_by="对方")
    assert (move.stage, move.who("end_the_case")) == ("gone", PRINCIPAL)
    case.act(PRINCIPAL, "request_end", why="left_city", evidence="回执").act(COUNTY_OFFICER, "confirm_end", because="属实")
    assert (case.case.final, move.stage, move.clocks) == ("ended", "left", set())


def test_a_case_does_not_end_while_a_dossier_is_under_way(city: City, case: Story, key: str) -> None:
    move = keyed(city, case, key)
    case.act(PRINCIPAL, "request_end", why="left_city", evidence="材料")
    assert "do not end with it: transfer" in str(case.refused(CommandRejected, COUNTY_OFFICER, "confirm_end", because="属实"))
    move.act(VICE_PRINCIPAL, "call_back", because="学生死亡")
    case.act(COUNTY_OFFICER, "confirm_end", because="属实")
    assert (case.case.final, move.stage) == ("ended", "stopped")


def test_the_key_is_confirmed_by_two_and_no_other_key_is_used(city: City, case: Story, key: str, tmp_path: Path) -> None:
    other = make_recipient_key(tmp_path / "other.key")[0]
    move = leaving(city, case)
    move.act(VICE_PRINCIPAL, "confirm_key", fingerprint=Recipient.parse(key).fingerprint, how="电话")
    assert move.stage == "leaving"
    with pytest.raises(NotAllowed):
        move.act(VICE_PRINCIPAL, "confirm")
    move.act(PRINCIPAL, "confirm")
    city.engine.seal()
    with pytest.raises(CommandRejected, match="not the key that two persons confirmed"):
        city.engine.seal_packet(move.number, other, by=PRINCIPAL)
    with pytest.raises(CommandRejected, match="seals nothing"):
        city.engine.seal_packet(case.number, key, by=PRINCIPAL)
    with pytest.raises(NotAllowed):
        city.engine.seal_packet(move.number, key, by=VICE_PRINCIPAL)     # may not export
    assert move.stage == "keyed"
    first = city.engine.seal_packet(move.number, key, by=PRINCIPAL)
    second = city.engine.seal_packet(move.number, key, by=PRINCIPAL)         # the first was lost
    assert first.sha256 != second.sha256 == move.case.facts["sealed"]


@pytest.mark.parametrize("line", ["", "x", "crisis-recipient-1", "crisis-recipient-1 AAAA", "crisis-recipient-1 ///", "age1qqq", "晓",
                                  f"crisis-recipient-1 {'A' * 43}=x"])
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(BadInput, match="no key of a receiver"):
        Recipient.parse(line)


def test_a_key_that_leaves_no_secret_is_refused() -> None:
    with pytest.raises(BadInput, match="no key of a receiver"):
        Recipient(bytes(32)).seal(b"x")


def test_every_byte_of_a_packet_counts(key: str, tmp_path: Path) -> None:
    packet, path = Recipient.parse(key).seal(b"content"), tmp_path / "packet"
    for place in range(len(packet)):
        path.write_bytes(packet[:place] + bytes([packet[place] ^ 1]) + packet[place + 1:])
        with pytest.raises(FileError):
            open_packet(path, tmp_path / "receiver.key")
    for cut in (0, 1, len(MAGIC), 50, 83, 84, len(packet) - 1):
        path.write_bytes(packet[:cut])
        with pytest.raises(FileError):
            open_packet(path, tmp_path / "receiver.key")
    path.write_bytes(packet + b"\0")
    with pytest.raises(FileError, match="changed or cut off"):
        open_packet(path, tmp_path / "receiver.key")
    path.write_bytes(packet)
    assert open_packet(path, tmp_path / "receiver.key")[0] == b"content"


def test_a_packet_for_another_key_says_for_which(key: str, tmp_path: Path) -> None:
    make_recipient_key(tmp_path / "other.key")
    (tmp_path / "packet").write_bytes(Recipient.parse(key).seal(b"content"))
    with pytest.raises(FileError, match="another key") as caught:
        open_packet(tmp_path / "packet", tmp_path / "other.key")
    assert Recipient.parse(key).fingerprint in caught.value.way_out


def test_key_files_are_their_owners_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "receiver.key"
    make_recipient_key(path)
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(StoreError):
        make_recipient_key(path)
    (tmp_path / "packet").write_bytes(b"x")
    for text in ("", "晓晓", "CRISIS-RECIPIENT-PRIVATE-1 AAAA", "x" * 5000):
        (tmp_path / "bad.key").write_text(text, encoding="utf-8")
        with pytest.raises(FileError):
            open_packet(tmp_path / "packet", tmp_path / "bad.key")
    with pytest.raises(FileError):
        open_packet(tmp_path / "nowhere", path)


def test_on_the_console_a_dossier_is_sealed_and_opened_in_the_readers_language(
    city: City, case: Story, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    move = keyed(city, case, key)
    city.engine.seal()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRISIS_NOW", city.clock().isoformat())
    monkeypatch.setenv("CRISIS_DB", city.url)
    Path("receiver.pub").write_text(f"{key}\n", encoding="utf-8")
    fingerprint = Recipient.parse(key).fingerprint
    assert main(["transfer", "fingerprint", "receiver.pub", "--lang", "zh"]) == 0
    assert f"指纹（请以另一途径核对）：{' '.join(fingerprint[place:place + 4] for place in range(0, 64, 4))}" in capsys.readouterr().out

    seal = ["transfer", "seal", move.number, "--recipient", "receiver.pub", "--out", "dossier.sealed", "--as", LAW_VICE_PRINCIPAL]
    assert main([*seal, "--json"]) == 0
    sealed = json.loads(capsys.readouterr().out)
    assert (sealed["fingerprint"], sealed["sha256"]) == (fingerprint, move.case.facts["sealed"])
    assert main([*seal, "--lang", "zh"]) == 74                        # nothing is written over, and nothing new is sealed
    assert move.case.facts["sealed"] == sealed["sha256"]
    capsys.readouterr()

    opening = ["transfer", "open", "dossier.sealed", "--key", "receiver.key", "--out", "dossiers.zip"]
    assert main([*opening, "--lang", "en", "--db", "nowhere.db"]) == 0           # whoever receives it has no database of ours
    assert sealed["sha256"][:4] in capsys.readouterr().out
    assert zipfile.is_zipfile("dossiers.zip")
    Path("dossier.sealed").write_bytes(Path("dossier.sealed").read_bytes()[:-1])
    assert main([*opening[:-1], "again.zip", "--lang", "zh"]) == 65
    assert "被改动或残缺" in capsys.readouterr().err
    assert not Path("again.zip").exists()
