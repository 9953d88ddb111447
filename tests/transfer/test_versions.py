"""Which HTTP is spoken: 1.1 unless another is asked for, with a server that somebody else wrote."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.errors import HttpError, UsageError
from hlsdl.testing import LocalAuthority
from hlsdl.transfer import curl_handle
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment
from transfer.hypercorn_origin import hypercorn_origin

BODY = b"G" + bytes(300_000)
LARGE = b"".join(number.to_bytes(4, "big") for number in range(750_000))

with_http3 = pytest.mark.skipif(not curl_handle.has_http3(), reason="not built in: HTTP/3")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return LocalAuthority(tmp_path_factory.mktemp("authority"))


def client_for(url: str, authority: LocalAuthority, **changes: Any) -> Client:
    return Client(TransferOptions(**{"cacert": authority.ca_file, "proxy": "", "retries": 0, **changes}), url)


async def fetch_many(client: Client, urls: list[str]) -> list[MemorySink]:
    sinks = [MemorySink() for _ in urls]
    await asyncio.gather(*(client.fetch(segment(url), sink) for url, sink in zip(urls, sinks, strict=True)))
    return sinks


async def test_segments_share_one_connection_with_http2(authority: LocalAuthority) -> None:
    """All eight are under way before the first is answered."""
    async with hypercorn_origin(authority, BODY, over="tcp", gather=8) as origin:
        urls = [origin.url(f"/{number}.ts") for number in range(8)]
        async with client_for(urls[0], authority, http2=True, connections=8) as client:
            for _ in range(3):
                sinks = await fetch_many(client, urls)
                assert all(sink.data == BODY and sink.length_verified for sink in sinks)
        assert origin.versions == ["2"] * 24
        assert len(origin.clients) == 1


@pytest.mark.parametrize("transport", ["libcurl", "httpx"])
async def test_http2_is_spoken_by_both_doors_when_asked_for(authority: LocalAuthority, transport: Any) -> None:
    async with hypercorn_origin(authority, LARGE, over="tcp", says_length=False) as origin:
        async with client_for(origin.url("/a.ts"), authority, http2=True, transport=transport) as client:
            for _ in range(3):
                [sink] = await fetch_many(client, [origin.url("/a.ts")])
                assert (sink.data, sink.length_verified) == (LARGE, False)  # nobody says its length
        assert set(origin.versions) == {"2"}
        assert len(origin.clients) <= 2  # the question for a length may cost the first one


@pytest.mark.parametrize("transport", ["libcurl", "httpx"])
async def test_without_the_flag_it_is_http1_though_more_is_offered(authority: LocalAuthority, transport: Any) -> None:
    async with hypercorn_origin(authority, BODY, over="tcp", gather=4) as origin:
        urls = [origin.url(f"/{number}.ts") for number in range(4)]
        async with client_for(urls[0], authority, transport=transport) as client:
            for sink in await fetch_many(client, urls):
                assert sink.data == BODY
        assert origin.versions == ["1.1"] * 4
        assert len(origin.clients) == 4


@with_http3
@pytest.mark.parametrize("says_length", [True, False])
async def test_segments_share_one_connection_with_http3(authority: LocalAuthority, says_length: bool) -> None:
    """There is nothing but QUIC to be had."""
    async with hypercorn_origin(authority, BODY, over="quic", gather=4, says_length=says_length) as origin:
        urls = [origin.url(f"/{number}.ts") for number in range(4)]
        async with client_for(urls[0], authority, http3=True) as client:
            for _ in range(3):
                sinks = await fetch_many(client, urls)
                assert all((sink.data, sink.length_verified) == (BODY, says_length) for sink in sinks)
        assert set(origin.versions) == {"3"}
        assert len(origin.clients) == 1


@with_http3
async def test_without_quic_there_the_next_version_is_taken(authority: LocalAuthority) -> None:
    async with hypercorn_origin(authority, BODY, over="tcp") as origin:
        async with client_for(origin.url("/a.ts"), authority, http3=True) as client:
            [sink] = await fetch_many(client, [origin.url("/a.ts")])
            assert sink.data == BODY
        assert origin.versions == ["2"]


@with_http3
async def test_a_certificate_that_is_not_trusted_is_not_trusted_over_quic_either(
    authority: LocalAuthority, tmp_path: Path
) -> None:
    async with hypercorn_origin(LocalAuthority(tmp_path), BODY, over="quic") as origin:
        async with client_for(origin.url("/a.ts"), authority, http3=True, timeout=2.0) as client:
            with pytest.raises(HttpError, match="cannot be trusted"):
                await fetch_many(client, [origin.url("/a.ts")])
        assert origin.versions == []


def test_where_libcurl_has_no_http3_the_flag_is_refused_at_once(
    authority: LocalAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curl_handle, "has_http3", lambda: False)
    with pytest.raises(UsageError) as caught:
        client_for("https://films.example/", authority, http3=True)
    assert "HTTP/3" in caught.value.message
    assert "--http3" in (caught.value.hint or "")
