"""An unfinished bundle as a player sees it: what the journal calls whole and the disk has, and nothing else."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

import hlsdl
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import NetworkError, UsageError
from hlsdl.player import Serving, app, serve
from hlsdl.player.contents import Contents
from hlsdl.player.growing import Absent, Text
from hlsdl.testing import HangUp, ScriptedOrigin, Serve

from .raw import Answer, exchange

SEGMENTS = 6


async def partial(
    folder: Path, *, without: int = 4, count: int = SEGMENTS, origin: ScriptedOrigin | None = None
) -> Path:
    """A bundle of one stream, whose download failed at one segment."""
    with nullcontext(origin) if origin else ScriptedOrigin() as server:
        lines = "".join(f"#EXTINF:2,\n{number}.ts\n" for number in range(count))
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{lines}#EXT-X-ENDLIST\n"
        server.add("/film/index.m3u8", text.encode())
        for number in range(count):
            server.add(f"/film/{number}.ts", b"\x47" * (188 + number))
        server.always(f"/film/{without}.ts", HangUp())
        with pytest.raises(NetworkError):
            await hlsdl.fetch(server.url("/film/index.m3u8"), output=folder, retries=0, connections=1)
    return folder / "film.movpkg"


def playlist_of(bundle: Path) -> str:
    return next(path.name for path in bundle.iterdir() if path.name.startswith("0-")) + "/index.m3u8"


def text_of(contents: Contents, name: str) -> str:
    found = contents.find(name)
    assert isinstance(found, Text)
    return found.data.decode()


def listed(contents: Contents, bundle: Path) -> list[str]:
    return [line for line in text_of(contents, playlist_of(bundle)).splitlines() if not line.startswith("#")]


async def test_the_playlists_are_made_and_not_read_from_the_disk(tmp_path: Path) -> None:
    bundle = await partial(tmp_path)
    contents = Contents(bundle)
    assert contents.is_growing
    assert "index.m3u8" in text_of(contents, "index.m3u8")
    assert listed(contents, bundle) == [f"{number:09d}.ts" for number in range(4)]
    assert not (bundle / "index.m3u8").exists()


async def test_a_file_of_another_size_than_the_journal_says_is_not_given(tmp_path: Path) -> None:
    bundle = await partial(tmp_path)
    segment = next(bundle.glob("0-*/000000002.ts"))
    segment.write_bytes(b"\0" * 100)
    contents = Contents(bundle)
    assert listed(contents, bundle) == ["000000000.ts", "000000001.ts"]
    assert contents.find(f"{segment.parent.name}/000000002.ts") is Absent.NOT_YET


async def test_a_file_that_the_journal_does_not_know_is_not_given(tmp_path: Path) -> None:
    bundle = await partial(tmp_path)
    folder = next(bundle.glob("0-*"))
    (folder / "000000004.ts").write_bytes(b"half")
    (folder / "000000777.ts").write_bytes(b"foreign")
    contents = Contents(bundle)
    assert len(listed(contents, bundle)) == 4
    assert contents.find(f"{folder.name}/000000004.ts") is Absent.NOT_YET
    for name in (f"{folder.name}/000000777.ts", f"{folder.name}/source.m3u8", "1-NONE/index.m3u8", "manifest.json"):
        assert contents.find(name) is Absent.NEVER, name


async def test_a_segment_that_is_lost_again_does_not_make_the_playlist_shorter(tmp_path: Path) -> None:
    bundle = await partial(tmp_path)
    contents = Contents(bundle)
    before = text_of(contents, playlist_of(bundle))
    folder = next(bundle.glob("0-*")).name
    with BundleWriter.open(bundle) as writer:
        writer.forget(f"{folder}/000000001.ts")
    assert text_of(contents, playlist_of(bundle)) == before
    assert contents.find(f"{folder}/000000001.ts") is Absent.NOT_YET


async def test_sealing_ends_it(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        bundle = await partial(tmp_path, origin=origin)
        contents = Contents(bundle)
        assert contents.is_growing
        origin.always("/film/4.ts", Serve())
        await hlsdl.fetch(origin.url("/film/index.m3u8"), output=tmp_path)
    assert not contents.is_growing
    file = contents.find("index.m3u8")
    assert not isinstance(file, Absent | Text)
    with file:
        assert file.read() == (bundle / "index.m3u8").read_bytes()


def request(serving: Serving, name: str, *headers: str, method: str = "GET") -> Answer:
    head = [f"{method} /{serving.token}/{name} HTTP/1.1", f"Host: 127.0.0.1:{serving.port}", *headers]
    return exchange(serving.port, ("\r\n".join([*head, "Connection: close"]) + "\r\n\r\n").encode())


async def test_head_gives_the_headers_of_a_growing_playlist(tmp_path: Path) -> None:
    bundle = await partial(tmp_path)
    with serve(bundle) as serving:
        get, head = (request(serving, playlist_of(bundle), method=method) for method in ("GET", "HEAD"))
    assert head.body == b""
    assert head.headers == get.headers
    assert get.headers["content-length"] == str(len(get.body))
    assert get.headers["etag"]


async def test_patience_ends_with_come_back_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PATIENCE", 0.3)
    bundle = await partial(tmp_path, without=0)
    with serve(bundle) as serving:
        answer = request(serving, playlist_of(bundle))
        index = request(serving, "index.m3u8")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["cache-control"] == "no-store"
    assert index.status == 200


async def test_a_partial_bundle_is_served_and_a_complete_one_without_index_is_not(tmp_path: Path) -> None:
    bundle = await partial(tmp_path)
    with serve(bundle) as serving:
        assert serving.title == "film"
    (bundle / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match="to play"), serve(bundle):
        pass


async def test_many_segments_are_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ready is not asked of the disk again: the second answer costs what is new."""
    bundle = await partial(tmp_path, count=300, without=299)
    contents = Contents(bundle)
    assert len(listed(contents, bundle)) == 299
    looked: list[str] = []
    lstat = Path.lstat

    def counted(self: Path) -> os.stat_result:
        looked.append(self.name)
        return lstat(self)

    monkeypatch.setattr(Path, "lstat", counted)
    assert len(listed(contents, bundle)) == 299
    assert looked == ["manifest.json"]
