"""Where the time goes: one run of the small-segments case under py-spy, its samples sorted by whose code was running.

A sample counts for the innermost frame that is named in `OWNERS`; so a library called by hlsdl counts for the library,
and the interpreter's own modules count for whoever called them, but for the event loop.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from benching.inputs import Made
from benching.measuring import collect
from benching.programs import Programs
from benching.serving import Server

RATE = 400
OWNERS = (
    ("hlsdl/transfer/", "hlsdl: transfer"),
    ("hlsdl/bundle/", "hlsdl: bundle"),
    ("hlsdl/session/", "hlsdl: session"),
    ("hlsdl/planning/", "hlsdl: planning and playlists"),
    ("hlsdl/playlist/", "hlsdl: planning and playlists"),
    ("httpcore/", "httpcore"),
    ("httpx/", "httpx"),
    ("h11/", "h11"),
    ("h2/", "h2"),
    ("pycurl", "pycurl"),
    ("anyio/", "anyio"),
    ("asyncio/", "asyncio"),
    ("selectors.py", "asyncio"),
    ("hlsdl/", "hlsdl: the rest"),  # last: a checkout may lie in a folder of that name
)
WAITING = ("Worker._work ", "Checkpointer._run ", "_worker ")
"""Innermost frames of threads that have nothing to do, or wait for the interpreter's lock."""
_FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]+):\d+\)$")


def measure_profile(programs: Programs, server: Server, made: Made, work: Path) -> dict[str, Any]:
    """Shares of the samples, by thread and owner, and microseconds per segment."""
    raw, output = work / "samples", work / "profiled.movpkg"
    url = f"{server.base('plain')}/{made.playlist}"
    command = [programs["py-spy"], "record", "--format", "raw", "--rate", str(RATE), "--full-filenames", "--threads"]
    command += ["-o", str(raw), "--", programs.python, "-m", "hlsdl", "fetch", url, "-o", str(output)]
    try:
        code, said = collect([*command, "--progress", "none", "--no-config"], home=work)
        if code or not raw.exists():
            return {"skipped": f"py-spy ended with {code}: {said[-300:].strip()}"}
        shares = count_samples(raw.read_text().splitlines())
    finally:
        shutil.rmtree(output, ignore_errors=True)
        raw.unlink(missing_ok=True)
    microseconds = 1e6 / RATE / made.input.segments
    return {
        "segments": made.input.segments,
        "rows": [
            {"thread": thread, "owner": owner, "microseconds": round(count * microseconds, 1)}
            for (thread, owner), count in shares.most_common()
        ],
    }


def count_samples(lines: list[str]) -> Counter[tuple[str, str]]:
    """Add up py-spy's raw lines (`thread;frame;frame count`) by thread and owner."""
    shares: Counter[tuple[str, str]] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        _, *frames = stack.split(";")
        if frames and frames[-1].startswith(WAITING):
            continue
        shares[_name_of(frames), owner_of(frames)] += int(count)
    return shares


def owner_of(frames: list[str]) -> str:
    """Whose code runs in a stack, outermost frame first."""
    if any("<frozen importlib" in frame for frame in frames):
        return "imports"
    for frame in reversed(frames):
        found = _FRAME.match(frame)
        for part, owner in OWNERS if found else ():
            if found and f"/{part}" in f"/{found['file']}":
                return owner
    return "the interpreter"


def _name_of(frames: list[str]) -> str:
    """`loop` has the event loop, `disk` and `checkpoint` are hlsdl's own, `worker` does one piece of work each.

    Told from what they run: py-spy keeps the name of a thread for the next one that the system gives its number.
    """
    beginning = " ".join(frames[:6])
    for part, name in (
        ("hlsdl/bundle/workers.py", "disk"),
        ("hlsdl/bundle/checkpoint.py", "checkpoint"),
        ("hlsdl/bundle/threads.py", "worker"),
    ):
        if part in beginning:
            return name
    return "loop"
