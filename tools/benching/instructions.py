"""Instructions per segment, counted by callgrind: a figure that another machine or a busy one does not change.

Two runs that differ only in the number of segments are subtracted, so that start-up cancels out; the segments are tiny,
so that hashing and copying their bytes do. `make bench` fails when the figure is above what is allowed here.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from benching.inputs import media_playlist
from benching.measuring import RunError, collect
from benching.media import noise_clip
from benching.programs import Programs
from benching.serving import Server

FEW, MANY = 40, 240
SEGMENT = 1880
MOST_PER_SEGMENT = 650_000
"""What a segment may cost at most, a seventh above what it did when this was last lowered."""


def measure_instructions(programs: Programs, server: Server, work: Path) -> dict[str, Any]:
    """Instructions of the whole process, per segment and for a start with none."""
    # Once without looking, so that no run compiles modules that the other one finds compiled.
    counts = {count: _count(programs, server, work, count) for count in (FEW, FEW, MANY)}
    per_segment = (counts[MANY] - counts[FEW]) // (MANY - FEW)
    return {"per_segment": per_segment, "start": counts[FEW] - FEW * per_segment, "allowed": MOST_PER_SEGMENT}


def _count(programs: Programs, server: Server, work: Path, segments: int) -> int:
    folder, output = work / "www" / f"counted-{segments}", work / "counted.movpkg"
    folder.mkdir(exist_ok=True)
    (folder / "segment.ts").write_bytes(noise_clip(SEGMENT).data)
    lines = (line for number in range(segments) for line in ("#EXTINF:4,", f"segment.ts?n={number}"))
    (folder / "index.m3u8").write_text(media_playlist(lines, 4))
    url = f"{server.base('plain')}/{folder.name}/index.m3u8"
    command = [programs["valgrind"], "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command += [programs.python, "-m", "hlsdl", "fetch", url, "-o", str(output), "--progress", "none", "--no-config"]
    # Everything takes fifty times as long: a stall is none.
    command += ["--timeout", "120", "--stall-timeout", "120"]
    try:
        code, said = collect(command, home=work, PYTHONHASHSEED="0")
    finally:
        shutil.rmtree(output, ignore_errors=True)
    found = re.search(r"Collected\s*:\s*(\d+)", said)
    if code or not found:
        raise RunError(f"valgrind did not finish ({code}): {said[-800:]}")
    return int(found[1])
