"""HTTP/2, when asked for: the same bytes, and its own faults healed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from hlsdl.errors import UsageError
from hlsdl.testing import LocalAuthority
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment
from transfer.doors import FakeClock
from transfer.http2_origin import http2_origin

BODY = b"G" + bytes(10_000)


@pytest.mark.parametrize("transport", ["libcurl", "httpx"])
@pytest.mark.parametrize("fault", ["", "short", "reset", "quiet", "goaway"])
async def test_a_stream_that_ends_badly_is_asked_for_again(tmp_path: Path, fault: str, transport: Any) -> None:
    """Rows 6 and 49."""
    authority = LocalAuthority(tmp_path)
    async with http2_origin(BODY, authority.server_context()) as origin:
        if fault:
            origin.faults.append(fault)
        options = TransferOptions(
            http2=True, cacert=authority.ca_file, proxy="", stall_timeout=5.0, transport=transport
        )
        async with Client(options, origin.url, clock=FakeClock()) as client:
            for _ in range(2):
                sink = MemorySink()
                await client.fetch(segment(origin.url), sink)
                assert (sink.data, sink.length_verified) == (BODY, True)
        assert origin.requests == (3 if fault else 2)


@pytest.mark.parametrize("transport", ["libcurl", "httpx"])
async def test_a_stream_that_is_reset_without_an_error_is_no_whole_one(tmp_path: Path, transport: Any) -> None:
    """Rows 6 and 49: also where nothing in the bytes shows that they were cut."""
    authority = LocalAuthority(tmp_path)
    encrypted = random.Random(6).randbytes(10_000)
    text = b"#EXTM3U\n" + b"".join(b"#EXT-X-STREAM-INF:BANDWIDTH=%d\nv%d.m3u8\n" % (one, one) for one in range(1, 50))
    options = TransferOptions(http2=True, cacert=authority.ca_file, proxy="", transport=transport)
    async with http2_origin(encrypted, authority.server_context()) as origin:
        origin.faults.append("quiet")
        async with Client(options, origin.url, clock=FakeClock()) as client:
            sink = MemorySink()
            await client.fetch(segment(origin.url), sink)
            assert sink.data == encrypted or not sink.length_verified
    async with http2_origin(text, authority.server_context()) as origin:
        origin.faults.append("quiet")
        async with Client(options, origin.url, clock=FakeClock()) as client:
            assert (await client.read(origin.url, kind="playlist", limit=10_000)).data == text


def test_without_the_extra_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hlsdl.transfer.origin.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        Client(TransferOptions(http2=True, transport="httpx"), "https://films.example/")
    assert "hlsdl[http2]" in (caught.value.hint or "")


async def test_without_the_extra_a_socks_proxy_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hlsdl.transfer.origin.find_spec", lambda name: None)
    options = TransferOptions(proxy="socks5h://127.0.0.1:1", transport="httpx")
    async with Client(options, "https://films.example/") as client:
        with pytest.raises(UsageError) as caught:
            await client.fetch(segment("https://films.example/a.ts"), MemorySink())
    assert "hlsdl[socks]" in (caught.value.hint or "")


class Forwarder:
    """Carries connections to a port; the first one goes silent when it is told to, as behind a NAT that forgot it."""

    def __init__(self, port: int) -> None:
        self.port, self.connections, self.is_frozen = port, 0, asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        is_first = self.connections == 1
        back, forth = await asyncio.open_connection("127.0.0.1", self.port)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if not (is_first and self.is_frozen.is_set()):
                    target.write(data)
                    await target.drain()
            target.close()

        self.tasks += [asyncio.create_task(pump(reader, forth)), asyncio.create_task(pump(back, writer))]


async def test_a_connection_that_died_takes_no_further_tries(tmp_path: Path) -> None:
    """Each of them would be one more stream on it."""
    authority = LocalAuthority(tmp_path)
    async with http2_origin(BODY, authority.server_context()) as origin:
        forwarder = Forwarder(int(origin.url.split(":")[2].split("/")[0]))
        server = await asyncio.start_server(forwarder.converse, "127.0.0.1", 0)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.ts"
        options = TransferOptions(http2=True, cacert=authority.ca_file, proxy="", stall_timeout=0.4, retries=2)
        async with asyncio.timeout(30), server, Client(options, url) as client:
            await client.fetch(segment(url), MemorySink())
            forwarder.is_frozen.set()
            sinks = [MemorySink() for _ in range(3)]
            await asyncio.gather(*(client.fetch(segment(url), sink) for sink in sinks))
            assert [sink.data for sink in sinks] == [BODY] * 3
        for task in forwarder.tasks:
            task.cancel()
        server.close()
