"""Inputs: what the programs are asked to fetch, written to a folder that nginx serves.

Sizes are options: `--input small=2000x50kB` replaces one, `--size-scale 0.1` makes a tenth of the segments of all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from benching.media import Clip

Kind = Literal["segments", "ladder", "ranges"]
UNITS = {"": 1, "B": 1, "kB": 1000, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
SEGMENTS_PER_KEY = 25
MakeClip = Callable[[int], Clip]


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One presentation to be."""

    name: str
    kind: Kind
    segments: int
    size: int
    """Bytes of each segment; of a ladder, of its best variant's."""

    @property
    def title(self) -> str:
        """Its size as people say it: `100 × 8 MiB`."""
        return f"{self.segments:,} × {spoken_size(self.size)}"

    def scaled(self, factor: float) -> Input:
        """The same with another number of segments."""
        return replace(self, segments=max(2, round(self.segments * factor)))


INPUTS = {
    one.name: one
    for one in (
        Input(name="large", kind="segments", segments=100, size=8 << 20),
        Input(name="small", kind="segments", segments=10_000, size=50_000),
        Input(name="ladder", kind="ladder", segments=100, size=4 << 20),
        Input(name="ranges", kind="ranges", segments=100, size=4 << 20),
        Input(name="far-large", kind="segments", segments=20, size=4_000_000),
        Input(name="far-small", kind="segments", segments=400, size=50_000),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A presentation that is there. Paths are below the server's root."""

    input: Input
    playlist: str
    """What hlsdl and the HLS peers are given."""
    media_playlist: str
    """The best variant alone, for those that do not choose."""
    objects: tuple[str, ...]
    """What a program that knows no HLS is given instead: the files that `playlist` leads to."""
    payload: int
    """Bytes of media in them."""


def read_sizes(text: str) -> Input:
    """Read `NAME=COUNTxSIZE`, such as `large=256x8MiB`; ValueError says what is wrong."""
    found = re.fullmatch(r"([a-z-]+)=([\d_,]+)[x×]([\d.]+) ?([A-Za-z]*)", text)
    if not found or found[1] not in INPUTS or found[4] not in UNITS:
        names = ", ".join(INPUTS)
        raise ValueError(f"`{text}` is not NAME=COUNTxSIZE with NAME one of {names} and SIZE such as 50kB or 8MiB")
    segments = int(found[2].replace(",", "").replace("_", ""))
    size = int(float(found[3]) * UNITS[found[4]])
    if segments < 1 or size < 1880:
        raise ValueError(f"`{text}` asks for less than one segment of ten packets (1,880 bytes)")
    return replace(INPUTS[found[1]], segments=segments, size=size)


def spoken_size(size: int) -> str:
    """A size with the largest unit that divides it."""
    for name in ("GiB", "MiB", "KiB", "GB", "MB", "kB"):
        if size % UNITS[name] == 0:
            return f"{size // UNITS[name]:,} {name}"
    return f"{size:,} B"


def make_input(wanted: Input, root: Path, clip_of: MakeClip) -> Made:
    """Write a presentation below `root`."""
    (root / wanted.name).mkdir(parents=True)
    makers = {"segments": _make_segments, "ladder": _make_ladder, "ranges": _make_ranges}
    return makers[wanted.kind](wanted, root, clip_of)


def media_playlist(lines: Iterator[str], seconds: float) -> str:
    """A VOD media playlist around the lines of its segments."""
    head = ["#EXTM3U", "#EXT-X-VERSION:4", f"#EXT-X-TARGETDURATION:{round(seconds)}", "#EXT-X-PLAYLIST-TYPE:VOD"]
    return "\n".join([*head, *lines, "#EXT-X-ENDLIST", ""])


def _make_segments(wanted: Input, root: Path, clip_of: MakeClip) -> Made:
    clip, folder = clip_of(wanted.size), root / wanted.name
    for number in range(wanted.segments):
        (folder / f"{number}.ts").write_bytes(clip.segment(number))
    lines = (line for number in range(wanted.segments) for line in (f"#EXTINF:{clip.seconds},", f"{number}.ts"))
    (folder / "index.m3u8").write_text(media_playlist(lines, clip.seconds))
    playlist = f"{wanted.name}/index.m3u8"
    return Made(
        input=wanted,
        playlist=playlist,
        media_playlist=playlist,
        objects=tuple(f"{wanted.name}/{number}.ts" for number in range(wanted.segments)),
        payload=wanted.segments * clip.size,
    )


def _make_ranges(wanted: Input, root: Path, clip_of: MakeClip) -> Made:
    clip, folder = clip_of(wanted.size), root / wanted.name
    with (folder / "all.ts").open("wb") as file:
        for number in range(wanted.segments):
            file.write(clip.segment(number))
    lines = (
        line
        for number in range(wanted.segments)
        for line in (f"#EXTINF:{clip.seconds},", f"#EXT-X-BYTERANGE:{clip.size}@{number * clip.size}", "all.ts")
    )
    (folder / "index.m3u8").write_text(media_playlist(lines, clip.seconds))
    playlist = f"{wanted.name}/index.m3u8"
    return Made(
        input=wanted,
        playlist=playlist,
        media_playlist=playlist,
        objects=(f"{wanted.name}/all.ts",),
        payload=wanted.segments * clip.size,
    )


def _make_ladder(wanted: Input, root: Path, clip_of: MakeClip) -> Made:
    """Three variants encrypted with AES-128, a new key every 25 segments."""
    master = ["#EXTM3U", "#EXT-X-VERSION:4"]
    best: list[str] = []
    for height, share in ((360, 4), (720, 2), (1080, 1)):
        clip, folder = clip_of(wanted.size // share), root / wanted.name / str(height)
        folder.mkdir()
        best = _write_encrypted(clip, wanted.segments, folder)
        rate = round(clip.size * 8 / clip.seconds)
        master.append(f"#EXT-X-STREAM-INF:BANDWIDTH={rate},RESOLUTION={height * 16 // 9}x{height}")
        master.append(f"{height}/index.m3u8")
    (root / wanted.name / "master.m3u8").write_text("\n".join([*master, ""]))
    objects = tuple(f"{wanted.name}/1080/{name}" for name in best)
    return Made(
        input=wanted,
        playlist=f"{wanted.name}/master.m3u8",
        media_playlist=f"{wanted.name}/1080/index.m3u8",
        objects=objects,
        payload=sum((root / one).stat().st_size for one in objects),
    )


def _write_encrypted(clip: Clip, segments: int, folder: Path) -> list[str]:
    """Write one variant; the IV of a segment is its number (RFC 8216 section 5.2). Returns the names of its files."""
    # Imported here: only the ladder needs it, and hlsdl brings it along.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    names, lines, key = [], [], b""
    for number in range(segments):
        if number % SEGMENTS_PER_KEY == 0:
            key = os.urandom(16)
            names.append(f"{number // SEGMENTS_PER_KEY}.key")
            (folder / names[-1]).write_bytes(key)
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="{names[-1]}"')
        padder = PKCS7(128).padder()
        plain = padder.update(clip.segment(number)) + padder.finalize()
        encryptor = Cipher(algorithms.AES(key), modes.CBC(number.to_bytes(16, "big"))).encryptor()
        names.append(f"{number}.ts")
        (folder / names[-1]).write_bytes(encryptor.update(plain) + encryptor.finalize())
        lines += [f"#EXTINF:{clip.seconds},", names[-1]]
    (folder / "index.m3u8").write_text(media_playlist(iter(lines), clip.seconds))
    return names
