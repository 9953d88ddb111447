"""What ffmpeg wrote: its playlists, their bit rates, and the codec names in the bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The bit rates of one written media playlist, in bits per second."""

    peak: int
    average: int


def entries(playlist: Path) -> Iterator[tuple[float, str, tuple[int, int] | None]]:
    """(duration, URI, (length, offset) or None) of each segment of a playlist ffmpeg wrote."""
    duration, span = 0.0, None
    for line in playlist.read_text().splitlines():
        if line.startswith("#EXTINF:"):
            duration = float(line[8:].split(",")[0])
        elif match := re.match(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", line):
            span = (int(match[1]), int(match[2]))
        elif line and not line.startswith("#"):
            yield duration, line, span
            span = None


def measure(playlist: Path) -> Measured:
    sizes = [(d, span[0] if span else (playlist.parent / uri).stat().st_size) for d, uri, span in entries(playlist)]
    peak = max(size * 8 / duration for duration, size in sizes)
    average = sum(size for _, size in sizes) * 8 / sum(duration for duration, _ in sizes)
    return Measured(peak=round(peak), average=round(average))


def avc_codec(init: Path) -> str:
    """The RFC 6381 name from the avcC box: profile, constraints, level."""
    data = init.read_bytes()
    at = data.index(b"avcC") + 5
    return "avc1." + data[at : at + 3].hex().upper()


def avc_codec_in_ts(segment: Path) -> str:
    """The RFC 6381 name from the first sequence parameter set of a clear MPEG-TS segment."""
    data = segment.read_bytes()
    at = data.index(b"\0\0\1\x67") + 4
    return "avc1." + data[at : at + 3].hex().upper()


def hevc_codec(init: Path) -> str:
    """The RFC 6381 name from the hvcC box (ISO/IEC 14496-15 annex E)."""
    data = init.read_bytes()
    at = data.index(b"hvcC") + 5
    profile, compatibility, constraints, level = struct.unpack_from(">BI6sB", data, at)
    reversed_bits = int(f"{compatibility:032b}"[::-1], 2)
    parts = ["hvc1", str(profile & 0x1F), f"{reversed_bits:X}", f"{'H' if profile & 0x20 else 'L'}{level}"]
    return ".".join(parts + [f"{byte:X}" for byte in constraints.rstrip(b"\0")])


def first_frame_end(segment: bytes) -> int:
    """The offset after the first sample of an fMP4 segment: moof, mdat header and the key frame."""
    moof = segment.index(b"moof") - 4
    at = segment.index(b"trun")
    flags, _count, data_offset = struct.unpack_from(">IIi", segment, at + 4)
    fields = at + 16 + (4 if flags & 0x4 else 0)
    size = struct.unpack_from(">I", segment, fields + (4 if flags & 0x100 else 0))[0]
    return int(moof + data_offset + size)
