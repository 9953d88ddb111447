"""The long part of a download, seen from outside: what stops it before it begins."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

import hlsdl
from hlsdl.bundle import durable
from hlsdl.bundle.objects import ObjectStore
from hlsdl.session.events import Progressed, Warned
from hlsdl.testing import CloseDelimited, Delay, IgnoreRange, ScriptedOrigin

HOURS = "".join(f"#EXTINF:3600,\n{name}.ts\n" for name in "abcd")
MEDIA = f"#EXTM3U\n#EXT-X-TARGETDURATION:3600\n{HOURS}#EXT-X-ENDLIST\n"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=8000000\nmedia.m3u8\n"
SHORT = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n" + "".join(f"#EXTINF:6,\n{n}.ts\n" for n in range(40)) + "#EXT-X-ENDLIST\n"
FREE = 1_000_000_000
"""Bytes; the four hours take 14 GB as declared."""


def serve(origin: ScriptedOrigin) -> None:
    origin.add("/master.m3u8", MASTER.encode())
    origin.add("/media.m3u8", MEDIA.encode())
    for name in "abcd":
        origin.add(f"/{name}.ts", b"G" + bytes(187))


async def test_a_stream_declared_larger_than_the_disk_is_refused_before_its_first_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "free_space", lambda _: FREE)
    with ScriptedOrigin() as origin:
        serve(origin)
        with pytest.raises(hlsdl.DiskError, match="14400 MB are needed, 67 MB must stay and 1000 MB are free"):
            await hlsdl.fetch(origin.url("/master.m3u8"), output=tmp_path / "film.movpkg")
        assert origin.count("/a.ts") == 0


async def test_a_guess_at_the_size_is_no_reason_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A media playlist says nothing of its bitrate: hours of it may be a few bytes."""
    monkeypatch.setattr(durable, "free_space", lambda _: FREE)
    with ScriptedOrigin() as origin:
        serve(origin)
        bundle = await hlsdl.fetch(origin.url("/media.m3u8"), output=tmp_path / "film.movpkg")
    assert bundle.segments == 4


async def test_nothing_is_told_once_the_download_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled, a download waits for what is being stored; that this comes to its end is no progress any more."""
    store, may_store, waits, told = ObjectStore.store_all, threading.Event(), threading.Event(), list[object]()

    def store_late(self: ObjectStore, many: Any) -> Any:
        if not may_store.is_set():
            waits.set()
        may_store.wait(10)
        return store(self, many)

    monkeypatch.setattr(ObjectStore, "store_all", store_late)
    may_store.set()
    with ScriptedOrigin() as origin:
        origin.add("/film.m3u8", SHORT.encode())
        for number in range(40):
            origin.add(f"/{number}.ts", b"G" + bytes(187))
        job = asyncio.create_task(hlsdl.fetch(origin.url("/film.m3u8"), output=tmp_path / "a.movpkg", emit=told.append))
        await asyncio.to_thread(origin.wait_for, "/3.ts")
        may_store.clear()
        assert await asyncio.to_thread(waits.wait, 10)
        job.cancel()
        await asyncio.sleep(0.1)  # the segments have ended, what is being stored has not
        then = len(told)
        may_store.set()
        with pytest.raises(asyncio.CancelledError):
            await job
        await asyncio.sleep(0.2)
    assert then > 3
    assert told[then:] == []


async def test_what_came_without_its_length_is_said(tmp_path: Path) -> None:
    """Nothing can be done about it where the server tells no length, so nobody may think that it was proven."""
    told: list[object] = []
    with ScriptedOrigin() as origin:
        serve(origin)
        for name in "ab":
            origin.always(f"/{name}.ts", IgnoreRange(), CloseDelimited())
        bundle = await hlsdl.fetch(origin.url("/media.m3u8"), output=tmp_path / "film.movpkg", emit=told.append)
    warned = [one.message for one in told if isinstance(one, Warned)]
    assert [message.split(":")[0] for message in warned] == ["how long 2 objects must be, nobody says"]
    assert hlsdl.open(bundle.path).manifest.warnings == tuple(warned)


async def test_what_a_listener_raises_ends_the_download_whenever_it_is_told(tmp_path: Path) -> None:
    """Also of progress that is told a moment later, when no part of the download waits for it."""
    told: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Progressed) and asyncio.current_task() is None:
            told.append("later")
            raise ValueError("a bug of the program")

    with ScriptedOrigin() as origin:
        serve(origin)
        origin.always("/c.ts", Delay(1.0))
        with pytest.raises(ValueError, match="a bug of the program"):
            await hlsdl.fetch(origin.url("/media.m3u8"), output=tmp_path / "film.movpkg", emit=listen, connections=1)
    assert told == ["later"]
