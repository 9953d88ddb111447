"""What the stories about faults share: a film of known bytes, and what must hold however a download ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import Done

import hlsdl as library
from hlsdl.errors import HlsdlError
from hlsdl.testing import ScriptedOrigin, Status
from hlsdl.verification import verify_bundle

SEGMENTS = 6
PACKETS = 40
PHASES = ("fresh", "middle", "resume")
"""When a fault comes: with the first request; when segments are stored; in the run that follows an interrupted one."""


def body(number: int, *, packets: int = PACKETS) -> bytes:
    """The transport stream packets of one segment; no two segments are alike."""
    return (b"\x47" + f"segment {number} ".encode().ljust(187, b".")) * packets


TRUTH = [body(number) for number in range(SEGMENTS)]


def playlist(names: Iterable[str] = (), *, tags: str = "", end: str = "#EXT-X-ENDLIST\n") -> bytes:
    """A media playlist of these segments, four seconds each; the film's own by default."""
    named = list(names) or [f"{number}.ts" for number in range(SEGMENTS)]
    lines = "".join(f"#EXTINF:4,\n{name}\n" for name in named)
    return f"#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:4\n{tags}{lines}{end}".encode()


def serve(origin: ScriptedOrigin, truth: Sequence[bytes] = TRUTH) -> str:
    """Put the film on an origin; returns the URL of its playlist."""
    for number, segment in enumerate(truth):
        origin.add(f"/v/{number}.ts", segment)
    origin.add("/v/index.m3u8", playlist(f"{number}.ts" for number in range(len(truth))))
    return origin.url("/v/index.m3u8")


def finished(bundle: Path) -> set[int]:
    """The numbers of the segments that are whole: under their final name."""
    return {int(path.name[:9]) for path in bundle.glob("0-*/0*.ts")}


def asked(origin: ScriptedOrigin) -> set[int]:
    """The numbers of the segments that were asked for."""
    names = (request.path.rpartition("/")[2] for request in origin.requests)
    return {int(name.removesuffix(".ts")) for name in names if name.endswith(".ts")}


async def side_by_side(play: Callable[[str, Path], Awaitable[None]], folder: Path) -> None:
    """Play a story in its three phases at once, each in a folder of its own: most of its time is waiting."""
    ends = await asyncio.gather(*(play(phase, folder / phase) for phase in PHASES), return_exceptions=True)
    if failed := [end for end in ends if isinstance(end, BaseException)]:
        raise failed[0]


async def begun(origin: ScriptedOrigin, url: str, bundle: Path, *, stop: str = "/v/2.ts", **flags: Any) -> set[int]:
    """A first run that the origin ends at its third segment; the numbers of what was finished."""
    origin.always(stop, Status(451))
    await stopped(url, bundle, **flags)
    origin.always(stop)
    origin.clear_requests()
    return finished(bundle)


async def stopped(url: str, bundle: Path, **flags: Any) -> None:
    """A run that fails at its third segment."""
    with pytest.raises(HlsdlError):
        await library.fetch(url, output=bundle, **{"connections": 1, "proxy": "", **flags})
    assert finished(bundle) == {0, 1}


def require_whole(bundle: Path, truth: Sequence[bytes]) -> None:
    """The bundle holds exactly these segments, verifies, and nothing unfinished is left in it."""
    assert [path.read_bytes() for path in sorted(bundle.glob("0-*/0*.ts"))] == list(truth)
    assert not list(bundle.rglob("*.part"))
    assert verify_bundle(bundle).findings == ()


def require_told(done: Done, *codes: int) -> dict[str, Any]:
    """A failure with `--json`: a documented code, one document that says the same, a hint, and no traceback."""
    assert done.code in codes, (done.code, done.out, done.err)
    assert "Traceback" not in done.err, done.err
    document = done.document
    assert (document["schema"], document["code"]) == ("hlsdl.error/1", done.code)
    assert document["message"]
    assert document["hint"]
    return document
