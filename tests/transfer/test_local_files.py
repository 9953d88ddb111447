"""A local playlist may have local children; nothing that came over the network may name a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hlsdl.access.limits import Limits
from hlsdl.errors import ContentKeyError, HlsdlError, IntegrityError, LimitError, PolicyError
from hlsdl.testing import ScriptedOrigin
from hlsdl.transfer.client import Client
from hlsdl.transfer.local_files import path_of, read_data_url
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment

BODY = b"G" + bytes(range(187))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "a film"
    folder.mkdir()
    (folder / "index.m3u8").write_bytes(b"#EXTM3U\n")
    (folder / "1.ts").write_bytes(BODY * 100)
    (folder / "key").write_bytes(bytes(16))
    (tmp_path / "outside.ts").write_bytes(BODY)
    return folder


def client_for(source: Path | str, **changes: object) -> Client:
    url = source if isinstance(source, str) else (source / "index.m3u8").as_uri()
    return Client(TransferOptions(), url, **changes)  # type: ignore[arg-type]


async def test_a_local_playlist_and_its_children_are_read(film: Path) -> None:
    async with client_for(film, limits=Limits(block=1000)) as client:
        body = await client.read((film / "index.m3u8").as_uri(), kind="playlist", limit=100)
        assert (body.data, body.url) == (b"#EXTM3U\n", (film / "index.m3u8").as_uri())
        assert (await client.read((film / "key").as_uri(), kind="key", limit=16)).data == bytes(16)
        for resource, expected in (
            (segment((film / "1.ts").as_uri()), BODY * 100),
            (segment((film / "1.ts").as_uri(), part=(188, 376)), BODY * 2),
            (segment((film.parent / "outside.ts").as_uri()), BODY),
        ):
            sink = MemorySink(b"left over")
            heard: list[int] = []
            await client.fetch(resource, sink, on_bytes=heard.append)
            assert sink.data == expected
            assert sum(heard) == len(expected)
            assert max(map(len, sink.blocks)) <= 1000


async def test_a_remote_source_names_no_local_file(film: Path) -> None:
    url = (film / "1.ts").as_uri()
    async with client_for("https://example.com/master.m3u8") as client:
        for spelling in (url, url.replace("file:", "FILE:"), "file:/etc/passwd", "file://localhost/etc/passwd"):
            with pytest.raises(PolicyError):
                await client.read(spelling, kind="playlist", limit=100)
            with pytest.raises(PolicyError):
                await client.fetch(segment(spelling), MemorySink())


async def test_after_a_remote_playlist_only_the_sources_own_folder_is_readable(
    film: Path, origin: ScriptedOrigin
) -> None:
    remote = origin.add("/a.m3u8", b"#EXTM3U\n")
    async with client_for(film, base_url=origin.url("/")) as client:
        await client.read(remote, kind="playlist", limit=100)
        await client.fetch(segment((film / "1.ts").as_uri()), MemorySink())
        for outside in (film.parent / "outside.ts", film / ".." / "outside.ts"):
            with pytest.raises(PolicyError):
                await client.fetch(segment(f"file://{outside}"), MemorySink())


async def test_a_link_out_of_the_folder_does_not_help(film: Path, origin: ScriptedOrigin) -> None:
    (film / "link.ts").symlink_to(film.parent / "outside.ts")
    remote = origin.add("/a.m3u8", b"#EXTM3U\n")
    async with client_for(film, base_url=origin.url("/")) as client:
        await client.read(remote, kind="playlist", limit=100)
        with pytest.raises(PolicyError):
            await client.fetch(segment((film / "link.ts").as_uri()), MemorySink())


async def test_a_private_address_is_no_child_of_a_local_file_unless_it_is_the_base(
    film: Path, origin: ScriptedOrigin
) -> None:
    url = origin.add("/a.ts", BODY)
    async with client_for(film) as client:
        with pytest.raises(PolicyError):
            await client.fetch(segment(url), MemorySink())
    async with client_for(film, base_url=origin.url("/")) as client:
        sink = MemorySink()
        await client.fetch(segment(url), sink)
        assert sink.data == BODY


async def test_a_pipe_a_folder_and_a_missing_file_are_parts_that_the_stream_lacks(film: Path) -> None:
    os.mkfifo(film / "pipe")
    async with client_for(film) as client:
        for name in ("pipe", "", "missing.ts"):
            with pytest.raises(IntegrityError, match="a local playlist names") as caught:
                await client.fetch(segment((film / name).as_uri()), MemorySink())
            assert "--base-url" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("2.ts", b"<!DOCTYPE html><html>", "an HTML page"),
        ("2.ts", b"", "an empty body"),
        ("2.vtt", b"", None),
        ("2.vtt", b"WEBVTT\n", None),
    ],
)
async def test_a_file_that_is_no_media_is_no_segment(film: Path, name: str, data: bytes, reason: str | None) -> None:
    (film / name).write_bytes(data)
    async with client_for(film) as client:
        sink = MemorySink()
        if reason is None:
            await client.fetch(segment((film / name).as_uri()), sink)
            assert sink.data == data
        else:
            with pytest.raises(IntegrityError, match=reason):
                await client.fetch(segment((film / name).as_uri()), sink)
            assert sink.data == b""


async def test_limits_hold_for_local_files_too(film: Path) -> None:
    url = (film / "1.ts").as_uri()
    async with client_for(film) as client:
        await client.fetch(segment(url, limit=18_800), MemorySink())
        assert len((await client.read(url, kind="data", limit=18_800)).data) == 18_800
        with pytest.raises(LimitError):
            await client.fetch(segment(url, limit=18_799), MemorySink())
        with pytest.raises(LimitError):
            await client.read(url, kind="data", limit=18_799)
        with pytest.raises(IntegrityError):
            await client.fetch(segment(url, part=(18_700, 101)), MemorySink())
        with pytest.raises(ContentKeyError):
            await client.read((film / "index.m3u8").as_uri(), kind="key", limit=16)


@pytest.mark.parametrize("url", ["file://server/share/a.ts", "file:///a%00b"])
def test_a_file_url_means_a_path_of_this_machine(url: str) -> None:
    with pytest.raises(PolicyError):
        path_of(url)


@pytest.mark.parametrize(
    ("url", "data", "kind"),
    [
        ("data:text/plain;base64,AAECAwQFBgcICQoLDA0ODw==", bytes(range(16)), "text/plain"),
        ("data:;base64,AAEC", b"\0\1\2", "text/plain"),
        ("DATA:application/json,%7B%7D", b"{}", "application/json"),
        ("data:,", b"", "text/plain"),
    ],
)
def test_a_data_url_carries_its_content(url: str, data: bytes, kind: str) -> None:
    assert read_data_url(url, limit=16) == (data, kind)


@pytest.mark.parametrize("url", ["data:text/plain", "data:;base64,AAE", "data:;base64,a b=", "data:," + "x" * 17])
def test_a_malformed_or_long_data_url_is_refused(url: str) -> None:
    with pytest.raises(HlsdlError):
        read_data_url(url, limit=16)


async def test_a_key_may_be_a_data_url() -> None:
    async with client_for("https://example.com/") as client:
        body = await client.read("data:;base64,AAECAwQFBgcICQoLDA0ODw==", kind="key", limit=16)
        assert body.data == bytes(range(16))
        with pytest.raises(ContentKeyError):
            await client.read("data:,short", kind="key", limit=16)
