"""What plays offline is what the origin plays: ffmpeg decodes both to the same frames, stream by stream."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from conftest import FIXTURES

import hlsdl as library
from hlsdl.errors import UsageError
from hlsdl.ffmpeg import find_ffmpeg
from hlsdl.testing import ScriptedOrigin


@pytest.fixture(scope="module")
def ffmpeg() -> Path:
    try:
        return find_ffmpeg().path
    except UsageError:
        pytest.skip("not installed: ffmpeg")


def frames(ffmpeg: Path, playlist: str) -> str:
    """The framemd5 of every audio and video stream of one media playlist."""
    remote = playlist.startswith("http")
    whitelist = "http,tcp,crypto,data" if remote else "file,crypto,data"
    opening = ["-protocol_whitelist", whitelist, "-allowed_extensions", "ALL", "-i", playlist]
    done = subprocess.run(
        [ffmpeg, "-v", "error", "-nostdin", *opening, "-map", "0:v?", "-map", "0:a?", "-f", "framemd5", "-"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#software")]
    assert len(lines) > 20, done.stderr
    return "\n".join(lines)


@pytest.mark.parametrize("name", ["film", "muxed-ts", "byteranges", "aes128"])
async def test_the_offline_copy_decodes_to_the_origins_frames(name: str, ffmpeg: Path, tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(FIXTURES / "media" / name, at=f"/{name}")
        bundle = await library.fetch(
            origin.url(f"/{name}/master.m3u8"), variants="all", audio="all", subtitles="none", output=tmp_path
        )
        for stream in bundle.streams:
            local = frames(ffmpeg, str(bundle.path / stream.playlist))
            assert local == frames(ffmpeg, stream.final_url), stream.source_url
    assert bundle.streams
