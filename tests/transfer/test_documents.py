"""Playlists and keys, which are read whole: gzip, sizes, and what comes without a length."""

from __future__ import annotations

import gzip
from dataclasses import replace

import pytest

from hlsdl.errors import ContentKeyError, IntegrityError, LimitError, NetworkError
from hlsdl.testing import (
    Answer,
    Behaviour,
    CloseDelimited,
    Cut,
    Gzip,
    GzipBomb,
    Html,
    Request,
    ScriptedOrigin,
)
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import MakeClient, segment

PLAYLIST = b"#EXTM3U\n" + b"#EXTINF:4,\na.ts\n" * 300


FEW = RetryPolicy(retries=2)


async def test_a_playlist_may_come_as_gzip_and_nothing_else_is_asked_to(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.m3u8", PLAYLIST)
    origin.add("/a.json", b"{}")
    origin.script("/a.m3u8", Gzip())
    client = make_client(url)
    body = await client.read(url, kind="playlist", limit=len(PLAYLIST))
    assert body.data == PLAYLIST
    await client.read(origin.url("/a.json"), kind="data", limit=100)
    await client.fetch(segment(origin.add("/a.ts", b"G" + bytes(187))), MemorySink())
    asked = [request.headers["accept-encoding"] for request in origin.requests]
    assert asked == ["gzip", "identity", "identity"]


async def test_a_cut_gzip_playlist_is_noticed_though_its_length_fits(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 14."""
    url = origin.add("/a.m3u8", PLAYLIST)
    origin.script("/a.m3u8", Gzip(cut=60))
    body = await make_client(url).read(url, kind="playlist", limit=len(PLAYLIST))
    assert body.data == PLAYLIST
    origin.always("/a.m3u8", Gzip(cut=60))
    with pytest.raises(NetworkError):
        await make_client(url, retry=FEW).read(url, kind="playlist", limit=len(PLAYLIST))


@pytest.mark.parametrize("bomb", [GzipBomb(), Gzip(layers=2)], ids=["ratio", "layers"])
async def test_a_gzip_bomb_is_over_a_limit_and_not_tried_again(
    origin: ScriptedOrigin, make_client: MakeClient, bomb: Behaviour
) -> None:
    """Row 15."""
    url = origin.add("/a.m3u8", PLAYLIST)
    origin.always("/a.m3u8", bomb)
    with pytest.raises(LimitError) as caught:
        await make_client(url).read(url, kind="playlist", limit=10**9)
    assert (caught.value.code, origin.count("/a.m3u8")) == (12, 1)


async def test_a_playlist_in_another_encoding_is_refused(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.m3u8", PLAYLIST, headers={"Content-Encoding": "br"})
    with pytest.raises(IntegrityError):
        await make_client(url).read(url, kind="playlist", limit=10**6)
    assert origin.count("/a.m3u8") == 2


@pytest.mark.parametrize("body", [b"", bytes(15), bytes(17), Html().body, bytes(200_000)], ids=len)
async def test_a_key_has_sixteen_bytes_or_is_refused(
    origin: ScriptedOrigin, make_client: MakeClient, body: bytes
) -> None:
    url = origin.add("/k", body)
    client = make_client(url, retry=FEW)
    with pytest.raises(ContentKeyError) as caught:
        await client.read(url, kind="key", limit=16)
    assert caught.value.code == 7
    sink = MemorySink()
    with pytest.raises(ContentKeyError):
        await client.fetch(segment(url, kind="key", limit=16), sink)
    assert sink.size == 0


async def test_a_key_is_read(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/k", bytes(range(16)))
    body = await make_client(url).read(url, kind="key", limit=16)
    assert body.data == bytes(range(16))
    assert "\\x01" not in repr(body)


async def test_what_is_no_playlist_is_asked_for_once_more_and_then_left_to_the_parser(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.m3u8", PLAYLIST)
    origin.script("/a.m3u8", Html())
    assert (await make_client(url).read(url, kind="playlist", limit=10**6)).data == PLAYLIST
    origin.always("/a.m3u8", Html())
    origin.clear_requests()
    assert (await make_client(url).read(url, kind="playlist", limit=10**6)).data == Html().body
    assert origin.count("/a.m3u8") == 2


def test_the_gzip_playlist_of_these_tests_is_smaller_than_its_cut() -> None:
    assert len(gzip.compress(PLAYLIST)) > 60


@pytest.mark.parametrize(("kind", "requests"), [("playlist", 3), ("data", 4)])
async def test_a_document_without_a_length_counts_when_it_comes_twice_the_same(
    origin: ScriptedOrigin, make_client: MakeClient, kind: str, requests: int
) -> None:
    """Cut once at any place, it would be a whole playlist of a shorter film; but not one that ends as playlists end."""
    text = b"#EXTM3U\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:4,\na.ts\n#EXTINF:4,\nb.ts\n#EXT-X-ENDLIST\n"
    url = origin.add("/index.m3u8", text)
    origin.script("/index.m3u8", Cut(text.index(b"#EXTINF:4,\nb"), framing="close"), *[CloseDelimited()] * 9)
    body = await make_client(url, retries=2).read(url, kind=kind, limit=1000)
    assert body.data == text
    assert origin.count("/index.m3u8") == requests


async def test_a_playlist_without_a_length_that_is_new_each_time_is_believed_for_its_last_line(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Signed anew at every request, it never comes twice the same."""

    class New:
        def apply(self, request: Request, answer: Answer) -> Answer:
            text = b"#EXTM3U\r\n#EXTINF:4,\r\na.ts?token=%d\r\n#EXT-X-ENDLIST\r\n" % len(origin.requests)
            return replace(answer, body=text, framing="close", ending="close")

    url = origin.add("/index.m3u8", b"")
    origin.always("/index.m3u8", New())
    body = await make_client(url, retries=2).read(url, kind="playlist", limit=1000)
    assert body.data.endswith(b"#EXT-X-ENDLIST\r\n")
    assert origin.count("/index.m3u8") == 1


async def test_a_document_that_is_never_twice_the_same_is_a_network_error(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    text = b"#EXTM3U\n" + b"#EXTINF:4,\na.ts\n" * 20
    url = origin.add("/index.m3u8", text)
    origin.script("/index.m3u8", *[Cut(size, framing="close") for size in range(20, 40)])
    with pytest.raises(NetworkError, match="without its length"):
        await make_client(url, retries=2).read(url, kind="playlist", limit=1000)
    assert origin.count("/index.m3u8") == 6
