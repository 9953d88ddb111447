"""Start-up: how long hlsdl takes until it does something, beside an interpreter that does nothing."""

from __future__ import annotations

import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from benching.inputs import media_playlist
from benching.measuring import measure
from benching.media import noise_clip
from benching.programs import Programs
from benching.serving import Server

FETCH = "hlsdl fetch, one tiny segment"


def measure_start_up(programs: Programs, server: Server, work: Path, rounds: int) -> dict[str, Any]:
    """Medians and minima in milliseconds, each command in turn; the first round fills the caches and is not counted."""
    output, www = work / "tiny.movpkg", work / "www" / "tiny"
    www.mkdir()
    (www / "0.ts").write_bytes(noise_clip(1880).data)
    (www / "index.m3u8").write_text(media_playlist(iter(["#EXTINF:4,", "0.ts"]), 4))
    url = f"{server.base('plain')}/tiny/index.m3u8"
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import hlsdl": [sys.executable, "-c", "import hlsdl"],
        "hlsdl --version": [programs["hlsdl"], "--version"],
        "hlsdl --help": [programs["hlsdl"], "--help"],
        FETCH: [programs["hlsdl"], "fetch", url, "-o", str(output), "--progress", "none", "--no-config"],
    }
    walls: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            wall = measure(command, home=work).wall * 1000
            shutil.rmtree(output, ignore_errors=True)
            if turn:
                walls[name].append(wall)
    return {
        name: {"median": round(statistics.median(all_of), 1), "least": round(min(all_of), 1)}
        for name, all_of in walls.items()
    }
