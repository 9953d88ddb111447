"""Media: transport-stream segments of an exact size whose time stamps follow one another.

One short clip is encoded by ffmpeg; every segment is that clip with its clocks moved on and null packets at its end, so
that 10,000 real segments take seconds. Without ffmpeg the packets are noise: every peer but ffmpeg takes them.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKET = 188
NULL_PACKET = b"\x47\x1f\xff\x10" + b"\xff" * 184
CLOCK = 90_000
FRAME_RATE = 25


@dataclass(frozen=True, slots=True)
class Stamp:
    """Where a time stamp is: its offset in the clip, and whether it is a packet's PCR or a frame's PTS or DTS."""

    offset: int
    is_pcr: bool


@dataclass(frozen=True)
class Clip:
    """A short piece of transport stream that can be repeated."""

    data: bytes
    seconds: float
    size: int
    """Bytes of a segment made of it: a whole number of packets."""

    @cached_property
    def stamps(self) -> tuple[Stamp, ...]:
        """All time stamps in it."""
        found: list[Stamp] = []
        for start in range(0, len(self.data), PACKET):
            found += _stamps_of_packet(self.data[start : start + PACKET], start)
        return tuple(found)

    def segment(self, number: int) -> bytes:
        """Segment `number` (from 0): the clip that much later, filled up to its size."""
        later = round(number * self.seconds * CLOCK)
        body = bytearray(self.data)
        for stamp in self.stamps:
            (_move_pcr if stamp.is_pcr else _move_time)(body, stamp.offset, later)
        if not self.stamps:
            body[4:12] = number.to_bytes(8, "big")
        return bytes(body) + NULL_PACKET * ((self.size - len(body)) // PACKET)


def noise_clip(size: int) -> Clip:
    """Packets that only look like transport stream."""
    packets = max(1, size // PACKET)
    block = b"".join(b"\x47\x1f\xfe\x10" + os.urandom(PACKET - 4) for _ in range(min(packets, 997)))
    data = (block * (packets * PACKET // len(block) + 1))[: packets * PACKET]
    return Clip(data=data, seconds=4.0, size=len(data))


def encoded_clip(ffmpeg: str, size: int, folder: Path) -> Clip:
    """A moving test picture that fills a segment of `size` bytes as far as whole frames do."""
    seconds, picture = (4, "1280x720") if size > 1_000_000 else (1, "192x108")
    packets = size // PACKET
    for share in (0.97, 0.8, 0.6, 0.4):
        wanted = int(packets * PACKET * share)
        data = _encode(ffmpeg, folder / "clip.ts", picture, seconds, wanted)
        if data and len(data) <= packets * PACKET:
            return Clip(data=_repeatable(data), seconds=seconds, size=packets * PACKET)
    return noise_clip(size)


def _encode(ffmpeg: str, file: Path, picture: str, seconds: int, size: int) -> bytes:
    """Encode `seconds` in at most about `size` bytes (`-fs` ends it early when the encoder wants more)."""
    source = f"testsrc2=size={picture}:rate={FRAME_RATE},noise=alls=12:allf=t"
    command = [ffmpeg, "-nostdin", "-v", "quiet", "-y", "-f", "lavfi", "-i", source, "-t", str(seconds)]
    command += ["-c:v", "mpeg2video", "-b:v", str(size * 8 // seconds), "-g", "1000", "-bf", "0"]
    command += ["-fs", str(size), "-muxdelay", "0", "-f", "mpegts", str(file)]
    subprocess.run(command, check=False)
    data = file.read_bytes() if file.exists() else b""
    file.unlink(missing_ok=True)
    return data


def _repeatable(data: bytes) -> bytes:
    """Announce that the continuity counters start anew: the first packet of each PID that has room for it says so."""
    body, seen = bytearray(data), set[int]()
    for start in range(0, len(body), PACKET):
        pid = int.from_bytes(body[start + 1 : start + 3], "big") & 0x1FFF
        if pid not in seen and body[start + 3] & 0x20 and body[start + 4]:
            body[start + 5] |= 0x80
        seen.add(pid)
    return bytes(body)


def _stamps_of_packet(packet: bytes, start: int) -> list[Stamp]:
    """PCR in the adaptation field, PTS and DTS in a PES header that begins here (ISO 13818-1)."""
    found: list[Stamp] = []
    has_adaptation, has_payload = packet[3] & 0x20, packet[3] & 0x10
    begin = 4
    if has_adaptation:
        if packet[4] and packet[5] & 0x10:
            found.append(Stamp(start + 6, True))
        begin = 5 + packet[4]
    starts_unit = packet[1] & 0x40
    if starts_unit and has_payload and packet[begin : begin + 3] == b"\0\0\1":
        flags = packet[begin + 7] >> 6
        found += [Stamp(start + begin + 9 + 5 * number, False) for number in range({2: 1, 3: 2}.get(flags, 0))]
    return found


def _move_time(body: bytearray, at: int, later: int) -> None:
    """Add to a 33-bit PTS or DTS, whose bits lie around three marker bits."""
    value = (body[at] >> 1 & 7) << 30 | body[at + 1] << 22 | (body[at + 2] >> 1) << 15 | body[at + 3] << 7
    value = (value + (body[at + 4] >> 1) + later) & (1 << 33) - 1
    body[at] = body[at] & 0xF0 | (value >> 30) << 1 | 1
    body[at + 1 : at + 3] = ((value >> 15 & 0x7FFF) << 1 | 1).to_bytes(2, "big")
    body[at + 3 : at + 5] = ((value & 0x7FFF) << 1 | 1).to_bytes(2, "big")


def _move_pcr(body: bytearray, at: int, later: int) -> None:
    """Add to the 33-bit base of a PCR; the extension stays."""
    low = body[at + 4] & 0x7F
    value = (int.from_bytes(body[at : at + 4], "big") << 1 | body[at + 4] >> 7) + later & (1 << 33) - 1
    body[at : at + 4] = (value >> 1).to_bytes(4, "big")
    body[at + 4] = (value & 1) << 7 | low
