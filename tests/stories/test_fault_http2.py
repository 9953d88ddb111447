"""Faults that only HTTP/2 has, over whole downloads in three phases.

The numbers are those of docs/faults.md.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from pathlib import Path

import pytest
from faults import TRUTH, playlist, require_whole, side_by_side, stopped
from transfer.http2_origin import http2_origin

import hlsdl as library
from hlsdl.testing import LocalAuthority

MEETS = {"fresh": 0, "middle": 3, "resume": 4}
"""Phase -> the segment that the fault meets."""
FILES = {"/v/index.m3u8": playlist(), **{f"/v/{number}.ts": data for number, data in enumerate(TRUTH)}}


@pytest.mark.parametrize("name", ["6 short", "49 reset", "49 goaway"])
async def test_a_stream_that_ends_badly_costs_nothing_but_itself(tmp_path: Path, name: str) -> None:
    """Rows 6 and 49."""
    await side_by_side(partial(play, name.split()[1], LocalAuthority(tmp_path)), tmp_path)


async def play(fault: str, authority: LocalAuthority, phase: str, folder: Path) -> None:
    """One fault in one phase."""
    bundle, met = folder / "b.movpkg", f"/v/{MEETS[phase]}.ts"
    flags = {"http2": True, "cacert": authority.ca_file, "connections": 1, "proxy": ""}
    async with http2_origin(FILES, authority.server_context()) as origin:
        url = origin.url.replace("/a.ts", "/v/index.m3u8")
        before: set[str] = set()
        if phase == "resume":
            origin.fault_of["/v/2.ts"] = deque(["451"])
            await stopped(url, bundle, **flags)
            before = {"/v/0.ts", "/v/1.ts"}
            origin.asked.clear()
        origin.fault_of[met] = deque([fault])
        await library.fetch(url, output=bundle, retries=2, **flags)
    assert sorted(origin.asked) == sorted([path for path in FILES if path not in before] + [met])
    require_whole(bundle, TRUTH)
