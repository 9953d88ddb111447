"""Adaptive concurrency, watched: goodput and open connections over time on the distant link, no flags given.

Open connections and delivered bytes are what the link saw; the engine's own events say when segments were finished.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benching.inputs import INPUTS, Made, MakeClip, make_input
from benching.measuring import follow
from benching.programs import Programs
from benching.serving import Sample, Server, distant

BIN = 0.25
"""Seconds over which goodput is averaged."""
WATCHED = (("far-large", 40, None), ("far-small", 1000, None), ("far-small", 1000, 6))
"""Which input, how many segments of it, and how many connections the server allows."""


def measure_adaptive(programs: Programs, server: Server, work: Path, clip_of: MakeClip, scale: float) -> dict[str, Any]:
    """Time lines of one run of each."""
    lines: dict[str, Any] = {}
    for name, count, limit in WATCHED:
        wanted = replace(INPUTS[name], name=f"watched-{len(lines)}", segments=max(2, round(count * scale)))
        made = make_input(wanted, work / "www", clip_of)
        title = wanted.title + (f", 429 above {limit} connections" if limit else "")
        lines[title] = _watch(programs["hlsdl"], server, work, made, limit)
        shutil.rmtree(work / "www" / wanted.name)
    return lines


def _watch(hlsdl: str, server: Server, work: Path, made: Made, limit: int | None) -> dict[str, Any]:
    output = work / "watched.movpkg"
    with distant(server.base("plain"), work, limit=limit) as distance:
        command = [hlsdl, "fetch", f"{distance.base}/{made.playlist}", "-o", str(output), "--no-config"]
        try:
            began, told, code = follow(command, home=work)
        finally:
            shutil.rmtree(output, ignore_errors=True)
        samples = distance.samples(began)
    seconds = told[-1].t - began if told else 0.0
    return {
        "limit": limit,
        "seconds": round(seconds, 2),
        "code": code,
        "payload": made.payload,
        "refused": max((one.refused for one in samples), default=0),
        "most_open": max((one.open for one in samples), default=0),
        "open": [[round(one.t - began, 2), one.open] for one in samples],
        "goodput": _goodput(samples, began, seconds),
        "segments": [
            [round(one.t - began, 2), one.event["segments_done"]] for one in told if one.event["event"] == "progress"
        ],
    }


def _goodput(samples: list[Sample], began: float, seconds: float) -> list[list[float]]:
    """Bytes per second in each bin: `[time, rate]`."""
    rates, before, index, latest = [], 0, 0, 0
    for number in range(1, int(seconds / BIN) + 2):
        while index < len(samples) and samples[index].t <= began + number * BIN:
            latest = samples[index].bytes
            index += 1
        rates.append([round(number * BIN, 2), round((latest - before) / BIN)])
        before = latest
    return rates
