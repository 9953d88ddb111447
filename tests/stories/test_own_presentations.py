"""Our own equivalents of what packagers do, judged line by line and byte by byte against their origin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import FIXTURES
from oracle import Origin, judge, local_playlists

import hlsdl as library
from hlsdl.errors import HttpError
from hlsdl.testing import ScriptedOrigin, Status
from hlsdl.verification.structure import verify_bundle


@pytest.mark.parametrize("name", ["film", "muxed-ts", "byteranges", "aes128"])
async def test_everything_is_kept_byte_for_byte(name: str, tmp_path: Path) -> None:
    folder = FIXTURES / "media" / name
    with ScriptedOrigin() as origin:
        origin.add_folder(folder, at=f"/{name}")
        bundle = await library.fetch(
            origin.url(f"/{name}/master.m3u8"),
            variants="all",
            audio="all",
            subtitles="all",
            iframes=True,
            output=tmp_path,
        )
        truth = Origin(folder, origin.url(f"/{name}"))
    by_path = {stream.playlist: stream for stream in bundle.streams}
    for playlist in local_playlists(bundle.path):
        stream = by_path[str(playlist.relative_to(bundle.path))]
        assert judge(bundle.path, playlist, stream.final_url, truth) > 0
    assert verify_bundle(bundle.path).findings == ()


async def test_rotating_keys_are_fetched_once_each_and_default_ivs_still_hold(tmp_path: Path) -> None:
    """Default IVs are media sequence numbers, so the stored playlist must still begin at 7."""
    with ScriptedOrigin() as origin:
        origin.add_folder(FIXTURES / "media" / "aes128", at="/a")
        bundle = await library.fetch(origin.url("/a/master.m3u8"), output=tmp_path)
        asked = [request.path for request in origin.requests if request.path.endswith(".key")]
    assert sorted(asked) == ["/a/keys/one.key", "/a/keys/two.key"]
    text = (bundle.path / bundle.streams[0].playlist).read_text()
    assert "#EXT-X-MEDIA-SEQUENCE:7" in text
    keys = sorted((bundle.path / "keys").iterdir())
    assert {key.read_bytes() for key in keys} == {
        (FIXTURES / "media" / "aes128" / "keys" / name).read_bytes() for name in ("one.key", "two.key")
    }
    assert {key.stat().st_mode & 0o777 for key in keys} == {0o600}
    assert all(key.read_bytes().hex() not in (bundle.path / "manifest.json").read_text() for key in keys)


@pytest.mark.parametrize("phase", ["fresh", "resume"])
async def test_variables_gaps_two_inits_and_vendor_tags_survive(tmp_path: Path, phase: str) -> None:
    """Row 72 of docs/faults.md: also when the first run ends between the two init sections."""
    folder = FIXTURES / "media" / "odd"
    with ScriptedOrigin() as origin:
        origin.add_folder(folder, at="/odd")
        if phase == "resume":
            origin.always("/odd/part2/init.mp4", Status(451))
            with pytest.raises(HttpError):
                await library.fetch(origin.url("/odd/master.m3u8"), output=tmp_path, connections=1)
            origin.always("/odd/part2/init.mp4")
        bundle = await library.fetch(origin.url("/odd/master.m3u8"), output=tmp_path)
        assert origin.count("/odd/part1/init.mp4") == 1
    stream = bundle.streams[0]
    text = (bundle.path / stream.playlist).read_bytes().decode()
    source = (folder / "index.m3u8").read_bytes().decode()
    kept = [
        line
        for line in source.split("\n")
        if re.match(r"#EXT(INF|-X-(VENDOR|DATERANGE|PROGRAM|CUE|BITRATE|START))", line)
    ]
    assert kept
    assert all(line in text.split("\n") for line in kept)
    assert "{$" not in text
    assert "EXT-X-DEFINE" not in text
    inits = re.findall(r'#EXT-X-MAP:URI="([^"]+)"', text)
    assert len(set(inits)) == 2
    assert [(bundle.path / stream.id / one).read_bytes() for one in inits] == [
        (folder / part / "init.mp4").read_bytes() for part in ("part1", "part2")
    ]
    assert (stream.segments, stream.gaps) == (4, 1)
    assert verify_bundle(bundle.path).ok


async def test_a_query_parameter_reaches_the_segments_and_stays_out_of_the_local_playlists(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(FIXTURES / "media" / "odd", at="/odd")
        bundle = await library.fetch(origin.url("/odd/query.m3u8?token=s3cret%21"), output=tmp_path)
        assert origin.count("/odd/part1/0.m4s?token=s3cret!") + origin.count("/odd/part1/0.m4s?token=s3cret%21") == 1
    assert "s3cret" not in (bundle.path / bundle.streams[0].playlist).read_text()
    assert "s3cret" not in (bundle.path / "index.m3u8").read_text()
