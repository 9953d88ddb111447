"""Memory, and what grows with the number of segments: a huge asset, a huge playlist, a resume with much behind it.

One file on the server stands for all segments of an asset: their URLs differ in the query only.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benching.inputs import media_playlist
from benching.measuring import RunError, follow, measure
from benching.media import noise_clip
from benching.programs import Programs
from benching.serving import Server

HUGE = 8_000_000_000
LARGE_SEGMENT = 8 << 20
SMALL_SEGMENT = 1880
MANY, DONE = 200_000, 50_000


def measure_memory(programs: Programs, server: Server, work: Path, scale: float) -> dict[str, Any]:
    """The three figures of goal P5; `scale` makes everything smaller."""
    measuring = _Memory(programs, server, work)
    return {
        "huge asset": measuring.huge_asset(round(HUGE * scale)),
        "long playlist": measuring.long_playlist(round(MANY * scale)),
        "resume": measuring.resume(round(DONE * scale)),
    }


class _Memory:
    def __init__(self, programs: Programs, server: Server, work: Path) -> None:
        self._hlsdl, self._server, self._work = programs["hlsdl"], server, work
        self._root = work / "www" / "memory"
        self._root.mkdir()

    def huge_asset(self, size: int) -> dict[str, Any]:
        """Peak memory while an asset of `size` bytes comes in."""
        count = max(1, size // LARGE_SEGMENT)
        url = self._presentation("huge", LARGE_SEGMENT, count)
        with _folder_with_room(size, self._work) as folder:
            if folder is None:
                return {"skipped": f"no folder has room for {size / 1e9:.1f} GB"}
            command = [self._hlsdl, "fetch", url, "-o", str(folder / "film.movpkg"), "--progress", "none"]
            run = measure([*command, "--no-config"], home=self._work)
            where = "memory" if folder.is_relative_to(self._work) else "disk"
        return {"bytes": count * LARGE_SEGMENT, "peak": run.peak, "wall": run.wall, "cpu": run.cpu, "where": where}

    def long_playlist(self, count: int) -> dict[str, Any]:
        """Peak memory of planning, and of fetching, `count` segments of 10 packets."""
        url = self._presentation("many", SMALL_SEGMENT, count)
        plan = measure([self._hlsdl, "plan", url, "--no-config"], home=self._work)
        output = self._work / "many.movpkg"
        command = [self._hlsdl, "fetch", url, "-o", str(output), "--progress", "none", "--no-config"]
        try:
            fetch = measure(command, home=self._work)
        finally:
            shutil.rmtree(output, ignore_errors=True)
        return {
            "segments": count,
            "plan": {"peak": plan.peak, "wall": plan.wall},
            "fetch": {"peak": fetch.peak, "wall": fetch.wall},
        }

    def resume(self, count: int) -> dict[str, Any]:
        """Seconds from the start of a second run until it knows that `count` segments are there and goes on."""
        url = self._presentation("resumed", SMALL_SEGMENT, count, last="late.ts")
        output = self._work / "resumed.movpkg"
        command = [self._hlsdl, "fetch", url, "-o", str(output), "--no-config"]
        try:
            first = measure([*command, "--progress", "none"], home=self._work, accept=(3, 4))
            (self._root / "resumed" / "late.ts").write_bytes(noise_clip(SMALL_SEGMENT).data)
            began, told, code = follow(command, home=self._work)
        finally:
            shutil.rmtree(output, ignore_errors=True)
        progress = [one for one in told if one.event["event"] == "progress"]
        if code or not progress or progress[0].event["segments_done"] < count:
            raise RunError(f"the resumed run ended with {code} and began with {progress[:1]}")
        return {
            "segments": count,
            "first_run": round(first.wall, 2),
            "until_going_on": round(progress[0].t - began, 3),
            "until_done": round(told[-1].t - began, 3),
        }

    def _presentation(self, name: str, size: int, count: int, *, last: str | None = None) -> str:
        """Write a playlist of `count` URLs that all lead to one file, and perhaps one more; returns its URL."""
        folder = self._root / name
        folder.mkdir()
        (folder / "segment.ts").write_bytes(noise_clip(size).data)
        uris = [f"segment.ts?n={number}" for number in range(count)] + ([last] if last else [])
        lines = (line for uri in uris for line in ("#EXTINF:4,", uri))
        (folder / "index.m3u8").write_text(media_playlist(lines, 4))
        return f"{self._server.base('plain')}/memory/{name}/index.m3u8"


@contextmanager
def _folder_with_room(size: int, work: Path) -> Iterator[Path | None]:
    """A folder with room for `size` bytes twice over: on a disk if there is one, since memory is what is measured."""
    for parent in (Path(tempfile.gettempdir()), Path("/var/tmp"), work):
        if parent.is_dir() and os.access(parent, os.W_OK) and shutil.disk_usage(parent).free > 2 * size:
            with tempfile.TemporaryDirectory(dir=parent, prefix="hlsdl-bench-") as folder:
                yield Path(folder)
            return
    yield None
