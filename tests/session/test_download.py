"""The story of a download: how it ends when several things go wrong at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import hlsdl
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, HttpError
from hlsdl.testing import ScriptedOrigin, Stall, Status

MEDIA = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedOrigin]:
    """An origin, while no bundle can be closed without an error."""
    close = BundleWriter.close

    def close_badly(self: BundleWriter, *arguments: object, **named: object) -> None:
        close(self, *arguments, **named)  # type: ignore[arg-type]
        raise DiskError("the disk is full")

    monkeypatch.setattr(BundleWriter, "close", close_badly)
    with ScriptedOrigin() as server:
        server.add("/m.m3u8", MEDIA)
        server.add("/a.ts", b"\x47" * 1880)
        yield server


async def test_the_first_error_tells_the_story(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.always("/a.ts", Status(404))
    with pytest.raises(HttpError):
        await hlsdl.fetch(origin.url("/m.m3u8"), output=tmp_path)


async def test_who_is_cancelled_hears_of_nothing_else(origin: ScriptedOrigin, tmp_path: Path) -> None:
    origin.always("/a.ts", Stall(after=10))
    task = asyncio.create_task(hlsdl.fetch(origin.url("/m.m3u8"), output=tmp_path))
    while not origin.count("/a.ts"):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_bundle_that_cannot_be_closed_is_told_when_nothing_else_is_wrong(
    origin: ScriptedOrigin, tmp_path: Path
) -> None:
    with pytest.raises(DiskError, match="the disk is full"):
        await hlsdl.fetch(origin.url("/m.m3u8"), output=tmp_path)
