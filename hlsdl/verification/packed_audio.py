"""Packed audio (RFC 8216 §3.4): elementary frames one after another, with ID3 tags between.

Pure. Knows how long one ADTS, AC-3 or Enhanced AC-3 frame says it is, and walks from frame to frame. MPEG layer I to
III and AC-4 are recognised and not walked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Read = Callable[[int, int], bytes]
"""`read(offset, length)`: up to `length` bytes, fewer only at the end."""

_MOST_UNITS = 1_000_000
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_RATES = (48_000, 44_100, 32_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where a walk over the frames ended."""

    cut_at: int | None = None
    """Offset of a frame or tag that says it is longer than what is there."""
    oddity: str | None = None
    """A clause about something players step over."""


def is_packed_audio(read: Read, size: int) -> bool:
    """Whether the object begins with an ID3 tag, or with frames that follow each other."""
    head = read(0, 16)
    if head.startswith(b"ID3"):
        return True
    length = frame_length(head)
    if length is not None:
        # Two bytes of sync occur by chance in ciphertext: the next frame must stand where this one ends.
        return length >= size or frame_length(read(length, 16)) is not None or read(length, 3) == b"ID3"
    return _is_unwalked(head)


def walk(read: Read, size: int) -> Outcome:
    """Step over all tags and frames to the end."""
    offset, frames = 0, 0
    for _ in range(_MOST_UNITS):
        if offset == size:
            return Outcome() if frames else Outcome(oddity="holds an ID3 tag and no audio")
        head = read(offset, 16)
        length = id3_length(head) if head.startswith(b"ID3") else frame_length(head)
        if length is None:
            if frames == 0 and _is_unwalked(head):
                return Outcome()
            return Outcome(oddity=f"has bytes that are no audio frame, from byte {offset}")
        if offset + length > size:
            return Outcome(cut_at=offset)
        frames += not head.startswith(b"ID3")
        offset += length
    return Outcome(oddity=f"has more than {_MOST_UNITS} audio frames")


def id3_length(head: bytes) -> int | None:
    """Bytes of an ID3v2 tag, header and footer included."""
    if len(head) < 10 or any(byte & 0x80 for byte in head[6:10]):
        return None
    body = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + body + (10 if head[5] & 0x10 else 0)


def frame_length(head: bytes) -> int | None:
    """Bytes of the ADTS, AC-3 or Enhanced AC-3 frame that begins here; None when there is none."""
    if len(head) < 7:
        return None
    if head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        length = (head[3] & 0x03) << 11 | head[4] << 3 | head[5] >> 5
        return length if length >= 7 else None
    if head[:2] == b"\x0b\x77":
        # bsid says which syntax: up to 10 AC-3 (ETSI TS 102 366 §4.4.2), above Enhanced AC-3 (annex E).
        return _ac3_length(head[4]) if head[5] >> 3 <= 10 else (((head[2] & 0x07) << 8 | head[3]) + 1) * 2
    return None


def _ac3_length(code: int) -> int | None:
    rate_code, size_code = code >> 6, code & 0x3F
    if rate_code >= len(_AC3_RATES) or size_code >= 2 * len(_AC3_KBPS):
        return None
    rate = _AC3_RATES[rate_code]
    words = _AC3_KBPS[size_code // 2] * 1000 * 96 // rate
    # 44.1 kHz frames alternate between two lengths; the lowest bit of the code says which.
    return 2 * (words + (size_code & 1 if rate == 44_100 else 0))


def _is_unwalked(head: bytes) -> bool:
    mpeg = len(head) >= 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 and head[2] & 0xF0 != 0xF0
    return bool(mpeg) or head[:2] in (b"\xac\x40", b"\xac\x41") or head.startswith(b"fLaC")
