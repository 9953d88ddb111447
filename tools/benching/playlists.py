"""The cost of playlists: seconds to parse one, by its length, and that the cost grows no faster than the length."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benching.inputs import media_playlist
from benching.measuring import clean_environment

LENGTHS = (25_000, 50_000, 100_000, 200_000)
PARSE = """\
import sys, time
from pathlib import Path
from hlsdl.playlist import parse_playlist
data = Path(sys.argv[1]).read_bytes()
began = time.perf_counter()
playlist = parse_playlist(data, "https://example.com/a/index.m3u8")
print(time.perf_counter() - began, len(playlist.segments))
"""


def measure_playlists(work: Path, rounds: int, scale: float) -> dict[str, Any]:
    """The best of some runs, each in a process of its own, for playlists with and without keys."""
    kinds: dict[str, Callable[[int], list[str]]] = {"plain": _plain, "a key each": _keyed, "byte ranges": _ranged}
    file = work / "measured.m3u8"
    seconds: dict[str, dict[str, float]] = {}
    for kind, lines_of in kinds.items():
        seconds[kind] = {}
        for length in (round(one * scale) for one in LENGTHS):
            lines = (line for number in range(length) for line in lines_of(number))
            file.write_text(media_playlist(lines, 4))
            seconds[kind][str(length)] = round(min(_parse(file, length) for _ in range(rounds)), 4)
    file.unlink()
    return seconds


def _parse(file: Path, length: int) -> float:
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(file)],
        capture_output=True,
        text=True,
        check=True,
        env=clean_environment(file.parent),
    )
    seconds, found = done.stdout.split()
    if int(found) != length:
        raise SystemExit(f"{found} of {length} segments were read")
    return float(seconds)


def _plain(number: int) -> list[str]:
    return ["#EXTINF:4.0,", f"segment-{number:06}.ts"]


def _keyed(number: int) -> list[str]:
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="https://keys.example.com/{number:06}.key",IV=0x{number:032x}'
    return [key, *_plain(number)]


def _ranged(number: int) -> list[str]:
    return ["#EXTINF:4.0,", f"#EXT-X-BYTERANGE:75232@{number * 75232}", "all.ts"]
