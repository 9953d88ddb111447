"""The long part of a download, seen from outside: what stops it before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

import hlsdl
from hlsdl.bundle import durable
from hlsdl.testing import ScriptedOrigin

HOURS = "".join(f"#EXTINF:3600,\n{name}.ts\n" for name in "abcd")
MEDIA = f"#EXTM3U\n#EXT-X-TARGETDURATION:3600\n{HOURS}#EXT-X-ENDLIST\n"
MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=8000000\nmedia.m3u8\n"
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
        with pytest.raises(hlsdl.DiskError, match="14400 MB are needed and 1000 MB are free"):
            await hlsdl.fetch(origin.url("/master.m3u8"), output=tmp_path / "film.movpkg")
        assert origin.count("/a.ts") == 0


async def test_a_guess_at_the_size_is_no_reason_to_refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A media playlist says nothing of its bitrate: hours of it may be a few bytes."""
    monkeypatch.setattr(durable, "free_space", lambda _: FREE)
    with ScriptedOrigin() as origin:
        serve(origin)
        bundle = await hlsdl.fetch(origin.url("/media.m3u8"), output=tmp_path / "film.movpkg")
    assert bundle.segments == 4
