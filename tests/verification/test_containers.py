"""Structure says whether bytes are media, without decoding and without believing names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hlsdl.verification.containers import Remark, Role, check
from hlsdl.verification.findings import Severity

MEDIA = Path(__file__).parent.parent.parent / "fixtures" / "media"

TS = (MEDIA / "muxed-ts/low/0.ts").read_bytes()
FRAGMENT = (MEDIA / "film/sdr-180/0.m4s").read_bytes()
INIT = (MEDIA / "film/sdr-180/init.mp4").read_bytes()
CIPHERTEXT = (MEDIA / "aes128/video/7.ts").read_bytes()
SUBTITLE = (MEDIA / "film/subs-en/0.vtt").read_bytes()
JPEG = b"\xff\xd8\xff\xe0" + bytes(100) + b"\xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


@dataclass(frozen=True, slots=True)
class BytesWindow:
    """A window on bytes in memory."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.data)

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`."""
        return self.data[offset : offset + length]


def adts(payload: int, count: int = 3) -> bytes:
    """`count` ADTS frames of `payload` bytes each."""
    length = payload + 7
    header = bytes([0xFF, 0xF1, 0x50, 0x80 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC])
    return (header + bytes(payload)) * count


def id3(body: int) -> bytes:
    return b"ID3\x04\0\0" + bytes([0, 0, body >> 7, body & 0x7F]) + bytes(body)


def ac3(count: int = 2) -> bytes:
    """48 kHz, 192 kbit/s: 768 bytes a frame."""
    return (b"\x0b\x77\0\0" + bytes([0x14, 0x40]) + bytes(762)) * count


def eac3(count: int = 2) -> bytes:
    """frmsiz 255: 512 bytes a frame; bsid 16."""
    return (b"\x0b\x77" + bytes([0x00, 0xFF, 0x34, 0x80]) + bytes(506)) * count


def judge(data: bytes, role: Role = Role.SEGMENT, *, encrypted: bool = False) -> Remark | None:
    return check(BytesWindow(data), role, encrypted=encrypted)


def reason(data: bytes, severity: Severity, role: Role = Role.SEGMENT, *, encrypted: bool = False) -> str:
    remark = judge(data, role, encrypted=encrypted)
    assert remark is not None
    assert remark.severity is severity
    return remark.reason


def test_every_fixture_is_sound() -> None:
    """Segments, init sections and subtitles of all kinds that the fixtures hold."""
    checked = 0
    for path in sorted(MEDIA.rglob("*")):
        if path.suffix in {".ts", ".m4s", ".mp4", ".vtt"}:
            role = Role.INIT if path.name == "init.mp4" else Role.SUBTITLE if path.suffix == ".vtt" else Role.SEGMENT
            assert judge(path.read_bytes(), role, encrypted="aes128" in path.parts) is None, path
            checked += 1
    assert checked > 90


@pytest.mark.parametrize(
    "data", [adts(100), id3(30) + adts(100), adts(50) + id3(9) + adts(60), ac3(), eac3(), id3(9) + ac3()]
)
def test_packed_audio_is_walked_to_its_end(data: bytes) -> None:
    assert judge(data) is None


@pytest.mark.parametrize("data", [adts(100), id3(30) + adts(100), ac3(), eac3()])
def test_packed_audio_that_is_cut_short_is_damaged(data: bytes) -> None:
    assert "last audio frame" in reason(data[:-1], Severity.ERROR)


def test_bytes_after_the_last_audio_frame_are_an_oddity() -> None:
    assert "no audio frame" in reason(adts(100) + b"\0\0\0\0", Severity.WARNING)


def test_a_tag_without_audio_is_an_oddity() -> None:
    assert "no audio" in reason(id3(30), Severity.WARNING)


def test_an_empty_object_is_damaged_whatever_it_is_for() -> None:
    for role in Role:
        assert reason(b"", Severity.ERROR, role) == "is empty"
    assert reason(b"", Severity.ERROR, encrypted=True) == "is empty"


def test_webvtt_may_be_empty() -> None:
    assert check(BytesWindow(b""), Role.SUBTITLE, may_be_empty=True) is None


@pytest.mark.parametrize(
    "page", [b"<!DOCTYPE html><title>Sorry", b" <html>", b'{"error": 404}', b"\xef\xbb\xbf<?xml version"]
)
def test_an_error_page_is_not_media(page: bytes) -> None:
    assert "not media" in reason(page, Severity.ERROR)


def test_lost_sync_is_told_with_its_place() -> None:
    data = bytearray(TS)
    data[188 * 5] = 0
    assert reason(bytes(data), Severity.ERROR).endswith(f"at byte {188 * 5}")


def test_a_byte_lost_in_a_transport_stream_is_noticed() -> None:
    assert "sync" in reason(TS[:1000] + TS[1001:], Severity.ERROR)


def test_bytes_after_the_last_packet_are_an_oddity() -> None:
    assert "5 bytes after" in reason(TS + b"\0" * 5, Severity.WARNING)


@pytest.mark.parametrize("cut", [1, 50, len(FRAGMENT) // 2])
def test_a_fragment_that_is_cut_short_is_damaged(cut: int) -> None:
    assert "cut short" in reason(FRAGMENT[:-cut], Severity.ERROR)


def test_a_fragment_with_bytes_after_its_boxes_is_damaged() -> None:
    assert "no box" in reason(FRAGMENT + b"\0\0\0\0", Severity.ERROR)


def test_an_iframe_range_may_end_inside_mdat_and_nowhere_else() -> None:
    assert judge(FRAGMENT[:2253], Role.IFRAME) is None
    assert "cut short" in reason(FRAGMENT[:60], Severity.ERROR, Role.IFRAME)


def test_an_init_section_needs_moov() -> None:
    assert judge(INIT, Role.INIT) is None
    assert "moov" in reason(FRAGMENT, Severity.ERROR, Role.INIT)
    assert "no initialization section" in reason(CIPHERTEXT, Severity.ERROR, Role.INIT)


def test_a_fragment_without_moof_is_an_oddity() -> None:
    assert "moof" in reason(FRAGMENT[: FRAGMENT.index(b"moof") - 4], Severity.WARNING)


def test_box_sizes_of_64_bits_and_to_the_end_are_understood() -> None:
    large = b"\0\0\0\x01mdat" + (20).to_bytes(8, "big") + b"abcd"
    moof = b"\0\0\0\x08moof"
    assert judge(moof + large) is None
    assert judge(moof + b"\0\0\0\0mdat" + b"to the end") is None
    assert "cut short" in reason(moof + large[:-1], Severity.ERROR)


def test_ciphertext_is_judged_by_its_length_alone() -> None:
    assert judge(CIPHERTEXT, encrypted=True) is None
    assert "AES blocks" in reason(CIPHERTEXT[:-1], Severity.ERROR, encrypted=True)


def test_ciphertext_that_the_playlist_calls_clear_is_an_oddity_only() -> None:
    assert "may be encrypted" in reason(CIPHERTEXT, Severity.WARNING)


def test_subtitles_begin_with_webvtt() -> None:
    assert judge(SUBTITLE, Role.SUBTITLE) is None
    assert judge(b"\xef\xbb\xbfWEBVTT", Role.SUBTITLE) is None
    assert "WEBVTT" in reason(b"1\n00:00 --> 00:01\nsrt", Severity.WARNING, Role.SUBTITLE)
    assert "WEBVTT" in reason(b"WEBVTTX\n", Severity.WARNING, Role.SUBTITLE)
    assert judge(FRAGMENT, Role.SUBTITLE) is None


def test_images_are_whole_where_images_belong_and_odd_elsewhere() -> None:
    assert judge(JPEG, Role.IMAGE) is None
    assert "cut short" in reason(JPEG[:-2], Severity.ERROR, Role.IMAGE)
    assert judge(PNG, Role.IMAGE) is None
    assert "image" in reason(PNG + TS, Severity.WARNING)
    assert "image" in reason(JPEG, Severity.WARNING)


def test_webm_is_known() -> None:
    assert judge(b"\x1aE\xdf\xa3" + bytes(100)) is None
