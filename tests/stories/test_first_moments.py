"""The first moments of `hlsdl fetch`: the source is asked for at once, but never more often, and never for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import hlsdl

from hlsdl.testing import ScriptedOrigin

MASTER = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=800000\nv.m3u8\n"
MEDIA = b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\na.ts\n#EXT-X-ENDLIST\n"


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as running:
        running.add("/film/master.m3u8", MASTER)
        running.add("/film/v.m3u8", MEDIA)
        running.add("/film/a.ts", b"G" + bytes(187))
        yield running


def asked(origin: ScriptedOrigin) -> list[str]:
    paths = [request.path for request in origin.requests]
    origin.clear_requests()
    return paths


@pytest.mark.parametrize("where", [("-P", "films"), ("-o", "films/film.movpkg")])
def test_each_thing_is_asked_for_once_and_nothing_of_a_complete_bundle(
    origin: ScriptedOrigin, tmp_path: Path, where: tuple[str, str]
) -> None:
    url = origin.url("/film/master.m3u8")
    first = hlsdl("fetch", url, *where, cwd=tmp_path)
    assert (first.code, asked(origin)) == (0, ["/film/master.m3u8", "/film/v.m3u8", "/film/a.ts"])
    again = hlsdl("fetch", url, *where, cwd=tmp_path)
    assert (again.code, again.out, asked(origin)) == (0, first.out, [])
    assert origin.connections == 1


def test_several_sources_are_each_asked_for_once(origin: ScriptedOrigin, tmp_path: Path) -> None:
    urls = [origin.url("/film/master.m3u8"), origin.url("/film/v.m3u8")]
    assert hlsdl("fetch", *urls, "-P", tmp_path).code == 0
    assert sorted(asked(origin)) == sorted(
        ["/film/master.m3u8", "/film/v.m3u8", "/film/a.ts", "/film/v.m3u8", "/film/a.ts"]
    )


def test_what_is_wrong_here_is_said_before_what_is_wrong_there(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Nobody listens at the source; the picture is wrong all the same."""
    picture = tmp_path / "picture.jpg"
    picture.write_text("no picture")
    done = hlsdl("fetch", "http://127.0.0.1:9/a.m3u8", "-P", tmp_path, "--artwork", picture)
    assert (done.code, "is no JPEG" in done.err) == (2, True)
    done = hlsdl("fetch", "http://127.0.0.1:9/a.m3u8", "-P", tmp_path, "--cacert", picture)
    assert (done.code, "retr" in done.err) == (2, False)
